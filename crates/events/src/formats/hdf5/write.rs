//! Writes HDF5 in its oldest form (superblock 0), which every reader supports: groups as symbol
//! tables, one-dimensional data sets in chunks, text attributes. The files of the reader describe
//! the layouts.
//!
//! A file is built from its leaves to its root: each part is appended, and its address is used by
//! later parts. Appended bytes can be moved out at any time ([`Writer::take`]), so that memory use
//! does not depend on the file's length. Only the superblock, which contains the root's address, is
//! written at the end.

/// Appends the parts of a file.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The address of the first byte of `bytes`.
    start: u64,
    bytes: Vec<u8>,
}

/// The location of a chunk that has been written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    first: u64,
    address: u64,
    bytes: u64,
}

/// A group or data set that has been written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    header: u64,
    /// The addresses of a group's tree and heap, which the entry of the group repeats.
    group: Option<(u64, u64)>,
}

/// The properties of a new data set.
#[derive(Debug, Clone)]
pub(crate) struct NewDataset<'a> {
    /// The datatype message.
    pub datatype: Vec<u8>,
    pub element: u32,
    pub len: u64,
    /// Number of elements of a chunk.
    pub chunk: u32,
    /// Id and name of a filter, if there is one.
    pub filter: Option<(u16, &'a str)>,
    pub chunks: &'a [Written],
    pub attributes: &'a [(&'a str, String)],
}

const NOWHERE: u64 = u64::MAX;
/// Size in bytes of the superblock with the root's entry.
pub(crate) const SUPERBLOCK: usize = 96;
/// Half the children of a node in a group's tree, half the names of a leaf, and half the chunks of
/// a node in a tree of chunks. These are the defaults, which superblock 0 implies.
const GROUP_NODE: usize = 16;
const GROUP_LEAF: usize = 4;
const CHUNK_NODE: usize = 32;

impl Writer {
    /// Creates an empty file.
    pub fn new() -> Writer {
        Writer { start: 0, bytes: vec![0; SUPERBLOCK] }
    }

    /// Moves the bytes appended so far to the end of `out`.
    pub fn take(&mut self, out: &mut Vec<u8>) {
        self.start += self.bytes.len() as u64;
        out.append(&mut self.bytes);
    }

    fn append(&mut self, part: &[u8]) -> u64 {
        let end = self.start + self.bytes.len() as u64;
        let address = end.next_multiple_of(8);
        self.bytes.resize(self.bytes.len() + (address - end) as usize, 0);
        self.bytes.extend_from_slice(part);
        address
    }

    /// Appends a chunk that begins with element `first`.
    pub fn chunk(&mut self, first: u64, bytes: &[u8]) -> Written {
        Written { first, address: self.append(bytes), bytes: bytes.len() as u64 }
    }

    /// Appends a data set.
    pub fn dataset(&mut self, new: &NewDataset) -> Object {
        let index = self.tree(new);
        let len = new.len.to_le_bytes();
        // One dimension with unlimited maximum size.
        let space = [&[1, 1, 1, 0, 0, 0, 0, 0], &len[..], &NOWHERE.to_le_bytes()].concat();
        let fill = vec![2, 3, 2, 1, 0, 0, 0, 0];
        let mut layout = vec![3, 2, 2];
        layout.extend(index.to_le_bytes());
        layout.extend([new.chunk.to_le_bytes(), new.element.to_le_bytes()].concat());
        let mut messages = vec![(1, space), (3, new.datatype.clone()), (5, fill), (8, layout)];
        if let Some((id, name)) = new.filter {
            let name = padded(&[name.as_bytes(), &[0]].concat());
            let mut filters = vec![1, 1, 0, 0, 0, 0, 0, 0];
            // Flag 1 marks the filter as optional: a reader without it may open the rest of the
            // file.
            for number in [id, name.len() as u16, 1, 0] {
                filters.extend(number.to_le_bytes());
            }
            filters.extend(name);
            messages.push((11, filters));
        }
        messages.extend(self.attributes(new.attributes));
        Object { header: self.header(&messages), group: None }
    }

