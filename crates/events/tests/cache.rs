//! Tests the cache of decoded recordings: each recording is decoded only once, and outdated or
//! broken files are not used.

#[path = "common/folder.rs"]
mod folder;
#[path = "common/made.rs"]
mod made;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use folder::folder;
use made::{events, file, gz};
use tickless_events::datasets::{self, Description, Key, SampleKind, cache};
use tickless_events::progress::{Progress, Silent};
use tickless_events::{DataRequest, Dataset, Error, Recording, Sample, Sensor, Split};

const SENSOR: Sensor = Sensor { width: 32, height: 20 };

/// A data set that counts how often it decodes. `version` stands for the version of its files.
struct Counting {
    version: u64,
    calls: Arc<AtomicUsize>,
    broken: Option<usize>,
}

fn made(version: u64, split: Split, index: usize) -> Recording {
    let tag = version + 100 * u64::from(split == Split::Test);
    Recording::from_columns(SENSOR, events(17 * index, SENSOR, tag)).unwrap().0
}

impl Dataset for Counting {
    fn name(&self) -> &str {
        "counting"
    }
    fn kind(&self) -> SampleKind {
        SampleKind::Events(SENSOR)
    }
    fn classes(&self) -> usize {
        3
    }
    fn class_names(&self) -> Vec<String> {
        ["a", "b", "c"].map(String::from).into()
    }
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { 50 } else { 7 }
    }
    fn label(&self, _: Split, index: usize) -> usize {
        index % 3
    }
    fn sample(&self, split: Split, index: usize) -> tickless_events::Result<Sample> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.broken == Some(index) {
            let (problem, remedy) = (Box::new("broken".into()), "mend it".into());
            return Err(Error::Unexpected { file: format!("sample {index}"), problem, remedy });
        }
        Ok(Sample::Events(made(self.version, split, index)))
    }
    fn sources(&self, _: Split, key: &mut Key) -> tickless_events::Result<bool> {
        key.number(self.version);
        Ok(true)
    }
    fn describe(&self) -> Description {
        unreachable!()
    }
}

/// Opens a cache; returns it with the number of times that its source has decoded.
fn open(at: &Path, version: u64) -> (Box<dyn Dataset>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let source = Counting { version, calls: calls.clone(), broken: None };
    (cache::open(Box::new(source), at, &Silent).unwrap(), calls)
}

/// Reads every sample and compares it with the expected one.
fn epoch(data: &dyn Dataset, version: u64) {
    for split in [Split::Train, Split::Test] {
        for i in 0..data.len(split) {
            assert_eq!(data.sample(split, i).unwrap(), Sample::Events(made(version, split, i)));
            assert_eq!(data.label(split, i), i % 3);
        }
    }
}

fn files(at: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(at).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_recording_is_decoded_once_for_all_epochs_and_runs() {
    let root = tempfile::tempdir().unwrap();
    let (data, calls) = open(root.path(), 1);
    assert_eq!(calls.load(Ordering::Relaxed), 57);
    epoch(&*data, 1);
    epoch(&*data, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 57, "epochs decode nothing");
    let (again, calls) = open(root.path(), 1);
    epoch(&*again, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 0, "nor does another run");
    let error = again.sample(Split::Test, 7).unwrap_err();
    let Error::NoSample { dataset, split: "test", index: 7, len: 7 } = &error else { panic!("{error}") };
    assert_eq!(dataset, "counting");
    assert_eq!(files(root.path()).len(), 2, "a file for each part and nothing else");
}

#[test]
fn a_changed_source_makes_a_new_cache() {
    let root = tempfile::tempdir().unwrap();
    epoch(&*open(root.path(), 1).0, 1);
    let (data, calls) = open(root.path(), 2);
    assert_eq!(calls.load(Ordering::Relaxed), 57);
    epoch(&*data, 2);
    let (data, calls) = open(root.path(), 1);
    epoch(&*data, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 0, "the old one is still there");
}

#[test]
fn deleting_it_is_safe_even_while_it_is_used() {
    let root = tempfile::tempdir().unwrap();
    let (data, _) = open(root.path(), 1);
    files(root.path()).iter().for_each(|f| fs::remove_file(f).unwrap());
    epoch(&*data, 1);
    let (data, calls) = open(root.path(), 1);
    epoch(&*data, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 57);
}

#[test]
fn every_truncation_and_every_changed_byte_is_found() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path(), 1));
    let path = files(root.path()).into_iter().find(|p| p.to_string_lossy().contains("test")).unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(149) {
        fs::write(&path, &whole[..cut]).unwrap();
        let (data, calls) = open(root.path(), 1);
        epoch(&*data, 1);
        assert_eq!(calls.load(Ordering::Relaxed), 7, "cut at {cut}: this part is made anew");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    // A change in the zeros between recordings is not detected, because they are never read.
    for at in (0..whole.len()).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        epoch(&*open(root.path(), 1).0, 1);
        // Damage in a recording is detected when it is read; the next run then has an intact file
        // again.
        epoch(&*open(root.path(), 1).0, 1);
    }
    fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    let (data, calls) = open(root.path(), 1);
    epoch(&*data, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 7);
}

