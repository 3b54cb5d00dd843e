//! Prophesee's HDF5 (`.hdf5`, `.h5`) with the codec ECF, as Metavision writes it.
//!
//! `/CD/events` is a compound of x u16, y u16, p i16 and t i64 (at 0, 2, 4 and 8 of 16 bytes) in
//! chunks of 16,384 with the filter 0x8ECF, see [`super::ecf`]; other filters and none are read
//! too, and members are found by name. `/CD/indexes` (id u64, ts i64) has an entry for every 2,000
//! µs, the index of the first event not before that time; its attribute `offset` is minus the
//! first time. `/EXT_TRIGGER` holds triggers, which are not events of pixels and not read. Text
//! attributes of the root describe the camera; `geometry` is `640x480`.
//!
//! Times are the camera's (µs, raw, not shifted to zero), x and y count from the upper left.
//!
//! A chunk may hold more events than the data set has left (a padded last one): the rest is no
//! event. A chunk with fewer is an error, for events would be missing.

mod write;

use super::hdf5::{self, Class, Dataset, Datatype, File, Layout};
use super::{Container, Fit, Format, Probe, ReadOptions, Reading, ecf, shd};
use crate::{Columns, Result, Sensor};

/// See the module.
pub const FORMAT: Format = Format {
    name: "prophesee-hdf5",
    about: "HDF5 with the codec ECF of Metavision (Prophesee)",
    extensions: &["hdf5", "h5"],
    axes: super::Axes::UpperLeft,
    fits,
    heeds: &[],
    read: Reading::Whole(open),
    write: Some(write::encoder),
};

const EVENTS: &str = "CD/events";

/// Events of a piece out of a data set that is not in chunks.
const PIECE: u64 = 16_384;

/// HDF5 that has these events, or those of no other format: then the error says what is there.
fn fits(probe: &Probe) -> Fit {
    let others = || (shd::FORMAT.fits)(probe) == Fit::Sure;
    let these = || probe.all.is_some_and(|bytes| hdf5::holds(bytes, &[EVENTS]));
    if hdf5::is_hdf5(probe.head) && (these() || !others()) { Fit::Sure } else { Fit::No }
}

fn open(bytes: &[u8], name: &str, _: &ReadOptions) -> Result<Box<dyn Container>> {
    let file = File::open(bytes, name)?;
    let Some(events) = file.dataset(EVENTS)? else {
        let problem = format!("no events at /{EVENTS}; the file holds: {}", file.root_names()?.join(", "));
        return Err(file.fault(0, problem));
    };
    let sensor = file.root_text("geometry")?.and_then(|text| geometry(&text));
    let members = Members::of(&file, &events)?;
    if matches!(events.layout, Layout::Absent) && events.len > 0 {
        return Err(file.fault(events.address, format!("none of {} events is stored", events.len)));
    }
    Ok(Box::new(Reader { name: name.into(), sensor, events, members, done: 0, next: 0 }))
}

/// `640x480`, the text of the attribute `geometry`.
fn geometry(text: &str) -> Option<Sensor> {
    let (width, height) = text.trim().split_once('x')?;
    Some(Sensor { width: width.parse().ok()?, height: height.parse().ok()? })
}

struct Reader {
    name: String,
    sensor: Option<Sensor>,
    events: Dataset,
    members: Members,
    /// Events decoded.
    done: u64,
    /// Chunks decoded.
    next: usize,
}

