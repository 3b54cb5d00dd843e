//! Converts a graph to the bytes of a `.nir` file; `read.rs` describes the layout.
//!
//! sinabs requires `nir` 1.0.4, which does not support every entry. The writer therefore omits
//! `v_reset` if it is zero, and it never writes metadata of single nodes.

use super::graph::{Graph, Node, Padding, Tensor, Window};
use crate::error::{Error, Result};
use hdf5_pure::{FileBuilder, GroupBuilder};
use std::path::Path;

/// The version of the NIR package that defines this layout.
pub(super) const VERSION: &str = "1.0.8";

/// The bytes of a `.nir` file; the messages name `file`.
///
/// # Errors
/// If a node is of a kind that cannot be written, or if HDF5 does not allow a node's name.
pub fn to_bytes(graph: &Graph, file: &Path) -> Result<Vec<u8>> {
    let mut h5 = FileBuilder::new();
    let version = if graph.version.is_empty() { VERSION } else { &graph.version };
    h5.create_dataset("version").with_vlen_strings(&[version]).with_shape(&[]);
    let mut node = h5.create_group("node");
    put_graph(&mut node, graph, file)?;
    h5.add_group(node.finish());
    h5.finish().map_err(|e| Error::NirFile { file: file.to_owned(), problem: e.to_string() })
}

fn put_graph(g: &mut GroupBuilder, graph: &Graph, file: &Path) -> Result<()> {
    text(g, "type", "NIRGraph");
    let ends: Vec<&str> = graph.edges.iter().flat_map(|(a, b)| [a.as_str(), b.as_str()]).collect();
    g.create_dataset("edges").with_vlen_strings(&ends).with_shape(&[graph.edges.len() as u64, 2]);
    let mut nodes = g.create_group("nodes");
    for (name, node) in &graph.nodes {
        let refusal = |problem: String| Error::NirNode { file: file.to_owned(), node: name.clone(), problem };
        if name.is_empty() || name.contains('/') || name == "." {
            return Err(refusal("a name in HDF5 is not empty and has no `/`; rename the node".into()));
        }
        let mut child = nodes.create_group(name);
        match node {
            Node::Graph(inner) => put_graph(&mut child, inner, file)?,
            Node::Other { kind } => return Err(refusal(format!("the kind `{kind}` cannot be written; remove it"))),
            _ => put_node(&mut child, node),
        }
        nodes.add_group(child.finish());
    }
    g.add_group(nodes.finish());
    if !graph.metadata.is_empty() {
        let mut texts = g.create_group("metadata");
        for (key, value) in &graph.metadata {
            text(&mut texts, key, value);
        }
        g.add_group(texts.finish());
    }
    Ok(())
}

fn put_node(g: &mut GroupBuilder, node: &Node) {
    text(g, "type", node.kind());
    for (name, t) in node.tensors() {
        if name != "v_reset" || !t.is_zero() {
            tensor(g, name, t);
        }
    }
    match node {
        Node::Input { shape } | Node::Output { shape } => sizes(g, "shape", shape),
        Node::Conv1d(c) => {
            integer(g, "stride", c.stride as i64);
            padding(g, c.padding, |g, ends| integer(g, "padding", ends as i64));
            integer(g, "dilation", c.dilation as i64);
            integer(g, "groups", c.groups as i64);
            if let Some(input) = c.input {
                integer(g, "input_shape", input as i64);
            }
        }
        Node::Conv2d(c) => {
            pair(g, "stride", c.stride);
            padding(g, c.padding, |g, sides| pair(g, "padding", sides));
            pair(g, "dilation", c.dilation);
            integer(g, "groups", c.groups as i64);
            if let Some(input) = c.input {
                pair(g, "input_shape", input);
            }
        }
        Node::AvgPool2d(w) | Node::SumPool2d(w) => window(g, w),
        Node::Flatten { start, end, input } => {
            integer(g, "start_dim", *start);
            integer(g, "end_dim", *end);
            if let Some(input) = input {
                sizes(g, "input_type", input);
            }
        }
        // Other nodes consist of arrays, written above, or are handled by the caller.
        _ => {}
    }
}

fn padding<S>(g: &mut GroupBuilder, padding: Padding<S>, numbers: impl Fn(&mut GroupBuilder, S)) {
    match padding {
        Padding::Zeros(zeros) => numbers(g, zeros),
        Padding::Same => text(g, "padding", "same"),
        Padding::Valid => text(g, "padding", "valid"),
    }
}

fn text(g: &mut GroupBuilder, name: &str, value: &str) {
    g.create_dataset(name).with_vlen_strings(&[value]).with_shape(&[]);
}

fn integer(g: &mut GroupBuilder, name: &str, value: i64) {
    g.create_dataset(name).with_i64_data(&[value]).with_shape(&[]);
}

fn sizes(g: &mut GroupBuilder, name: &str, values: &[usize]) {
    let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
    g.create_dataset(name).with_i64_data(&values);
}

fn pair(g: &mut GroupBuilder, name: &str, (rows, columns): (usize, usize)) {
    sizes(g, name, &[rows, columns]);
}

fn window(g: &mut GroupBuilder, w: &Window) {
    pair(g, "kernel_size", w.kernel);
    pair(g, "stride", w.stride);
    pair(g, "padding", w.padding);
}

fn tensor(g: &mut GroupBuilder, name: &str, t: &Tensor) {
    let shape: Vec<u64> = t.shape.iter().map(|&d| d as u64).collect();
    let set = g.create_dataset(name);
    if t.double {
        set.with_f64_data(&t.data).with_shape(&shape);
    } else {
        set.with_f32_data(&t.to_f32()).with_shape(&shape);
    }
}
