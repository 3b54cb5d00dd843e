//! The graph itself, and graphs within graphs taken apart.

use super::node::Node;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Named nodes, edges between them and text that belongs to the whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name → node.
    pub nodes: BTreeMap<String, Node>,
    /// (from, to) by name, a set: an edge that is there twice counts once. Several edges into one node are summed.
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
    /// If two nodes would get one name, an edge leads to a nested graph that has several inputs (or comes from one
    /// that has several outputs) and does not say which, or edges multiply beyond all measure; `file` is used in
    /// the message.
    pub fn flattened(&self, file: &Path) -> Result<Graph> {
        let wrong = |node: &str, problem: &str| Error::NirNode {
            file: file.to_owned(),
            node: node.to_owned(),
            problem: problem.to_owned(),
        };
        let mut flat = Graph { version: self.version.clone(), metadata: self.metadata.clone(), ..Graph::default() };
        let mut doors = Vec::new();
        place(self, "", &mut flat, &mut doors).map_err(|(name, problem)| wrong(&name, &problem))?;
        for door in doors {
            let (into, rest): (Vec<_>, Vec<_>) = flat.edges.into_iter().partition(|e| e.1 == door);
            let (out_of, mut edges): (Vec<_>, Vec<_>) = rest.into_iter().partition(|e| e.0 == door);
            if into.len().saturating_mul(out_of.len()) + edges.len() > MAX_EDGES {
                return Err(wrong(&door, "joins more edges than any network has"));
            }
            for (from, _) in &into {
                edges.extend(out_of.iter().map(|(_, to)| (from.clone(), to.clone())));
            }
            flat.nodes.remove(&door);
            flat.edges = edges;
        }
        Ok(flat)
    }

    /// The graph with one output: the only one, or the one of this name with all that leads to it.
    ///
    /// # Errors
    /// If there are several and none is named, or none has that name.
    pub(super) fn led_to(mut self, output: Option<&str>, file: &Path) -> Result<Graph> {
        let outputs: Vec<String> =
            self.nodes.iter().filter(|(_, n)| matches!(n, Node::Output { .. })).map(|(k, _)| k.clone()).collect();
        let Some(name) = output else {
            return if outputs.len() > 1 {
                Err(Error::NirOutputs { file: file.to_owned(), outputs })
            } else {
                Ok(self)
            };
        };
        if !outputs.iter().any(|o| o == name) {
            let problem = format!("has no output `{name}`; it has {}", outputs.join(", "));
            return Err(Error::NirGraph { file: file.to_owned(), problem });
        }
        let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        self.edges.iter().for_each(|(from, to)| sources.entry(to).or_default().push(from));
        let (mut kept, mut next) = (BTreeSet::from([name.to_owned()]), vec![name]);
        while let Some(to) = next.pop() {
            let new = sources.get(to).into_iter().flatten().filter(|from| kept.insert((**from).to_owned()));
            next.extend(new);
        }
        self.nodes.retain(|k, n| kept.contains(k) || matches!(n, Node::Input { .. }));
        self.edges.retain(|(a, b)| kept.contains(a) && kept.contains(b));
        Ok(self)
    }
}

/// Copies a graph under a prefix; the names of nested inputs and outputs are collected in `doors`. The
/// error is a node and what is wrong with it.
fn place(
    graph: &Graph,
    prefix: &str,
    flat: &mut Graph,
    doors: &mut Vec<String>,
) -> std::result::Result<(), (String, String)> {
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
            return Err((full(name), "has the name of a node within a nested graph; rename it".to_owned()));
        }
    }
    // An edge to a nested graph leads to its input, one from it starts at its output; some writers
    // name that door themselves, as `outer.input`.
    let door = |name: &str, out: bool| match graph.nodes.get(name) {
        Some(Node::Graph(inner)) => {
            let is = |n: &Node| if out { matches!(n, Node::Output { .. }) } else { matches!(n, Node::Input { .. }) };
            let found: Vec<&str> = inner.nodes.iter().filter(|(_, n)| is(n)).map(|(k, _)| k.as_str()).collect();
            if found.len() > 1 {
                let what = if out { "outputs" } else { "inputs" };
                let problem = format!(
                    "is a nested graph with {} {what} ({}), and an edge does not say which; let the edge name it \
                     (`{}.{}`)",
                    found.len(),
                    found.join(", "),
                    full(name),
                    found[0]
                );
                return Err((full(name), problem));
            }
            let found = found.first().copied().unwrap_or(if out { "output" } else { "input" });
            Ok(full(&format!("{name}.{found}")))
        }
        _ => Ok(full(name)),
    };
    // Edges are a set: one that is written twice is one. Two ways over different nodes stay two.
    let mut seen = BTreeSet::new();
    for (from, to) in &graph.edges {
        let edge = (door(from, true)?, door(to, false)?);
        if seen.insert(edge.clone()) {
            flat.edges.push(edge);
        }
    }
    Ok(())
}
