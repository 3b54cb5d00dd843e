//! Pooling over windows that tile a map.

use burn::tensor::Shape;

/// Windows of `kernel`×`kernel`, each summed and multiplied by `scale`.
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
    /// Channels of a channels-last map; 1 for planes.
    pub channels: usize,
    /// Whether maps are `[N, H, W, C]`.
    pub last: bool,
}

impl TilePool {
    /// Height and width of the output.
    pub(crate) fn out(&self) -> (usize, usize) {
        (self.height / self.kernel, self.width / self.kernel)
    }

    /// A map's shape with another height and width.
    pub(crate) fn resized(&self, mut shape: Shape, (height, width): (usize, usize)) -> Shape {
        let first = if self.last { 1 } else { 2 };
        (shape[first], shape[first + 1]) = (height, width);
        shape
    }
}
