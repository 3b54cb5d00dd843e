//! Several NumPy arrays in one file (`.npz`), as `numpy.savez` and `numpy.savez_compressed` write it: a
//! zip archive of `.npy` members, stored or deflated.
//!
//! Either four members are rows of numbers named x (`xs`), y (`ys`), p (`ps`, `pol`, `polarity`, `on`)
//! and t (`ts`, `timestamp`, also with a unit: `t_ns`); others beside them are left alone. Or exactly one
//! member is an array that [`super::npy`] reads: structured, or [N, 4] of x, y, p, t in C order.
//! What holds there for types, units and polarities holds here.
//!
//! Members are unpacked piece by piece, so that memory does not grow with the recording. At its end the
//! checksum of a member is verified.

use std::io::Cursor as SeekBytes;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zip::{CompressionMethod, ZipArchive};

use super::npy::{self, Array, Header, Kind, columns};
use super::{Container, Fit, Format, Heed, Probe, ReadOptions, Reading, TimeUnit};
use crate::{Columns, Error, Result, Sensor};
use columns::{Number, Place};

/// See the module.
pub const FORMAT: Format = Format {
    name: "npz",
    about: "NumPy arrays x, y, t, p in one file (savez, savez_compressed)",
    extensions: &["npz"],
    axes: super::Axes::UpperLeft,
    fits,
    heeds: &[Heed::TimeUnit],
    read: Reading::Whole(open),
    write: None,
};

const ZIP: &[u8] = b"PK\x03\x04";
/// Events of a piece.
const PIECE: usize = 65_536;
/// Bytes of a header at most: a structured array has some hundred.
const MOST_HEADER: usize = 1 << 20;
/// Bytes that are unpacked at a time.
const STEP: usize = 64 << 10;
/// Bytes of an element of a table at most.
const MOST_ELEMENT: usize = 4096;

/// The first member of the archive is an array in no folder; a data set of `.npy` recordings has folders.
fn fits(probe: &Probe) -> Fit {
    let name = probe.head.get(26..28).map_or(0, |n| usize::from(u16::from_le_bytes([n[0], n[1]])));
    let name = probe.head.get(30..30 + name).unwrap_or_default();
    let array = probe.head.starts_with(ZIP) && name.ends_with(b".npy") && !name.contains(&b'/');
    if array { Fit::Sure } else { Fit::No }
}

/// A member of the archive.
struct Member {
    /// Its name without `.npy`.
    name: String,
    start: u64,
    /// Bytes in the archive.
    packed: u64,
    /// Bytes that it claims to have.
    size: u64,
    checksum: u32,
    deflated: bool,
}

const REMEDY: &str = "save it with numpy.savez(file, x=x, y=y, t=t, p=p)";

/// The arrays of an archive.
fn members(bytes: &[u8], file: &str) -> Result<Vec<Member>> {
    let broken = |e: zip::result::ZipError| Error::malformed(file, 0, format!("not a readable npz ({e})"), "get the file again");
    let mut zip = ZipArchive::new(SeekBytes::new(bytes)).map_err(broken)?;
    let mut members = Vec::new();
    for i in 0..zip.len() {
        let member = zip.by_index_raw(i).map_err(broken)?;
        let name = member.name().map_err(|e| broken(e.into()))?;
        let Some(name) = name.strip_suffix(".npy").map(String::from) else { continue };
        let start = member.data_start().unwrap_or(u64::MAX);
        let deflated = match member.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                let problem = format!("the member `{name}` is packed with {other}");
                return Err(Error::malformed(file, start, problem, "save it with numpy.savez_compressed"));
            }
        };
        if member.encrypted() {
            return Err(Error::malformed(file, start, format!("the member `{name}` is encrypted"), REMEDY));
        }
        let (packed, size, checksum) = (member.compressed_size(), member.size(), member.crc32());
        if start.checked_add(packed).is_none_or(|end| end > bytes.len() as u64) {
            let problem = format!("truncated: the member `{name}` ends behind the end of the file");
            return Err(Error::malformed(file, start.min(bytes.len() as u64), problem, "get the file again"));
        }
        members.push(Member { name, start, packed, size, checksum, deflated });
    }
    Ok(members)
}

/// The values of a member, unpacked piece by piece.
struct Values {
    member: Member,
    /// Packed bytes that have been read.
    read: u64,
    /// Bytes that have been unpacked.
    unpacked: u64,
    /// `None` for a stored member.
    inflate: Option<Decompress>,
    crc: Crc,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that have been decoded.
    taken: usize,
}

impl Values {
    fn new(member: Member) -> Values {
        let inflate = member.deflated.then(|| Decompress::new(false));
        Values { member, read: 0, unpacked: 0, inflate, crc: Crc::new(), buffer: Vec::new(), taken: 0 }
    }

    fn fault(&self, file: &str, problem: String) -> Error {
        let at = self.member.start.saturating_add(self.read);
        Error::malformed(file, at, format!("the member `{}`: {problem}", self.member.name), "get the file again")
    }

