//! Spiking Heidelberg Digits (SHD and SSC, `.h5`): one HDF5 file for all samples of a part.
//!
//! `/spikes/times` and `/spikes/units` have an element of variable length for each sample: the
//! times in seconds (float16; in other copies float32 or float64), and the channels 0 to 699 of a
//! model of the inner ear. `/labels` has the class of each sample. A time is converted to µs in
//! float64 (multiplied by 10⁶ it would overflow float16) and rounded to nearest, ties to even.
//!
//! A spike is an ON event with x = unit and y = 0. Times start near 0 in each sample. The stream of
//! a file contains all samples one after another; [`ReadOptions::stream`] and [`Shd`] select one.

use super::cursor::Cursor;
use super::hdf5::{self, Class, Dataset, Datatype, File, Heaps};
use super::values::half;
use super::{Container, Fit, Format, Probe, ReadOptions, Reading, SupportedOption};
use crate::{Columns, Error, Problem, Recording, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "shd",
    about: "all samples of Spiking Heidelberg Digits in one HDF5 file",
    extensions: &["h5", "hdf5"],
    axes: super::Axes::AsStored("x is the channel of the inner ear"),
    fits,
    supports: &[SupportedOption::Stream],
    read: Reading::Whole(container),
    write: None,
};

/// The channels of the inner ear as a sensor with one row.
pub const SENSOR: Sensor = Sensor { width: 700, height: 1 };

const TIMES: &str = "spikes/times";
const UNITS: &str = "spikes/units";
const LABELS: &str = "labels";

/// If all bytes are in memory, searches for the two data sets; otherwise for a word in the first
/// bytes.
fn fits(probe: &Probe) -> Fit {
    let found = match probe.all {
        Some(bytes) => hdf5::is_hdf5(probe.head) && hdf5::holds(bytes, &[TIMES, UNITS]),
        None => is_shd(probe.head),
    };
    if found { Fit::Sure } else { Fit::No }
}

/// Whether the head of a file is HDF5 and contains the word `spikes`.
pub(crate) fn is_shd(head: &[u8]) -> bool {
    hdf5::is_hdf5(head) && head.windows(6).any(|w| w == b"spikes")
}