impl Container for Reader {
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool> {
        let left = self.events.len - self.done;
        if left == 0 {
            return Ok(false);
        }
        let file = File::open(bytes, &self.name)?;
        let before = out.len();
        match &self.events.layout {
            Layout::Absent => return Ok(false),
            Layout::Contiguous { address, .. } => {
                let n = left.min(PIECE);
                let size = self.members.size as u64;
                let at = address + self.done * size;
                self.members.decode(&file, at, file.range(at, n * size, "events")?, n as usize, out)?;
            }
            Layout::Chunked { size, chunks } => {
                let Some(chunk) = chunks.get(self.next) else {
                    return Err(file.fault(self.events.address, format!("{left} events are missing")));
                };
                let wanted = left.min(*size) as usize;
                self.chunk(&file, chunk, wanted, *size, out)?;
                self.next += 1;
                let found = out.len() - before;
                if found < wanted {
                    let what = format!("a chunk of {found} events in place of {wanted}");
                    return Err(file.fault(chunk.address, what));
                }
            }
        }
        self.done += (out.len() - before) as u64;
        Ok(true)
    }

    fn sensor(&self) -> Option<Sensor> {
        self.sensor
    }
}

impl Reader {
    fn chunk(&self, file: &File, chunk: &hdf5::Chunk, wanted: usize, size: u64, out: &mut Columns) -> Result<()> {
        let raw = file.range(chunk.address, chunk.bytes, "a chunk")?;
        if self.events.filters.iter().any(|f| f.id == ecf::FILTER) {
            let [_] = &self.events.filters[..] else {
                return Err(file.fault(chunk.address, "a chunk with ECF among other filters"));
            };
            if chunk.skipped & 1 == 0 {
                let at = file.offset_of(chunk.address);
                return ecf::decode(raw, &self.name, at, wanted, out).map(|_| ());
            }
            return self.members.decode(file, chunk.address, raw, wanted, out);
        }
        let most = size.saturating_mul(self.members.size as u64);
        let bytes = hdf5::decoded(file, &self.events, chunk, raw, most)?;
        self.members.decode(file, chunk.address, &bytes, wanted, out)
    }
}

/// Where the members of an event are in its bytes.
struct Members {
    size: usize,
    x: usize,
    y: usize,
    p: usize,
    t: usize,
}

impl Members {
    /// Checks that the data set holds events, and, for ECF, that they are the ones ECF knows.
    fn of(file: &File, events: &Dataset) -> Result<Members> {
        let Datatype { class: Class::Compound(members), size } = &events.datatype else {
            return Err(file.fault(events.address, format!("/{EVENTS} is no compound of x, y, p and t")));
        };
        let find = |name: &str, wide: usize| {
            let found = members.iter().find(|(n, ..)| n == name);
            let fits = |d: &Datatype| d.size == wide && matches!(d.class, Class::Integer { big: false, .. });
            found.filter(|(.., d)| fits(d)).map(|&(_, at, _)| at).ok_or_else(|| {
                let what = format!("/{EVENTS} has no little-endian member `{name}` of {wide} bytes");
                file.fault(events.address, what)
            })
        };
        Ok(Members { size: *size, x: find("x", 2)?, y: find("y", 2)?, p: find("p", 2)?, t: find("t", 8)? })
    }

    /// Appends the first `n` of plain events, which lie (or were packed) at an address.
    fn decode(&self, file: &File, address: u64, bytes: &[u8], n: usize, out: &mut Columns) -> Result<()> {
        let short = |e: &[u8], at: usize| e[at..].first_chunk().map_or(0, |&b| u16::from_le_bytes(b));
        let mut sign = 0;
        out.reserve(n);
        for e in bytes.chunks_exact(self.size).take(n) {
            let t = e[self.t..].first_chunk().map_or(0, |&b| i64::from_le_bytes(b));
            sign |= t;
            out.t_us.push(t as u64);
            out.x.push(short(e, self.x));
            out.y.push(short(e, self.y));
            out.on.push(short(e, self.p) as i16 > 0);
        }
        if sign < 0 {
            return Err(file.fault(address, "an event before time 0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sensor_stands_in_a_text() {
        assert_eq!(geometry("640x480"), Some(Sensor { width: 640, height: 480 }));
        for wrong in ["", "640", "640x", "axb", "70000x2", "-1x2"] {
            assert_eq!(geometry(wrong), None, "{wrong}");
        }
    }
}
