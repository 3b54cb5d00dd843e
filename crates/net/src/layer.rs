//! The layers of a network and the output shape of each.

use crate::error::{Error, Result};
use crate::neuron::{Leak, Neuron};
use crate::shape::{Shape, windows};
use serde::{Deserialize, Serialize};
use tickless_words::words;

/// The rule by which a temporal transformation module (TTM) converts between the time steps of two
/// stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TtmMode {
    /// Fewer steps: sums contiguous groups of steps. More steps: repeats steps.
    #[default]
    Even,
    /// Weights each step by the overlap of the old and new steps as intervals of time.
    Soft,
    /// Fewer steps: keeps the first ones. More steps: as `even`.
    Trim,
    /// Uses non-empty contiguous groups, drawn at random at each call.
    Random,
}

words!(serde TtmMode, "mode of a ttm", { Even = "even", Soft = "soft", Trim = "trim", Random = "random" });

/// A two-dimensional convolution with square kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv {
    /// Output channels.
    pub out: usize,
    /// Kernel side.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zero padding on each side.
    pub padding: usize,
    /// Number of channel groups.
    pub groups: usize,
    /// Whether the layer adds a bias.
    pub bias: bool,
}

impl Conv {
    /// A 3×3 convolution with stride 1, padding 1 and no bias.
    pub const fn c3(out: usize) -> Self {
        Self { out, kernel: 3, stride: 1, padding: 1, groups: 1, bias: false }
    }

    /// The same convolution with another stride.
    pub const fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

/// A fully connected layer; it flattens its input in the order (C, H, W).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linear {
    /// Output values.
    pub out: usize,
    /// Whether the layer adds a bias.
    pub bias: bool,
}

/// Batch normalisation over batch, time and space, per channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// ε in y = γ·(x − μ)/√(σ² + ε) + β.
    pub eps: f64,
    /// Weight of a new batch in the running statistics.
    pub momentum: f64,
}

impl Default for Norm {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1 }
    }
}

/// The value that a pooling window computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The mean; zeros of the padding count as values.
    Average,
    /// The sum.
    Sum,
    /// The largest value (clocked networks only).
    Max,
}

words!(serde PoolKind, "kind of pooling", { Average = "average", Sum = "sum", Max = "max" });

/// A pooling layer; it drops rows and columns at the end that do not fill a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The value that each window computes.
    pub kind: PoolKind,
    /// Window side.
    pub kernel: usize,
    /// Stride (usually the window side).
    pub stride: usize,
    /// Padding on each side.
    pub padding: usize,
}

impl Pool {
    /// k×k average pooling with stride k.
    pub const fn average(k: usize) -> Self {
        Self { kind: PoolKind::Average, kernel: k, stride: k, padding: 0 }
    }

    /// k×k sum pooling with stride k.
    pub const fn sum(k: usize) -> Self {
        Self { kind: PoolKind::Sum, kernel: k, stride: k, padding: 0 }
    }
}

/// One layer. Each has one input, except [`Layer::Add`], which has two or more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Start of a stage: changes the number of time steps, but not the shape of a step.
    Ttm(TtmMode),
    /// A convolution.
    Conv(Conv),
    /// Batch normalisation.
    Norm(Norm),
    /// Spiking neurons, one per value.
    Neuron(Neuron),
    /// Pooling.
    Pool(Pool),
    /// Mean over height and width; the output is a vector of channels.
    GlobalAverage,
    /// A fully connected layer.
    Linear(Linear),
    /// Sum of the inputs (a residual merge).
    Add,
}

/// The kind of a [`Layer`], without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// [`Layer::Ttm`]
    Ttm,
    /// [`Layer::Conv`]
    Conv,
    /// [`Layer::Norm`]
    Norm,
    /// [`Layer::Neuron`]
    Neuron,
    /// [`Layer::Pool`]
    Pool,
    /// [`Layer::GlobalAverage`]
    GlobalAverage,
    /// [`Layer::Linear`]
    Linear,
    /// [`Layer::Add`]
    Add,
}

words!(LayerKind, "layer", {
    Ttm = "ttm",
    Conv = "conv",
    Norm = "norm",
    Neuron = "neuron",
    Pool = "pool",
    GlobalAverage = "global_average",
    Linear = "linear",
    Add = "add",
});

