//! Re-exports the progress trait of the data library: this crate calls it and draws nothing, so a
//! front end shows the preparation of a data set and a training in the same way.

pub use tickless_events::progress::{Progress, Quiet, Silent};
