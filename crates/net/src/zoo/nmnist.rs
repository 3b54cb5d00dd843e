//! Small deployable networks for recordings of digits at 34×34.

use super::chain::Chain;
use crate::error::Result;
use crate::layer::Conv;
use crate::network::Network;

/// TTM, C2→8/2 N, AP2, TTM, C8→16 N, AP2, TTM, FC.
pub(super) fn small(chain: Chain) -> Result<Network> {
    let chain = chain.ttm().spike(Conv::c3(8).with_stride(2)).average(2);
    chain.ttm().spike(Conv::c3(16)).average(2).ttm().classify()
}

/// TTM, C2→8 N, AP2, TTM, C8→16 N, AP2, TTM, C16→32 N, AP2, FC.
pub(super) fn wide(chain: Chain) -> Result<Network> {
    let chain = [8, 16, 32].into_iter().fold(chain, |c, out| c.ttm().spike(Conv::c3(out)).average(2));
    chain.classify()
}

/// TTM, C2→8 N, AP2, TTM, C8→16 N, AP2, TTM, C16→16/2 N, FC: 3C1FC of the paper.
pub(super) fn three_c(chain: Chain) -> Result<Network> {
    let chain = [8, 16].into_iter().fold(chain, |c, out| c.ttm().spike(Conv::c3(out)).average(2));
    chain.ttm().spike(Conv::c3(16).with_stride(2)).classify()
}
