//! From one format of events to another, chunk by chunk.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::{Axes, EventReader, FORMATS, Format, ReadOptions, by_name, encoder, open_with};
use crate::{Columns, Error, Result};

/// What [`convert`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// Events written.
    pub events: u64,
    /// Events left out because they lie outside the sensor ([`ReadOptions::drop_outside`]).
    pub dropped: u64,
    /// As [`EventReader::overflows`].
    pub overflows: u64,
    /// As [`EventReader::shift_us`].
    pub shift_us: u64,
    /// Where columns and rows begin in `from` and in `to`; [`Axes::conversion`] tells what that means.
    pub axes: (Axes, Axes),
}

/// Writes the events of the file `from`, read with `options`, into the file `to`, in the same order.
/// The format is the one named, else the one that the extension of `to` belongs to. The sensor is
/// that of the options, else the one that `from` states. `to` appears, or is replaced, only when all
/// of it is written.
///
/// # Errors
/// Those of reading, [`Error::StrayEvent`] for an event outside the sensor, because `to` would hold
/// what its header excludes, [`Error::Setting`] for a format, sensor or event that does not fit (see
/// [`super::Encoder`]), [`Error::Io`].
pub fn convert(from: &Path, to: &Path, format: Option<&str>, options: &ReadOptions) -> Result<Conversion> {
    let format = match format {
        Some(name) => by_name(name)?,
        None => by_extension(to)?,
    };
    let mut reader = open_with(from, options)?;
    let mut chunk = Columns::new();
    let mut more = reader.next(&mut chunk)?;
    // Some formats state the sensor at their beginning, which is read now.
    let mut encoder = encoder(format.name, reader.sensor())?;
    let part = to.with_added_extension("part");
    let io = |source| Error::Io { path: part.clone(), source };
    let mut write = || {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&part).map_err(io)?);
        let (mut bytes, mut count) = (Vec::new(), 0);
        while more {
            check_sensor(&reader, &chunk, count, from)?;
            encoder.push(&chunk, &mut bytes)?;
            file.write_all(&bytes).map_err(io)?;
            bytes.clear();
            count += chunk.len() as u64;
            more = reader.next(&mut chunk)?;
        }
        encoder.finish(&mut bytes)?;
        file.write_all(&bytes).and_then(|()| file.flush()).map_err(io)?;
        Ok(count)
    };
    let events = write().inspect_err(|_| drop(fs::remove_file(&part)))?;
    fs::rename(&part, to).map_err(|source| Error::Io { path: to.to_path_buf(), source })?;
    let (dropped, overflows, shift_us) = (reader.dropped(), reader.overflows(), reader.shift_us());
    Ok(Conversion { events, dropped, overflows, shift_us, axes: (reader.axes(), format.axes) })
}

/// Refuses an event of the chunk, whose first has the number `index`, outside the reader's sensor.
fn check_sensor(reader: &EventReader, chunk: &Columns, index: u64, file: &Path) -> Result<()> {
    let Some(sensor) = reader.sensor() else { return Ok(()) };
    let Some(at) = chunk.first_outside(sensor) else { return Ok(()) };
    let (file, index) = (file.display().to_string(), index + at as u64);
    Err(Error::StrayEvent { file, index, x: chunk.x()[at], y: chunk.y()[at], sensor })
}

/// The one format that is written into files of this name.
///
/// # Errors
/// [`Error::Setting`] for no or several formats.
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
            Err(Error::setting(what, format!("name one of: {}", names(&written))))
        }
        _ => {
            let what = format!("several formats are written into files named .{extension}");
            Err(Error::setting(what, format!("name one of: {}", names(&formats))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{encode, read};
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
        // Formats of other things than pixels do not hold these events.
        let holds = |f: &&Format| f.write.is_some() && encode(f.name, &events, Some(sensor)).is_ok();
        for a in FORMATS.iter().filter(holds) {
            let from = folder.path().join(format!("a.{}", a.extensions[0]));
            std::fs::write(&from, encode(a.name, &events, Some(sensor)).unwrap()).unwrap();
            for b in FORMATS.iter().filter(holds) {
                let to = folder.path().join(format!("b.{}", b.extensions[0]));
                assert_eq!(
                    convert(&from, &to, Some(b.name), &on(sensor)).unwrap().events,
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
        let error = convert(&from, &to, None, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains("event 0 (t 0, x 300, y 0) does not fit the format nmnist-bin"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let sensor = Sensor { width: 301, height: 1 };
        std::fs::write(&from, encode("dat", &events, Some(sensor)).unwrap()).unwrap();
        let to = folder.path().join("c.dat");
        let error = convert(&from, &to, None, &on(Sensor { width: 300, height: 9 })).unwrap_err().to_string();
        assert!(error.contains("a.dat: event 0 at (300, 0) lies outside the 300x9 sensor"), "{error}");
        let drop = ReadOptions { drop_outside: true, ..on(Sensor { width: 300, height: 9 }) };
        let done = convert(&from, &to, None, &drop).unwrap();
        assert_eq!((done.events, done.dropped), (0, 1));
        let error = by_extension("a.raw".as_ref()).unwrap_err().to_string();
        assert_eq!(error, "several formats are written into files named .raw; name one of: evt2, evt21, evt3");
        assert!(by_extension("a.gif".as_ref()).unwrap_err().to_string().contains("no format is written"));
        assert_eq!(by_extension("x/A.ES".as_ref()).unwrap().name, "es");
    }
}
