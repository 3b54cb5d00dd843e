//! Recordings in ten classes that differ only in the order of bursts, in the file layout of Spiking
//! Heidelberg Digits (SHD).
//!
//! The 700 channels are divided into four bands. In each sample every band has one burst, so all
//! classes have the same number of spikes in each channel on average; a network can tell them apart
//! only if it remembers which burst came first. The file is HDF5 with superblock 0, as h5py writes
//! it: `/spikes/times` (seconds) and `/spikes/units` (channels) have an element of variable length
//! for each sample, `/labels` the classes.

use super::Rng;

/// The order of the bands in each class.
const ORDERS: [[usize; 4]; 10] = [
    [0, 1, 2, 3],
    [0, 2, 1, 3],
    [0, 3, 1, 2],
    [1, 0, 2, 3],
    [1, 2, 0, 3],
    [1, 3, 0, 2],
    [2, 0, 1, 3],
    [2, 1, 0, 3],
    [2, 3, 0, 1],
    [3, 0, 1, 2],
];
/// Channels of a band.
const BAND: usize = 175;
/// Spikes of a burst.
const SPIKES: usize = 400;
/// Seconds before the first burst, and from one burst to the next.
const START: f32 = 0.05;
const GAP: f32 = 0.24;

/// The bytes of a file with `count` samples, whose labels 0 to 9 take turns.
pub fn shd_file(r: &mut Rng, count: usize) -> Vec<u8> {
    let mut times = Vec::with_capacity(count);
    let mut units = Vec::with_capacity(count);
    for i in 0..count {
        let spikes = sample(r, ORDERS[i % ORDERS.len()]);
        times.push(spikes.iter().flat_map(|s| s.0.to_le_bytes()).collect());
        units.push(spikes.iter().flat_map(|s| s.1.to_le_bytes()).collect());
    }
    let labels: Vec<u8> = (0..count).flat_map(|i| ((i % ORDERS.len()) as u16).to_le_bytes()).collect();
    let mut file = File(vec![0; 96]);
    let times = file.sequences(&times, 4, &FLOAT);
    let units = file.sequences(&units, 2, &INTEGER);
    let spikes = file.group(&[("times", times), ("units", units)]);
    let labels = file.dataset(count, &labels, &INTEGER);
    let root = file.group(&[("labels", labels), ("spikes", spikes)]);
    file.finish(root)
}

/// Spikes (seconds, channel) of a sample in order of time.
fn sample(r: &mut Rng, order: [usize; 4]) -> Vec<(f32, u16)> {
    let mut spikes = Vec::new();
    for (place, band) in order.into_iter().enumerate() {
        let middle = START + GAP * (place as f32 + 0.1 * r.unit());
        for _ in 0..SPIKES {
            // The sum of three uniform numbers is nearly Gaussian, with a standard deviation of 1.
            let apart = 0.1 * GAP * (r.unit() + r.unit() + r.unit());
            spikes.push(((middle + apart).max(0.0), (band * BAND + r.below(BAND)) as u16));
        }
    }
    spikes.sort_by(|a, b| a.0.total_cmp(&b.0));
    spikes
}