#[test]
fn a_damaged_recording_is_decoded_from_its_source_and_the_file_goes() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path(), 1));
    let path = files(root.path()).into_iter().find(|p| p.to_string_lossy().contains("test")).unwrap();
    let mut damaged = fs::read(&path).unwrap();
    damaged[80 + 20] ^= 1;
    fs::write(&path, damaged).unwrap();
    let (data, calls) = open(root.path(), 1);
    epoch(&*data, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(!path.exists());
}

#[test]
fn an_error_of_the_source_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let source = Counting { version: 1, calls: Arc::default(), broken: Some(33) };
    let error = cache::open(Box::new(source), root.path(), &Silent).err().unwrap();
    assert!(matches!(&error, Error::Unexpected { file, .. } if file == "sample 33"), "{error}");
    assert_eq!(files(root.path()), Vec::<PathBuf>::new());
}

#[test]
fn many_at_once_make_one_cache() {
    let root = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| epoch(&*open(root.path(), 1).0, 1));
        }
    });
    assert_eq!(files(root.path()).len(), 2);
}

/// Counts units of progress, and asks to stop after some of them.
struct Watch(AtomicUsize, usize);

impl Progress for Watch {
    fn advance(&self, n: u64, _: &str) {
        self.0.fetch_add(n as usize, Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= self.1
    }
}

#[test]
fn progress_reaches_the_end_and_a_stop_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let source = || Box::new(Counting { version: 1, calls: Arc::default(), broken: None });
    let watch = Watch(AtomicUsize::new(0), 20);
    let error = cache::open(source(), root.path(), &watch).err().unwrap();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(files(root.path()), Vec::<PathBuf>::new());
    let watch = Watch(AtomicUsize::new(0), 1000);
    cache::open(source(), root.path(), &watch).unwrap();
    assert_eq!(watch.0.into_inner(), 57);
}

#[test]
fn a_request_with_a_cache_sees_the_change_of_a_file() {
    let root = tempfile::tempdir().unwrap();
    let (set, cache) = (root.path().join("set"), root.path().join("new/cache"));
    let bytes = |tag| file("dat", &events(30, SENSOR, tag), Some(SENSOR));
    let names = ["a/1.dat", "a/2.dat", "b/1.dat", "b/2.dat.gz"];
    folder(&set, &names.map(|n| (n.into(), if n.ends_with("gz") { gz(&bytes(0)) } else { bytes(0) })));
    let mut request = DataRequest::new("folder", Some(&set));
    request.sensor = Some(SENSOR);
    let plain = datasets::open(&request).unwrap();
    request.cache = Some(cache.clone());
    let cached = datasets::open(&request).unwrap();
    for split in [Split::Train, Split::Test] {
        for i in 0..2 {
            assert_eq!(cached.sample(split, i).unwrap(), plain.sample(split, i).unwrap());
        }
    }
    assert!(cached.describe().to_string().contains("delete"));
    // The file has the same size but another modification time.
    let path = set.join("a/1.dat");
    fs::write(&path, bytes(1)).unwrap();
    let later = fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(2);
    fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let fresh = datasets::open(&request).unwrap();
    let samples = |data: &dyn Dataset| [Split::Train, Split::Test].map(|s| [0, 1].map(|i| data.sample(s, i).unwrap()));
    assert_eq!(samples(&*fresh), samples(&*plain), "both decode the changed file");
    assert_ne!(samples(&*fresh), samples(&*cached));
    request = DataRequest { name: "digits-dvs".into(), cache: Some(cache), ..DataRequest::default() };
    let digits = datasets::open(&request).unwrap();
    let plain = datasets::open(&DataRequest::new("digits-dvs", None)).unwrap();
    assert_eq!(digits.sample(Split::Test, 9).unwrap(), plain.sample(Split::Test, 9).unwrap());
}
