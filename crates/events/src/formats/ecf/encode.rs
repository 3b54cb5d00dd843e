//! Encodes events as a chunk of ECF. The parent module describes the layout.

use super::MOST_EVENTS;
use crate::{Error, Event, Remedy, Result};

/// Appends a chunk with these events to `out`, in the mode that `mode` selects.
///
/// # Errors
/// [`Error::Setting`] for events that ECF cannot hold: more than 65,535, falling times, or x or y
/// above 2047. `out` is then unchanged.
pub fn encode(events: &[Event], out: &mut Vec<u8>) -> Result<()> {
    check(events)?;
    let mode = mode(events);
    out.extend(((events.len() as u32) << 2 | mode).to_le_bytes());
    times(events, out);
    match mode {
        2 => packed_24(events, out),
        1 => {
            rows(events, out);
            packed_12(events, out);
        }
        _ => {
            rows(events, out);
            masks(events, out);
            polarities(events, out);
        }
    }
    Ok(())
}

fn check(events: &[Event]) -> Result<()> {
    let refuse = |what: String, remedy: Remedy| Err(Error::setting(format!("ECF cannot hold {what}"), remedy));
    if events.len() > MOST_EVENTS {
        return refuse(format!("{} events in a chunk", events.len()), "use chunks of at most 65,535".into());
    }
    if let Some(i) = events.iter().position(|e| e.x > 2047 || e.y > 2047) {
        let Event { x, y, .. } = events[i];
        return refuse(format!("event {i} at ({x}, {y}), above 2047"), "scale the recording down".into());
    }
    if let Some(i) = events.windows(2).position(|pair| pair[1].t_us < pair[0].t_us) {
        return refuse(format!("falling times (event {})", i + 1), Remedy::SORT);
    }
    Ok(())
}

/// Selects the mode by the first quarter of the events: rows are shorter if y repeats, and masks
/// are shorter if x rises in small steps. The thresholds are those of the vendor's encoder.
fn mode(events: &[Event]) -> u32 {
    let n = events.len();
    let first = &events[..if n < 16 { n } else { (n + 2) / 4 }];
    let share = |percent: usize| (first.len() * percent + 50) / 100;
    let repeats = first.windows(2).filter(|pair| pair[0].y == pair[1].y).count();
    if repeats <= share(20) {
        return 2;
    }
    let mut start = first[0].x;
    let climbs = first.windows(2).filter(|pair| {
        let (before, x) = (pair[0].x, pair[1].x);
        let climbs = x > before && x <= start + 5;
        if !climbs {
            start = x;
        }
        climbs
    });
    u32::from(climbs.count() <= share(8))
}

/// The runs of equal keys and their lengths. No run exceeds 65,535, because no chunk does.
fn runs<K: PartialEq>(events: &[Event], key: impl Fn(&Event) -> K + Copy) -> impl Iterator<Item = (K, u16)> {
    events.chunk_by(move |a, b| key(a) == key(b)).map(move |run| (key(&run[0]), run.len() as u16))
}

fn times(events: &[Event], out: &mut Vec<u8>) {
    let mut time = events.first().map_or(0, |e| e.t_us);
    out.extend(time.to_le_bytes());
    for (t, run) in runs(events, |e| e.t_us) {
        let mut step = t - time;
        time = t;
        if step >= 15 {
            while step > 0 {
                out.push(0xF0 | (step & 0xF) as u8);
                step >>= 4;
            }
        }
        let high = (step as u8) << 4;
        if run < 15 {
            out.push(high | run as u8);
        } else {
            out.push(high | 0xF);
            out.extend(run.to_le_bytes());
        }
    }
}

fn rows(events: &[Event], out: &mut Vec<u8>) {
    for (y, run) in runs(events, |e| e.y) {
        out.extend((y << 5 | run.min(31)).to_le_bytes());
        if run >= 31 {
            out.extend(run.to_le_bytes());
        }
    }
}

fn polarities(events: &[Event], out: &mut Vec<u8>) {
    for (on, run) in runs(events, |e| e.on) {
        out.push(u8::from(on) << 7 | run.min(127) as u8);
        if run >= 127 {
            out.extend(run.to_le_bytes());
        }
    }
}

fn masks(events: &[Event], out: &mut Vec<u8>) {
    let mut rest = events.iter().map(|e| e.x).peekable();
    while let Some(x) = rest.next() {
        let mut code = x << 5;
        for step in 1..=5 {
            if rest.next_if_eq(&(x + step)).is_some() {
                code |= 1 << (5 - step);
            }
        }
        out.extend(code.to_le_bytes());
    }
}

fn packed_12(events: &[Event], out: &mut Vec<u8>) {
    for group in events.chunks(4) {
        let event = |i| group.get(i).map_or(0, |e: &Event| e.x << 1 | u16::from(e.on));
        let [a, b, c, d] = [0, 1, 2, 3].map(event);
        for word in [a << 4 | b & 0xF, b >> 4 << 8 | c & 0xFF, c >> 8 << 12 | d] {
            out.extend(word.to_le_bytes());
        }
    }
}

fn packed_24(events: &[Event], out: &mut Vec<u8>) {
    for group in events.chunks(4) {
        let event = |e: &Event| u32::from(e.y) << 12 | u32::from(e.x) << 1 | u32::from(e.on);
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| group.get(i).map_or(0, event));
        for word in [a << 8 | b & 0xFF, b >> 8 << 16 | c & 0xFFFF, c >> 16 << 24 | d] {
            out.extend(word.to_le_bytes());
        }
    }
}
