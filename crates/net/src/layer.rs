//! The layers of a network and the output shape of each.

use crate::error::{Error, Result};
use crate::neuron::leak::stretch;
use crate::neuron::refractory::whole;
use crate::neuron::{Leak, LeakRule, Neuron};
use crate::shape::Shape;
use crate::window::{Axis, Window};
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

/// A two-dimensional convolution; the padding is zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv {
    /// Output channels.
    pub out: usize,
    /// Kernel, stride, dilation and padding.
    pub window: Window,
    /// Number of channel groups.
    pub groups: usize,
    /// Whether the layer adds a bias.
    pub bias: bool,
}

impl Conv {
    /// A 3×3 convolution with stride 1, padding 1 and no bias.
    pub const fn c3(out: usize) -> Self {
        Self::square(out, 3, 1, 1)
    }

    /// A convolution with a square kernel, one group and no bias.
    pub const fn square(out: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        Self { out, window: Window::square(kernel, stride, padding), groups: 1, bias: false }
    }

    /// The same convolution with another stride in both directions.
    pub const fn with_stride(mut self, stride: usize) -> Self {
        self.window.rows.stride = stride;
        self.window.columns.stride = stride;
        self
    }

    /// The same convolution with another window.
    pub const fn with_window(self, window: Window) -> Self {
        Self { window, ..self }
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
    /// Kernel, stride and padding; a pooling has no dilation.
    pub window: Window,
}

impl Pool {
    /// k×k average pooling with stride k.
    pub const fn average(k: usize) -> Self {
        Self::square(PoolKind::Average, k, k, 0)
    }

    /// k×k sum pooling with stride k.
    pub const fn sum(k: usize) -> Self {
        Self::square(PoolKind::Sum, k, k, 0)
    }

    /// Pooling over a square window.
    pub const fn square(kind: PoolKind, kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kind, window: Window::square(kernel, stride, padding) }
    }
}

/// Average pooling to a fixed number of rows and columns. Output row i is the mean of the input rows
/// ⌊i·H/rows⌋ … ⌈(i + 1)·H/rows⌉ − 1, and likewise for columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdaptiveAverage {
    /// Rows of the output.
    pub rows: usize,
    /// Columns of the output.
    pub columns: usize,
}

impl AdaptiveAverage {
    /// The ordinary pooling that computes the same, if the sizes divide those of the input.
    pub fn as_pool(&self, input: Shape) -> Option<Pool> {
        let divides = input.height.is_multiple_of(self.rows) && input.width.is_multiple_of(self.columns);
        let axis = |len: usize, out: usize| Axis::new(len / out, len / out, 0);
        divides.then(|| Pool {
            kind: PoolKind::Average,
            window: Window { rows: axis(input.height, self.rows), columns: axis(input.width, self.columns) },
        })
    }
}

/// Spiking self-attention without softmax. Its inputs are the queries Q, the keys K and the values V,
/// in this order; the positions of a map are the tokens. At each time step, for each head,
///
/// ```text
/// Y = scale · Q · Kᵀ · V        Q [N, d]   K [M, d]   V [M, e]   Y [N, e]
/// ```
///
/// where head i has the channels i·C/heads … (i + 1)·C/heads − 1 of each input. The layer has no
/// weights: convolutions with a 1×1 kernel before and after it are the linear layers over tokens.
/// Source: Zhou et al., "Spikformer", ICLR 2023 (arXiv 2209.15425).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Number of heads; it divides the channels of the queries and of the values.
    pub heads: usize,
    /// Factor of the product.
    pub scale: f32,
}

impl Default for Attention {
    fn default() -> Self {
        Self { heads: 1, scale: 0.125 }
    }
}

impl Attention {
    /// Whether Q·(Kᵀ·V) takes fewer multiply-accumulates than (Q·Kᵀ)·V. Without softmax both orders
    /// give the same product.
    pub fn keys_first(&self, queries: Shape, keys: Shape, values: Shape) -> bool {
        let (queries_first, keys_first) = self.costs(queries, keys, values);
        keys_first < queries_first
    }