    /// Unpacks until `n` bytes are ready.
    fn fill(&mut self, bytes: &[u8], file: &str, n: usize) -> Result<()> {
        while self.buffer.len() - self.taken < n {
            self.buffer.drain(..std::mem::take(&mut self.taken));
            let start = (self.member.start + self.read) as usize;
            let packed = &bytes[start..start + (self.member.packed - self.read) as usize];
            let before = self.buffer.len();
            match &mut self.inflate {
                None => {
                    let n = packed.len().min(STEP);
                    self.buffer.extend_from_slice(&packed[..n]);
                    self.read += n as u64;
                }
                Some(inflate) => {
                    self.buffer.reserve(STEP);
                    let (was_in, packed) = (inflate.total_in(), &packed[..packed.len().min(STEP)]);
                    let status = inflate.decompress_vec(packed, &mut self.buffer, FlushDecompress::None);
                    self.read += inflate.total_in() - was_in;
                    match status {
                        Ok(Status::Ok | Status::BufError | Status::StreamEnd) => {}
                        Err(e) => return Err(self.fault(file, format!("a broken deflate stream ({e})"))),
                    }
                }
            }
            let new = &self.buffer[before..];
            self.crc.update(new);
            self.unpacked += new.len() as u64;
            if new.is_empty() {
                let problem = format!("truncated: {} of {} bytes", self.unpacked, self.member.size);
                return Err(self.fault(file, problem));
            }
        }
        Ok(())
    }

    /// Takes the `n` bytes that are ready.
    fn take(&mut self, bytes: &[u8], file: &str, n: usize) -> Result<&[u8]> {
        self.fill(bytes, file, n)?;
        self.taken += n;
        Ok(&self.buffer[self.taken - n..self.taken])
    }

    /// Reads the header of the array, and returns it with the bytes of values that the member claims.
    fn header(&mut self, bytes: &[u8], file: &str) -> Result<(Header, u64)> {
        let front = self.take(bytes, file, npy::MAGIC.len() + 2)?;
        let Some(&[major, _]) = front.strip_prefix(npy::MAGIC) else {
            return Err(self.fault(file, "no NumPy array".into()));
        };
        let size = match major {
            1 => self.take(bytes, file, 2)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)),
            2 | 3 => self.take(bytes, file, 4)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)),
            _ => return Err(self.fault(file, format!("an array of version {major}; 1 to 3 are known"))),
        };
        if size > MOST_HEADER {
            return Err(self.fault(file, format!("a header of {size} bytes")));
        }
        let header = npy::parse(self.take(bytes, file, size)?).map_err(|problem| self.fault(file, problem))?;
        let before = self.unpacked - (self.buffer.len() - self.taken) as u64;
        Ok((header, self.member.size.saturating_sub(before)))
    }

    /// Checks the end of a member of which all values have been taken.
    fn finish(&mut self, bytes: &[u8], file: &str) -> Result<()> {
        if self.buffer.len() > self.taken || self.unpacked != self.member.size {
            let problem = format!("it has {} bytes, and the archive says {}", self.unpacked, self.member.size);
            return Err(self.fault(file, problem));
        }
        let _ = bytes;
        if self.crc.sum() != self.member.checksum {
            return Err(self.fault(file, "its checksum is wrong".into()));
        }
        Ok(())
    }

    /// Where the values of a type are that are ready.
    fn place<'a>(&'a self, file: &'a str, step: usize, what: &'static str) -> Place<'a> {
        Place { file, bytes: &self.buffer, first: self.taken, step, what }
    }

    /// An error at a byte of the buffer, as one at an event: `done` events came before it.
    fn located(&self, done: u64, step: usize, error: Error) -> Error {
        match error {
            Error::Malformed { file, at, problem, remedy } => {
                let event = done + at.saturating_sub(self.taken as u64) / step.max(1) as u64;
                let problem = format!("the member `{}`: event {event}: {problem}", self.member.name);
                Error::Malformed { file, at: self.member.start, problem, remedy }
            }
            other => other,
        }
    }
}

/// One of four members.
struct Column {
    values: Values,
    number: Number,
    what: &'static str,
}

enum Source {
    /// A member for each of t, x, y and p.
    Columns { t: Column, x: Column, y: Column, p: Column, unit: TimeUnit },
    /// One member with all of them: bytes of an element.
    Table { values: Values, array: Array, element: usize },
}

struct Reader {
    name: String,
    source: Source,
    len: u64,
    done: u64,
}

fn open(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Box<dyn Container>> {
    let mut members = members(bytes, name)?;
    let is = |names: &'static [&'static str]| move |m: &Member| names.contains(&m.name.as_str());
    let mut take = |wanted: &dyn Fn(&Member) -> bool| members.iter().position(wanted).map(|i| members.swap_remove(i));
    let time = |m: &Member| TimeUnit::of_column(&m.name.to_lowercase()).is_some();
    let found = (take(&is(&["x", "xs"])), take(&is(&["y", "ys"])), take(&time), take(&is(npy::POLARITIES)));
    let (source, len) = match found {
        (Some(x), Some(y), Some(t), Some(p)) => columns_of(bytes, name, [t, x, y, p], options)?,
        (x, y, t, p) => {
            members.extend([x, y, t, p].into_iter().flatten());
            table_of(bytes, name, members, options)?
        }
    };
    Ok(Box::new(Reader { name: name.into(), source, len, done: 0 }))
}

