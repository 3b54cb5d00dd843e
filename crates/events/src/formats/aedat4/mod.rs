//! AEDAT4 (`.aedat4`), the files of the DV software.
//!
//! A file consists of `#!AER-DAT4.0\r\n`, a header (`header.rs`), packets, and, if the recorder
//! ended normally, a table of the packets, which this reader does not need. A packet is an i32
//! stream, an i32 size, and that many bytes: a flatbuffer (`flat.rs`), compressed with LZ4 (frame
//! format), ZSTD or not at all. A packet of events is a table `EVTS` with one vector. An event has
//! 16 bytes: i64 t (µs), i16 x, i16 y, u8 on, 3 unused. Packets of frames, of the inertial unit and
//! of triggers are skipped.
//!
//! Times are returned as stored; in most files they are µs since 1970. x counts from the left and y
//! from the top. Source: the schemas that iniVation publishes for its file format.
//!
//! Reading a file with several streams of events is an error until the caller chooses one by its
//! number ([`super::ReadOptions::stream`]), so that no stream is ignored unnoticed. If a file has
//! no table at its end, a truncation between two packets cannot be detected.

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

use super::{Fit, Format, Probe, Reading, SupportedOption};

pub use decode::decoder;
pub use encode::encoder;

/// The format description; see the module. It writes with LZ4; [`encoder`] offers the others.
pub const FORMAT: Format = Format {
    name: "aedat4",
    about: "AEDAT 4.0 of DV (iniVation), packed with LZ4, ZSTD or not at all",
    extensions: &["aedat4"],
    axes: super::Axes::UpperLeft,
    fits,
    supports: &[SupportedOption::Stream],
    read: Reading::Stream(|file, options| decoder(file, options.stream)),
    write: Some(|sensor| encoder(sensor, Compression::Lz4)),
};

/// The first bytes of a file.
const MAGIC: [u8; 14] = *b"#!AER-DAT4.0\r\n";

/// The compression of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    None,
    /// LZ4: fast.
    Lz4,
    /// ZSTD: small files.
    #[cfg(feature = "zstd")]
    Zstd,
}

fn fits(probe: &Probe) -> Fit {
    probe.begins_with(&MAGIC)
}
