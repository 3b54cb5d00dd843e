//! Helpers that several test files share.
#![allow(dead_code)] // each test binary uses a part

#[cfg(feature = "datasets")]
pub mod made;

#[allow(unused_imports)]
pub use tickless_testing::folders::data;
