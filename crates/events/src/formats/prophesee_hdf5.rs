//! Prophesee's HDF5 (`.hdf5`, `.h5`) with the codec ECF, as Metavision writes it.
//!
//! `/CD/events` is a compound of x u16, y u16, p i16 and t i64 (at bytes 0, 2, 4 and 8 of 16) in
//! chunks of 16,384 events with the filter 0x8ECF, see [`super::ecf`]. The reader also supports
//! other filters and none, and it finds members by name. `/CD/indexes` (id u64, ts i64) has an
//! entry for every 2,000 µs: the index of the first event at or after that time. Its attribute
//! `offset` is the negative of the first time. `/EXT_TRIGGER` holds triggers, which the reader
//! ignores. Text attributes of the root describe the camera; `geometry` is for example `640x480`.
//!
//! Times are those of the camera in µs, not shifted to zero. x and y count from the upper left.
//!
//! If a chunk has more events than the data set has left (a padded last chunk), the reader ignores
//! the surplus. If a chunk has fewer, the reader returns an error, because events would be missing.

mod write;

use super::hdf5::{self, Class, Dataset, Datatype, File, Layout};
use super::values::{self, Number, ValueBytes};
use super::{Container, Fit, Format, Probe, ReadOptions, Reading, SupportedOption, TimeUnit, ecf, planar_hdf5, shd};
use crate::problem::{ArrayProblem, Problem, UnitProblem};
use crate::{Choice, Columns, Error, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "prophesee-hdf5",
    about: "HDF5 with the codec ECF of Metavision (Prophesee)",
    extensions: &["hdf5", "h5"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::TimeUnit],
    read: Reading::Whole(open),
    write: Some(write::encoder),
};

const EVENTS: &str = "CD/events";

/// Number of events that the reader decodes at a time if the data set has no chunks.
const PIECE: u64 = 16_384;

/// Accepts HDF5 with these events. Also accepts HDF5 that no other format accepts, so that the
/// error lists the content of the file.
fn fits(probe: &Probe) -> Fit {
    let others = || [shd::FORMAT, planar_hdf5::FORMAT].iter().any(|f| (f.fits)(probe) == Fit::Sure);
    let these = || probe.all.is_some_and(|bytes| hdf5::holds(bytes, &[EVENTS]));
    if hdf5::is_hdf5(probe.head) && (these() || !others()) { Fit::Sure } else { Fit::No }
}

fn open(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Box<dyn Container>> {
    let file = File::open(bytes, name)?;
    let Some(events) = file.dataset(EVENTS)? else {
        let names = file.root_names()?.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>();
        let problem = ArrayProblem::NoEvents { path: EVENTS, holds: names };
        let remedy = "store them there, or as data sets x, y, t and p in one group";
        return Err(Error::malformed(name, 0, problem, remedy));
    };
    let sensor = file.root_text("geometry")?.and_then(|text| geometry(&text));
    let members = Members::of(&file, &events, options)?;
    if matches!(events.layout, Layout::Absent) && events.len > 0 {
        return Err(file.unwritten(events.address, format_args!("all {} events", events.len)));
    }
    Ok(Box::new(Reader { name: name.into(), sensor, events, members, done: 0, next: 0 }))
}

/// Parses the attribute `geometry`, for example `640x480`.
fn geometry(text: &str) -> Option<Sensor> {
    let (width, height) = text.trim().split_once('x')?;
    Some(Sensor { width: width.parse().ok()?, height: height.parse().ok()? })
}

struct Reader {
    name: String,
    sensor: Option<Sensor>,
    events: Dataset,
    members: Members,
    /// Number of decoded events.
    done: u64,
    /// Number of decoded chunks.
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
                let bytes = file.range(at, n * size, "events")?;
                self.members.decode(&Source { file: &file, address: at, bytes, packed: false }, n as usize, out)?;
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
                    let (found, expected) = (found.to_string(), wanted.to_string());
                    let problem = Problem::Expected { what: "a chunk of {} events", found, expected };
                    return Err(file.fault(chunk.address, problem));
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
            let source = Source { file, address: chunk.address, bytes: raw, packed: false };
            return self.members.decode(&source, wanted, out);
        }
        let most = size.saturating_mul(self.members.size as u64);
        let bytes = hdf5::decoded(file, &self.events.filters, chunk, raw, most)?;
        let source = Source { file, address: chunk.address, bytes: &bytes, packed: true };
        self.members.decode(&source, wanted, out)
    }
}

