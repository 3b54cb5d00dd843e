//! Reads the events of event cameras from files and turns them into frames for networks.
//!
//! An event camera has no frames: each pixel reports on its own when its brightness has changed
//! enough, as an [`Event`] (time in µs, x, y, brighter or darker). A [`Recording`] is a sequence of
//! events of one [`Sensor`], sorted by time. This crate reads recordings and images from files
//! ([`formats`]), counts the events of a recording into frames ([`frames`]), simulates a camera
//! that turns images into recordings ([`camera`]) and opens data sets (`datasets`, a feature). It
//! does not depend on the crates that define, train or run networks.
//!
//! ```
//! use tickless_events::{Event, Framing, Recording, Sensor};
//!
//! let sensor = Sensor { width: 4, height: 4 };
//! let events = [
//!     Event { t_us: 10, x: 0, y: 0, on: true },
//!     Event { t_us: 25, x: 3, y: 2, on: false },
//! ];
//! let (recording, moved) = Recording::from_events(sensor, &events)?;
//! assert_eq!(moved, 0);
//! let frames = Framing::slices(5).frames::<f32>(&recording)?;
//! assert_eq!(frames.shape, [5, 2, 4, 4]);
//! assert_eq!(frames.data.iter().sum::<f32>(), 2.0);
//! # Ok::<(), tickless_events::Error>(())
//! ```
//!
//! Units and shapes are the same everywhere: times are in µs, frames are `[T, 2, H, W]` with
//! channel 0 for OFF and channel 1 for ON (an event's polarity bit is its channel), and images are
//! `[C, H, W]`.
// The print macros panic if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![deny(unsafe_code)]

pub mod augment;
pub mod camera;
mod columns;
#[cfg(feature = "datasets")]
pub mod datasets;
pub mod error;
mod event;
#[cfg(feature = "download")]
pub mod fetch;
pub mod formats;
pub mod frames;
mod image;
#[cfg(feature = "datasets")]
pub mod info;
#[cfg(feature = "mmap")]
mod mmap;
pub mod problem;
pub mod progress;
mod recording;
mod remedy;
pub mod rng;
pub mod source;
mod stream;
#[cfg(test)]
mod testing;
mod time_unit;
#[cfg(any(feature = "npz", feature = "download"))]
mod zip_index;

pub use camera::{Camera, CameraConfig};
pub use columns::Columns;
#[cfg(feature = "datasets")]
pub use datasets::{DataRequest, Dataset, Sample, SampleKind, Split};
pub use error::{Error, Result};
pub use event::{Event, Sensor};
pub use frames::{Frames, Framing, Slicing};
pub use image::Image;
#[cfg(feature = "datasets")]
pub use info::{Info, info, info_with};
pub use problem::Problem;
pub use recording::Recording;
pub use remedy::{Choice, Remedy};
