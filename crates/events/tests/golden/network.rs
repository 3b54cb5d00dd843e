//! Runs frames of real recordings through the time-stepped reference network. The logits equal
//! those of the golden files only if the order of channels, the slices and the orientation are the
//! same.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use tickless_events::formats::nmnist_bin;
use tickless_events::{Framing, Recording, Sensor};
use tickless_net::Shape;
use tickless_testing::clocked;
use tickless_testing::folders::data;
use tickless_testing::golden::{Golden, GoldenNetwork, network_of};
use tickless_testing::layers::Map;

/// The network that the index describes in words.
fn network(golden: &Golden) -> GoldenNetwork {
    let neuron = json!({"type": "iaf", "threshold": 1.0, "min_v_mem": -1.0, "spike": "multi", "reset": "subtract"});
    let pool = json!({"type": "sumpool", "k": 2});
    let conv = |w: &str, stride: u64| json!({"type": "conv", "weight": w, "stride": stride, "padding": 1});
    let linear = json!({"type": "linear", "weight": "w6"});
    let layers: [Value; 7] = [conv("w0", 2), neuron.clone(), pool.clone(), conv("w3", 1), neuron, pool, linear];
    network_of(Shape::new(2, 34, 34), &layers, golden)
}

fn logits(net: &GoldenNetwork, recording: &Recording, steps: usize) -> Vec<f64> {
    let frames = Framing::slices(steps).frames::<u16>(recording).unwrap();
    let [_, c, h, w] = frames.shape;
    let frame = |f: &[u16]| Map { shape: Shape::new(c, h, w), data: f.iter().map(|&n| f64::from(n)).collect() };
    let frames: Vec<Map> = frames.data.chunks_exact(c * h * w).map(frame).collect();
    clocked::run(&net.network, &net.weights, &frames, None).output
}

/// Reads a member such as `Test/0/00004.bin` from the archive `Test.zip`.
fn recording(folder: &Path, member: &str) -> Recording {
    let archive = folder.join(member.split('/').next().unwrap()).with_extension("zip");
    let mut zip = zip::ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(member).unwrap().read_to_end(&mut bytes).unwrap();
    let stream = nmnist_bin::decode(&bytes, member).unwrap();
    stream.into_recording(Some(Sensor::NMNIST)).unwrap().0
}

#[test]
fn golden_network_on_our_frames_gives_the_reference_logits() {
    let Some(folder) = data("nmnist") else { return };
    let golden = Golden::open("async_nmnist.safetensors");
    let net = network(&golden);
    for (k, case) in golden.cases().iter().enumerate() {
        let member = case["member"].as_str().unwrap();
        let recording = recording(&folder, member);
        assert_eq!(recording.len() as u64, case["n_in"].as_u64().unwrap(), "{member}");
        for name in golden.names() {
            let prefix = format!("{k}.sync_logits.T");
            let Some(steps) = name.strip_prefix(&prefix) else { continue };
            let found = logits(&net, &recording, steps.parse().unwrap());
            let (_, expected) = golden.values(name);
            let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-4, "{member}, {name}: off by {off}");
        }
    }
}
