//! What travels along an edge: the spikes of one neuron.

/// Spikes of one neuron at one moment, on their way along the edges that leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Channel in the upper 32 bits, y·width + x in the lower: neurons fire in this order.
    pub place: u64,
    /// How many.
    pub spikes: u32,
    /// Which event of the chunk caused them.
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
