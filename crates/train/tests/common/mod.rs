//! Golden files: where they are, how they are read, how values are compared.
//!
//! Cases are found through `index.json`, shapes through the tensors, so that another folder with
//! other shapes, seeds and cases of the same kinds works too (`TICKLESS_GOLDEN`).
#![allow(dead_code)]

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use tickless_net::{Array, Weights};

/// Makes the variables of the environment the options of this process, as the command does (`.ci/extra kernels`).
fn install_options() {
    let options = tickless_kernels::ComputeOptions::from_variables(|name| std::env::var(name).ok());
    options.and_then(tickless_kernels::ComputeOptions::install).unwrap_or_else(|e| panic!("{e}"));
}

/// One golden file with its entry in the index.
pub struct Golden {
    /// What the index says of it.
    pub index: Value,
    path: PathBuf,
    tensors: BTreeMap<String, Array>,
    labels: BTreeMap<String, Vec<usize>>,
}

impl Golden {
    /// Opens a file of the golden folder; `None` (and one line that says so) where it is absent.
    ///
    /// # Panics
    /// If it is absent and `TICKLESS_REQUIRE_SHARED` is 1, or damaged.
    pub fn open(file: &str) -> Option<Self> {
        install_options();
        let path = path(file)?;
        let index = index().get("files").and_then(|f| f.get(file)).cloned();
        let index = index.unwrap_or_else(|| panic!("index.json has no entry for {file}"));
        let mut golden = Self { index, path, tensors: BTreeMap::new(), labels: BTreeMap::new() };
        if file.ends_with(".safetensors") {
            golden.read();
        }
        Some(golden)
    }

    fn read(&mut self) {
        let bytes = std::fs::read(&self.path).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        let file =
            safetensors::SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        for (name, view) in file.tensors() {
            match view.dtype() {
                safetensors::Dtype::F32 => {
                    let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                    self.tensors.insert(name, Array::new(view.shape().to_vec(), data));
                }
                safetensors::Dtype::I64 => {
                    let data = view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
                    self.labels
                        .insert(name, data.map(|v| usize::try_from(v).expect("labels are not negative")).collect());
                }
                other => panic!("{}: `{name}` is {other:?}, expected f32 or i64", self.path.display()),
            }
        }
    }

    /// The file as JSON.
    pub fn json(&self) -> Value {
        let text = std::fs::read_to_string(&self.path).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()))
    }

    /// The cases that the index lists.
    pub fn cases(&self) -> &[Value] {
        self.index["cases"].as_array().expect("the index lists `cases`")
    }

    /// A tensor.
    pub fn get(&self, name: &str) -> &Array {
        self.tensors.get(name).unwrap_or_else(|| panic!("{} has no tensor `{name}`", self.path.display()))
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor of class labels.
    pub fn labels(&self, name: &str) -> &[usize] {
        self.labels.get(name).unwrap_or_else(|| panic!("{} has no labels `{name}`", self.path.display()))
    }

    /// All tensors whose name starts with `<prefix>.`, without it.
    pub fn part(&self, prefix: &str) -> Weights {
        let mut part = Weights::default();
        for (name, array) in &self.tensors {
            if let Some(rest) = name.strip_prefix(prefix).and_then(|n| n.strip_prefix('.')) {
                part.insert(rest, array.clone());
            }
        }
        assert!(!part.tensors.is_empty(), "{} has no tensors `{prefix}.…`", self.path.display());
        part
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

fn folder() -> PathBuf {
    // At run time: a target folder that several clones share keeps the path of the one that built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).join("../..");
    std::env::var_os("TICKLESS_GOLDEN").map_or_else(|| root.join("../shared/golden"), PathBuf::from)
}

fn index() -> Value {
    let path = folder().join("index.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn path(file: &str) -> Option<PathBuf> {
    let path = folder().join(file);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("TICKLESS_REQUIRE_SHARED").is_some_and(|v| v == "1");
    assert!(!required, "{} is required (TICKLESS_REQUIRE_SHARED=1) and absent", path.display());
    say(&format!("skipped: {} is absent (set TICKLESS_GOLDEN)", path.display()));
    None
}

/// One line that shows even where the test harness captures the output.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The text of a JSON value that is a string or a number.
pub fn text(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

/// A JSON number as f32.
pub fn number(v: &Value) -> f32 {
    v.as_f64().unwrap_or_else(|| panic!("expected a number, got {v}")) as f32
}

/// A JSON number as usize.
pub fn count(v: &Value) -> usize {
    v.as_u64().unwrap_or_else(|| panic!("expected a count, got {v}")) as usize
}

/// A JSON list of counts.
pub fn counts(v: &Value) -> Vec<usize> {
    v.as_array().unwrap_or_else(|| panic!("expected a list, got {v}")).iter().map(count).collect()
}

/// The number that follows `word` in a sentence of the index.
pub fn number_after(sentence: &str, word: &str) -> f64 {
    let at = sentence.find(word).unwrap_or_else(|| panic!("no `{word}` in `{sentence}`")) + word.len();
    let rest = sentence[at..].trim_start_matches([' ', '=', ':']);
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | 'e' | 'E'))).unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').parse().unwrap_or_else(|_| panic!("no number after `{word}` in `{sentence}`"))
}

/// A golden array `[B, T, …]` in our layout.
#[derive(Debug, Clone)]
pub struct TimeMajor {
    /// `[T, B, …]`.
    pub data: Vec<f32>,
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// C, H, W, padded by ones.
    pub rest: [usize; 3],
}

impl TimeMajor {
    /// From `[B, T, …]`.
    pub fn of(a: &Array) -> Self {
        let (batch, steps) = (a.shape[0], a.shape[1]);
        let mut rest = [1; 3];
        assert!(a.shape.len() <= 5, "{:?} has more than three axes behind time", a.shape);
        rest[..a.shape.len() - 2].copy_from_slice(&a.shape[2..]);
        Self { data: swap(&a.data, batch, steps), steps, batch, rest }
    }

    /// `[T·B, C, H, W]`.
    pub fn shape(&self) -> [usize; 4] {
        let [c, h, w] = self.rest;
        [self.steps * self.batch, c, h, w]
    }

    /// As a tensor `[T·B, C, H, W]`.
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.data.clone(), self.shape()), device)
    }
}

