//! Writes a structured array. Its header states the number of events, which is known only at the
//! end: until then the 13 bytes of each event are kept in memory.

use super::MAGIC;
use crate::formats::Encoder;
use crate::{Columns, Error, Result, Sensor};

const EVENT: usize = 13;

pub fn encoder(_: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    Ok(Box::new(ToArray { events: Vec::new() }))
}

struct ToArray {
    events: Vec<u8>,
}

impl Encoder for ToArray {
    fn push(&mut self, events: &Columns, _: &mut Vec<u8>) -> Result<()> {
        self.events.reserve(EVENT * events.len());
        for e in events.iter() {
            if e.t_us > i64::MAX as u64 {
                let what = format!("event {} {e:?} does not fit a NumPy array of i8 times", self.events.len() / EVENT);
                return Err(Error::setting(what, "let the times start near 0"));
            }
            self.events.extend_from_slice(&e.t_us.to_le_bytes());
            self.events.extend_from_slice(&e.x.to_le_bytes());
            self.events.extend_from_slice(&e.y.to_le_bytes());
            self.events.push(e.on.into());
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let n = self.events.len() / EVENT;
        let fields = "[('t', '<i8'), ('x', '<u2'), ('y', '<u2'), ('p', '|u1')]";
        let mut header = format!("{{'descr': {fields}, 'fortran_order': False, 'shape': ({n},), }}");
        // The values begin at a multiple of 64, behind a line break.
        let before = MAGIC.len() + 4;
        let size = (before + header.len() + 1).next_multiple_of(64) - before;
        header.extend(std::iter::repeat_n(' ', size - 1 - header.len()));
        header.push('\n');
        out.extend(MAGIC);
        out.extend([1, 0]);
        out.extend((size as u16).to_le_bytes());
        out.extend(header.as_bytes());
        out.append(&mut self.events);
        Ok(())
    }
}
