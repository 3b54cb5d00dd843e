//! The layers that the benchmarks measure, in the sizes of a training iteration: ResNet-18's four
//! stages on CIFAR shapes (batch 16, T = 4) and the three layers of nmnist-wide (batch 64, T = 10).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use tickless_kernels::Geometry;

/// A convolution; the benchmark of fused layers uses the norm and neuron that follow it.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// Network and number of the layer.
    pub name: &'static str,
    /// Time steps.
    pub steps: usize,
    /// Samples per step.
    pub batch: usize,
    /// Input channels, output channels, and side of the map. The convolution is 3×3, stride 1,
    /// padding 1.
    sizes: [usize; 3],
}

const fn stage(name: &'static str, channels: usize, side: usize) -> Layer {
    Layer { name, steps: 4, batch: 16, sizes: [channels, channels, side] }
}

const fn wide(name: &'static str, channels: usize, out: usize, side: usize) -> Layer {
    Layer { name, steps: 10, batch: 64, sizes: [channels, out, side] }
}

/// All measured layers.
pub const LAYERS: [Layer; 7] = [
    stage("resnet18-1", 64, 32),
    stage("resnet18-2", 128, 16),
    stage("resnet18-3", 256, 8),
    stage("resnet18-4", 512, 4),
    wide("nmnist-wide-1", 2, 8, 34),
    wide("nmnist-wide-2", 8, 16, 17),
    wide("nmnist-wide-3", 16, 32, 8),
];

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, out, side] = self.sizes;
        write!(f, "{} {channels}→{out}, {side}×{side}", self.name)
    }
}

impl Layer {
    /// The sizes of the convolution.
    pub fn geometry(&self) -> Geometry {
        let [channels, out, side] = self.sizes;
        Geometry { channels, height: side, width: side, out, kernel: 3, stride: 1, padding: 1 }
    }

    /// Images per call: every step of every sample.
    pub fn images(&self) -> usize {
        self.steps * self.batch
    }
}

/// Real numbers, none of them zero.
pub fn reals(len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}
