//! Compares golden values with tensors.

use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;
use tickless_kernels::ComputeOptions;
use tickless_net::Array;
use tickless_testing::golden::Golden;

/// Opens a golden file and installs the options that the environment's variables give, as the
/// command does (`.ci/extra kernels` sets them).
pub fn open(file: &str) -> Golden {
    let options = ComputeOptions::from_variables(|name| std::env::var(name).ok());
    options.and_then(ComputeOptions::install).unwrap_or_else(|e| panic!("{e}"));
    Golden::open(file)
}

/// A golden array `[B, T, …]` in the layout of this crate.
#[derive(Debug, Clone)]
pub struct TimeMajor {
    /// Values, `[T, B, …]`.
    pub data: Vec<f32>,
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// C, H, W; 1 for each axis that the array lacks.
    pub rest: [usize; 3],
}

impl TimeMajor {
    /// Converts an array `[B, T, …]`.
    pub fn of(a: &Array) -> Self {
        let (batch, steps) = (a.shape[0], a.shape[1]);
        let mut rest = [1; 3];
        assert!(a.shape.len() <= 5, "{:?} has more than three axes behind time", a.shape);
        rest[..a.shape.len() - 2].copy_from_slice(&a.shape[2..]);
        Self { data: swap(&a.data, batch, steps), steps, batch, rest }
    }

    /// The shape `[T·B, C, H, W]`.
    pub fn shape(&self) -> [usize; 4] {
        let [c, h, w] = self.rest;
        [self.steps * self.batch, c, h, w]
    }

    /// The values as a tensor `[T·B, C, H, W]`.
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.data.clone(), self.shape()), device)
    }
}

/// Transposes `[A, B, …]` to `[B, A, …]`.
pub fn swap(data: &[f32], a: usize, b: usize) -> Vec<f32> {
    let n = data.len() / (a * b).max(1);
    let mut out = Vec::with_capacity(data.len());
    for j in 0..b {
        for i in 0..a {
            out.extend_from_slice(&data[(i * b + j) * n..(i * b + j + 1) * n]);
        }
    }
    out
}

/// The values of a tensor on the host.
pub fn values<const D: usize>(t: &Tensor<D>) -> Vec<f32> {
    t.clone().into_data().try_into_vec().expect("f32 tensors")
}

/// The values of a tensor `[T·B, …]` or `[T, B, …]` in the golden order `[B, T, …]`.
pub fn batch_major<const D: usize>(t: &Tensor<D>, steps: usize) -> Vec<f32> {
    let v = values(t);
    let rows: usize = if D == 3 { t.dims()[0] * t.dims()[1] } else { t.dims()[0] };
    swap(&v, steps, rows / steps)
}

/// Compares values and records the largest deviation of each kind; prints them when dropped.
pub struct Compare {
    what: &'static str,
    worst: BTreeMap<String, f32>,
}

impl Compare {
    /// Starts the comparisons of one golden file's test.
    pub fn new(what: &'static str) -> Self {
        Self { what, worst: BTreeMap::new() }
    }

    /// Asserts that the values are equal.
    pub fn exact(&mut self, kind: &str, case: &str, got: &[f32], want: &Array) {
        self.within(kind, case, got, want, 0.0, "exact");
    }

    /// Asserts that no value deviates by more than `tolerance`.
    pub fn abs(&mut self, kind: &str, case: &str, got: &[f32], want: &Array, tolerance: f32) {
        self.within(kind, case, got, want, tolerance, "absolute");
    }

    /// Asserts that no value deviates by more than `tolerance`; `how` is the kind of deviation, for
    /// the message.
    pub fn within(&mut self, kind: &str, case: &str, got: &[f32], want: &Array, tolerance: f32, how: &str) {
        let what = self.what;
        assert_eq!(
            got.len(),
            want.data.len(),
            "{what} {case}: {kind} has another number of values than {:?}",
            want.shape
        );
        let worst = self.worst.entry(kind.to_owned()).or_default();
        for (i, (g, w)) in got.iter().zip(&want.data).enumerate() {
            let d = (g - w).abs();
            assert!(
                d <= tolerance,
                "{what} case {case}: {kind} at {:?} of {:?} is {g}, expected {w}: off by {d:e}, allowed {tolerance:e} ({how})",
                position(i, &want.shape),
                want.shape
            );
            *worst = worst.max(d);
        }
    }
}

impl Drop for Compare {
    fn drop(&mut self) {
        for (kind, d) in &self.worst {
            println!("{}: worst {kind} {d:e}", self.what);
        }
    }
}

/// Converts a flat index to one index per axis.
fn position(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (a, &n) in at.iter_mut().zip(shape).rev() {
        (*a, i) = (i % n.max(1), i / n.max(1));
    }
    at
}
