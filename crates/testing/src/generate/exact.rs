//! Random networks whose sums are exact in f32: weights are multiples of 1/256, and poolings
//! average over powers of two. An engine must therefore reproduce their spikes exactly.

use super::Rng;
use tickless_net::{
    AdaptiveAverage, Array, Axis, Conv, Dropout, During, InputKind, Layer, Leak, Linear, Network, NetworkBuilder,
    Neuron, NodeId, Period, Pool, PoolKind, Refractory, Reset, Shape, SpikeMode, Weights, Window,
};

/// Multiples of 1/8 from −1 to 1: sums of their products are exact in f32 in any order.
pub fn dyadic(r: &mut Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| (r.below(17) as f32 - 8.0) / 8.0).collect()
}

/// Weights of a network that are multiples of 1/8 from −1 to 1.
pub fn dyadic_weights(r: &mut Rng, network: &Network) -> Weights {
    let mut all = Weights::default();
    for (_, name, spec) in network.tensors() {
        let n = spec.shape.iter().product();
        all.insert(name, Array::new(spec.shape, dyadic(r, n)));
    }
    all
}

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
    /// Whether windows may be rectangular, dilated and padded unevenly, pooling may go to a fixed
    /// size, dropout may stand between layers, and channels may have thresholds of their own.
    pub any_layer: bool,
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

/// One direction of a window that fits into `len` values; with `same`, it keeps their number.
fn axis(r: &mut Rng, len: usize, same: bool, pooled: bool) -> Axis {
    if same {
        return Axis::same(1 + r.below(4), 1 + r.below(2));
    }
    let kernel = 1 + r.below(3);
    // A pooling that follows is merged into the weights, which requires stride ≤ kernel and no
    // dilation.
    let stride = if pooled { 1 + r.below(kernel) } else { 1 + r.below(3) };
    let dilation = if pooled { 1 } else { 1 + r.below(3) };
    let axis = Axis { kernel, stride, dilation, before: r.below(3), after: r.below(3) };
    if axis.positions(len).is_some() { axis } else { Axis { dilation: 1, before: 2, after: 1, ..axis } }
}

/// Adds neurons, possibly with a threshold per channel; thresholds are powers of two times that of
/// the neuron, so that inputs divided by them stay exact.
fn neurons(r: &mut Rng, b: &mut NetworkBuilder, from: NodeId, n: Neuron, channels: usize, wish: Wish) -> NodeId {
    let from = if wish.any_layer && r.below(4) == 0 {
        b.add("", Layer::Dropout(Dropout { rate: 0.5 }), &[from])
    } else {
        from
    };
    let id = b.neuron(from, n);
    if wish.any_layer && r.below(2) == 0 {
        b.thresholds(id, (0..channels).map(|_| n.threshold * r.pick(&[0.5, 1.0, 2.0, 4.0])).collect());
    }
    id
}

/// Adds a convolution; with `same` it keeps rows and columns, with `pooled` a pooling follows.
fn conv(
    r: &mut Rng,
    b: &mut NetworkBuilder,
    (from, shape): (NodeId, Shape),
    out: usize,
    (same, pooled): (bool, bool),
    wish: Wish,
) -> (NodeId, Shape) {
    if wish.any_layer {
        let window = Window { rows: axis(r, shape.height, same, pooled), columns: axis(r, shape.width, same, pooled) };
        let groups = if shape.channels.is_multiple_of(2) && out.is_multiple_of(2) { r.pick(&[1, 2]) } else { 1 };
        let c = Layer::Conv(Conv { out, window, groups, bias: false });
        return (b.add("", c, &[from]), c.output("", &[shape]).unwrap());
    }
    let kernel = if same { r.pick(&[1, 3]) } else { 1 + r.below(3.min(shape.height).min(shape.width)) };
    let (stride, padding) = if same { (1, kernel / 2) } else { (1 + r.below(2), r.below(2)) };
    // A pooling that follows is merged into the weights, which requires stride ≤ kernel.
    let stride = if kernel == 1 && pooled { 1 } else { stride };
    let groups = if shape.channels.is_multiple_of(2) && out.is_multiple_of(2) { r.pick(&[1, 2]) } else { 1 };
    let c = Layer::Conv(Conv { groups, ..Conv::square(out, kernel, stride, padding) });
    (b.add("", c, &[from]), c.output("", &[shape]).unwrap())
}

