//! Events as a NumPy array (`.npy`): a plain table of four columns, or a structured array.
//!
//! `\x93NUMPY`, u8 major and minor version, the size of the header (u16, from version 2 on u32), a
//! header (`header.rs`) with the type, the order and the shape, then the values. After the
//! "NumPy Enhancement Proposal 1".
//!
//! **Plain**, shape (N, 4), the columns x, y, p, t in C or Fortran order, as DVS-Gesture comes: floating
//! t is in ms and becomes µs by × 1000, rounded to the nearest, ties to even (cut off, 126 of
//! 24,000 times would be 1 µs less); integer t is in µs.
//!
//! **Structured**, shape (N,): the fields t (also `ts`, `timestamp`; integer µs), x, y and p (also `on`,
//! `polarity`), found by name in any order, of any integer type or Boolean, little- or big-endian.
//! Other fields are skipped. A floating t is refused, because its unit stands nowhere.
//!
//! p is 1 for ON and 0 or -1 for OFF. Times are as stored (not shifted to zero), x counts from the
//! left and y from the top. The sensor is not stated. Written is a structured array of t i8, x u2,
//! y u2, p u1.

mod columns;
mod header;
mod write;

use columns::{Number, Place};
use header::{Header, Kind};

use super::cursor::Cursor;
use super::{Container, Fit, Format, Probe, ReadOptions, Reading};
use crate::{Columns, Error, Result, Sensor};

/// See the module.
pub const FORMAT: Format = Format {
    name: "npy",
    about: "NumPy array: [N, 4] of x, y, p, t, or structured",
    extensions: &["npy"],
    axes: super::Axes::UpperLeft,
    fits,
    heeds: &[],
    read: Reading::Whole(open),
    write: Some(write::encoder),
};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Events of a piece.
const PIECE: usize = 65_536;

fn fits(probe: &Probe) -> Fit {
    if probe.head.starts_with(MAGIC) { Fit::Sure } else { Fit::No }
}

fn open(bytes: &[u8], name: &str, _: &ReadOptions) -> Result<Box<dyn Container>> {
    let mut from = Cursor::new(bytes, 0, name, "the header of a NumPy array");
    if from.take(MAGIC.len())? != MAGIC {
        return Err(Error::malformed(name, 0, "no NumPy array", "check what kind of file this is"));
    }
    let (major, _) = (from.u8()?, from.u8()?);
    let size = match major {
        1 => from.u16()?.into(),
        2 | 3 => from.u32()? as usize,
        _ => return Err(from.fault(format!("a NumPy array of version {major}; 1 to 3 are known"))),
    };
    let at = from.offset();
    let header = from.take(size)?;
    let array = header::parse(header).and_then(|header| Array::of(header, from.rest().len()));
    let array = array.map_err(|problem| {
        let remedy = "save events as [N, 4] of x, y, p, t or as a structured array of t, x, y, p";
        Error::malformed(name, at, problem, remedy)
    })?;
    let start = from.position();
    Ok(Box::new(Reader { name: name.into(), start, array, done: 0 }))
}

/// Where the values of each event are.
struct Array {
    len: usize,
    t: Column,
    x: Column,
    y: Column,
    p: Column,
    /// Whether t is in ms.
    ms: bool,
}

/// Where a value of event i is: at `first + i·step`.
#[derive(Clone, Copy)]
struct Column {
    first: usize,
    step: usize,
    number: Number,
}

impl Array {
    /// Checks the header against the `size` bytes of values.
    fn of(header: Header, size: usize) -> Result<Array, String> {
        let array = match header.kind {
            Kind::Plain(number) => Array::plain(number, header.fortran, &header.shape)?,
            Kind::Fields(fields, item) => Array::structured(&fields, item, &header.shape)?,
        };
        let needed = array.1;
        if needed != Some(size) {
            let needed = needed.map_or("more than a file can have".into(), |n| n.to_string());
            let what =
                if needed.len() > 19 || needed.parse().is_ok_and(|n: usize| n < size) { "" } else { "truncated: " };
            return Err(format!("{what}{size} bytes of values in place of {needed} for the shape {:?}", header.shape));
        }
        Ok(array.0)
    }

    fn plain(number: Number, fortran: bool, shape: &[u64]) -> Result<(Array, Option<usize>), String> {
        let &[n, 4] = shape else { return Err(format!("a plain array of shape {shape:?} in place of [N, 4]")) };
        let width = number.size();
        let bytes = usize::try_from(n).ok().and_then(|n| n.checked_mul(4 * width));
        let len = n as usize;
        let column = |i: usize| {
            let (first, step) =
                if fortran { (i.saturating_mul(len).saturating_mul(width), width) } else { (i * width, 4 * width) };
            Column { first, step, number }
        };
        let ms = number.is_float();
        Ok((Array { len, x: column(0), y: column(1), p: column(2), t: column(3), ms }, bytes))
    }

    fn structured(fields: &[header::Field], item: usize, shape: &[u64]) -> Result<(Array, Option<usize>), String> {
        let &[n] = shape else { return Err(format!("a structured array of shape {shape:?} in place of [N]")) };
        let find = |names: &[&str]| {
            let mut found = fields.iter().filter(|f| names.contains(&f.name.as_str()));
            let (field, other) = (found.next(), found.next());
            match (field, other) {
                (Some(field), None) => match field.number {
                    Some(number) if !number.is_float() => Ok(Column { first: field.offset, step: item, number }),
                    _ => Err(format!("the field `{}` is no integer", field.name)),
                },
                (Some(a), Some(b)) => Err(format!("both a field `{}` and a field `{}`", a.name, b.name)),
                (None, _) => Err(format!("no field `{}`", names.join("`, `"))),
            }
        };
        let bytes = usize::try_from(n).ok().and_then(|n| n.checked_mul(item));
        let (t, p) = (find(&["t", "ts", "timestamp"])?, find(&["p", "on", "polarity"])?);
        Ok((Array { len: n as usize, t, x: find(&["x"])?, y: find(&["y"])?, p, ms: false }, bytes))
    }
}

struct Reader {
    name: String,
    /// Offset of the values.
    start: usize,
    array: Array,
    /// Events decoded.
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
    fn piece(&self, bytes: &[u8], n: usize, out: &mut Columns) -> Result<()> {
        let Array { t, x, y, p, ms, .. } = self.array;
        let place = |c: Column, what: &'static str| Place {
            file: &self.name,
            bytes,
            first: self.start + c.first + self.done * c.step,
            step: c.step,
            what,
        };
        let slots = out.grow(n);
        if ms {
            columns::milliseconds(t.number, place(t, "the time"), slots.t_us)?;
        } else {
            columns::integers(t.number, place(t, "the time"), slots.t_us, |t| u64::try_from(t).ok())?;
        }
        columns::integers(x.number, place(x, "x"), slots.x, |x| u16::try_from(x).ok())?;
        columns::integers(y.number, place(y, "y"), slots.y, |y| u16::try_from(y).ok())?;
        columns::integers(p.number, place(p, "the polarity"), slots.on, |p| match p {
            1 => Some(true),
            0 | -1 => Some(false),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
