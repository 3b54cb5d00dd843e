//! Encodes a structured array. The header states the number of events, which is known only at the
//! end. Therefore the header has space for the largest number, and is written again at the end.

use super::MAGIC;
use crate::formats::Encoder;
use crate::formats::encoder::named;
use crate::{Columns, Error, Remedy, Result, Sensor};

const EVENT: usize = 13;
/// Number of digits of the largest number of events.
const DIGITS: usize = 20;

pub fn encoder(_: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    Ok(Box::new(ToArray { events: 0, begun: false, head: header(0) }))
}

struct ToArray {
    /// Number of events pushed.
    events: u64,
    /// Whether the header has been written for the first time.
    begun: bool,
    /// The header; its number of events is correct after `finish`.
    head: Vec<u8>,
}

impl ToArray {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(&self.head);
        }
    }
}

impl Encoder for ToArray {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        out.reserve(EVENT * events.len());
        for e in events.iter() {
            if e.t_us > i64::MAX as u64 {
                let what = format!("{} does not fit a NumPy array of i8 times", named(self.events, e));
                return Err(Error::setting(what, Remedy::START_AT_ZERO));
            }
            out.extend_from_slice(&e.t_us.to_le_bytes());
            out.extend_from_slice(&e.x.to_le_bytes());
            out.extend_from_slice(&e.y.to_le_bytes());
            out.push(e.on.into());
            self.events += 1;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        self.head = header(self.events);
        Ok(())
    }

    fn head(&self) -> &[u8] {
        &self.head
    }
}

/// The header of an array of `n` events; its length does not depend on `n`.
fn header(n: u64) -> Vec<u8> {
    let fields = "[('t', '<i8'), ('x', '<u2'), ('y', '<u2'), ('p', '|u1')]";
    let text = |n: &str| format!("{{'descr': {fields}, 'fortran_order': False, 'shape': ({n},), }}");
    // The values begin at a multiple of 64, after a line break.
    let before = MAGIC.len() + 4;
    let size = (before + text("").len() + DIGITS + 1).next_multiple_of(64) - before;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend((size as u16).to_le_bytes());
    header.extend(text(&n.to_string()).bytes());
    header.resize(before + size - 1, b' ');
    header.push(b'\n');
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_one_length_for_every_number_of_events() {
        let lengths = [0, 9, 10, 1 << 40, u64::MAX].map(|n| header(n).len());
        assert!(lengths.iter().all(|&l| l == lengths[0] && l % 64 == 0), "{lengths:?}");
        assert!(header(u64::MAX).ends_with(b"\n"));
    }
}
