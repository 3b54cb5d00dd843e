//! The network for Spiking Heidelberg Digits: 700 channels of an inner ear, 20 spoken digits.

use super::chain::Chain;
use crate::error::Result;
use crate::network::Network;

/// TTM, FC→128 N with recurrent connections, TTM, FC→20 (Cramer et al. 2022, one hidden layer).
pub(super) fn shd(chain: Chain) -> Result<Network> {
    chain.ttm().spike_recurrent(128).ttm().classify()
}
