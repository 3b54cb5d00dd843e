//! Deployment to a Speck-class chip. Its cores run without a clock; each applies one convolution,
//! its neurons and the pooling of their spikes.
//!
//! ```text
//! camera ─(pool)→ core: kernel → neurons ─(pool)→ core ... → counts of the last core's spikes
//! ```
//!
//! [`fit`] reports for each layer the memory it needs and its core, or the reason why it does not
//! fit; [`configuration`] quantises a network that fits and writes the configuration of every core.
//! Neither communicates with a chip: the vendor's library loads the configuration.
//!
//! Source: the data of the Speck2e/2f; memory formulae and limits as in sinabs' chip back end.
//!
//! ```
//! use tickless_net::interop::speck::{Chip, fit};
//! use tickless_net::zoo::{ZooOptions, build};
//! let report = fit(&build("nmnist-small", &ZooOptions::default())?, &Chip::speck2e());
//! assert!(report.fits(), "{report}");
//! # Ok::<(), tickless_net::Error>(())
//! ```

mod assign;
mod chip;
mod config;
mod fit;
mod map;

pub use chip::{Chip, Core};
pub use config::{Configuration, CoreConfig, Destination, InputConfig, configuration};
pub use fit::{FitReport, LayerFit, fit};
