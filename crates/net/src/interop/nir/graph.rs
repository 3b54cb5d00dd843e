//! A NIR graph: its nodes, each with its equation, and its edges. A node may itself be a graph;
//! [`Graph::flattened`] replaces such nested graphs by their nodes.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Named nodes, the edges between them, and text entries about the whole graph.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name → node.
    pub nodes: BTreeMap<String, Node>,
    /// Edges as (from, to) by name. They form a set: an edge listed twice counts once. A node reads
    /// the sum of all edges into it.
    pub edges: Vec<(String, String)>,
    /// Version of the NIR package that wrote the graph; empty in a nested graph.
    pub version: String,
    /// Text entries by key.
    pub metadata: BTreeMap<String, String>,
}

/// Limit on the edges of a flattened graph. Only parallel edges through nested graphs exceed it.
const MAX_EDGES: usize = 1 << 20;

impl Graph {
    /// The same graph with every nested graph replaced by its nodes, named `outer.inner`. The input
    /// and output nodes of nested graphs are removed, and each edge into one is joined to each edge
    /// out of it.
    ///
    /// # Errors
    /// If two nodes would get the same name, if an edge leads to a nested graph with several inputs
    /// (or starts at one with several outputs) without naming which, or if joining creates more
    /// than `MAX_EDGES` edges. The messages name `file`.
    pub fn flattened(&self, file: &Path) -> Result<Graph> {
        let refusal = |node: &str, problem: &str| Error::NirNode {
            file: file.to_owned(),
            node: node.to_owned(),
            problem: problem.to_owned(),
        };
        let mut flat = Graph { version: self.version.clone(), metadata: self.metadata.clone(), ..Graph::default() };
        let mut doors = Vec::new();
        place(self, "", &mut flat, &mut doors).map_err(|(name, problem)| refusal(&name, &problem))?;
        for door in doors {
            let (into, rest): (Vec<_>, Vec<_>) = flat.edges.into_iter().partition(|e| e.1 == door);
            let (out_of, mut edges): (Vec<_>, Vec<_>) = rest.into_iter().partition(|e| e.0 == door);
            if into.len().saturating_mul(out_of.len()) + edges.len() > MAX_EDGES {
                return Err(refusal(&door, "joins more edges than any network has"));
            }
            for (from, _) in &into {
                edges.extend(out_of.iter().map(|(_, to)| (from.clone(), to.clone())));
            }
            flat.nodes.remove(&door);
            flat.edges = edges;
        }
        Ok(flat)
    }

    /// Whether neurons of the graph, or of a nested one, have a synaptic current, so that an import
    /// needs the duration of a step of the run.
    pub fn has_currents(&self) -> bool {
        self.nodes.values().any(|n| match n {
            Node::CubaLif { .. } | Node::Li { .. } => true,
            Node::Graph(inner) => inner.has_currents(),
            _ => false,
        })
    }

    /// Reduces the graph to one input and one output. If `output` is given, keeps that output and
    /// the nodes that lead to it; if `input` is given, keeps that input and the nodes that it leads
    /// to, so any other input counts as silent.
    ///
    /// # Errors
    /// If the graph has several inputs or outputs and none is given, if none has the given name, if
    /// the chosen input does not lead to the output, or if a node behind another input acts on the
    /// network while that input is silent.
    pub(super) fn between(mut self, input: Option<&str>, output: Option<&str>, file: &Path) -> Result<Graph> {
        if let Some(output) = self.chosen(output, "output", |n| matches!(n, Node::Output { .. }), file)? {
            let kept = self.reached(&output, |(from, to)| (to, from));
            self.keep(&kept);
        }
        if let Some(input) = self.chosen(input, "input", |n| matches!(n, Node::Input { .. }), file)? {
            let kept = self.reached(&input, |(from, to)| (from, to));
            self.check_silent(&kept, file)?;
            self.keep(&kept);
            if !self.nodes.values().any(|n| matches!(n, Node::Output { .. })) {
                let problem = format!("input `{input}` does not lead to the output; choose another input");
                return Err(Error::NirGraph { file: file.to_owned(), problem });
            }
        }
        Ok(self)
    }

