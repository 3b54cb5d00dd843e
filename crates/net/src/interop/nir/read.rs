//! Reads a `.nir` file into a graph.
//!
//! ```text
//! /version                text
//! /node/type              "NIRGraph"
//! /node/edges             text [E, 2]: (from, to)
//! /node/nodes/<name>/...  type (text) and the parameters of the node, arrays or scalars
//! /node/metadata/<key>    text (optional)
//! ```
//!
//! Source: `nir` 1.0.8, `serialization.py`. The reader does not trust the file: it limits every
//! allocation by the size of the file, and it limits the number of nodes and the depth of nested
//! graphs.

use super::decode;
use super::graph::{Conv1d, Conv2d, Graph, Node, Padding, Tensor, Window};
use crate::error::{Error, Result};
use hdf5_pure::{DType, Datatype, File, Group, VlenStringReadOptions};
use std::cell::Cell;
use std::path::Path;

/// Largest depth of nested graphs.
const MAX_DEPTH: usize = 16;

/// Largest ratio of decompressed to compressed size in a deflate stream.
const MAX_INFLATION: u64 = 1032;

/// Largest number of nodes, because links in an HDF5 file may form cycles.
const MAX_NODES: u64 = 1 << 16;

/// Largest length of a text entry in bytes, largest number of texts in one array, and largest size.
const MAX_TEXT: usize = 1 << 26;

/// Reads the bytes of a `.nir` file; the messages name `file`.
///
/// # Errors
/// If the bytes are not HDF5 or not a NIR graph; the message names the file and the node.
pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<Graph> {
    opened(bytes, file, |at, root| {
        let node = root.group("node").map_err(|e| at.malformed(format!("no group `node`: {e}")))?;
        let kind = at.text(&node, "type")?;
        if kind != "NIRGraph" {
            let problem = format!("the outermost node is a `{kind}`, not a `NIRGraph`; wrap it in a graph");
            return Err(at.malformed(problem));
        }
        let mut graph = at.graph(&node, 0)?;
        graph.version = if has(root, "version") { at.text(root, "version")? } else { String::new() };
        Ok(graph)
    })
}

/// Opens the bytes of an HDF5 file and reads from its root with limits on what it may claim; the
/// messages name `file`.
pub(super) fn opened<T>(bytes: &[u8], file: &Path, read: impl FnOnce(&Cursor, &Group) -> Result<T>) -> Result<T> {
    let length = bytes.len() as u64;
    let bytes_left = Cell::new(length.saturating_mul(MAX_INFLATION));
    let at = Cursor { file, length, nodes_left: &Cell::new(MAX_NODES), bytes_left: &bytes_left, node: String::new() };
    let h5 = File::from_bytes(bytes.to_vec()).map_err(|e| at.malformed(format!("{e} ({} bytes)", bytes.len())))?;
    let end = h5.superblock().eof_address;
    if end > length {
        return Err(at.malformed(format!("it ends after {} of its {end} bytes; copy it again", bytes.len())));
    }
    read(&at, &h5.root())
}

/// The reader's current node, for messages, and the limits that it still may use up.
pub(super) struct Cursor<'a> {
    file: &'a Path,
    /// Length of the file in bytes.
    length: u64,
    nodes_left: &'a Cell<u64>,
    bytes_left: &'a Cell<u64>,
    node: String,
}

/// Subtracts `amount` from `left`; returns `false` if `left` is smaller.
fn take(left: &Cell<u64>, amount: u64) -> bool {
    let rest = left.get().checked_sub(amount);
    left.set(rest.unwrap_or(0));
    rest.is_some()
}

