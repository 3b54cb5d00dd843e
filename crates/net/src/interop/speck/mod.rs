//! Deployment to a Speck-class chip: cores without a clock, each one convolution, its neurons and
//! the pooling of their spikes.
//!
//! ```text
//! camera ─(pool)→ core: kernel → neurons ─(pool)→ core ... → counts of the last core's spikes
//! ```
//!
//! [`fit`] says layer by layer what a core would hold, which core takes it and why not otherwise;
//! [`configuration`] quantises a network that fits and writes down what every core gets. Neither
//! talks to a chip: the vendor's library reads such a configuration.
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
