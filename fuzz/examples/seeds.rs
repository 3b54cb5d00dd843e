//! Writes the seeds of every target to `corpus/` with the writers of this project.
//!
//! ```text
//! cargo run --release --example seeds
//! ```
//!
//! `hdf5_seeds.py` adds HDF5 files in the layouts of other writers, and SHD, which this project
//! only reads.

use std::error::Error;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use tickless_events::formats::{self, FORMATS, aedat4, ecf};
use tickless_events::{Columns, Event, Sensor};
use tickless_net::interop::checkpoint::torch;
use tickless_net::interop::nir;
use tickless_net::{Array, Conv, InputKind, NetworkBuilder, Neuron, NodeId, Pool, Shape, init};
use zip::write::SimpleFileOptions;

const SENSOR: Sensor = Sensor { width: 128, height: 128 };

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let save = |target: &str, name: &str, bytes: &[u8]| {
        let folder = corpus.join(target.replace('-', "_"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)
    };
    for (name, events) in [("edges", edges()), ("none", Columns::new()), ("gaps", gaps()), ("run", run())] {
        for format in FORMATS.iter().filter(|f| f.write.is_some()) {
            let Ok(bytes) = formats::encode(format.name, &events, Some(SENSOR)) else { continue };
            save(format.name, name, &bytes)?;
            // The target `detect` takes the extension of the file name from the first byte.
            save("detect", &format!("{}-{name}", format.name), &[&[0], &bytes[..]].concat())?;
        }
        for (kind, compression) in [("plain", aedat4::Compression::None), ("zstd", aedat4::Compression::Zstd)] {
            let (mut encoder, mut bytes) = (aedat4::encoder(Some(SENSOR), compression)?, Vec::new());
            encoder.push(&events, &mut bytes)?;
            encoder.finish(&mut bytes)?;
            save("aedat4", &format!("{name}-{kind}"), &bytes)?;
        }
        // The decoder unpacks LZ4 packets two at a time, so this seed has three.
        let bytes = formats::encode("aedat4", &events, Some(SENSOR))?;
        let header = 18 + bytes[14..].first_chunk().map_or(0, |&size| u32::from_le_bytes(size) as usize);
        save("aedat4", &format!("{name}-three"), &[&bytes[..], &bytes[header..], &bytes[header..]].concat())?;
        let mut chunk = Vec::new();
        if ecf::encode(&events.to_vec(), &mut chunk).is_ok() {
            save("ecf", name, &chunk)?;
        }
    }
    save("npy", "plain", &npy("<f8", "(3, 4)", &[1.0f64, 2.0, 1.0, 5.5].map(f64::to_le_bytes).concat().repeat(3)))?;
    let column = |kind: &str, bytes: &[u8]| npy(kind, "(2,)", bytes);
    let columns = [("x", "<u2", 2usize), ("y", "<u2", 2), ("t", "<i8", 8), ("p", "|b1", 1)];
    let columns: Vec<_> = columns.iter().map(|(n, kind, size)| (format!("{n}.npy"), column(kind, &vec![1; 2 * size]))).collect();
    save("npz", "columns", &zipped(&columns)?)?;
    let table = formats::encode("npy", &edges(), None)?;
    save("npz", "table", &zipped(&[("arr_0.npy".into(), table)])?)?;
    let old = [&b"#!AER-DAT1.0\r\n# AEChip: DVS128\r\n"[..], &[0x05, 0x03, 0, 0, 0, 7].repeat(9)].concat();
    save("aedat1", "small", &old)?;
    save("idx", "images", &[&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2][..], &[7; 12]].concat())?;
    save("idx", "labels", &[0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3])?;
    save("cifar", "cifar10", &[3; 3073])?;
    save("cifar", "cifar100", &[3; 3074])?;
    let recording = formats::encode("nmnist-bin", &edges(), None)?;
    let member = |name: &str| (name.to_owned(), recording.clone());
    save("nmnist_zip", "set", &zipped(&[member("Train/1/00001.bin"), member("Test/2/00001.bin")])?)?;
    let inner = zipped(&[member("0/1.bin")])?;
    save("unpack", "zip", &[&[0], &zipped(&[("set/0.zip".into(), inner), member("set/2/1.bin")])?[..]].concat())?;
    save("unpack", "tar", &[&[1], &tarred("set/1.bin", &recording)?[..]].concat())?;
    for (name, file, pickle) in checkpoints()? {
        save("checkpoint", name, &file)?;
        save("pickle", name, &pickle)?;
    }
    for (name, graph) in graphs()? {
        save("nir", name, &graph)?;
    }
    Ok(())
}

/// Groups of neighbouring events with equal times, as a moving edge causes them.
fn edges() -> Columns {
    (0..40u16)
        .map(|i| Event { t_us: 300 * u64::from(i / 9), x: 3 * i % 100, y: i / 9, on: i.is_multiple_of(2) })
        .collect()
}

/// Events 17 s apart, which overflow the clocks of some formats.
fn gaps() -> Columns {
    (0..6u16).map(|i| Event { t_us: 17_000_000 * u64::from(i), x: i, y: 1, on: true }).collect()
}

/// 40 events with the same time in one row.
fn run() -> Columns {
    (0..40u16).map(|i| Event { t_us: 5000, x: 40 + i + i / 5, y: 9, on: true }).collect()
}

fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat((118 - header.len() - 1).min(100)));
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

fn zipped(members: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(name.as_str(), SimpleFileOptions::default())?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn tarred(name: &str, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes)?;
    Ok(tar.into_inner()?.finish()?)
}

/// Two NIR graphs: a network with a convolution and a pool, and one with a single linear layer.
fn graphs() -> Result<Vec<(&'static str, Vec<u8>)>, Box<dyn Error>> {
    let mut chain = NetworkBuilder::new("chain", Shape::new(1, 4, 4), InputKind::Events);
    let at = chain.conv(NodeId::Input, Conv::c3(2).with_stride(2));
    let at = chain.neuron(at, Neuron::if_multi());
    let at = chain.pool(at, Pool::sum(2));
    let at = chain.linear(at, 2, true);
    chain.neuron(at, Neuron::if_multi());
    let mut line = NetworkBuilder::new("line", Shape::new(1, 2, 2), InputKind::Events);
    let at = line.linear(NodeId::Input, 2, false);
    line.neuron(at, Neuron::if_multi());
    let mut graphs = Vec::new();
    for (name, builder) in [("chain", chain), ("line", line)] {
        let network = builder.build()?;
        let weights = init::initialise(&network, init::InitScheme::KaimingNormalFanOut, 1);
        let exported = nir::export(&network, &weights, &nir::ExportOptions::default())?;
        graphs.push((name, nir::to_bytes(&exported.graph, Path::new(name))?));
    }
    Ok(graphs)
}

/// PyTorch files of two state dicts, and their pickles.
fn checkpoints() -> Result<Vec<(&'static str, Vec<u8>, Vec<u8>)>, Box<dyn Error>> {
    let (weight, scalar) = (Array::full(&[2, 2, 2, 2], 0.5), Array::full(&[], 1.0));
    let one = vec![("conv1.weight".to_owned(), &weight)];
    let two = vec![("0.weight".to_owned(), &weight), ("1.beta".to_owned(), &scalar)];
    let mut all = Vec::new();
    for (name, tensors) in [("one", one), ("two", two)] {
        let file = torch::to_bytes(&tensors)?;
        let mut pickle = Vec::new();
        zip::ZipArchive::new(Cursor::new(&file))?.by_name("archive/data.pkl")?.read_to_end(&mut pickle)?;
        all.push((name, file, pickle));
    }
    Ok(all)
}
