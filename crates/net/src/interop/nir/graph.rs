//! A NIR graph: its nodes, each with its equation, and its edges. A node may be a graph again;
//! [`Graph::flattened`] takes such graphs apart.

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

/// A dense row-major array; values are kept in f64 whatever the file has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its values.
    pub data: Vec<f64>,
    /// Whether it is written as f64 (else f32).
    pub double: bool,
}

impl Tensor {
    /// An f32 array.
    pub fn single(shape: &[usize], data: &[f32]) -> Self {
        Self { shape: shape.to_vec(), data: data.iter().map(|&v| f64::from(v)).collect(), double: false }
    }

    /// An array of one value; f64 only where f32 does not hold it.
    pub fn full(shape: &[usize], value: f64) -> Self {
        let double = f64::from(value as f32) != value;
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()], double }
    }

    /// Its values rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }

    /// Whether every value is zero.
    pub fn is_zero(&self) -> bool {
        self.data.iter().all(|&v| v == 0.0)
    }
}

/// Padding of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros on both sides, (rows, columns).
    Zeros(usize, usize),
    /// As much as keeps the size at stride 1.
    Same,
    /// None.
    Valid,
}

/// y = w ∗ x + b.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// `[C_out, C_in/groups, rows, columns]`.
    pub weight: Tensor,
    /// `[C_out]`.
    pub bias: Tensor,
    /// (rows, columns).
    pub stride: (usize, usize),
    /// Zeros around the map.
    pub padding: Padding,
    /// (rows, columns).
    pub dilation: (usize, usize),
    /// Groups of channels.
    pub groups: usize,
    /// (rows, columns) of the input; some writers leave it out.
    pub input: Option<(usize, usize)>,
}

/// A pooling window, (rows, columns) each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its size.
    pub kernel: (usize, usize),
    /// Its stride.
    pub stride: (usize, usize),
    /// Zeros around the map.
    pub padding: (usize, usize),
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Entry of a graph; shape of one step without the batch, `[C, H, W]` or `[N]`.
    Input {
        /// That shape.
        shape: Vec<usize>,
    },
    /// Exit of a graph.
    Output {
        /// Shape of one step.
        shape: Vec<usize>,
    },
    /// y = W·x + b.
    Affine {
        /// `[out, in]`.
        weight: Tensor,
        /// `[out]`.
        bias: Tensor,
    },
    /// y = W·x.
    Linear {
        /// `[out, in]`.
        weight: Tensor,
    },
    /// Convolution.
    Conv2d(Conv2d),
    /// Mean over windows; zeros of the padding count.
    AvgPool2d(Window),
    /// Sum over windows.
    SumPool2d(Window),
    /// Joins the dimensions from `start` to `end`, the batch not counted.
    Flatten {
        /// First dimension.
        start: i64,
        /// Last dimension; negative counts from the end.
        end: i64,
        /// Shape of the input; some writers leave it out.
        input: Option<Vec<usize>>,
    },
    /// y = s·x, element by element.
    Scale {
        /// s.
        scale: Tensor,
    },
    /// y = H(x − θ).
    Threshold {
        /// θ.
        threshold: Tensor,
    },
    /// dv/dt = r·x; spike where v > θ, then v = v_reset.
    If {
        /// r.
        r: Tensor,
        /// θ.
        threshold: Tensor,
        /// v_reset.
        reset: Tensor,
    },
    /// τ·dv/dt = (v_leak − v) + r·x; spike where v > θ, then v = v_reset.
    Lif {
        /// τ in seconds (sinabs: in steps).
        tau: Tensor,
        /// r.
        r: Tensor,
        /// v_leak.
        leak: Tensor,
        /// θ.
        threshold: Tensor,
        /// v_reset.
        reset: Tensor,
    },
    /// τ·dv/dt = (v_leak − v) + r·x, given out as it is.
    Li {
        /// τ in seconds.
        tau: Tensor,
        /// r.
        r: Tensor,
        /// v_leak.
        leak: Tensor,
    },
    /// A LIF behind a current that decays: τ_syn·dI/dt = −I + w_in·x, τ_mem·dv/dt = (v_leak − v) + r·I.
    CubaLif {
        /// τ_syn in seconds.
        tau_syn: Tensor,
        /// τ_mem in seconds.
        tau_mem: Tensor,
        /// r.
        r: Tensor,
        /// v_leak.
        leak: Tensor,
        /// θ.
        threshold: Tensor,
        /// v_reset.
        reset: Tensor,
        /// w_in.
        w_in: Tensor,
    },
    /// A graph within the graph.
    Graph(Graph),
    /// A kind that this library has no use for; kept so that a message can name it. It cannot be written.
    Other {
        /// The file's word for it.
        kind: String,
    },
}

impl Node {
    /// Its arrays by the file's names.
    pub fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Node::Affine { weight, bias } => vec![("weight", weight), ("bias", bias)],
            Node::Linear { weight } => vec![("weight", weight)],
            Node::Conv2d(c) => vec![("weight", &c.weight), ("bias", &c.bias)],
            Node::Scale { scale } => vec![("scale", scale)],
            Node::Threshold { threshold } => vec![("threshold", threshold)],
            Node::If { r, threshold, reset } => vec![("r", r), ("v_threshold", threshold), ("v_reset", reset)],
            Node::Lif { tau, r, leak, threshold, reset } => {
                vec![("tau", tau), ("r", r), ("v_leak", leak), ("v_threshold", threshold), ("v_reset", reset)]
            }
            Node::Li { tau, r, leak } => vec![("tau", tau), ("r", r), ("v_leak", leak)],
            Node::CubaLif { tau_syn, tau_mem, r, leak, threshold, reset, w_in } => vec![
                ("tau_syn", tau_syn),
                ("tau_mem", tau_mem),
                ("r", r),
                ("v_leak", leak),
                ("v_threshold", threshold),
                ("w_in", w_in),
                ("v_reset", reset),
            ],
            _ => Vec::new(),
        }
    }

    /// The word of the file.
    pub fn kind(&self) -> &str {
        match self {
            Node::Input { .. } => "Input",
            Node::Output { .. } => "Output",
            Node::Affine { .. } => "Affine",
            Node::Linear { .. } => "Linear",
            Node::Conv2d(_) => "Conv2d",
            Node::AvgPool2d(_) => "AvgPool2d",
            Node::SumPool2d(_) => "SumPool2d",
            Node::Flatten { .. } => "Flatten",
            Node::Scale { .. } => "Scale",
            Node::Threshold { .. } => "Threshold",
            Node::If { .. } => "IF",
            Node::Lif { .. } => "LIF",
            Node::Li { .. } => "LI",
            Node::CubaLif { .. } => "CubaLIF",
            Node::Graph(_) => "NIRGraph",
            Node::Other { kind } => kind,
        }
    }
}
