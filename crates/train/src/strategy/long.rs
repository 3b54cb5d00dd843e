//! The long configuration: one more pass at m·T_max steps, where a clocked network is nearly the
//! event-driven one.
//!
//! All stages run at T = m·T_max, the recording is cut into as many frames, the leak belongs to
//! time, and a refractory period of ρ steps lasts max(1, ⌈ρ·m⌉) steps. The logits are summed and
//! divided by T_max, as the engine's confidence is:
//!
//! ```text
//! L_long = loss(1/T_max·Σ_t logits[t], y)
//! ```
//!
//! If `distill` = α is above 0, the long pass runs first, and every pass of the strategy in that
//! iteration adds α·KL(p ‖ q) to its loss, with p the class probabilities of the long pass, without
//! a gradient, and q those of its own time-mean logits ([`crate::loss::distillation`]).
//!
//! The pass costs m·T_max time steps, a pass of MTT or NMT (T_min + T_max)/2 on average. So with
//! T = 1 … 10 and m = 3 it costs as much as 5.5 of theirs.

use super::ExtraPasses;
use tickless_net::recipe::LongRecipe;

/// The long configuration of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Long {
    /// Number m of steps for one step at T_max.
    pub times: usize,
    /// When it runs.
    pub extra: ExtraPasses,
    /// Weight α of its soft target in the loss of the strategy's passes; 0 for none.
    pub distill: f32,
}

impl From<LongRecipe> for Long {
    fn from(recipe: LongRecipe) -> Self {
        let LongRecipe { times, every, replaces, distill, .. } = recipe;
        Self { times, extra: ExtraPasses::new(every, replaces), distill }
    }
}
