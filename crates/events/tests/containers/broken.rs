//! A truncated, changed or synthetic file either decodes or gives an error that names a byte.

use std::io::Read;
use std::time::Instant;
use tickless_testing::hang::HUNG_AFTER;

use tickless_events::formats::shd::Shd;
use tickless_events::problem::{PacketProblem, Problem};
use tickless_events::{Columns, Event, Result, Sensor, formats};
use tickless_testing::assert_problem;

use tickless_testing::folders;

/// A small file of each container, and one large enough for several chunks of each part.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let sensor = Some(Sensor { width: 346, height: 260 });
    let event = |i: u64| Event {
        t_us: 1000 + 37 * i,
        x: (i * 5 % 346) as u16,
        y: (i * 7 % 260) as u16,
        on: i.is_multiple_of(3),
    };
    let events: Columns = (0..40).map(event).collect();
    let encode = |format| (format, formats::encode(format, &events, sensor).unwrap());
    let mut zstd = Vec::new();
    let mut encoder = formats::aedat4::encoder(sensor, formats::aedat4::Compression::Zstd).unwrap();
    encoder.push(&events, &mut zstd).unwrap();
    encoder.finish(&mut zstd).unwrap();
    vec![encode("npy"), encode("aedat4"), ("aedat4", zstd), encode("prophesee-hdf5")]
}

