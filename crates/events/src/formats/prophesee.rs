//! Common parts of the files of Prophesee's cameras (EVT2, EVT2.1, EVT3, DAT).
//!
//! A file has a header of text lines `% key value`, which often ends with `% end` but need not, and
//! then words of a fixed size. A line belongs to the header if it begins with `%` and is text up to
//! its end. Keys are not case-sensitive. Source: the public description of the RAW and DAT formats
//! in Prophesee's documentation, and files that cameras have written.

use super::oddities::Oddities;
use super::records::{Records, SliceOrigin};
use super::{Oddity, Probe, ReadOptions};
use crate::problem::{HeaderProblem, Truncation};
use crate::{Columns, Result, Sensor};

/// A header line has at most this many bytes; longer ones are treated as data.
const LONGEST_LINE: usize = 4096;
/// Larger headers are refused, because their fields are kept in memory.
const LONGEST_HEADER: u64 = 1 << 20;

/// The key-value pairs of a header.
#[derive(Debug, Clone, Default)]
pub struct Header {
    fields: Vec<(String, String)>,
}

/// The kind of the first bytes of a slice.
enum Front {
    /// Unknown: more bytes are needed.
    More,
    /// A header line of this many bytes, including its newline.
    Line(usize),
    /// Data, so the header has ended.
    Data,
}

fn front(bytes: &[u8]) -> Front {
    let Some(b'%') = bytes.first() else {
        return if bytes.is_empty() { Front::More } else { Front::Data };
    };
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    match line.iter().position(|b| b.is_ascii_control() && !matches!(b, b'\t' | b'\r')) {
        Some(at) if line[at] == b'\n' => Front::Line(at + 1),
        Some(_) => Front::Data,
        None if line.len() == LONGEST_LINE => Front::Data,
        None => Front::More,
    }
}

impl Header {
    /// Parses the header at the front of a file; returns it with its length.
    pub fn of(probe: &Probe<'_>) -> (Header, usize) {
        let (mut header, mut at) = (Header::default(), 0);
        while let Front::Line(n) = front(&probe.head[at..]) {
            at += n;
            if header.add(&probe.head[at - n..at]) {
                break;
            }
        }
        (header, at)
    }

    /// Whether the header, of which `at` bytes are parsed, may continue with bytes that have not come
    /// yet.
    pub fn may_continue(probe: &Probe<'_>, at: usize) -> bool {
        probe.grows && matches!(front(&probe.head[at..]), Front::More)
    }

    /// Adds a line; returns true if it is the last.
    fn add(&mut self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        let text = line.trim_start_matches('%').trim();
        let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        self.fields.push((key.into(), value.trim().into()));
        text.eq_ignore_ascii_case("end")
    }

    /// The value of `key`, whose case does not matter; the first one if it occurs twice.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str())
    }

    /// The name at the beginning of the line `format`.
    pub fn format(&self) -> Option<&str> {
        Some(self.get("format")?.split(';').next()?.trim())
    }

    /// The value of `key=` in the line `format`.
    pub fn format_option(&self, key: &str) -> Option<&str> {
        let options = self.get("format")?.split(';').skip(1).filter_map(|o| o.split_once('='));
        options.into_iter().find(|(k, _)| k.trim().eq_ignore_ascii_case(key)).map(|(_, v)| v.trim())
    }

    /// The sensor sizes that the header states, as text: the statement, the width and the height.
    fn sizes(&self) -> Vec<(String, &str, &str)> {
        let geometries = self.fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case("geometry"));
        let geometries = geometries.filter_map(|(_, value)| value.split_once('x'));
        let mut sizes: Vec<_> = geometries.map(|(w, h)| (format!("geometry {w}x{h}"), w.trim(), h.trim())).collect();
        if let Some((w, h)) = self.format_option("width").zip(self.format_option("height")) {
            sizes.push((format!("format …;height={h};width={w}"), w, h));
        }
        if let Some((w, h)) = self.get("width").zip(self.get("height")) {
            sizes.push((format!("Height {h}, Width {w}"), w, h));
        }
        sizes
    }

    /// Returns an error for sizes that no sensor has, and for sizes that differ.
    fn check_sizes(&self, file: &str) -> Result<()> {
        let refuse = |problem: HeaderProblem| {
            let remedy = "correct the header, or state the sensor";
            Err(SliceOrigin { file, at: 0 }.error(0, problem, remedy))
        };
        let is_number = |text: &str| {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        };
        let mut first: Option<(String, Sensor)> = None;
        for (shown, w, h) in self.sizes() {
            let shown = shown.escape_debug().take(80).collect::<String>();
            let (Ok(width), Ok(height)) = (w.parse(), h.parse()) else {
                if is_number(w) && is_number(h) {
                    return refuse(HeaderProblem::NoSize { stated: shown });
                }
                continue;
            };
            let sensor = Sensor { width, height };
            match &first {
                Some((before, stated)) if *stated != sensor => {
                    return refuse(HeaderProblem::TwoSizes { first: before.clone(), second: shown });
                }
                Some(_) => {}
                None => first = Some((shown, sensor)),
            }
        }
        Ok(())
    }

    /// The sensor that the header states, or else the one of the camera's plug-in.
    pub fn sensor(&self) -> Option<Sensor> {
        let pair = |w: Option<&str>, h: Option<&str>| {
            Some(Sensor { width: w?.trim().parse().ok()?, height: h?.trim().parse().ok()? })
        };
        let geometry = self.get("geometry").and_then(|g| g.split_once('x'));
        let stated = pair(geometry.map(|g| g.0), geometry.map(|g| g.1))
            .or_else(|| pair(self.format_option("width"), self.format_option("height")))
            .or_else(|| pair(self.get("width"), self.get("height")));
        stated.or_else(|| {
            let plugin = self.get("plugin_name")?.to_ascii_lowercase();
            let sensors = [("genx320", 320, 320), ("gen3", 640, 480), ("gen4", 1280, 720), ("imx636", 1280, 720)];
            let (_, width, height) = sensors.into_iter().find(|(name, ..)| plugin.contains(name))?;
            Some(Sensor { width, height })
        })
    }
}

