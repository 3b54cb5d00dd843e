//! Several NumPy arrays in one file (`.npz`), as `numpy.savez` and `numpy.savez_compressed` write
//! it: a zip archive of `.npy` members, stored or deflated.
//!
//! Either four members contain one column each: x (or `xs`), y (`ys`), p (`ps`, `pol`, `polarity`,
//! `polarities`, `on`) and t (`ts`, `timestamp`, also with a unit: `t_ns`). Or one member is an
//! array that [`super::npy`] reads: structured, or [N, 4] of x, y, p, t in C order. Other members
//! (a label) are ignored. Types, units and polarities are the same as in `npy`.
//!
//! Members are decompressed piece by piece, so that memory use does not depend on the recording's
//! length. At the end of a member its checksum is verified.

use std::io::Cursor as SeekBytes;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zip::CompressionMethod;

use super::npy::{self, Array, Header, Kind, Refusal};
use super::values::{self, Number, ValueBytes};
use super::{Container, Fit, Format, Probe, ReadOptions, Reading, SupportedOption, TimeUnit};
use crate::problem::{ArrayProblem, Part, Problem, UnitProblem};
use crate::{Choice, Columns, Error, Remedy, Result, Sensor, zip_index};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "npz",
    about: "NumPy arrays x, y, t, p in one file (savez, savez_compressed)",
    extensions: &["npz"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::TimeUnit],
    read: Reading::Whole(open),
    write: None,
};

const ZIP: &[u8] = b"PK\x03\x04";
/// Number of events in a piece.
const PIECE: usize = 65_536;
/// The largest header in bytes; that of a structured array has some hundred.
const MOST_HEADER: usize = 1 << 20;
/// Number of bytes that are decompressed at a time.
const STEP: usize = 64 << 10;
/// The largest size of an element of a table, in bytes.
const MOST_ELEMENT: usize = 4096;

/// The format is recognised if the archive's first member is an array that is not in a folder; a
/// data set of `.npy` recordings has folders.
fn fits(probe: &Probe) -> Fit {
    let name = probe.head.get(26..28).map_or(0, |n| usize::from(u16::from_le_bytes([n[0], n[1]])));
    let name = probe.head.get(30..30 + name).unwrap_or_default();
    let array = probe.head.starts_with(ZIP) && name.ends_with(b".npy") && !name.contains(&b'/');
    match probe.begins_with(ZIP) {
        _ if array => Fit::Sure,
        Fit::No => Fit::No,
        // The name of the member may not have come yet.
        _ if probe.grows => Fit::Unknown,
        _ => Fit::No,
    }
}

/// A member of the archive.
struct Member {
    /// Its name without `.npy`.
    name: String,
    start: u64,
    /// Compressed size in bytes.
    packed: u64,
    /// Decompressed size in bytes, as the archive states it.
    size: u64,
    checksum: u32,
    deflated: bool,
}

const REMEDY: &str = "save it with numpy.savez(file, x=x, y=y, t=t, p=p)";

