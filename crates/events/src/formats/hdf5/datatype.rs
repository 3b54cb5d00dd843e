//! Reads datatypes (IV.A.2.d): u8 class + 16·version, 24 bits of flags, u32 size, then the
//! properties of the class.

use crate::Result;
use crate::formats::cursor::Cursor;
use crate::formats::values::Number;

/// The type of an element.
#[derive(Debug, Clone, PartialEq)]
pub struct Datatype {
    pub class: Class,
    /// Size of an element in bytes.
    pub size: usize,
}

/// The class of an element.
#[derive(Debug, Clone, PartialEq)]
pub enum Class {
    /// An integer.
    Integer { signed: bool, big: bool },
    /// An IEEE 754 number of 2, 4 or 8 bytes.
    Float { big: bool },
    /// Text of a fixed size.
    Text,
    /// A compound; each member has a name, an offset and a type.
    Compound(Vec<(String, usize, Datatype)>),
    /// A sequence of variable length, stored in a heap.
    Sequence(Box<Datatype>),
    /// A text of variable length, stored in a heap.
    HeapText,
    /// Anything else.
    Other,
}

impl Datatype {
    /// The type of number; `None` if the type is no number, or a number of an unsupported size.
    pub fn number(&self) -> Option<Number> {
        match self.class {
            Class::Integer { signed, big } => Number::new(if signed { 'i' } else { 'u' }, self.size, big),
            Class::Float { big } => Number::new('f', self.size, big),
            _ => None,
        }
    }
}

/// Reads a datatype and moves the cursor past it.
pub fn read(from: &mut Cursor) -> Result<Datatype> {
    nested(from, 0)
}

fn nested(from: &mut Cursor, depth: usize) -> Result<Datatype> {
    if depth > 8 {
        return Err(from.fault("a datatype inside eight others"));
    }
    let head = from.u32()?;
    let (class, version, flags) = (head & 15, head >> 4 & 15, head >> 8);
    if !matches!(version, 1..=5) {
        return Err(from.fault(format!("a datatype of version {version}")));
    }
    let size = from.u32()? as usize;
    let class = match class {
        0 => {
            let (offset, bits) = (from.u16()?, from.u16()?);
            let whole = offset == 0 && usize::from(bits) == 8 * size && matches!(size, 1 | 2 | 4 | 8);
            if whole { Class::Integer { signed: flags & 8 != 0, big: flags & 1 != 0 } } else { Class::Other }
        }
        1 => {
            let form = from.take(12)?;
            // Offset, precision, position and size of the exponent and of the mantissa, bias of the
            // exponent.
            let ieee: &[u8] = match size {
                2 => &[0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0],
                4 => &[0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0],
                8 => &[0, 0, 64, 0, 52, 11, 0, 52, 255, 3, 0, 0],
                _ => &[],
            };
            if form == ieee && flags & 64 == 0 { Class::Float { big: flags & 1 != 0 } } else { Class::Other }
        }
        2 => from.take(2).map(|_| Class::Other)?,
        3 => Class::Text,
        4 => from.take(4).map(|_| Class::Other)?,
        5 => from.take((flags & 255) as usize).map(|_| Class::Other)?,
        6 => {
            let members = (0..flags & 0xFFFF).map(|_| member(from, version, size, depth));
            Class::Compound(members.collect::<Result<_>>()?)
        }
        7 => Class::Other,
        8 => {
            // An enumeration (such as a Boolean of h5py) is treated as the number that it is stored
            // as.
            let base = nested(from, depth + 1)?;
            for _ in 0..flags & 0xFFFF {
                text(from, version < 3)?;
            }
            from.take((flags & 0xFFFF) as usize * base.size)?;
            base.class
        }
        9 => {
            let base = nested(from, depth + 1)?;
            if flags & 15 == 1 { Class::HeapText } else { Class::Sequence(Box::new(base)) }
        }
        10 => {
            let rank = usize::from(from.u8()?);
            from.take(if version < 3 { 3 + 8 * rank } else { 4 * rank })?;
            nested(from, depth + 1)?;
            Class::Other
        }
        _ => return Err(from.fault(format!("a datatype of class {class}"))),
    };
    Ok(Datatype { class, size })
}

fn member(from: &mut Cursor, version: u32, size: usize, depth: usize) -> Result<(String, usize, Datatype)> {
    let name = text(from, version < 3)?;
    let width = match version {
        1 | 2 => 4,
        // As many bytes as the size of the compound needs.
        _ => (size.max(1).ilog2() / 8 + 1) as usize,
    };
    let offset = from.unsigned(width)? as usize;
    let mut array = false;
    if version == 1 {
        array = from.u8()? != 0;
        from.take(3 + 4 + 4 + 16)?;
    }
    let mut kind = nested(from, depth + 1)?;
    if array {
        kind.class = Class::Other;
    } else if offset.checked_add(kind.size).is_none_or(|end| end > size) {
        return Err(from.fault(format!("member `{name}` lies outside its compound of {size} bytes")));
    }
    Ok((name, offset, kind))
}

/// Reads a text up to a zero byte, or, if `padded`, up to the next multiple of 8 bytes.
fn text(from: &mut Cursor, padded: bool) -> Result<String> {
    let rest = from.rest();
    let Some(end) = rest.iter().position(|&b| b == 0) else {
        return Err(from.fault("a name in a datatype has no end"));
    };
    let name = String::from_utf8_lossy(&rest[..end]).into_owned();
    from.take(if padded { (end + 1).next_multiple_of(8) } else { end + 1 })?;
    Ok(name)
}
