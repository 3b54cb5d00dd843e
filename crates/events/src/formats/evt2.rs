//! Prophesee EVT 2.0 (`.raw`): words of 32 bits, each with at most one event.
//!
//! After the header (see `prophesee`) follow little endian words with their type in bits 31–28.
//! Types 0 (OFF) and 1 (ON) are events: the low 6 bits of the time in bits 27–22, x in bits 21–11,
//! y in bits 10–0. Type 8 (TIME_HIGH) contains the upper 28 bits of the time. Triggers and all
//! other types are skipped. Events before the first TIME_HIGH have no time and are dropped.
//!
//! Times are in µs of the camera's clock; overflows of TIME_HIGH (after 4.7 hours) are counted. x
//! counts from the left and y from the top. Source: the public description of EVT 2.0 in
//! Prophesee's documentation.

mod wide;

use tickless_simd::{Isa, Loop};

use super::encoder::EventEncoder;
use super::evt::{High, Version};
use super::oddities::{Odd, Oddities};
use super::prefetch::prefetch_a_page_ahead;
use super::prophesee::{Headed, Header, Words};
use super::records::{RecordDecoder, SliceOrigin};
use super::{Encoder, Format, Reading, SupportedOption};
use crate::columns::Slots;
use crate::{Columns, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "evt2",
    about: "Prophesee RAW, EVT 2.0",
    extensions: &["raw"],
    axes: super::Axes::UpperLeft,
    fits: |probe| VERSION.fits(probe),
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Headed::<Evt2>::new(options), file))),
    write: Some(encoder),
};

const VERSION: Version = Version { evt: "2.0", format: "EVT2" };
const TIME_HIGH: u32 = 8;
const EXT_TRIGGER: u32 = 0xA;
const OTHERS: u32 = 0xE;
const CONTINUED: u32 = 0xF;
const HIGH_BITS: u32 = 28;
const LOW_BITS: u32 = 6;
/// Number of words that are decoded together.
const GROUP: usize = 16;
/// Number of words whose events are written in one block.
const BLOCK: usize = 1024;

struct Evt2 {
    high: High,
    isa: Isa,
}

impl Words for Evt2 {
    const WORD: usize = 4;
    const WHAT: &'static str = "the last word";

    fn start(header: &Header, _: &[u8], literal: bool, place: SliceOrigin<'_>) -> Result<Evt2> {
        VERSION.check(header, place)?;
        Ok(Evt2 { high: High::new(literal), isa: Isa::best() })
    }

    fn words(&mut self, bytes: &[u8], _: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        let (words, _) = bytes.as_chunks::<4>();
        decode(words, &mut self.high, self.isa, out);
        Ok(())
    }

    fn overflows(&self) -> u64 {
        self.high.overflows()
    }

    fn look(&self, bytes: &[u8], at: u64, oddities: &mut Oddities) {
        let (words, mut at) = (bytes.as_chunks::<4>().0, at);
        for block in words.chunks(BLOCK) {
            if !oddities.timed || may_be_odd(block) {
                Evt2::look_at(block, at, oddities);
            }
            at += size_of_val(block) as u64;
        }
    }
}

/// Whether any word has an unknown type. The loop has no branches, so that the compiler vectorises
/// it.
fn may_be_odd(words: &[[u8; 4]]) -> bool {
    words.iter().fold(0, |any, w| {
        let kind = u32::from_le_bytes(*w) >> 28;
        any | u32::from(kind.wrapping_sub(2) < 6) | u32::from(kind == 9) | u32::from(kind.wrapping_sub(0xB) < 3)
    }) != 0
}

impl Evt2 {
    fn look_at(words: &[[u8; 4]], at: u64, oddities: &mut Oddities) {
        for (w, at) in words.iter().zip((at..).step_by(Self::WORD)) {
            match u32::from_le_bytes(*w) >> 28 {
                0 | 1 if !oddities.timed => oddities.note(Odd::Untimed, at),
                TIME_HIGH => oddities.timed = true,
                0 | 1 | EXT_TRIGGER | OTHERS | CONTINUED => {}
                _ => oddities.note(Odd::Unknown, at),
            }
        }
    }
}

fn decode(words: &[[u8; 4]], high: &mut High, isa: Isa, out: &mut Columns) {
    let taken = wide::events(isa, words, high, out);
    isa.run(Piece { words: &words[taken..], high, out });
}

/// Words to decode.
struct Piece<'a> {
    words: &'a [[u8; 4]],
    high: &'a mut High,
    out: &'a mut Columns,
}

impl Loop for Piece<'_> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        // Each block is so small that its columns stay in the L1 cache.
        for block in self.words.chunks(BLOCK) {
            let before = self.out.len();
            let n = fill(block, self.high, self.out.grow(block.len()));
            self.out.truncate(before + n);
        }
    }
}

