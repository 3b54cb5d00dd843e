//! NIR, the Neuromorphic Intermediate Representation: graphs of neurons and linear maps that
//! sinabs, snnTorch, SpikingJelly and Norse exchange as `.nir` files (HDF5).
//!
//! A graph is a set of named nodes and directed edges; a node reads the sum of its incoming edges.
//! NIR defines neurons by differential equations. It does not define how time is discretised, how
//! many spikes a step may emit, what a spike subtracts or where the membrane is clipped. Every
//! framework chooses its own answers ([`Reader`]), so each runs the same file as a different
//! network. [`export`] therefore writes for one reader and lists how each reader will differ from
//! the network. It also stores the complete description in the graph's metadata, from which
//! [`import`] restores the same network exactly. [`import`] reads a graph of another framework by
//! that framework's conventions ([`Dialect`]).
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
//! [`data`] reads and writes what the nodes of a graph did: spikes and potentials.
//!
//! Source: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications 2024,
//! and the package `nir` 1.0.8, which defines the file format; golden `*.nir` and `nir_io`.

mod build;
pub mod data;
mod decode;
mod dense;
mod deviation;
mod dialect;
mod difference;
mod fold;
mod from_network;
mod graph;
mod loops;
mod metadata;
mod naming;
mod read;
mod reader;
mod to_network;
mod to_network_neuron;
mod topology;
mod weighted;
mod write;

pub use deviation::Deviation;
pub use dialect::{Dialect, Writer, written_by};
pub use difference::Difference;
pub use from_network::{ExportOptions, Exported, export};
pub use graph::{Conv1d, Conv2d, Graph, Node, Padding, Tensor, Window};
pub use read::from_bytes;
pub use reader::Reader;
pub use to_network::{ImportOptions, Imported, import};
pub use write::to_bytes;

use crate::error::{Error, Result};
use std::path::Path;

/// Reads a `.nir` file.
///
/// # Errors
/// If the file cannot be read, is not HDF5 or not a NIR graph; the message names the file and the
/// node.
pub fn read(file: &Path) -> Result<Graph> {
    from_bytes(&std::fs::read(file).map_err(|e| Error::io(file, e))?, file)
}

/// Writes a `.nir` file atomically: on failure, an existing file stays as it was.
///
/// # Errors
/// If the graph contains a node that cannot be written, or if the file cannot be written.
pub fn write(graph: &Graph, file: &Path) -> Result<()> {
    tickless_files::write_following(file, &to_bytes(graph, file)?).map_err(|e| Error::io(file, e))
}
