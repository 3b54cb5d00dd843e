//! A linear map of the time axis. One unit of the device computes one value of the result.

use super::launch::{Launch, Layout, empty, numbers};
use crate::ttm::TimeMap;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

/// y[j] = Σ weight[k]·x[step[k]] over k in `first[j]..first[j + 1]`.
#[cube(launch, address_type = "dynamic")]
fn map_kernel<F: Float>(
    x: &[F],
    y: &mut [F],
    first: &[u32],
    step: &[u32],
    weight: &[f32],
    n: usize,
    units: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let (j, i) = (ABSOLUTE_POS / n, ABSOLUTE_POS % n);
    let mut sum = f32::new(0.0);
    for k in first[j]..first[j + 1] {
        sum += weight[k as usize] * f32::cast_from(x[step[k as usize] as usize * n + i]);
    }
    y[ABSOLUTE_POS] = F::cast_from(sum);
}

/// Maps `[T_in·B, …]` to `[T_out·B, …]` in the memory layout of the input.
pub(super) fn map(input: CubeTensor, map: &TimeMap) -> CubeTensor {
    let layout = Layout::of(&input);
    let x = layout.arrange(input);
    let mut shape = x.meta.shape().clone();
    let n = x.meta.num_elements() / map.t_in();
    shape[0] = shape[0] / map.t_in() * map.t_out();
    let y = empty(&x, shape, x.dtype);
    let largest = if map.t_out() > map.t_in() { &y } else { &x };
    let l = Launch::new(largest, n * map.t_out());
    if l.units > 0 {
        let entries = map.rows().iter().flatten();
        let (step, weight): (Vec<u32>, Vec<f32>) = entries.map(|&(i, w)| (i as u32, w)).unzip();
        let mut first = vec![0u32];
        first.extend(map.rows().iter().scan(0, |sum, row| {
            *sum += row.len() as u32;
            Some(*sum)
        }));
        let tables = (numbers(&l.client, &first), numbers(&l.client, &step), numbers(&l.client, &weight));
        let (first, step, weight) = tables;
        let (x, to) = (x.into_buffer_arg(), y.clone().into_buffer_arg());
        map_kernel::launch(&l.client, l.count(), l.dim(), l.address, x, to, first, step, weight, n, l.units, l.elem());
    }
    layout.restore(y)
}
