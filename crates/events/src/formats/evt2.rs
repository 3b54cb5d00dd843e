//! Prophesee EVT 2.0 (`.raw`): one event a word of 32 bits.
//!
//! After the header (see `prophesee`) little-endian words with the type in bits 31–28:
//! 0 OFF and 1 ON events with the low 6 bits of the time in 27–22, x in 21–11, y in 10–0;
//! 8 TIME_HIGH, the upper 28 bits of the time. Triggers and all other types are skipped. Events
//! before the first TIME_HIGH have no time and are dropped.
//!
//! Times are raw, in µs of the camera's clock; an overflow of TIME_HIGH (after 4.7 hours) is
//! counted. x counts from the left and y from the top. Source: the public description of EVT 2.0
//! in Prophesee's documentation.

use super::encoder::EventEncoder;
use super::evt::{High, Version};
use super::prophesee::{Headed, Header, Words};
use super::records::{Place, RecordDecoder};
use super::{Encoder, Format, Reading};
use crate::{Columns, Result, Sensor};

/// See the module.
pub const FORMAT: Format = Format {
    name: "evt2",
    about: "Prophesee RAW, EVT 2.0",
    extensions: &["raw"],
    fits: |probe| VERSION.fits(probe),
    read: Reading::Stream(|file| Box::new(RecordDecoder::new(Headed::<Evt2>::new(), file))),
    write: Some(encoder),
};

const VERSION: Version = Version { evt: "2.0", format: "EVT2" };
const TIME_HIGH: u32 = 8;
const HIGH_BITS: u32 = 28;
const LOW_BITS: u32 = 6;
/// Words that are looked at together.
const GROUP: usize = 16;

#[derive(Default)]
struct Evt2 {
    high: High,
}

impl Words for Evt2 {
    const WORD: usize = 4;
    const WHAT: &'static str = "the last word";

    fn start(header: &Header, _: &[u8], place: Place<'_>) -> Result<Evt2> {
        VERSION.check(header, place)?;
        Ok(Evt2::default())
    }

    fn words(&mut self, bytes: &[u8], _: Place<'_>, out: &mut Columns) -> Result<()> {
        let (len, before) = (bytes.len() / 4, out.len());
        let slots = out.grow(len);
        let (t, x, y, on) = (&mut slots.t_us[..len], &mut slots.x[..len], &mut slots.y[..len], &mut slots.on[..len]);
        let mut n = 0;
        for group in bytes.chunks(4 * GROUP) {
            let mut words = [TIME_HIGH << 28; GROUP];
            for (word, r) in words.iter_mut().zip(group.chunks_exact(4)) {
                *word = u32::from_le_bytes([r[0], r[1], r[2], r[3]]);
            }
            let types = words.iter().fold(0, |all, w| all | w >> 29);
            if types == 0
                && let Some(base) = self.high.base_us
            {
                // Nothing but events, as mostly: each column is a loop that becomes vector code.
                let to = n..n + GROUP;
                t[to.clone()].iter_mut().zip(&words).for_each(|(to, &w)| *to = base + low(w));
                x[to.clone()].iter_mut().zip(&words).for_each(|(to, &w)| *to = column(w));
                y[to.clone()].iter_mut().zip(&words).for_each(|(to, &w)| *to = row(w));
                on[to].iter_mut().zip(&words).for_each(|(to, &w)| *to = is_on(w));
                n += GROUP;
                continue;
            }
            for &w in &words[..group.len() / 4] {
                match w >> 28 {
                    0 | 1 => {
                        let Some(base) = self.high.base_us else { continue };
                        (t[n], x[n], y[n], on[n]) = (base + low(w), column(w), row(w), is_on(w));
                        n += 1;
                    }
                    TIME_HIGH => self.high.set(w & 0x0FFF_FFFF, HIGH_BITS, LOW_BITS),
                    _ => {}
                }
            }
        }
        out.truncate(before + n);
        Ok(())
    }
}

#[inline(always)]
fn low(w: u32) -> u64 {
    u64::from(w >> 22 & 0x3F)
}

#[inline(always)]
fn column(w: u32) -> u16 {
    (w >> 11 & 0x7FF) as u16
}

#[inline(always)]
fn row(w: u32) -> u16 {
    (w & 0x7FF) as u16
}

#[inline(always)]
fn is_on(w: u32) -> bool {
    w >> 28 & 1 == 1
}

fn encoder(sensor: Option<Sensor>) -> Result<Box<dyn Encoder>> {
    let mut high = High::default();
    Ok(EventEncoder::boxed(FORMAT.name, VERSION.header(sensor, ""), move |e, bytes| {
        if e.x > 0x7FF || e.y > 0x7FF {
            return Err(("x or y is above 2047", "scale the recording down"));
        }
        for word in high.words_to(e.t_us, HIGH_BITS, LOW_BITS)? {
            bytes.extend((TIME_HIGH << 28 | word).to_le_bytes());
        }
        let low = (e.t_us & 0x3F) as u32;
        let word = u32::from(e.on) << 28 | low << 22 | u32::from(e.x) << 11 | u32::from(e.y);
        bytes.extend(word.to_le_bytes());
        Ok(())
    }))
}
