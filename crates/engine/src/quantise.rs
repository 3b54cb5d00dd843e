//! Converts float tables to 8-bit tables, with one joint scale for all weights that drive a layer.
//!
//! [`tickless_net::quantise`] has the equations. They are applied to the compiled tables, so the
//! weights that determine the scale include the factor of an average pooling and the weights of all
//! branches of a residual addition. Potentials are 16-bit integers whose additions saturate. A leak
//! is an error, because the chips that this form stands for have none.

use crate::edge::Edge;
use crate::error::{Error, Result};
use crate::flat::FlatNetwork;
use crate::kernel::Bounds;
use crate::layer::{Rule, Small};
use crate::table::Table;
use tickless_net::quantise::{quantise_layer, quantise_readout};
use tickless_neuron::quantised::Levels;
use tickless_simd::Aligned;

/// Converts the weights, thresholds and lower limits of every layer to integers. `tables` are the
/// float tables, to which the edges refer; each edge is changed to refer to its 8-bit table.
///
/// # Errors
/// If a layer leaks or has a state beside its membrane, or if its weights, threshold and limit have
/// no joint scale; the message names the layer.
pub(crate) fn quantise(flat: &mut FlatNetwork, tables: &[Vec<f32>]) -> Result<()> {
    for target in 0..flat.rules.len() {
        let heard: Vec<usize> = (0..flat.edges.len()).filter(|&e| flat.edges[e].target == target).collect();
        // Edges of the same layer share a table, which must enter the joint scale only once.
        let mut shared: Vec<usize> = heard.iter().map(|&e| flat.edges[e].table).collect();
        shared.sort_unstable();
        shared.dedup();
        let all: Vec<f32> = shared.iter().flat_map(|&t| tables[t].iter().copied()).collect();
        let name = flat.infos.get(target).map_or("readout", |i| i.name.as_str());
        let (weights, small) = layer(name, &flat.rules[target], &all, target == flat.infos.len())?;
        flat.rules[target].small = small;
        let mut rest = &weights[..];
        for t in shared {
            let (now, later) = rest.split_at(tables[t].len());
            rest = later;
            flat.tables.push(Table::Small(Aligned::copy_of(now)));
            let table = flat.tables.len() - 1;
            let reads = |e: &&mut Edge| e.target == target && e.table == t && !e.renumbered;
            flat.edges.iter_mut().filter(reads).for_each(|e| (e.table, e.renumbered) = (table, true));
        }
    }
    Ok(())
}

/// Quantises the weights of one layer and its threshold and lower limit; a readout has weights
/// only.
fn layer(name: &str, rule: &Rule, weights: &[f32], readout: bool) -> Result<(Vec<i8>, Small)> {
    if readout {
        let (weights, scale) = quantise_readout(name, weights)?;
        return Ok((weights, Small { scale, ..Small::NONE }));
    }
    if rule.decay.is_some() || rule.timed.is_some() {
        return Err(Error::layer(
            name,
            "leaks, and 8-bit programs have no leak, as the chips that they stand for; train with `model = \"if\"`",
        ));
    }
    let v_min = rule.v_min.is_finite().then_some(rule.v_min);
    let q = quantise_layer(name, weights, rule.threshold, v_min)?;
    let fires_at = if rule.fires_at == rule.threshold { q.threshold } else { q.threshold.saturating_add(1) };
    let bounds = Bounds { fires_at, v_min: q.v_min };
    let levels = Levels { threshold: q.threshold, v_min: q.v_min };
    Ok((q.weights, Small { levels, bounds, scale: q.scale }))
}
