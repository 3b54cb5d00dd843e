//! The graph itself, and graphs within graphs taken apart.

use super::node::Node;
use std::collections::BTreeMap;

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

impl Graph {
    /// The same graph with every nested graph replaced by its nodes, named `outer.inner`; the
    /// inputs and outputs of the nested ones are gone and their edges joined.
    pub fn flattened(&self) -> Graph {
        let mut flat = Graph {
            nodes: BTreeMap::new(),
            edges: Vec::new(),
            version: self.version.clone(),
            metadata: self.metadata.clone(),
        };
        let mut doors = Vec::new();
        place(self, "", &mut flat, &mut doors);
        for door in doors {
            let (into, rest): (Vec<_>, Vec<_>) = flat.edges.into_iter().partition(|e| e.1 == door);
            let (out_of, mut edges): (Vec<_>, Vec<_>) = rest.into_iter().partition(|e| e.0 == door);
            for (from, _) in &into {
                edges.extend(out_of.iter().map(|(_, to)| (from.clone(), to.clone())));
            }
            flat.nodes.remove(&door);
            flat.edges = edges;
        }
        flat
    }
}

/// Copies a graph under a prefix; the names of nested inputs and outputs are collected in `doors`.
fn place(graph: &Graph, prefix: &str, flat: &mut Graph, doors: &mut Vec<String>) {
    let full = |name: &str| format!("{prefix}{name}");
    for (name, node) in &graph.nodes {
        match node {
            Node::Graph(inner) => place(inner, &format!("{}.", full(name)), flat, doors),
            Node::Input { .. } | Node::Output { .. } if !prefix.is_empty() => {
                doors.push(full(name));
                flat.nodes.insert(full(name), node.clone());
            }
            _ => {
                flat.nodes.insert(full(name), node.clone());
            }
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
}
