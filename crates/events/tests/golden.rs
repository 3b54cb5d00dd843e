//! Compares this crate with reference outputs of other programs, and with real data sets.

#[path = "golden/datasets.rs"]
mod datasets;
#[path = "golden/frames.rs"]
mod frames;
#[path = "golden/network.rs"]
mod network;