/// The members of an archive that are arrays.
fn members(bytes: &[u8], file: &str) -> Result<Vec<Member>> {
    let broken = |e: zip::result::ZipError| {
        Error::malformed(file, 0, Problem::Unreadable { what: "npz", reason: e.to_string() }, "get the file again")
    };
    let mut zip = zip_index::open(SeekBytes::new(bytes)).map_err(broken)?;
    let mut members = Vec::new();
    for i in 0..zip.len() {
        let member = zip.by_index_raw(i).map_err(broken)?;
        let name = member.name().map_err(broken)?;
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

impl Member {
    /// A problem of the array in this member.
    fn problem(&self, problem: impl Into<Problem>) -> Problem {
        problem.into().inside(Part::Member(self.name.clone()))
    }
}

/// The values of a member, decompressed piece by piece.
struct Values {
    member: Member,
    /// Number of compressed bytes read.
    read: u64,
    /// Number of bytes decompressed.
    unpacked: u64,
    /// The decompressor; `None` for a stored member.
    inflate: Option<Decompress>,
    crc: Crc,
    buffer: Vec<u8>,
    /// Number of bytes at the front of the buffer that have been decoded.
    taken: usize,
}

impl Values {
    fn new(member: Member) -> Values {
        let inflate = member.deflated.then(|| Decompress::new(false));
        Values { member, read: 0, unpacked: 0, inflate, crc: Crc::new(), buffer: Vec::new(), taken: 0 }
    }

    fn fault(&self, file: &str, problem: impl Into<Problem>) -> Error {
        let at = self.member.start.saturating_add(self.read);
        Error::malformed(file, at, self.member.problem(problem), "get the file again")
    }

    /// The error for a valid member that does not hold events in a layout that this module reads.
    fn other_layout(&self, file: &str, problem: impl Into<Problem>) -> Error {
        Error::malformed(file, self.member.start, self.member.problem(problem), REMEDY)
    }

    /// Decompresses until `n` bytes are ready in the buffer.
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
                        Err(e) => {
                            return Err(self.fault(
                                file,
                                Problem::Broken { what: "a broken deflate stream", reason: e.to_string() },
                            ));
                        }
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

    /// Returns the next `n` bytes and marks them as decoded.
    fn take(&mut self, bytes: &[u8], file: &str, n: usize) -> Result<&[u8]> {
        self.fill(bytes, file, n)?;
        self.taken += n;
        Ok(&self.buffer[self.taken - n..self.taken])
    }

    /// Reads the header of the array, and returns it with the size of the values that the archive
    /// states.
    fn header(&mut self, bytes: &[u8], file: &str) -> Result<(Header, u64)> {
        let front = self.take(bytes, file, npy::MAGIC.len() + 2)?;
        let Some(&[major, _]) = front.strip_prefix(npy::MAGIC) else {
            return Err(self.fault(file, ArrayProblem::NoArray));
        };
        let size = match major {
            1 => self.take(bytes, file, 2)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)),
            2 | 3 => self.take(bytes, file, 4)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)),
            _ => return Err(self.other_layout(file, format!("an array of version {major}; 1 to 3 are known"))),
        };
        if size > MOST_HEADER {
            return Err(self.fault(file, format!("a header of {size} bytes")));
        }
        let header = npy::parse(self.take(bytes, file, size)?).map_err(|problem| self.fault(file, problem))?;
        let before = self.unpacked - (self.buffer.len() - self.taken) as u64;
        Ok((header, self.member.size.saturating_sub(before)))
    }

    /// Verifies size and checksum after all values have been read.
    fn finish(&self, file: &str) -> Result<()> {
        if self.buffer.len() > self.taken || self.unpacked != self.member.size {
            let problem = format!("it has {} bytes, and the archive says {}", self.unpacked, self.member.size);
            return Err(self.fault(file, problem));
        }
        if self.crc.sum() != self.member.checksum {
            return Err(self.fault(file, Problem::Checksum { of: None }));
        }
        Ok(())
    }

    /// The location of the values in the buffer, for elements of `step` bytes.
    fn place<'a>(&'a self, file: &'a str, step: usize, what: &'static str) -> ValueBytes<'a> {
        ValueBytes { file, bytes: &self.buffer, base: 0, packed: false, first: self.taken, step, what }
    }

    /// Converts an error at an offset of the buffer into an error at an event. `done` events came
    /// before the buffer.
    fn located(&self, done: u64, step: usize, error: Error) -> Error {
        match error {
            Error::Malformed { file, at, problem, remedy } => {
                let event = done + at.saturating_sub(self.taken as u64) / step.max(1) as u64;
                let problem = self.member.problem(problem.inside(Part::Event(event)));
                Error::malformed(&file, self.member.start, problem, remedy)
            }
            other => other,
        }
    }
}

/// The location of a column: its member, and the offset in each element of the member.
struct Column {
    member: usize,
    first: usize,
    number: Number,
    what: &'static str,
}

