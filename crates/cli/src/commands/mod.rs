//! One file per subcommand. Each parses its arguments, calls a library and prints.

pub mod answers;
pub mod asynchrony;
pub mod calibrate;
mod chip;
pub mod compare;
pub mod cost;
pub mod data;
pub mod demo;
pub mod early_exit;
pub mod eval;
pub mod export;
pub mod fetch;
pub mod finetune;
pub mod import;
pub mod net;
pub mod parity;
pub mod predict;
pub mod report;
pub mod robustness;
pub mod simulate;
mod studied_runs;
pub mod study;
pub mod trace;
pub mod train;
pub mod tune;