/// Uncompressed events, and the address of the bytes from which they come.
struct Source<'a> {
    file: &'a File<'a>,
    address: u64,
    bytes: &'a [u8],
    packed: bool,
}

/// Positions and types of an event's members.
struct Members {
    size: usize,
    x: (usize, Number),
    y: (usize, Number),
    p: (usize, Number),
    t: (usize, Number),
    /// Unit of t.
    unit: TimeUnit,
}

impl Members {
    /// Finds the members by name; each may have any numeric type.
    fn of(file: &File<'_>, events: &Dataset, options: &ReadOptions) -> Result<Members> {
        let Datatype { class: Class::Compound(members), size } = &events.datatype else {
            return Err(file.other_layout(events.address, format!("/{EVENTS} is no compound of x, y, p and t")));
        };
        let unit = |name: &str| TimeUnit::of_column(&name.to_lowercase());
        let find = |fits: &dyn Fn(&str) -> bool, names: &str| {
            let found = members.iter().find(|(name, ..)| fits(name));
            let (name, at, datatype) =
                found.ok_or_else(|| file.other_layout(events.address, format!("/{EVENTS} has no member `{names}`")))?;
            let number = datatype.number().ok_or_else(|| {
                file.other_layout(events.address, format!("the member `{name}` of /{EVENTS} is no number"))
            })?;
            Ok((name, (*at, number)))
        };
        let (name, t) = find(&|name| unit(name).is_some(), "t")?;
        let unit = options.unit(unit(name).flatten(), &format!("the member `{name}`")).map_err(|problem| {
            Error::malformed(
                file.name(),
                file.offset_of(events.address),
                problem,
                Remedy::of("leave the unit of time out", &[Choice::TimeUnit]),
            )
        })?;
        if unit.is_none() && t.1.is_float() {
            let problem = UnitProblem::NoInteger { of: format!("the member `{name}`"), several: false };
            return Err(Error::time_unit(file.name(), file.offset_of(events.address), problem));
        }
        let unit = unit.unwrap_or(TimeUnit::Microseconds);
        let (_, p) = find(&|name| ["p", "on", "polarity"].contains(&name), "p")?;
        let ((_, x), (_, y)) = (find(&|name| name == "x", "x")?, find(&|name| name == "y", "y")?);
        Ok(Members { size: *size, x, y, p, t, unit })
    }

    /// Appends the first `n` events of `source`.
    fn decode(&self, source: &Source<'_>, n: usize, out: &mut Columns) -> Result<()> {
        let Source { file, bytes, packed, .. } = *source;
        let place = |(first, _): (usize, Number), what: &'static str| {
            let base = file.offset_of(source.address);
            ValueBytes { file: file.name(), bytes, base, packed, first, step: self.size, what }
        };
        let before = out.len();
        let slots = out.grow(n.min(bytes.len() / self.size.max(1)));
        let read = values::times(self.t.1, place(self.t, "the time"), slots.t_us, self.unit)
            .and_then(|()| values::integers(self.x.1, place(self.x, "x"), slots.x, |x| u16::try_from(x).ok()))
            .and_then(|()| values::integers(self.y.1, place(self.y, "y"), slots.y, |y| u16::try_from(y).ok()))
            .and_then(|()| values::polarities(self.p.1, place(self.p, "the polarity"), slots.on));
        read.inspect_err(|_| out.truncate(before))
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
