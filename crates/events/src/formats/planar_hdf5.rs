//! HDF5 with one data set each for x, y, t and p in a group: DSEC, e2vid, evlib, M3ED.
//!
//! | written by | group | names | times |
//! |---|---|---|---|
//! | DSEC | `events` | `x`, `y`, `t`, `p` | whole µs, to which `t_offset` is added |
//! | e2vid, evlib | `events` | `xs`, `ys`, `ts`, `ps` | floating seconds |
//! | M3ED | `prophesee/left`, `prophesee/right` | `x`, `y`, `t`, `p` | whole µs |
//!
//! The reader searches all groups for a pair of x and y, a polarity (`p`, `ps`, `pol`, `polarity`,
//! `polarities`, `on`) and a time (`t`, `ts`, `timestamp`, also with a unit as in `t_ns`). Integer
//! times without a unit are µs. Floating times without a unit are seconds if their name is `ts`;
//! otherwise the reader refuses them unless the caller gives their unit. An attribute `units` or
//! `unit` of the times also states their unit. Each data set has one dimension, its own chunks and
//! filters, and any integer type, f16, f32 or f64: x, y and p must be whole numbers, and floating
//! times are rounded to µs. The reader ignores other data sets (`ms_to_idx`, images).
//!
//! p is 1 for ON and 0 or −1 for OFF. x counts from the left and y from the top. The file does not
//! state the sensor. If a file has several such groups, each is a stream; streams are numbered in
//! the order of their names.

use std::collections::HashSet;

use super::hdf5::{self, Dataset, File, Layout};
use super::streams::choose;
use super::values::{self, Number, ValueBytes};
use super::{Container, Fit, Format, Probe, ReadOptions, Reading, StreamInfo, SupportedOption, TimeUnit};
use crate::problem::{ArrayProblem, Part, Problem, UnitProblem};
use crate::{Choice, Columns, Error, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "planar-hdf5",
    about: "HDF5 with a data set for each of x, y, t and p (DSEC, e2vid, evlib)",
    extensions: &["h5", "hdf5"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::TimeUnit, SupportedOption::Stream],
    read: Reading::Whole(open),
    write: None,
};

/// Number of events that the reader decodes at a time.
const PIECE: u64 = 65_536;
/// Largest size of a decompressed chunk in bytes. Writers make chunks of about 1 MB.
const MOST_CHUNK: u64 = 256 << 20;
/// Limits of the search: the depth of nested groups and the number of objects.
const DEEPEST: usize = 4;
const MOST_OBJECTS: usize = 10_000;

const X: &[&str] = &["x", "xs"];
const Y: &[&str] = &["y", "ys"];
const P: &[&str] = &["p", "ps", "pol", "polarity", "polarities", "on"];
/// Name of the times that e2vid and evlib write as floating seconds.
const SECONDS: &str = "ts";
const OFFSET: &str = "t_offset";

/// A group with events, and the addresses of its data sets.
struct Group {
    path: String,
    x: u64,
    y: u64,
    t: u64,
    p: u64,
    /// Name of the data set of times.
    time: String,
    /// Address of the offset that is added to all times: the one nearest to the group.
    offset: Option<u64>,
}

/// The search needs all bytes of the file, because data sets may lie anywhere.
fn fits(probe: &Probe) -> Fit {
    let Some(bytes) = probe.all.filter(|_| hdf5::is_hdf5(probe.head)) else { return Fit::No };
    let found = File::open(bytes, "").and_then(|file| groups(&file));
    if found.is_ok_and(|groups| !groups.is_empty()) { Fit::Sure } else { Fit::No }
}

