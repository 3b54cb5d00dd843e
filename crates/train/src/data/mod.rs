//! Turns a data set into batches: divides the samples into training, validation and test parts, and
//! turns a batch of samples into a sequence `[T, B, C, H, W]`.

mod batch;
mod cache;
mod prefetch;
mod split;

pub use batch::{Batch, BatchRequest};
pub use cache::Kept;
pub use prefetch::{prefetch, prefetch_each};
pub use split::{Parts, SampleId};

use crate::error::{Error, Result};
use crate::progress::{Progress, Silent};
use cache::Cache;
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tickless_events::augment::Normalise;
use tickless_events::datasets::Setting;
use tickless_events::datasets::own_file::{self, OtherSize};
use tickless_events::formats::{EventStream, ReadOptions};
use tickless_events::{DataRequest, Dataset, Recording, Sample, SampleKind, Sensor, Split, datasets};
use tickless_net::recipe::{Augment, DataRecipe};
use tickless_net::{InputKind, Shape};
use tickless_words::UnknownWord;

/// An open data set, scaled, augmented and normalised as a recipe says.
pub struct Source {
    dataset: Box<dyn Dataset>,
    size: Option<Sensor>,
    augment: Augment,
    normalise: Normalise,
    cache: Cache,
    /// Number of samples given of the training and of the test part of the official split.
    given: [AtomicUsize; 2],
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("dataset", &self.dataset.name())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The input of a network for samples of this kind, if recordings are scaled to `size`. A frame has
/// one channel for each polarity, or one where events have no polarity.
fn input_of(set: &str, kind: SampleKind, size: Option<Sensor>) -> (Shape, InputKind) {
    match kind {
        SampleKind::Events(sensor) => {
            let (channels, s) = (if set == "shd" { 1 } else { 2 }, size.unwrap_or(sensor));
            (Shape::new(channels, s.height.into(), s.width.into()), InputKind::Events)
        }
        SampleKind::Image { channels, height, width } => (Shape::new(channels, height, width), InputKind::Image),
    }
}

/// Shape `[C, H, W]` and kind of the input, and number of classes, of a published data set whose
/// files need not be here; `None` if they depend on the files.
pub fn published_input(recipe: &DataRecipe) -> Option<(Shape, InputKind, usize)> {
    let info = datasets::list().iter().find(|d| d.name == recipe.set)?;
    let samples = info.samples?;
    let (mut shape, kind) = input_of(info.name, samples.kind, None);
    // `size` scales recordings or crops photographs.
    let sensor = recipe.sensor.filter(|_| info.settings.contains(&Setting::Sensor));
    if let Some([width, height]) = recipe.size.or(sensor) {
        (shape.height, shape.width) = (height.into(), width.into());
    }
    Some((shape, kind, samples.classes))
}

impl Source {
    /// Opens the data set of a recipe; if `[data]` has no seed of its own, `seed` is used.
    ///
    /// # Errors
    /// If the data set is unknown or its files are missing or damaged.
    pub fn open(recipe: &DataRecipe, seed: u64) -> Result<Self> {
        Self::open_with(recipe, seed, &Silent)
    }

    /// As [`open`](Self::open); `progress` shows the making of a cache (`data.cache`) and can
    /// cancel it.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the user stops.
    pub fn open_with(recipe: &DataRecipe, seed: u64, progress: &dyn Progress) -> Result<Self> {
        let mut request = DataRequest::new(recipe.set.clone(), recipe.path.as_deref());
        request.seed = recipe.seed.unwrap_or(seed);
        request.sensor = recipe.sensor.map(|[width, height]| Sensor { width, height });
        request.time_unit = recipe.time_unit.as_deref().map(str::parse).transpose()?;
        request.literal_times = recipe.literal_times;
        request.stream = recipe.stream;
        request.drop_outside = recipe.drop_outside;
        request.test_share = recipe.test_share;
        request.train_first = recipe.train_first;
        request.cache = recipe.cache.clone();
        let size = recipe.size.map(|[width, height]| Sensor { width, height });
        // If the data set can crop photographs, `size` is the crop; otherwise recordings are
        // scaled.
        let crops = |d: &datasets::DatasetInfo| d.name == recipe.set && d.settings.contains(&Setting::Crop);
        let (crop, size) = if datasets::list().iter().any(crops) { (size, None) } else { (None, size) };
        request.crop = crop;
        let dataset = datasets::open_with(&request, progress).map_err(|e| match e {
            tickless_events::Error::UnknownDataset { name, .. } => {
                let known: Vec<_> = datasets::list().iter().map(|d| d.name).collect();
                Error::Word(UnknownWord::new("data set", &name, known))
            }
            other => other.into(),
        })?;
        if size.is_some() && matches!(dataset.kind(), SampleKind::Image { .. }) {
            return Err(Error::Recipe {
                key: "data.size",
                problem: "scales recordings, and this data set holds images: remove it".into(),
            });
        }
        let lengths = [split::TRAIN, split::TEST].map(|s| dataset.len(s));
        let cache = Cache::new(lengths, dataset.mapped_bytes());
        let normalise = match (dataset.name(), dataset.kind()) {
            ("cifar10", _) => Normalise::cifar10(),
            ("cifar100", _) => Normalise::cifar100(),
            ("imagenet", _) => Normalise::imagenet(),
            (_, SampleKind::Image { channels, .. }) => Normalise::unit(channels),
            (_, SampleKind::Events(_)) => Normalise::unit(2),
        };
        Ok(Self { dataset, size, augment: recipe.augment, normalise, cache, given: Default::default() })
    }

