//! The bias of recurrent connections, which this library's have not.
//!
//! That of snnTorch's `RLeaky` and `RSynaptic` acts in every step, as the bias of the layer before the
//! neurons does, so it is added to that one. In sinabs (`rec_connect`) it acts from the second step on,
//! as nothing here does.

use super::error::refused;
use super::state::Checkpoint;
use crate::error::Result;
use crate::layer::{Layer, TensorSpec};
use crate::network::{Network, NodeId};
use crate::weights::Array;
use std::collections::HashMap;
use std::path::Path;

/// What a file has beside the weights of recurrent connections.
#[derive(Debug, Default)]
pub(super) struct Biases {
    /// Biases that a layer takes up.
    pub taken: Vec<Bias>,
    /// Why no layer takes up a bias, by its index in the file.
    pub left: HashMap<usize, String>,
    /// Tensors that change nothing: a bias of zeros, a second name of the weights. Each is an index in
    /// the file, with that of the network's tensor.
    pub without_effect: Vec<(usize, usize)>,
}

/// A bias of recurrent connections.
#[derive(Debug)]
pub(super) struct Bias {
    /// Its index in the file.
    pub index: usize,
    /// The index of the network's tensor of recurrent weights.
    pub of: usize,
    /// The name of the network's bias that takes it up.
    pub tensor: String,
    pub values: Array,
}

/// Finds the biases of the recurrent connections whose weights the network uses; `used` has, for each
/// tensor of the file, the network's tensor that uses it.
///
/// # Errors
/// If a bias cannot be read.
pub(super) fn find(checkpoint: &Checkpoint, network: &Network, file: &Path, used: &[Option<usize>]) -> Result<Biases> {
    let (entries, tensors) = (checkpoint.tensors(), network.tensors());
    let unused = |wanted: &str| entries.iter().position(|(name, _)| name == wanted).filter(|i| used[*i].is_none());
    let mut all = Biases::default();
    for ((weights, _), t) in entries.iter().zip(used) {
        let Some(of) = t.filter(|t| tensors[*t].2.name == "recurrent") else { continue };
        // snnTorch saves the weights of one-to-one connections under two names.
        if let Some(again) = weights.strip_suffix(".recurrent.V").and_then(|module| unused(&format!("{module}.V"))) {
            all.without_effect.push((again, of));
        }
        let bias = weights.rsplit_once('.').and_then(|(module, _)| unused(&format!("{module}.bias")));
        let Some(index) = bias else { continue };
        let (name, tensor) = &entries[index];
        let values = checkpoint.array(tensor).map_err(|e| refused(file, format!("tensor `{name}` {e}")))?;
        if values.data.iter().all(|v| *v == 0.0) {
            all.without_effect.push((index, of));
            continue;
        }
        let taken = if name.ends_with("rec_connect.bias") {
            Err("acts from the second step on, as no bias here does; set it to 0 in sinabs (`bias=False`)".to_owned())
        } else {
            taken_by(network, tensors[of].0, values.data.len())
        };
        match taken {
            Ok(tensor) => all.taken.push(Bias { index, of, tensor, values }),
            Err(why) => {
                all.left.insert(index, why);
            }
        }
    }
    Ok(all)
}

/// The name of the network's bias that can take up one of `len` values at the recurrent connections of
/// `node`. An error says why there is none.
fn taken_by(network: &Network, node: usize, len: usize) -> std::result::Result<String, String> {
    let acts = "acts in every step, as the bias of the layer before the neurons does";
    let nodes = network.nodes();
    let [NodeId::Node(before)] = nodes[node].from[..] else {
        return Err(format!("{acts}, and no layer stands before them; set it to 0 in the framework"));
    };
    let layer = &nodes[before];
    let has_one = |t: &TensorSpec| t.name == "bias" && t.shape == [len];
    match layer.layer {
        Layer::Conv(_) | Layer::Linear(_) | Layer::Norm(_) if network.readers()[before] == 1 => {}
        _ => {
            return Err(format!(
                "{acts}, and layer `{}` cannot take it up; add it there to the bias of the layer before",
                layer.name
            ));
        }
    }
    if layer.tensors().iter().any(has_one) {
        return Ok(format!("{}.bias", layer.name));
    }
    Err(format!("{acts}, and layer `{}` has none; set `bias = true` there in the recipe", layer.name))
}
