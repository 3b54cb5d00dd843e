//! Compares decoding and framing with tonic.

use tickless_events::formats::nmnist_bin;
use tickless_events::frames::{Framing, Slicing};
use tickless_events::{Event, Recording, Sensor};

use tickless_testing::folders::golden;
use tickless_testing::golden::Golden;

fn events(file: &Golden, prefix: &str) -> Vec<Event> {
    let column = |name: &str| file.values(&format!("{prefix}.{name}")).1;
    let (t, x, y, p) = (column("t"), column("x"), column("y"), column("p"));
    (0..t.len()).map(|i| Event { t_us: t[i] as u64, x: x[i] as u16, y: y[i] as u16, on: p[i] != 0.0 }).collect()
}

#[test]
fn golden_frames_are_those_of_tonic() {
    let file = Golden::open("events_frames.safetensors");
    let events = events(&file, "events");
    let cases: Vec<_> = file.names().filter_map(|n| n.strip_prefix("frames.")).collect();
    assert!(!cases.is_empty());
    for options in cases {
        let (shape, expected) = file.values(&format!("frames.{options}"));
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
    let bytes = std::fs::read(golden("nmnist_sample.bin")).unwrap();
    let decoded = nmnist_bin::decode(&bytes, "nmnist_sample.bin").unwrap().events.to_vec();
    assert_eq!(decoded, events(&Golden::open("events_frames.safetensors"), "nmnist"));
    let again = nmnist_bin::encode(decoded.iter().copied()).unwrap();
    assert_eq!(nmnist_bin::decode(&again, "again").unwrap().events.to_vec(), decoded);
}
