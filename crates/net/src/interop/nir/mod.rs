//! NIR, the Neuromorphic Intermediate Representation: graphs of neurons and linear maps that
//! sinabs, snnTorch, SpikingJelly and Norse exchange as `.nir` files (HDF5).
//!
//! A graph is a set of named nodes and directed edges; several edges into one node are summed.
//! Neurons are differential equations, so a graph says neither how time is cut into steps nor how
//! many spikes a step may emit, what a spike subtracts or where the membrane is clipped. Every
//! framework fills these gaps in its own way ([`Reader`]): the same file is a different network in
//! each. [`export`] therefore writes for one reader and lists what each of them will do
//! differently, and keeps the whole description in the graph's metadata, from which [`import`]
//! gives the same network back exactly. A graph of another framework is imported in its dialect.
//!
//! ```no_run
//! use std::path::Path;
//! use tickless_net::interop::nir;
//! # fn f(network: &tickless_net::Network, weights: &tickless_net::Weights) -> tickless_net::Result<()> {
//! let exported = nir::export(network, weights, &nir::ExportOptions::default())?;
//! exported.differences.iter().for_each(|d| println!("{d}"));
//! nir::write(&exported.graph, Path::new("net.nir"))?;
//!
//! let graph = nir::read(Path::new("net.nir"))?;
//! let back = nir::import(&graph, Path::new("net.nir"), &nir::ImportOptions::default())?;
//! assert_eq!(&back.network, network);
//! # Ok(()) }
//! ```
//!
//! Source: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications
//! 2024, and the package `nir` 1.0.8, whose files these are; golden `*.nir` and `nir_io`.

mod decode;
mod dialect;
mod difference;
mod fold;
mod from_network;
mod graph;
mod metadata;
mod naming;
mod read;
mod reader;
mod to_network;
mod to_network_neuron;
mod topology;
mod write;

pub use dialect::{Dialect, Writer, written_by};
pub use difference::Difference;
pub use from_network::{ExportOptions, Exported, export};
pub use graph::{Conv2d, Graph, Node, Padding, Tensor, Window};
pub use read::from_bytes;
pub use reader::Reader;
pub use to_network::{ImportOptions, Imported, import};
pub use write::to_bytes;

use crate::error::{Error, Result};
use std::path::Path;

/// Reads a `.nir` file.
///
/// # Errors
/// If the file cannot be read, is not HDF5 or not a NIR graph; names the file and the node.
pub fn read(file: &Path) -> Result<Graph> {
    from_bytes(&std::fs::read(file).map_err(|e| Error::io(file, e))?, file)
}

/// Writes a `.nir` file, whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn write(graph: &Graph, file: &Path) -> Result<()> {
    tickless_files::write_following(file, &to_bytes(graph, file)?).map_err(|e| Error::io(file, e))
}
