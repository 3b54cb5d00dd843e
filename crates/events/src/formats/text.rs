//! Events as text (`.txt`, `.csv`, `.tsv`): one event per line.
//!
//! A line is `x y t p` (MNIST-DVS), separated by blanks, or by commas, semicolons or tabs, between
//! which a cell may be empty. t is in whole µs, p is 1 for ON and 0 or −1 for OFF. For another
//! order or for more columns, the first line must name the columns (also after `#` or `%`): x, y, p
//! (polarity, pol, on) and t (timestamp, time, ts). Every line must have as many columns as are
//! named. `x@640,y@480` states the sensor (faery). See `head` for the comments that count as names.
//!
//! Numbers may have decimals and an exponent. A time with a fraction needs a unit, either in the
//! column's name (t_s, t_ms, t_us, t_ns, `time (s)`) or as [`ReadOptions::time_unit`]; it is
//! rounded to the nearest µs. A comment may state the unit too (`# t in seconds`, `# time unit:
//! ms`). In files that jAER wrote, times with a decimal point are in seconds. In other files, a
//! time with a decimal point needs a unit even if it is whole; one with an exponent (`1.5e+03`) and
//! no fraction is in µs.
//!
//! If nothing names the columns, and t falls while exactly one of x and y never falls, the file is
//! refused, because that column may be the time. The encoder writes `x y t p` without a first line,
//! and the comment `# x y t p`, which states the order, before the first time that falls.
//!
//! x and y are used as stored; MNIST-DVS's own viewer shows 127 − x and 127 − y instead.

mod head;
mod number;

use head::{Comment, Layout, MOST_CELLS, PLAIN, Separator};
use number::Decimal;

use super::encoder::EventEncoder;
use super::records::{RecordDecoder, Records, SliceOrigin};
use super::{Fit, Format, Probe, ReadOptions, Reading, SupportedOption, TimeUnit};
use crate::problem::{Part, Problem, TextProblem, UnitProblem};
use crate::{Choice, Columns, Error, Event, Remedy, Result, Sensor};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "text",
    about: "text, a line `x y t p` for each event, or columns named in the first line",
    extensions: &["txt", "csv", "tsv"],
    axes: super::Axes::AsStored("a text does not say where they begin"),
    fits,
    supports: &[SupportedOption::TimeUnit],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Text::new(options), file))),
    write: Some(|_: Option<Sensor>| {
        let (mut last, mut stated) = (0, false);
        Ok(EventEncoder::boxed(FORMAT.name, Vec::new(), move |e, bytes| {
            let Event { t_us, x, y, on } = e;
            if t_us < last && !stated {
                bytes.extend(b"# x y t p\n");
                stated = true;
            }
            last = t_us;
            bytes.extend(format!("{x} {y} {t_us} {}\n", u8::from(on)).bytes());
            Ok(())
        }))
    }),
};

const REMEDY: &str = "a line is `x y t p` with t in whole µs; name other columns or units in the \
                      first line, for example `t_s,x,y,p`";
const LONGEST_LINE: usize = 4096;
/// Number of comments that are kept until the first event.
const MOST_COMMENTS: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

struct Text {
    options: ReadOptions,
    /// The comments before the columns are known.
    comments: Vec<Comment>,
    /// The unit of time that a comment states.
    unit: Option<TimeUnit>,
    /// Whether jAER wrote the file.
    jaer: bool,
    /// The columns; known after the first line that is not a comment.
    start: Option<Start>,
    order: Order,
}

/// The properties of all lines, as the beginning of the file states them.
#[derive(Clone, Copy, PartialEq)]
struct Start {
    layout: Layout,
    separator: Separator,
    /// Whether nothing names the columns, so that `x y t p` is assumed.
    assumed: bool,
}

/// The reason why a line is not an event.
enum Fault {
    Line(TextProblem),
    /// Its time has a decimal point and no unit.
    NoUnit(UnitProblem),
}

impl From<TextProblem> for Fault {
    fn from(problem: TextProblem) -> Fault {
        Fault::Line(problem)
    }
}

impl Records for Text {
    const LONGEST: usize = LONGEST_LINE;

