//! Truncates a small `.nir` file at every byte and changes every byte: the reader must return a
//! graph or an error that names the file, without panic or hang.
#![cfg(feature = "nir")]

use std::path::Path;
use std::time::Instant;

use tickless_net::interop::nir::{self, ExportOptions, ImportOptions};
use tickless_net::{InputKind, Layer, NetworkBuilder, Neuron, NodeId, Shape, init};

const FILE: &str = "net.nir";

/// The bytes of a file with an `IF` between two small linear layers.
fn small() -> Vec<u8> {
    let mut b = NetworkBuilder::new("small", Shape::new(1, 2, 2), InputKind::Events);
    let linear = b.linear(NodeId::Input, 3, false);
    let neuron = b.add("", Layer::Neuron(Neuron::if_multi()), &[linear]);
    b.linear(neuron, 2, false);
    let network = b.build().unwrap();
    let weights = init::initialise(&network, init::InitScheme::default_for(&network), 1);
    let graph = nir::export(&network, &weights, &ExportOptions::default()).unwrap().graph;
    nir::to_bytes(&graph, Path::new(FILE)).unwrap()
}

/// Reads and imports `bytes` and returns whether they are a graph; checks that an error names the
/// file.
fn reads(bytes: &[u8]) -> bool {
    let (start, file) = (Instant::now(), Path::new(FILE));
    let graph = nir::from_bytes(bytes, file);
    let ok = graph.is_ok();
    if let Err(e) = graph.and_then(|graph| nir::import(&graph, file, &ImportOptions::default())) {
        assert!(e.to_string().starts_with(FILE), "{e}");
    }
    assert!(start.elapsed() < tickless_testing::hang::HUNG_AFTER, "took {:?}", start.elapsed());
    ok
}

#[test]
fn a_graph_cut_at_any_byte_is_an_error() {
    let bytes = small();
    assert!(reads(&bytes));
    for cut in 0..bytes.len() {
        assert!(!reads(&bytes[..cut]), "cut to {cut} of {} bytes", bytes.len());
    }
}

#[test]
fn a_graph_changed_in_any_byte_is_an_error_or_a_graph() {
    let mut bytes = small();
    let mut refused = 0;
    for at in 0..bytes.len() {
        let was = bytes[at];
        // Skip most bytes of long runs of zeros, because they are padding.
        if at >= 64 && at % 97 != 0 && bytes[at - 16..=at].iter().all(|&b| b == 0) {
            continue;
        }
        let patterns: Vec<u8> = if at < 64 { (1..=255).collect() } else { vec![0x01, 0x80, 0xFF] };
        for bits in patterns {
            bytes[at] = was ^ bits;
            refused += usize::from(!reads(&bytes));
        }
        bytes[at] = was;
    }
    // The reader must at least refuse every change of the signature.
    assert!(refused >= 8 * 255, "{refused}");
}
