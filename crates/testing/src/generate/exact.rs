//! Random networks whose sums are exact in f32: weights are multiples of 1/256, and poolings
//! average over powers of two. An engine must therefore reproduce their spikes exactly.

use super::Rng;
use tickless_net::{
    Array, Conv, During, InputKind, Layer, Leak, Linear, Network, NetworkBuilder, Neuron, NodeId, Period, Pool,
    Refractory, Reset, Shape, SpikeMode, Weights,
};

/// The properties of a random network.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Whether blocks may be residual.
    pub residual: bool,
    /// Whether weights have both signs.
    pub negative: bool,
    /// Whether neurons have any mode; otherwise they emit several spikes, reset softly and fire at
    /// equality.
    pub any_neuron: bool,
    /// Whether potentials may have a lower limit.
    pub limit: bool,
    /// Whether neurons leak over time.
    pub leak: bool,
    /// Whether neurons emit one spike and may have a refractory period in µs.
    pub refractory: bool,
    /// Number of blocks of convolution and neurons.
    pub blocks: usize,
}

/// A random neuron.
pub fn neuron(r: &mut Rng, wish: Wish) -> Neuron {
    let mut n = Neuron { threshold: r.pick(&[0.5, 0.75, 1.0, 1.5]), v_min: None, ..Neuron::if_multi() };
    if wish.limit {
        n.v_min = r.pick(&[None, Some(-1.0), Some(-0.25), Some(0.0)]);
    }
    if wish.any_neuron {
        n.spikes = r.pick(&[SpikeMode::Single, SpikeMode::Multi]);
        n.reset = r.pick(&[Reset::Hard, Reset::Soft]);
        n.fire_at_threshold = r.pick(&[true, false]);
    }
    if wish.leak {
        n.leak = Leak::Time(r.pick(&[300.0, 2_000.0, 50_000.0]));
    }
    if wish.refractory {
        n.spikes = SpikeMode::Single;
        let period = r.pick(&[None, Some(1.0), Some(40.0), Some(700.5), Some(9_000.0)]);
        let during = r.pick(&[During::Integrate, During::Integrate, During::Hold]);
        n.refractory = period.map(|us| Refractory { period: Period::Us(us), during });
    }
    n
}

fn conv(
    r: &mut Rng,
    b: &mut NetworkBuilder,
    from: NodeId,
    shape: Shape,
    out: usize,
    same: bool,
    pooled: bool,
) -> (NodeId, Shape) {
    let kernel = if same { r.pick(&[1, 3]) } else { 1 + r.below(3.min(shape.height).min(shape.width)) };
    let (stride, padding) = if same { (1, kernel / 2) } else { (1 + r.below(2), r.below(2)) };
    // A pooling that follows is merged into the weights, which requires stride ≤ kernel.
    let stride = if kernel == 1 && pooled { 1 } else { stride };
    let groups = if shape.channels.is_multiple_of(2) && out.is_multiple_of(2) { r.pick(&[1, 2]) } else { 1 };
    let c = Layer::Conv(Conv { out, kernel, stride, padding, groups, bias: false });
    (b.add("", c, &[from]), c.output("", &[shape]).unwrap())
}

/// A random network.
pub fn network(r: &mut Rng, wish: Wish) -> Network {
    let mut shape = Shape::new(1 + r.below(2), 4 + r.below(4), 4 + r.below(4));
    let mut b = NetworkBuilder::new("random", shape, InputKind::Events);
    let mut at = b.ttm(NodeId::Input);
    for _ in 0..wish.blocks {
        if r.below(3) == 0 && shape.height >= 4 && shape.width >= 4 {
            at = b.pool(at, if r.below(2) == 0 { Pool::average(2) } else { Pool::sum(2) });
            shape = Shape::new(shape.channels, shape.height / 2, shape.width / 2);
        }
        let n = neuron(r, wish);
        if wish.residual && r.below(3) > 0 {
            (at, shape) = residual(r, &mut b, at, shape, wish);
        } else {
            let out = 1 + r.below(4);
            let pooled = r.below(4) == 0;
            (at, shape) = conv(r, &mut b, at, shape, out, false, pooled);
            if pooled && shape.height >= 2 && shape.width >= 2 {
                // A pooling between weights and neurons, which the engine merges into the weights.
                let pool = Pool { stride: 1 + r.below(2), ..Pool::average(2) };
                at = b.pool(at, pool);
                shape = Layer::Pool(pool).output("", &[shape]).unwrap();
            }
            at = b.neuron(at, n);
        }
    }
    match r.below(4) {
        0 => {}
        1 => {
            let l = b.add("", Layer::Linear(Linear { out: 3, bias: false }), &[at]);
            b.neuron(l, neuron(r, wish));
        }
        _ => {
            b.linear(at, 3, false);
        }
    }
    b.build().unwrap()
}

/// Adds a random residual block: with an identity branch, a 1×1 convolution as branch, an addition
/// of spikes after the neurons, or an identity branch that is added twice.
fn residual(r: &mut Rng, b: &mut NetworkBuilder, at: NodeId, shape: Shape, wish: Wish) -> (NodeId, Shape) {
    let kind = r.below(4);
    let out = if kind == 1 { 1 + r.below(3) } else { shape.channels };
    let mid = 1 + r.below(3);
    let (c1, s1) = conv(r, b, at, shape, mid, true, false);
    let n1 = b.neuron(c1, neuron(r, wish));
    let (c2, s2) = conv(r, b, n1, s1, out, true, false);
    let last = neuron(r, wish);
    let sum = match kind {
        0 => b.add("", Layer::Add, &[at, c2]),
        1 => {
            let short = b.add("", Layer::Conv(Conv { kernel: 1, padding: 0, ..Conv::c3(out) }), &[at]);
            b.add("", Layer::Add, &[c2, short])
        }
        2 => {
            // Spike-element-wise: no neurons follow the sum of spikes.
            let n2 = b.neuron(c2, last);
            return (b.add("", Layer::Add, &[n2, at]), s2);
        }
        _ => b.add("", Layer::Add, &[at, c2, at]),
    };
    (b.neuron(sum, last), s2)
}

/// Random weights for a network: multiples of 1/256, small enough to keep activity bounded.
pub fn weights(r: &mut Rng, net: &Network, negative: bool) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in net.tensors() {
        let fan_in: usize = spec.shape[1..].iter().product();
        let top = (256.0 * 1.8 / (fan_in as f64).sqrt()) as i64;
        let low = if negative { -top * 2 / 3 } else { 0 };
        let value = |r: &mut Rng| (low + r.below((top - low + 1) as usize) as i64) as f32 / 256.0;
        let data = (0..spec.shape.iter().product()).map(|_| value(r)).collect();
        all.insert(name, Array::new(spec.shape, data));
    }
    all
}

/// Random events (t, c, y, x), many of them at the same time.
pub fn events(r: &mut Rng, net: &Network, count: usize) -> Vec<[u64; 4]> {
    let s = net.input().shape;
    let mut t = 0;
    (0..count)
        .map(|_| {
            t += r.pick(&[0, 0, 1, 7, 150, 900]);
            [t, r.below(s.channels) as u64, r.below(s.height) as u64, r.below(s.width) as u64]
        })
        .collect()
}
