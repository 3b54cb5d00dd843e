//! Assigns layers to cores by a maximum matching (Kuhn's augmenting paths), so every layer gets a
//! core whenever that is possible. A layer tries the cores in order.

/// Returns the core of each layer, if any. `suits[layer][core]` says whether the layer fits the
/// core.
pub(super) fn assign(suits: &[Vec<bool>]) -> Vec<Option<usize>> {
    let cores = suits.first().map_or(0, Vec::len);
    let mut taken: Vec<Option<usize>> = vec![None; cores];
    for layer in 0..suits.len() {
        find(layer, suits, &mut taken, &mut vec![false; cores]);
    }
    let mut given = vec![None; suits.len()];
    for (core, layer) in taken.iter().enumerate() {
        if let Some(l) = layer {
            given[*l] = Some(core);
        }
    }
    given
}

/// Finds a core for `layer`; moves another layer to a different core if necessary.
fn find(layer: usize, suits: &[Vec<bool>], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for core in 0..taken.len() {
        if suits[layer][core] && !std::mem::replace(&mut seen[core], true) {
            let free = match taken[core] {
                None => true,
                Some(other) => find(other, suits, taken, seen),
            };
            if free {
                taken[core] = Some(layer);
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The largest number of layers that can have cores, by exhaustive search.
    fn most(suits: &[Vec<bool>], layer: usize, used: usize) -> usize {
        let Some(row) = suits.get(layer) else { return 0 };
        let skip = most(suits, layer + 1, used);
        let free = (0..row.len()).filter(|c| row[*c] && used >> c & 1 == 0);
        free.map(|c| 1 + most(suits, layer + 1, used | 1 << c)).fold(skip, usize::max)
    }

    proptest! {
        #[test]
        fn as_many_layers_as_possible_get_a_core_that_suits(
            suits in prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 0..7),
        ) {
            let given = assign(&suits);
            let mut used = std::collections::BTreeSet::new();
            for (layer, core) in given.iter().enumerate().filter_map(|(l, c)| Some((l, (*c)?))) {
                prop_assert!(suits[layer][core] && used.insert(core));
            }
            prop_assert_eq!(used.len(), most(&suits, 0, 0));
        }
    }
}
