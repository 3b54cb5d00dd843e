//! What holds for every input of a parser: it decodes, or its error names the file and a byte; and
//! the same bytes give the same events however they are cut.
//!
//! One function per kind of parser, one file in `fuzz_targets/` per target. Time and memory are
//! bounded by the fuzzer's `-timeout` and `-rss_limit_mb`.

use std::path::{Component, Path, PathBuf};

use tickless_events::formats::{self, EventStream, ReadOptions, Reading, cifar, ecf, idx};
use tickless_events::fetch::{self, Limits};
use tickless_events::progress::Silent;
use tickless_events::{Columns, DataRequest, Error, Split, datasets};
use tickless_net::interop::nir;

/// A format that is read from front to back.
///
/// # Panics
/// When one of the laws is broken: a finding.
pub fn stream(name: &str, bytes: &[u8]) {
    let format = formats::by_name(name).expect("a format of that name");
    let Reading::Stream(decoder) = format.read else { panic!("{name} is no stream") };
    let whole = format.decode(bytes, "x");
    if let Err(e) = &whole {
        names_a_byte(e, Some(bytes.len() as u64));
    }
    // Any place, but the same for the same input.
    let cut = bytes.iter().fold(bytes.len(), |sum, &b| sum.wrapping_mul(31) + usize::from(b)) % (bytes.len() + 1);
    let (mut decoder, mut events) = (decoder("x", &ReadOptions::default()), Columns::new());
    let mut run = || {
        decoder.push(&bytes[..cut], &mut events)?;
        decoder.push(&bytes[cut..], &mut events)?;
        decoder.finish(&mut events)
    };
    let end = run();
    let parts = end.map(|()| EventStream { format: format.name, sensor: decoder.sensor(), events });
    match (&whole, &parts) {
        (Ok(a), Ok(b)) => assert_eq!(a, b, "cut at {cut}"),
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string(), "cut at {cut}"),
        _ => panic!("cut at {cut}: {whole:?} and {parts:?}"),
    }
}

/// A format that is read at random places.
///
/// # Panics
/// When one of the laws is broken: a finding.
pub fn container(name: &str, bytes: &[u8]) {
    let format = formats::by_name(name).expect("a format of that name");
    let Reading::Whole(open) = format.read else { panic!("{name} is a stream") };
    let run = || {
        let (mut container, mut chunk) = (open(bytes, "x", &ReadOptions::default())?, Columns::new());
        while container.next(bytes, &mut chunk)? {
            chunk.clear();
        }
        Ok(())
    };
    if let Err(e) = run() {
        // An address may point, and be named, beyond the end.
        names_a_byte(&e, None);
    }
}

/// A file of any format, under a name that says nothing and under each that says something.
pub fn detect(bytes: &[u8]) {
    let (name, bytes) = bytes.split_first().map_or((0, bytes), |(&first, rest)| (usize::from(first), rest));
    let extensions = ["", "aedat", "bin", "dat", "npy", "raw", "txt", "gz", "h5", "npz"];
    let _ = formats::decode(bytes, &format!("x.{}", extensions[name % extensions.len()]));
}

/// A chunk of ECF, the codec inside Prophesee's HDF5.
pub fn ecf(bytes: &[u8]) {
    let mut out = Columns::new();
    if let Err(e) = ecf::decode(bytes, "x", 0, usize::MAX, &mut out) {
        names_a_byte(&e, Some(bytes.len() as u64));
    }
    assert!(out.len() <= ecf::MOST_EVENTS);
}

/// Images and labels of MNIST.
pub fn idx(bytes: &[u8]) {
    idx::kind(bytes);
    match idx::images(bytes.to_vec(), "x") {
        Ok(images) => {
            assert!(images.image(images.count).is_none_or(<[u8]>::is_empty));
            for i in 0..images.count.min(1000) {
                assert_eq!(images.image(i).expect("a claimed image").len(), images.height * images.width);
            }
        }
        Err(e) => names_a_byte(&e, Some(bytes.len() as u64)),
    }
    match idx::labels(bytes.to_vec(), "x") {
        Ok(labels) => assert_eq!(labels.len() + 8, bytes.len()),
        Err(e) => names_a_byte(&e, Some(bytes.len() as u64)),
    }
}

/// Records of CIFAR-10 and CIFAR-100.
pub fn cifar(bytes: &[u8]) {
    for kind in [cifar::Kind::Cifar10, cifar::Kind::Cifar100] {
        match cifar::Records::parse(bytes.to_vec(), kind, "x") {
            Ok(records) => {
                for i in 0..records.len() {
                    assert!(records.label(i).expect("a label") < kind.classes());
                    assert_eq!(records.pixels(i).expect("pixels").len(), 3 * 32 * 32);
                }
            }
            Err(e) => names_a_byte(&e, Some(bytes.len() as u64)),
        }
    }
}

/// A graph of neurons, which is HDF5 too.
pub fn nir(bytes: &[u8]) {
    let file = Path::new("x.nir");
    if let Ok(graph) = nir::from_bytes(bytes, file) {
        let _ = nir::import(&graph, file, &nir::ImportOptions::default());
    }
}

/// A zip of recordings, as the data sets read it: index, names, members.
pub fn nmnist_zip(bytes: &[u8]) {
    let scratch = scratch("x.zip");
    std::fs::write(&scratch, bytes).expect("a writable folder of temporary files");
    let request = DataRequest::new("nmnist", Some(&scratch));
    if let Ok(set) = datasets::open(&request) {
        for split in [Split::Train, Split::Test] {
            for i in 0..set.len(split).min(100) {
                let _ = set.sample(split, i);
            }
        }
    }
}

/// A downloaded archive, by its first byte a zip or a tar.gz: what comes out of it lies in its
/// folder, and nothing does if it is refused.
pub fn unpack(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let archive = scratch(if kind % 2 == 0 { "x.zip" } else { "x.tar.gz" });
    let folder = scratch("unpack");
    let target = folder.join("target");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::write(&archive, bytes).expect("a writable folder of temporary files");
    let limits = Limits { bytes: 1 << 20, entries: 100, growth: 100 };
    let entries = |of: &Path| std::fs::read_dir(of).map_or(0, |entries| entries.count());
    match fetch::unpack(&archive, &target, limits, &Silent) {
        Ok(files) => {
            assert!(files.iter().map(|f| f.bytes).sum::<u64>() <= limits.bytes);
            for file in files {
                // `..` is the folder above only where it is a whole part of the path.
                let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
                assert!(Path::new(&file.path).components().all(inside), "{file:?}");
                assert_eq!(std::fs::metadata(target.join(&file.path)).map(|m| m.len()).ok(), Some(file.bytes));
            }
            assert_eq!(entries(&folder), 1);
        }
        Err(Error::Unexpected { .. } | Error::Io { .. }) => assert_eq!(entries(&folder), 0),
        Err(e) => panic!("{e}"),
    }
}

/// A place for a file of this process, in memory where the system has such a folder.
fn scratch(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = folder.join(format!("tickless-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a writable folder of temporary files");
    folder.join(name)
}

fn names_a_byte(error: &Error, len: Option<u64>) {
    let (file, at, problem) = match error {
        Error::Malformed { file, at, problem, remedy } if !remedy.is_empty() => (file, at, problem),
        Error::TimeUnit { file, at, problem } => (file, at, problem),
        // A header that was changed so that it has several streams, or others.
        Error::Streams { file, .. } if file == "x" => return,
        _ => panic!("{error}"),
    };
    assert!(file == "x" && !problem.is_empty(), "{error}");
    assert!(len.is_none_or(|len| *at <= len), "{error}");
}
