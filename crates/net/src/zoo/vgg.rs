//! Plain chains of convolutions: vgg9, vgg14 and vggsnn.

use super::chain::Chain;
use crate::error::Result;
use crate::layer::Conv;
use crate::network::Network;

/// The event-driven network for CIFAR10-DVS: AP4, then four stages of two convolutions each.
pub(super) fn vgg9(chain: Chain) -> Result<Network> {
    let pair = |c: Chain, a, b| c.spike(Conv::c3(a)).spike(Conv::c3(b));
    let chain = pair(chain.average(4).ttm(), 64, 128);
    let chain = [256, 512, 512].into_iter().fold(chain, |c, out| pair(c.ttm().average(2), out, out));
    chain.average(2).classify()
}

/// Channels 64,64 128,128 256×3 512×3 512×3, AP2 after each group, and a TTM before every
/// convolution except the first.
pub(super) fn vgg14(chain: Chain) -> Result<Network> {
    let mut chain = chain.spike(Conv::c3(64)).ttm().spike(Conv::c3(64)).average(2);
    for group in [&[128, 128][..], &[256; 3], &[512; 3], &[512; 3]] {
        chain = group.iter().fold(chain, |c, &out| c.ttm().spike(Conv::c3(out))).average(2);
    }
    chain.classify()
}

/// Channels 64,128 256,256 512,512 512,512, AP2 after each pair, and a TTM before every
/// convolution.
pub(super) fn vggsnn(mut chain: Chain) -> Result<Network> {
    for pair in [[64, 128], [256, 256], [512, 512], [512, 512]] {
        chain = pair.into_iter().fold(chain, |c, out| c.ttm().spike(Conv::c3(out))).average(2);
    }
    chain.classify()
}
