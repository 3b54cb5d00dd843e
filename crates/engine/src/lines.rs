//! Memory in whole cache lines, so that a vector register of 64 bytes never straddles two.

use bytemuck::{Pod, Zeroable};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

#[repr(C, align(64))]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Line([u8; 64]);

/// A slice of numbers that begins at a cache line.
#[derive(Clone)]
pub(crate) struct Lines<T> {
    lines: Vec<Line>,
    len: usize,
    kind: PhantomData<T>,
}

impl<T: Pod> Lines<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0; 64]); (len * size_of::<T>()).div_ceil(64)], len, kind: PhantomData }
    }

    /// A copy of these numbers.
    pub fn of(values: &[T]) -> Self {
        let mut lines = Self::zeros(values.len());
        lines.copy_from_slice(values);
        lines
    }
}

impl<T: Pod> Deref for Lines<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<T: Pod> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for Lines<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_a_cache_line_and_keep_their_length() {
        for len in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..len).map(|k| k as f32).collect();
            let lines = Lines::of(&values);
            assert_eq!((&*lines, lines.as_ptr() as usize % 64), (&values[..], 0));
        }
        assert_eq!(&*Lines::<i8>::zeros(3), [0, 0, 0]);
    }
}