    /// The door (input or output) that `name` chooses; `None` if there is nothing to choose.
    fn chosen(
        &self,
        name: Option<&str>,
        kind: &'static str,
        is: impl Fn(&Node) -> bool,
        file: &Path,
    ) -> Result<Option<String>> {
        let doors: Vec<String> = self.nodes.iter().filter(|(_, n)| is(n)).map(|(k, _)| k.clone()).collect();
        match name {
            None if doors.len() > 1 => Err(Error::NirDoors { file: file.to_owned(), kind, doors }),
            None => Ok(None),
            Some(name) if doors.iter().any(|d| d == name) => Ok(Some(name.to_owned())),
            Some(name) => {
                let problem = format!("has no {kind} `{name}`; it has {}", doors.join(", "));
                Err(Error::NirGraph { file: file.to_owned(), problem })
            }
        }
    }

    /// Returns an error if a node that is not kept acts on a kept one also while its own input is silent.
    fn check_silent(&self, kept: &BTreeSet<String>, file: &Path) -> Result<()> {
        let dropped = |name: &String| !kept.contains(name);
        let mut before = BTreeSet::new();
        for (from, _) in self.edges.iter().filter(|(from, to)| dropped(from) && !dropped(to)) {
            before.extend(self.reached(from, |(from, to)| (to, from)));
        }
        for name in before.iter().filter(|name| dropped(name)) {
            let Some(tensor) = self.nodes.get(name).and_then(Node::acts_alone) else { continue };
            let problem = format!(
                "its `{tensor}` acts on the network also while its input is silent, so leaving it out with its input \
                 would change the network; give it 0, or join the inputs in the framework that wrote the graph"
            );
            return Err(Error::NirNode { file: file.to_owned(), node: name.clone(), problem });
        }
        Ok(())
    }

    /// The nodes that can be reached from `start` along the edges, which `turn` may reverse.
    fn reached<'a>(&'a self, start: &str, turn: impl Fn((&'a str, &'a str)) -> (&'a str, &'a str)) -> BTreeSet<String> {
        let mut next_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in self.edges.iter().map(|(from, to)| turn((from, to))) {
            next_of.entry(from).or_default().push(to);
        }
        let (mut reached, mut next) = (BTreeSet::from([start.to_owned()]), vec![start.to_owned()]);
        while let Some(at) = next.pop() {
            for to in next_of.get(at.as_str()).into_iter().flatten() {
                if reached.insert((*to).to_owned()) {
                    next.push((*to).to_owned());
                }
            }
        }
        reached
    }

    fn keep(&mut self, names: &BTreeSet<String>) {
        self.nodes.retain(|k, _| names.contains(k));
        self.edges.retain(|(a, b)| names.contains(a) && names.contains(b));
    }
}

/// Copies `graph` into `flat` and prefixes its names. Collects the names of the inputs and outputs
/// of nested graphs in `doors`. An error consists of a node's name and the problem.
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
    // An edge to a nested graph leads to the graph's input, and an edge from one starts at its
    // output. Some writers name that input or output themselves, as `outer.input`.
    let door = |name: &str, out: bool| match graph.nodes.get(name) {
        Some(Node::Graph(inner)) => {
            let is_door =
                |n: &Node| if out { matches!(n, Node::Output { .. }) } else { matches!(n, Node::Input { .. }) };
            let found: Vec<&str> = inner.nodes.iter().filter(|(_, n)| is_door(n)).map(|(k, _)| k.as_str()).collect();
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
    // Drop duplicate edges, because edges form a set. Paths through different nodes remain
    // separate.
    let mut seen = BTreeSet::new();
    for (from, to) in &graph.edges {
        let edge = (door(from, true)?, door(to, false)?);
        if seen.insert(edge.clone()) {
            flat.edges.push(edge);
        }
    }
    Ok(())
}

/// A dense row-major array. Values are f64 in memory, whatever number type the file uses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub data: Vec<f64>,
    /// Whether the writer stores the array as f64 (otherwise as f32).
    pub double: bool,
}

impl Tensor {
    /// An array that is stored as f32.
    pub fn single(shape: &[usize], data: &[f32]) -> Self {
        Self { shape: shape.to_vec(), data: data.iter().map(|&v| f64::from(v)).collect(), double: false }
    }

    /// An array filled with one value; stored as f64 only if f32 cannot represent the value
    /// exactly.
    pub fn full(shape: &[usize], value: f64) -> Self {
        let double = f64::from(value as f32) != value;
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()], double }
    }

    /// The values rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }

    /// Whether every value is zero.
    pub fn is_zero(&self) -> bool {
        self.data.iter().all(|&v| v == 0.0)
    }
}

