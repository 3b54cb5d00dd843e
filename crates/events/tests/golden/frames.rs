//! Decoding and framing against tonic.

use tickless_events::formats::nmnist_bin;
use tickless_events::frames::{Framing, Slicing};
use tickless_events::{Event, Recording, Sensor};

use super::{common, tensors};

fn events(file: &tensors::File, prefix: &str) -> Vec<Event> {
    let column = |name: &str| file.get(&format!("{prefix}.{name}")).1;
    let (t, x, y, p) = (column("t"), column("x"), column("y"), column("p"));
    (0..t.len()).map(|i| Event { t_us: t[i] as u64, x: x[i] as u16, y: y[i] as u16, on: p[i] != 0.0 }).collect()
}

#[test]
fn golden_frames_are_those_of_tonic() {
    let Some(path) = common::golden("events_frames.safetensors") else { return };
    let file = tensors::File::open(&path);
    let events = events(&file, "events");
    let names = file.names();
    let cases: Vec<_> = names.iter().filter_map(|n| n.strip_prefix("frames.")).collect();
    assert!(!cases.is_empty());
    for options in cases {
        let (shape, expected) = file.get(&format!("frames.{options}"));
        let sensor = Sensor { width: shape[3] as u16, height: shape[2] as u16 };
        let (recording, moved) = Recording::from_events(sensor, &events).unwrap();
        assert_eq!(moved, 0, "tonic does not sort");
        let framing = Framing::new(Slicing::Tonic(options.parse().unwrap()));
        let frames = framing.frames::<u16>(&recording).unwrap();
        assert_eq!(frames.shape[..], shape[..], "{options}");
        let wrong = frames.data.iter().zip(&expected).filter(|&(&a, &b)| f64::from(a) != b).count();
        assert_eq!(wrong, 0, "{options}: wrong counts");
    }
}

#[test]
fn golden_nmnist_bytes_decode_as_in_tonic() {
    let (Some(tensors), Some(bytes)) =
        (common::golden("events_frames.safetensors"), common::golden("nmnist_sample.bin"))
    else {
        return;
    };
    let bytes = std::fs::read(bytes).unwrap();
    let decoded = nmnist_bin::decode(&bytes, "nmnist_sample.bin").unwrap().events.to_vec();
    assert_eq!(decoded, events(&tensors::File::open(&tensors), "nmnist"));
    let again = nmnist_bin::encode(decoded.iter().copied()).unwrap();
    assert_eq!(nmnist_bin::decode(&again, "again").unwrap().events.to_vec(), decoded);
}
