//! The sizes of a convolution:
//!
//! y[n, oy, ox, co] = Σ_{ky, kx, ci} x[n, oy·s + ky − p, ox·s + kx − p, ci] · w[co, ci, ky, kx]

/// Sizes of a convolution without groups or dilation. The kernel is square; stride and padding are
/// the same for height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Input channels.
    pub channels: usize,
    /// Input height.
    pub height: usize,
    /// Input width.
    pub width: usize,
    /// Output channels.
    pub out: usize,
    /// Kernel side.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Padding.
    pub padding: usize,
}

impl Geometry {
    /// Height of the output.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    /// Width of the output.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    /// Number of input pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Number of output pixels.
    pub fn out_pixels(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Number of values of one input image.
    pub fn input_len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Number of values of one output image.
    pub fn output_len(&self) -> usize {
        self.out_pixels() * self.out
    }

    /// Number of taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Number of values of the weight.
    pub fn weights(&self) -> usize {
        self.taps() * self.channels * self.out
    }

    /// Multiply-accumulates of one image if all inputs are active.
    pub fn macs(&self) -> usize {
        self.out_pixels() * self.taps() * self.channels * self.out
    }

    /// The name of the layer in reports, for `images` images.
    pub fn name(&self, images: usize) -> String {
        let Self { channels, height, width, out, kernel, stride, .. } = self;
        format!("conv {images}×{channels}×{height}×{width} → {out}, {kernel}×{kernel}/{stride}")
    }
}
