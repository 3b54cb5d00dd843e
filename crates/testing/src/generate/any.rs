//! Random networks of every kind that an importer or exporter must handle: chains and residual
//! blocks, biases, groups, padded pooling, every mode of neuron. Their sums are not exact.

use super::Rng;
use crate::layers::Map;
use tickless_net::layer::PoolKind;
use tickless_net::{
    Array, Axis, Conv, InputKind, Layer, Leak, Linear, Network, NetworkBuilder, Neuron, NodeId, Pool, Reset, Shape,
    SpikeMode, Surrogate, TtmMode, Weights, Window,
};

fn neuron(r: &mut Rng) -> Neuron {
    Neuron {
        threshold: r.pick(&[0.5, 0.7, 1.0, 1.3]),
        leak: r.pick(&[Leak::None, Leak::None, Leak::Step(0.5), Leak::Step(0.9), Leak::Time(1_234.567_891_011)]),
        spikes: r.pick(&[SpikeMode::Single, SpikeMode::Multi]),
        reset: r.pick(&[Reset::Hard, Reset::Soft]),
        v_min: r.pick(&[None, Some(-1.0), Some(-0.3), Some(0.0)]),
        fire_at_threshold: r.pick(&[true, false]),
        detach_reset: r.pick(&[true, false]),
        surrogate: r.pick(&[
            Surrogate::Triangle,
            Surrogate::SingleExponential { width: 0.4 },
            Surrogate::Gaussian { sigma: 0.3 },
        ]),
        ..Neuron::lif()
    }
}

/// A random network without norms or max pooling; its layers may have biases.
pub fn network(r: &mut Rng) -> Network {
    let mut shape = Shape::new(1 + r.below(3), 5 + r.below(5), 5 + r.below(5));
    let kind = r.pick(&[InputKind::Events, InputKind::Image]);
    let mut b = NetworkBuilder::new("random net", shape, kind);
    let mut at = NodeId::Input;
    for block in 0..1 + r.below(3) {
        if r.below(2) == 0 {
            let mode = r.pick(&[TtmMode::Even, TtmMode::Soft, TtmMode::Trim, TtmMode::Random]);
            at = b.add(&format!("block{block}.ttm"), Layer::Ttm(mode), &[at]);
        }
        if r.below(2) == 0 && shape.height >= 3 && shape.width >= 3 {
            let kernel = r.pick(&[2, 3]);
            let kind = r.pick(&[PoolKind::Average, PoolKind::Sum]);
            let pool = Layer::Pool(Pool::square(kind, kernel, 1 + r.below(kernel), r.below(2)));
            at = b.add("", pool, &[at]);
            shape = pool.output("", &[shape]).unwrap();
        }
        let kernel = r.pick(&[1, 3]);
        let out = 2 * (1 + r.below(3));
        let groups = if shape.channels.is_multiple_of(2) { r.pick(&[1, 2]) } else { 1 };
        let c = Conv { groups, bias: r.below(3) == 0, ..Conv::square(out, kernel, 1 + r.below(2), kernel / 2) };
        let c = match r.below(4) {
            0 => c.with_window(Window { rows: Axis::same(2, 1), columns: Axis::same(1 + r.below(4), 2) }),
            1 => c.with_window(Window { columns: Axis { dilation: 2, ..Axis::new(2, 1, 1) }, ..c.window }),
            _ => c,
        };
        at = b.add(&format!("block{block}.conv"), Layer::Conv(c), &[at]);
        shape = Layer::Conv(c).output("", &[shape]).unwrap();
        let n = neuron(r);
        at = b.neuron(at, n);
        if r.below(3) == 0 {
            b.thresholds(at, (0..shape.channels).map(|_| n.threshold * r.pick(&[0.5, 1.0, 2.0])).collect());
        }
        if r.below(2) == 0 {
            let same = Conv { bias: r.below(2) == 0, ..Conv::c3(shape.channels) };
            let inner = b.conv(at, same);
            // Neurons after the addition, or an addition of spikes.
            at = if r.below(2) == 0 {
                let sum = b.add("", Layer::Add, &[inner, at]);
                b.neuron(sum, neuron(r))
            } else {
                let n = b.neuron(inner, neuron(r));
                b.add("", Layer::Add, &[at, n])
            };
        }
    }
    if r.below(2) == 0 {
        at = b.add("", Layer::GlobalAverage, &[at]);
    }
    if r.below(3) == 0 {
        let l = b.linear(at, 4, r.below(2) == 0);
        at = b.neuron(l, neuron(r));
    }
    let l = b.add("classifier", Layer::Linear(Linear { out: 3, bias: r.below(2) == 0 }), &[at]);
    if r.below(2) == 0 {
        b.neuron(l, neuron(r));
    }
    b.build().unwrap()
}

/// Random weights for a network. No bias is all zeros.
pub fn weights(r: &mut Rng, net: &Network) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in net.tensors() {
        let data = (0..spec.shape.iter().product()).map(|_| r.unit() + 0.1).collect();
        all.insert(name, Array::new(spec.shape, data));
    }
    all
}

/// Random frames of small counts.
pub fn steps(r: &mut Rng, net: &Network, count: usize) -> Vec<Map> {
    let shape = net.input().shape;
    let values = |r: &mut Rng| (0..shape.len()).map(|_| r.pick(&[0.0, 0.0, 0.0, 1.0, 2.0])).collect();
    (0..count).map(|_| Map { shape, data: values(r) }).collect()
}
