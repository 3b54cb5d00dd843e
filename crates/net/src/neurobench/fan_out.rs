//! The number of connections that each input of a layer has, from which the operations of any input
//! follow as a sum over its values other than 0.

use crate::layer::{Layer, RecurrentKind};
use crate::network::Network;
use crate::shape::Shape;
use crate::weights::{Array, Weights};
use crate::window::Axis;

/// The connections of a layer with weights.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FanOut {
    /// For each input, in (channel, y, x) order, the number of its weights other than 0 that reach an
    /// output.
    pub effective: Vec<u32>,
    /// The sum over all inputs if every weight were other than 0.
    pub dense: u64,
}

/// The connections of a node: a convolution or a linear layer; of a neuron layer, its dense recurrent
/// connections, whose inputs are its own spikes. `None` for other nodes, and if the weights are
/// missing.
pub fn fan_out(network: &Network, weights: &Weights, node: usize) -> Option<FanOut> {
    let node = network.nodes().get(node)?;
    let find = |name: &str| weights.get(&format!("{}.{name}", node.name));
    match node.layer {
        Layer::Linear(l) => {
            let weight = find("weight")?;
            let inputs = node.input.len();
            let mut effective = vec![0u32; inputs];
            for row in weight.data.chunks_exact(inputs) {
                effective.iter_mut().zip(row).for_each(|(n, w)| *n += u32::from(*w != 0.0));
            }
            Some(FanOut { effective, dense: (inputs * l.out) as u64 })
        }
        Layer::Conv(c) => {
            let (kernel, per_group) = (c.window.kernel(), c.out / c.groups);
            let counts = kernel_counts(find("weight")?, c.groups, per_group);
            let (effective, _) = spread(&counts, node.input, node.output, kernel, (c.window.rows, c.window.columns));
            let all = vec![per_group as u32; counts.len()];
            let (_, dense) = spread(&all, node.input, node.output, kernel, (c.window.rows, c.window.columns));
            Some(FanOut { effective, dense })
        }
        Layer::Neuron(_) if node.recurrent.is_some_and(|r| r.kind == RecurrentKind::Dense) => {
            let weight = find("recurrent")?;
            let (channels, positions) = (node.output.channels, node.output.height * node.output.width);
            let column =
                |from: usize| (0..channels).filter(|to| weight.data[to * channels + from] != 0.0).count() as u32;
            let effective = (0..channels).flat_map(|c| std::iter::repeat_n(column(c), positions)).collect();
            Some(FanOut { effective, dense: (channels * channels * positions) as u64 })
        }
        _ => None,
    }
}

/// For each input channel and tap of the kernel, the number of outputs with a weight other than 0.
fn kernel_counts(weight: &Array, groups: usize, per_group: usize) -> Vec<u32> {
    let taps: usize = weight.shape[1..].iter().product();
    let mut counts = vec![0u32; groups * taps];
    for (out, kernel) in weight.data.chunks_exact(taps).enumerate() {
        let group = &mut counts[out / per_group * taps..][..taps];
        group.iter_mut().zip(kernel).for_each(|(n, w)| *n += u32::from(*w != 0.0));
    }
    counts
}

