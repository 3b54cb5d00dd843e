//! The same operators with plain Burn tensors: slow, obvious, differentiated by Burn itself but
//! for the spike, whose surrogate is put in by hand. The fused kernels are tested against this.

use crate::operators::NeuronOp;
use crate::ttm::TimeMap;
use burn::tensor::Tensor;
use tickless_net::{Reset, SpikeMode, Surrogate};

/// [`super::neuron()`] as a loop over steps.
///
/// The surrogate enters by the identity s = (s₀ − q(u)) held constant + q(u), where q has the
/// surrogate as its derivative.
pub fn neuron(current: Tensor<4>, op: NeuronOp) -> Tensor<4> {
    let n = op.neuron;
    let [tb, c, h, w] = current.dims();
    let batch = tb / op.steps;
    let mut v = Tensor::<4>::zeros([batch, c, h, w], &current.device());
    let mut spikes = Vec::with_capacity(op.steps);
    for t in 0..op.steps {
        let x = current.clone().narrow(0, t * batch, batch);
        let u = v.mul_scalar(op.lambda) + x;
        let fires = match n.fire_at_threshold {
            true => u.clone().greater_equal_scalar(n.threshold),
            false => u.clone().greater_scalar(n.threshold),
        }
        .float();
        let s0 = match n.spikes {
            SpikeMode::Single => fires,
            SpikeMode::Multi => fires * u.clone().div_scalar(n.threshold).floor(),
        }
        .detach();
        let q = antiderivative(n.surrogate, u.clone(), n.threshold);
        let s = (s0.clone() - q.clone().detach()) + q;
        let reset = if n.detach_reset { s0.clone() } else { s.clone() };
        let r = match n.reset {
            Reset::Soft => u - reset.mul_scalar(n.threshold),
            // [s = 0] is 1 − s for a single spike; for more, only the sign of the path matters.
            Reset::Hard => {
                let silent = s0.clone().equal_scalar(0.0).float();
                let path = reset.clone() - reset.detach();
                u * (silent - path)
            }
        };
        v = match n.v_min {
            Some(limit) => (r - limit).clamp_min(0.0) + limit,
            None => r,
        };
        spikes.push(s);
    }
    Tensor::cat(spikes, 0)
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

/// A function whose derivative is the surrogate.
fn antiderivative(surrogate: Surrogate, u: Tensor<4>, theta: f32) -> Tensor<4> {
    let d = u - theta;
    match surrogate {
        Surrogate::Triangle => {
            let z = d.clamp(-1.0, 1.0);
            z.clone() - z.clone() * z.abs().mul_scalar(0.5)
        }
        Surrogate::SingleExponential { width } => {
            let w = width * theta;
            let tail = d.clone().abs().div_scalar(-w).exp();
            d.sign() * (tail.neg() + 1.0)
        }
        Surrogate::Arctangent { alpha } => {
            d.mul_scalar(std::f32::consts::FRAC_PI_2 * alpha).atan().div_scalar(std::f32::consts::PI)
        }
        Surrogate::Sigmoid { alpha } => burn::tensor::activation::sigmoid(d.mul_scalar(alpha)),
        Surrogate::Rectangle { width } => d.clamp(-width / 2.0, width / 2.0).div_scalar(width),
        Surrogate::Gaussian { sigma } => d.div_scalar(sigma * std::f32::consts::SQRT_2).erf().mul_scalar(0.5),
    }
}