/// A container of all samples, or of the one that [`ReadOptions::stream`] selects.
fn container(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Box<dyn Container>> {
    let shd = Shd::open(bytes, name)?;
    let samples = match options.stream.map(usize::try_from) {
        None => 0..shd.len(),
        Some(Ok(i)) if i < shd.len() => i..i + 1,
        Some(_) => {
            let problem = format!("no sample {}, the file has {}", options.stream.unwrap_or(0), shd.len());
            return Err(Error::unexpected(name, problem, "choose a number below that"));
        }
    };
    Ok(Box::new(Reader { shd, samples }))
}

/// The samples of a file. The caller keeps the file's bytes, for example mapped into memory.
#[derive(Debug, Clone)]
pub struct Shd {
    name: String,
    times: Samples,
    units: Samples,
    labels: Vec<u16>,
}

/// The location of sequences of numbers in a file, one for each sample.
#[derive(Debug, Clone)]
struct Samples {
    datatype: Datatype,
    /// For each sample, the address of its numbers and how many there are.
    places: Vec<(u64, u64)>,
}

impl Shd {
    /// Finds the samples; `file` is the name in error messages.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] for a broken file, for a missing data set, or if the data sets
    /// have different numbers of samples.
    pub fn open(bytes: &[u8], file: &str) -> Result<Shd> {
        let open = File::open(bytes, file)?;
        let find = |path: &str| {
            let problem = || format!("no data set /{path}; the files of the SHD authors have one");
            open.dataset(path)?.ok_or_else(|| other_layout(&open, 0, problem()))
        };
        let (times, units, labels) = (find(TIMES)?, find(UNITS)?, find(LABELS)?);
        let (n, address) = (labels.len, labels.address);
        let heaps = &mut Heaps::default();
        let times = samples(&open, &times, true, heaps)?;
        let units = samples(&open, &units, false, heaps)?;
        let labels = numbers(&open, &labels)?;
        if times.places.len() as u64 != n || units.places.len() as u64 != n {
            let what = format!("{n} labels for {} and {} samples", times.places.len(), units.places.len());
            return Err(other_layout(&open, address, what));
        }
        if let Some(i) = (0..labels.len()).find(|&i| times.places[i].1 != units.places[i].1) {
            let what = format!("sample {i} has {} times for {} units", times.places[i].1, units.places[i].1);
            return Err(other_layout(&open, times.places[i].0, what));
        }
        Ok(Shd { name: file.into(), times, units, labels })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the file has no samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each sample, 0 to 19 in SHD.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Appends the spikes of sample `index` in stored order. `bytes` must be the bytes of the file.
    /// After an error, `out` is unchanged.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] for a time that is negative or NaN, or a unit above 699;
    /// [`crate::Error::Setting`] for an index past the end.
    pub fn sample(&self, bytes: &[u8], index: usize, out: &mut Columns) -> Result<()> {
        let (Some(&times), Some(&units)) = (self.times.places.get(index), self.units.places.get(index)) else {
            let what = format!("{}: no sample {index}, the file has {}", self.name, self.len());
            return Err(Error::setting(what, "use an index below that"));
        };
        let file = File::open(bytes, &self.name)?;
        let before = out.len();
        let result = self.spikes(&file, times, units, out);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    /// Sample `index` sorted by time, and the number of spikes that moved. `bytes` must be the
    /// bytes of the file.
    ///
    /// # Errors
    /// As [`Shd::sample`].
    pub fn recording(&self, bytes: &[u8], index: usize) -> Result<(Recording, usize)> {
        let mut events = Columns::new();
        self.sample(bytes, index, &mut events)?;
        Recording::from_columns(SENSOR, events)
    }

    fn spikes(&self, file: &File, times: (u64, u64), units: (u64, u64), out: &mut Columns) -> Result<()> {
        if times.1 == 0 {
            return Ok(());
        }
        let wide = self.times.datatype.size;
        let bytes = file.range(times.0, times.1 * wide as u64, "the times of a sample")?;
        let seconds: fn(&[u8]) -> f64 = match self.times.datatype {
            Datatype { class: Class::Float { big: false }, size: 2 } => {
                |b| b.first_chunk().map_or(f64::NAN, |&b| half(u16::from_le_bytes(b)))
            }
            Datatype { class: Class::Float { big: false }, size: 4 } => {
                |b| b.first_chunk().map_or(f64::NAN, |&b| f32::from_le_bytes(b).into())
            }
            _ => |b| b.first_chunk().map_or(f64::NAN, |&b| f64::from_le_bytes(b)),
        };
        for (i, b) in bytes.chunks_exact(wide).enumerate() {
            let us = (seconds(b) * 1e6).round_ties_even();
            if !(0.0..9e18).contains(&us) {
                let what = format!("a spike at {} s", seconds(b));
                return Err(file.fault(times.0 + (i * wide) as u64, what));
            }
            out.t_us.push(us as u64);
        }
        let wide = self.units.datatype.size;
        let bytes = file.range(units.0, units.1 * wide as u64, "the units of a sample")?;
        for (i, b) in bytes.chunks_exact(wide).enumerate() {
            let unit = b.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
            if unit >= SENSOR.width.into() {
                let what = format!("unit {unit}; there are 0 to 699");
                return Err(file.fault(units.0 + (i * wide) as u64, what));
            }
            out.x.push(unit as u16);
        }
        out.y.resize(out.x.len(), 0);
        out.on.resize(out.x.len(), true);
        Ok(())
    }
}

/// The error for a valid file that does not have the layout of SHD.
fn other_layout(file: &File, address: u64, problem: impl Into<Problem>) -> Error {
    let remedy = "give a file as the authors of SHD publish it";
    Error::malformed(file.name(), file.offset_of(address), problem, remedy)
}

/// Finds the numbers of each sample.
fn samples(file: &File, dataset: &Dataset, floats: bool, heaps: &mut Heaps) -> Result<Samples> {
    let fault = |problem: &'static str| Err(file.fault(dataset.address, problem));
    let Class::Sequence(base) = &dataset.datatype.class else {
        return Err(other_layout(file, dataset.address, "the samples are no sequences of variable length"));
    };
    if dataset.datatype.size != Heaps::reference(file) {
        return fault("a sequence of variable length of another size than 4 + address + 4");
    }
    match (&base.class, base.size) {
        (Class::Integer { big: false, .. }, _) if !floats => (),
        (Class::Float { big: false }, 2 | 4 | 8) if floats => (),
        _ => {
            let problem = "the times are no little-endian floats, or the units no little-endian integers";
            return Err(other_layout(file, dataset.address, problem));
        }
    }
    let bytes = dataset.bytes(file)?;
    let mut places = Vec::new();
    let mut total = 0u64;
    for reference in bytes.chunks_exact(dataset.datatype.size) {
        let mut from = Cursor::new(reference, file.offset_of(dataset.address), file.name(), "a sample");
        let (count, at, size) = heaps.find(file, &mut from)?;
        if count * base.size as u64 != size {
            return fault("a sample whose length differs from that of its object in the heap");
        }
        total = total.saturating_add(size);
        if total > file.len() {
            return fault("samples that share their bytes");
        }
        places.push((at, count));
    }
    Ok(Samples { datatype: (**base).clone(), places })
}

/// Reads the labels.
fn numbers(file: &File, dataset: &Dataset) -> Result<Vec<u16>> {
    let Datatype { class: Class::Integer { big: false, .. }, size } = dataset.datatype else {
        return Err(other_layout(file, dataset.address, "the labels are no little-endian integers"));
    };
    let label = |b: &[u8]| {
        let label = b.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        u16::try_from(label).map_err(|_| file.fault(dataset.address, format!("a label {label}")))
    };
    dataset.bytes(file)?.chunks_exact(size).map(label).collect()
}

/// The stream of the samples of a file.
struct Reader {
    shd: Shd,
    /// The samples that have not been read.
    samples: std::ops::Range<usize>,
}

impl Container for Reader {
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool> {
        let Some(sample) = self.samples.next() else { return Ok(false) };
        self.shd.sample(bytes, sample, out)?;
        Ok(true)
    }

    fn sensor(&self) -> Option<Sensor> {
        Some(SENSOR)
    }
}
