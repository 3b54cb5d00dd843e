//! Opens the loops of a graph, so that the rest of the import sees none.
//!
//! A layer of this library may send its spikes back to itself ([`crate::layer::Recurrent`]). A loop
//! of a graph is taken for such connections if it holds exactly one node of spiking neurons. From
//! this node each way back is a chain of linear nodes:
//!
//! ```text
//! neuron → Affine | Linear | Scale | Delay | convolution with one tap → … → neuron
//! ```
//!
//! The ways leave the graph and become the weights of the recurrent connections. A bias on a way
//! acts in every step, as the bias of the layer before the neurons does, and goes into that one.
//! snnTorch and Norse write such loops, as nested graphs or flat.

use super::dense::ungrouped;
use super::graph::{Graph, Node, Padding, Tensor};
use super::to_network_neuron::{channel_values, same_everywhere};
use crate::error::{Error, Result};
use crate::layer::RecurrentKind;
use crate::shape::Shape;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One linear map on a way back.
#[derive(Debug, Clone, PartialEq)]
enum Factor {
    /// Multiplies element by element.
    Each(Tensor),
    /// A matrix `[to, from]` over all values.
    Dense(Tensor),
    /// A matrix `[to, from]` over the channels, the same at every position.
    Channels(Tensor),
}

/// A way from a layer of neurons back to itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    factors: Vec<Factor>,
    /// Sum of the delays on the way, in seconds.
    pub delay: f64,
}

/// The largest number of nodes of a loop that a message names.
const NAMED: usize = 8;

/// Removes the loops from a flat graph; returns the ways back of each node of neurons.
///
/// # Errors
/// If a loop is no recurrent connection of one layer; the message names a node of the loop.
pub(super) fn open(graph: &mut Graph, file: &Path) -> Result<BTreeMap<String, Vec<Way>>> {
    let parts = cycles(graph);
    if parts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ends = Ends::of(graph);
    let (mut all, mut part_of) = (BTreeMap::new(), BTreeMap::new());
    for (k, part) in parts.into_iter().enumerate() {
        let refusal = |(node, problem): (String, String)| Error::NirNode { file: file.to_owned(), node, problem };
        let (neuron, ways) = open_one(graph, &ends, &part).map_err(refusal)?;
        all.insert(neuron, ways);
        part_of.extend(part.into_iter().map(|name| (name, k)));
    }
    graph.nodes.retain(|name, _| all.contains_key(name) || !part_of.contains_key(name));
    graph.edges.retain(|(from, to)| match (part_of.get(from), part_of.get(to)) {
        (Some(a), Some(b)) => a != b,
        _ => true,
    });
    Ok(all)
}

/// The nodes before and after each node.
struct Ends {
    into: BTreeMap<String, Vec<String>>,
    out_of: BTreeMap<String, Vec<String>>,
}

impl Ends {
    fn of(graph: &Graph) -> Self {
        let mut all = Self { into: BTreeMap::new(), out_of: BTreeMap::new() };
        for (from, to) in &graph.edges {
            all.into.entry(to.clone()).or_default().push(from.clone());
            all.out_of.entry(from.clone()).or_default().push(to.clone());
        }
        all
    }

    fn into(&self, name: &str) -> &[String] {
        self.into.get(name).map_or(&[], Vec::as_slice)
    }