/// Decodes piece by piece, and checks properties that hold for every input: a bounded number of
/// events, a byte offset in each error, and an end.
fn decode(format: &str, bytes: &[u8], most: usize) -> Result<usize> {
    let start = Instant::now();
    let format = formats::by_name(format).unwrap();
    let (mut chunk, mut count) = (Columns::new(), 0);
    let mut result = Ok(());
    match format.read {
        formats::Reading::Stream(decoder) => {
            let mut decoder = decoder("x", &Default::default());
            for part in bytes.chunks(1000) {
                chunk.clear();
                result = result.and_then(|()| decoder.push(part, &mut chunk));
                count += chunk.len();
            }
            result = result.and_then(|()| decoder.finish(&mut chunk));
        }
        formats::Reading::Whole(container) => match container(bytes, "x", &Default::default()) {
            Err(e) => result = Err(e),
            Ok(mut container) => loop {
                chunk.clear();
                match container.next(bytes, &mut chunk) {
                    Ok(true) => count += chunk.len(),
                    Ok(false) => break,
                    Err(e) => {
                        result = Err(e);
                        break;
                    }
                }
            },
        },
    }
    assert!(count <= most, "{count} events out of {} bytes", bytes.len());
    assert!(start.elapsed() < HUNG_AFTER, "took {:?}", start.elapsed());
    match result {
        Ok(()) => Ok(count),
        Err(e) => {
            let text = e.to_string();
            assert!(text.starts_with("x: byte "), "{text}");
            Err(e)
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_unless_all_events_are_there() {
    for (format, bytes) in files() {
        let whole = decode(format, &bytes, 40).unwrap();
        assert_eq!(whole, 40);
        let mut complete = 0;
        for cut in 0..bytes.len() {
            complete += usize::from(decode(format, &bytes[..cut], 40).is_ok());
        }
        // AEDAT4 cannot detect that a file was truncated between the header and its only packet.
        assert_eq!(complete, usize::from(format == "aedat4"), "{format}");
    }
}

#[test]
fn a_file_changed_in_any_byte_decodes_or_names_a_byte() {
    for (format, bytes) in files() {
        change_each_byte(format, &bytes, 0..bytes.len(), 70_000);
    }
}

/// Changes the byte at each of these offsets: the first 64 to every other value, the rest in three
/// ways.
fn change_each_byte(format: &str, bytes: &[u8], places: impl IntoIterator<Item = usize>, most: usize) {
    let mut corrupt = bytes.to_vec();
    for at in places {
        // A run of zeros is padding, of which testing a few bytes is enough.
        let padding = at >= 64 && bytes[at - 16..=at].iter().all(|&b| b == 0);
        if padding && at % 97 != 0 {
            continue;
        }
        let patterns = if at < 64 { &(1..=255).collect::<Vec<u8>>()[..] } else { &[0x01, 0x80, 0xFF] };
        for bits in patterns {
            corrupt[at] = bytes[at] ^ bits;
            let _ = decode(format, &corrupt, most);
        }
        corrupt[at] = bytes[at];
    }
}

#[test]
fn golden_shd_cut_at_every_byte_or_changed_in_its_headers_names_a_byte() {
    let Some(path) = folders::data("formats/shd_like.h5") else { return };
    let bytes = std::fs::read(path).unwrap();
    assert!(decode("shd", &bytes, 200_000).is_ok());
    for cut in 0..bytes.len() {
        assert!(decode("shd", &bytes[..cut], 200_000).is_err(), "cut to {cut}");
    }
    // The data sets' headers, groups and trees lie before and after the numbers of the samples.
    change_each_byte("shd", &bytes, (0..8192).chain(73_000..bytes.len()), 1_000_000);
}

#[test]
fn golden_files_changed_or_cut_decode_or_name_a_byte() {
    for (format, name) in [
        ("prophesee-hdf5", "ecf_modes.hdf5"),
        ("shd", "shd_like.h5"),
        ("aedat4", "aedat4_zstd.aedat4"),
        ("aedat4", "dvs128_2024-06-13.aedat4"),
        ("npy", "struct_xytp.npy"),
    ] {
        let Some(path) = folders::data(&format!("formats/{name}")) else { return };
        let bytes = std::fs::read(path).unwrap();
        for cut in (0..bytes.len()).step_by(bytes.len() / 97) {
            let cut = decode(format, &bytes[..cut], 200_000);
            // A recorder's table follows the last packet, so truncating it need not be an error.
            assert!(cut.is_err() || format == "aedat4", "{name}");
        }
        let mut corrupt = bytes.clone();
        let mut seed = 1u64;
        for at in (0..4096).chain((4096..bytes.len()).step_by(bytes.len() / 211)) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            corrupt[at] ^= (seed >> 33) as u8 | 1;
            let _ = decode(format, &corrupt, 1_000_000);
            corrupt[at] = bytes[at];
        }
    }
}

#[test]
fn a_claim_of_a_trillion_events_is_refused_without_allocating() {
    let claims = [10u64.pow(12), 1 << 62, u64::MAX];
    for (format, bytes) in files().into_iter().filter(|(format, _)| *format == "prophesee-hdf5") {
        let dataspace = [&[1, 1, 1, 0, 0, 0, 0, 0][..], &40u64.to_le_bytes()].concat();
        let at = bytes.windows(16).position(|w| w == dataspace).unwrap() + 8;
        for claim in claims {
            let mut hostile = bytes.clone();
            hostile[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            let error = decode(format, &hostile, 0).unwrap_err();
            let Some(Problem::Unwritten { which }) = error.problem() else { panic!("{error}") };
            assert!(which.ends_with(&format!(" {claim}")), "{error}");
        }
    }
}

#[test]
fn a_packet_that_unpacks_to_more_than_any_recorder_writes_is_refused() {
    let sensor = Some(Sensor { width: 346, height: 260 });
    let (mut encoder, mut bytes) =
        (formats::aedat4::encoder(sensor, formats::aedat4::Compression::Zstd).unwrap(), vec![]);
    encoder.finish(&mut bytes).unwrap();
    let bomb = zstd::stream::encode_all(std::io::repeat(0).take(300 << 20), 3).unwrap();
    assert!(bomb.len() < 100_000);
    bytes.extend([0, bomb.len() as i32].map(i32::to_le_bytes).concat());
    bytes.extend(bomb);
    let error = decode("aedat4", &bytes, 0).unwrap_err();
    assert_problem!(error, PacketProblem::Bomb { limit: 256 << 20 });
}

#[test]
fn golden_hdf5_with_cycles_and_claims_is_refused_quickly() {
    let Some(path) = folders::data("formats/ecf_modes.hdf5") else { return };
    let bytes = std::fs::read(path).unwrap();
    let eight = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    // Replaces every word that is an address by several other addresses: its own, those of the
    // trees, and that of the root.
    let targets: Vec<u64> =
        bytes.windows(4).enumerate().filter(|(_, w)| *w == b"TREE").map(|(i, _)| i as u64).collect();
    let mut refused = 0;
    for at in (0..4688).step_by(8).filter(|&at| (96..bytes.len() as u64).contains(&eight(at))) {
        for target in targets.iter().copied().chain([0, 96, at as u64, 1 << 40, u64::MAX - 1]) {
            let mut hostile = bytes.clone();
            hostile[at..at + 8].copy_from_slice(&target.to_le_bytes());
            refused += usize::from(decode("prophesee-hdf5", &hostile, 1_000_000).is_err());
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn golden_shd_that_shares_or_misses_bytes_is_refused() {
    let Some(path) = folders::data("formats/shd_like.h5") else { return };
    let bytes = std::fs::read(path).unwrap();
    // The references of the samples' times are contiguous at this address.
    let (at, reference) = (2704, 16);
    let mut shared = bytes.clone();
    for i in 1..20 {
        shared.copy_within(at..at + reference, at + i * reference);
    }
    assert!(Shd::open(&shared, "x").is_err());
    let mut long = bytes.clone();
    long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Shd::open(&long, "x").unwrap_err().to_string().starts_with("x: byte "));
}