/// Padding of a convolution; `Size` is (rows, columns), or one number along a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding<Size = (usize, usize)> {
    /// Zeros on both sides.
    Zeros(Size),
    /// As many zeros as keep the size of the input at stride 1.
    Same,
    /// No padding.
    Valid,
}

/// A convolution, y = w ∗ x + b.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// `[C_out, C_in/groups, rows, columns]`.
    pub weight: Tensor,
    /// `[C_out]`.
    pub bias: Tensor,
    /// (rows, columns).
    pub stride: (usize, usize),
    /// Zeros added around the map.
    pub padding: Padding,
    /// (rows, columns).
    pub dilation: (usize, usize),
    /// Number of channel groups.
    pub groups: usize,
    /// (rows, columns) of the input; `None` if the writer omits it.
    pub input: Option<(usize, usize)>,
}

/// A convolution along a line, y = w ∗ x + b.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv1d {
    /// `[C_out, C_in/groups, taps]`.
    pub weight: Tensor,
    /// `[C_out]`.
    pub bias: Tensor,
    /// Inputs from one window to the next.
    pub stride: usize,
    /// Zeros added at both ends.
    pub padding: Padding<usize>,
    /// Inputs from one tap to the next.
    pub dilation: usize,
    /// Number of channel groups.
    pub groups: usize,
    /// Length of the input; `None` if the writer omits it.
    pub input: Option<usize>,
}

/// A pooling window; each pair is (rows, columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Size of the window.
    pub kernel: (usize, usize),
    /// Step from one window to the next.
    pub stride: (usize, usize),
    /// Zeros added around the map.
    pub padding: (usize, usize),
}

/// One node of a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// The input of a graph.
    Input {
        /// Shape of one step without the batch, `[C, H, W]` or `[N]`.
        shape: Vec<usize>,
    },
    /// The output of a graph.
    Output {
        /// Shape of one step without the batch.
        shape: Vec<usize>,
    },
    /// A linear map with bias, y = W·x + b.
    Affine {
        /// `[out, in]`.
        weight: Tensor,
        /// `[out]`.
        bias: Tensor,
    },
    /// A linear map, y = W·x.
    Linear {
        /// `[out, in]`.
        weight: Tensor,
    },
    /// A convolution along a line.
    Conv1d(Conv1d),
    /// A convolution.
    Conv2d(Conv2d),
    /// Mean over windows; zeros of the padding count as values.
    AvgPool2d(Window),
    /// Sum over windows.
    SumPool2d(Window),
    /// Joins the dimensions from `start` to `end`; the batch is not counted as a dimension.
    Flatten {
        /// First dimension.
        start: i64,
        /// Last dimension; a negative number counts from the end.
        end: i64,
        /// Shape of the input; `None` if the writer omits it.
        input: Option<Vec<usize>>,
    },
    /// Multiplies element by element, y = s·x.
    Scale {
        /// s.
        scale: Tensor,
    },
    /// No effect, y = x.
    Identity,
    /// Delays its input, y(t) = x(t − d).
    Delay {
        /// d in seconds.
        delay: Tensor,
    },
    /// Heaviside step, y = 1 if x > θ, else 0.
    Threshold {
        /// θ.
        threshold: Tensor,
    },
    /// Integrator without spikes: dv/dt = r·x; the output is v.
    I {
        /// r.
        r: Tensor,
    },
    /// Integrate and fire: dv/dt = r·x; spikes if v > θ, then v = v_reset.
    If {
        /// r.
        r: Tensor,
        /// θ.
        threshold: Tensor,
        /// v_reset.
        reset: Tensor,
    },
    /// Leaky integrate and fire: τ·dv/dt = (v_leak − v) + r·x; spikes if v > θ, then v = v_reset.
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
    /// Leaky integrator without spikes: τ·dv/dt = (v_leak − v) + r·x; the output is v.
    Li {
        /// τ in seconds.
        tau: Tensor,
        /// r.
        r: Tensor,
        /// v_leak.
        leak: Tensor,
    },
    /// A leaky integrator without spikes that a decaying synaptic current drives:
    /// τ_syn·dI/dt = −I + w_in·x, τ_mem·dv/dt = (v_leak − v) + r·I; the output is v.
    CubaLi {
        /// τ_syn in seconds.
        tau_syn: Tensor,
        /// τ_mem in seconds.
        tau_mem: Tensor,
        /// r.
        r: Tensor,
        /// v_leak.
        leak: Tensor,
        /// w_in.
        w_in: Tensor,
    },
    /// A LIF driven by a decaying synaptic current: τ_syn·dI/dt = −I + w_in·x,
    /// τ_mem·dv/dt = (v_leak − v) + r·I.
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
    /// A nested graph.
    Graph(Graph),
    /// A kind of node that this library does not support. The reader keeps it so that messages can
    /// name it; the writer refuses it.
    Other {
        /// The kind as the file spells it.
        kind: String,
    },
}

