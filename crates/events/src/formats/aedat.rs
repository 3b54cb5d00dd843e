//! Common parts of AEDAT 2.0 and 3.1: header lines that begin with `#`, and the sensors of cameras.

use crate::Sensor;

/// A header line has at most this many bytes; longer ones are treated as data.
pub const LONGEST_LINE: usize = 16 << 10;

/// The kind of the first bytes of a slice.
pub enum Front {
    /// Unknown: more bytes are needed.
    More,
    /// A header line of this many bytes, including its newline.
    Line(usize),
    /// Data, so the header has ended.
    Data,
}

/// Examines the beginning of `bytes`. A header line begins with `#`, ends with a newline and
/// contains no control characters except tab and carriage return.
pub fn front(bytes: &[u8]) -> Front {
    let Some(b'#') = bytes.first() else {
        return if bytes.is_empty() { Front::More } else { Front::Data };
    };
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    match line.iter().position(|b| b.is_ascii_control() && !matches!(b, b'\t' | b'\r')) {
        Some(at) if line[at] == b'\n' => Front::Line(at + 1),
        Some(_) => Front::Data,
        None if line.len() == LONGEST_LINE => Front::Data,
        None => Front::More,
    }
}

/// The sensor of a camera, by the camera's name in a header.
pub fn sensor(chip: &str) -> Option<Sensor> {
    let chip = chip.to_ascii_uppercase();
    let known = [
        ("DVS128", 128, 128),
        ("TMPDIFF128", 128, 128),
        ("DAVIS128", 128, 128),
        ("DAVIS240", 240, 180),
        ("DAVIS346", 346, 260),
        ("DAVIS640", 640, 480),
        ("DVS240", 240, 180),
        ("DVS346", 346, 260),
    ];
    let (_, width, height) = known.into_iter().find(|(name, ..)| chip.contains(name))?;
    Some(Sensor { width, height })
}
