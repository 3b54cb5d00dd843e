//! 8-bit weights of tensors that still live, so that inference packs each layer once.
//!
//! The tensor library changes values in place only where nobody else points at them, weak pointers included:
//! while a weak pointer here can be followed, the values are those that were packed.

use super::tile::UnitPanels;
use crate::kernels::conv::geometry::Geometry;
use burn::backend::flex::FlexTensor;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What a packing depends on beside the values: sizes and the inputs' factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    sizes: [usize; 3],
    factor: f32,
}

impl Key {
    /// Of a layer whose inputs are multiplied by `factor`.
    pub fn new(g: &Geometry, factor: f32) -> Self {
        Self { sizes: [g.out, g.channels, g.kernel], factor }
    }
}

struct Entry<T> {
    values: Weak<T>,
    key: Key,
    packed: Arc<UnitPanels>,
}

/// Packed weights by the memory that they were packed from.
struct Cache<T>(Vec<Entry<T>>);

impl<T> Cache<T> {
    /// The packing of these values, and forgets those whose values are gone.
    fn get(&mut self, values: &Arc<T>, key: Key) -> Option<Arc<UnitPanels>> {
        self.0.retain(|e| e.values.strong_count() > 0);
        let same = |e: &&Entry<T>| std::ptr::eq(e.values.as_ptr(), Arc::as_ptr(values)) && e.key == key;
        self.0.iter().find(same).map(|e| e.packed.clone())
    }

    fn insert(&mut self, values: &Arc<T>, key: Key, packed: Arc<UnitPanels>) {
        self.0.push(Entry { values: Arc::downgrade(values), key, packed });
    }
}

type Bytes = burn::tensor::Bytes;

static CACHE: Mutex<Cache<Bytes>> = Mutex::new(Cache(Vec::new()));

/// The packing of a weight tensor, from the cache or by `pack`; a view of part of a tensor is packed each time.
pub fn packed(weight: &FlexTensor, key: Key, pack: impl FnOnce() -> Option<UnitPanels>) -> Option<Arc<UnitPanels>> {
    let [out, channels, kernel] = key.sizes;
    let whole = weight.is_contiguous() && weight.bytes().len() == out * channels * kernel * kernel * 4;
    if !whole {
        return pack().map(Arc::new);
    }
    let values = weight.data_arc();
    let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(packed) = cache().get(&values, key) {
        return Some(packed);
    }
    let packed = Arc::new(pack()?);
    cache().insert(&values, key, packed.clone());
    Some(packed)
}

#[cfg(test)]
mod tests {
    use super::super::tile::Format;
    use super::*;

    fn packing(units: usize) -> Arc<UnitPanels> {
        let (data, factors) = (vec![], vec![]);
        Arc::new(UnitPanels { format: Format::Int8, data, width: 16, units, outputs: 1, taps: 1, factors })
    }

    fn key(factor: f32) -> Key {
        Key { sizes: [1, 1, 1], factor }
    }

    #[test]
    fn a_packing_is_that_of_the_same_memory_unchanged() {
        let mut cache = Cache(Vec::new());
        let (mut a, b) = (Arc::new(vec![1.0f32]), Arc::new(vec![1.0f32]));
        cache.insert(&a, key(1.0), packing(7));
        assert_eq!(cache.get(&a, key(1.0)).map(|p| p.units), Some(7));
        assert!(cache.get(&b, key(1.0)).is_none() && cache.get(&a, key(4.0)).is_none());
        // Written in place, as the tensor library does.
        Arc::make_mut(&mut a)[0] = 2.0;
        assert!(cache.get(&a, key(1.0)).is_none());
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut cache = Cache(Vec::new());
        let a = Arc::new(vec![1.0f32]);
        cache.insert(&a, key(1.0), packing(7));
        drop(a);
        assert!(cache.get(&Arc::new(vec![1.0f32]), key(1.0)).is_none() && cache.0.is_empty());
    }
}
