//! Common parts of EVT2, EVT2.1 and EVT3: the version in the header, and a clock that overflows.

use super::encoder::Refusal;
use super::prophesee::Header;
use super::records::SliceOrigin;
use super::{Fit, Probe};
use crate::problem::HeaderProblem;
use crate::{Event, Remedy, Result, Sensor};

/// A version of the format, as headers write it: `% evt 2.1`, `% format EVT21;…`.
pub struct Version {
    /// The text after `% evt`.
    pub evt: &'static str,
    /// The text after `% format`.
    pub format: &'static str,
}

impl Version {
    /// Whether a file's header states this version. Some writers omit the line `evt`, others
    /// `format`.
    pub fn fits(&self, probe: &Probe<'_>) -> Fit {
        let (header, at) = Header::of(probe);
        let format = header.format().map(|f| f.eq_ignore_ascii_case(self.format));
        let evt = header.get("evt").map(|e| self.is_evt(e));
        match format.or(evt) {
            Some(true) => Fit::Sure,
            _ if Header::may_continue(probe, at) => Fit::Unknown,
            _ => Fit::No,
        }
    }

    /// Verifies that the header states this version.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] if the header states no version or another one.
    pub fn check(&self, header: &Header, place: SliceOrigin<'_>) -> Result<()> {
        let header_starts = SliceOrigin { file: place.file, at: 0 };
        let (evt, format) = (header.get("evt"), header.format());
        let right = [evt.map(|e| self.is_evt(e)), format.map(|f| f.eq_ignore_ascii_case(self.format))];
        match right {
            [None, None] => Err(header_starts.error(
                0,
                HeaderProblem::NoVersion,
                "add the line `% evt 2.0`, `% evt 2.1` or `% evt 3.0` if you know which it is",
            )),
            [Some(false), _] | [_, Some(false)] => {
                let problem = HeaderProblem::Versions { evt: evt.map(String::from), format: format.map(String::from) };
                Err(header_starts.error(0, problem, "correct the header to the version that the data has"))
            }
            _ => Ok(()),
        }
    }

    fn is_evt(&self, evt: &str) -> bool {
        evt == self.evt || self.evt.strip_suffix(".0") == Some(evt)
    }

    /// The header of a file that this crate writes.
    pub fn header(&self, sensor: Option<Sensor>, options: &str) -> Vec<u8> {
        let Version { evt, format } = self;
        let (mut size, mut geometry) = (String::new(), String::new());
        if let Some(Sensor { width, height }) = sensor {
            size = format!(";height={height};width={width}");
            geometry = format!("% geometry {width}x{height}\n");
        }
        format!("% evt {evt}\n% format {format}{options}{size}\n{geometry}% end\n").into_bytes()
    }
}

/// The high bits of the time, as words set them, and the number of their overflows.
#[derive(Debug, Clone, Copy, Default)]
pub struct High {
    /// The time of the high bits and the overflows in µs; `None` before the first word.
    pub base_us: Option<u64>,
    last: u32,
    /// Number of overflows before the last word. A word that steps back over an overflow lowers it.
    turns: u64,
    /// Largest value of `turns` so far: the number of overflows found.
    overflows: u64,
    /// Whether overflows are ignored.
    literal: bool,
}

impl High {
    /// Creates the state before the first word. If `literal` is true, overflows are ignored.
    pub fn new(literal: bool) -> High {
        High { literal, ..High::default() }
    }

    /// Number of overflows of the high bits so far.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The largest delay of a word from before an overflow that comes after it, as a difference of
    /// high bits: 1/256 of their range, as in [`super::clock`].
    pub const fn latest(bits: u32) -> u32 {
        1 << (bits - 8)
    }

    /// Decodes a word of `bits` high bits, of which the lowest is worth 2^`shift` µs. If they fall
    /// by half of their range or more, they have overflowed; a smaller fall is used as stored. If
    /// they rise by nearly the whole range after an overflow, the word is from before it.
    #[inline]
    pub fn set(&mut self, high: u32, bits: u32, shift: u32) {
        if !self.literal && self.base_us.is_some() {
            if self.last > high && self.last - high >= 1 << (bits - 1) {
                self.turns += 1;
                self.overflows = self.overflows.max(self.turns);
            } else if self.steps_back(high, bits) {
                self.turns -= 1;
            }
        }
        self.last = high;
        self.base_us = Some((self.turns << (bits + shift)) + (u64::from(high) << shift));
    }

    /// Records the current high bits after the caller has decoded words whose high bits only rose;
    /// [`High::set`] decodes the next word.
    pub fn risen(&mut self, high: u32) {
        self.last = high;
    }

    /// Whether the next word steps back over the last overflow if its high bits are `high`.
    #[inline]
    fn steps_back(&self, high: u32, bits: u32) -> bool {
        self.turns > 0 && high.saturating_sub(self.last) >= (1 << bits) - High::latest(bits)
    }

    /// Whether the next word may step back over the last overflow: the current high bits, `now`,
    /// are still small.
    #[inline]
    pub fn may_step_back(&self, now: u32, bits: u32) -> bool {
        self.turns > 0 && now < High::latest(bits)
    }

    /// The words that set the decoder's high bits to those of `t_us`: none if they are already set,
    /// several after an overflow.
    ///
    /// # Errors
    /// If the time is too large, or falls so far that a decoder would detect an overflow.
    pub fn words_to(&mut self, t_us: u64, bits: u32, shift: u32) -> Result<Vec<u32>, Refusal> {
        /// Larger times are refused, because their overflow words would outweigh the events.
        const MOST_OVERFLOWS: u64 = 1 << 12;
        let range = 1u64 << bits;
        let (high, overflows) = ((t_us >> shift) % range, t_us >> (bits + shift));
        if overflows > MOST_OVERFLOWS {
            return Err(("its time is too large", Remedy::START_AT_ZERO));
        }
        let back = u64::from(self.last).saturating_sub(high) >= range / 2;
        if self.base_us.is_some() && (overflows < self.turns || (overflows == self.turns && back)) {
            return Err(("its time falls too far", Remedy::SORT));
        }
        let mut words = Vec::new();
        let mut advance = |clock: &mut High, high: u32| {
            if clock.steps_back(high, bits) {
                // A direct rise would be decoded as a step back over the overflow, so the high bits
                // rise in two words.
                words.push(1 << (bits - 1));
                clock.set(1 << (bits - 1), bits, shift);
            }
            words.push(high);
            clock.set(high, bits, shift);
        };
        while self.turns < overflows {
            advance(self, range as u32 - 1);
            advance(self, 0);
        }
        if self.base_us != Some(t_us >> shift << shift) {
            advance(self, high as u32);
        }
        Ok(words)
    }
}

/// The number of events at the front of an iterator that fit one vector word: equal time, row and
/// polarity, ascending columns, and less than `width` columns from the first to the last.
pub fn run(events: impl IntoIterator<Item = Event>, width: u16) -> usize {
    let mut events = events.into_iter();
    let Some(first) = events.next() else { return 0 };
    let mut last = first.x;
    1 + events
        .take_while(|e| {
            let joins = (e.t_us, e.y, e.on) == (first.t_us, first.y, first.on) && e.x > last && e.x - first.x < width;
            last = e.x;
            joins
        })
        .count()
}
