//! What AEDAT 2.0 and AEDAT 3.1 share: header lines that begin with `#`, and the cameras' sensors.

use crate::Sensor;

/// A longer line is taken for data.
pub const LONGEST_LINE: usize = 16 << 10;

/// What stands at the front of some bytes.
pub enum Front {
    /// Not enough bytes to say.
    More,
    /// A header line of this many bytes.
    Line(usize),
    /// No header line.
    Data,
}

/// A header line begins with `#`, ends in a newline and has no control characters.
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

/// The sensor of a camera, by what a header calls it.
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
