//! The graph itself, and graphs within graphs taken apart.

use super::node::Node;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Named nodes, edges between them and text that belongs to the whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name → node.
    pub nodes: BTreeMap<String, Node>,
    /// (from, to) by name; several edges into one node are summed.
    pub edges: Vec<(String, String)>,
    /// Version of the NIR package that wrote it; empty in a nested graph.
    pub version: String,
    /// Text entries.
    pub metadata: BTreeMap<String, String>,
}

/// More edges than this come only of parallel edges through nested graphs.
const MAX_EDGES: usize = 1 << 20;

impl Graph {
    /// The same graph with every nested graph replaced by its nodes, named `outer.inner`; the
    /// inputs and outputs of the nested ones are gone and their edges joined.
    ///
    /// # Errors
    /// If two nodes would get one name, or edges multiply beyond all measure; `file` is used in the message.
    pub fn flattened(&self, file: &Path) -> Result<Graph> {
        let wrong = |node: &str, problem: &str| {
            Err(Error::NirNode { file: file.to_owned(), node: node.to_owned(), problem: problem.to_owned() })
        };
        let mut flat = Graph { version: self.version.clone(), metadata: self.metadata.clone(), ..Graph::default() };
        let mut doors = Vec::new();
        if let Err(name) = place(self, "", &mut flat, &mut doors) {
            return wrong(&name, "has the name of a node within a nested graph; rename it");
        }
        for door in doors {
            let (into, rest): (Vec<_>, Vec<_>) = flat.edges.into_iter().partition(|e| e.1 == door);
            let (out_of, mut edges): (Vec<_>, Vec<_>) = rest.into_iter().partition(|e| e.0 == door);
            if into.len().saturating_mul(out_of.len()) + edges.len() > MAX_EDGES {
                return wrong(&door, "joins more edges than any network has");
            }
            for (from, _) in &into {
                edges.extend(out_of.iter().map(|(_, to)| (from.clone(), to.clone())));
            }
            flat.nodes.remove(&door);
            flat.edges = edges;
        }
        Ok(flat)
    }
}

/// Copies a graph under a prefix; the names of nested inputs and outputs are collected in `doors`. The
/// error is a name that is there twice.
fn place(graph: &Graph, prefix: &str, flat: &mut Graph, doors: &mut Vec<String>) -> std::result::Result<(), String> {
    let full = |name: &str| format!("{prefix}{name}");
    for (name, node) in &graph.nodes {
        if let Node::Graph(inner) = node {
            place(inner, &format!("{}.", full(name)), flat, doors)?;
            continue;
        }
        if !prefix.is_empty() && matches!(node, Node::Input { .. } | Node::Output { .. }) {
            doors.push(full(name));
        }
        if flat.nodes.insert(full(name), node.clone()).is_some() {
            return Err(full(name));
        }
    }
    // An edge to a nested graph leads to its input, one from it starts at its output; some writers
    // name that door themselves, as `outer.input`.
    let door = |name: &str, out: bool| match graph.nodes.get(name) {
        Some(Node::Graph(inner)) => {
            let is = |n: &Node| if out { matches!(n, Node::Output { .. }) } else { matches!(n, Node::Input { .. }) };
            let found = inner.nodes.iter().find(|(_, n)| is(n)).map(|(k, _)| k.as_str());
            full(&format!("{name}.{}", found.unwrap_or(if out { "output" } else { "input" })))
        }
        _ => full(name),
    };
    flat.edges.extend(graph.edges.iter().map(|(a, b)| (door(a, true), door(b, false))));
    Ok(())
}
