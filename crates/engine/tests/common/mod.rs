//! What the tests share: the golden files, a slow reference engine, a clocked simulator, random
//! networks. Nothing here uses the engine's code.
#![allow(dead_code)]

pub mod clocked;
pub mod dense;
pub mod golden;
pub mod random;
pub mod reference;