    /// Multiply-accumulates of one step in the cheaper order.
    pub fn operations(&self, queries: Shape, keys: Shape, values: Shape) -> u64 {
        let (queries_first, keys_first) = self.costs(queries, keys, values);
        u64::try_from(queries_first.min(keys_first)).unwrap_or(u64::MAX)
    }

    /// Multiply-accumulates of (Q·Kᵀ)·V and of Q·(Kᵀ·V).
    fn costs(&self, queries: Shape, keys: Shape, values: Shape) -> (u128, u128) {
        let tokens = |s: Shape| s.height as u128 * s.width as u128;
        let (n, m) = (tokens(queries), tokens(keys));
        let (c, e) = (queries.channels as u128, values.channels as u128);
        let queries_first = n.saturating_mul(m).saturating_mul(c + e);
        (queries_first, (c * e / self.heads.max(1) as u128).saturating_mul(n + m))
    }

    /// Shape of the output; the messages name the layer `name`.
    fn output(&self, name: &str, inputs: &[Shape]) -> Result<Shape> {
        let refuse = |problem: String| Err(Error::layer(name, problem));
        let [queries, keys, values] = *inputs else {
            return refuse(format!(
                "reads queries, keys and values, got {} inputs; give `from = [\"q\", \"k\", \"v\"]`",
                inputs.len()
            ));
        };
        if queries.channels != keys.channels {
            return refuse(format!(
                "cannot compare the queries {queries} with the keys {keys}; give both the same channels"
            ));
        }
        if (keys.height, keys.width) != (values.height, values.width) {
            return refuse(format!("has the keys {keys} and the values {values}; give both the same rows and columns"));
        }
        if self.heads == 0 {
            return refuse("`heads` must be at least 1".to_owned());
        }
        let divides = |c: usize| c.is_multiple_of(self.heads);
        if !divides(queries.channels) || !divides(values.channels) {
            return refuse(format!(
                "{} heads do not divide the {} channels of the queries and the {} of the values; change `heads`",
                self.heads, queries.channels, values.channels
            ));
        }
        Ok(Shape::new(values.channels, queries.height, queries.width))
    }
}

/// Which neurons of a layer the recurrent connections lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecurrentKind {
    /// From every channel to every channel at the same position (all to all for a vector).
    Dense,
    /// From each neuron to itself, with one weight per channel.
    OneToOne,
}

words!(serde RecurrentKind, "kind of recurrent connections", { Dense = "dense", OneToOne = "one_to_one" });

/// Recurrent connections of a spiking layer: a spike returns to the layer after a delay.
///
/// If Δ is the duration of a step at T_max and d the delay in µs (Δ unless given):
///
/// ```text
/// event-driven:         a spike returns after d µs
/// clocked at T steps:   the spikes of step t − k are inputs of step t,
///                       k = max(1, ⌈d·T/(Δ·T_max)⌉) with a leak per time, otherwise 1
/// ```
///
/// So a run at fine steps approaches the event-driven one if the leak belongs to time. The delay is
/// rounded up as a refractory period is: a spike that returns when a period of the same length
/// ends then does so at every T.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// Where they lead.
    pub kind: RecurrentKind,
    /// The delay in µs; `None` for the duration of one step at T_max.
    pub delay_us: Option<f64>,
}

impl Recurrent {
    /// Name and shape of the weights `[to, from]` for this number of channels; one weight per
    /// channel if each neuron leads to itself.
    pub fn tensor(&self, channels: usize) -> TensorSpec {
        let shape = match self.kind {
            RecurrentKind::Dense => vec![channels, channels],
            RecurrentKind::OneToOne => vec![channels],
        };
        TensorSpec { name: "recurrent", shape, trainable: true }
    }

