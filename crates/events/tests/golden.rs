//! This crate against reference outputs of other programs, and against real data sets.

mod common;
#[path = "golden/datasets.rs"]
mod datasets;
#[path = "golden/frames.rs"]
mod frames;
#[path = "golden/network.rs"]
mod network;
