//! Random NIR graphs of all kinds of nodes, made from bytes: most of them chains whose shapes fit,
//! with loops, branches, nested graphs and several inputs, and some numbers that no graph should
//! have. A fuzzer that changes the bytes changes the graph a little.

use std::collections::BTreeMap;
use tickless_net::interop::nir::{Conv1d, Conv2d, Graph, Node, Padding, Tensor, Window};

/// Choices that come from bytes; after the last byte every choice is 0.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn byte(&mut self) -> usize {
        self.0.next().copied().unwrap_or(0).into()
    }

    fn below(&mut self, n: usize) -> usize {
        self.byte() % n.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.byte() % n == n - 1
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A size that is small, or rarely 0 or far too large.
    fn size(&mut self) -> usize {
        if self.one_in(64) { self.pick(&[0, 1 << 20, usize::MAX, 1 << 40]) } else { 1 + self.below(4) }
    }

    fn value(&mut self) -> f64 {
        const ODD: [f64; 8] = [0.0, -1.0, 1e-40, 1e39, -1e300, f64::NAN, f64::INFINITY, 5e-324];
        if self.one_in(32) { self.pick(&ODD) } else { self.pick(&[1.0, 0.5, 2.0, 0.25, -0.5, 1e-3, 1e-2, 1e4]) }
    }

    /// A value that a neuron can have.
    fn positive(&mut self) -> f64 {
        if self.one_in(16) { self.value() } else { self.pick(&[1.0, 0.5, 2.0, 1e-2, 2e-2, 2e-4, 4e-4, 1e4]) }
    }

    /// An array of this shape, or rarely of another.
    fn tensor(&mut self, shape: &[usize], mut value: impl FnMut(&mut Self) -> f64) -> Tensor {
        let shape: Vec<usize> = match self.below(16) {
            13 => vec![1],
            14 => Vec::new(),
            15 => shape.iter().rev().copied().collect(),
            _ => shape.to_vec(),
        };
        // The values repeat, so a large array takes few bytes.
        let few: Vec<f64> = (0..1 + self.below(3)).map(|_| value(self)).collect();
        let len = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= 1 << 12).unwrap_or(3);
        let data = (0..len).map(|i| few[i % few.len()]).collect();
        Tensor { shape, data, double: self.one_in(2) }
    }
}

/// A graph that `bytes` choose.
pub fn graph(bytes: &[u8]) -> Graph {
    let c = &mut Choices(bytes.iter());
    let mut graph = made(c, 0);
    if c.one_in(4) {
        graph.version = "1.0.8".to_owned();
    }
    if c.one_in(8) {
        graph.metadata.insert("tickless".to_owned(), "{}".to_owned());
    }
    graph
}

fn made(c: &mut Choices, depth: usize) -> Graph {
    let mut shape: Vec<usize> = match c.below(4) {
        0 => vec![c.size()],
        1 => vec![c.size(), c.size().saturating_add(2)],
        _ => vec![c.size(), c.size().saturating_add(2), c.size().saturating_add(2)],
    };
    let mut nodes = BTreeMap::from([("input".to_owned(), Node::Input { shape: shape.clone() })]);
    let mut names = vec!["input".to_owned()];
    let mut edges = Vec::new();
    for k in 0..1 + c.below(7) {
        let name = format!("n{k}");
        let node = node(c, &mut shape, depth);
        nodes.insert(name.clone(), node);
        edges.push((names[names.len() - 1].clone(), name.clone()));
        names.push(name);
    }
    nodes.insert("output".to_owned(), Node::Output { shape: shape.clone() });
    edges.push((names[names.len() - 1].clone(), "output".to_owned()));
    // A loop through weights of its own, a branch, a second input or output, an edge too many.
    let n = shape.last().copied().unwrap_or(1).min(64);
    for _ in 0..c.below(3) {
        let (a, b) = (names[c.below(names.len())].clone(), names[c.below(names.len())].clone());
        match c.below(5) {
            0 => {
                let back = match c.below(3) {
                    0 => Node::Linear { weight: c.tensor(&[n, n], Choices::value) },
                    1 => {
                        Node::Affine { weight: c.tensor(&[n, n], Choices::value), bias: c.tensor(&[n], Choices::value) }
                    }
                    _ => Node::Delay { delay: c.tensor(&[n], Choices::positive) },
                };
                let name = format!("back{}", nodes.len());
                nodes.insert(name.clone(), back);
                edges.push((a.clone(), name.clone()));
                edges.push((name, a));
            }
            1 => {
                let name = format!("input{}", nodes.len());
                nodes.insert(name.clone(), Node::Input { shape: shape.clone() });
                edges.push((name, a));
            }
            2 => {
                let name = format!("output{}", nodes.len());
                nodes.insert(name.clone(), Node::Output { shape: shape.clone() });
                edges.push((a, name));
            }
            3 => edges.push((a, "nowhere".to_owned())),
            _ => edges.push((a, b)),
        }
    }
    Graph { nodes, edges, ..Graph::default() }
}

