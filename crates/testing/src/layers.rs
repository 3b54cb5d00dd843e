//! Layers that do not spike, computed on dense f64 maps directly from their definitions; slow but
//! obviously correct.

use tickless_net::{Array, Layer, Network, NodeId, PoolKind, Shape, Weights};

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

/// Applies a layer that does not spike to one map. An `add` and a TTM return the map unchanged.
///
/// # Panics
/// If the layer is a norm, a neuron or a max pooling.
pub fn linear(net: &Network, weights: &Weights, node: usize, input: &Map) -> Map {
    let n = &net.nodes()[node];
    let tensor = |t: &str| weights.get(&format!("{}.{t}", n.name)).map(|a: &Array| a.data.as_slice());
    let bias = |o: usize| tensor("bias").map_or(0.0, |b| f64::from(b[o]));
    let mut out = Map::zeros(n.output);
    let (oh, ow) = (n.output.height, n.output.width);
    let (ih, iw) = (input.shape.height as isize, input.shape.width as isize);
    let places = (0..n.output.channels).flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x))));
    match n.layer {
        Layer::Ttm(_) | Layer::Add => return input.clone(),
        Layer::Conv(conv) => {
            let w = tensor("weight").expect("a convolution has weights");
            let (ci, co, k) = (input.shape.channels / conv.groups, conv.out / conv.groups, conv.kernel);
            for (o, y, x) in places {
                let mut sum = bias(o);
                for (i, ky, kx) in (0..ci).flat_map(|i| (0..k).flat_map(move |ky| (0..k).map(move |kx| (i, ky, kx)))) {
                    let iy = (y * conv.stride + ky) as isize - conv.padding as isize;
                    let ix = (x * conv.stride + kx) as isize - conv.padding as isize;
                    if (0..ih).contains(&iy) && (0..iw).contains(&ix) {
                        let v = input.at(o / co * ci + i, iy as usize, ix as usize);
                        sum += v * f64::from(w[((o * ci + i) * k + ky) * k + kx]);
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
            let divisor = match p.kind {
                PoolKind::Average => (p.kernel * p.kernel) as f64,
                PoolKind::Sum => 1.0,
                PoolKind::Max => panic!("max pooling is not linear"),
            };
            for (c, y, x) in places {
                let window = (0..p.kernel).flat_map(|j| (0..p.kernel).map(move |i| (j, i)));
                let place = |n: usize, j: usize| (n * p.stride + j) as isize - p.padding as isize;
                let inside = window
                    .map(|(j, i)| (place(y, j), place(x, i)))
                    .filter(|(iy, ix)| (0..ih).contains(iy) && (0..iw).contains(ix));
                let sum: f64 = inside.map(|(iy, ix)| input.at(c, iy as usize, ix as usize)).sum();
                out.data[(c * oh + y) * ow + x] = sum / divisor;
            }
        }
        Layer::GlobalAverage => {
            let n = input.shape.height * input.shape.width;
            for c in 0..input.shape.channels {
                out.data[c] = input.data[c * n..(c + 1) * n].iter().sum::<f64>() / n as f64;
            }
        }
        Layer::Norm(_) | Layer::Neuron(_) => panic!("not linear"),
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
