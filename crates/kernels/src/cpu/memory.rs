//! Memory for large tensors.
//!
//! Zeros are written by all threads: one alone would spend longer on a layer's output than the
//! layer does. What a kernel writes whole is not filled before it is: on maps of many megabytes
//! that is a pass over memory saved.

use rayon::prelude::*;
use std::mem::{ManuallyDrop, MaybeUninit};

/// Below this one thread is as fast.
const FEW: usize = 1 << 16;

/// `n` zeros.
pub(crate) fn zeros(n: usize) -> Vec<f32> {
    if n < FEW {
        return vec![0.0; n];
    }
    rayon::iter::repeat_n(0.0f32, n).with_min_len(FEW / 4).collect()
}

/// Room for `n` values, none written.
pub(crate) fn room(n: usize) -> Vec<MaybeUninit<f32>> {
    let mut room = Vec::with_capacity(n);
    room.resize_with(n, MaybeUninit::uninit);
    room
}

/// The values of a room that is full.
///
/// # Safety
/// Every value was written.
pub(crate) unsafe fn full(room: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let mut room = ManuallyDrop::new(room);
    let (p, len, capacity) = (room.as_mut_ptr(), room.len(), room.capacity());
    // SAFETY: the same allocation, of a type of the same size and alignment, and the caller wrote all of it.
    unsafe { Vec::from_raw_parts(p.cast(), len, capacity) }
}

/// Values as room to be written over.
#[cfg(test)]
pub(crate) fn as_room(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the same layout; the tests that use it only write values.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>]) }
}
