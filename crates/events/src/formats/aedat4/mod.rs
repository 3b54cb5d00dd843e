//! AEDAT4 (`.aedat4`), the files of the DV software.
//!
//! `#!AER-DAT4.0\r\n`, a header (`header.rs`), packets, and where a recorder ended in order a table
//! of the packets, which is not needed here. A packet is i32 stream, i32 size, and as many bytes:
//! a flatbuffer (`flat.rs`) packed with LZ4 (frame format), ZSTD or not at all. That of events is a
//! table `EVTS` of one vector; an event has 16 bytes: i64 t (µs), i16 x, i16 y, u8 on, 3 unused.
//! Packets of frames, of the inertial unit and of triggers are skipped.
//!
//! Times are raw: µs since 1970 in most files, not shifted to zero. x counts from the left and y
//! from the top. After the schemas that iniVation publishes for its file format.
//!
//! A file with several streams of events is refused, so that none is left out in silence, until one
//! is chosen by its number ([`super::ReadOptions::stream`]). Without the table at the end, a file that was cut
//! between two packets cannot be told from a whole one.

mod block;
mod decode;
mod encode;
mod events;
mod flat;
mod frame;
mod header;
mod kernel;
#[cfg(test)]
mod tests;
mod unpack;

use super::{Fit, Format, Heed, Probe, Reading};

pub use decode::decoder;
pub use encode::encoder;

/// See the module. Written with LZ4; [`encoder`] takes others.
pub const FORMAT: Format = Format {
    name: "aedat4",
    about: "AEDAT 4.0 of DV (iniVation), packed with LZ4, ZSTD or not at all",
    extensions: &["aedat4"],
    axes: super::Axes::UpperLeft,
    fits,
    heeds: &[Heed::Stream],
    read: Reading::Stream(|file, options| decoder(file, options.stream)),
    write: Some(|sensor| encoder(sensor, Compression::Lz4)),
};

/// The first bytes of a file.
const MAGIC: [u8; 14] = *b"#!AER-DAT4.0\r\n";

/// How packets are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4, fast.
    Lz4,
    /// ZSTD, small.
    #[cfg(feature = "zstd")]
    Zstd,
}

fn fits(probe: &Probe) -> Fit {
    if probe.head.starts_with(&MAGIC) { Fit::Sure } else { Fit::No }
}
