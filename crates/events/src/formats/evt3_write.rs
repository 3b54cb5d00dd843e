//! Writes EVT 3.0; the module `evt3` describes the layout.

use super::encoder::{Encoder, refuse};
use super::evt::{High, run};
use super::evt3::{
    ADDR_X, ADDR_Y, FORMAT, HIGH_BITS, LOW_BITS, TIME_HIGH, TIME_LOW, VECT_8, VECT_12, VECT_BASE_X, VERSION,
};
use crate::{Columns, Event, Result, Sensor};

/// Writes words. Adjacent events of equal time, row and polarity become vectors if that is shorter.
pub struct Writer {
    header: Option<Vec<u8>>,
    high: High,
    low: Option<u16>,
    y: Option<u16>,
    count: u64,
}

impl Writer {
    pub fn new(sensor: Option<Sensor>) -> Writer {
        Writer { header: Some(VERSION.header(sensor, "")), high: High::default(), low: None, y: None, count: 0 }
    }
}

impl Encoder for Writer {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        let mut at = 0;
        while let Some(e) = events.get(at) {
            let Event { t_us, x, y, on } = e;
            if x > 0x7FF || y > 0x7FF {
                let why = ("x or y is above 2047", "scale the recording down".into());
                return Err(refuse(FORMAT.name, self.count, e, why));
            }
            let mut word = |kind: u16, value: u16| out.extend((kind << 12 | value).to_le_bytes());
            let high = self.high.words_to(t_us, HIGH_BITS, LOW_BITS);
            for value in high.map_err(|why| refuse(FORMAT.name, self.count, e, why))? {
                word(TIME_HIGH, value as u16);
                self.low = None;
            }
            let low = (t_us & 0xFFF) as u16;
            if self.low.replace(low) != Some(low) {
                word(TIME_LOW, low);
            }
            if self.y.replace(y) != Some(y) {
                word(ADDR_Y, y);
            }
            let polarity = u16::from(on) << 11;
            let n = run(events.iter_from(at), 32);
            if n > 4 {
                // A base and three masks are four words for up to 32 pixels.
                let mask = events.x()[at..at + n].iter().fold(0u32, |mask, column| mask | 1 << (column - x));
                word(VECT_BASE_X, polarity | x);
                word(VECT_12, (mask & 0xFFF) as u16);
                word(VECT_12, (mask >> 12 & 0xFFF) as u16);
                word(VECT_8, (mask >> 24) as u16);
            } else {
                events.x()[at..at + n].iter().for_each(|column| word(ADDR_X, polarity | column));
            }
            at += n;
            self.count += n as u64;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}
