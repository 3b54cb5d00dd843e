//! Reads object headers (IV.A): the list of messages that describe a group or a data set.
//!
//! Version 1: u8 version, u8 reserved, u16 number of messages, u32 links, u32 size, 4 bytes of
//! padding. A message is: u16 type, u16 size, u8 flags, 3 reserved bytes, body. Version 2: `OHDR`,
//! u8 version, u8 flags, [four u32 times], [two u16], size. A message is: u8 type, u16 size, u8
//! flags, [u16 order], body; a u32 checksum follows the last one. A message of type 16 contains the
//! location of further messages.

use std::collections::HashSet;

use super::File;
use crate::Result;
use crate::formats::cursor::Cursor;

/// The types of messages.
pub mod kind {
    pub const DATASPACE: u16 = 1;
    pub const LINK_INFO: u16 = 2;
    pub const DATATYPE: u16 = 3;
    pub const LINK: u16 = 6;
    pub const LAYOUT: u16 = 8;
    pub const FILTERS: u16 = 11;
    pub const ATTRIBUTE: u16 = 12;
    pub const CONTINUATION: u16 = 16;
    pub const SYMBOL_TABLE: u16 = 17;
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub kind: u16,
    /// If bit 1 is set, the body is the address of another object that has the message.
    pub flags: u8,
    pub body: Cursor<'a>,
}

/// The messages of the object at an address.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    pub address: u64,
    pub messages: Vec<Message<'a>>,
}

impl<'a> Object<'a> {
    /// The body of the first message of a type.
    pub fn get(&self, kind: u16) -> Option<Cursor<'a>> {
        self.messages.iter().find(|m| m.kind == kind).map(|m| m.body.clone())
    }
}

const WHAT: &str = "an object header";

/// Reads the header at an address.
pub fn read<'a>(file: &File<'a>, address: u64) -> Result<Object<'a>> {
    let mut from = file.at(address, WHAT)?;
    let mut reader = Reader { file, v2: from.rest().starts_with(b"OHDR"), order: false, messages: Vec::new() };
    let mut blocks = Vec::new();
    if reader.v2 {
        from.take(4)?;
        let version = from.u8()?;
        let flags = from.u8()?;
        if version != 2 {
            return Err(file.fault(address, format!("an object header of version {version}")));
        }
        from.take(if flags & 32 != 0 { 16 } else { 0 } + if flags & 16 != 0 { 4 } else { 0 })?;
        reader.order = flags & 4 != 0;
        let size = from.unsigned(1 << (flags & 3))?;
        let head = from.position() as u64;
        file.checked(address, size.saturating_add(head + 4), WHAT)?;
        blocks.push((address + head, size));
    } else {
        let version = from.u8()?;
        if version != 1 {
            return Err(file.fault(address, format!("an object header of version {version}")));
        }
        from.take(1 + 2 + 4)?;
        let size = from.u32()?;
        from.take(4)?;
        blocks.push((address + 16, size.into()));
    }
    let mut seen = HashSet::new();
    while let Some((at, size)) = blocks.pop() {
        if size == 0 {
            continue;
        }
        if !seen.insert(at) {
            return Err(file.fault(at, "an object header that continues in itself"));
        }
        let bytes = file.range(at, size, WHAT)?;
        blocks.extend(reader.block(file.cursor(bytes, at, WHAT))?);
    }
    Ok(Object { address, messages: reader.messages })
}

struct Reader<'f, 'a> {
    file: &'f File<'a>,
    v2: bool,
    order: bool,
    messages: Vec<Message<'a>>,
}

impl<'a> Reader<'_, 'a> {
    /// Reads the messages of one block. Returns address and size of each continuation.
    fn block(&mut self, mut from: Cursor<'a>) -> Result<Vec<(u64, u64)>> {
        let mut more = Vec::new();
        let head = if self.v2 { 4 + 2 * usize::from(self.order) } else { 8 };
        // A rest that is too small for a message is unused.
        while from.rest().len() >= head {
            let kind = if self.v2 { from.u8()?.into() } else { from.u16()? };
            let size = usize::from(from.u16()?);
            let flags = from.u8()?;
            from.take(head - if self.v2 { 4 } else { 5 })?;
            let at = from.offset() - self.file.base;
            let mut body = self.file.cursor(from.take(size)?, at, "a message of an object header");
            if kind != kind::CONTINUATION {
                self.messages.push(Message { kind, flags, body });
                continue;
            }
            let (address, size) = (self.file.address(&mut body)?, self.file.size(&mut body)?);
            if !self.v2 {
                more.push((address, size));
                continue;
            }
            self.file.signed(address, *b"OCHK", WHAT)?;
            self.file.checked(address, size, WHAT)?;
            // Without the letters at the beginning and the checksum at the end.
            match size.checked_sub(8) {
                Some(size) => more.push((address + 4, size)),
                None => return Err(body.fault("a continuation of less than 8 bytes")),
            }
        }
        Ok(more)
    }
}
