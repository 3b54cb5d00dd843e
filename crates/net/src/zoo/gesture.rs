//! The network for DVS-Gesture: input 2×128×128, eleven gestures.

use super::chain::Chain;
use crate::error::Result;
use crate::layer::{Conv, TtmMode};
use crate::network::Network;

/// TTM (trim), AP2, C2→8/2 N, AP2, C8→16 N, TTM, AP2, C16→32 N, AP2, C32→32 N, TTM, FC→64 N, FC.
///
/// The TTM at the input uses `trim` as the reference does: a gesture is repeated, so its first
/// frames are a shorter recording of the same gesture.
pub(super) fn gesture(chain: Chain) -> Result<Network> {
    let chain = chain.ttm_by_default(TtmMode::Trim);
    let chain = chain.average(2).spike(Conv::c3(8).with_stride(2)).average(2).spike(Conv::c3(16));
    let chain = chain.ttm().average(2).spike(Conv::c3(32)).average(2).spike(Conv::c3(32));
    chain.ttm().spike_linear(64).classify()
}
