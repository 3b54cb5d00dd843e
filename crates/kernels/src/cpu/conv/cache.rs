//! Packed weights, cached while their tensors live, so that inference packs each layer's weight
//! once.
//!
//! Burn changes a tensor's values in place only if no other pointer to them exists, weak pointers
//! included. While a weak pointer of this cache can be upgraded, the values are therefore those
//! that were packed. A packing takes as much memory as the weight. It is dropped at the first
//! lookup after its weight was dropped or changed. Training changes each weight in each iteration,
//! so its packings are not cached.

use crate::operators::Geometry;
use burn::backend::flex::FlexTensor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

struct Entry<T, K, P> {
    values: Weak<T>,
    key: K,
    packed: Arc<P>,
}

/// Packed weights, keyed by the memory that they were packed from.
struct Cache<T, K, P>(Vec<Entry<T, K, P>>);

impl<T, K: PartialEq, P> Cache<T, K, P> {
    /// Returns the packing of these values, and drops the packings whose values are gone.
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

/// A cache of packings `P`. A packing depends on the weight's values, the layer's sizes and `K`.
pub struct Packings<K, P>(Mutex<Cache<Bytes, ([usize; 3], K), P>>);

impl<K: PartialEq, P> Packings<K, P> {
    /// An empty cache.
    pub const fn new() -> Self {
        Self(Mutex::new(Cache(Vec::new())))
    }

    /// Returns the packing of a layer's weight. If the cache has none, it calls `pack`, and stores
    /// the result if `keep` is set. A view of part of a tensor is packed on every call and never
    /// stored.
    ///
    /// # Errors
    /// The error of `pack`.
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
        // Written in place, as Burn does.
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
