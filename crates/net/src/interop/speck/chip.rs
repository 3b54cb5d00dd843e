//! Describes a chip: its cores with their memories, and the limits of a layer.
//!
//! A layer needs memory for its kernel and its neurons. If it has c_in input maps, a kernel of
//! ky×kx and c_out output maps of h×w before pooling, it needs
//!
//! ```text
//! c_in·2^(⌈log2(kx·ky)⌉ + ⌈log2 c_out⌉)   words of 8 bits of kernel memory
//! c_out·2^(⌈log2 h⌉ + ⌈log2 w⌉)           words of 16 bits of neuron memory
//! ```
//!
//! Source: the data of the Speck2e and Speck2f, and the chip back end of sinabs.

use serde::Serialize;

/// The memories of one core, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Core {
    /// Kernel memory, words of 8 bits.
    pub kernel_words: usize,
    /// Neuron memory, words of 16 bits.
    pub neuron_words: usize,
}

/// The cores and limits of a chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chip {
    /// Name of the chip.
    pub name: String,
    /// The cores, indexed by their number.
    pub cores: Vec<Core>,
    /// Largest side of a layer's input map, in pixels.
    pub input_side: usize,
    /// Largest side of a layer's output map before pooling, in pixels.
    pub output_side: usize,
    /// Largest number of layers to which one layer, or the camera, can send its events.
    pub destinations: usize,
    /// Largest side of a kernel, in pixels.
    pub kernel: usize,
    /// Largest zero padding on each side, in pixels.
    pub padding: usize,
    /// Largest number of input or output maps.
    pub channels: usize,
    /// Allowed sides of a pooling window, in pixels.
    pub pooling: Vec<usize>,
    /// Allowed strides of a convolution.
    pub strides: Vec<usize>,
}

impl Chip {
    /// The Speck2e and the Speck2f, which have the same nine cores.
    pub fn speck2e() -> Self {
        const KI: usize = 1024;
        let core = |kernel: usize, neuron: usize| Core { kernel_words: kernel * KI, neuron_words: neuron * KI };
        let cores = [(16, 64), (16, 64), (16, 64), (32, 32), (32, 32), (64, 16), (64, 16), (16, 16), (16, 16)]
            .map(|c| core(c.0, c.1));
        Self {
            name: "speck2e".to_owned(),
            cores: cores.to_vec(),
            input_side: 128,
            output_side: 64,
            destinations: 2,
            kernel: 16,
            padding: 7,
            channels: 1024,
            pooling: vec![1, 2, 4],
            strides: vec![1, 2, 4, 8],
        }
    }
}

/// The kernel memory that a layer needs, in words of 8 bits.
pub(super) fn kernel_words(c_in: usize, c_out: usize, kernel: (usize, usize)) -> usize {
    c_in.saturating_mul((kernel.0 * kernel.1).next_power_of_two()).saturating_mul(c_out.next_power_of_two())
}

/// The neuron memory that a layer needs, in words of 16 bits.
pub(super) fn neuron_words(c_out: usize, h: usize, w: usize) -> usize {
    c_out.saturating_mul(h.next_power_of_two()).saturating_mul(w.next_power_of_two())
}