/// Decodes words into at least as many slots. Returns n; the first n slots then contain the events.
#[inline(always)]
fn fill(mut words: &[[u8; 4]], high: &mut High, slots: Slots<'_>) -> usize {
    let len = words.len();
    let (t, x, y, on) = (&mut slots.t_us[..len], &mut slots.x[..len], &mut slots.y[..len], &mut slots.on[..len]);
    let mut n = 0;
    while let (Some(group), Some(base)) = (words.first_chunk::<GROUP>(), high.base_us) {
        prefetch_a_page_ahead(group);
        let group = group.map(u32::from_le_bytes);
        // All words are decoded as events, as most of them are, so that the compiler vectorises the
        // loop of each column. The slots are sufficient, because a word contains at most one event.
        let to = n..n + GROUP;
        t[to.clone()].iter_mut().zip(&group).for_each(|(to, &w)| *to = base + low(w));
        x[to.clone()].iter_mut().zip(&group).for_each(|(to, &w)| *to = column(w));
        y[to.clone()].iter_mut().zip(&group).for_each(|(to, &w)| *to = row(w));
        on[to].iter_mut().zip(&group).for_each(|(to, &w)| *to = is_on(w));
        if group.iter().fold(0, |all, w| all | w) >> 29 == 0 {
            n += GROUP;
            words = &words[GROUP..];
            continue;
        }
        let events = group.iter().take_while(|&w| w >> 29 == 0).count();
        n += events;
        if let Some(&w) = group.get(events) {
            other(high, w);
        }
        words = &words[events + 1..];
    }
    for w in words.iter().map(|&w| u32::from_le_bytes(w)) {
        match high.base_us {
            Some(base) if w >> 29 == 0 => {
                (t[n], x[n], y[n], on[n]) = (base + low(w), column(w), row(w), is_on(w));
                n += 1;
            }
            _ => other(high, w),
        }
    }
    n
}

/// Decodes a word that is not an event; an event before the first time is dropped.
#[inline(always)]
fn other(high: &mut High, w: u32) {
    if w >> 28 == TIME_HIGH {
        high.set(w & 0x0FFF_FFFF, HIGH_BITS, LOW_BITS);
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
            return Err(("x or y is above 2047", "scale the recording down".into()));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn decode(words: &[u32]) -> Vec<(u64, u16, u16, bool)> {
        let mut bytes = b"% evt 2.0\n% end\n".to_vec();
        words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        let events = FORMAT.decode(&bytes, "a.raw").unwrap().events;
        events.iter().map(|e| (e.t_us, e.x, e.y, e.on)).collect()
    }

    #[test]
    fn events_before_the_first_time_are_dropped_and_other_words_skipped() {
        let event = 1 << 28 | 5 << 22 | 3 << 11 | 4;
        let words = [event, 8 << 28 | 2, event, 0xA << 28 | 7, 0xE << 28, 0xF << 28, event & 0x0FFF_FFFF];
        assert_eq!(decode(&words), [(133, 3, 4, true), (133, 3, 4, false)]);
    }

    #[test]
    fn a_time_that_overflows_goes_on_and_a_small_step_back_is_literal() {
        let high = |t: u32| 8 << 28 | t;
        let words = [high(0x0FFF_FFFF), 0, high(0x0FFF_FFFE), 0, high(0), 0, high(1), 0];
        let times: Vec<_> = decode(&words).iter().map(|e| e.0).collect();
        assert_eq!(times, [(1 << 34) - 64, (1 << 34) - 128, 1 << 34, (1 << 34) + 64]);
    }

    #[test]
    fn a_time_that_steps_back_over_its_own_overflow_counts_it_once() {
        let high = |t: u32| 8 << 28 | t;
        let words = [high(0x0FFF_FFFF), 0, high(0), 0, high(0x0FFF_FFFF), 0, high(0), 0];
        let times: Vec<_> = decode(&words).iter().map(|e| e.0).collect();
        assert_eq!(times, [(1 << 34) - 64, 1 << 34, (1 << 34) - 64, 1 << 34]);
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        for header in ["% evt 2.0\n% format EVT3\n", "% evt 2.1\n% format EVT2\n", "% date today\n", ""] {
            let error = FORMAT.decode(&[header.as_bytes(), &[0; 4]].concat(), "a.raw").unwrap_err();
            assert!(error.to_string().starts_with("a.raw: byte 0: "), "{error}");
            assert!(matches!(error.problem(), Some(Problem::Header(_))), "{error}");
        }
        for header in ["% evt 2\n", "% evt 2.0\n", "% format EVT2;width=8;height=8\n", "% format EVT2\n% evt 2.0\n"] {
            assert!(FORMAT.decode(header.as_bytes(), "a.raw").is_ok(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn vectors_of_every_width_decode_the_same(
            words in prop::collection::vec(prop_oneof![20 => 0..1u32 << 29, 1 => 8u32 << 28..9 << 28, 1 => any::<u32>()], 0..3000),
        ) {
            let words: Vec<_> = words.iter().map(|w| w.to_le_bytes()).collect();
            let decoded: Vec<_> = Isa::available().into_iter().map(|isa| {
                let (mut high, mut out) = (High::default(), Columns::new());
                super::decode(&words, &mut high, isa, &mut out);
                (out, high.base_us)
            }).collect();
            prop_assert!(decoded.iter().all(|d| *d == decoded[0]));
        }
    }
}