    /// Appends a group of at most eight objects.
    pub fn group(&mut self, children: &[(&str, Object)], attributes: &[(&str, String)]) -> Object {
        debug_assert!(children.len() <= 2 * GROUP_LEAF);
        let mut sorted = children.to_vec();
        sorted.sort_unstable_by_key(|child| child.0);
        // The heap of names, which begins with an empty one.
        let mut names = vec![0; 8];
        let mut leaf = b"SNOD\x01\0".to_vec();
        leaf.extend((sorted.len() as u16).to_le_bytes());
        let mut last = 0;
        for (name, child) in &sorted {
            last = names.len() as u64;
            names.extend(padded(&[name.as_bytes(), &[0]].concat()));
            leaf.extend(entry(last, *child));
        }
        leaf.resize(8 + 2 * GROUP_LEAF * 40, 0);
        let leaf = self.append(&leaf);
        let size = names.len() as u64;
        let names = self.append(&names);
        // A free list of 1 means that the heap has no free space.
        let heap = [&b"HEAP\0\0\0\0"[..], &size.to_le_bytes(), &1u64.to_le_bytes(), &names.to_le_bytes()].concat();
        let heap = self.append(&heap);
        let entries = u16::from(!sorted.is_empty());
        let mut tree = node(0, 0, entries);
        tree.extend([0, leaf, last].map(u64::to_le_bytes).concat());
        tree.resize(24 + (2 * GROUP_NODE + 1) * 8 + 2 * GROUP_NODE * 8, 0);
        let tree = self.append(&tree);
        let mut messages = vec![(17, [tree.to_le_bytes(), heap.to_le_bytes()].concat())];
        messages.extend(self.attributes(attributes));
        Object { header: self.header(&messages), group: Some((tree, heap)) }
    }

    /// Ends the file. Appends the last bytes to `out` and returns the superblock, which the caller
    /// must write over the zeros at the beginning of the file.
    pub fn finish(mut self, root: Object, out: &mut Vec<u8>) -> Vec<u8> {
        let end = self.append(&[]);
        let mut head = super::SIGNATURE.to_vec();
        head.extend([0, 0, 0, 0, 0, 8, 8, 0, GROUP_LEAF as u8, 0, GROUP_NODE as u8, 0, 0, 0, 0, 0]);
        head.extend([0, NOWHERE, end, NOWHERE].map(u64::to_le_bytes).concat());
        head.extend(entry(0, root));
        debug_assert_eq!(head.len(), SUPERBLOCK);
        self.take(out);
        head
    }