    fn out_of(&self, name: &str) -> &[String] {
        self.out_of.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The neurons of a loop and the ways back to them. An error consists of a node's name and the
/// problem.
fn open_one(
    graph: &mut Graph,
    ends: &Ends,
    part: &BTreeSet<String>,
) -> std::result::Result<(String, Vec<Way>), (String, String)> {
    let listed = part.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let spikes = |name: &&String| graph.nodes.get(*name).is_some_and(Node::spikes);
    let neurons: Vec<&String> = part.iter().filter(spikes).collect();
    let neuron = match neurons.as_slice() {
        [one] => (*one).clone(),
        [] => {
            let first = part.first().cloned().unwrap_or_default();
            return Err((first, format!("is part of a loop ({listed}) without spiking neurons; cut the loop")));
        }
        [first, ..] => {
            let problem = format!(
                "is part of a loop ({listed}) through several layers of neurons, and here spikes return only to their \
                 own layer; cut or unroll the loop"
            );
            return Err(((*first).clone(), problem));
        }
    };
    let (mut ways, mut biases) = (Vec::new(), Vec::new());
    for first in ends.out_of(&neuron).iter().filter(|to| part.contains(*to)) {
        let (mut way, mut at) = (Way { factors: Vec::new(), delay: 0.0 }, first);
        while *at != neuron {
            let refuse = |problem: &str| Err((at.clone(), format!("is part of a loop ({listed}) {problem}")));
            let ([_], [next]) = (ends.into(at), ends.out_of(at)) else {
                return refuse("and also joined to other nodes; give the loop weights of its own");
            };
            let Some(node) = graph.nodes.get(at) else { return refuse("and is no node") };
            match step(node, &mut way) {
                Ok(None) => {}
                Ok(Some(bias)) => biases.push((at.clone(), bias, *next == neuron)),
                Err(problem) => return refuse(&problem),
            }
            at = next;
        }
        if way.factors.iter().filter(|f| !matches!(f, Factor::Each(_))).count() > 1 {
            let problem = format!("is part of a loop ({listed}) with two matrices of weights; multiply them into one");
            return Err((neuron, problem));
        }
        ways.push(way);
    }
    let before: Vec<&String> = ends.into(&neuron).iter().filter(|from| !part.contains(*from)).collect();
    for (node, bias, last) in biases {
        let taken = match before.as_slice() {
            [one] if last && ends.out_of(one).len() == 1 => add_bias(graph.nodes.get_mut(*one), &bias),
            _ => false,
        };
        if !taken {
            let problem = format!(
                "is part of a loop ({listed}) and has a bias, which no layer before the neurons of its own can take up; \
                 add it to the bias of that layer"
            );
            return Err((node, problem));
        }
    }
    Ok((neuron, ways))
}

/// Adds a node to a way; returns its bias unless that is 0. An error says what may stand in a loop.
fn step(node: &Node, way: &mut Way) -> std::result::Result<Option<Tensor>, String> {
    let bias = |b: &Tensor| if b.is_zero() { None } else { Some(b.clone()) };
    let one_tap = |weight: &Tensor, groups: usize| {
        let taps = weight.shape.get(2..).unwrap_or_default();
        let flat = Tensor { shape: weight.shape.iter().copied().take(2).chain([1, 1]).collect(), ..weight.clone() };
        let full = if taps.iter().all(|t| *t == 1) { ungrouped(&flat, groups) } else { None };
        match full {
            Some(t) => Ok(Factor::Channels(Tensor { shape: t.shape[..2].to_vec(), ..t })),
            None => Err("and has a kernel of more than one tap; a loop can hold kernels of one tap".to_owned()),
        }
    };
    match node {
        Node::Affine { weight, bias: b } => {
            way.factors.push(Factor::Dense(weight.clone()));
            return Ok(bias(b));
        }
        Node::Linear { weight } => way.factors.push(Factor::Dense(weight.clone())),
        Node::Scale { scale } => way.factors.push(Factor::Each(scale.clone())),
        Node::Identity | Node::Flatten { .. } => {}
        Node::Delay { delay } => match same_everywhere(delay) {
            Some(d) if d >= 0.0 => way.delay += d,
            _ => return Err("and its delays differ or are below 0; give all the same delay".to_owned()),
        },
        Node::Conv1d(c) if c.stride == 1 && !matches!(c.padding, Padding::Zeros(1..)) => {
            way.factors.push(one_tap(&c.weight, c.groups)?);
            return Ok(bias(&c.bias));
        }
        Node::Conv2d(c) if c.stride == (1, 1) && !matches!(c.padding, Padding::Zeros((1.., _) | (_, 1..))) => {
            way.factors.push(one_tap(&c.weight, c.groups)?);
            return Ok(bias(&c.bias));
        }
        other => {
            return Err(format!(
                "and is a `{}`; a loop can hold Affine, Linear, Scale, Delay and convolutions with one tap, stride 1 and \
                 no padding",
                other.kind()
            ));
        }
    }
    Ok(None)
}

/// Adds a bias to that of a node with weights; returns `false` if the node cannot take it up.
fn add_bias(node: Option<&mut Node>, bias: &Tensor) -> bool {
    let add = |to: &mut Tensor| {
        let fits = to.data.len() == bias.data.len();
        if fits {
            to.data.iter_mut().zip(&bias.data).for_each(|(t, b)| *t += b);
        }
        fits
    };
    match node {
        Some(Node::Affine { bias: to, .. }) => add(to),
        Some(Node::Conv1d(c)) => add(&mut c.bias),
        Some(Node::Conv2d(c)) => add(&mut c.bias),
        Some(node) => match node {
            Node::Linear { weight } if weight.shape.first() == Some(&bias.data.len()) => {
                *node = Node::Affine { weight: weight.clone(), bias: bias.clone() };
                true
            }
            _ => false,
        },
        None => false,
    }
}

/// The weights of recurrent connections with these ways, for a layer of `shape`: one for each
/// channel, or a matrix `[to, from]` over the channels.
///
/// # Errors
/// If the ways join values of a map at different positions, or do not fit the layer.
pub(super) fn weights(ways: &[Way], shape: Shape) -> std::result::Result<(RecurrentKind, Vec<f64>), String> {
    let channels = shape.channels;
    let mut each = vec![0.0; channels];
    let mut dense: Option<Vec<f64>> = None;
    for way in ways {
        let (mut before, mut after) = (vec![1.0; channels], vec![1.0; channels]);
        let mut matrix: Option<&Tensor> = None;
        for factor in &way.factors {
            match factor {
                Factor::Each(scale) => {
                    let Some(factors) = channel_values(scale, shape, &[]) else {
                        return Err(format!(
                            "has a `Scale` {:?} in its loop, not one factor for each channel",
                            scale.shape
                        ));
                    };
                    let side = if matrix.is_none() { &mut before } else { &mut after };
                    side.iter_mut().zip(&factors).for_each(|(s, f)| *s *= f);
                }
                Factor::Dense(m) | Factor::Channels(m) => {
                    let size = if matches!(factor, Factor::Dense(_)) { shape.len() } else { channels };
                    if m.shape != [size, size] {
                        return Err(format!("has weights {:?} in its loop for a layer of {shape}", m.shape));
                    }
                    if size != channels {
                        let problem = format!(
                            "has weights in its loop that join positions of the map {shape}; only channels at one position \
                             can be joined here (a convolution with one tap)"
                        );
                        return Err(problem);
                    }
                    matrix = Some(m);
                }
            }
        }
        match matrix {
            None => each.iter_mut().zip(before.iter().zip(&after)).for_each(|(e, (b, a))| *e += b * a),
            Some(m) => {
                let sum = dense.get_or_insert_with(|| vec![0.0; m.data.len()]);
                for (i, (s, w)) in sum.iter_mut().zip(&m.data).enumerate() {
                    *s += after[i / channels] * w * before[i % channels];
                }
            }
        }
    }
    Ok(match dense {
        None => (RecurrentKind::OneToOne, each),
        Some(mut all) => {
            each.iter().enumerate().for_each(|(c, e)| all[c * channels + c] += e);
            (RecurrentKind::Dense, all)
        }
    })
}

/// The sets of nodes that lead to one another, and nodes that lead to themselves, by the algorithm
/// of Kosaraju.
fn cycles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let names: Vec<&str> = graph.nodes.keys().map(String::as_str).collect();
    let index: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    let (mut to, mut from) = (vec![Vec::new(); names.len()], vec![Vec::new(); names.len()]);
    for (a, b) in &graph.edges {
        if let (Some(&a), Some(&b)) = (index.get(a.as_str()), index.get(b.as_str())) {
            to[a].push(b);
            from[b].push(a);
        }
    }
    let mut seen = vec![false; names.len()];
    let mut finished = Vec::with_capacity(names.len());
    for start in 0..names.len() {
        visit(start, &to, &mut seen, &mut finished);
    }
    let mut seen = vec![false; names.len()];
    let mut all = Vec::new();
    for &start in finished.iter().rev() {
        let mut part = Vec::new();
        visit(start, &from, &mut seen, &mut part);
        if part.len() > 1 || part.iter().any(|&i| to[i].contains(&i)) {
            all.push(part.into_iter().map(|i| names[i].to_owned()).collect());
        }
    }
    all
}

/// Depth-first search from `start`; appends the nodes to `finished` in the order in which they end.
fn visit(start: usize, to: &[Vec<usize>], seen: &mut [bool], finished: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut stack = vec![(start, 0)];
    while let Some((at, next)) = stack.last_mut() {
        match to[*at].get(*next) {
            Some(&child) => {
                *next += 1;
                if !std::mem::replace(&mut seen[child], true) {
                    stack.push((child, 0));
                }
            }
            None => {
                finished.push(*at);
                stack.pop();
            }
        }
    }
}
