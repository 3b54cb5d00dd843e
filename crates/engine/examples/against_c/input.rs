//! Loads recordings and trained weights from the reference data.

use crate::Anything;
use std::io::Read;
use std::path::Path;
use tickless_engine::{Event, Recording};
use tickless_events::Sensor;
use tickless_net::{Array, Conv, InputKind, Network, NetworkBuilder, Neuron, Pool, Shape, Weights};

/// The members of an archive whose names have this ending, sorted by name.
fn members(archive: &Path, ending: &str, every: usize, count: usize) -> Anything<Vec<Vec<u8>>> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive)?)?;
    let mut names = zip.file_names().map(|n| n.map(|n| n.into_owned())).collect::<Result<Vec<String>, _>>()?;
    names.retain(|n| n.ends_with(ending));
    names.sort();
    let mut all = Vec::new();
    for name in names.iter().step_by(every).take(count) {
        let mut bytes = Vec::new();
        zip.by_name(name)?.read_to_end(&mut bytes)?;
        all.push(bytes);
    }
    Ok(all)
}

/// The first hundred recordings of an N-MNIST archive, whose events have 5 bytes each.
pub fn nmnist(archive: &Path) -> Anything<Vec<Recording>> {
    let event = |b: &[u8]| Event {
        t_us: u64::from(b[2] & 0x7f) << 16 | u64::from(b[3]) << 8 | u64::from(b[4]),
        x: b[0].into(),
        y: b[1].into(),
        on: b[2] >> 7 == 1,
    };
    let recording = |bytes: Vec<u8>| {
        let events: Vec<Event> = bytes.chunks_exact(5).map(event).collect();
        Ok(Recording::from_events(Sensor::NMNIST, &events)?.0)
    };
    members(archive, ".bin", 1, 100)?.into_iter().map(recording).collect()
}

/// The first events of ten MNIST-DVS recordings, one per digit; an event is a line `x y t p`.
pub fn mnist_dvs(archive: &Path, events: usize) -> Anything<Vec<Recording>> {
    let event = |line: &str| -> Anything<Event> {
        let n = line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let [x, y, t_us, p] = n[..] else { return Err(format!("`{line}` is not `x y t p`").into()) };
        Ok(Event { t_us, x: x as u16, y: y as u16, on: p == 1 })
    };
    let recording = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes)?;
        let events = text.lines().take(events).map(event).collect::<Anything<Vec<Event>>>()?;
        Ok(Recording::from_events(Sensor { width: 128, height: 128 }, &events)?.0)
    };
    members(archive, ".txt", 10, 10)?.into_iter().map(recording).collect()
}

/// The trained network of the golden file `async_nmnist.safetensors`.
pub fn async_nmnist(file: &Path) -> Anything<(Network, Weights)> {
    let bytes = std::fs::read(file)?;
    let tensors = safetensors::SafeTensors::deserialize(&bytes)?;
    let mut weights = Weights::default();
    let mut shapes = Vec::new();
    for (tensor, layer) in [("w0", "conv1"), ("w3", "conv2"), ("w6", "linear1")] {
        let view = tensors.tensor(tensor)?;
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        shapes.push(view.shape().to_vec());
        weights.insert(format!("{layer}.weight"), Array::new(view.shape().to_vec(), values));
    }
    let mut b = NetworkBuilder::new("async_nmnist", Shape::new(2, 34, 34), InputKind::Events);
    let conv = b.conv(b.input(), Conv::c3(shapes[0][0]).with_stride(2));
    let spikes = b.neuron(conv, Neuron::if_multi());
    let pool = b.pool(spikes, Pool::sum(2));
    let conv = b.conv(pool, Conv::c3(shapes[1][0]));
    let spikes = b.neuron(conv, Neuron::if_multi());
    let pool = b.pool(spikes, Pool::sum(2));
    b.linear(pool, shapes[2][0], false);
    Ok((b.build()?, weights))
}