    fn decode(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<usize> {
        let mut done = 0;
        while let Some(n) = bytes[done..].iter().position(|&b| b == b'\n') {
            self.line(&bytes[done..done + n], SliceOrigin { at: place.at + done as u64, ..place }, out)?;
            done += n + 1;
        }
        Ok(done)
    }

    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        // The last line may lack its newline. Missing digits cannot be detected, because a
        // truncated number is a valid number.
        self.line(rest, place, out)?;
        let assumed = self.start.is_some_and(|start| start.assumed);
        match self.order.contradiction().filter(|_| assumed) {
            Some((at, ascending)) => {
                let problem = Problem::from(TextProblem::TimeFalls { ascending });
                let remedy = "name the columns in the first line, for example `t x y p`, or `x y t p` if t does fall";
                Err(SliceOrigin { at, ..place }.error(0, problem, remedy))
            }
            None => Ok(()),
        }
    }

    fn sensor(&self) -> Option<Sensor> {
        self.start?.layout.sensor
    }
}

impl Text {
    fn new(options: &ReadOptions) -> Text {
        Text { options: *options, comments: Vec::new(), unit: None, jaer: false, start: None, order: Order::default() }
    }

    #[inline]
    fn line(&mut self, line: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        if let Some(Start { layout: PLAIN, separator: Separator::Blank, .. }) = self.start
            && let Some(event) = plain(line)
        {
            self.order.add(event, place.at);
            out.push(event);
            return Ok(());
        }
        self.any_line(line, place, out)
    }