impl Cursor<'_> {
    /// The cursor at a node or group within the present one.
    ///
    /// # Errors
    /// If the file has more than `MAX_NODES` of them, or they nest too deep.
    pub fn within(&self, name: &str, depth: usize) -> Result<Cursor<'_>> {
        let node = if self.node.is_empty() { name.to_owned() } else { format!("{}.{name}", self.node) };
        let at = Cursor { node, ..*self };
        if !take(self.nodes_left, 1) {
            return Err(at.malformed(format!("the file has more than {MAX_NODES} nodes")));
        }
        if depth > MAX_DEPTH {
            return Err(at.malformed(format!("graphs nest deeper than {MAX_DEPTH}")));
        }
        Ok(at)
    }

    /// The name of the present node, `outer.inner` in a nested graph.
    pub fn node(&self) -> &str {
        &self.node
    }

    pub fn malformed(&self, problem: String) -> Error {
        if self.node.is_empty() {
            return Error::NirFile { file: self.file.to_owned(), problem };
        }
        Error::NirNode { file: self.file.to_owned(), node: self.node.clone(), problem }
    }

    fn graph(&self, group: &Group, depth: usize) -> Result<Graph> {
        let mut graph = Graph::default();
        let nodes = group.group("nodes").map_err(|e| self.malformed(format!("no group `nodes`: {e}")))?;
        for name in nodes.groups().map_err(|e| self.malformed(format!("`nodes`: {e}")))? {
            let at = self.within(&name, depth)?;
            let child = nodes.group(&name).map_err(|e| at.malformed(e.to_string()))?;
            graph.nodes.insert(name, at.read_node(&child, depth)?);
        }
        let ends = self.texts(group, "edges")?;
        let (pairs, rest) = ends.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed(format!("`edges` has {} names, which are not pairs", ends.len())));
        }
        graph.edges = pairs.iter().cloned().map(|[from, to]| (from, to)).collect();
        if has_group(group, "metadata") {
            let texts = group.group("metadata").map_err(|e| self.malformed(format!("`metadata`: {e}")))?;
            for key in texts.datasets().map_err(|e| self.malformed(format!("`metadata`: {e}")))? {
                // Skip entries that are not text: other writers may store numbers, which the
                // importer does not use.
                if let Ok(text) = self.text(&texts, &key) {
                    graph.metadata.insert(key, text);
                }
            }
        }
        Ok(graph)
    }

    fn read_node(&self, g: &Group, depth: usize) -> Result<Node> {
        let kind = self.text(g, "type")?;
        let tensor = |name: &str| self.tensor(g, name);
        // Files of older writers have no `v_reset`, which then is 0. A reset of 0 always counts as
        // f32, so that graphs compare equal whatever type the file stores it in.
        let reset = |like: &Tensor| {
            let zeros = || Tensor { shape: like.shape.clone(), data: vec![0.0; like.data.len()], double: false };
            let read = if has(g, "v_reset") { tensor("v_reset")? } else { zeros() };
            Ok(Tensor { double: read.double && !read.is_zero(), ..read })
        };
        // Older writers omit `w_in`, which then is 1.
        let weight_in = |like: &Tensor| {
            if has(g, "w_in") { tensor("w_in") } else { Ok(Tensor::full(&like.shape, 1.0)) }
        };
        Ok(match kind.as_str() {
            "Input" => Node::Input { shape: self.sizes(g, "shape")? },
            "Output" => Node::Output { shape: self.sizes(g, "shape")? },
            "Affine" => Node::Affine { weight: tensor("weight")?, bias: tensor("bias")? },
            "Linear" => Node::Linear { weight: tensor("weight")? },
            "Conv1d" => Node::Conv1d(Conv1d {
                weight: tensor("weight")?,
                bias: tensor("bias")?,
                stride: self.size(g, "stride")?,
                padding: self.padding(g, |g| self.size(g, "padding"))?,
                dilation: self.size(g, "dilation")?,
                groups: self.size(g, "groups")?,
                input: if has(g, "input_shape") { Some(self.size(g, "input_shape")?) } else { None },
            }),
            "Conv2d" => Node::Conv2d(Conv2d {
                weight: tensor("weight")?,
                bias: tensor("bias")?,
                stride: self.pair(g, "stride")?,
                padding: self.padding(g, |g| self.pair(g, "padding"))?,
                dilation: self.pair(g, "dilation")?,
                groups: self.size(g, "groups")?,
                input: if has(g, "input_shape") { Some(self.pair(g, "input_shape")?) } else { None },
            }),
            "AvgPool2d" => Node::AvgPool2d(self.window(g)?),
            "SumPool2d" => Node::SumPool2d(self.window(g)?),
            "Flatten" => Node::Flatten {
                start: self.integer(g, "start_dim")?,
                end: self.integer(g, "end_dim")?,
                input: if has(g, "input_type") { Some(self.sizes(g, "input_type")?) } else { None },
            },
            "Scale" => Node::Scale { scale: tensor("scale")? },
            "Identity" => Node::Identity,
            "Delay" => Node::Delay { delay: tensor("delay")? },
            "Threshold" => Node::Threshold { threshold: tensor("threshold")? },
            "I" => Node::I { r: tensor("r")? },
            "IF" => {
                let threshold = tensor("v_threshold")?;
                Node::If { r: tensor("r")?, reset: reset(&threshold)?, threshold }
            }
            "LIF" => {
                let threshold = tensor("v_threshold")?;
                let (tau, r, leak) = (tensor("tau")?, tensor("r")?, tensor("v_leak")?);
                Node::Lif { tau, r, leak, reset: reset(&threshold)?, threshold }
            }
            "LI" => Node::Li { tau: tensor("tau")?, r: tensor("r")?, leak: tensor("v_leak")? },
            "CubaLI" => {
                let leak = tensor("v_leak")?;
                let (tau_syn, tau_mem, r) = (tensor("tau_syn")?, tensor("tau_mem")?, tensor("r")?);
                Node::CubaLi { tau_syn, tau_mem, r, w_in: weight_in(&leak)?, leak }
            }
            "CubaLIF" => {
                let threshold = tensor("v_threshold")?;
                Node::CubaLif {
                    tau_syn: tensor("tau_syn")?,
                    tau_mem: tensor("tau_mem")?,
                    r: tensor("r")?,
                    leak: tensor("v_leak")?,
                    reset: reset(&threshold)?,
                    w_in: weight_in(&threshold)?,
                    threshold,
                }
            }
            "NIRGraph" => Node::Graph(self.graph(g, depth + 1)?),
            _ => Node::Other { kind },
        })
    }

    fn window(&self, g: &Group) -> Result<Window> {
        let kernel = self.pair(g, "kernel_size")?;
        Ok(Window { kernel, stride: self.pair(g, "stride")?, padding: self.pair(g, "padding")? })
    }

    fn padding<S>(&self, g: &Group, numbers: impl Fn(&Group) -> Result<S>) -> Result<Padding<S>> {
        match self.text(g, "padding").ok().as_deref() {
            Some("same") => Ok(Padding::Same),
            Some("valid") => Ok(Padding::Valid),
            Some(other) => Err(self.malformed(format!("`padding` is \"{other}\"; known: same, valid, numbers"))),
            None => numbers(g).map(Padding::Zeros),
        }
    }

    /// Opens a dataset and checks that the file is large enough to hold its shape.
    fn dataset(&self, g: &Group, name: &str) -> Result<(hdf5_pure::Dataset, Vec<usize>)> {
        let unreadable = |e: hdf5_pure::Error| self.malformed(format!("`{name}`: {e}"));
        let set = g.dataset(name).map_err(|e| {
            if has(g, name) {
                return unreadable(e);
            }
            self.malformed(format!("has no `{name}`; write the graph again with the package nir"))
        })?;
        let shape = set.shape().map_err(unreadable)?;
        let bytes = shape.iter().try_fold(set.element_size().map_err(unreadable)?, |n, &d| n.checked_mul(d));
        let most = self.length.saturating_mul(if set.is_chunked() { MAX_INFLATION } else { 1 });
        if bytes.is_none_or(|b| b > most || !take(self.bytes_left, b)) {
            return Err(self.malformed(format!("`{name}` claims the shape {shape:?}, more than the file can hold")));
        }
        let shape = shape.iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
        Ok((set, shape))
    }

    fn tensor(&self, g: &Group, name: &str) -> Result<Tensor> {
        let t = self.numbers(g, name)?;
        if let Some(i) = t.data.iter().position(|v| !v.is_finite()) {
            let problem = format!("`{name}`: value {i} is {}; give finite numbers", t.data[i]);
            return Err(self.malformed(problem));
        }
        Ok(t)
    }

    /// Reads an array of numbers, of which some may be infinite.
    pub fn numbers(&self, g: &Group, name: &str) -> Result<Tensor> {
        let (set, shape) = self.dataset(g, name)?;
        let unreadable = |e: hdf5_pure::Error| self.malformed(format!("`{name}`: {e}"));
        let datatype = set.datatype().map_err(unreadable)?;
        // f32 represents every half-precision number exactly.
        let double = !matches!(datatype, Datatype::FloatingPoint { size: ..=4, .. });
        let data = decode::numbers(&set.read_raw().map_err(unreadable)?, &datatype)
            .map_err(|problem| self.malformed(format!("`{name}` {problem}")))?;
        if data.len() != shape.iter().product::<usize>() {
            return Err(self.malformed(format!("`{name}` has {} values for the shape {shape:?}", data.len())));
        }
        Ok(Tensor { shape, data, double })
    }

    fn integers(&self, g: &Group, name: &str) -> Result<Vec<i64>> {
        let (set, _) = self.dataset(g, name)?;
        let unreadable = |e: hdf5_pure::Error| self.malformed(format!("`{name}`: {e}"));
        if !matches!(set.datatype().map_err(unreadable)?, Datatype::FixedPoint { .. }) {
            // `read_i64` would cut off the fraction of a float.
            let all = self.tensor(g, name)?.data;
            let whole = |v: &f64| (v.fract() == 0.0 && v.abs() <= MAX_TEXT as f64).then_some(*v as i64);
            return all.iter().map(whole).collect::<Option<_>>().ok_or_else(|| {
                self.malformed(format!("`{name}` is {all:?}; give whole numbers of at most {MAX_TEXT}"))
            });
        }
        set.read_i64().map_err(unreadable)
    }

    fn integer(&self, g: &Group, name: &str) -> Result<i64> {
        match self.integers(g, name)?.as_slice() {
            [one] => Ok(*one),
            other => Err(self.malformed(format!("`{name}` must be one number, got {}", other.len()))),
        }
    }

    fn sizes(&self, g: &Group, name: &str) -> Result<Vec<usize>> {
        let numbers = self.integers(g, name)?;
        let size = |v: &i64| usize::try_from(*v).ok().filter(|v| *v <= MAX_TEXT);
        numbers
            .iter()
            .map(size)
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed(format!("`{name}` is {numbers:?}; sizes must be between 0 and {MAX_TEXT}")))
    }

    /// Reads one size.
    fn size(&self, g: &Group, name: &str) -> Result<usize> {
        match self.sizes(g, name)?.as_slice() {
            [one] => Ok(*one),
            other => Err(self.malformed(format!("`{name}` must be one number, got {}", other.len()))),
        }
    }

    /// Reads (rows, columns); a single number stands for both.
    fn pair(&self, g: &Group, name: &str) -> Result<(usize, usize)> {
        match self.sizes(g, name)?.as_slice() {
            [one] => Ok((*one, *one)),
            [rows, columns] => Ok((*rows, *columns)),
            other => Err(self.malformed(format!("`{name}` must be one number or two, got {}", other.len()))),
        }
    }

    fn text(&self, g: &Group, name: &str) -> Result<String> {
        match self.texts(g, name)?.pop() {
            Some(text) => Ok(text),
            None => Err(self.malformed(format!("`{name}` is empty"))),
        }
    }

    fn texts(&self, g: &Group, name: &str) -> Result<Vec<String>> {
        let (set, _) = self.dataset(g, name)?;
        let unreadable = |e: hdf5_pure::Error| self.malformed(format!("`{name}`: {e}"));
        let limits = VlenStringReadOptions::new().with_max_elements(MAX_TEXT).with_max_payload_bytes(MAX_TEXT);
        match set.dtype().map_err(unreadable)? {
            DType::VariableLengthString => set.read_vlen_strings(limits),
            _ => set.read_string(),
        }
        .map_err(unreadable)
    }
}

