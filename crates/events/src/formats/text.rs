//! Events as text (`.txt`, `.csv`, `.tsv`): one event a line.
//!
//! A line is `x y t p` (MNIST-DVS), parted by blanks, tabs, commas or semicolons; t in whole µs,
//! p is 1 for ON and 0 or −1 for OFF. Another order of the columns, or further columns, must be
//! stated: by a first line that names them (also after `#` or `%`), of x, y, p (polarity, pol, on)
//! and t (t_us, timestamp, time, ts; t_s, t_ms, t_ns for another unit). With a unit stated t may
//! have decimals and is rounded to the nearest µs. Other lines that begin with `#` or `%`, and
//! empty ones, are skipped.
//!
//! Times are raw. x and y are as stored: MNIST-DVS's own viewer shows 127 − x, 127 − y. This crate
//! writes `x y t p` without a first line.

use super::encoder::EventEncoder;
use super::records::{Place, RecordDecoder, Records};
use super::{Fit, Format, Probe, Reading};
use crate::{Columns, Event, Result, Sensor};

/// See the module.
pub const FORMAT: Format = Format {
    name: "text",
    about: "text, a line `x y t p` for each event, or columns named in the first line",
    extensions: &["txt", "csv", "tsv"],
    axes: super::Axes::AsStored("a text does not say where they begin"),
    fits,
    heeds: &[],
    read: Reading::Stream(|file, _| Box::new(RecordDecoder::new(Text::default(), file))),
    write: Some(|_: Option<Sensor>| {
        Ok(EventEncoder::boxed(FORMAT.name, Vec::new(), |e, bytes| {
            let Event { t_us, x, y, on } = e;
            bytes.extend(format!("{x} {y} {t_us} {}\n", u8::from(on)).bytes());
            Ok(())
        }))
    }),
};

const REMEDY: &str = "a line is `x y t p` with t in whole µs; name other columns or units in the \
                      first line, for example `t_s,x,y,p`";
const LONGEST_LINE: usize = 4096;
/// Fields beyond this many are not looked at.
const MOST_FIELDS: usize = 64;

/// Where the columns are, and the unit of time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layout {
    x: usize,
    y: usize,
    t: usize,
    p: usize,
    /// ns of one unit of t; `None`: whole µs.
    unit_ns: Option<u64>,
}

const PLAIN: Layout = Layout { x: 0, y: 1, t: 2, p: 3, unit_ns: None };

#[derive(Default)]
struct Text {
    /// Known from the first line that is no comment.
    layout: Option<Layout>,
}

impl Records for Text {
    const LONGEST: usize = LONGEST_LINE;

    fn decode(&mut self, bytes: &[u8], place: Place<'_>, out: &mut Columns) -> Result<usize> {
        let mut done = 0;
        while let Some(n) = bytes[done..].iter().position(|&b| b == b'\n') {
            self.line(&bytes[done..done + n], Place { at: place.at + done as u64, ..place }, out)?;
            done += n + 1;
        }
        Ok(done)
    }

    fn finish(&mut self, rest: &[u8], place: Place<'_>, out: &mut Columns) -> Result<()> {
        // The last line may lack its newline. Whether it lacks more cannot be known: a number that
        // is cut is a number.
        self.line(rest, place, out)
    }
}

impl Text {
    #[inline]
    fn line(&mut self, line: &[u8], place: Place<'_>, out: &mut Columns) -> Result<()> {
        if self.layout == Some(PLAIN)
            && let Some(event) = plain(line)
        {
            out.push(event);
            return Ok(());
        }
        self.any_line(line, place, out)
    }

    fn any_line(&mut self, line: &[u8], place: Place<'_>, out: &mut Columns) -> Result<()> {
        let line = line.trim_ascii();
        let comment = matches!(line.first(), Some(b'#' | b'%'));
        if self.layout.is_none()
            && let Some(layout) = Layout::named(line)
        {
            self.layout = Some(layout);
            return Ok(());
        }
        if line.is_empty() || comment {
            return Ok(());
        }
        let layout = *self.layout.get_or_insert(PLAIN);
        match layout.event(line) {
            Ok(event) => {
                out.push(event);
                Ok(())
            }
            Err(problem) => {
                let start: String = String::from_utf8_lossy(line).chars().take(40).collect();
                Err(place.error(0, format!("`{start}` is no event: {problem}"), REMEDY))
            }
        }
    }
}

