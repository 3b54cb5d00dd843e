//! Events as a NumPy array (`.npy`): a plain table of four columns, or a structured array.
//!
//! A file consists of `\x93NUMPY`, a u8 major and a u8 minor version, the size of the header (u16;
//! from version 2 on u32), a header (`header.rs`) with type, order and shape, and the values.
//! Source: "NumPy Enhancement Proposal 1".
//!
//! **Plain** arrays have the shape (N, 4) and the columns x, y, p, t, in C or Fortran order, like
//! DVS-Gesture. Integer t is in µs. Floating-point t with fractions is in ms; it is multiplied by
//! 1000 and rounded to nearest, ties to even (truncation would make 126 of 24,000 times 1 µs too
//! small). Floating-point t without any fraction is ambiguous: it needs a unit
//! ([`ReadOptions::time_unit`]), unless the file has the path of a trial of DVS-Gesture
//! (`userNN_LIGHT/CLASS.npy`), which is in ms.
//!
//! **Structured** arrays have the shape (N,) and the fields t (also `ts`, `timestamp`, `time`), x,
//! y and p (also `on`, `polarity`), in any order, of any number type or Boolean, little or big
//! endian. Other fields are skipped. The name of t may state its unit (`t_s`); without one,
//! integers are in µs, and floating-point times need [`ReadOptions::time_unit`].
//!
//! p is 1 for ON, and 0 or -1 for OFF. Times are returned as stored; x counts from the left and y
//! from the top. The format does not state the sensor. The encoder writes a structured array of t
//! i8, x u2, y u2, p u1.

mod header;
mod write;

pub(super) use header::{Header, Kind, parse};

use super::cursor::Cursor;
use super::values::{self, Number, ValueBytes};
use super::{Container, Fit, Format, Probe, ReadOptions, Reading, SupportedOption, TimeUnit};
use crate::problem::{ArrayProblem, Problem, UnitProblem};
use crate::{Columns, Error, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "npy",
    about: "NumPy array: [N, 4] of x, y, p, t, or structured",
    extensions: &["npy"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::TimeUnit],
    read: Reading::Whole(open),
    write: Some(write::encoder),
};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Number of events in a piece.
const PIECE: usize = 65_536;

fn fits(probe: &Probe) -> Fit {
    probe.begins_with(MAGIC)
}

fn open(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Box<dyn Container>> {
    let mut from = Cursor::new(bytes, 0, name, "the header of a NumPy array");
    if from.take(MAGIC.len())? != MAGIC {
        return Err(Error::malformed(name, 0, ArrayProblem::NoArray, "check what kind of file this is"));
    }
    let (major, _) = (from.u8()?, from.u8()?);
    let size = match major {
        1 => from.u16()?.into(),
        2 | 3 => from.u32()? as usize,
        _ => return Err(from.fault(format!("a NumPy array of version {major}; 1 to 3 are known"))),
    };
    let at = from.offset();
    let header = from.take(size)?;
    let array = parse(header).map_err(Refusal::Other).and_then(|h| Array::of(h, from.rest().len(), options));
    let array = array.map_err(|refusal| match refusal {
        Refusal::NoUnit(problem) => Error::time_unit(name, at, problem),
        Refusal::Size(problem) => Error::malformed(name, at, problem, "get the file again"),
        Refusal::Other(problem) => {
            let remedy = "save events as [N, 4] of x, y, p, t or as a structured array of t, x, y, p";
            Error::malformed(name, at, problem, remedy)
        }
    })?;
    let mut reader = Reader { name: name.into(), start: from.position(), array, unit: TimeUnit::Microseconds, done: 0 };
    reader.unit = reader.unit(bytes, at)?;
    Ok(Box::new(reader))
}

/// The reason why a header cannot be used.
pub(super) enum Refusal {
    NoUnit(Problem),
    /// The values are more or fewer than the header says.
    Size(Problem),
    Other(Problem),
}

impl<P: Into<Problem>> From<P> for Refusal {
    fn from(problem: P) -> Refusal {
        Refusal::Other(problem.into())
    }
}

/// The user and the class of a trial of DVS-Gesture, from a path such as `user01_led/3.npy`.
pub(crate) fn gesture_trial(path: &str) -> Option<(u32, usize)> {
    let mut parts = path.rsplit('/');
    let (file, folder) = (parts.next()?, parts.next()?);
    let class: usize = file.get(..file.len().checked_sub(4)?)?.parse().ok()?;
    // The name of an archive may precede that of its member.
    let folder = folder.rsplit(' ').next()?;
    let user: u32 = folder.strip_prefix("user")?.split('_').next()?.parse().ok()?;
    ((1..=29).contains(&user) && class < 11).then_some((user, class))
}

/// The locations of the columns.
pub(super) struct Array {
    pub len: usize,
    pub t: Column,
    pub x: Column,
    pub y: Column,
    pub p: Column,
    /// The unit of t; `None` for a plain array of floats, whose values determine it.
    pub unit: Option<TimeUnit>,
}

/// The location of a column: the value of event i begins at `first + i·step`.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub first: usize,
    pub step: usize,
    pub number: Number,
}

impl Array {
    /// Interprets a header; an error if its shape does not need exactly `size` bytes of values.
    pub(super) fn of(header: Header, size: usize, options: &ReadOptions) -> Result<Array, Refusal> {
        let array = match header.kind {
            Kind::Plain(number) => Array::plain(number, header.fortran, &header.shape, options)?,
            Kind::Fields(fields, item) => Array::structured(&fields, item, &header.shape, options)?,
        };
        let needed = array.1;
        if needed != Some(size) {
            let (found, needed) = (size as u64, needed.map(|n| n as u64));
            return Err(Refusal::Size(ArrayProblem::Size { found, needed, shape: header.shape }.into()));
        }
        Ok(array.0)
    }