/// Datatype messages: float32 and uint16, little endian.
const FLOAT: [u8; 20] = [0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
const INTEGER: [u8; 12] = [0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 16, 0];

/// An HDF5 file that is written from its leaves to its root.
struct File(Vec<u8>);

/// The address of an object's header, and those of a group's tree and heap.
#[derive(Clone, Copy)]
struct Object(u64, Option<(u64, u64)>);

impl File {
    fn append(&mut self, part: &[u8]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let address = self.0.len() as u64;
        self.0.extend(part);
        address
    }

    fn header(&mut self, messages: &[(u16, Vec<u8>)]) -> u64 {
        let mut body = Vec::new();
        for (kind, message) in messages {
            body.extend(kind.to_le_bytes());
            body.extend((message.len().next_multiple_of(8) as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(padded(message));
        }
        let head = [&[1, 0][..], &(messages.len() as u16).to_le_bytes(), &1u32.to_le_bytes()].concat();
        let head = [head, (body.len() as u32).to_le_bytes().to_vec(), vec![0; 4]].concat();
        self.append(&[head, body].concat())
    }

    /// A data set of one dimension that is stored in one piece.
    fn dataset(&mut self, len: usize, bytes: &[u8], datatype: &[u8]) -> Object {
        let at = self.append(bytes);
        let space = [&[1, 1, 0, 0, 0, 0, 0, 0], &(len as u64).to_le_bytes()[..]].concat();
        let layout = [&[3, 1][..], &at.to_le_bytes(), &(bytes.len() as u64).to_le_bytes()].concat();
        let fill = vec![2, 1, 2, 1, 0, 0, 0, 0];
        Object(self.header(&[(1, space), (3, datatype.to_vec()), (5, fill), (8, layout)]), None)
    }

    /// A data set of sequences, whose values lie in one global heap.
    fn sequences(&mut self, all: &[Vec<u8>], size: usize, base: &[u8]) -> Object {
        let mut heap = Vec::new();
        for (i, values) in all.iter().enumerate() {
            heap.extend((i as u16 + 1).to_le_bytes());
            heap.extend([0; 6]);
            heap.extend((values.len() as u64).to_le_bytes());
            heap.extend(padded(values));
        }
        // A free object ends the heap.
        heap.extend([0, 16u64].map(u64::to_le_bytes).concat());
        let head = [&b"GCOL\x01\0\0\0"[..], &(16 + heap.len() as u64).to_le_bytes()].concat();
        let address = self.append(&[head, heap].concat());
        let mut references = Vec::new();
        for (i, values) in all.iter().enumerate() {
            references.extend(((values.len() / size) as u32).to_le_bytes());
            references.extend(address.to_le_bytes());
            references.extend((i as u32 + 1).to_le_bytes());
        }
        let datatype = [&[0x19, 0, 0, 0, 16, 0, 0, 0], base].concat();
        self.dataset(all.len(), &references, &datatype)
    }

    /// A group of objects that are sorted by name.
    fn group(&mut self, children: &[(&str, Object)]) -> Object {
        let mut names = vec![0; 8];
        let mut leaf = [&b"SNOD\x01\0"[..], &(children.len() as u16).to_le_bytes()].concat();
        let mut last = 0;
        for (name, child) in children {
            last = names.len() as u64;
            names.extend(padded(&[name.as_bytes(), &[0]].concat()));
            leaf.extend(entry(last, *child));
        }
        leaf.resize(8 + 8 * 40, 0);
        let (leaf, size) = (self.append(&leaf), names.len() as u64);
        let names = self.append(&names);
        let heap = self.append(&[&b"HEAP\0\0\0\0"[..], &[size, 1, names].map(u64::to_le_bytes).concat()].concat());
        let mut tree =
            [&b"TREE\0\0\x01\0"[..], &[u64::MAX, u64::MAX, 0, leaf, last].map(u64::to_le_bytes).concat()].concat();
        tree.resize(24 + 33 * 8 + 32 * 8, 0);
        let tree = self.append(&tree);
        Object(self.header(&[(17, [tree, heap].map(u64::to_le_bytes).concat())]), Some((tree, heap)))
    }

    fn finish(mut self, root: Object) -> Vec<u8> {
        let end = self.append(&[]);
        let mut head = b"\x89HDF\r\n\x1a\n".to_vec();
        head.extend([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]);
        head.extend([0, u64::MAX, end, u64::MAX].map(u64::to_le_bytes).concat());
        head.extend(entry(0, root));
        self.0[..head.len()].copy_from_slice(&head);
        self.0
    }
}

/// The entry of an object in its group, whose name stands at this place of the group's heap.
fn entry(name: u64, Object(header, group): Object) -> Vec<u8> {
    let (tree, heap) = group.unwrap_or_default();
    [name, header, u64::from(group.is_some()), tree, heap].map(u64::to_le_bytes).concat()
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
