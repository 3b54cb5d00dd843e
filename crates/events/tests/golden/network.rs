//! Frames of real recordings through the reference network, time-stepped: equal logits only if the
//! channel order, the slices and the orientation are those of the golden files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use tickless_events::formats::nmnist_bin;
use tickless_events::{Framing, Recording, Sensor};

use super::{common, tensors};

type Map = (Vec<usize>, Vec<f64>); // [C, H, W]

fn conv((shape, input): &Map, (w_shape, w): &Map, stride: usize) -> Map {
    let (channels, height, width) = (shape[0], shape[1], shape[2]);
    let (outs, k) = (w_shape[0], w_shape[2]);
    let size = |n: usize| (n + 2 - k) / stride + 1; // padding 1
    let (oh, ow) = (size(height), size(width));
    let mut out = vec![0.0; outs * oh * ow];
    for (i, value) in out.iter_mut().enumerate() {
        let (o, y, x) = (i / (oh * ow), i / ow % oh, i % ow);
        for c in 0..channels {
            for (dy, dx) in (0..k).flat_map(|dy| (0..k).map(move |dx| (dy, dx))) {
                let (sy, sx) = (y * stride + dy, x * stride + dx);
                if (1..=height).contains(&sy) && (1..=width).contains(&sx) {
                    *value += w[((o * channels + c) * k + dy) * k + dx] * input[(c * height + sy - 1) * width + sx - 1];
                }
            }
        }
    }
    (vec![outs, oh, ow], out)
}

/// Multi-spike IF: threshold 1, soft reset, lower limit −1.
fn fire(current: Map, v: &mut Vec<f64>) -> Map {
    v.resize(current.1.len(), 0.0);
    let spikes = current.1.iter().zip(v.iter_mut()).map(|(i, v)| {
        *v += i;
        let n = v.max(0.0).floor();
        *v = (*v - n).max(-1.0);
        n
    });
    (current.0, spikes.collect())
}

fn pool((shape, input): &Map) -> Map {
    let (h, w) = (shape[1] / 2, shape[2] / 2);
    let sum = |i: usize| {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        let at = |dy, dx| input[(c * shape[1] + 2 * y + dy) * shape[2] + 2 * x + dx];
        at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)
    };
    (vec![shape[0], h, w], (0..shape[0] * h * w).map(sum).collect())
}

fn logits(file: &tensors::File, recording: &Recording, steps: usize) -> Vec<f64> {
    let [w0, w3, w6] = ["w0", "w3", "w6"].map(|n| file.get(n));
    let frames = Framing::slices(steps).frames::<u16>(recording).unwrap();
    let [_, c, h, w] = frames.shape;
    let (mut v0, mut v1, mut sums) = (vec![], vec![], vec![0.0; w6.0[0]]);
    for frame in frames.data.chunks_exact(c * h * w) {
        let input = (vec![c, h, w], frame.iter().map(|&n| f64::from(n)).collect());
        let first = pool(&fire(conv(&input, &w0, 2), &mut v0));
        let second = pool(&fire(conv(&first, &w3, 1), &mut v1));
        for (sum, row) in sums.iter_mut().zip(w6.1.chunks_exact(w6.0[1])) {
            *sum += row.iter().zip(&second.1).map(|(a, b)| a * b).sum::<f64>();
        }
    }
    sums
}

/// A member such as `Test/0/00004.bin` of the archive `Test.zip`.
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
    let (Some(index), Some(path), Some(folder)) =
        (common::golden("index.json"), common::golden("async_nmnist.safetensors"), common::data("nmnist"))
    else {
        return;
    };
    let index: Value = serde_json::from_slice(&std::fs::read(index).unwrap()).unwrap();
    let cases = index["files"]["async_nmnist.safetensors"]["cases"].as_array().unwrap();
    let file = tensors::File::open(&path);
    for (k, case) in cases.iter().enumerate() {
        let member = case["member"].as_str().unwrap();
        let recording = recording(&folder, member);
        assert_eq!(recording.len() as u64, case["n_in"].as_u64().unwrap(), "{member}");
        for name in file.names() {
            let prefix = format!("{k}.sync_logits.T");
            let Some(steps) = name.strip_prefix(&prefix) else { continue };
            let found = logits(&file, &recording, steps.parse().unwrap());
            let (_, expected) = file.get(&name);
            let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-4, "{member}, {name}: off by {off}");
        }
    }
}
