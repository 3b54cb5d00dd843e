//! Reads a file of events chunk by chunk, so that memory use does not depend on the recording's
//! length.
//!
//! The bytes come from the file mapped into memory (feature `mmap`), from reads into a buffer, or
//! from gzip (recognised by its magic number). Only one case reads the whole file into memory: a
//! format that needs random access, in a build without `mmap` or inside gzip.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::decoder::{Container, Decoder, Reading};
use super::detect::{detect, is_decided};
use super::probe::{HEAD, Probe};
use super::{Axes, EventStream, Format, Oddity, ReadOptions};
use crate::problem::Problem;
use crate::progress::{Progress, Silent};
use crate::source::{self, Bytes};
use crate::{Columns, Error, Result, Sensor};

/// Number of bytes that are read at a time.
pub(super) const CHUNK: usize = super::decoder::PIECE;
/// Number of decoded bytes after which the pages of a mapped file are released to the system.
const RELEASE: usize = 4 << 20;
/// Largest number of events that are sorted in memory; with their order they need some 3 GB.
const MOST_SORTED: usize = 1 << 27;
/// For a file with random access, all mapped pages are released each time this many events have
/// been decoded.
const RELEASE_EVENTS: usize = 1 << 19;

/// Reads events in chunks. See the module.
///
/// ```no_run
/// use tickless_events::{Columns, formats};
///
/// let mut reader = formats::open("recording.raw".as_ref())?;
/// let mut chunk = Columns::new();
/// let mut on = 0;
/// while reader.next(&mut chunk)? {
///     on += chunk.on().iter().filter(|&&on| on).count();
/// }
/// println!("{} with {on} ON events", reader.format());
/// # Ok::<(), tickless_events::Error>(())
/// ```
pub struct EventReader {
    format: &'static Format,
    file: String,
    state: Stage,
    options: ReadOptions,
    /// The offset that is subtracted from all times, in µs.
    shift_us: u64,
    /// Number of events dropped because they lie outside the sensor.
    dropped: u64,
    /// The odd words of the file; empty until the reader has reached the end.
    oddities: Vec<Oddity>,
    /// Number of bytes decoded so far, for errors of the operating system and of gzip.
    at: u64,
}

enum Stage {
    /// A stream decoder reads a slice from front to back.
    Slice {
        bytes: Bytes,
        at: usize,
        /// The pages before this offset have been released.
        released: usize,
        decoder: Box<dyn Decoder>,
    },
    /// A stream decoder reads from a reader.
    Read { reader: Box<dyn Read + Send>, buffer: Vec<u8>, decoder: Box<dyn Decoder> },
    /// A container reads a slice with random access.
    Whole {
        bytes: Bytes,
        container: Box<dyn Container>,
        /// Number of events since the pages were last released.
        events: usize,
    },
    /// All events have been read and sorted by time; the reader has returned those before index
    /// `at`.
    Sorted { events: Columns, at: usize, stated: Option<Sensor>, overflows: u64 },
    /// All events have been read, or an error has been returned.
    Done { stated: Option<Sensor>, overflows: u64 },
}

/// Opens a file of events, plain or (with the feature `gz`) gzipped. The format is detected by the
/// content, or else by the name.
///
/// # Errors
/// [`Error::Io`]; [`Error::Unexpected`] if no format matches; [`Error::Malformed`] if a container
/// is broken.
pub fn open(path: &Path) -> Result<EventReader> {
    open_with(path, &ReadOptions::default())
}

/// As [`open`], with options. With [`ReadOptions::shift_to_zero`] the file is read twice.
///
/// # Errors
/// As [`open`]; [`Error::Unexpected`] for an option that the format does not support.
pub fn open_with(path: &Path, options: &ReadOptions) -> Result<EventReader> {
    open_stoppable(path, options, &Silent)
}

/// As [`open_with`]. If the file is read twice, `progress` can stop the first reading.
///
/// # Errors
/// As [`open_with`]; [`Error::Cancelled`].
pub fn open_stoppable(path: &Path, options: &ReadOptions, progress: &dyn Progress) -> Result<EventReader> {
    let shift_us = if options.shift_to_zero { earliest(path, options, progress)? } else { 0 };
    let mut reader = open_shifted(path, options, shift_us)?;
    if options.sort {
        reader.sort(progress)?;
    }
    Ok(reader)
}

/// Opens a file and subtracts `shift_us` from all times. The events stay in the order of the file,
/// even if the options ask for sorting.
pub(crate) fn open_shifted(path: &Path, options: &ReadOptions, shift_us: u64) -> Result<EventReader> {
    let mut reader = open_as_stored(path, options)?;
    reader.shift_us = shift_us;
    Ok(reader)
}