/// All groups with events, sorted by path.
fn groups(file: &File) -> Result<Vec<Group>> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut left = vec![(String::new(), file.root(), 0, None)];
    while let Some((path, address, depth, offset)) = left.pop() {
        if !seen.insert(address) || seen.len() > MOST_OBJECTS {
            continue;
        }
        // Skip objects that are not groups, and groups of a kind that the reader does not support.
        let Ok(links) = file.links(address) else { continue };
        let find = |names: &[&str]| links.iter().find(|(name, _)| names.contains(&name.as_str())).map(|l| l.1);
        let offset = find(&[OFFSET]).or(offset);
        let time = links.iter().find(|(name, _)| TimeUnit::of_column(&name.to_lowercase()).is_some());
        if let (Some(x), Some(y), Some(p), Some((time, t))) = (find(X), find(Y), find(P), time) {
            found.push(Group { path: path.clone(), x, y, t: *t, p, time: time.clone(), offset });
        }
        if depth < DEEPEST {
            let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            left.extend(links.iter().map(|(name, address)| (below(name), *address, depth + 1, offset)));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn open(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Box<dyn Container>> {
    let file = File::open(bytes, name)?;
    let groups = groups(&file)?;
    let info = |(i, group): (usize, &Group)| StreamInfo { number: i as i32, name: group.path.clone(), sensor: None };
    let streams: Vec<StreamInfo> = groups.iter().enumerate().map(info).collect();
    if streams.is_empty() {
        let problem = "no group with the data sets x, y, t and p";
        return Err(Error::malformed(name, 0, problem, "store the events so, each as one row of numbers"));
    }
    let group = &groups[choose(&streams, options.stream, name, FORMAT.name)?];
    let column = |address, what| Column::open(&file, address, what);
    let (x, y, p) = (column(group.x, "x")?, column(group.y, "y")?, column(group.p, "the polarity")?);
    let t = column(group.t, "the time")?;
    for (other, what) in [(&x, "x"), (&y, "y"), (&p, "polarities")] {
        let (n, times) = (other.dataset.len, t.dataset.len);
        if n != times {
            let group = group.path.clone();
            let problem = ArrayProblem::LengthsInGroup { values: n, of: what, times, group };
            return Err(file.other_layout(other.dataset.address, problem));
        }
    }
    let stated = stated_unit(&file, group, options)?;
    let seconds = (t.number.is_float() && group.time.eq_ignore_ascii_case(SECONDS)).then_some(TimeUnit::Seconds);
    let whole = (!t.number.is_float()).then_some(TimeUnit::Microseconds);
    let asked = options.unit(stated, &format!("the data set `{}`", group.time)).map_err(|problem| {
        let at = file.offset_of(t.dataset.address);
        Error::malformed(
            name,
            at,
            problem,
            Remedy::of("leave the unit of time out, or correct what the file states", &[Choice::TimeUnit]),
        )
    })?;
    let unit = asked.or(seconds).or(whole);
    let unit = unit.ok_or_else(|| {
        let problem = format!("the times in `{}` are no whole numbers, and their unit stands nowhere", group.time);
        Error::time_unit(name, file.offset_of(t.dataset.address), problem)
    })?;
    let offset = group.offset.map(|address| scalar(&file, address)).transpose()?.unwrap_or(0);
    let offset_us =
        unit.whole(offset.unsigned_abs()).and_then(|us| i64::try_from(us).ok()).map(|us| us * offset.signum());
    let offset_us = offset_us.ok_or_else(|| file.fault(0, format!("`{OFFSET}` is {offset} {unit}")))?;
    // If times are shifted to 0, the offset has no effect on the result. A negative offset is left
    // out, because it could make times negative before they are shifted.
    let offset_us = if options.shift_to_zero && offset_us < 0 { 0 } else { offset_us };
    Ok(Box::new(Reader { name: name.into(), x, y, t, p, unit, offset_us, done: 0 }))
}

/// The unit of the times that the name of their data set or its attribute `units` or `unit` states.
fn stated_unit(file: &File, group: &Group, options: &ReadOptions) -> Result<Option<TimeUnit>> {
    let mut stated = TimeUnit::of_column(&group.time.to_lowercase()).flatten();
    let fault = |problem: UnitProblem| {
        let remedy = "correct the attribute, or write the times without it and state their unit";
        Error::malformed(file.name(), file.offset_of(group.t), problem, remedy)
    };
    for attribute in ["units", "unit"] {
        let Some(text) = file.text_at(group.t, attribute)? else { continue };
        let (of, shown) = (group.time.clone(), text.escape_debug().to_string());
        let text = text.trim().to_lowercase();
        match (TimeUnit::parse(&text), stated) {
            (None, _) if text.is_empty() || options.time_unit.is_some() => {}
            (None, _) => return Err(fault(UnitProblem::Unknown { attribute, of, text: shown })),
            (Some(unit), Some(other)) if unit != other => {
                return Err(fault(UnitProblem::Attributes { attribute, of, text: shown, other }));
            }
            (unit, _) => stated = unit,
        }
    }
    Ok(stated)
}

/// Reads a data set of one integer.
fn scalar(file: &File, address: u64) -> Result<i64> {
    let mut column = Column::open(file, address, "the offset of times")?;
    if column.dataset.len != 1 || column.number.is_float() {
        return Err(file.other_layout(address, format!("`{OFFSET}` is not one whole number")));
    }
    column.fill(file, 1)?;
    let mut value = [0];
    values::integers(column.number, column.place(file.name()), &mut value, Some)
        .map_err(|e| column.located(file, 0, e))?;
    Ok(value[0])
}

/// One of the four data sets, and the position of the reader in it.
struct Column {
    dataset: Dataset,
    number: Number,
    what: &'static str,
    /// Index of the next chunk.
    next: usize,
    /// Number of elements loaded into the buffer so far.
    loaded: u64,
    buffer: Vec<u8>,
    /// Number of bytes at the front of the buffer that are decoded already.
    taken: usize,
}

impl Column {
    fn open(file: &File, address: u64, what: &'static str) -> Result<Column> {
        let dataset = file.dataset_at(address)?;
        let size = dataset.datatype.size;
        let Some(number) = dataset.datatype.number() else {
            return Err(file.other_layout(address, format!("the data set of {what} holds no integers and no floats")));
        };
        if let Layout::Absent = dataset.layout
            && dataset.len > 0
        {
            return Err(file.unwritten(address, format_args!("all {} values of {what}", dataset.len)));
        }
        if let Layout::Chunked { size: elements, .. } = &dataset.layout
            && elements.saturating_mul(size as u64) > MOST_CHUNK
            && dataset.len.saturating_mul(size as u64) > MOST_CHUNK
        {
            let problem = format!("chunks of {elements} values of {what}, more than 256 MiB each");
            return Err(Error::malformed(
                file.name(),
                file.offset_of(address),
                problem,
                "write it in smaller chunks with h5repack",
            ));
        }
        Ok(Column { dataset, number, what, next: 0, loaded: 0, buffer: Vec::new(), taken: 0 })
    }

    /// Number of whole elements in the buffer that are not decoded.
    fn ready(&self) -> u64 {
        ((self.buffer.len() - self.taken) / self.number.size()) as u64
    }

    /// Loads chunks until `n` elements are ready or no elements are left.
    fn fill(&mut self, file: &File, n: u64) -> Result<()> {
        let size = self.number.size() as u64;
        while self.ready() < n && self.loaded < self.dataset.len {
            self.buffer.drain(..std::mem::take(&mut self.taken));
            let left = self.dataset.len - self.loaded;
            match &self.dataset.layout {
                Layout::Absent => return Ok(()),
                Layout::Contiguous { address, .. } => {
                    let n = left.min(PIECE);
                    let at = address + self.loaded * size;
                    self.buffer.extend_from_slice(file.range(at, n * size, "values")?);
                    self.loaded += n;
                }
                Layout::Chunked { size: elements, chunks } => {
                    let Some(chunk) = chunks.get(self.next) else {
                        return Err(
                            file.fault(self.dataset.address, format!("{left} values of {} are missing", self.what))
                        );
                    };
                    let raw = file.range(chunk.address, chunk.bytes, "a chunk")?;
                    let most = elements.saturating_mul(size);
                    let bytes = hdf5::decoded(file, &self.dataset.filters, chunk, raw, most)?;
                    let wanted = left.min(*elements);
                    let Some(values) = usize::try_from(wanted * size).ok().and_then(|n| bytes.get(..n)) else {
                        let (found, expected) = (bytes.len().to_string(), format!("{wanted} values of {size} bytes"));
                        let problem = Problem::Expected { what: "a chunk of {} bytes", found, expected };
                        return Err(file.fault(chunk.address, problem));
                    };
                    self.buffer.extend_from_slice(values);
                    self.loaded += wanted;
                    self.next += 1;
                }
            }
        }
        Ok(())
    }

    /// The elements in the buffer, for the decoders of `values`.
    fn place<'a>(&'a self, file: &'a str) -> ValueBytes<'a> {
        let step = self.number.size();
        ValueBytes { file, bytes: &self.buffer, base: 0, packed: false, first: self.taken, step, what: self.what }
    }

    /// Converts an error at a byte of the buffer to one at an event; `done` events came before the
    /// buffer.
    fn located(&self, file: &File, done: u64, error: Error) -> Error {
        match error {
            Error::Malformed { at, problem, remedy, .. } => {
                let event = done + at.saturating_sub(self.taken as u64) / self.number.size() as u64;
                let at = file.offset_of(self.dataset.address);
                Error::malformed(file.name(), at, problem.inside(Part::Event(event)), remedy)
            }
            other => other,
        }
    }
}

struct Reader {
    name: String,
    x: Column,
    y: Column,
    t: Column,
    p: Column,
    unit: TimeUnit,
    /// Offset in µs that is added to all times.
    offset_us: i64,
    /// Number of decoded events.
    done: u64,
}

impl Container for Reader {
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool> {
        let n = (self.t.dataset.len - self.done).min(PIECE);
        if n == 0 {
            return Ok(false);
        }
        let file = File::open(bytes, &self.name)?;
        for column in [&mut self.x, &mut self.y, &mut self.t, &mut self.p] {
            column.fill(&file, n)?;
        }
        let before = out.len();
        self.piece(&file, n as usize, out).inspect_err(|_| out.truncate(before))?;
        for column in [&mut self.x, &mut self.y, &mut self.t, &mut self.p] {
            column.taken += n as usize * column.number.size();
        }
        self.done += n;
        Ok(true)
    }

    fn sensor(&self) -> Option<Sensor> {
        None
    }
}

impl Reader {
    fn piece(&self, file: &File, n: usize, out: &mut Columns) -> Result<()> {
        let Reader { x, y, t, p, done, .. } = self;
        let slots = out.grow(n);
        let pixel = |v: i64| u16::try_from(v).ok();
        values::times(t.number, t.place(&self.name), slots.t_us, self.unit).map_err(|e| t.located(file, *done, e))?;
        values::integers(x.number, x.place(&self.name), slots.x, pixel).map_err(|e| x.located(file, *done, e))?;
        values::integers(y.number, y.place(&self.name), slots.y, pixel).map_err(|e| y.located(file, *done, e))?;
        values::polarities(p.number, p.place(&self.name), slots.on).map_err(|e| p.located(file, *done, e))?;
        for (i, time) in slots.t_us.iter_mut().enumerate() {
            *time = time.checked_add_signed(self.offset_us).ok_or_else(|| {
                let problem = Problem::from(ArrayProblem::NegativeTime { t_us: *time, offset: OFFSET });
                let problem = problem.inside(Part::Event(done + i as u64));
                let at = file.offset_of(t.dataset.address);
                Error::malformed(file.name(), at, problem, Remedy::START_AT_ZERO)
            })?;
        }
        Ok(())
    }
}
