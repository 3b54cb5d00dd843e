//! Code that the tests of all crates share. It uses no code of a trainer, a kernel or an engine,
//! because a reference that shared code with them would share their faults.
//!
//! | module | content |
//! |---|---|
//! | [`folders`] | finds the golden vectors, the shared recordings and the published networks |
//! | [`golden`] | reads a golden file: its entry in the index, its tensors |
//! | [`layers`] | layers that do not spike, in f64, computed from their definitions |
//! | [`command`] | runs the built command in a scratch folder |
//! | [`recipes`] | recipes of small trainings |
//! | [`clocked`] | simulates a network step by step, all layers in the same step |
//! | [`event_driven`] | simulates a network event by event, layer by layer |
//! | [`close`](mod@close) | compares lists of values of different orders of addition |
//! | [`errors`] | asserts the kind of an error and its values |
//! | [`hang`] | decides when a test calls a computation hung |
//! | [`generate`] | random networks, weights, steps, events and recordings from a seed |
//! | [`zip64`] | zip archives with the records for large archives |

pub mod clocked;
pub mod close;
pub mod command;
pub mod errors;
pub mod event_driven;
pub mod folders;
pub mod generate;
pub mod golden;
pub mod hang;
pub mod layers;
pub mod recipes;
pub mod zip64;