    fn header(&mut self, messages: &[(u16, Vec<u8>)]) -> u64 {
        let mut body = Vec::new();
        for (kind, message) in messages {
            let message = padded(message);
            body.extend(kind.to_le_bytes());
            body.extend((message.len() as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(message);
        }
        let mut head = vec![1, 0];
        head.extend((messages.len() as u16).to_le_bytes());
        head.extend(1u32.to_le_bytes());
        head.extend((body.len() as u32).to_le_bytes());
        head.extend([0; 4]);
        self.append(&[head, body].concat())
    }

    /// Appends the tree of the chunks, from the leaves up; returns its address.
    fn tree(&mut self, new: &NewDataset) -> u64 {
        if new.chunks.is_empty() {
            return NOWHERE;
        }
        let key = |bytes: u64, first: u64| [bytes, first, 0].map(u64::to_le_bytes).concat();
        let mut level = 0;
        let mut below: Vec<Written> = new.chunks.to_vec();
        loop {
            let mut nodes = Vec::new();
            for part in below.chunks(2 * CHUNK_NODE) {
                let mut bytes = node(1, level, part.len() as u16);
                for c in part {
                    bytes.extend(key(c.bytes, c.first));
                    bytes.extend(c.address.to_le_bytes());
                }
                let behind = below.iter().find(|c| c.first > part[part.len() - 1].first);
                let end = new.chunks[new.chunks.len() - 1].first + u64::from(new.chunk);
                bytes.extend(key(0, behind.map_or(end, |c| c.first)));
                bytes.resize(24 + (2 * CHUNK_NODE + 1) * 24 + 2 * CHUNK_NODE * 8, 0);
                nodes.push(Written { address: self.append(&bytes), ..part[0] });
            }
            if let [root] = nodes[..] {
                return root.address;
            }
            below = nodes;
            level += 1;
        }
    }

    /// The messages of text attributes. Their texts are appended in a heap.
    fn attributes(&mut self, attributes: &[(&str, String)]) -> Vec<(u16, Vec<u8>)> {
        if attributes.is_empty() {
            return Vec::new();
        }
        let mut heap = Vec::new();
        for (i, (_, text)) in attributes.iter().enumerate() {
            heap.extend((i as u16 + 1).to_le_bytes());
            heap.extend([0; 6]);
            heap.extend((text.len() as u64).to_le_bytes());
            heap.extend(padded(text.as_bytes()));
        }
        // The rest is a free object, whose size includes its own 16 bytes. A heap has at least 4
        // KiB.
        let size = (16 + heap.len() + 16).max(4096);
        let free = (size - 16 - heap.len()) as u64;
        heap.extend([0, free].map(u64::to_le_bytes).concat());
        heap.resize(size - 16, 0);
        let head = [&b"GCOL\x01\0\0\0"[..], &(size as u64).to_le_bytes()].concat();
        let address = self.append(&[head, heap].concat());
        let attribute = |(i, (name, text)): (usize, &(&str, String))| {
            let name = [name.as_bytes(), &[0]].concat();
            let mut message = vec![1, 0];
            message.extend([name.len() as u16, 20, 8].map(u16::to_le_bytes).concat());
            message.extend(padded(&name));
            // Text of variable length with one-byte characters; then a scalar dataspace.
            message.extend([0x19, 1, 0, 0, 16, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
            message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
            message.extend((text.len() as u32).to_le_bytes());
            message.extend(address.to_le_bytes());
            message.extend((i as u32 + 1).to_le_bytes());
            (12, message)
        };
        attributes.iter().enumerate().map(attribute).collect()
    }
}

/// The datatype message of a compound of little endian integers, each given as name, offset, size
/// in bytes, and whether it is signed.
pub(crate) fn compound(size: u32, members: &[(&str, u32, u16, bool)]) -> Vec<u8> {
    let mut message = vec![0x16, members.len() as u8, 0, 0];
    message.extend(size.to_le_bytes());
    for &(name, offset, bytes, signed) in members {
        message.extend(padded(&[name.as_bytes(), &[0]].concat()));
        message.extend(offset.to_le_bytes());
        // Not an array: rank 0, 3 reserved bytes, permutation, reserved, four sizes.
        message.extend([0; 28]);
        message.extend([0x10, u8::from(signed) << 3, 0, 0]);
        message.extend(u32::from(bytes).to_le_bytes());
        message.extend([0, 8 * bytes].map(u16::to_le_bytes).concat());
    }
    message
}

/// The beginning of a tree node.
fn node(kind: u8, level: u8, entries: u16) -> Vec<u8> {
    let mut bytes = b"TREE".to_vec();
    bytes.extend([kind, level]);
    bytes.extend(entries.to_le_bytes());
    bytes.extend([NOWHERE, NOWHERE].map(u64::to_le_bytes).concat());
    bytes
}

/// The symbol table entry of an object.
fn entry(name: u64, object: Object) -> Vec<u8> {
    let (tree, heap) = object.group.unwrap_or_default();
    let cached = u64::from(object.group.is_some());
    [name, object.header, cached, tree, heap].map(u64::to_le_bytes).concat()
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