    /// k, the number of steps after which a spike returns if a recording that has `t_max` steps in
    /// training is run in `steps` steps.
    ///
    /// `step_us` is the duration of one step at `t_max` in µs. The result is `None` if the leak
    /// belongs to time, the delay is in µs and `step_us` is missing.
    pub fn steps(&self, rule: LeakRule, t_max: usize, steps: usize, step_us: Option<f64>) -> Option<usize> {
        let trained = match (rule, self.delay_us) {
            (LeakRule::Step, _) | (_, None) => 1.0,
            (LeakRule::Time, Some(us)) => us / step_us?,
        };
        // The conversion saturates, and no run has that many steps.
        Some(whole(trained / stretch(rule, t_max, steps)) as usize)
    }

    /// The delay of an event-driven run in whole µs, at least 1, because a spike cannot return at
    /// the time at which it was fired. `None` if neither a delay nor `step_us` is given.
    pub fn us(&self, step_us: Option<f64>) -> Option<u64> {
        Some(whole(self.delay_us.or(step_us)?) as u64)
    }
}

/// Dropout: sets each value to 0 with probability `rate` and divides the others by 1 − `rate`. A
/// sample's mask is the same at all time steps. It acts in training only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability that a value is set to 0, from 0 to below 1.
    pub rate: f32,
}

/// One layer. Each has one input, except [`Layer::Add`], which has two or more, and
/// [`Layer::Attention`], which has three.
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
    /// Average pooling to a fixed size.
    AdaptiveAverage(AdaptiveAverage),
    /// Dropout, in training only.
    Dropout(Dropout),
    /// A fully connected layer.
    Linear(Linear),
    /// Sum of the inputs (a residual merge).
    Add,
    /// Spiking self-attention.
    Attention(Attention),
}

