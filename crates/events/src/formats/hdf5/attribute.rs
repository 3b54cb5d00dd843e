//! Reads attributes (IV.A.2.m): u8 version, u8 flags, u16 sizes of the name, the datatype and the
//! dataspace, [u8 character set], these three parts (in version 1 padded to 8 bytes), the value.

use super::heap::Heaps;
use super::object::{Object, kind};
use super::{Class, File, datatype};
use crate::Result;

/// A text attribute; `None` if it does not exist or is not text.
pub fn text(file: &File, object: &Object, name: &str) -> Result<Option<String>> {
    for message in object.messages.iter().filter(|m| m.kind == kind::ATTRIBUTE) {
        let mut from = message.body.clone();
        let (version, _) = (from.u8()?, from.u8()?);
        if !matches!(version, 1..=3) {
            return Err(from.fault(format!("an attribute of version {version}")));
        }
        let padded = |n: u16| if version == 1 { usize::from(n).next_multiple_of(8) } else { n.into() };
        let sizes = (padded(from.u16()?), padded(from.u16()?), padded(from.u16()?));
        from.take(usize::from(version == 3))?;
        let found = from.take(sizes.0)?;
        if found.split(|&b| b == 0).next() != Some(name.as_bytes()) {
            continue;
        }
        let at = from.offset() - file.base;
        let mut kind = file.cursor(from.take(sizes.1)?, at, "the datatype of an attribute");
        let kind = datatype::read(&mut kind)?;
        from.take(sizes.2)?;
        let bytes = match kind.class {
            Class::Text => from.take(kind.size)?,
            Class::HeapText => {
                let (_, at, size) = Heaps::default().find(file, &mut from)?;
                if size == 0 { &[] } else { file.range(at, size, "the text of an attribute")? }
            }
            _ => return Ok(None),
        };
        let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
        return Ok(Some(String::from_utf8_lossy(text).into_owned()));
    }
    Ok(None)
}
