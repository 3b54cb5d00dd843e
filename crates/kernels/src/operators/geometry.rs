//! The numbers of a convolution, and which input pixel a tap of an output pixel meets.
//!
//! y[n, oy, ox, co] = Σ_{ky, kx, ci} x[n, oy·s + ky − p, ox·s + kx − p, ci] · w[co, ci, ky, kx]

/// Sizes of a convolution without groups and dilation; square kernel, same stride and padding both
/// ways.
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

    /// Pixels of the input.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Pixels of the output.
    pub fn out_pixels(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Values of one input image.
    pub fn input_len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Values of one output image.
    pub fn output_len(&self) -> usize {
        self.out_pixels() * self.out
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Values of the weight.
    pub fn weights(&self) -> usize {
        self.taps() * self.channels * self.out
    }

    /// Multiply-accumulates of one dense image.
    pub fn macs(&self) -> usize {
        self.out_pixels() * self.taps() * self.channels * self.out
    }

    /// What reports call the layer at this number of images.
    pub fn name(&self, images: usize) -> String {
        let Self { channels, height, width, out, kernel, stride, .. } = self;
        format!("conv {images}×{channels}×{height}×{width} → {out}, {kernel}×{kernel}/{stride}")
    }
}
