//! The spikes of one neuron, which travel along an edge.

/// The spikes of one neuron at one moment, which the engine delivers along the neuron's edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Channel in the upper 32 bits, y·width + x in the lower. Neurons fire in ascending order of
    /// it.
    pub place: u64,
    /// Number of spikes.
    pub spikes: u32,
    /// Index in the chunk of the input event that caused them.
    pub cause: u32,
}

impl Hop {
    #[inline]
    pub fn new(channel: usize, position: usize, spikes: u32, cause: u32) -> Self {
        Self { place: (channel as u64) << 32 | position as u64, spikes, cause }
    }

    #[inline]
    pub fn channel(self) -> usize {
        (self.place >> 32) as usize
    }

    /// y·width + x.
    #[inline]
    pub fn position(self) -> usize {
        (self.place & 0xffff_ffff) as usize
    }
}
