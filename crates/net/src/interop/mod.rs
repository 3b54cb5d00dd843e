//! Networks in and out: what other frameworks and chips read and write.
//!
//! * `nir`: graphs of the Neuromorphic Intermediate Representation (feature `nir`).

#[cfg(feature = "nir")]
pub mod nir;
