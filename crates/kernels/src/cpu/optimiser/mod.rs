//! Operators that update weights: the sum of gradients and one step of each optimiser. Each is one
//! pass over memory.

pub(crate) mod accumulate;
pub(crate) mod adamw;
pub(crate) mod sgd;