impl Node {
    /// The node's arrays with the names that they have in a file.
    pub fn tensors(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Node::Affine { weight, bias } => vec![("weight", weight), ("bias", bias)],
            Node::Linear { weight } => vec![("weight", weight)],
            Node::Conv1d(c) => vec![("weight", &c.weight), ("bias", &c.bias)],
            Node::Conv2d(c) => vec![("weight", &c.weight), ("bias", &c.bias)],
            Node::Scale { scale } => vec![("scale", scale)],
            Node::Delay { delay } => vec![("delay", delay)],
            Node::I { r } => vec![("r", r)],
            Node::Threshold { threshold } => vec![("threshold", threshold)],
            Node::If { r, threshold, reset } => vec![("r", r), ("v_threshold", threshold), ("v_reset", reset)],
            Node::Lif { tau, r, leak, threshold, reset } => {
                vec![("tau", tau), ("r", r), ("v_leak", leak), ("v_threshold", threshold), ("v_reset", reset)]
            }
            Node::Li { tau, r, leak } => vec![("tau", tau), ("r", r), ("v_leak", leak)],
            Node::CubaLi { tau_syn, tau_mem, r, leak, w_in } => {
                vec![("tau_syn", tau_syn), ("tau_mem", tau_mem), ("r", r), ("v_leak", leak), ("w_in", w_in)]
            }
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

    /// The node's array by which its output may be other than 0 while its input is 0; `None` if it is 0.
    fn acts_alone(&self) -> Option<&'static str> {
        // A membrane that rests below its threshold gives no spike.
        let lowest = match self {
            Node::Lif { threshold, .. } | Node::CubaLif { threshold, .. } => {
                threshold.data.iter().copied().fold(f64::INFINITY, f64::min)
            }
            _ => f64::NEG_INFINITY,
        };
        let acts = |(name, t): &(&str, &Tensor)| match *name {
            "bias" => !t.is_zero(),
            "v_leak" => t.data.iter().any(|v| *v != 0.0 && *v >= lowest),
            "threshold" => t.data.iter().any(|v| *v < 0.0),
            _ => false,
        };
        self.tensors().into_iter().find(acts).map(|(name, _)| name)
    }

    /// Whether the node's output is spikes of its own.
    pub(super) fn spikes(&self) -> bool {
        matches!(self, Node::If { .. } | Node::Lif { .. } | Node::CubaLif { .. } | Node::Threshold { .. })
    }

    /// The node's kind as a file spells it.
    pub fn kind(&self) -> &str {
        match self {
            Node::Input { .. } => "Input",
            Node::Output { .. } => "Output",
            Node::Affine { .. } => "Affine",
            Node::Linear { .. } => "Linear",
            Node::Conv1d(_) => "Conv1d",
            Node::Conv2d(_) => "Conv2d",
            Node::AvgPool2d(_) => "AvgPool2d",
            Node::SumPool2d(_) => "SumPool2d",
            Node::Flatten { .. } => "Flatten",
            Node::Scale { .. } => "Scale",
            Node::Identity => "Identity",
            Node::Delay { .. } => "Delay",
            Node::Threshold { .. } => "Threshold",
            Node::I { .. } => "I",
            Node::If { .. } => "IF",
            Node::Lif { .. } => "LIF",
            Node::Li { .. } => "LI",
            Node::CubaLi { .. } => "CubaLI",
            Node::CubaLif { .. } => "CubaLIF",
            Node::Graph(_) => "NIRGraph",
            Node::Other { kind } => kind,
        }
    }
}