/// Decodes the words after a header.
pub trait Words: Sized + Send {
    /// Number of bytes between the header and the first word.
    const PREFIX: usize = 0;
    /// Size of a word in bytes.
    const WORD: usize;
    /// The name of a word in error messages.
    const WHAT: &'static str;

    /// Creates the decoder. `place` is the location of the prefix. If `literal` is true, the clock
    /// is not continued.
    fn start(header: &Header, prefix: &[u8], literal: bool, place: SliceOrigin<'_>) -> Result<Self>;

    /// Decodes whole words.
    fn words(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<()>;

    /// As [`super::Decoder::overflows`].
    fn overflows(&self) -> u64;

    /// Counts the odd words among these whole words. The first of them is at byte `at` of the file.
    fn look(&self, _bytes: &[u8], _at: u64, _oddities: &mut Oddities) {}
}

/// A decoder for a header followed by words.
pub struct Headed<W> {
    header: Header,
    /// Whether the header has ended.
    ended: bool,
    /// Whether times stay as stored.
    literal: bool,
    /// Whether the options state the sensor; the header's sizes are then not verified.
    sensor_given: bool,
    /// The odd words so far; `None` if the options do not ask for them.
    oddities: Option<Oddities>,
    words: Option<W>,
}

impl<W> Headed<W> {
    /// Creates a decoder for the beginning of a file.
    pub fn new(options: &ReadOptions) -> Headed<W> {
        let (literal, sensor_given) = (options.literal_times, options.sensor.is_some());
        let oddities = options.note_oddities.then(Oddities::default);
        Headed { header: Header::default(), ended: false, literal, sensor_given, oddities, words: None }
    }
}

impl<W: Words> Headed<W> {
    /// Creates the decoder of the words after the header; an error if the header is invalid.
    fn start(&self, prefix: &[u8], place: SliceOrigin<'_>) -> Result<W> {
        if !self.sensor_given {
            self.header.check_sizes(place.file)?;
        }
        W::start(&self.header, prefix, self.literal, place)
    }
}

impl<W: Words> Records for Headed<W> {
    const LONGEST: usize = LONGEST_LINE + 1;

    fn decode(&mut self, bytes: &[u8], place: SliceOrigin<'_>, out: &mut Columns) -> Result<usize> {
        if let Some(words) = &mut self.words {
            let whole = bytes.len() - bytes.len() % W::WORD;
            words.words(&bytes[..whole], place, out)?;
            if let Some(oddities) = &mut self.oddities {
                words.look(&bytes[..whole], place.at, oddities);
            }
            return Ok(whole);
        }
        if !self.ended {
            match front(bytes) {
                Front::More => return Ok(0),
                Front::Line(_) if place.at > LONGEST_HEADER => {
                    return Err(place.error(0, "the header does not end within 1 MiB", "get the file again"));
                }
                Front::Line(n) => {
                    self.ended = self.header.add(&bytes[..n]);
                    return Ok(n);
                }
                Front::Data => self.ended = true,
            }
        }
        let Some(prefix) = bytes.get(..W::PREFIX.max(1)) else { return Ok(0) };
        self.words = Some(self.start(&prefix[..W::PREFIX], place)?);
        if W::PREFIX > 0 { Ok(W::PREFIX) } else { self.decode(bytes, place, out) }
    }

    fn finish(&mut self, rest: &[u8], place: SliceOrigin<'_>, _: &mut Columns) -> Result<()> {
        if self.words.is_some() {
            return if rest.is_empty() { Ok(()) } else { Err(place.truncated(W::WHAT, rest.len(), W::WORD)) };
        }
        if !self.ended && !rest.is_empty() {
            return Err(place.error(
                0,
                Truncation::Described("the file ends inside a line of its header".into()),
                "get the file again",
            ));
        }
        if rest.len() < W::PREFIX {
            return Err(place.truncated("the type of events after the header", rest.len(), W::PREFIX));
        }
        // A file with a valid header and no events is an empty recording.
        self.start(&[], place).map(|_| ())
    }

    fn sensor(&self) -> Option<Sensor> {
        self.header.sensor()
    }

    fn overflows(&self) -> u64 {
        self.words.as_ref().map_or(0, W::overflows)
    }

    fn oddities(&self) -> &[Oddity] {
        self.oddities.as_ref().map_or(&[], Oddities::found)
    }
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;
    use crate::Problem;

    fn header(text: &str) -> (Header, usize) {
        Header::of(&Probe::whole(text.as_bytes()))
    }

    #[test]
    fn the_sensor_is_stated_in_one_of_four_ways() {
        let sensor = |text: &str| header(text).0.sensor().map(|s| s.to_string());
        assert_eq!(sensor("% geometry 640x480\n").as_deref(), Some("640x480"));
        assert_eq!(sensor("% format EVT3;height=720;width=1280\n").as_deref(), Some("1280x720"));
        assert_eq!(sensor("% Height 240\n% Width 304\n").as_deref(), Some("304x240"));
        assert_eq!(sensor("% plugin_name hal_plugin_gen41_evk3\n").as_deref(), Some("1280x720"));
        assert_eq!(sensor("% plugin_name hal_plugin_gen3_fx3\n").as_deref(), Some("640x480"));
        assert_eq!(sensor("% geometry 640\n% evt 2.0\n"), None);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let decode = |text: &str| crate::formats::decode(format!("% evt 3.0\n{text}% end\n").as_bytes(), "a.raw");
        let error = |text: &str| decode(text).unwrap_err();
        let sizes = |text: &str| match error(text).problem() {
            Some(Problem::Header(HeaderProblem::TwoSizes { first, second })) => [first.clone(), second.clone()],
            other => panic!("{other:?}"),
        };
        let text = "% format EVT3;height=720;width=1280\n% geometry 640x480\n";
        assert!(error(text).to_string().starts_with("a.raw: byte 0: "));
        let [first, second] = sizes(text);
        assert!(first == "geometry 640x480" && second.contains("height=720;width=1280"), "{first}, {second}");
        assert_eq!(sizes("% geometry 640x480\n% Width 304\n% Height 240\n")[0], "geometry 640x480");
        assert_eq!(sizes("% geometry 640x480\n% geometry 1280x720\n")[1], "geometry 1280x720");
        for absurd in ["-640x480", "1000000000x1000000000", "640x65536", "99999999999999999999999x1"] {
            let stated = format!("geometry {absurd}");
            assert_problem!(error(&format!("% {stated}\n")), HeaderProblem::NoSize { stated });
        }
        let negative = error("% format EVT3;height=-1;width=5\n");
        let problem = negative.problem().unwrap();
        assert!(matches!(problem, Problem::Header(HeaderProblem::NoSize { .. })), "{negative}");
        assert!(decode("% format EVT3;height=480;width=640\n% geometry 640x480\n").is_ok());
        // If the options state a sensor, contradictions in the header are ignored.
        let options = ReadOptions { sensor: Some(Sensor { width: 640, height: 480 }), ..ReadOptions::default() };
        let text = b"% evt 3.0\n% format EVT3;height=720;width=1280\n% geometry 640x480\n% end\n";
        assert!(crate::formats::evt3::FORMAT.decode_with(text, "a.raw", &options).is_ok());
    }

    #[test]
    fn data_that_begins_like_a_header_is_data() {
        assert_eq!(header("% evt 3.0\n% \u{1}\n").1, 10, "a control character");
        assert_eq!(header("% evt 3.0\n% end\n% more\n").1, 16, "after the last line");
        assert_eq!(header("% evt 3.0\r\nx").1, 11);
        assert_eq!(header(&format!("% evt 3.0\n% {}", "a".repeat(5000))).1, 10, "a line without end");
    }
}