/// The earliest time of a file in µs; 0 if it has no events.
fn earliest(path: &Path, options: &ReadOptions, progress: &dyn Progress) -> Result<u64> {
    if !path.metadata().is_ok_and(|m| m.is_file()) {
        let problem = "times are to be shifted to 0, which reads the file twice, and it is no regular file";
        return Err(Error::unexpected(path.display().to_string(), problem, "save it to a file first"));
    }
    let (mut reader, mut chunk) = (open_as_stored(path, options)?, Columns::new());
    let mut earliest = None;
    while reader.next(&mut chunk)? {
        if progress.cancelled() {
            return Err(Error::Cancelled { what: "looking for the earliest time".into() });
        }
        earliest = earliest.into_iter().chain(chunk.t_us().iter().copied()).min();
    }
    Ok(earliest.unwrap_or(0))
}

fn open_as_stored(path: &Path, options: &ReadOptions) -> Result<EventReader> {
    let name = path.display().to_string();
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let gz = source::is_gz(path) || source::starts_as_gz(&mut file).map_err(io)?;
    if !gz && let Some(bytes) = source::map(&file) {
        return EventReader::of_bytes(bytes, &name, options);
    }
    if gz {
        let mut unpacked = source::gunzipped(file, &name)?;
        let head = whole_head(&mut unpacked, &name)?;
        return EventReader::begin(unpacked, head, &name, options, |_| {
            source::read_gz(path, |name, e| broken(name, 0, e))
        });
    }
    // A named pipe is a stream.
    let head = if file.metadata().is_ok_and(|m| m.is_file()) { whole_head } else { stream_head };
    let head = head(&mut file, &name)?;
    EventReader::of_stream(file, head, &name, options)
}

impl EventReader {
    /// Reads events from any source of bytes: a pipe, a camera, a socket. `name` is used in error
    /// messages and to detect formats without a magic number. The reader returns events as soon as
    /// their bytes have come; it waits for more bytes only before the first event, until they tell
    /// the format.
    ///
    /// # Errors
    /// As [`open`].
    pub fn from_read(reader: impl Read + Send + 'static, name: &str) -> Result<EventReader> {
        EventReader::from_read_with(reader, name, &ReadOptions::default())
    }

    /// As [`EventReader::from_read`], with options.
    ///
    /// # Errors
    /// As [`open_with`]; [`Error::Unexpected`] for [`ReadOptions::shift_to_zero`], because the
    /// earliest time of a stream is known only at its end.
    pub fn from_read_with(
        mut reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
    ) -> Result<EventReader> {
        if options.shift_to_zero {
            let problem = "times are to be shifted to 0, and the earliest of a stream is known only at its end";
            return Err(Error::unexpected(name, problem, "save it to a file first"));
        }
        let head = stream_head(&mut reader, name)?;
        let mut reader = EventReader::of_stream(reader, head, name, options)?;
        if options.sort {
            reader.sort(&Silent)?;
        }
        Ok(reader)
    }

    /// As [`EventReader::from_read_with`], but the reader neither sorts events nor shifts times,
    /// even if the options ask for it.
    fn of_stream(
        reader: impl Read + Send + 'static,
        head: Head,
        name: &str,
        options: &ReadOptions,
    ) -> Result<EventReader> {
        EventReader::begin(reader, head, name, options, |reader| {
            let bytes = source::at_most(reader, source::LARGEST).map_err(|e| broken(name, 0, e))?;
            bytes.ok_or_else(|| {
                let remedy = "unpack it to a file, which is mapped into memory (feature `mmap`)";
                Error::unexpected(name, "more than 2 GiB of a format that needs the whole file", remedy)
            })
        })
    }