impl Layout {
    /// The layout that a line of names states.
    fn named(line: &[u8]) -> Option<Layout> {
        let line = std::str::from_utf8(line).ok()?.trim_start_matches(['#', '%', ' ']).to_ascii_lowercase();
        let (mut x, mut y, mut t, mut p) = (None, None, None, None);
        for (i, name) in fields(line.as_bytes()).enumerate().take(MOST_FIELDS) {
            let name = std::str::from_utf8(name).ok()?.trim_matches('"');
            let new = match name {
                "x" => x.replace(i).is_none(),
                "y" => y.replace(i).is_none(),
                "p" | "pol" | "polarity" | "on" => p.replace(i).is_none(),
                _ => match unit(name) {
                    Some(unit) => t.replace((i, unit)).is_none(),
                    // Further columns have names too; a number is none.
                    None => name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'),
                },
            };
            if !new {
                return None;
            }
        }
        let (t, unit_ns) = t?;
        let layout = Layout { x: x?, y: y?, t, p: p?, unit_ns: Some(unit_ns) };
        // The plain order in plain µs is the fast path, named or not.
        Some(if layout == (Layout { unit_ns: Some(1000), ..PLAIN }) { PLAIN } else { layout })
    }

    fn event(&self, line: &[u8]) -> Result<Event, String> {
        let mut all = [&b""[..]; MOST_FIELDS];
        let mut count = 0;
        for (to, field) in all.iter_mut().zip(fields(line)) {
            *to = field;
            count += 1;
        }
        if *self == PLAIN && count != 4 {
            return Err(format!("it has {count} columns, not 4"));
        }
        let field = |i: usize, name: &str| {
            let field = all.get(i).filter(|_| i < count);
            field.copied().ok_or_else(|| format!("it has no column {} ({name})", i + 1))
        };
        let pixel = |i: usize, name: &str| {
            let value = field(i, name)?;
            let number = number(value).and_then(|v| u16::try_from(v).ok());
            number.ok_or_else(|| format!("{name} is not a whole number of 0 to 65535"))
        };
        let (x, y) = (pixel(self.x, "x")?, pixel(self.y, "y")?);
        let t = field(self.t, "t")?;
        let t_us = match self.unit_ns {
            None => number(t).ok_or("t is not a whole number of µs")?,
            Some(unit) => time(t, unit).ok_or("t is not a time")?,
        };
        let on = match field(self.p, "p")? {
            b"1" | b"+1" | b"true" | b"True" | b"1.0" => true,
            b"0" | b"-1" | b"false" | b"False" | b"0.0" | b"-1.0" => false,
            _ => return Err("p is none of 1, 0 and -1".into()),
        };
        Ok(Event { t_us, x, y, on })
    }
}

/// ns of one unit, by the name of a column of times.
fn unit(name: &str) -> Option<u64> {
    let (stem, unit) = match name.trim_end_matches([')', ']']).rsplit_once(['_', '(', '[']) {
        Some((stem, unit)) => (stem.trim_end(), Some(unit)),
        None => (name, None),
    };
    let stems = ["t", "ts", "time", "timestamp", "timestamps"];
    let ns = match unit {
        None => 1000,
        Some("us" | "µs") => 1000,
        Some("s" | "sec") => 1_000_000_000,
        Some("ms") => 1_000_000,
        Some("ns") => 1,
        Some(_) => return None,
    };
    stems.contains(&stem).then_some(ns)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| matches!(b, b' ' | b'\t' | b',' | b';' | b'\r')).filter(|f| !f.is_empty())
}

/// A whole number without a sign.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &d| {
        let d = d.wrapping_sub(b'0');
        if d > 9 { None } else { n.checked_mul(10)?.checked_add(d.into()) }
    })
}

/// A decimal number of units as µs, rounded to the nearest.
fn time(text: &[u8], unit_ns: u64) -> Option<u64> {
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let fraction = text.get(point + 1..).unwrap_or(b"");
    let whole = number(&text[..point])?;
    // Beyond 12 decimals nothing counts, but digits they must be.
    let mut part = 0;
    for (i, d) in fraction.iter().enumerate() {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        if i < 12 {
            part += u128::from(d) * 10u128.pow(11 - i as u32);
        }
    }
    // In 10⁻¹² ns.
    let scaled = u128::from(unit_ns).checked_mul(u128::from(whole) * 10u128.pow(12) + part)?;
    u64::try_from(scaled.checked_add(5 * 10u128.pow(14))? / 10u128.pow(15)).ok()
}

