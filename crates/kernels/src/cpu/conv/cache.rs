//! Packed weights of tensors that still live, so that inference packs each layer once.
//!
//! The tensor library changes values in place only where nobody else points at them, weak pointers included:
//! while a weak pointer here can be followed, the values are those that were packed. A packing is as large as
//! the weight; it goes at the first call after the weight has gone or changed. Training changes each weight in
//! each iteration, so what it packs is not put here.

use crate::operators::Geometry;
use burn::backend::flex::FlexTensor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

struct Entry<T, K, P> {
    values: Weak<T>,
    key: K,
    packed: Arc<P>,
}

/// Packed weights by the memory that they were packed from.
struct Cache<T, K, P>(Vec<Entry<T, K, P>>);

impl<T, K: PartialEq, P> Cache<T, K, P> {
    /// The packing of these values, and forgets those whose values are gone.
    fn get(&mut self, values: &Arc<T>, key: &K) -> Option<Arc<P>> {
        self.0.retain(|e| e.values.strong_count() > 0);
        let same = |e: &&Entry<T, K, P>| std::ptr::eq(e.values.as_ptr(), Arc::as_ptr(values)) && e.key == *key;
        self.0.iter().find(same).map(|e| e.packed.clone())
    }

    fn insert(&mut self, values: &Arc<T>, key: K, packed: Arc<P>) {
        self.0.push(Entry { values: Arc::downgrade(values), key, packed });
    }
}

type Bytes = burn::tensor::Bytes;

/// Packings `P` of weights; `K` is what they depend on beside the values and the layer's sizes.
pub struct Packings<K, P>(Mutex<Cache<Bytes, ([usize; 3], K), P>>);

impl<K: PartialEq, P> Packings<K, P> {
    /// None yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Cache(Vec::new())))
    }

    /// The packing of a layer's weight, by `pack` if there is none; `keep` says whether it will be wanted
    /// again. A view of part of a tensor is packed each time.
    ///
    /// # Errors
    /// That of `pack`.
    pub fn packed<E>(
        &self,
        weight: &FlexTensor,
        g: &Geometry,
        key: K,
        keep: bool,
        pack: impl FnOnce() -> Result<P, E>,
    ) -> Result<Arc<P>, E> {
        let whole = weight.is_contiguous() && weight.bytes().len() == g.weights() * size_of::<f32>();
        if !whole {
            return pack().map(Arc::new);
        }
        let (values, key) = (weight.data_arc(), ([g.out, g.channels, g.kernel], key));
        if let Some(packed) = self.lock().get(&values, &key) {
            return Ok(packed);
        }
        let packed = Arc::new(pack()?);
        if keep {
            self.lock().insert(&values, key, packed.clone());
        }
        Ok(packed)
    }

    fn lock(&self) -> MutexGuard<'_, Cache<Bytes, ([usize; 3], K), P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::tensor::from_vec;
    use burn::tensor::Shape;
    use std::convert::Infallible;

    fn packing(units: usize) -> Arc<usize> {
        Arc::new(units)
    }

    #[test]
    fn a_packing_is_that_of_the_same_memory_unchanged() {
        let mut cache = Cache(Vec::new());
        let (mut a, b) = (Arc::new(vec![1.0f32]), Arc::new(vec![1.0f32]));
        cache.insert(&a, 1, packing(7));
        assert_eq!(cache.get(&a, &1).map(|p| *p), Some(7));
        assert!(cache.get(&b, &1).is_none() && cache.get(&a, &4).is_none());
        // Written in place, as the tensor library does.
        Arc::make_mut(&mut a)[0] = 2.0;
        assert!(cache.get(&a, &1).is_none());
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut cache = Cache(Vec::new());
        let a = Arc::new(vec![1.0f32]);
        cache.insert(&a, 1, packing(7));
        drop(a);
        assert!(cache.get(&Arc::new(vec![1.0f32]), &1).is_none() && cache.0.is_empty());
    }

    #[test]
    fn a_weight_is_packed_once_if_its_packing_is_kept_and_each_time_if_not() {
        let g = Geometry { channels: 1, height: 3, width: 3, out: 2, kernel: 1, stride: 1, padding: 0 };
        let weight = from_vec(vec![1.0, 2.0], Shape::new([2, 1, 1, 1]));
        let (packings, mut calls) = (Packings::new(), 0);
        let mut packed = |keep: bool| {
            let pack = || {
                calls += 1;
                Ok::<_, Infallible>(calls)
            };
            let Ok(packed) = packings.packed(&weight, &g, (), keep, pack);
            *packed
        };
        let seen = [false, false, true, true, false].map(&mut packed);
        assert_eq!(seen, [1, 2, 3, 3, 3]);
    }
}