    /// Changes how augmented batches are augmented, and returns how they were.
    pub fn replace_augment(&mut self, augment: Augment) -> Augment {
        std::mem::replace(&mut self.augment, augment)
    }

    /// The data set.
    pub fn dataset(&self) -> &dyn Dataset {
        self.dataset.as_ref()
    }

    /// Shape `[C, H, W]` and kind of the network's input.
    pub fn input(&self) -> (Shape, InputKind) {
        input_of(self.dataset.name(), self.dataset.kind(), self.size)
    }

    /// The size to which recordings are scaled, if the recipe gives one.
    pub fn size(&self) -> Option<Sensor> {
        self.size
    }

    /// The label of a sample.
    pub fn label(&self, id: SampleId) -> usize {
        self.dataset.label(id.split, id.index)
    }

    /// A recording, from memory or decoded, scaled to the recipe's size.
    ///
    /// # Errors
    /// If it cannot be decoded or the data set holds images.
    pub fn recording(&self, id: SampleId) -> Result<Arc<Recording>> {
        self.note(id);
        self.cache.get(id, || match self.dataset.sample(id.split, id.index)? {
            Sample::Events(r) => Ok(match self.size {
                Some(size) => r.scaled(size)?,
                None => r,
            }),
            Sample::Image(_) => Err(Error::Images { set: self.dataset.name().to_owned() }),
        })
    }

    /// Reads a file that need not belong to the data set as one of its samples, scaled to the
    /// recipe's size.
    ///
    /// # Errors
    /// As [`own_file::of_file`].
    pub fn own(&self, path: &Path, options: &ReadOptions, other: OtherSize) -> Result<Sample> {
        self.to_size(own_file::of_file(self.dataset(), path, options, other)?)
    }

    /// As [`own`](Self::own), for the events of a file or stream with the name `name`.
    ///
    /// # Errors
    /// As [`own_file::of_stream`].
    pub fn own_stream(&self, stream: EventStream, name: &str, other: OtherSize) -> Result<Sample> {
        self.to_size(own_file::of_stream(self.dataset(), stream, name, other)?)
    }

    fn to_size(&self, sample: Sample) -> Result<Sample> {
        Ok(match (sample, self.size) {
            (Sample::Events(r), Some(size)) => Sample::Events(r.scaled(size)?),
            (sample, _) => sample,
        })
    }

    /// The options with which the recipe of this data set reads its files.
    pub fn read_options(recipe: &DataRecipe) -> Result<ReadOptions> {
        let mut options = ReadOptions::default();
        options.sensor = recipe.sensor.map(|[width, height]| Sensor { width, height });
        options.time_unit = recipe.time_unit.as_deref().map(str::parse).transpose()?;
        options.literal_times = recipe.literal_times;
        options.stream = recipe.stream;
        options.drop_outside = recipe.drop_outside;
        // The recipe's files may be of several formats, and so may the user's.
        options.where_supported = true;
        Ok(options)
    }

    /// Number of samples that this source has given of a part of the official split, each time it
    /// was asked. A test of a choice that must not see the test part reads it.
    pub fn given(&self, split: Split) -> usize {
        self.given[usize::from(split == Split::Test)].load(Ordering::Relaxed)
    }

    /// Counts a sample that is given.
    fn note(&self, id: SampleId) {
        self.given[usize::from(id.split == Split::Test)].fetch_add(1, Ordering::Relaxed);
    }

    /// Memory that decoded recordings take, and their budget.
    pub fn kept(&self) -> Kept {
        self.cache.kept()
    }

    /// Mean span of these recordings in µs (from which the duration of a step follows) and their
    /// mean number of events.
    ///
    /// # Errors
    /// If a recording cannot be decoded, or the user stops.
    pub fn mean_span_us(&self, ids: &[SampleId], progress: &dyn Progress) -> Result<(f64, f64)> {
        progress.start("prepare", ids.len() as u64, "recording");
        let span_and_events = |&id: &SampleId| {
            if progress.cancelled() {
                return Err(Error::Cancelled { task: "the preparation of the recordings" });
            }
            let r = self.recording(id)?;
            progress.advance(1, "");
            Ok((r.span_us() as f64, r.len() as f64))
        };
        let spans: Vec<(f64, f64)> = ids.par_iter().map(span_and_events).collect::<Result<_>>()?;
        progress.finish();
        // Summed in the order of `ids`, so the mean does not depend on the number of threads.
        let (span, events) = spans.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let n = spans.len().max(1) as f64;
        Ok((span / n, events / n))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use tickless_events::formats::TimeUnit;
    use tickless_net::recipe::Recipe;

    /// The list of a recipe stands in a crate that cannot see the one of the readers.
    #[test]
    fn a_recipe_may_state_each_unit_of_time_that_the_readers_know_and_no_other() {
        let stated = |unit: &str| {
            let text = format!("[data]\nset = \"folder\"\ntime_unit = \"{unit}\"\n[network]\nname = \"demo\"\n");
            Recipe::parse(&text, Path::new("r.toml"), &[])
        };
        let known: Vec<&str> = TimeUnit::WORDS.iter().map(|(word, _)| *word).collect();
        for unit in &known {
            assert!(stated(unit).is_ok(), "{unit}");
        }
        let refused = stated("min").unwrap_err().to_string();
        assert!(refused.contains("\"min\"") && refused.ends_with(&known.join(", ")), "{refused}");
    }
}