/// `x y t p` of digits parted by single blanks: nearly every line. Others go the long way.
#[inline]
fn plain(line: &[u8]) -> Option<Event> {
    let mut values = [0u64; 4];
    let (mut at, mut digits) = (0, 0);
    for &b in line {
        let d = b.wrapping_sub(b'0');
        if d <= 9 && digits < 19 {
            values[at] = values[at].wrapping_mul(10).wrapping_add(d.into());
            digits += 1;
        } else if b == b' ' && digits > 0 && at < 3 {
            (at, digits) = (at + 1, 0);
        } else {
            return None;
        }
    }
    let [x, y, t_us, p] = values;
    let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(y)) else { return None };
    (at == 3 && digits > 0 && p <= 1).then_some(Event { t_us, x, y, on: p == 1 })
}

/// Sure with a line of names, possible if the first line is an event or there is none.
fn fits(probe: &Probe<'_>) -> Fit {
    let text = probe.head.iter().all(|b| !b.is_ascii_control() || matches!(b, b'\t' | b'\r' | b'\n'));
    if !text {
        return Fit::No;
    }
    let lines = probe.head.split(|&b| b == b'\n').map(|l| l.trim_ascii()).filter(|l| !l.is_empty());
    for line in lines {
        if Layout::named(line).is_some() {
            return Fit::Sure;
        }
        if !matches!(line.first(), Some(b'#' | b'%')) {
            return if PLAIN.event(line).is_ok() { Fit::Possible } else { Fit::No };
        }
    }
    Fit::Possible
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Vec<Event>> {
        FORMAT.decode(text.as_bytes(), "a.txt").map(|s| s.events.to_vec())
    }

    fn error(text: &str) -> String {
        decode(text).unwrap_err().to_string()
    }

    #[test]
    fn columns_are_where_the_first_line_says() {
        let event = Event { t_us: 1500, x: 3, y: 4, on: true };
        for text in [
            "3 4 1500 1",
            "3 4 1500 1\n",
            "# made by hand\r\n\r\n 3\t4  1500 1\r\n",
            "x,y,t,p\n3,4,1500,1\n",
            "t;x;y;p\n1500;3;4;1\n",
            "# timestamp x y polarity\n1500 3 4 +1\n",
            "t_s,x,y,p\n0.0015,3,4,true\n",
            "t_ms,x,y,p\n1.49951,3,4,1\n",
            "p,time[ns],y,x\n1,1500000,4,3\n",
            "id,x,y,p,t_ns,note\n7,3,4,1,1500000,hello\n",
        ] {
            assert_eq!(decode(text).unwrap(), [event], "{text:?}");
        }
    }

    #[test]
    fn what_is_no_event_names_the_line_and_the_remedy() {
        assert!(error("1 2 3 1\n4 5 6.5 1\n").starts_with("a.txt: byte 8: `4 5 6.5 1` is no event: t is not"));
        assert!(error("1 2 3\n").contains("it has 3 columns, not 4"));
        assert!(error("1 2 3 4 5\n").contains("it has 5 columns, not 4"));
        assert!(error("1 70000 3 1\n").contains("y is not a whole number"));
        assert!(error("1 2 3 2\n").contains("p is none of"));
        assert!(error("1 2 -3 1\n").contains("whole number of µs"));
        assert!(error("hello\n").contains("`hello` is no event"));
        assert!(error(&"1 ".repeat(5000)).contains("no end of line"));
        assert!(error("0.5 1 2 1\n").contains("name other columns or units in the first line"));
    }

    #[test]
    fn times_are_rounded_to_the_nearest_microsecond() {
        assert_eq!(time(b"0.0000005", 1_000_000_000), Some(1));
        assert_eq!(time(b"0.00000049999999999", 1_000_000_000), Some(0));
        assert_eq!(time(b"18446744073709551615", 1000), Some(u64::MAX));
        assert_eq!(time(b"18446744073709551615", 1_000_000_000), None);
        assert_eq!((time(b"1e3", 1000), time(b"-1", 1000), time(b".5", 1)), (None, None, None));
    }
}