impl Layer {
    /// The kind of the layer.
    pub fn kind(&self) -> LayerKind {
        match self {
            Layer::Ttm(_) => LayerKind::Ttm,
            Layer::Conv(_) => LayerKind::Conv,
            Layer::Norm(_) => LayerKind::Norm,
            Layer::Neuron(_) => LayerKind::Neuron,
            Layer::Pool(_) => LayerKind::Pool,
            Layer::GlobalAverage => LayerKind::GlobalAverage,
            Layer::Linear(_) => LayerKind::Linear,
            Layer::Add => LayerKind::Add,
        }
    }

    /// Shape of the output for the given inputs; the messages name the layer `name`.
    ///
    /// # Errors
    /// If the layer cannot process these inputs; the message names the layer and the shapes.
    pub fn output(&self, name: &str, inputs: &[Shape]) -> Result<Shape> {
        let Some(&input) = inputs.first() else {
            return Err(Error::layer(name, "has no input"));
        };
        if !matches!(self, Layer::Add) && inputs.len() != 1 {
            return Err(Error::layer(
                name,
                format!("takes one input, got {}; join them with an `add` layer", inputs.len()),
            ));
        }
        let slide = |kernel: usize, stride: usize, padding: usize| {
            if kernel == 0 || stride == 0 {
                return Err(Error::layer(name, "kernel and stride must be at least 1"));
            }
            match (windows(input.height, kernel, stride, padding), windows(input.width, kernel, stride, padding)) {
                (Some(h), Some(w)) => Ok((h, w)),
                _ => Err(Error::layer(
                    name,
                    format!("a {kernel}×{kernel} window with padding {padding} does not fit into the input {input}"),
                )),
            }
        };
        match *self {
            Layer::Ttm(_) | Layer::Norm(_) | Layer::Neuron(_) => Ok(input),
            Layer::Conv(c) => {
                let (h, w) = slide(c.kernel, c.stride, c.padding)?;
                if c.out == 0 || c.groups == 0 || input.channels % c.groups != 0 || c.out % c.groups != 0 {
                    return Err(Error::layer(
                        name,
                        format!(
                            "{} groups do not divide {} input and {} output channels",
                            c.groups, input.channels, c.out
                        ),
                    ));
                }
                Ok(Shape::new(c.out, h, w))
            }
            Layer::Pool(p) => {
                let (h, w) = slide(p.kernel, p.stride, p.padding)?;
                Ok(Shape::new(input.channels, h, w))
            }
            Layer::GlobalAverage => Ok(Shape::vector(input.channels)),
            Layer::Linear(l) if l.out == 0 => Err(Error::layer(name, "`out` must be at least 1")),
            Layer::Linear(l) => Ok(Shape::vector(l.out)),
            Layer::Add => match inputs.iter().find(|s| **s != input) {
                None if inputs.len() >= 2 => Ok(input),
                None => Err(Error::layer(name, "adds two or more inputs; give `from = [\"a\", \"b\"]`")),
                Some(other) => {
                    Err(Error::layer(name, format!("cannot add {input} and {other}: use a 1×1 `conv` on one of them")))
                }
            },
        }
    }

    /// Names and shapes of the layer's tensors: trainable ones first, then running statistics.
    /// `weight` of a convolution is `[out, in/groups, k, k]`, and of a linear layer `[out, in]`.
    pub fn tensors(&self, input: Shape) -> Vec<TensorSpec> {
        let spec = |name, shape: &[usize], trainable| TensorSpec { name, shape: shape.to_vec(), trainable };
        match *self {
            Layer::Conv(c) => {
                let mut all = vec![spec("weight", &[c.out, input.channels / c.groups, c.kernel, c.kernel], true)];
                if c.bias {
                    all.push(spec("bias", &[c.out], true));
                }
                all
            }
            Layer::Linear(l) => {
                let mut all = vec![spec("weight", &[l.out, input.len()], true)];
                if l.bias {
                    all.push(spec("bias", &[l.out], true));
                }
                all
            }
            Layer::Norm(_) => {
                let c = [input.channels];
                vec![
                    spec("weight", &c, true),
                    spec("bias", &c, true),
                    spec("running_mean", &c, false),
                    spec("running_var", &c, false),
                ]
            }
            // The trained value; its sigmoid is λ (`tickless_neuron::model::learned_lambda`).
            Layer::Neuron(Neuron { leak: Leak::Learned(_), .. }) => vec![spec("decay", &[1], true)],
            _ => Vec::new(),
        }
    }
}

/// Name and shape of one tensor of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// `weight`, `bias`, `running_mean`, `running_var` or `decay`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether the optimiser changes it; running statistics are measured instead.
    pub trainable: bool,
}
