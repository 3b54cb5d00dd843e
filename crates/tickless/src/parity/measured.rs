//! Counts from elsewhere with the recordings that they were measured on.

use super::{chosen, counts_file, shapes};
use crate::Result;
use std::path::Path;
use tickless_train::data::SampleId;
use tickless_train::run::Loaded;

/// The counts of a file: of each recording, all neurons of the layers that the file has.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// The recordings.
    pub ids: Vec<SampleId>,
    /// Their files, or their numbers if the data set has no files.
    pub names: Vec<String>,
    /// Numbers of the spiking layers that the file has.
    pub layers: Vec<usize>,
    /// `[recording][neuron]`, the layers one after the other.
    pub counts: Vec<Vec<u32>>,
}

impl Measured {
    /// Reads the counts of a file that names recordings among `ids`.
    ///
    /// # Errors
    /// If the file is invalid or names other recordings.
    pub fn read(run: &Loaded, ids: &[SampleId], file: &Path) -> Result<Self> {
        let counts = counts_file::read(file, &run.network, &shapes(&run.network))?;
        let name = |&id: &SampleId| run.source.dataset().file(id.split, id.index);
        let (ids, places) = chosen(ids, Some(&counts), Some(file), &name)?;
        let executed = counts.executed(&run.network);
        let layers: Vec<usize> = (0..executed.absent.len()).filter(|l| !executed.is_absent(*l)).collect();
        let of = |r: &Vec<Vec<u32>>| layers.iter().flat_map(|&l| r[l].iter().copied()).collect();
        let ids: Vec<SampleId> = places.iter().map(|&p| ids[p]).collect();
        let names = ids.iter().enumerate().map(|(k, id)| name(id).unwrap_or_else(|| k.to_string())).collect();
        Ok(Self { ids, names, layers: layers.clone(), counts: executed.counts.iter().map(of).collect() })
    }
}
