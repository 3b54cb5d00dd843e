//! What the tests of all crates share. Nothing here uses the code of a trainer, a kernel or an engine:
//! a simulator that shares code with what it checks would share its faults.
//!
//! | module | what |
//! |---|---|
//! | [`folders`] | where the golden vectors, the shared recordings and the published networks lie |
//! | [`golden`] | one golden file: its entry in the index, its tensors |
//! | [`layers`] | layers that do not spike, in f64, straight from their definitions |
//! | [`clocked`] | a network step by step, all layers in the same step |
//! | [`event_driven`] | a network event by event, layer by layer |
//! | [`hang`] | when a test calls a computation hung |
//! | [`generate`] | random networks, weights, steps and events from a seed |

pub mod clocked;
pub mod event_driven;
pub mod folders;
pub mod generate;
pub mod golden;
pub mod hang;
pub mod layers;
