//! Draws samples of channels (SHD) as one raster per sample. Such a file is not a recording of one
//! camera and its channels are not an image, so slices and an animation would show nothing.

use super::{Options, View, folder};
use crate::progress::stop;
use crate::report::{ChannelSample, write_samples};
use anyhow::{Result, bail, ensure};
use std::path::Path;
use tickless_events::formats::shd::{self, Shd};
use tickless_events::{Columns, source};
use tickless_train::progress::Progress;

/// Most rasters in a picture.
const DRAWN: usize = 12;

/// Draws the first samples of a file, or the one that the options choose.
pub fn view(file: &Path, options: &Options, progress: &dyn Progress) -> Result<View> {
    let (name, bytes) = (file.display().to_string(), source::bytes(file)?);
    let shd = Shd::open(&bytes, &name)?;
    let drawn = match options.read.stream.map(usize::try_from) {
        None => 0..shd.len().min(DRAWN),
        Some(Ok(sample)) if sample < shd.len() => sample..sample + 1,
        Some(_) => bail!("{name}: it has {} samples; give `--stream` a number below that", shd.len()),
    };
    let (mut samples, mut events, mut span_us) = (Vec::new(), 0, 0);
    for sample in drawn.clone() {
        stop(progress)?;
        let mut spikes = Columns::new();
        shd.sample(&bytes, sample, &mut spikes)?;
        events += spikes.len() as u64;
        span_us = spikes.t_us().iter().fold(span_us, |m, t| m.max(*t));
        let spikes = spikes.iter().map(|e| (e.t_us, u32::from(e.x))).collect();
        samples.push(ChannelSample { label: format!("sample {sample}, class {}", shd.labels()[sample]), spikes });
    }
    ensure!(events > 0, "{name}: no spikes to draw in {} samples", samples.len());
    let stem = folder(file, options)?;
    let picture = write_samples(&samples, shd::SENSOR.width.into(), &stem, &options.output)?;
    Ok(View {
        format: shd::FORMAT.name.to_owned(),
        sensor: [shd::SENSOR.width, shd::SENSOR.height],
        outside: None,
        events,
        span_us,
        picture,
        animation: None,
        frames: 0,
        reduced: 1,
        samples: Some([samples.len(), shd.len()]),
    })
}