    fn any_line(&mut self, mut line: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()> {
        if place.at == 0 {
            if line.starts_with(b"\xFF\xFE") || line.starts_with(b"\xFE\xFF") {
                let problem = Problem::Unknown { what: "text in {}", found: "UTF-16".into() };
                return Err(place.error(0, problem, "save it as UTF-8"));
            }
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        // Leading and trailing tabs are kept, because they may separate empty cells.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            return Ok(());
        }
        if matches!(trimmed[0], b'#' | b'%') {
            return self.comment(trimmed, place);
        }
        let start = match self.start {
            Some(start) => start,
            None => {
                let (start, is_head) = self.begin(line, place)?;
                self.start = Some(start);
                if is_head {
                    return Ok(());
                }
                start
            }
        };
        match self.event(line, start) {
            Ok(event) => {
                self.order.add(event, place.at);
                out.push(event);
                Ok(())
            }
            Err(Fault::Line(problem)) => {
                let problem = Problem::from(problem).inside(Part::Line(shortened(trimmed)));
                Err(place.error(0, problem, REMEDY))
            }
            Err(Fault::NoUnit(problem)) => Err(Error::time_unit(place.file, place.at, problem)),
        }
    }

    fn comment(&mut self, line: &[u8], place: SliceOrigin<'_>) -> Result<()> {
        if let Some(unit) = head::unit_in_words(line) {
            let contradicts = |other: &TimeUnit| *other != unit;
            let read = self.start.map(|s| s.layout.unit.or(self.options.time_unit).unwrap_or(TimeUnit::Microseconds));
            if let Some(before) = self.unit.or(read).filter(contradicts) {
                let problem = UnitProblem::Changed { comment: shortened(line), stated: unit, before };
                return Err(place.error(0, problem, "state one unit, before the first event"));
            }
            self.unit = Some(unit);
        }
        let Some(start) = &mut self.start else {
            self.jaer |= line.windows(4).any(|word| word.eq_ignore_ascii_case(b"jAER"));
            if self.comments.len() < MOST_COMMENTS {
                self.comments.extend(Comment::of(line));
            }
            return Ok(());
        };
        let stated = Comment::of(line).and_then(|c| c.layout(start.layout.columns).ok().flatten());
        match stated {
            Some(layout) if layout.same_places(&start.layout) => start.assumed = false,
            Some(_) => {
                let problem = TextProblem::Reordered { comment: shortened(line) };
                return Err(place.error(0, problem, "keep recordings of different columns in files of their own"));
            }
            None => {}
        }
        Ok(())
    }

    /// Derives the columns from the first line that is not a comment, and from the comments before
    /// it. Returns true if the line only names columns.
    fn begin(&self, line: &[u8], place: SliceOrigin<'_>) -> Result<(Start, bool)> {
        let separator = Separator::of(line);
        if let Some(layout) = Layout::of_line(line, separator) {
            let layout = self.check_unit(layout, place)?;
            return Ok((Start { layout, separator, assumed: false }, true));
        }
        let columns = separator.cells(line, &mut [&b""[..]; MOST_CELLS]);
        let mut found: Option<Layout> = None;
        for comment in &self.comments {
            let stated = comment.layout(columns).map_err(|problem| {
                let remedy = "name the columns alone in the first line, for example `# t_s x y p`";
                place.error(0, Problem::from(problem).inside(Part::Comment), remedy)
            })?;
            match (stated, found) {
                (Some(a), Some(b)) if !a.same_places(&b) => {
                    let remedy = "keep the one that is right";
                    return Err(place.error(0, TextProblem::TwoComments, remedy));
                }
                // Several comments may name the columns, and only one of them may state the unit.
                (Some(a), Some(b)) => found = Some(Layout { unit: b.unit.or(a.unit), ..b }),
                (Some(a), None) => found = Some(a),
                (None, _) => {}
            }
        }
        let layout = self.check_unit(found.unwrap_or(PLAIN), place)?;
        Ok((Start { layout, separator, assumed: found.is_none() }, false))
    }

    /// The layout with the unit that a comment states; an error if several units contradict each
    /// other.
    fn check_unit(&self, mut layout: Layout, place: SliceOrigin<'_>) -> Result<Layout> {
        if let (Some(column), Some(comment)) = (layout.unit, self.unit)
            && column != comment
        {
            let problem = UnitProblem::Comment { column, comment };
            return Err(place.error(0, problem, "keep the one that is right"));
        }
        layout.unit = layout.unit.or(self.unit);
        let unit = self.options.unit(layout.unit, "the column of times");
        let remedy = Remedy::of("leave the unit of time out, or correct the name of the column", &[Choice::TimeUnit]);
        unit.map(|_| layout).map_err(|problem| place.error(0, problem, remedy))
    }

    fn event(&self, line: &[u8], start: Start) -> Result<Event, Fault> {
        let Start { layout, separator, assumed } = start;
        let mut cells = [&b""[..]; MOST_CELLS];
        let count = separator.cells(line, &mut cells);
        if count != layout.columns {
            let columns = TextProblem::Columns { found: count, expected: layout.columns, named: !assumed };
            return Err(Fault::Line(columns));
        }
        let number = |at: usize| Decimal::parse(cells[at]);
        let pixel = |at: usize, column: &'static str| {
            let value = number(at).and_then(Decimal::whole).and_then(|v| u16::try_from(v).ok());
            value.ok_or(TextProblem::Pixel { column })
        };
        let (x, y) = (pixel(layout.x, "x")?, pixel(layout.y, "y")?);
        let t_us = self.time(cells[layout.t], layout.unit)?;
        let p = cells[layout.p].to_ascii_lowercase();
        let on = match &p[..] {
            b"true" | b"on" => true,
            b"false" | b"off" => false,
            p => {
                let (negative, digits) = match p {
                    [b'-', digits @ ..] => (true, digits),
                    [b'+', digits @ ..] | digits => (false, digits),
                };
                match Decimal::parse(digits).and_then(Decimal::whole) {
                    Some(1) => !negative,
                    Some(0) => false,
                    _ => return Err(Fault::Line(TextProblem::Polarity)),
                }
            }
        };
        Ok(Event { t_us, x, y, on })
    }

    fn time(&self, text: &[u8], stated: Option<TimeUnit>) -> Result<u64, Fault> {
        let shown = || String::from_utf8_lossy(text).into_owned();
        let no_unit = |fraction: bool| Fault::NoUnit(UnitProblem::Decimal { time: shown(), fraction });
        let Some(number) = Decimal::parse(text) else {
            return Err(Fault::Line(TextProblem::Time));
        };
        // jAER writes seconds with a decimal point and µs without one.
        let written = (self.jaer && text.contains(&b'.')).then_some(TimeUnit::Seconds);
        match stated.or(self.options.time_unit).or(written) {
            Some(unit) => number.scaled(unit.exponent()),
            None => match number.whole() {
                None if number.scaled(0).is_some() => return Err(no_unit(true)),
                // A writer of whole µs writes no decimal point, unless it writes all numbers with
                // an exponent.
                Some(_) if text.contains(&b'.') && !text.iter().any(|b| matches!(b, b'e' | b'E')) => {
                    return Err(no_unit(false));
                }
                whole => whole,
            },
        }
        .ok_or_else(|| Fault::Line(TextProblem::TimeTooLate { time: shown() }))
    }
}

