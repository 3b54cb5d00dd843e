//! Sorts the nodes of a graph so that every node comes after the nodes that lead to it.

use super::graph::{Graph, Node};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A flat, acyclic graph with one input and one output, and its node order.
#[derive(Debug)]
pub(super) struct Topology<'a> {
    pub input: &'a str,
    pub output: &'a str,
    /// All nodes in topological order; among nodes that are ready, the first by name.
    pub order: Vec<&'a str>,
    /// Name → sources of its edges, in the order of the file.
    pub from: BTreeMap<&'a str, Vec<&'a str>>,
    /// Name → number of edges that start there.
    pub readers: BTreeMap<&'a str, usize>,
}

impl<'a> Topology<'a> {
    /// Sorts the nodes of `graph`, which has no loops (`loops::open` removes them); the messages name
    /// `file`.
    ///
    /// # Errors
    /// If the graph has not exactly one input and one output, if an edge names an unknown node, or
    /// if a node is not connected.
    pub fn new(graph: &'a Graph, file: &Path) -> Result<Self> {
        let refusal = |node: &str, problem: String| Error::NirNode { file: file.into(), node: node.into(), problem };
        let input = only_node(graph, "Input", |n| matches!(n, Node::Input { .. }), file)?;
        let output = only_node(graph, "Output", |n| matches!(n, Node::Output { .. }), file)?;
        let mut from: BTreeMap<&str, Vec<&str>> = graph.nodes.keys().map(|k| (k.as_str(), Vec::new())).collect();
        let mut to: BTreeMap<&str, Vec<&str>> = from.clone();
        for (a, b) in &graph.edges {
            for (end, other) in [(a, b), (b, a)] {
                if !graph.nodes.contains_key(end) {
                    let problem =
                        format!("an edge joins it to `{end}`, which is no node; remove the edge or add the node");
                    return Err(refusal(other, problem));
                }
            }
            if let (Some(f), Some(t)) = (from.get_mut(b.as_str()), to.get_mut(a.as_str())) {
                f.push(a);
                t.push(b);
            }
        }
        for name in graph.nodes.keys().map(String::as_str) {
            if from[name].is_empty() && name != input {
                return Err(refusal(name, "no edge leads to it; remove it or connect it".into()));
            }
            if to[name].is_empty() && name != output {
                return Err(refusal(name, "no edge leads from it; remove it or connect it to the output".into()));
            }
        }
        let mut waits: BTreeMap<&str, usize> = from.iter().map(|(k, f)| (*k, f.len())).collect();
        let mut ready: BTreeSet<&str> = waits.iter().filter(|w| *w.1 == 0).map(|w| *w.0).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(name) = ready.pop_first() {
            order.push(name);
            for next in &to[name] {
                if let Some(n) = waits.get_mut(next) {
                    *n -= 1;
                    if *n == 0 {
                        ready.insert(next);
                    }
                }
            }
        }
        let readers = to.iter().map(|(k, t)| (*k, t.len())).collect();
        Ok(Self { input, output, order, from, readers })
    }
}

/// The name of the only node of a kind.
fn only_node<'a>(graph: &'a Graph, kind: &str, is: impl Fn(&Node) -> bool, file: &Path) -> Result<&'a str> {
    let found: Vec<&str> = graph.nodes.iter().filter(|(_, n)| is(n)).map(|(k, _)| k.as_str()).collect();
    let refuse = |problem: String| Err(Error::NirGraph { file: file.into(), problem });
    match found.as_slice() {
        [one] => Ok(one),
        [] => refuse(format!("has no `{kind}` node; add one")),
        many => refuse(format!(
            "has {} nodes `{kind}` ({}), and a network has one; join them in the framework that wrote it",
            many.len(),
            many.join(", ")
        )),
    }
}
