//! The weights of a layer and of the NIR node that states them.

use super::dense::{Layout, ungrouped};
use super::fold::{divided, multiplied};
use super::graph::{Graph, Node, Tensor};
use crate::layer::RecurrentKind;
use crate::weights::Array;

/// A layer with weights and the NIR node that represents it.
#[derive(Debug)]
pub(super) struct Weighted {
    /// The layer's index.
    pub layer: usize,
    /// The node's name.
    pub node: String,
    /// The node's name within the nested graph `node`, if it is within one.
    pub inside: Option<String>,
    /// Factor of the node's input relative to the layer's input, from pooling.
    pub carry: f64,
    /// Which weights, and how they are written.
    pub part: Part,
}

/// Which weights of a layer a node has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Those of a linear layer.
    Matrix,
    /// Those of a convolution with this number of groups along a line.
    Line(usize),
    /// Those of a convolution.
    Map(Layout),
    /// Those of recurrent connections, as an array of this rank.
    Back(RecurrentKind, usize),
}

/// Weight and bias of a layer.
pub(super) struct Read {
    pub weight: Array,
    pub bias: Array,
}

impl Weighted {
    /// Name of the layer's tensor.
    pub fn tensor(&self) -> &'static str {
        if matches!(self.part, Part::Back(..)) { "recurrent" } else { "weight" }
    }

    /// The layer's weights as the graph states them; `None` if the node is gone or has another form.
    pub fn read(&self, graph: &Graph) -> Option<Read> {
        let node = match (graph.nodes.get(&self.node)?, &self.inside) {
            (Node::Graph(inner), Some(name)) => inner.nodes.get(name)?,
            (_, Some(_)) => return None,
            (node, None) => node,
        };
        let (weight, bias) = match node {
            Node::Conv1d(c) => (&c.weight, &c.bias),
            Node::Conv2d(c) => (&c.weight, &c.bias),
            Node::Affine { weight, bias } => (weight, bias),
            _ => return None,
        };
        let weight = match self.part {
            Part::Matrix => weight.clone(),
            Part::Map(layout) => layout.gather(weight)?,
            Part::Line(groups) => {
                let [out, input, taps] = weight.shape[..] else { return None };
                let flat = Tensor { shape: vec![out, input, 1, taps], ..weight.clone() };
                Layout::of_groups(groups, taps).gather(&flat)?
            }
            Part::Back(kind, _) => {
                let n = *weight.shape.first()?;
                if n.checked_mul(n) != Some(weight.data.len()) {
                    return None;
                }
                match kind {
                    RecurrentKind::Dense => Tensor { shape: vec![n, n], ..weight.clone() },
                    RecurrentKind::OneToOne => {
                        let data = (0..n).map(|i| weight.data[i * n + i]).collect();
                        Tensor { shape: vec![n], data, double: weight.double }
                    }
                }
            }
        };
        Some(Read { weight: multiplied(&weight, self.carry), bias: multiplied(bias, 1.0) })
    }

    /// Writes the layer's weights and bias to the node; returns `false` if they are too large.
    pub fn write(&self, graph: &mut Graph, weights: &Array, bias: Option<&Array>) -> bool {
        let own = divided(weights, self.carry);
        let written = match self.part {
            Part::Matrix => Some(own),
            Part::Map(layout) => layout.spread(&own),
            Part::Line(groups) => ungrouped(&own, groups).map(|t| {
                let shape = vec![t.shape[0], t.shape[1], t.shape[3]];
                Tensor { shape, ..t }
            }),
            Part::Back(kind, rank) => square(&own, kind).map(|t| {
                let shape = t.shape.iter().copied().chain([1, 1]).take(rank).collect();
                Tensor { shape, ..t }
            }),
        };
        let Some(written) = written else { return false };
        let out = written.shape.first().copied().unwrap_or(0);
        let bias = match bias.filter(|_| self.tensor() == "weight") {
            Some(b) => Tensor::single(&b.shape, &b.data),
            None => Tensor::full(&[out], 0.0),
        };
        let node = match (graph.nodes.get_mut(&self.node), &self.inside) {
            (Some(Node::Graph(inner)), Some(name)) => inner.nodes.get_mut(name),
            (node, _) => node,
        };
        match node {
            Some(Node::Conv1d(c)) => (c.weight, c.bias) = (written, bias),
            Some(Node::Conv2d(c)) => (c.weight, c.bias) = (written, bias),
            Some(Node::Affine { weight: w, bias: b }) => (*w, *b) = (written, bias),
            _ => {}
        }
        true
    }
}

/// Largest number of rows of a matrix of recurrent weights.
const MAX_ROWS: usize = 1 << 14;

/// Recurrent weights as a matrix `[to, from]`; `None` if it is too large.
fn square(weights: &Tensor, kind: RecurrentKind) -> Option<Tensor> {
    if kind == RecurrentKind::Dense {
        return Some(weights.clone());
    }
    let n = weights.data.len();
    if n > MAX_ROWS {
        return None;
    }
    let mut data = vec![0.0; n * n];
    weights.data.iter().enumerate().for_each(|(i, w)| data[i * n + i] = *w);
    Some(Tensor { shape: vec![n, n], data, double: weights.double })
}
