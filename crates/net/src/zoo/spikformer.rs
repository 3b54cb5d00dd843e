//! Spikformer: convolutions make patches, then blocks of spiking self-attention and an MLP.
//!
//! Patches: C BN N at 1/8, 1/4, 1/2 and all of the channels, with 2×2 max pooling after the last two,
//! then x + N(BN(C(x))), the position. Block: x + P(N(Q·Kᵀ·V·0.125)), then x + MLP(x), where Q, K, V,
//! P and both layers of the MLP are a linear layer over tokens (a 1×1 convolution with bias), BN and N.
//! Each block is a stage; the first shares its stage with the patches. Source: Zhou et al. 2023.

use super::chain::Chain;
use crate::error::Result;
use crate::layer::Conv;
use crate::network::Network;

const CHANNELS: usize = 384;
const HEADS: usize = 12;

/// Four blocks of 384 channels.
pub(super) fn spikformer_4_384(chain: Chain) -> Result<Network> {
    spikformer(chain, 4)
}

/// Two blocks of 384 channels.
pub(super) fn spikformer_2_384(chain: Chain) -> Result<Network> {
    spikformer(chain, 2)
}

fn spikformer(chain: Chain, blocks: usize) -> Result<Network> {
    let patch = |c: Chain, part: usize| c.spike(Conv::c3(CHANNELS / part));
    let chain = patch(patch(patch(chain, 8), 4), 2).max(2, 2, 0);
    let chain = patch(chain, 1).max(2, 2, 0);
    let x = chain.at();
    let mut chain = patch(chain, 1).plus(x);
    for number in 1..=blocks {
        if number > 1 {
            chain = chain.alone(&format!("block{number}.")).ttm();
        }
        chain = block(chain, &format!("block{number}."));
    }
    chain.within("").global_average().classify()
}

/// A linear layer over tokens, norm and neurons.
fn tokens(chain: Chain, name: &str, out: usize) -> Chain {
    chain.alone(name).spike(Conv { bias: true, ..Conv::square(out, 1, 1, 0) })
}

fn block(chain: Chain, name: &str) -> Chain {
    let x = chain.at();
    let branch = |chain: Chain, part: &str| tokens(chain.go(x), &format!("{name}{part}."), CHANNELS);
    let chain = branch(chain, "q");
    let q = chain.at();
    let chain = branch(chain, "k");
    let k = chain.at();
    let chain = branch(chain, "v");
    let v = chain.at();
    let product = chain.within(name).attend([q, k, v], HEADS, CHANNELS).fire_at_half();
    let y = tokens(product, &format!("{name}projection."), CHANNELS).within(name).plus(x);
    let middle = y.at();
    let hidden = tokens(y, &format!("{name}mlp1."), 4 * CHANNELS);
    tokens(hidden, &format!("{name}mlp2."), CHANNELS).within(name).plus(middle)
}
