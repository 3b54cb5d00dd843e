//! Container formats (HDF5, AEDAT4, npy): golden files, and files that are broken in every way.

#[path = "containers/broken.rs"]
mod broken;
mod common;
#[path = "containers/ecf.rs"]
mod ecf;
#[path = "containers/golden.rs"]
mod golden;
#[path = "containers/planar.rs"]
mod planar;
#[path = "containers/variants.rs"]
mod variants;
