//! The number types that frames are counted in.

/// A counter of events: `f32` feeds a network, `u8` and `u16` hold many recordings in memory.
pub trait Count: Copy + Default + private::Sealed {
    /// Adds one and returns true, or returns false when the counter is full.
    fn increment(&mut self) -> bool;
}

mod private {
    pub trait Sealed {}
}

impl private::Sealed for f32 {}

impl Count for f32 {
    fn increment(&mut self) -> bool {
        // Beyond 2²⁴ adding one no longer changes an f32.
        let full = *self >= 16_777_216.0;
        *self += 1.0;
        !full
    }
}

macro_rules! narrow {
    ($($t:ty),*) => {$(
        impl private::Sealed for $t {}

        impl Count for $t {
            fn increment(&mut self) -> bool {
                let full = *self == <$t>::MAX;
                *self = self.saturating_add(1);
                !full
            }
        }
    )*};
}

narrow!(u8, u16);