fn columns_of(bytes: &[u8], name: &str, members: [Member; 4], options: &ReadOptions) -> Result<(Source, u64)> {
    let stated = TimeUnit::of_column(&members[0].name.to_lowercase()).flatten();
    let mut len = None;
    let mut column = |member: Member, what: &'static str| {
        let mut values = Values::new(member);
        let (header, size) = values.header(bytes, name)?;
        let (Kind::Plain(number), &[n]) = (header.kind, &header.shape[..]) else {
            return Err(values.fault(name, format!("no row of numbers, but of shape {:?}", header.shape)));
        };
        if n.checked_mul(number.size() as u64) != Some(size) {
            return Err(values.fault(name, format!("{size} bytes of values for {n} of {} bytes", number.size())));
        }
        if *len.get_or_insert(n) != n {
            return Err(values.fault(name, format!("{n} values for {} times", len.unwrap_or(0))));
        }
        Ok(Column { values, number, what })
    };
    let [t, x, y, p] = members;
    let (t, x, y) = (column(t, "the time")?, column(x, "x")?, column(y, "y")?);
    let p = column(p, "the polarity")?;
    let unit = npy::unit(stated, t.number, options).map_err(|problem| Error::TimeUnit {
        file: name.into(),
        at: t.values.member.start,
        problem: format!("the member `{}`: {problem}", t.values.member.name),
    })?;
    Ok((Source::Columns { t, x, y, p, unit }, len.unwrap_or(0)))
}

fn table_of(bytes: &[u8], name: &str, mut members: Vec<Member>, options: &ReadOptions) -> Result<(Source, u64)> {
    let names = members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(", ");
    let (Some(member), true) = (members.pop(), members.is_empty()) else {
        let problem = match &names[..] {
            "" => "an archive without an array".into(),
            names => format!("no arrays x, y, t and p, but {names}"),
        };
        return Err(Error::malformed(name, 0, problem, REMEDY));
    };
    let mut values = Values::new(member);
    let (header, size) = values.header(bytes, name)?;
    if header.fortran && header.shape.len() > 1 {
        return Err(Error::malformed(name, values.member.start, "a table in Fortran order", "save numpy.ascontiguousarray of it"));
    }
    let element = match &header.kind {
        Kind::Plain(number) => number.size().saturating_mul(4),
        Kind::Fields(_, bytes) => *bytes,
    };
    if element == 0 || element > MOST_ELEMENT {
        return Err(values.fault(name, format!("events of {element} bytes")));
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let at = values.member.start;
    let array = Array::of(header, size, options).map_err(|fault| fault.into_error(name, at))?;
    let len = array.len() as u64;
    Ok((Source::Table { values, array, element }, len))
}

impl Container for Reader {
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool> {
        let n = (self.len - self.done).min(PIECE as u64) as usize;
        let before = out.len();
        let (name, done) = (&self.name[..], self.done);
        let result = match &mut self.source {
            Source::Columns { t, x, y, p, unit } => {
                if n == 0 {
                    return [t, x, y, p].into_iter().try_for_each(|c| c.values.finish(bytes, name)).map(|()| false);
                }
                for c in [&mut *t, &mut *x, &mut *y, &mut *p] {
                    c.values.fill(bytes, name, n * c.number.size())?;
                }
                let place = |c: &Column| c.values.place(name, c.number.size(), c.what);
                let located = |c: &Column, e| c.values.located(done, c.number.size(), e);
                let slots = out.grow(n);
                columns::times(t.number, place(t), slots.t_us, *unit, 0)
                    .map_err(|e| located(t, e))
                    .and_then(|()| columns::pixels(x.number, place(x), slots.x).map_err(|e| located(x, e)))
                    .and_then(|()| columns::pixels(y.number, place(y), slots.y).map_err(|e| located(y, e)))
                    .and_then(|()| columns::polarities(p.number, place(p), slots.on).map_err(|e| located(p, e)))
                    .inspect(|()| {
                        for c in [t, x, y, p] {
                            c.values.taken += n * c.number.size();
                        }
                    })
            }
            Source::Table { values, array, element } => {
                if n == 0 {
                    return values.finish(bytes, name).map(|()| false);
                }
                values.fill(bytes, name, n * *element)?;
                array
                    .piece(name, &values.buffer, values.taken, n, out)
                    .map_err(|e| values.located(done, *element, e))
                    .inspect(|()| values.taken += n * *element)
            }
        };
        match result {
            Ok(()) => self.done += n as u64,
            Err(_) => out.truncate(before),
        }
        result.map(|()| true)
    }

    fn sensor(&self) -> Option<Sensor> {
        None
    }
}