/// `[A, B, …]` to `[B, A, …]`.
pub fn swap(data: &[f32], a: usize, b: usize) -> Vec<f32> {
    let n = data.len() / (a * b).max(1);
    let mut out = Vec::with_capacity(data.len());
    for j in 0..b {
        for i in 0..a {
            out.extend_from_slice(&data[(i * b + j) * n..(i * b + j + 1) * n]);
        }
    }
    out
}

/// The values of a tensor.
pub fn values<const D: usize>(t: &Tensor<D>) -> Vec<f32> {
    t.clone().into_data().try_into_vec().expect("f32 tensors")
}

/// The values of a tensor `[T·B, …]` or `[T, B, …]` in golden order `[B, T, …]`.
pub fn batch_major<const D: usize>(t: &Tensor<D>, steps: usize) -> Vec<f32> {
    let v = values(t);
    let rows: usize = if D == 3 { t.dims()[0] * t.dims()[1] } else { t.dims()[0] };
    swap(&v, steps, rows / steps)
}

/// Compares, and remembers the largest deviation of each kind; says them when it goes.
pub struct Compare {
    what: &'static str,
    worst: BTreeMap<String, f32>,
}

impl Compare {
    /// For the test of this golden file.
    pub fn new(what: &'static str) -> Self {
        Self { what, worst: BTreeMap::new() }
    }

    /// Equal as numbers.
    pub fn exact(&mut self, kind: &str, case: &str, got: &[f32], want: &Array) {
        self.within(kind, case, got, want, 0.0, "exact");
    }

    /// No value further than `tolerance`.
    pub fn abs(&mut self, kind: &str, case: &str, got: &[f32], want: &Array, tolerance: f32) {
        self.within(kind, case, got, want, tolerance, "absolute");
    }

    /// No value further than `tolerance` times the largest of the tensor.
    pub fn relative(&mut self, kind: &str, case: &str, got: &[f32], want: &Array, tolerance: f32) {
        let largest = want.data.iter().fold(0.0f32, |m, v| m.max(v.abs())).max(f32::MIN_POSITIVE);
        let scaled = |v: &[f32]| v.iter().map(|v| v / largest).collect::<Vec<f32>>();
        let want = Array::new(want.shape.clone(), scaled(&want.data));
        self.within(kind, case, &scaled(got), &want, tolerance, "of the largest value");
    }

    fn within(&mut self, kind: &str, case: &str, got: &[f32], want: &Array, tolerance: f32, how: &str) {
        let what = self.what;
        assert_eq!(
            got.len(),
            want.data.len(),
            "{what} {case}: {kind} has another number of values than {:?}",
            want.shape
        );
        let worst = self.worst.entry(kind.to_owned()).or_default();
        for (i, (g, w)) in got.iter().zip(&want.data).enumerate() {
            let d = (g - w).abs();
            assert!(
                d <= tolerance,
                "{what} case {case}: {kind} at {:?} of {:?} is {g}, expected {w}: off by {d:e}, allowed {tolerance:e} ({how})",
                position(i, &want.shape),
                want.shape
            );
            *worst = worst.max(d);
        }
    }
}

impl Drop for Compare {
    fn drop(&mut self) {
        for (kind, d) in &self.worst {
            println!("{}: worst {kind} {d:e}", self.what);
        }
    }
}

/// The multi-index of a flat one.
fn position(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (a, &n) in at.iter_mut().zip(shape).rev() {
        (*a, i) = (i % n.max(1), i / n.max(1));
    }
    at
}
