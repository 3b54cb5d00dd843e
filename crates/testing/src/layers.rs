//! Layers that do not spike, computed on dense f64 maps directly from their definitions; slow but
//! obviously correct.

use tickless_net::{Array, Axis, Layer, Network, NodeId, PoolKind, Shape, Weights, Window};

/// A map `[C, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The shape `[C, H, W]`.
    pub shape: Shape,
    /// Values, row by row.
    pub data: Vec<f64>,
}

impl Map {
    /// A map of zeros.
    pub fn zeros(shape: Shape) -> Self {
        Self { shape, data: vec![0.0; shape.len()] }
    }

    /// A map that is 1 at one position and 0 elsewhere.
    pub fn one_hot(shape: Shape, c: usize, y: usize, x: usize) -> Self {
        let mut m = Self::zeros(shape);
        m.data[(c * shape.height + y) * shape.width + x] = 1.0;
        m
    }

    /// The value at a position.
    pub fn at(&self, c: usize, y: usize, x: usize) -> f64 {
        self.data[(c * self.shape.height + y) * self.shape.width + x]
    }
}

/// The taps (ky, kx) of a window at output (y, x) that lie inside the input, and their inputs.
fn taps(w: Window, (y, x): (usize, usize), input: Shape) -> Vec<((usize, usize), (usize, usize))> {
    let inside = |a: Axis, out: usize, len: usize| {
        let at = move |k: usize| (out * a.stride + k * a.dilation) as isize - a.before as isize;
        (0..a.kernel).map(move |k| (k, at(k))).filter(move |(_, i)| (0..len as isize).contains(i))
    };
    let columns: Vec<_> = inside(w.columns, x, input.width).collect();
    let rows = inside(w.rows, y, input.height);
    rows.flat_map(|(ky, iy)| columns.iter().map(move |(kx, ix)| ((ky, *kx), (iy as usize, *ix as usize)))).collect()
}

/// Applies a layer that does not spike to one map. An `add`, a TTM and a dropout return the map
/// unchanged.
///
/// # Panics
/// If the layer is a norm, a neuron or attention.
pub fn linear(net: &Network, weights: &Weights, node: usize, input: &Map) -> Map {
    let n = &net.nodes()[node];
    let tensor = |t: &str| weights.get(&format!("{}.{t}", n.name)).map(|a: &Array| a.data.as_slice());
    let bias = |o: usize| tensor("bias").map_or(0.0, |b| f64::from(b[o]));
    let mut out = Map::zeros(n.output);
    let (oh, ow) = (n.output.height, n.output.width);
    let places = (0..n.output.channels).flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x))));
    match n.layer {
        Layer::Ttm(_) | Layer::Add | Layer::Dropout(_) => return input.clone(),
        Layer::Conv(conv) => {
            let w = tensor("weight").expect("a convolution has weights");
            let (ci, co) = (input.shape.channels / conv.groups, conv.out / conv.groups);
            let (kh, kw) = conv.window.kernel();
            for (o, y, x) in places {
                let mut sum = bias(o);
                for ((ky, kx), (iy, ix)) in taps(conv.window, (y, x), input.shape) {
                    for i in 0..ci {
                        sum += input.at(o / co * ci + i, iy, ix) * f64::from(w[((o * ci + i) * kh + ky) * kw + kx]);
                    }
                }
                out.data[(o * oh + y) * ow + x] = sum;
            }
        }
        Layer::Linear(l) => {
            let w = tensor("weight").expect("a linear layer has weights");
            let inputs = input.data.len();
            for o in 0..l.out {
                out.data[o] = (0..inputs).map(|i| input.data[i] * f64::from(w[o * inputs + i])).sum::<f64>() + bias(o);
            }
        }
        Layer::Pool(p) => {
            for (c, y, x) in places {
                let inside = taps(p.window, (y, x), input.shape).into_iter().map(|(_, (iy, ix))| input.at(c, iy, ix));
                out.data[(c * oh + y) * ow + x] = match p.kind {
                    PoolKind::Average => inside.sum::<f64>() / p.window.taps() as f64,
                    PoolKind::Sum => inside.sum(),
                    PoolKind::Max => inside.fold(f64::NEG_INFINITY, f64::max),
                };
            }
        }
        Layer::AdaptiveAverage(a) => {
            let part = |i: usize, len: usize, of: usize| i * len / of..((i + 1) * len).div_ceil(of);
            for (c, y, x) in places {
                let (rows, columns) = (part(y, input.shape.height, a.rows), part(x, input.shape.width, a.columns));
                let n = rows.len() * columns.len();
                let all = rows.flat_map(|iy| columns.clone().map(move |ix| (iy, ix)));
                out.data[(c * oh + y) * ow + x] = all.map(|(iy, ix)| input.at(c, iy, ix)).sum::<f64>() / n as f64;
            }
        }
        Layer::GlobalAverage => {
            let n = input.shape.height * input.shape.width;
            for c in 0..input.shape.channels {
                out.data[c] = input.data[c * n..(c + 1) * n].iter().sum::<f64>() / n as f64;
            }
        }
        Layer::Norm(_) | Layer::Neuron(_) | Layer::Attention(_) => panic!("not linear"),
    }
    out
}

/// Weights of the same shapes that are all 1. They show which outputs an input reaches.
pub fn ones(weights: &Weights) -> Weights {
    let mut all = Weights::default();
    for (name, a) in &weights.tensors {
        all.insert(name.clone(), Array::full(&a.shape, 1.0));
    }
    all
}

/// The nodes that read a node or the input, in node order. A node that reads it twice occurs twice.
pub fn readers(net: &Network, id: NodeId) -> Vec<usize> {
    (0..net.nodes().len()).flat_map(|i| net.nodes()[i].from.iter().filter(move |f| **f == id).map(move |_| i)).collect()
}