    fn plain(
        number: Number,
        fortran: bool,
        shape: &[u64],
        options: &ReadOptions,
    ) -> Result<(Array, Option<usize>), Refusal> {
        let &[n, 4] = shape else {
            let (found, expected) = (format!("{shape:?}"), "[N, 4]".into());
            return Err(Problem::Expected { what: "a plain array of shape {}", found, expected }.into());
        };
        let width = number.size();
        let bytes = usize::try_from(n).ok().and_then(|n| n.checked_mul(4 * width));
        let len = n as usize;
        let column = |i: usize| {
            let (first, step) =
                if fortran { (i.saturating_mul(len).saturating_mul(width), width) } else { (i * width, 4 * width) };
            Column { first, step, number }
        };
        let (x, y, p, t) = (column(0), column(1), column(2), column(3));
        let whole = (!number.is_float()).then_some(TimeUnit::Microseconds);
        Ok((Array { len, x, y, p, t, unit: options.time_unit.or(whole) }, bytes))
    }

    fn structured(
        fields: &[header::Field],
        item: usize,
        shape: &[u64],
        options: &ReadOptions,
    ) -> Result<(Array, Option<usize>), Refusal> {
        let &[n] = shape else {
            let (found, expected) = (format!("{shape:?}"), "[N]".into());
            return Err(Problem::Expected { what: "a structured array of shape {}", found, expected }.into());
        };
        let column = |fits: &dyn Fn(&str) -> bool, names: &'static str| {
            let mut found = fields.iter().filter(|f| fits(&f.name));
            match (found.next(), found.next()) {
                (Some(field), None) => match field.number {
                    Some(number) => Ok((field, Column { first: field.offset, step: item, number })),
                    None => Err(ArrayProblem::NoInteger { field: field.name.clone() }),
                },
                (Some(a), Some(b)) => Err(ArrayProblem::TwoFields { first: a.name.clone(), second: b.name.clone() }),
                (None, _) => Err(ArrayProblem::NoField { names }),
            }
        };
        let unit = |name: &str| TimeUnit::of_column(&name.to_lowercase());
        let (field, t) = column(&|name| unit(name).is_some(), "`t`, `ts`, `timestamp`, also with a unit as in `t_s`")?;
        let (_, p) = column(&|name| ["p", "on", "polarity"].contains(&name), "`p`, `on`, `polarity`")?;
        let ((_, x), (_, y)) = (column(&|name| name == "x", "`x`")?, column(&|name| name == "y", "`y`")?);
        let bytes = usize::try_from(n).ok().and_then(|n| n.checked_mul(item));
        let name = &field.name;
        let unit = match options.unit(unit(name).flatten(), &format!("the field `{name}`"))? {
            None if t.number.is_float() => {
                let problem = UnitProblem::NoInteger { of: format!("the field `{name}`"), several: false };
                return Err(Refusal::NoUnit(problem.into()));
            }
            unit => unit.or(Some(TimeUnit::Microseconds)),
        };
        Ok((Array { len: n as usize, t, x, y, p, unit }, bytes))
    }
}

struct Reader {
    name: String,
    /// Offset of the values in the file.
    start: usize,
    array: Array,
    /// The unit of t.
    unit: TimeUnit,
    /// Number of events decoded.
    done: usize,
}

impl Container for Reader {
    fn next(&mut self, bytes: &[u8], out: &mut Columns) -> Result<bool> {
        let n = PIECE.min(self.array.len - self.done);
        if n == 0 {
            return Ok(false);
        }
        let before = out.len();
        let result = self.piece(bytes, n, out);
        match result {
            Ok(()) => self.done += n,
            Err(_) => out.truncate(before),
        }
        result.map(|()| true)
    }

    fn sensor(&self) -> Option<Sensor> {
        None
    }
}

impl Reader {
    /// The unit of the times. `at` is the offset of the header, for the error.
    fn unit(&self, bytes: &[u8], at: u64) -> Result<TimeUnit> {
        let Array { t, unit, len, .. } = self.array;
        if let Some(unit) = unit {
            return Ok(unit);
        }
        let (fraction, other_than_0) = values::fractions(t.number, self.place(t, bytes, "the time"), len)?;
        if fraction || !other_than_0 || gesture_trial(&self.name).is_some() {
            return Ok(TimeUnit::Milliseconds);
        }
        let problem = "the time is a column of floating-point numbers without fractions, which may be µs or ms";
        Err(Error::time_unit(&self.name, at, problem))
    }

    /// The location of the next values of a column.
    fn place<'a>(&'a self, c: Column, bytes: &'a [u8], what: &'static str) -> ValueBytes<'a> {
        let first = self.start + c.first + self.done * c.step;
        ValueBytes { file: &self.name, bytes, base: 0, packed: false, first, step: c.step, what }
    }

    fn piece(&self, bytes: &[u8], n: usize, out: &mut Columns) -> Result<()> {
        let Array { t, x, y, p, .. } = self.array;
        let slots = out.grow(n);
        values::times(t.number, self.place(t, bytes, "the time"), slots.t_us, self.unit)?;
        values::integers(x.number, self.place(x, bytes, "x"), slots.x, |x| u16::try_from(x).ok())?;
        values::integers(y.number, self.place(y, bytes, "y"), slots.y, |y| u16::try_from(y).ok())?;
        values::polarities(p.number, self.place(p, bytes, "the polarity"), slots.on)
    }
}

#[cfg(test)]
mod tests;