/// Detects that t falls while x or y ascends like a time.
#[derive(Debug, Default)]
struct Order {
    last: Option<Event>,
    /// Offset of the first line in which t falls.
    t_falls: Option<u64>,
    /// Whether x and y fall.
    falls: [bool; 2],
}

impl Order {
    #[inline]
    fn add(&mut self, e: Event, at: u64) {
        let Some(last) = self.last.replace(e) else { return };
        if e.t_us < last.t_us && self.t_falls.is_none() {
            self.t_falls = Some(at);
        }
        self.falls = [self.falls[0] | (e.x < last.x), self.falls[1] | (e.y < last.y)];
    }

    /// The offset where t falls, and the one column that never falls.
    fn contradiction(&self) -> Option<(u64, char)> {
        let name = match self.falls {
            [false, true] => 'x',
            [true, false] => 'y',
            _ => return None,
        };
        self.t_falls.map(|at| (at, name))
    }
}

fn shortened(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(40).collect()
}

/// Parses `x y t p` of digits separated by single blanks, which nearly every line is. Returns
/// `None` for any other line, which `any_line` then parses.
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

/// A text file surely has this format if a line names the columns. It is possible if the first line
/// is an event, or if the file has no lines but comments.
fn fits(probe: &Probe<'_>) -> Fit {
    let head = probe.head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(probe.head);
    if !head.iter().all(|b| !b.is_ascii_control() || matches!(b, b'\t' | b'\r' | b'\n')) {
        return Fit::No;
    }
    // Half a line may still become any.
    let complete = match head.iter().rposition(|&b| b == b'\n') {
        Some(end) if probe.grows => &head[..end],
        None if probe.grows => &[],
        _ => head,
    };
    let lines = complete.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        if matches!(line.trim_ascii()[0], b'#' | b'%') {
            if Comment::of(line.trim_ascii()).is_some_and(|comment| comment.is_head()) {
                return Fit::Sure;
            }
            continue;
        }
        let separator = Separator::of(line);
        if Layout::of_line(line, separator).is_some() {
            return Fit::Sure;
        }
        let start = Start { layout: PLAIN, separator, assumed: true };
        let event = Text::new(&ReadOptions::default()).event(line, start);
        return if matches!(event, Ok(_) | Err(Fault::NoUnit(..))) { Fit::Possible } else { Fit::No };
    }
    if probe.grows { Fit::Unknown } else { Fit::Possible }
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;

    /// The problem of a unit that is asked for and differs from that of the column.
    fn asked(stated: TimeUnit, asked: TimeUnit) -> UnitProblem {
        UnitProblem::Asked { of: "the column of times".into(), stated, asked }
    }

    fn decode(text: impl AsRef<[u8]>) -> Result<Vec<Event>> {
        FORMAT.decode(text.as_ref(), "a.txt").map(|s| s.events.to_vec())
    }

    fn error(text: &str) -> Error {
        decode(text).unwrap_err()
    }

    fn in_unit(text: &str, unit: TimeUnit) -> Result<Vec<Event>> {
        let options = ReadOptions { time_unit: Some(unit), ..ReadOptions::default() };
        FORMAT.decode_with(text.as_bytes(), "a.txt", &options).map(|s| s.events.to_vec())
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
            "3, 4, 1500, 1\n",
            ",t,x,y,p\n0,1500,3,4,1\n",
            "id,label,x,y,t,p,w\n1,,3,4,1500,1,0\n",
            "\tt\tx\ty\tp\n0\t1500\t3\t4\t1\n",
            "\u{FEFF}t,x,y,p\n1500,3,4,1\n",
            "\u{FEFF}3 4 1500 1\n",
            "t,x@640,y@480,on\n1500,3,4,1\n",
            "\"t\",\"x\",\"y\",\"p\"\n\"1500\",\"3\",\"4\",\"1\"\n",
            "3.000000000000000000e+00 4.0 1.500000000000000000e+03 1.0e+00\n",
            "# jAER DAVIS/DVS camera text file output\n# format: t x y p\n1.5E-3 3 4 1\n",
            "# jAER text\n# dvs-events: One event per line:  timestamp(int32 us) x y polarity(off/on=0/1)\n1500 3 4 1\n",
            "# Format is time (float s), x, y, polarity (0=off, 1=on) as specified at http://rpg\n0.0015 3 4 1\n",
            "# t x y p\n# t_s x y p\n0.0015 3 4 1\n",
        ] {
            assert_eq!(decode(text).unwrap(), [event], "{text:?}");
        }
        let stream = FORMAT.decode(b"t,x@640,y@480,on\n64,578,240,1\n", "a.csv").unwrap();
        assert_eq!(stream.sensor, Some(Sensor { width: 640, height: 480 }));
    }

    #[test]
    fn what_is_no_event_names_the_line_and_the_remedy() {
        let line = |text: &str| vec![Part::Line(text.into())];
        let columns = |found, expected, named| TextProblem::Columns { found, expected, named };
        for (text, shown, problem) in [
            ("1 2 3 1\n4 x 6 1\n", "4 x 6 1", TextProblem::Pixel { column: "y" }),
            ("1 2 3\n", "1 2 3", columns(3, 4, false)),
            ("1 2 3 4 5\n", "1 2 3 4 5", columns(5, 4, false)),
            ("t,x,y,p\n1,2,3,1,\n", "1,2,3,1,", columns(5, 4, true)),
            ("t,x,y,p,note\n1,2,3,1\n", "1,2,3,1", columns(4, 5, true)),
            ("1 70000 3 1\n", "1 70000 3 1", TextProblem::Pixel { column: "y" }),
            ("-1 2 3 1\n", "-1 2 3 1", TextProblem::Pixel { column: "x" }),
            ("1 2 3 2\n", "1 2 3 2", TextProblem::Polarity),
            ("1 2 -3 1\n", "1 2 -3 1", TextProblem::Time),
            ("1 2 1e30 1\n", "1 2 1e30 1", TextProblem::TimeTooLate { time: "1e30".into() }),
            ("hello\n", "hello", columns(1, 4, false)),
            ("0.5 1 2 1\n", "0.5 1 2 1", TextProblem::Pixel { column: "x" }),
        ] {
            let error = error(text);
            let byte = text.find(shown).unwrap();
            assert_problem!(error, at format!("a.txt: byte {byte}: "), problem);
            assert_eq!(error.problem().unwrap().parts(), line(shown).iter().collect::<Vec<_>>(), "{error}");
            assert!(error.to_string().ends_with(REMEDY), "{error}");
        }
        assert_problem!(error(&"1 ".repeat(5000)), Problem::NoEnd { limit: LONGEST_LINE as u64 });
        let sign = error("# timestamp x y sign\n1 2 3 1\n");
        assert_problem!(sign, TextProblem::NotUnderstood { columns: None, words: vec!["sign".into()] });
        assert_eq!(sign.problem().unwrap().parts(), [&Part::Comment]);
        let comment = "# x y t p".to_owned();
        assert_problem!(error("# t x y p\n1 2 3 1\n# x y t p\n"), TextProblem::Reordered { comment });
        assert_problem!(error("# t x y p\n# x y t p\n1 2 3 1\n"), TextProblem::TwoComments);
        let utf16 = decode(b"\xFF\xFEt\0,\0").unwrap_err();
        assert_problem!(utf16, Problem::Unknown { what: "text in {}", found: "UTF-16".into() });
    }

    #[test]
    fn a_time_with_a_fraction_needs_a_unit() {
        for text in ["t,x,y,p\n0.000937,1,2,1\n", "# timestamp x y polarity\n0 1 2 1\n1e-6 1 2 1\n", "1 2 0.5 1\n"] {
            let error = decode(text).unwrap_err();
            assert!(matches!(&error, Error::TimeUnit { .. }), "{text:?}: {error}");
            assert_eq!(error.choices(), [Choice::TimeUnit]);
            assert!(error.to_string().contains("t_s"), "{error}");
            let decimal = |p: &Problem| matches!(p, Problem::Unit(UnitProblem::Decimal { fraction: true, .. }));
            assert!(error.problem().is_some_and(decimal), "{error}");
        }
        let times = |text: &str, unit| in_unit(text, unit).map(|e| e.iter().map(|e| e.t_us).collect::<Vec<_>>());
        assert_eq!(times("t,x,y,p\n0.000937,1,2,1\n3,1,2,1\n", TimeUnit::Seconds).unwrap(), [937, 3_000_000]);
        assert_eq!(times("1 2 0.5 1\n", TimeUnit::Milliseconds).unwrap(), [500]);
        assert_eq!(times("t_ms,x,y,p\n1,1,2,1\n", TimeUnit::Milliseconds).unwrap(), [1000]);
        let error = times("t_ms,x,y,p\n1,1,2,1\n", TimeUnit::Seconds).unwrap_err();
        assert_problem!(error, asked(TimeUnit::Milliseconds, TimeUnit::Seconds));
    }

    #[test]
    fn a_comment_states_the_unit_of_time() {
        let t = |text: &str| decode(text).map(|e| e.iter().map(|e| e.t_us).collect::<Vec<_>>());
        for (comment, us) in [
            ("# t in seconds", 5_000_000),
            ("# t in s", 5_000_000),
            ("# times are in milliseconds", 5000),
            ("# unit: ns", 0),
            ("# time unit: ms", 5000),
            ("% Time units = us", 5),
            ("# unit of time: ms", 5000),
            ("# t x y p, t in ms", 5000),
            ("# all the time in the world", 5),
            ("# x unit: m", 5),
        ] {
            let line = if comment.contains("t x y p") { "5 1 2 1" } else { "1 2 5 1" };
            assert_eq!(t(&format!("{comment}\n{line}\n")).unwrap(), [us], "{comment}");
        }
        assert_eq!(t("# t in s\nx,y,t,p\n1,2,0.5,1\n").unwrap(), [500_000]);
        let (s, ms, us) = (TimeUnit::Seconds, TimeUnit::Milliseconds, TimeUnit::Microseconds);
        let both = error("# t in s\nx,y,t_ms,p\n1,2,0.5,1\n");
        assert_problem!(both, UnitProblem::Comment { column: ms, comment: s });
        let changed = |before| UnitProblem::Changed { comment: "# unit: ms".into(), stated: ms, before };
        assert_problem!(error("# t in s\n# unit: ms\n1 2 5 1\n"), changed(s));
        assert_problem!(error("1 2 5 1\n# unit: ms\n"), changed(us));
        assert_problem!(in_unit("# t in s\n1 2 5 1\n", ms).unwrap_err(), asked(s, ms));
    }

    #[test]
    fn a_whole_time_with_a_decimal_point_needs_a_unit() {
        for text in ["1 2 1000.0 1\n1 2 2000.0 1\n", "t,x,y,p\n1000.0,1,2,1\n"] {
            let error = decode(text).unwrap_err();
            assert!(matches!(&error, Error::TimeUnit { .. }), "{error}");
            assert_problem!(error, UnitProblem::Decimal { time: "1000.0".into(), fraction: false });
            assert_eq!(in_unit(text, TimeUnit::Milliseconds).unwrap()[0].t_us, 1_000_000);
        }
    }

    #[test]
    fn an_order_of_columns_that_the_times_contradict_is_refused() {
        let found = error("1000 120 80 1\n1000 121 75 0\n1001 119 81 1\n");
        assert_problem!(found, at "a.txt: byte 14: ", TextProblem::TimeFalls { ascending: 'x' });
        let one_time = error("1000 120 80 1\n1000 121 75 0\n1000 119 81 1\n");
        assert_problem!(one_time, TextProblem::TimeFalls { ascending: 'x' });
        // A polarity is not mistaken for a time.
        for text in [
            "# x y t p\n1000 120 80 1\n1000 121 75 0\n1001 119 81 1\n",
            "1000 120 80 1\n1000 121 75 0\n1001 119 81 1\n# x y t p\n",
            "x y t p\n1000 120 80 1\n1000 121 75 0\n1001 119 81 1\n",
            "5 9 80 0\n4 8 75 1\n3 9 81 1\n",
            "1 2 80 0\n2 3 75 1\n3 4 81 1\n",
            "5 9 80 0\n4 8 75 0\n3 9 81 1\n",
            "1 9 80 0\n2 8 80 1\n3 9 81 1\n",
        ] {
            assert_eq!(decode(text).unwrap().len(), 3, "{text}");
        }
        let falling = [(3, 80), (4, 75)].map(|(x, t_us)| Event { t_us, x, y: 9 - x, on: x == 3 });
        let bytes = crate::formats::encode("text", &falling.into_iter().collect(), None).unwrap();
        assert_eq!(decode(bytes).unwrap(), falling);
    }
}