/// A node that reads `shape`, which becomes that of its output.
fn node(c: &mut Choices, shape: &mut Vec<usize>, depth: usize) -> Node {
    let own = shape.clone();
    let neurons = |c: &mut Choices| {
        let mut t = |value: f64| c.tensor(&own, |c| if c.one_in(8) { c.positive() } else { value });
        (t(0.02), t(1.0), t(0.0), t(1.0), t(0.0))
    };
    match c.below(18) {
        0 | 1 => {
            let (out, input) = (c.size(), shape.iter().copied().fold(1, usize::saturating_mul));
            *shape = vec![out];
            let weight = c.tensor(&[out, input], Choices::value);
            if c.one_in(2) {
                Node::Linear { weight }
            } else {
                Node::Affine { weight, bias: c.tensor(&[out], Choices::value) }
            }
        }
        2 | 3 => {
            let (out, kernel, groups) = (c.size(), (c.size(), c.size()), c.pick(&[1, 1, 2, 0]));
            let channels = shape.first().copied().unwrap_or(1) / groups.max(1);
            let padding = match c.below(4) {
                0 => Padding::Same,
                1 => Padding::Valid,
                _ => Padding::Zeros((c.below(3), c.below(3))),
            };
            if let Some(first) = shape.first_mut() {
                *first = out;
            }
            Node::Conv2d(Conv2d {
                weight: c.tensor(&[out, channels, kernel.0, kernel.1], Choices::value),
                bias: c.tensor(&[out], Choices::value),
                stride: (c.size(), c.size()),
                padding,
                dilation: (c.size(), 1),
                groups,
                input: None,
            })
        }
        4 => {
            let (out, taps) = (c.size(), c.size());
            let channels = shape.first().copied().unwrap_or(1);
            let padding = if c.one_in(3) { Padding::Same } else { Padding::Zeros(c.below(3)) };
            if let Some(first) = shape.first_mut() {
                *first = out;
            }
            Node::Conv1d(Conv1d {
                weight: c.tensor(&[out, channels, taps], Choices::value),
                bias: c.tensor(&[out], Choices::value),
                stride: 1,
                padding,
                dilation: c.size(),
                groups: 1,
                input: None,
            })
        }
        5 | 6 => {
            let window = Window {
                kernel: (c.size(), c.size()),
                stride: (c.size(), c.size()),
                padding: (c.below(2), c.below(2)),
            };
            if c.one_in(2) { Node::AvgPool2d(window) } else { Node::SumPool2d(window) }
        }
        7 => {
            let (start, end) = (c.pick(&[0, 0, 1, -1, i64::MIN]), c.pick(&[-1, -1, 2, 0, i64::MAX]));
            *shape = vec![shape.iter().copied().fold(1, usize::saturating_mul)];
            Node::Flatten { start, end, input: None }
        }
        8 => Node::Scale { scale: c.tensor(&own, Choices::value) },
        9 => Node::Identity,
        10 => Node::Delay { delay: c.tensor(&own, Choices::positive) },
        11 => Node::Threshold { threshold: c.tensor(&own, Choices::positive) },
        12 => {
            let (_, r, _, threshold, reset) = neurons(c);
            if c.one_in(3) { Node::I { r } } else { Node::If { r, threshold, reset } }
        }
        13 | 14 => {
            let (tau, r, leak, threshold, reset) = neurons(c);
            Node::Lif { tau, r, leak, threshold, reset }
        }
        15 => {
            let (tau, r, leak, threshold, reset) = neurons(c);
            let (tau_syn, w_in) = (c.tensor(&own, |_| 0.01), c.tensor(&own, Choices::positive));
            if c.one_in(2) {
                Node::CubaLi { tau_syn, tau_mem: tau, r, leak, w_in }
            } else {
                Node::CubaLif { tau_syn, tau_mem: tau, r, leak, threshold, reset, w_in }
            }
        }
        16 => {
            let (tau, r, leak, ..) = neurons(c);
            Node::Li { tau, r, leak }
        }
        _ if depth < 2 && c.one_in(2) => Node::Graph(made(c, depth + 1)),
        _ => Node::Other { kind: "Sequence".to_owned() },
    }
}
