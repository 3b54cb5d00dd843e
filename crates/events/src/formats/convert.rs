//! Converts a file of events to another format, chunk by chunk.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use tickless_files::NewFile;

use super::{Axes, EventReader, FORMATS, Format, Oddity, ReadOptions, by_name, encoder, open_stoppable};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::{Choice, Columns, Error, Remedy, Result};

/// The result of [`convert`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// Number of events written.
    pub events: u64,
    /// Number of events dropped because they lie outside the sensor
    /// ([`ReadOptions::drop_outside`]).
    pub dropped: u64,
    /// Number of overflows of the clock ([`EventReader::overflows`]).
    pub overflows: u64,
    /// The offset that was subtracted from all times, in µs ([`EventReader::shift_us`]).
    pub shift_us: u64,
    /// The odd words of `from` ([`EventReader::oddities`]).
    pub oddities: Vec<Oddity>,
    /// The axes of the formats of `from` and `to`; [`Axes::conversion`] describes what changes.
    pub axes: (Axes, Axes),
}

/// Writes the events of the file `from`, read with `options`, into the file `to`, in the same
/// order.
///
/// The format is `format`, or else the one that the extension of `to` selects. The sensor is that
/// of the options, or else the one that `from` states. `to` is created or replaced only after
/// everything has been written to disk; a device or a pipe is written to directly. Memory use does
/// not depend on the length of the recording. `progress` can stop the conversion.
///
/// # Errors
/// The errors of reading; [`Error::StrayEvent`] for an event outside the sensor, because the header
/// of `to` would be wrong; [`Error::Setting`] for a format, sensor or event that cannot be written
/// (see [`super::Encoder`]), or for a format that cannot be written to a pipe; [`Error::Io`];
/// [`Error::Cancelled`].
pub fn convert(
    from: &Path,
    to: &Path,
    format: Option<&str>,
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<Conversion> {
    let io = |source| Error::Io { path: to.to_path_buf(), source };
    if to.is_dir() {
        return Err(Error::unexpected(to.display().to_string(), Problem::Folder, "name a file in it"));
    }
    // A hard link to `from` is allowed: replacing `to` leaves the file under its other name.
    if to.is_file() && from.canonicalize().is_ok_and(|from| to.canonicalize().is_ok_and(|to| from == to)) {
        return Err(Error::unexpected(to.display().to_string(), Problem::SameFile, "name another file"));
    }
    let format = match format {
        Some(name) => by_name(name)?,
        None => by_extension(to)?,
    };
    let options = ReadOptions { note_oddities: true, ..*options };
    let mut reader = open_stoppable(from, &options, progress)?;
    let mut chunk = Columns::new();
    let mut more = reader.next(&mut chunk)?;
    // Some formats state the sensor at their beginning, so the first chunk is read before.
    let mut encoder = encoder(format.name, reader.sensor())?;
    let mut file = NewFile::create_following(to).map_err(io)?;
    if !encoder.head().is_empty() && !file.can_go_back() {
        let what =
            format!("{}: the format {} states at its beginning what only its end knows", to.display(), format.name);
        return Err(Error::setting(what, "name a file, not a pipe, or another format"));
    }
    let (mut bytes, mut events) = (Vec::new(), 0);
    while more {
        if progress.cancelled() {
            return Err(Error::Cancelled { what: format!("writing {}", to.display()) });
        }
        check_sensor(&reader, &chunk, events, from)?;
        encoder.push(&chunk, &mut bytes)?;
        file.write_all(&bytes).map_err(io)?;
        bytes.clear();
        events += chunk.len() as u64;
        more = reader.next(&mut chunk)?;
    }
    encoder.finish(&mut bytes)?;
    file.write_all(&bytes).map_err(io)?;
    if !encoder.head().is_empty() {
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(encoder.head())).map_err(io)?;
    }
    file.commit().map_err(io)?;
    let (dropped, overflows, shift_us) = (reader.dropped(), reader.overflows(), reader.shift_us());
    let (oddities, axes) = (reader.oddities().to_vec(), (reader.axes(), format.axes));
    Ok(Conversion { events, dropped, overflows, shift_us, oddities, axes })
}

