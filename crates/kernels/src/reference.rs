//! The same operators written with plain Burn tensors: slow and simple. Burn differentiates all of
//! them except the spike, whose surrogate gradient comes from the derivative of its integral. The
//! tests compare the fused kernels with this module, and a model uses [`any_neuron`] for neurons
//! that no fused kernel supports.

use crate::operators::NeuronOp;
use crate::ttm::TimeMap;
use burn::tensor::{Bool, Tensor};
use std::collections::VecDeque;
use std::ops::{Add, Div, Mul, Neg, Sub};
use tickless_neuron::lane::{Lane, Smooth, StepLane};
use tickless_neuron::step::{AnyState, Constants, Mode, step_recorded};
use tickless_neuron::{Leak, Neuron};

/// [`super::neuron()`] as a loop over time steps.
pub fn neuron(current: Tensor<4>, op: NeuronOp) -> Tensor<4> {
    any_neuron(current, &op.neuron, Constants::new(&op.neuron, op.lambda), None, op.steps)
}

/// The spikes of any neuron as a loop over time steps, on any device: the equations of
/// [`tickless_neuron::step`] evaluated on tensors. If the neuron learns its leak, `lambda` replaces
/// the constant λ and receives a gradient.
///
/// # Shapes
/// `current` and the result: `[T·B, …]` with `steps` = T; `lambda` `[1]`.
///
/// # Panics
/// If the first axis is not a multiple of the steps.
pub fn any_neuron(
    current: Tensor<4>,
    neuron: &Neuron,
    constants: Constants,
    lambda: Option<Tensor<1>>,
    steps: usize,
) -> Tensor<4> {
    any_recurrent_neuron(current, neuron, constants, lambda, steps, None)
}

/// Recurrent connections of a layer of neurons.
#[derive(Clone, Copy)]
pub struct Feedback<'a> {
    /// The number of steps after which a spike returns, at least 1.
    pub delay: usize,
    /// The current that the spikes of one step bring; both have the shape of one step.
    pub current: &'a dyn Fn(Tensor<4>) -> Tensor<4>,
}

/// As [`any_neuron`]; if `feedback` is given with a delay of k steps, step t also gets the current
/// of the spikes of step t − k.
///
/// # Panics
/// As [`any_neuron`].
pub fn any_recurrent_neuron(
    current: Tensor<4>,
    neuron: &Neuron,
    constants: Constants,
    lambda: Option<Tensor<1>>,
    steps: usize,
    feedback: Option<Feedback<'_>>,
) -> Tensor<4> {
    let [tb, a, b, c] = current.dims();
    assert_eq!(tb % steps, 0, "{:?} is not a sequence of {steps} steps", current.dims());
    let shape = [tb / steps, a, b, c];
    let zero = Recorded(Tensor::zeros(shape, &current.device()));
    let mut lanes = constants.map(|v| zero.like(v));
    if let (Some(lambda), Leak::Learned(_)) = (lambda, neuron.leak) {
        lanes.lambda = Recorded(lambda.reshape([1, 1, 1, 1]).expand(shape));
    }
    let (mode, mut state) = (Mode::of(neuron), AnyState::at_rest(neuron, zero));
    // The spikes on their way back, the oldest first.
    let mut late: VecDeque<Tensor<4>> = VecDeque::new();
    let spikes_of_step = |t: usize| {
        let x = current.clone().narrow(0, t * shape[0], shape[0]);
        let x = match feedback.filter(|f| t >= f.delay) {
            Some(f) => late.pop_front().into_iter().fold(x, |x, spikes| x + (f.current)(spikes)),
            None => x,
        };
        let spikes =
            step_recorded(mode, neuron.surrogate, neuron.threshold, &lanes, &mut state.0, Recorded(x)).spikes.0;
        if feedback.is_some_and(|f| f.delay < steps - t) {
            late.push_back(spikes.clone());
        }
        spikes
    };
    Tensor::cat((0..steps).map(spikes_of_step).collect(), 0)
}

/// [`super::map_time()`] as sums of slices.
pub fn map_time(input: Tensor<4>, map: &TimeMap) -> Tensor<4> {
    let batch = input.dims()[0] / map.t_in();
    let step = |i: usize| input.clone().narrow(0, i * batch, batch);
    let rows = map.rows().iter().map(|row| {
        let terms = row.iter().map(|&(i, w)| step(i).mul_scalar(w));
        terms.reduce(|a, b| a + b).unwrap_or_else(|| step(0).zeros_like())
    });
    Tensor::cat(rows.collect(), 0)
}

/// A tensor as a lane of the neuron equations. Burn records the operations if autodiff is on.
#[derive(Debug, Clone)]
struct Recorded(Tensor<4>);

impl Add for Recorded {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Recorded {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Recorded {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Div for Recorded {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self(self.0 / other.0)
    }
}

impl Neg for Recorded {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.neg())
    }
}

impl Lane for Recorded {
    type Mask = Tensor<4, Bool>;

    fn at_least(&self, other: &Self) -> Self::Mask {
        self.0.clone().greater_equal(other.0.clone())
    }

    fn larger(self, other: Self) -> Self {
        let mask = self.above(&other);
        Self::select(&mask, self, other)
    }
}

impl StepLane for Recorded {
    fn like(&self, value: f32) -> Self {
        Self(Tensor::full(self.0.dims(), value, &self.0.device()))
    }

    fn above(&self, other: &Self) -> Self::Mask {
        self.0.clone().greater(other.0.clone())
    }

    fn select(mask: &Self::Mask, yes: Self, no: Self) -> Self {
        Self(no.0.mask_where(mask.clone(), yes.0))
    }

    fn truncated(self) -> Self {
        Self(self.0.trunc())
    }

    fn detach(self) -> Self {
        Self(self.0.detach())
    }

    /// s + (q − q) with the second q detached: the value is exactly that of the spikes, the
    /// derivative is that of q.
    fn spikes_as(spikes: Self, integral: impl FnOnce() -> Self) -> Self {
        let q = integral().0;
        Self(spikes.0.detach() + (q.clone() - q.detach()))
    }

    fn zero_where(self, spikes: &Self) -> Self {
        let s = &spikes.0;
        let silent = s.clone().detach().equal_scalar(0.0).float();
        Self(self.0 * (silent - (s.clone() - s.clone().detach())))
    }
}

impl Smooth for Recorded {
    fn magnitude(self) -> Self {
        Self(self.0.abs())
    }

    fn exponential(self) -> Self {
        Self(self.0.exp())
    }

    fn arctangent(self) -> Self {
        Self(self.0.atan())
    }

    fn error_function(self) -> Self {
        Self(self.0.erf())
    }
}
