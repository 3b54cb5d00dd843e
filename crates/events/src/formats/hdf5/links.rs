//! Reads groups: the names in a group and the objects to which they lead.
//!
//! Old groups have a symbol table (III.A, III.B, III.D). It consists of a tree (`TREE`, u8 0, u8
//! level, u16 entries, two siblings, then alternating keys and children), of leaves (`SNOD`, u8
//! version, u8 reserved, u16 entries, then for each the offset of the name, the address of the
//! object and 24 bytes) and of a heap of names (`HEAP`, u8 version, 3 reserved bytes, size, free
//! list, address of the names). New groups have a message for each link (IV.A.2.g).

use std::collections::HashSet;

use super::File;
use super::object::{Object, kind};
use crate::Result;
use crate::formats::cursor::Cursor;

/// A name in a group and the address of its object.
#[derive(Debug)]
pub struct Link<'a> {
    pub name: &'a [u8],
    pub address: u64,
}

/// The hard links of a group; empty for an object that is not a group.
pub fn of<'a>(file: &File<'a>, object: &Object<'a>) -> Result<Vec<Link<'a>>> {
    let mut links = Vec::new();
    if let Some(mut table) = object.get(kind::SYMBOL_TABLE) {
        let (tree, heap) = (file.address(&mut table)?, file.address(&mut table)?);
        let mut heap = file.signed(heap, *b"HEAP", "the names of a group")?;
        heap.take(4 + 2 * file.length)?;
        let names = file.address(&mut heap)?;
        let walk = &mut Walk { file, names, seen: HashSet::new(), links: &mut links };
        walk.tree(tree, 256)?;
    }
    for message in object.messages.iter().filter(|m| m.kind == kind::LINK) {
        links.extend(link(file, message.body.clone())?);
    }
    if let Some(mut info) = object.get(kind::LINK_INFO) {
        info.take(1)?;
        let flags = info.u8()?;
        info.take(if flags & 1 != 0 { 8 } else { 0 })?;
        if !file.is_nowhere(file.address(&mut info)?) {
            return Err(file.unknown(object.address, "a group of many links (in a fractal heap)"));
        }
    }
    Ok(links)
}

struct Walk<'w, 'a> {
    file: &'w File<'a>,
    names: u64,
    seen: HashSet<u64>,
    links: &'w mut Vec<Link<'a>>,
}

impl Walk<'_, '_> {
    fn tree(&mut self, address: u64, above: u16) -> Result<()> {
        if !self.seen.insert(address) {
            return Err(self.file.fault(address, "a group's tree that contains itself"));
        }
        let mut from = self.file.signed(address, *b"TREE", "a group's tree")?;
        let (kind, level, entries) = (from.u8()?, from.u8()?, from.u16()?);
        if kind != 0 || u16::from(level) >= above {
            return Err(self.file.fault(address, format!("a group's tree of type {kind} and level {level}")));
        }
        from.take(2 * self.file.offset + self.file.length)?;
        for _ in 0..entries {
            let child = self.file.address(&mut from)?;
            from.take(self.file.length)?;
            if level > 0 {
                self.tree(child, level.into())?;
            } else {
                self.leaf(child)?;
            }
        }
        Ok(())
    }

    fn leaf(&mut self, address: u64) -> Result<()> {
        if !self.seen.insert(address) {
            return Err(self.file.fault(address, "a leaf of a group that occurs twice"));
        }
        let mut from = self.file.signed(address, *b"SNOD", "a leaf of a group")?;
        from.take(2)?;
        for _ in 0..from.u16()? {
            let (name, object) = (self.file.address(&mut from)?, self.file.address(&mut from)?);
            // Type 2 is a soft link: a path instead of an object.
            let soft = from.u32()? == 2;
            from.take(20)?;
            let rest = self.file.at(self.names.saturating_add(name), "a name in a group")?.rest();
            let end = rest.iter().position(|&b| b == 0);
            let end = end.ok_or_else(|| from.fault("a name in a group has no end"))?;
            if !soft {
                self.links.push(Link { name: &rest[..end], address: object });
            }
        }
        Ok(())
    }
}

fn link<'a>(file: &File<'a>, mut from: Cursor<'a>) -> Result<Option<Link<'a>>> {
    let (version, flags) = (from.u8()?, from.u8()?);
    if version != 1 {
        return Err(from.fault(format!("a link of version {version}")));
    }
    let hard = flags & 8 == 0 || from.u8()? == 0;
    from.take(if flags & 4 != 0 { 8 } else { 0 } + usize::from(flags & 16 != 0))?;
    let length = from.unsigned(1 << (flags & 3))?;
    let name = from.take(usize::try_from(length).unwrap_or(usize::MAX))?;
    if !hard {
        return Ok(None);
    }
    Ok(Some(Link { name, address: file.address(&mut from)? }))
}