struct Reader {
    name: String,
    /// One member for each column or one for all, each with the size of its elements.
    members: Vec<(Values, usize)>,
    /// The columns t, x, y, p.
    columns: [Column; 4],
    unit: TimeUnit,
    len: u64,
    done: u64,
}

fn open(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Box<dyn Container>> {
    let mut members = members(bytes, name)?;
    let mut take = |wanted: &dyn Fn(&str) -> bool| {
        let found = members.iter().position(|m| wanted(&m.name));
        found.map(|i| members.swap_remove(i))
    };
    let time = |name: &str| TimeUnit::of_column(&name.to_lowercase()).is_some();
    let found = (take(&time), take(&|n| matches!(n, "x" | "xs")), take(&|n| matches!(n, "y" | "ys")), take(&polarity));
    let mut reader = match found {
        (Some(t), Some(x), Some(y), Some(p)) => columns_of(bytes, name, [t, x, y, p], options)?,
        (t, x, y, p) => {
            members.extend([t, x, y, p].into_iter().flatten());
            table_of(bytes, name, members, options)?
        }
    };
    reader.name = name.into();
    Ok(Box::new(reader))
}

fn polarity(name: &str) -> bool {
    matches!(name, "p" | "ps" | "pol" | "polarity" | "polarities" | "on")
}

const WHAT: [&str; 4] = ["the time", "x", "y", "the polarity"];

/// A reader of four members with one column each: t, x, y and p.
fn columns_of(bytes: &[u8], name: &str, members: [Member; 4], options: &ReadOptions) -> Result<Reader> {
    let stated = TimeUnit::of_column(&members[0].name.to_lowercase()).flatten();
    let (mut len, mut all) = (None, Vec::new());
    let mut column = |(i, member): (usize, Member)| {
        let mut values = Values::new(member);
        let (header, size) = values.header(bytes, name)?;
        let (Kind::Plain(number), &[n]) = (header.kind, &header.shape[..]) else {
            return Err(values.other_layout(name, format!("no row of numbers, but of shape {:?}", header.shape)));
        };
        if n.checked_mul(number.size() as u64) != Some(size) {
            let problem = ArrayProblem::MemberSize { bytes: size, count: n, width: number.size() as u64 };
            return Err(values.fault(name, problem));
        }
        let times = *len.get_or_insert(n);
        if times != n {
            return Err(values.other_layout(name, ArrayProblem::Lengths { values: n, times }));
        }
        all.push((values, number.size()));
        Ok(Column { member: i, first: 0, number, what: WHAT[i] })
    };
    let [t, x, y, p] = members;
    let columns = [column((0, t))?, column((1, x))?, column((2, y))?, column((3, p))?];
    let time = &all[0].0.member;
    let shown = format!("the member `{}`", time.name);
    let asked = options.unit(stated, &shown).map_err(|problem| {
        let remedy = Remedy::of("leave the unit of time out, or rename the array", &[Choice::TimeUnit]);
        Error::malformed(name, time.start, problem, remedy)
    })?;
    let whole = (!columns[0].number.is_float()).then_some(TimeUnit::Microseconds);
    let unit = asked.or(whole).ok_or_else(|| {
        let problem = UnitProblem::NoInteger { of: shown, several: true };
        Error::time_unit(name, time.start, problem)
    })?;
    Ok(Reader { name: String::new(), members: all, columns, unit, len: len.unwrap_or(0), done: 0 })
}

/// A reader of one member with all columns: the only member that can be a table of events.
fn table_of(bytes: &[u8], name: &str, members: Vec<Member>, options: &ReadOptions) -> Result<Reader> {
    let mut names: Vec<_> = members.iter().map(|m| m.name.escape_debug().to_string()).collect();
    names.sort_unstable();
    let mut tables = Vec::new();
    let only = members.len() == 1;
    for member in members {
        let mut values = Values::new(member);
        let (header, size) = values.header(bytes, name)?;
        if only || matches!((&header.kind, &header.shape[..]), (Kind::Fields(..), [_]) | (Kind::Plain(_), [_, 4])) {
            tables.push((values, header, size));
        }
    }
    let (Some((mut values, header, size)), true) = (tables.pop(), tables.is_empty()) else {
        names.truncate(8);
        let problem: Problem = match names.is_empty() {
            true => "an archive without an array".into(),
            false => ArrayProblem::OtherArrays { found: names }.into(),
        };
        return Err(Error::malformed(name, 0, problem, REMEDY));
    };
    if header.fortran && header.shape.len() > 1 {
        let remedy = "save numpy.ascontiguousarray of it";
        return Err(Error::malformed(name, values.member.start, "a table in Fortran order", remedy));
    }
    let element = match &header.kind {
        Kind::Plain(number) => number.size() * 4,
        Kind::Fields(_, bytes) => *bytes,
    };
    if element == 0 || element > MOST_ELEMENT {
        return Err(values.other_layout(name, format!("events of {element} bytes")));
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let array = Array::of(header, size, options).map_err(|refusal| match refusal {
        Refusal::NoUnit(problem) => Error::time_unit(name, values.member.start, values.member.problem(problem)),
        Refusal::Size(problem) => values.fault(name, problem),
        Refusal::Other(problem) => values.other_layout(name, problem),
    })?;
    let len = array.len as u64;
    let unit = match array.unit {
        Some(unit) => unit,
        // As in `npy`, but judged by the first events only, because the others are not yet
        // decompressed.
        None => {
            let n = array.len.min(PIECE);
            values.fill(bytes, name, n * element)?;
            let place = values.place(name, element, WHAT[0]);
            let place = ValueBytes { first: place.first + array.t.first, ..place };
            if !values::fractions(array.t.number, place, n)?.0 && n > 0 {
                let problem = format!(
                    "the member `{}` has times without fractions among floating-point numbers, which may be µs or ms",
                    values.member.name
                );
                return Err(Error::time_unit(name, values.member.start, problem));
            }
            TimeUnit::Milliseconds
        }
    };
    let column = |i: usize, c: npy::Column| Column { member: 0, first: c.first, number: c.number, what: WHAT[i] };
    let columns = [column(0, array.t), column(1, array.x), column(2, array.y), column(3, array.p)];
    Ok(Reader { name: String::new(), members: vec![(values, element)], columns, unit, len, done: 0 })
}

impl Container for Reader {
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool> {
        let n = (self.len - self.done).min(PIECE as u64) as usize;
        if n == 0 {
            self.members.iter().try_for_each(|(values, _)| values.finish(&self.name))?;
            return Ok(false);
        }
        for (values, element) in &mut self.members {
            values.fill(bytes, &self.name, n * *element)?;
        }
        let before = out.len();
        self.piece(n, out).inspect_err(|_| out.truncate(before))?;
        for (values, element) in &mut self.members {
            values.taken += n * *element;
        }
        self.done += n as u64;
        Ok(true)
    }

    fn sensor(&self) -> Option<Sensor> {
        None
    }
}

impl Reader {
    fn piece(&self, n: usize, out: &mut Columns) -> Result<()> {
        let slots = out.grow(n);
        let pixel = |v: i64| u16::try_from(v).ok();
        let place = |c: &Column| {
            let (values, element) = &self.members[c.member];
            let place = values.place(&self.name, *element, c.what);
            ValueBytes { first: place.first + c.first, ..place }
        };
        let located = |c: &Column| {
            let (values, element) = &self.members[c.member];
            move |e| values.located(self.done, *element, e)
        };
        let [t, x, y, p] = &self.columns;
        values::times(t.number, place(t), slots.t_us, self.unit).map_err(located(t))?;
        values::integers(x.number, place(x), slots.x, pixel).map_err(located(x))?;
        values::integers(y.number, place(y), slots.y, pixel).map_err(located(y))?;
        values::polarities(p.number, place(p), slots.on).map_err(located(p))
    }
}

#[cfg(test)]
mod tests;