fn has(g: &Group, name: &str) -> bool {
    g.datasets().is_ok_and(|names| names.iter().any(|n| n == name))
}

fn has_group(g: &Group, name: &str) -> bool {
    g.groups().is_ok_and(|names| names.iter().any(|n| n == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5_pure::{DatatypeByteOrder, FileBuilder, FloatingPointLayout, GroupBuilder};

    /// A graph input → `name` → output with doors of these sizes and a node of this kind, whose arrays
    /// `fill` adds.
    fn one_node(name: &str, kind: &str, doors: [&[i64]; 2], fill: impl FnOnce(&mut GroupBuilder)) -> Vec<u8> {
        let text = |g: &mut GroupBuilder, name: &str, words: &[&str], shape: &[u64]| {
            g.create_dataset(name).with_vlen_strings(words).with_shape(shape);
        };
        let mut h5 = FileBuilder::new();
        let mut node = h5.create_group("node");
        text(&mut node, "type", &["NIRGraph"], &[]);
        text(&mut node, "edges", &["input", name, name, "output"], &[2, 2]);
        let mut nodes = node.create_group("nodes");
        for (name, kind, size) in [("input", "Input", doors[0]), ("output", "Output", doors[1])] {
            let mut door = nodes.create_group(name);
            text(&mut door, "type", &[kind], &[]);
            door.create_dataset("shape").with_i64_data(size);
            nodes.add_group(door.finish());
        }
        let mut own = nodes.create_group(name);
        text(&mut own, "type", &[kind], &[]);
        fill(&mut own);
        nodes.add_group(own.finish());
        node.add_group(nodes.finish());
        h5.add_group(node.finish());
        h5.finish().unwrap()
    }

    /// A graph with a node `fc` whose weight has shape `[1, 2]` and the given type and bytes.
    fn file(datatype: Datatype, weight: Vec<u8>) -> Vec<u8> {
        one_node("fc", "Linear", [&[2], &[1]], |fc| {
            fc.create_dataset("weight").with_raw_data(datatype, weight, 2).with_shape(&[1, 2]);
        })
    }

    /// A graph with a node `pool` whose stride is stored as f64.
    fn pooled(stride: &[f64]) -> Vec<u8> {
        one_node("pool", "AvgPool2d", [&[2, 4, 4], &[2, 2, 2]], |pool| {
            pool.create_dataset("kernel_size").with_i64_data(&[2]);
            pool.create_dataset("stride").with_f64_data(stride);
            pool.create_dataset("padding").with_i64_data(&[0]);
        })
    }

    fn f16(byte_order: DatatypeByteOrder) -> Datatype {
        let layout = FloatingPointLayout {
            bit_offset: 0,
            bit_precision: 16,
            exponent_location: 10,
            exponent_size: 5,
            mantissa_location: 0,
            mantissa_size: 10,
            exponent_bias: 15,
        };
        Datatype::FloatingPoint { size: 2, byte_order, layout }
    }

    #[test]
    fn weights_in_half_precision_and_either_byte_order_are_read() {
        let wanted = Node::Linear { weight: Tensor::single(&[1, 2], &[1.5, -0.25]) };
        let big = [0x3e00u16, 0xb400].iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
        let little = [0x3e00u16, 0xb400].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        for (order, bytes) in [(DatatypeByteOrder::BigEndian, big), (DatatypeByteOrder::LittleEndian, little)] {
            let graph = from_bytes(&file(f16(order), bytes), Path::new("half.nir")).unwrap();
            assert_eq!(graph.nodes["fc"], wanted, "{order:?}");
        }
    }

    #[test]
    fn a_size_stored_as_a_float_must_be_whole() {
        let graph = from_bytes(&pooled(&[2.0, 1.0]), Path::new("x.nir")).unwrap();
        let Node::AvgPool2d(window) = &graph.nodes["pool"] else { panic!("{graph:?}") };
        assert_eq!(window.stride, (2, 1));
        for stride in [1.5, f64::NAN, 1e300, -0.5] {
            let e = from_bytes(&pooled(&[stride]), Path::new("x.nir")).unwrap_err();
            let Error::NirNode { node, problem, .. } = &e else { panic!("{e}") };
            assert!(node == "pool" && problem.contains("`stride`"), "{e}");
        }
    }

    #[test]
    fn an_infinite_half_names_its_node_and_tensor() {
        let bytes = file(f16(DatatypeByteOrder::LittleEndian), vec![0x00, 0x7c, 0x00, 0x3e]);
        let e = from_bytes(&bytes, Path::new("half.nir")).unwrap_err();
        let Error::NirNode { file, node, problem } = &e else { panic!("{e}") };
        assert_eq!((file.to_str(), &node[..]), (Some("half.nir"), "fc"));
        assert!(["`weight`", " 0 ", "inf"].iter().all(|named| problem.contains(named)), "{e}");
    }
}
