//! Tests container formats (HDF5, AEDAT4, npy) with golden files and with broken ones.

#[path = "containers/broken.rs"]
mod broken;
#[path = "containers/ecf.rs"]
mod ecf;
#[path = "containers/golden.rs"]
mod golden;
#[path = "containers/planar.rs"]
mod planar;
#[path = "containers/variants.rs"]
mod variants;
