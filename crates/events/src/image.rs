//! A small u8 image in the layout that networks read.

use crate::{Error, Result};

/// An image of u8 pixels, laid out `[C, H, W]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    channels: usize,
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// Creates an image from its pixels, laid out `[C, H, W]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of pixels is not channels·height·width.
    pub fn new(channels: usize, height: usize, width: usize, pixels: Vec<u8>) -> Result<Image> {
        let wanted = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        if wanted != Some(pixels.len()) {
            let shape = vec![channels, height, width];
            return Err(Error::Shape { what: "image", shape, got: pixels.len() });
        }
        Ok(Image { channels, height, width, pixels })
    }

    /// The shape `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The pixels `[C, H, W]`, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }
}
