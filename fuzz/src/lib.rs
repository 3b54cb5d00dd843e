//! The properties that every input of a parser must satisfy: the parser decodes it or returns an
//! error that names the file and a byte, and equal bytes give equal events wherever they are cut.
//!
//! The library has one function per kind of parser; `fuzz_targets/` has one file per target. The
//! fuzzer bounds time and memory with `-timeout` and `-rss_limit_mb`.

use std::path::{Component, Path, PathBuf};

use tickless_events::formats::{self, EventStream, ReadOptions, Reading, cifar, ecf, idx};
use tickless_events::fetch::{self, Limits};
use tickless_events::progress::Silent;
use tickless_events::{Columns, DataRequest, Error, Split, datasets};
use tickless_net::LeakRule;
use tickless_net::interop::{checkpoint, nir};
use zip::write::SimpleFileOptions;

/// Checks a format that is read from front to back: decodes `bytes` as a whole and in two parts.
///
/// # Panics
/// If a property is violated, which the fuzzer reports as a finding.
pub fn stream(name: &str, bytes: &[u8]) {
    let format = formats::by_name(name).expect("a format of that name");
    let Reading::Stream(decoder) = format.read else { panic!("{name} is no stream") };
    let whole = format.decode(bytes, "x");
    if let Err(e) = &whole {
        names_a_byte(e, Some(bytes.len() as u64));
    }
    // An arbitrary position that depends only on the input.
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

/// Checks a format that is read with random access.
///
/// # Panics
/// If a property is violated, which the fuzzer reports as a finding.
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
        // A wrong address in the file may point beyond its end, and the error names that address.
        names_a_byte(&e, None);
    }
}

/// Decodes a file of any format, under a name without an extension or with one of nine extensions.
pub fn detect(bytes: &[u8]) {
    let (name, bytes) = bytes.split_first().map_or((0, bytes), |(&first, rest)| (usize::from(first), rest));
    let extensions = ["", "aedat", "bin", "dat", "npy", "raw", "txt", "gz", "h5", "npz"];
    let _ = formats::decode(bytes, &format!("x.{}", extensions[name % extensions.len()]));
}

/// Checks a chunk of ECF, the codec inside Prophesee's HDF5.
pub fn ecf(bytes: &[u8]) {
    let mut out = Columns::new();
    if let Err(e) = ecf::decode(bytes, "x", 0, usize::MAX, &mut out) {
        names_a_byte(&e, Some(bytes.len() as u64));
    }
    assert!(out.len() <= ecf::MOST_EVENTS);
}

/// Checks images and labels of MNIST.
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

/// Checks records of CIFAR-10 and CIFAR-100.
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

/// Reads and imports a NIR graph, which is an HDF5 file too.
pub fn nir(bytes: &[u8]) {
    let file = Path::new("x.nir");
    if let Ok(graph) = nir::from_bytes(bytes, file) {
        let _ = nir::import(&graph, file, &nir::ImportOptions::default());
    }
}

/// Makes a NIR graph from bytes, writes and reads it if it can be written, and imports it. The first
/// byte chooses the dialect and the rule for the leak, because one import takes most of the time. An
/// error must name the file; the weights of an imported network must be finite.
pub fn nir_graph(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let file = Path::new("x.nir");
    let mut graph = tickless_testing::generate::graph::graph(bytes);
    if let Ok(written) = nir::to_bytes(&graph, file) {
        match nir::from_bytes(&written, file) {
            Ok(read) => graph = read,
            Err(e) => assert!(e.to_string().starts_with("x.nir"), "{e}"),
        }
    }
    let dialects: Vec<_> = nir::Dialect::WORDS.map(|(_, dialect)| Some(dialect)).into_iter().chain([None]).collect();
    let dialect = dialects[usize::from(choice / 2) % dialects.len()];
    let leak = if choice % 2 == 0 { LeakRule::Step } else { LeakRule::Time };
    let options = nir::ImportOptions { dialect, leak, step_us: Some(1000.0), ..Default::default() };
    match nir::import(&graph, file, &options) {
        Ok(i) => assert!(i.weights.tensors.values().all(|a| a.data.iter().all(|v| v.is_finite()))),
        Err(e) => assert!(e.to_string().starts_with("x.nir"), "{e}"),
    }
}

/// Opens a zip of recordings as a data set does, and reads its index, names and members.
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

/// Unpacks a downloaded archive, a zip or a tar.gz depending on the first byte. All files must lie
/// in the target folder, and nothing may be left if the archive is refused.
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
                // `..` means the parent folder only if it is a whole component of the path.
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

/// The path of a file for this process, in memory if the system has `/dev/shm`.
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
        // A mutated header that declares several streams, or other ones.
        Error::Streams { file, .. } if file == "x" => return,
        _ => panic!("{error}"),
    };
    assert!(file == "x" && !problem.is_empty(), "{error}");
    assert!(len.is_none_or(|len| *at <= len), "{error}");
}

/// Checks the reader of checkpoints, with the bytes of a whole file. A file that is read gives its
/// tensors; the values of small ones are copied, unless they are complex.
///
/// # Panics
/// If a property is violated, which the fuzzer reports as a finding.
pub fn checkpoint(bytes: Vec<u8>) {
    match checkpoint::from_bytes(bytes, Path::new("x"), None) {
        Ok(read) => {
            for (_, tensor) in read.tensors().iter().filter(|(_, t)| t.elements() < 1 << 16) {
                match read.array(tensor) {
                    Ok(array) => assert!(tensor.number().is_real() && array.data.len() == tensor.elements()),
                    Err(e) => assert!(!tensor.number().is_real(), "{e}"),
                }
            }
        }
        Err(e) => assert!(e.to_string().starts_with("x: ") && !e.to_string().contains('\n'), "{e}"),
    }
}

/// Checks the reader with a pickle in an archive whose checksums are right, because hardly a mutated
/// archive has the right ones. The archive has the storages `0` of 64 and `1` of 4 bytes.
///
/// # Panics
/// If a property is violated, which the fuzzer reports as a finding.
pub fn pickle(bytes: &[u8]) {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("x/data.pkl", bytes), ("x/data/0", &[63; 64]), ("x/data/1", &[63; 4])] {
        archive.start_file(name, stored).expect("an archive in memory");
        std::io::Write::write_all(&mut archive, content).expect("an archive in memory");
    }
    checkpoint(archive.finish().expect("an archive in memory").into_inner());
}
