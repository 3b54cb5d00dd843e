//! Reports: one self-contained page, its pictures as files, and tables for the terminal.
//!
//! [`ReportData`] is the only input: plain values that serialise to JSON. [`write`] creates a
//! folder with `report.html`, which loads nothing from elsewhere, and `pictures/`, each picture as
//! SVG and as PNG on white. [`text`] formats the same tables for the terminal. This module does not
//! know how the values were measured.
//!
//! ```text
//! data.rs ──┬─ table.rs ──┬─ text.rs           the terminal
//!           │             └─ page/             the HTML page
//!           └─ picture/   one file per chart → shapes → SVG, PNG
//! ```
//!
//! [`ReportData`]: crate::report::ReportData
//! [`write`]: fn@crate::report::write
//! [`text`]: crate::report::text

mod data;
mod error;
mod escape;
#[cfg(test)]
mod fixture;
mod format;
mod page;
mod picture;
mod table;
pub mod text;

use std::path::{Path, PathBuf};
use tickless::simulate::asynchronous::SweepRow;

pub use data::{
    ChannelSample, Chosen, Course, Dataset, EpochPoint, EventDriven, InputSample, LayerRates, MeanPoint, Membrane,
    MixedPoint, Network, Origin, Raster, RasterLayer, ReportData, StrategyResult,
};
pub use error::ReportError;
pub(crate) use format::{MISSING, span, time_unit, with_error};
pub use page::page;
pub use picture::chip::ChipPicture;
pub use picture::early_exit::{ExitLine, ExitPoint};
pub use picture::no_clock::{NoClockLine, NoClockPoint};
pub use picture::robustness::{RobustnessLine, RobustnessPoint};

/// Draws the graph of a network as SVG.
///
/// # Errors
/// [`ReportError::Draw`] if it cannot be drawn.
pub fn graph_svg(network: &tickless_net::summary::Summary) -> Result<String, ReportError> {
    picture::svg(&picture::graph::picture(network), picture::Use::File)
}

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// The pictures, each as `.svg` and `.png`; `accuracy` is the main one.
    pub pictures: Vec<PathBuf>,
}

/// Writes the page and its pictures to a folder, which is created if necessary. Existing files of
/// the same names are replaced.
///
/// # Errors
/// [`ReportError::Folder`] or [`ReportError::Write`] if the system refuses; [`ReportError::Draw`]
/// if a picture cannot be drawn.
pub fn write(data: &ReportData, folder: &Path) -> Result<Written, ReportError> {
    let pictures_folder = folder.join("pictures");
    std::fs::create_dir_all(&pictures_folder)
        .map_err(|source| ReportError::Folder { path: pictures_folder.clone(), source })?;
    let mut pictures = Vec::new();
    for picture in picture::pictures(data, picture::Format::Wide) {
        pictures.extend(draw(&picture, &pictures_folder)?);
    }
    let written = folder.join("report.html");
    put(&written, page(data).as_bytes())?;
    Ok(Written { page: written, pictures })
}

/// Draws the table of `tickless asynchrony` into a folder, as `asynchrony.svg` and
/// `asynchrony.png`. Draws nothing if the table is empty.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_sweep(network: &str, rows: &[SweepRow], folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    match picture::asynchrony::picture(network, rows) {
        Some(picture) => Ok(draw(&picture, folder)?.into()),
        None => Ok(Vec::new()),
    }
}

/// Draws the results of `tickless study no-clock` into a folder, as `no-clock.svg` and
/// `no-clock.png`. Draws nothing if there are none.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_no_clock(lines: &[NoClockLine], t_max: usize, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    match picture::no_clock::picture(lines, t_max) {
        Some(picture) => Ok(draw(&picture, folder)?.into()),
        None => Ok(Vec::new()),
    }
}

/// Draws the result of `tickless study chip` into a folder, as `chip.svg` and `chip.png`. Draws
/// nothing if there are no recordings.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_chip(data: &ChipPicture, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    match picture::chip::picture(data) {
        Some(picture) => Ok(draw(&picture, folder)?.into()),
        None => Ok(Vec::new()),
    }
}

/// Draws a sweep of early exits into a folder, as `early-exit.svg` and `early-exit.png`. `whole` is
/// the run without an exit, and `time` names the quantity of [`ExitPoint::time`].
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_early_exit(
    lines: &[ExitLine],
    whole: ExitPoint,
    time: &str,
    folder: &Path,
) -> Result<Vec<PathBuf>, ReportError> {
    match picture::early_exit::picture(lines, whole, time) {
        Some(picture) => Ok(draw(&picture, folder)?.into()),
        None => Ok(Vec::new()),
    }
}

/// Draws the results of `tickless study robustness` into a folder, as `robustness.svg` and
/// `robustness.png`. Draws nothing if there are none.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_robustness(lines: &[RobustnessLine], folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    match picture::robustness::picture(lines) {
        Some(picture) => Ok(draw(&picture, folder)?.into()),
        None => Ok(Vec::new()),
    }
}

/// Draws one recording into a folder as `NAME.png` and returns the file.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_recording(sample: &InputSample, name: &str, folder: &Path) -> Result<PathBuf, ReportError> {
    let path = folder.join(format!("{name}.png"));
    let data = ReportData { sample: Some(sample.clone()), ..ReportData::default() };
    if let Some(picture) = picture::sample::picture(&data, picture::Format::Wide) {
        put(&path, &picture::png(&picture)?)?;
    }
    Ok(path)
}

/// Draws a raster for each sample of `channels` channels into a folder as `NAME.png`, and returns
/// the file.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_samples(
    samples: &[ChannelSample],
    channels: u32,
    name: &str,
    folder: &Path,
) -> Result<PathBuf, ReportError> {
    let path = folder.join(format!("{name}.png"));
    if let Some(picture) = picture::samples::picture(samples, channels, name) {
        put(&path, &picture::png(&picture)?)?;
    }
    Ok(path)
}

/// The colours (red, green, blue) of an on event and of an off event.
pub fn event_colours() -> [[u8; 3]; 2] {
    [picture::Ink::ON.light(), picture::Ink::OFF.light()]
}

/// Writes one picture as SVG and as PNG.
fn draw(picture: &picture::Picture, folder: &Path) -> Result<[PathBuf; 2], ReportError> {
    let svg = folder.join(format!("{}.svg", picture.name));
    put(&svg, picture::svg(picture, picture::Use::File)?.as_bytes())?;
    let png = folder.join(format!("{}.png", picture.name));
    put(&png, &picture::png(picture)?)?;
    Ok([svg, png])
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    tickless_files::write(path, bytes).map_err(|source| ReportError::Write { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_page_and_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/report");
        let written = write(&fixture::full(), &target).unwrap();
        assert_eq!(written.pictures.len(), 18);
        for file in written.pictures.iter().chain([&written.page]) {
            assert!(std::fs::metadata(file).unwrap().len() > 1_000, "{}", file.display());
        }
    }

    #[test]
    fn a_refused_folder_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = write(&fixture::full(), file.path()).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()) && error.contains("choose a folder"), "{error}");
    }

    #[test]
    fn hostile_values_write_too() {
        let folder = tempfile::tempdir().unwrap();
        write(&fixture::hostile(), folder.path()).unwrap();
        write(&ReportData::default(), folder.path()).unwrap();
    }
}
