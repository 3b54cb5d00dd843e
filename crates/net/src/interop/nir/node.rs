//! The nodes of a NIR graph, each with its equation.

use super::graph::Graph;

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