    /// As [`EventReader::of_stream`]. `head` are the first bytes, which `reader` has given, and `whole`
    /// reads all bytes, for a format that needs random access.
    fn begin<R: Read + Send + 'static>(
        reader: R,
        head: Head,
        name: &str,
        options: &ReadOptions,
        whole: impl FnOnce(&mut dyn Read) -> Result<Vec<u8>>,
    ) -> Result<EventReader> {
        let mut format = match head.is_whole {
            true => detect(Probe::front(&head.bytes, Some(head.bytes.len() as u64)), name)?,
            false => detect(Probe::begun(&head.bytes), name)?,
        };
        let mut reader = Cursor::new(head.bytes).chain(reader);
        let state = match format.read {
            Reading::Stream(decoder) => {
                let options = options.for_format(format, name)?;
                Stage::Read { reader: Box::new(reader), buffer: vec![0; CHUNK], decoder: decoder(name, &options) }
            }
            Reading::Whole(_) => {
                let bytes = whole(&mut reader)?;
                // Several formats are HDF5, and only the whole content distinguishes them, so
                // detection runs again.
                format = detect(Probe::whole(&bytes), name)?;
                let Reading::Whole(container) = format.read else {
                    return Err(Error::unexpected(name, "two formats in one", "check what the file is"));
                };
                let container = container(&bytes, name, &options.for_format(format, name)?)?;
                Stage::Whole { container, bytes: Bytes::Read(bytes), events: 0 }
            }
        };
        let options = options.for_format(format, name)?;
        Ok(EventReader::at_start(format, name, state, options))
    }

    fn of_bytes(bytes: Bytes, name: &str, options: &ReadOptions) -> Result<EventReader> {
        let format = detect(Probe::whole(&bytes), name)?;
        let options = options.for_format(format, name)?;
        let state = match format.read {
            Reading::Stream(decoder) => Stage::Slice { bytes, at: 0, released: 0, decoder: decoder(name, &options) },
            Reading::Whole(container) => {
                Stage::Whole { container: container(&bytes, name, &options)?, bytes, events: 0 }
            }
        };
        Ok(EventReader::at_start(format, name, state, options))
    }

    /// A reader that has read no event yet.
    fn at_start(format: &'static Format, name: &str, state: Stage, options: ReadOptions) -> EventReader {
        let file = name.into();
        EventReader { format, file, state, options, shift_us: 0, dropped: 0, oddities: Vec::new(), at: 0 }
    }

    /// Name of the format.
    pub fn format(&self) -> &'static str {
        self.format.name
    }

    /// The origin of the file's columns and rows. The events that this reader returns count from
    /// the upper left, unless the format does not define its origin.
    pub fn axes(&self) -> Axes {
        self.format.axes
    }

    /// The sensor of the options, or else the one that the file states. In some formats it is known
    /// only after the first chunk.
    pub fn sensor(&self) -> Option<Sensor> {
        self.options.sensor.or(self.stated_sensor())
    }

    /// The sensor that the file states, whatever the options say.
    pub fn stated_sensor(&self) -> Option<Sensor> {
        match &self.state {
            Stage::Slice { decoder, .. } | Stage::Read { decoder, .. } => decoder.sensor(),
            Stage::Whole { container, .. } => container.sensor(),
            Stage::Sorted { stated, .. } | Stage::Done { stated, .. } => *stated,
        }
    }

    /// Number of times that the clock has overflowed and been continued so far. Overflows that the
    /// file itself counts are not included.
    pub fn overflows(&self) -> u64 {
        match &self.state {
            Stage::Slice { decoder, .. } | Stage::Read { decoder, .. } => decoder.overflows(),
            Stage::Whole { .. } => 0,
            Stage::Sorted { overflows, .. } | Stage::Done { overflows, .. } => *overflows,
        }
    }

    /// The offset that is subtracted from all times, in µs ([`ReadOptions::shift_to_zero`]).
    pub fn shift_us(&self) -> u64 {
        self.shift_us
    }

    /// Number of events dropped so far ([`ReadOptions::drop_outside`]).
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The odd words of a file of the formats EVT2, EVT2.1 and EVT3. The list is empty until the
    /// reader has reached the end, and if [`ReadOptions::note_oddities`] is not set.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    fn end(&mut self) {
        if let Stage::Slice { decoder, .. } | Stage::Read { decoder, .. } = &self.state {
            self.oddities = decoder.oddities().to_vec();
        }
        self.state = Stage::Done { stated: self.stated_sensor(), overflows: self.overflows() };
    }

    /// Reads all events and sorts them by time; the reader then returns them from memory.
    fn sort(&mut self, progress: &dyn Progress) -> Result<()> {
        let mut events = Columns::new();
        while self.append(&mut events)? {
            if progress.cancelled() {
                return Err(Error::Cancelled { what: "sorting the events".into() });
            }
            if events.len() > MOST_SORTED {
                let problem = format!("more than {MOST_SORTED} events, which are to be sorted in memory");
                return Err(Error::unexpected(&self.file, problem, "cut the recording before it is sorted"));
            }
        }
        let (stated, overflows) = (self.stated_sensor(), self.overflows());
        self.end();
        self.state = Stage::Sorted { events: events.sorted(), at: 0, stated, overflows };
        Ok(())
    }

    /// Replaces the content of `chunk` by the next events. Returns false and an empty chunk after
    /// the last event.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the offset; [`Error::Io`]. The chunk then holds the events before the
    /// fault that were decoded with it. After an error, the reader returns no more events.
    pub fn next(&mut self, chunk: &mut Columns) -> Result<bool> {
        chunk.clear();
        let more = self.append(chunk);
        if !matches!(more, Ok(true)) {
            self.end();
        }
        more.map(|_| !chunk.is_empty())
    }

    /// Appends at least one event. Returns false at the end of the file.
    fn append(&mut self, out: &mut Columns) -> Result<bool> {
        if let Stage::Sorted { events, at, .. } = &mut self.state {
            let end = events.len().min(*at + CHUNK);
            out.extend(events.iter_from(*at).take(CHUNK));
            let more = end > *at;
            *at = end;
            return Ok(more);
        }
        let before = out.len();
        while out.len() == before {
            let more = self.step(out);
            self.dropped += self.options.apply(&self.file, self.stated_sensor(), self.shift_us, out, before)?;
            if !more? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Decodes the next bytes; returns false at the end of the file.
    fn step(&mut self, out: &mut Columns) -> Result<bool> {
        match &mut self.state {
            Stage::Slice { bytes, at, released, decoder } => {
                if *at == bytes.len() {
                    decoder.finish(out)?;
                    return Ok(false);
                }
                if *at - *released >= RELEASE {
                    bytes.release(*released..*at);
                    *released = *at;
                }
                *at += decoder.take(&bytes[*at..], out)?;
            }
            Stage::Read { reader, buffer, decoder } => match reader.read(buffer) {
                Ok(0) => {
                    decoder.finish(out)?;
                    return Ok(false);
                }
                Ok(n) => {
                    self.at += n as u64;
                    decoder.push(&buffer[..n], out)?;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(broken(&self.file, self.at, e)),
            },
            Stage::Whole { bytes, container, events } => {
                let before = out.len();
                if !container.next(bytes, out)? {
                    return Ok(false);
                }
                *events += out.len() - before;
                if *events >= RELEASE_EVENTS {
                    bytes.release(0..bytes.len());
                    *events = 0;
                }
            }
            Stage::Sorted { .. } | Stage::Done { .. } => return Ok(false),
        }
        Ok(true)
    }

    /// Reads all remaining events.
    ///
    /// # Errors
    /// As [`EventReader::next`].
    pub fn read_to_end(mut self) -> Result<EventStream> {
        let mut events = Columns::new();
        self.read_into(&mut events)?;
        Ok(EventStream { format: self.format.name, sensor: self.sensor(), events })
    }

    /// Appends all remaining events to `events`. If many recordings are read one after another into
    /// the same [`Columns`] (see [`Columns::clear`]), memory is allocated only for the longest.
    ///
    /// # Errors
    /// As [`EventReader::next`]. The events before the error have been appended.
    pub fn read_into(&mut self, events: &mut Columns) -> Result<()> {
        let before = events.len();
        let more = self.all(events, before);
        self.end();
        more
    }

    fn all(&mut self, events: &mut Columns, before: usize) -> Result<()> {
        while self.append(events)? {
            match &self.state {
                Stage::Slice { bytes, at, .. } => events.expect(before, *at, bytes.len() - at),
                // Data from gzip or a pipe may have no end.
                Stage::Read { .. } if self.at > source::LARGEST => {
                    let remedy = "read it in chunks, or unpack it to a file";
                    return Err(Error::unexpected(&self.file, "more than 2 GiB of data, unpacked", remedy));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The first bytes of a stream.
struct Head {
    bytes: Vec<u8>,
    /// Whether the stream has ended with them.
    is_whole: bool,
}

/// Reads the whole head of a stream that does not wait for its writer.
fn whole_head(reader: &mut impl Read, name: &str) -> Result<Head> {
    let mut bytes = Vec::new();
    reader.take(HEAD as u64).read_to_end(&mut bytes).map_err(|e| broken(name, 0, e))?;
    Ok(Head { is_whole: bytes.len() < HEAD, bytes })
}

/// Reads bytes until they tell the format, at most those of a head. A camera may pause after any
/// byte, so the stream is never asked for more than that.
fn stream_head(reader: &mut impl Read, name: &str) -> Result<Head> {
    let mut bytes = vec![0; HEAD];
    let mut read = 0;
    loop {
        match reader.read(&mut bytes[read..]) {
            Ok(0) => {
                bytes.truncate(read);
                return Ok(Head { bytes, is_whole: read < HEAD });
            }
            Ok(n) => read += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(broken(name, 0, e)),
        }
        if is_decided(Probe::begun(&bytes[..read]), name) {
            bytes.truncate(read);
            return Ok(Head { bytes, is_whole: false });
        }
    }
}

/// Turns an I/O error into that of the operating system or of a broken gzip stream.
fn broken(name: &str, at: u64, e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput | std::io::ErrorKind::UnexpectedEof => {
            Error::malformed(
                name,
                at,
                Problem::Broken { what: "broken gzip or other stream", reason: e.to_string() },
                "get the file again",
            )
        }
        _ => Error::Io { path: PathBuf::from(name), source: e },
    }
}
