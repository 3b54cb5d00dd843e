//! How a library reports what it is doing: the small trait of the data library, so that no library
//! draws progress bars and a data set that is being prepared shows like a training.

pub use tickless_events::progress::{Progress, Silent};