/// Returns an error if an event of the chunk lies outside the reader's sensor. `index` is the
/// position of the chunk's first event in the file.
fn check_sensor(reader: &EventReader, chunk: &Columns, index: u64, file: &Path) -> Result<()> {
    let Some(sensor) = reader.sensor() else { return Ok(()) };
    let Some(at) = chunk.first_outside(sensor) else { return Ok(()) };
    let (file, index) = (file.display().to_string(), index + at as u64);
    Err(Error::StrayEvent { file, index, x: chunk.x()[at], y: chunk.y()[at], sensor })
}

/// The only format whose files have the extension of `path` and can be written.
///
/// # Errors
/// [`Error::Setting`] if no format or several formats match.
pub fn by_extension(path: &Path) -> Result<&'static Format> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let fits = |f: &&Format| f.write.is_some() && f.extensions.contains(&extension.as_str());
    let formats: Vec<_> = FORMATS.iter().filter(fits).collect();
    let names = |formats: &[&Format]| formats.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    match formats[..] {
        [format] => Ok(format),
        [] => {
            let written: Vec<_> = FORMATS.iter().filter(|f| f.write.is_some()).collect();
            let what = format!("no format is written into files named .{extension}");
            Err(Error::setting(what, Remedy::with(format!("name one of: {}", names(&written)), &[Choice::Format])))
        }
        _ => {
            let what = format!("several formats are written into files named .{extension}");
            Err(Error::setting(what, Remedy::with(format!("name one of: {}", names(&formats)), &[Choice::Format])))
        }
    }
}

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use super::*;
    use crate::formats::{encode, read};
    use crate::progress::Silent;
    use crate::{Event, Sensor};

    fn on(sensor: Sensor) -> ReadOptions {
        ReadOptions { sensor: Some(sensor), ..ReadOptions::default() }
    }

    #[test]
    fn every_pair_of_formats_converts_without_loss() {
        let folder = tempfile::tempdir().unwrap();
        let event = |i: u16| Event { t_us: 7 * u64::from(i), x: i % 100, y: i % 90, on: i.is_multiple_of(3) };
        let events: Columns = (0..500).map(event).collect();
        let sensor = Sensor { width: 128, height: 128 };
        // Formats that do not store pixels cannot hold these events.
        let holds = |f: &&Format| f.write.is_some() && encode(f.name, &events, Some(sensor)).is_ok();
        for a in FORMATS.iter().filter(holds) {
            let from = folder.path().join(format!("a.{}", a.extensions[0]));
            std::fs::write(&from, encode(a.name, &events, Some(sensor)).unwrap()).unwrap();
            for b in FORMATS.iter().filter(holds) {
                let to = folder.path().join(format!("b.{}", b.extensions[0]));
                assert_eq!(
                    convert(&from, &to, Some(b.name), &on(sensor), &Silent).unwrap().events,
                    500,
                    "{} to {}",
                    a.name,
                    b.name
                );
                assert_eq!(read(&to).unwrap().events, events, "{} to {}", a.name, b.name);
            }
        }
    }

    #[test]
    fn what_cannot_be_converted_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.dat"), folder.path().join("b.bin"));
        let events: Columns = [Event { t_us: 0, x: 300, y: 0, on: true }].into_iter().collect();
        std::fs::write(&from, encode("dat", &events, None).unwrap()).unwrap();
        let error = convert(&from, &to, None, &ReadOptions::default(), &Silent).unwrap_err().to_string();
        assert!(error.contains("event 0 (t 0, x 300, y 0)") && error.contains("nmnist-bin"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let sensor = Sensor { width: 301, height: 1 };
        std::fs::write(&from, encode("dat", &events, Some(sensor)).unwrap()).unwrap();
        let to = folder.path().join("c.dat");
        let smaller = Sensor { width: 300, height: 9 };
        let error = convert(&from, &to, None, &on(smaller), &Silent).unwrap_err();
        let Error::StrayEvent { file, index: 0, x: 300, y: 0, sensor } = &error else { panic!("{error}") };
        assert!(file.ends_with("a.dat") && *sensor == smaller, "{error}");
        let drop = ReadOptions { drop_outside: true, ..on(Sensor { width: 300, height: 9 }) };
        let done = convert(&from, &to, None, &drop, &Silent).unwrap();
        assert_eq!((done.events, done.dropped), (0, 1));
        let refused = |name: &str| match by_extension(name.as_ref()).unwrap_err() {
            error @ Error::Setting { .. } if error.choices() == [Choice::Format] => error.to_string(),
            other => panic!("{other}"),
        };
        let several = refused("a.raw");
        assert!(several.contains(".raw") && several.ends_with(": evt2, evt21, evt3"), "{several}");
        let unknown = refused("a.gif");
        assert!(unknown.contains(".gif") && unknown.contains("nmnist-bin"), "{unknown}");
        assert_eq!(by_extension("x/A.ES".as_ref()).unwrap().name, "es");
    }

    #[test]
    fn a_stop_leaves_no_file() {
        struct Stopped;
        impl Progress for Stopped {
            fn cancelled(&self) -> bool {
                true
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.es"), folder.path().join("b.dat"));
        let events: Columns = [Event { t_us: 0, x: 3, y: 0, on: true }].into_iter().collect();
        std::fs::write(&from, encode("es", &events, Some(Sensor::NMNIST)).unwrap()).unwrap();
        let error = convert(&from, &to, None, &ReadOptions::default(), &Stopped).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_that_is_read_is_not_replaced_under_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("a.es");
        let bytes = encode("es", &Columns::new(), Some(Sensor::NMNIST)).unwrap();
        std::fs::write(&from, &bytes).unwrap();
        let mut names = vec![from.clone(), folder.path().join("./a.es")];
        #[cfg(unix)]
        {
            let link = folder.path().join("link.dat");
            std::os::unix::fs::symlink(&from, &link).unwrap();
            names.push(link);
        }
        for to in names {
            let error = convert(&from, &to, Some("dat"), &ReadOptions::default(), &Silent).unwrap_err();
            assert_problem!(error, at format!("{}: ", to.display()), Problem::SameFile);
            assert_eq!(std::fs::read(&from).unwrap(), bytes);
        }
    }

    #[test]
    fn times_that_a_format_cannot_hold_name_the_choice_that_mends_them_and_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let at =
            |times: &[u64]| -> Columns { times.iter().map(|&t_us| Event { t_us, x: 3, y: 4, on: true }).collect() };
        let cases = [
            (at(&[900, 100, 500]), Choice::Sort, &["es", "prophesee-hdf5"][..]),
            (
                at(&[1 << 50, (1 << 50) + 5]),
                Choice::ShiftToZero,
                &["es", "dat", "aedat2", "nmnist-bin", "evt2", "evt3"],
            ),
            (at(&[u64::MAX - 9, u64::MAX]), Choice::ShiftToZero, &["aedat4", "aedat31", "npy", "prophesee-hdf5"]),
        ];
        for (events, choice, names) in cases {
            let from = folder.path().join("a.txt");
            std::fs::write(&from, encode("text", &events, None).unwrap()).unwrap();
            for name in names.iter().filter(|name| by_name(name).is_ok()) {
                let to = folder.path().join(format!("b.{}", by_name(name).unwrap().extensions[0]));
                let mut options = on(Sensor::NMNIST);
                let error = convert(&from, &to, Some(name), &options, &Silent).unwrap_err();
                assert_eq!(error.choices(), [choice], "{name}: {error}");
                match choice {
                    Choice::Sort => options.sort = true,
                    _ => options.shift_to_zero = true,
                }
                convert(&from, &to, Some(name), &options, &Silent).unwrap();
                let (first, sorted) = (events.t_us().iter().min().unwrap(), events.clone().sorted());
                let shift = if choice == Choice::ShiftToZero { *first } else { 0 };
                let expected: Vec<_> = sorted.t_us().iter().map(|t| t - shift).collect();
                assert_eq!(read(&to).unwrap().events.t_us(), expected, "{name}");
            }
        }
        // A format that states the sensor needs one.
        let from = folder.path().join("a.txt");
        std::fs::write(&from, encode("text", &at(&[1]), None).unwrap()).unwrap();
        for name in ["es", "aedat4", "prophesee-hdf5"].into_iter().filter(|name| by_name(name).is_ok()) {
            let to = folder.path().join("c.bin");
            let error = convert(&from, &to, Some(name), &ReadOptions::default(), &Silent).unwrap_err();
            assert_eq!(error.choices(), [Choice::Sensor], "{name}: {error}");
        }
    }

    #[test]
    fn a_folder_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("a.es");
        std::fs::write(&from, encode("es", &Columns::new(), Some(Sensor::NMNIST)).unwrap()).unwrap();
        let error = convert(&from, folder.path(), Some("dat"), &ReadOptions::default(), &Silent).unwrap_err();
        assert_problem!(error, at format!("{}: ", folder.path().display()), Problem::Folder);
    }
}