/// A random network.
pub fn network(r: &mut Rng, wish: Wish) -> Network {
    let mut shape = Shape::new(1 + r.below(2), 4 + r.below(4), 4 + r.below(4));
    let mut b = NetworkBuilder::new("random", shape, InputKind::Events);
    let mut at = b.ttm(NodeId::Input);
    for _ in 0..wish.blocks {
        if r.below(3) == 0 && shape.height >= 4 && shape.width >= 4 {
            let pool = if r.below(2) == 0 { Pool::average(2) } else { Pool::sum(2) };
            let pool = if wish.any_layer { Layer::Pool(any_tiles(r, pool)) } else { Layer::Pool(pool) };
            at = b.add("", pool, &[at]);
            shape = pool.output("", &[shape]).unwrap();
        }
        let n = neuron(r, wish);
        if wish.residual && r.below(3) > 0 {
            (at, shape) = residual(r, &mut b, at, shape, wish);
        } else {
            let out = 1 + r.below(4);
            let pooled = r.below(4) == 0;
            (at, shape) = conv(r, &mut b, (at, shape), out, (false, pooled), wish);
            if pooled && shape.height >= 2 && shape.width >= 2 {
                // A pooling between weights and neurons, which the engine merges into the weights.
                let pool = Pool::square(PoolKind::Average, 2, 1 + r.below(2), 0);
                at = b.pool(at, pool);
                shape = Layer::Pool(pool).output("", &[shape]).unwrap();
            }
            at = neurons(r, &mut b, at, n, shape.channels, wish);
        }
    }
    if wish.any_layer && r.below(3) == 0 && shape.height.is_multiple_of(2) {
        let halves = AdaptiveAverage { rows: shape.height / 2, columns: shape.width };
        at = b.add("", Layer::AdaptiveAverage(halves), &[at]);
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

/// A pooling of one kind with other windows, whose areas are powers of two.
fn any_tiles(r: &mut Rng, pool: Pool) -> Pool {
    let (rows, columns) = (r.pick(&[1, 2]), r.pick(&[1, 2, 4]));
    Pool { window: Window { rows: Axis::new(rows, rows, 0), columns: Axis::new(columns, columns, 0) }, ..pool }
}

/// Adds a random residual block: with an identity branch, a 1×1 convolution as branch, an addition
/// of spikes after the neurons, or an identity branch that is added twice.
fn residual(r: &mut Rng, b: &mut NetworkBuilder, at: NodeId, shape: Shape, wish: Wish) -> (NodeId, Shape) {
    let kind = r.below(4);
    let out = if kind == 1 { 1 + r.below(3) } else { shape.channels };
    let mid = 1 + r.below(3);
    let (c1, s1) = conv(r, b, (at, shape), mid, (true, false), wish);
    let first = neuron(r, wish);
    let n1 = neurons(r, b, c1, first, mid, wish);
    let (c2, s2) = conv(r, b, (n1, s1), out, (true, false), wish);
    let last = neuron(r, wish);
    let sum = match kind {
        0 => b.add("", Layer::Add, &[at, c2]),
        1 => {
            let short = b.add("", Layer::Conv(Conv::square(out, 1, 1, 0)), &[at]);
            b.add("", Layer::Add, &[c2, short])
        }
        2 => {
            // Spike-element-wise: no neurons follow the sum of spikes.
            let n2 = b.neuron(c2, last);
            return (b.add("", Layer::Add, &[n2, at]), s2);
        }
        _ => b.add("", Layer::Add, &[at, c2, at]),
    };
    (neurons(r, b, sum, last, out, wish), s2)
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
