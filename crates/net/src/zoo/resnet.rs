//! Residual networks, in which the neurons of a block follow the addition ("spike after add").
//!
//! Block: x → C BN N → C BN → (+ shortcut of x) → N. The shortcut is the identity, or a 1×1
//! convolution with norm if channels or stride change. Each block is a stage that starts with a
//! TTM, except the first, which shares its stage with the stem.

use super::chain::Chain;
use crate::error::Result;
use crate::layer::Conv;
use crate::network::Network;

/// Stem of 64 channels; two blocks each of 64, 128/2, 256/2, 512/2 channels.
pub(super) fn resnet18(chain: Chain) -> Result<Network> {
    small(chain, RESNET18)
}

/// resnet18 with a TTM before the stem, for recordings.
pub(super) fn resnet18_dvs(chain: Chain) -> Result<Network> {
    small(chain.ttm(), RESNET18)
}

/// The blocks of resnet18 after a 7×7/2 convolution and 3×3/2 max pooling.
pub(super) fn resnet18_imagenet(chain: Chain) -> Result<Network> {
    large(chain, RESNET18)
}

/// Stem of 128 channels; three blocks of 128, three of 256/2, two of 512/2 channels.
pub(super) fn resnet19(chain: Chain) -> Result<Network> {
    small(chain, RESNET19)
}

/// The blocks of resnet19 after a 7×7/2 convolution and 3×3/2 max pooling.
pub(super) fn resnet19_imagenet(chain: Chain) -> Result<Network> {
    large(chain, RESNET19)
}

/// Stem of 64 channels; 3, 4, 6 and 3 blocks of 64, 128, 256 and 512 channels.
pub(super) fn resnet34(chain: Chain) -> Result<Network> {
    small(chain, RESNET34)
}

/// The blocks of resnet34 after a 7×7/2 convolution and 3×3/2 max pooling.
pub(super) fn resnet34_imagenet(chain: Chain) -> Result<Network> {
    large(chain, RESNET34)
}

/// Groups of (number of blocks, channels); the stem has the channels of the first group.
type Groups = &'static [(usize, usize)];

const RESNET18: Groups = &[(2, 64), (2, 128), (2, 256), (2, 512)];
const RESNET19: Groups = &[(3, 128), (3, 256), (2, 512)];
const RESNET34: Groups = &[(3, 64), (4, 128), (6, 256), (3, 512)];

/// A network for small images: the stem is a 3×3 convolution.
fn small(chain: Chain, groups: Groups) -> Result<Network> {
    let channels = groups[0].1;
    classify(blocks(chain.spike(Conv::c3(channels)), channels, groups))
}

/// A network for photographs: the stem is a 7×7/2 convolution and 3×3/2 max pooling.
fn large(chain: Chain, groups: Groups) -> Result<Network> {
    let channels = groups[0].1;
    classify(blocks(chain.spike(Conv::square(channels, 7, 2, 3)).max(3, 2, 1), channels, groups))
}

/// Appends groups of (number of blocks, channels). The first block of each group except the first
/// has stride 2.
fn blocks(stem: Chain, stem_channels: usize, groups: &[(usize, usize)]) -> Chain {
    let (mut chain, mut before, mut number) = (stem, stem_channels, 0);
    for (g, &(count, channels)) in groups.iter().enumerate() {
        for i in 0..count {
            number += 1;
            let name = format!("block{number}.");
            if number > 1 {
                chain = chain.alone(&name).ttm();
            }
            let stride = if g > 0 && i == 0 { 2 } else { 1 };
            chain = block(chain, &name, before, channels, stride);
            before = channels;
        }
    }
    chain
}

fn block(chain: Chain, name: &str, before: usize, channels: usize, stride: usize) -> Chain {
    let x = chain.at();
    let main = chain.within(name).spike(Conv::c3(channels).with_stride(stride)).conv(Conv::c3(channels));
    if before == channels && stride == 1 {
        return main.alone(name).plus(x).within(name).fire();
    }
    let end = main.at();
    let projection = Conv::square(channels, 1, stride, 0);
    let aside = main.go(x).alone(&format!("{name}shortcut.")).conv(projection);
    let shortcut = aside.at();
    aside.go(end).alone(name).plus(shortcut).within(name).fire()
}

fn classify(chain: Chain) -> Result<Network> {
    chain.within("").global_average().classify()
}