/// Adds up, for each input, the taps that reach an output. Returns also the sum over all inputs.
fn spread(
    counts: &[u32],
    input: Shape,
    output: Shape,
    (rows, columns): (usize, usize),
    (row, column): (Axis, Axis),
) -> (Vec<u32>, u64) {
    let reaches = |axis: Axis, outputs: usize, inputs: usize| -> Vec<Vec<bool>> {
        let tap = |k: usize| {
            let mut hit = vec![false; inputs];
            for o in 0..outputs {
                let at = (o * axis.stride + k * axis.dilation).checked_sub(axis.before);
                if let Some(hit) = at.and_then(|at| hit.get_mut(at)) {
                    *hit = true;
                }
            }
            hit
        };
        (0..axis.kernel).map(tap).collect()
    };
    let (down, across) = (reaches(row, output.height, input.height), reaches(column, output.width, input.width));
    let places = || (0..input.height).flat_map(|y| (0..input.width).map(move |x| (y, x)));
    let mut all = Vec::with_capacity(input.len());
    for channel in counts.chunks_exact(rows * columns) {
        all.extend(places().map(|(y, x)| {
            let tap = |(k, n): (usize, &u32)| if down[k / columns][y] && across[k % columns][x] { *n } else { 0 };
            channel.iter().enumerate().map(tap).sum::<u32>()
        }));
    }
    let sum = all.iter().map(|n| u64::from(*n)).sum();
    (all, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Conv;
    use crate::network::{InputKind, NetworkBuilder};
    use crate::window::Window;

    /// The connections counted one output at a time.
    fn by_hand(input: Shape, output: Shape, c: &Conv, weight: &[f32]) -> (Vec<u32>, u64) {
        let (mut effective, mut dense) = (vec![0; input.len()], 0);
        let (inner, per_group) = (input.channels / c.groups, c.out / c.groups);
        let (rows, columns) = (c.window.rows, c.window.columns);
        for o in 0..c.out {
            for (oy, ox) in (0..output.height).flat_map(|y| (0..output.width).map(move |x| (y, x))) {
                for i in 0..inner {
                    for (ky, kx) in (0..rows.kernel).flat_map(|y| (0..columns.kernel).map(move |x| (y, x))) {
                        let y = (oy * rows.stride + ky * rows.dilation) as isize - rows.before as isize;
                        let x = (ox * columns.stride + kx * columns.dilation) as isize - columns.before as isize;
                        if y < 0 || x < 0 || y >= input.height as isize || x >= input.width as isize {
                            continue;
                        }
                        dense += 1;
                        let channel = o / per_group * inner + i;
                        let at = (channel * input.height + y as usize) * input.width + x as usize;
                        let w = weight[((o * inner + i) * rows.kernel + ky) * columns.kernel + kx];
                        effective[at] += u32::from(w != 0.0);
                    }
                }
            }
        }
        (effective, dense)
    }

    #[test]
    fn the_connections_of_a_convolution_are_those_counted_output_by_output() {
        let axis = |kernel, stride, dilation, before, after| Axis { kernel, stride, dilation, before, after };
        for (groups, rows, columns) in [
            (1, axis(3, 1, 1, 1, 1), axis(3, 1, 1, 1, 1)),
            (1, axis(5, 2, 1, 2, 2), axis(3, 3, 1, 0, 0)),
            (2, axis(3, 1, 2, 2, 2), axis(2, 2, 1, 0, 1)),
            (4, axis(1, 1, 1, 0, 0), axis(4, 1, 1, 1, 2)),
        ] {
            let conv = Conv { out: 8, window: Window { rows, columns }, groups, bias: false };
            let mut b = NetworkBuilder::new("one", Shape::new(4, 9, 8), InputKind::Events);
            b.conv(b.input(), conv);
            let network = b.build().unwrap();
            let node = &network.nodes()[0];
            let shape = vec![8, 4 / groups, rows.kernel, columns.kernel];
            let data: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| (i * 7 % 5) as f32 - 2.0).collect();
            let mut weights = Weights::default();
            weights.insert(format!("{}.weight", node.name), Array::new(shape, data.clone()));
            let found = fan_out(&network, &weights, 0).unwrap();
            let (effective, dense) = by_hand(node.input, node.output, &conv, &data);
            assert_eq!((found.effective, found.dense), (effective, dense), "{groups} groups");
        }
    }

    #[test]
    fn the_connections_of_a_linear_layer_are_its_columns() {
        let mut b = NetworkBuilder::new("one", Shape::new(3, 1, 1), InputKind::Events);
        b.linear(b.input(), 2, true);
        let network = b.build().unwrap();
        let mut weights = Weights::default();
        weights.insert("linear1.weight", Array::new(vec![2, 3], vec![1.0, 0.0, 0.5, 0.0, 0.0, 2.0]));
        let found = fan_out(&network, &weights, 0).unwrap();
        assert_eq!((found.effective, found.dense), (vec![1, 0, 2], 6));
        assert_eq!(fan_out(&network, &Weights::default(), 0), None);
    }
}
