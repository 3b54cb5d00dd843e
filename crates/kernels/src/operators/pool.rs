//! Pooling over non-overlapping windows.

use burn::tensor::Shape;

/// Sum pooling over windows of `kernel`×`kernel`; each sum is multiplied by `scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TilePool {
    /// Window side.
    pub kernel: usize,
    /// 1 for sums, 1/k² for means.
    pub scale: f32,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of a channels-last map; 1 for channels-first maps.
    pub channels: usize,
    /// Whether maps are channels-last, `[N, H, W, C]`.
    pub last: bool,
}

impl TilePool {
    /// Height and width of the output.
    pub(crate) fn out(&self) -> (usize, usize) {
        (self.height / self.kernel, self.width / self.kernel)
    }

    /// The shape of a map with its height and width replaced.
    pub(crate) fn resized(&self, mut shape: Shape, (height, width): (usize, usize)) -> Shape {
        let first = if self.last { 1 } else { 2 };
        (shape[first], shape[first + 1]) = (height, width);
        shape
    }
}
