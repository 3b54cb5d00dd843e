//! Decodes a chunk of ECF into events. The parent module describes the layout.

use super::MOST_EVENTS;
use crate::formats::cursor::Cursor;
use crate::{Columns, Problem, Result};

/// Appends at most `limit` events of the chunk to `out`; returns how many events the chunk
/// contains. The chunk lies at offset `at` of `file`. After an error, `out` is unchanged.
///
/// # Errors
/// [`crate::Error::Malformed`] for a chunk that is truncated, continues after its last event,
/// states more than 65,535 events, or has a run or a time that exceeds its range.
pub fn decode(chunk: &[u8], file: &str, at: u64, limit: usize, out: &mut Columns) -> Result<usize> {
    let before = out.len();
    let mut from = Cursor::new(chunk, at, file, "an ECF chunk");
    let count = Into { out, before }.chunk(&mut from);
    let kept = count.as_ref().map_or(0, |&count| count.min(limit));
    out.truncate(before + kept);
    count
}

/// The columns into which a chunk is decoded, and the number of events that they contain before it.
struct Into<'a> {
    out: &'a mut Columns,
    before: usize,
}

impl Into<'_> {
    fn chunk(&mut self, from: &mut Cursor) -> Result<usize> {
        let start = from.clone();
        let head = from.u32()?;
        let (count, mode) = ((head >> 2) as usize, head & 3);
        if count > MOST_EVENTS {
            return Err(start.fault(format!("an ECF chunk of {count} events")));
        }
        self.out.reserve(count + 5);
        let end = self.before + count;
        self.times(from, end)?;
        if mode & 2 != 0 {
            self.packed_24(from, count)?;
        } else {
            self.rows(from, end)?;
            if mode & 1 != 0 {
                self.packed_12(from, count)?;
            } else {
                self.masks(from, end)?;
                self.polarities(from, end)?;
            }
        }
        let left = from.rest().len();
        if left != 0 {
            return Err(from.fault(Problem::Surplus { bytes: left as u64 }));
        }
        // The last group or mask may contain more events than the chunk.
        self.out.truncate(end);
        Ok(count)
    }

    fn times(&mut self, from: &mut Cursor, end: usize) -> Result<()> {
        let mut time = from.u64()?;
        let (mut step, mut shift) = (0u64, 0);
        while self.out.t_us.len() < end {
            let code = from.u8()?;
            let (high, low) = (code >> 4, code & 0xF);
            if high == 0xF {
                if shift == 64 {
                    return Err(from.fault("a time step of more than 64 bits"));
                }
                step |= u64::from(low) << shift;
                shift += 4;
                continue;
            }
            let moved = step.checked_add(u64::from(high)).and_then(|step| time.checked_add(step));
            time = moved.ok_or_else(|| from.fault("a time beyond 2^64 µs"))?;
            (step, shift) = (0, 0);
            let run = if low == 0xF { from.u16()?.into() } else { usize::from(low) };
            self::run(&mut self.out.t_us, time, run, end, from)?;
        }
        Ok(())
    }

    fn rows(&mut self, from: &mut Cursor, end: usize) -> Result<()> {
        while self.out.y.len() < end {
            let code = from.u16()?;
            let run = if code & 31 == 31 { from.u16()? } else { code & 31 };
            self::run(&mut self.out.y, code >> 5, run.into(), end, from)?;
        }
        Ok(())
    }

    fn polarities(&mut self, from: &mut Cursor, end: usize) -> Result<()> {
        while self.out.on.len() < end {
            let code = from.u8()?;
            let run = if code & 127 == 127 { from.u16()?.into() } else { usize::from(code & 127) };
            self::run(&mut self.out.on, code >> 7 == 1, run, end, from)?;
        }
        Ok(())
    }

    fn masks(&mut self, from: &mut Cursor, end: usize) -> Result<()> {
        let xs = &mut self.out.x;
        let mut n = xs.len();
        // Every slot is written, and kept only if its bit is set, so that no branch is
        // mispredicted.
        xs.resize(end + 6, 0);
        while n < end {
            let code = from.u16()?;
            // 2047 + 5 does not overflow 12 bits.
            let x = code >> 5;
            let Some(slots) = xs.get_mut(n..n + 6) else { break };
            slots[0] = x;
            let mut kept = 1;
            for i in 1..=5 {
                slots[kept] = x + i;
                kept += usize::from(code >> (5 - i) & 1);
            }
            n += kept;
        }
        xs.truncate(n.max(end));
        Ok(())
    }

    fn packed_12(&mut self, from: &mut Cursor, count: usize) -> Result<()> {
        let groups = from.take(count.div_ceil(4) * 6)?;
        for group in groups.chunks_exact(6) {
            let word = |i| u16::from_le_bytes([group[i], group[i + 1]]);
            let (a, b, c) = (word(0), word(2), word(4));
            for event in [a >> 4, b >> 8 << 4 | a & 0xF, c >> 12 << 8 | b & 0xFF, c & 0xFFF] {
                self.out.x.push(event >> 1);
                self.out.on.push(event & 1 == 1);
            }
        }
        Ok(())
    }

    fn packed_24(&mut self, from: &mut Cursor, count: usize) -> Result<()> {
        let groups = from.take(count.div_ceil(4) * 12)?;
        for group in groups.chunks_exact(12) {
            let word = |i| u32::from_le_bytes([group[i], group[i + 1], group[i + 2], group[i + 3]]);
            let (a, b, c) = (word(0), word(4), word(8));
            for event in [a >> 8, b >> 16 << 8 | a & 0xFF, c >> 24 << 16 | b & 0xFFFF, c & 0xFF_FFFF] {
                self.out.y.push((event >> 12 & 0x7FF) as u16);
                self.out.x.push((event >> 1 & 0x7FF) as u16);
                self.out.on.push(event & 1 == 1);
            }
        }
        Ok(())
    }
}

/// Appends a run of equal values; an error if it would end after the chunk's last event.
fn run<T: Clone>(column: &mut Vec<T>, value: T, run: usize, end: usize, from: &Cursor) -> Result<()> {
    let now = column.len() + run;
    if now > end {
        return Err(from.fault(format!("a run of {run} goes beyond the last event of an ECF chunk by {}", now - end)));
    }
    column.resize(now, value);
    Ok(())
}
