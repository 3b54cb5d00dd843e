//! Memory for large tensors.
//!
//! [`zeros`] uses all threads for a large tensor, because one thread can take longer to zero a
//! layer's output than all threads take to compute it. [`room`] returns an uninitialised buffer for
//! a kernel that writes every value, which saves a pass over memory; [`full`] converts it.

use rayon::prelude::*;
use std::mem::{ManuallyDrop, MaybeUninit};

/// Number of values below which one thread zeros them as fast as all threads.
const FEW: usize = 1 << 16;

/// `n` zeros.
pub(crate) fn zeros(n: usize) -> Vec<f32> {
    if n < FEW {
        return vec![0.0; n];
    }
    rayon::iter::repeat_n(0.0f32, n).with_min_len(FEW / 4).collect()
}

/// An uninitialised buffer for `n` values.
pub(crate) fn room(n: usize) -> Vec<MaybeUninit<f32>> {
    let mut room = Vec::with_capacity(n);
    room.resize_with(n, MaybeUninit::uninit);
    room
}

/// Converts a buffer whose values are all written.
///
/// # Safety
/// The caller must have written every value.
pub(crate) unsafe fn full(room: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let mut room = ManuallyDrop::new(room);
    let (p, len, capacity) = (room.as_mut_ptr(), room.len(), room.capacity());
    // SAFETY: the allocation is the same, f32 and MaybeUninit<f32> have the same size and
    // alignment, and the caller has written every value.
    unsafe { Vec::from_raw_parts(p.cast(), len, capacity) }
}

/// Views values as a buffer to overwrite.
#[cfg(test)]
pub(crate) fn as_room(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the layout is the same, and the tests that call this only write values.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>]) }
}
