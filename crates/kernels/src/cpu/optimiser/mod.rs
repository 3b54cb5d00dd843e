//! What changes weights: the sum of gradients and one step of each optimiser, one pass over memory each.

pub(crate) mod accumulate;
pub(crate) mod adamw;
pub(crate) mod sgd;
