//! The number types in which frames count events.

/// A counter of events: `f32` for the input of a network, `u8` and `u16` to save memory.
pub trait Count: Copy + Default + private::Sealed {
    /// Adds one and returns true, or returns false if the counter is at its largest value.
    fn increment(&mut self) -> bool;
}

mod private {
    pub trait Sealed {}
}

impl private::Sealed for f32 {}

impl Count for f32 {
    fn increment(&mut self) -> bool {
        // From 2²⁴ on, adding one does not change an f32.
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