impl Layer {
    /// The kind of layer, as recipes spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Layer::Ttm(_) => "ttm",
            Layer::Conv(_) => "conv",
            Layer::Norm(_) => "norm",
            Layer::Neuron(_) => "neuron",
            Layer::Pool(_) => "pool",
            Layer::GlobalAverage => "global_average",
            Layer::AdaptiveAverage(_) => "adaptive_average",
            Layer::Dropout(_) => "dropout",
            Layer::Linear(_) => "linear",
            Layer::Add => "add",
            Layer::Attention(_) => "attention",
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
        if !matches!(self, Layer::Add | Layer::Attention(_)) && inputs.len() != 1 {
            return Err(Error::layer(
                name,
                format!("takes one input, got {}; join them with an `add` layer", inputs.len()),
            ));
        }
        let slide = |window: Window| {
            let (r, c) = (window.rows, window.columns);
            if [r, c].iter().any(|a| a.kernel == 0 || a.stride == 0 || a.dilation == 0) {
                return Err(Error::layer(name, "kernel, stride and dilation must be at least 1"));
            }
            match (r.positions(input.height), c.positions(input.width)) {
                (Some(h), Some(w)) => Ok((h, w)),
                _ => {
                    let remedy = "choose a smaller kernel or more padding, or pool less before it";
                    Err(Error::layer(
                        name,
                        format!("a window of {window} does not fit into the input {input}; {remedy}"),
                    ))
                }
            }
        };
        match *self {
            Layer::Ttm(_) | Layer::Norm(_) | Layer::Neuron(_) | Layer::Dropout(_) => Ok(input),
            Layer::Conv(c) => {
                let (h, w) = slide(c.window)?;
                if c.out == 0 || c.groups == 0 {
                    return Err(Error::layer(name, "`out` and `groups` must be at least 1"));
                }
                if input.channels % c.groups != 0 || c.out % c.groups != 0 {
                    return Err(Error::layer(
                        name,
                        format!(
                            "{} groups do not divide {} input and {} output channels; change `groups` or `out`",
                            c.groups, input.channels, c.out
                        ),
                    ));
                }
                Ok(Shape::new(c.out, h, w))
            }
            Layer::Pool(p) => {
                let (h, w) = slide(p.window)?;
                Ok(Shape::new(input.channels, h, w))
            }
            Layer::AdaptiveAverage(a) => {
                if !(1..=input.height).contains(&a.rows) || !(1..=input.width).contains(&a.columns) {
                    let problem = format!(
                        "cannot average the input {input} to {} rows and {} columns; give at least 1 of each, and no more \
                         than the input has",
                        a.rows, a.columns
                    );
                    return Err(Error::layer(name, problem));
                }
                Ok(Shape::new(input.channels, a.rows, a.columns))
            }
            Layer::Attention(a) => a.output(name, inputs),
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
    /// `weight` of a convolution is `[out, in/groups, rows, columns]`, and of a linear layer `[out, in]`.
    pub fn tensors(&self, input: Shape) -> Vec<TensorSpec> {
        let spec = |name, shape: &[usize], trainable| TensorSpec { name, shape: shape.to_vec(), trainable };
        match *self {
            Layer::Conv(c) => {
                let (rows, columns) = c.window.kernel();
                let mut all = vec![spec("weight", &[c.out, input.channels / c.groups, rows, columns], true)];
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
    /// `weight`, `bias`, `running_mean`, `running_var`, `decay` or `recurrent`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether the optimiser changes it; running statistics are measured instead.
    pub trainable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::Refractory;

    fn k(delay_us: Option<f64>, rule: LeakRule, steps: usize) -> usize {
        Recurrent { kind: RecurrentKind::Dense, delay_us }.steps(rule, 10, steps, Some(30_000.0)).unwrap()
    }

    #[test]
    fn a_spike_returns_after_the_delay_in_steps_rounded_up_if_the_leak_belongs_to_time() {
        for (delay_us, steps, expected) in [
            (None, 1, 1),
            (None, 10, 1),
            (None, 11, 2),
            (None, 20, 2),
            (None, 100, 10),
            (None, 3000, 300),
            (Some(30_000.0), 100, 10),
            (Some(60_000.0), 10, 2),
            (Some(60_000.0), 5, 1),
            (Some(100.0), 100, 1),
            (Some(100.0), 3000, 1),
            (Some(200.0), 3000, 2),
            (Some(201.0), 3000, 3),
            (Some(1e12), 10, 33_333_334),
        ] {
            assert_eq!(k(delay_us, LeakRule::Time, steps), expected, "{delay_us:?} at {steps} steps");
        }
    }

    #[test]
    fn a_spike_returns_when_a_refractory_period_of_the_same_length_ends() {
        let (back, period) = (Recurrent { kind: RecurrentKind::Dense, delay_us: None }, Refractory::steps(1.0));
        for step_us in [700.3, 700.5, 700.9, 12_253.77] {
            assert_eq!(back.us(Some(step_us)), period.us(Some(step_us)));
            for rule in [LeakRule::Step, LeakRule::Time] {
                for t in [1, 9, 10, 11, 14, 15, 100, 1237] {
                    let of = |k: Option<usize>| k.unwrap();
                    let (k, apart) = (back.steps(rule, 10, t, None), period.interval(rule, 10, t, None));
                    assert_eq!(of(k), of(apart), "T = {t}");
                }
            }
        }
    }

    #[test]
    fn a_spike_returns_one_step_later_if_the_leak_belongs_to_a_step() {
        for delay_us in [None, Some(1.0), Some(60_000.0)] {
            assert!([1, 10, 3000].iter().all(|t| k(delay_us, LeakRule::Step, *t) == 1));
        }
    }

    #[test]
    fn only_a_delay_in_microseconds_needs_the_duration_of_a_step() {
        let given = Recurrent { kind: RecurrentKind::Dense, delay_us: Some(99.6) };
        let default = Recurrent { delay_us: None, ..given };
        assert_eq!((given.steps(LeakRule::Time, 10, 20, None), given.us(None)), (None, Some(100)));
        assert_eq!((default.steps(LeakRule::Time, 10, 20, None), default.us(None)), (Some(2), None));
        assert_eq!(given.steps(LeakRule::Step, 10, 20, None), Some(1));
        assert_eq!((default.us(Some(1e-3)), default.us(Some(700.4))), (Some(1), Some(701)));
    }
}
