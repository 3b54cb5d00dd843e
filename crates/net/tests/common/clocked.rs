//! A plain clocked simulator: one sample, step by step, all layers in the same step, in f64.

use tickless_net::layer::{Conv, PoolKind};
use tickless_net::{Layer, LeakRule, Network, Neuron, NodeId, Pool, Reset, Shape, SpikeMode, Weights};

/// One step of one neuron: (spikes, potential afterwards).
fn fire(n: &Neuron, u: f64) -> (f64, f64) {
    let theta = f64::from(n.threshold);
    let fires = if n.fire_at_threshold { u >= theta } else { u > theta };
    let spikes = match (fires, n.spikes) {
        (false, _) => 0.0,
        (true, SpikeMode::Single) => 1.0,
        (true, SpikeMode::Multi) => (u / theta).floor(),
    };
    let v = if n.reset == Reset::Hard && fires { 0.0 } else { u - spikes * theta };
    (spikes, n.v_min.map_or(v, |m| v.max(m.into())))
}

/// Runs steps `[T][C·H·W]`; gives the output of the last layer at every step.
pub fn run(net: &Network, weights: &Weights, steps: &[Vec<f64>], step_us: Option<f64>) -> Vec<Vec<f64>> {
    let mut v: Vec<Vec<f64>> = net.nodes().iter().map(|n| vec![0.0; n.output.len()]).collect();
    let mut outputs = Vec::new();
    for frame in steps {
        let mut out: Vec<Vec<f64>> = Vec::new();
        for (i, node) in net.nodes().iter().enumerate() {
            let get = |id: &NodeId| if let NodeId::Node(j) = id { &out[*j] } else { frame };
            let x = get(&node.from[0]);
            let tensor = |t: &str| weights.get(&format!("{}.{t}", node.name)).map(|a| a.data.as_slice());
            let result = match node.layer {
                Layer::Neuron(n) => {
                    let lambda = f64::from(n.lambda(LeakRule::Step, 1, 1, step_us).expect("a step duration"));
                    let mut spikes = Vec::with_capacity(x.len());
                    for (v, x) in v[i].iter_mut().zip(x) {
                        let (s, after) = fire(&n, lambda * *v + x);
                        *v = after;
                        spikes.push(s);
                    }
                    spikes
                }
                Layer::Add => {
                    let mut sum = vec![0.0; x.len()];
                    for from in &node.from {
                        sum.iter_mut().zip(get(from)).for_each(|(s, v)| *s += v);
                    }
                    sum
                }
                Layer::Ttm(_) => x.clone(),
                Layer::Norm(_) => panic!("no norm here"),
                Layer::Conv(c) => conv(&c, node.input, node.output, tensor("weight").unwrap(), tensor("bias"), x),
                Layer::Linear(_) => {
                    let (w, b) = (tensor("weight").unwrap(), tensor("bias"));
                    let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
                    let rows = w.chunks(x.len()).enumerate();
                    rows.map(|(o, row)| dot(row) + b.map_or(0.0, |b| f64::from(b[o]))).collect()
                }
                Layer::Pool(p) => pool(&p, node.input, node.output, x),
                Layer::GlobalAverage => {
                    let plane = node.input.height * node.input.width;
                    x.chunks(plane).map(|p| p.iter().sum::<f64>() / plane as f64).collect()
                }
            };
            out.push(result);
        }
        outputs.extend(out.pop());
    }
    outputs
}

fn conv(c: &Conv, s: Shape, o: Shape, w: &[f32], bias: Option<&[f32]>, x: &[f64]) -> Vec<f64> {
    let (per, per_out) = (s.channels / c.groups, c.out / c.groups);
    let mut out = vec![0.0; o.len()];
    for (i, v) in out.iter_mut().enumerate() {
        let (oc, oy, ox) = (i / (o.height * o.width), i / o.width % o.height, i % o.width);
        *v = bias.map_or(0.0, |b| f64::from(b[oc]));
        for k in 0..per * c.kernel * c.kernel {
            let (ic, ky, kx) = (k / (c.kernel * c.kernel), k / c.kernel % c.kernel, k % c.kernel);
            let (y, x_at) =
                ((oy * c.stride + ky).wrapping_sub(c.padding), (ox * c.stride + kx).wrapping_sub(c.padding));
            if y < s.height && x_at < s.width {
                let channel = oc / per_out * per + ic;
                *v += x[(channel * s.height + y) * s.width + x_at] * f64::from(w[oc * per * c.kernel * c.kernel + k]);
            }
        }
    }
    out
}

fn pool(p: &Pool, s: Shape, o: Shape, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; o.len()];
    for (i, v) in out.iter_mut().enumerate() {
        let (c, oy, ox) = (i / (o.height * o.width), i / o.width % o.height, i % o.width);
        for k in 0..p.kernel * p.kernel {
            let y = (oy * p.stride + k / p.kernel).wrapping_sub(p.padding);
            let x_at = (ox * p.stride + k % p.kernel).wrapping_sub(p.padding);
            if y < s.height && x_at < s.width {
                *v += x[(c * s.height + y) * s.width + x_at];
            }
        }
        match p.kind {
            PoolKind::Sum => {}
            PoolKind::Average => *v /= (p.kernel * p.kernel) as f64,
            PoolKind::Max => panic!("no max pooling here"),
        }
    }
    out
}
