//! Plain chains of convolutions: vgg9, vgg14, vggsnn.

use super::chain::Chain;
use crate::error::Result;
use crate::layer::Conv;
use crate::network::Network;

/// AP4, then four stages of two convolutions: the event-driven CIFAR10-DVS network.
pub(super) fn vgg9(chain: Chain) -> Result<Network> {
    let pair = |c: Chain, a, b| c.spike(Conv::c3(a)).spike(Conv::c3(b));
    let chain = pair(chain.average(4).ttm(), 64, 128);
    let chain = [256, 512, 512].into_iter().fold(chain, |c, out| pair(c.ttm().average(2), out, out));
    chain.average(2).classify()
}

/// 64,64 128,128 256×3 512×3 512×3, AP2 after each group; a TTM before every convolution but the first.
pub(super) fn vgg14(chain: Chain) -> Result<Network> {
    let mut chain = chain.spike(Conv::c3(64)).ttm().spike(Conv::c3(64)).average(2);
    for group in [&[128, 128][..], &[256; 3], &[512; 3], &[512; 3]] {
        chain = group.iter().fold(chain, |c, &out| c.ttm().spike(Conv::c3(out))).average(2);
    }
    chain.classify()
}

/// 64,128 256,256 512,512 512,512, AP2 after each pair; a TTM before every convolution.
pub(super) fn vggsnn(mut chain: Chain) -> Result<Network> {
    for pair in [[64, 128], [256, 256], [512, 512], [512, 512]] {
        chain = pair.into_iter().fold(chain, |c, out| c.ttm().spike(Conv::c3(out))).average(2);
    }
    chain.classify()
}
