//! Reads golden files. Cases are listed in `index.json` and shapes are taken from the tensors, so a
//! folder with other shapes, seeds and numbers of cases works too (`TICKLESS_GOLDEN`).

use crate::folders;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tickless_net::{
    Array, Conv, InputKind, Layer, Leak, Linear, Network, NetworkBuilder, Neuron, NodeId, Period, Pool, Refractory,
    Reset, Shape, SpikeMode, Weights,
};

/// A golden file and its entry in the index.
pub struct Golden {
    /// The file's entry in the index.
    pub index: Value,
    path: PathBuf,
    floats: BTreeMap<String, Array>,
    integers: BTreeMap<String, (Vec<usize>, Vec<i64>)>,
}

impl Golden {
    /// Opens a file of the golden folder. If it is a safetensors file, its tensors are read.
    ///
    /// # Panics
    /// If the file is missing, damaged or not in the index.
    pub fn open(file: &str) -> Self {
        let path = folders::golden(file);
        let index = index()["files"].get(file).cloned();
        let index = index.unwrap_or_else(|| panic!("index.json has no entry for {file}"));
        let mut golden = Self { index, path, floats: BTreeMap::new(), integers: BTreeMap::new() };
        if file.ends_with(".safetensors") {
            golden.read();
        }
        golden
    }

    fn read(&mut self) {
        let bytes = read(&self.path);
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        for (name, view) in file.tensors() {
            let (shape, data) = (view.shape().to_vec(), view.data());
            let integers = match view.dtype() {
                Dtype::F32 => {
                    self.floats.insert(name, Array::new(shape, numbers(data, f32::from_le_bytes)));
                    continue;
                }
                Dtype::U8 => data.iter().map(|&v| v.into()).collect(),
                Dtype::I16 => numbers(data, |b| i16::from_le_bytes(b).into()),
                Dtype::I32 => numbers(data, |b| i32::from_le_bytes(b).into()),
                Dtype::I64 => numbers(data, i64::from_le_bytes),
                other => panic!("{}: `{name}` has numbers of type {other:?}", self.path.display()),
            };
            self.integers.insert(name, (shape, integers));
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the file, parsed as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&read(&self.path)).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()))
    }

    /// The cases, if the index lists them by number.
    pub fn cases(&self) -> &[Value] {
        let cases = self.index["cases"].as_array().expect("the index lists `cases`");
        assert!(!cases.is_empty(), "the index lists no case");
        cases
    }

    /// The cases, if the index lists them by name.
    pub fn named_cases(&self) -> impl Iterator<Item = (&String, &Value)> {
        let cases = self.index["cases"].as_object().expect("the index lists `cases` by name");
        assert!(!cases.is_empty(), "the index lists no case");
        cases.iter()
    }

    /// A tensor of floats.
    pub fn get(&self, name: &str) -> &Array {
        self.floats.get(name).unwrap_or_else(|| panic!("{} has no tensor `{name}`", self.path.display()))
    }

    /// Shape and values of a tensor of any type. f64 represents all values in use exactly.
    pub fn values(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        if let Some(a) = self.floats.get(name) {
            return (a.shape.clone(), a.data.iter().map(|&v| v.into()).collect());
        }
        let (shape, data) = self.integer(name);
        (shape.clone(), data.iter().map(|&v| v as f64).collect())
    }

    fn integer(&self, name: &str) -> &(Vec<usize>, Vec<i64>) {
        self.integers.get(name).unwrap_or_else(|| panic!("{} has no tensor `{name}`", self.path.display()))
    }

    /// A tensor of class labels or other non-negative integers.
    pub fn labels(&self, name: &str) -> Vec<usize> {
        self.integer(name).1.iter().map(|&v| usize::try_from(v).expect("labels are not negative")).collect()
    }

    /// A tensor of integers `[n, N]`, row by row.
    pub fn rows<const N: usize>(&self, name: &str) -> Vec<[u64; N]> {
        let (shape, data) = self.integer(name);
        assert_eq!(shape.get(1), Some(&N), "{name}: {shape:?}");
        data.chunks_exact(N).map(|row| std::array::from_fn(|i| row[i] as u64)).collect()
    }

    /// Whether the file has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.floats.contains_key(name) || self.integers.contains_key(name)
    }

    /// All tensors of floats whose names start with `<prefix>.`, without that prefix.
    pub fn part(&self, prefix: &str) -> Weights {
        let mut part = Weights::default();
        for (name, array) in &self.floats {
            if let Some(rest) = name.strip_prefix(prefix).and_then(|n| n.strip_prefix('.')) {
                part.insert(rest, array.clone());
            }
        }
        assert!(!part.tensors.is_empty(), "{} has no tensors `{prefix}.…`", self.path.display());
        part
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.floats.keys().chain(self.integers.keys()).map(String::as_str)
    }
}

/// The index of the golden folder.
///
/// # Panics
/// If it is missing or damaged.
pub fn index() -> Value {
    let path = folders::golden("index.json");
    serde_json::from_slice(&read(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn numbers<const N: usize, V>(data: &[u8], read: impl Fn([u8; N]) -> V) -> Vec<V> {
    data.chunks_exact(N).map(|b| read(b.try_into().expect("chunks of N bytes"))).collect()
}

/// A network that a golden file describes layer by layer.
pub struct GoldenNetwork {
    /// The network.
    pub network: Network,
    /// Its weights.
    pub weights: Weights,
    /// The JSON entry of each spiking layer.
    pub spiking: Vec<Value>,
}

/// The network of an index entry with `input_shape` and `layers`.
pub fn network(entry: &Value, golden: &Golden) -> GoldenNetwork {
    let s: Vec<usize> = entry["input_shape"].as_array().expect("input_shape").iter().map(count).collect();
    network_of(Shape::new(s[0], s[1], s[2]), entry["layers"].as_array().expect("layers"), golden)
}

/// Builds a network from a list of layers.
pub fn network_of(input: Shape, layers: &[Value], golden: &Golden) -> GoldenNetwork {
    let mut b = NetworkBuilder::new("golden", input, InputKind::Events);
    let (mut at, mut shape, mut weights, mut spiking) = (NodeId::Input, input, Weights::default(), Vec::new());
    for (i, l) in layers.iter().enumerate() {
        let name = format!("layer{i}");
        let weight = l["weight"].as_str().map(|w| golden.get(w).clone());
        let layer = match l["type"].as_str() {
            Some("conv") => {
                let w = &weight.as_ref().expect("weight").shape;
                let conv = Conv::square(w[0], w[2], count(&l["stride"]), count(&l["padding"]));
                Layer::Conv(Conv { groups: shape.channels / w[1], ..conv })
            }
            Some("linear") => Layer::Linear(Linear { out: weight.as_ref().expect("weight").shape[0], bias: false }),
            Some("sumpool") => Layer::Pool(Pool::sum(count(&l["k"]))),
            Some("avgpool") => Layer::Pool(Pool::average(count(&l["k"]))),
            Some("iaf" | "lif") => {
                spiking.push(l.clone());
                Layer::Neuron(neuron(l))
            }
            other => panic!("layer type {other:?}"),
        };
        if let Some(w) = weight {
            weights.insert(format!("{name}.weight"), w);
        }
        at = b.add(&name, layer, &[at]);
        shape = layer.output(&name, &[shape]).expect("the layers of a golden network fit");
    }
    GoldenNetwork { network: b.build().expect("a golden network is valid"), weights, spiking }
}

/// The neuron of an entry. An integrate-and-fire neuron fires at equality, a LIF neuron does not.
pub fn neuron(entry: &Value) -> Neuron {
    let tau = entry["tau_us"].as_f64();
    Neuron {
        threshold: number(&entry["threshold"]),
        leak: tau.map_or(Leak::None, Leak::Time),
        spikes: match entry["spike"].as_str() {
            Some("multi") => SpikeMode::Multi,
            Some("single") => SpikeMode::Single,
            other => panic!("spike {other:?}"),
        },
        reset: match entry["reset"].as_str() {
            Some("subtract") => Reset::Soft,
            Some("zero") => Reset::Hard,
            other => panic!("reset {other:?}"),
        },
        v_min: entry["min_v_mem"].as_f64().map(|m| m as f32),
        fire_at_threshold: tau.is_none(),
        ..Neuron::if_multi()
    }
}

/// `neuron` with the refractory period of an entry of `refractory.json`.
pub fn refractory(neuron: Neuron, entry: &Value) -> Neuron {
    let period = match entry["period_us"].as_f64() {
        Some(us) => Period::Us(us),
        None => Period::Steps(entry["rho"].as_f64().expect("`period_us` or `rho`")),
    };
    let during = entry["during"].as_str().expect("`during`").parse().expect("a word of a recipe");
    let fire_at_threshold = !entry["strict"].as_bool().expect("`strict`");
    Neuron { refractory: Some(Refractory { period, during }), fire_at_threshold, ..neuron }
}

/// A list of JSON numbers.
pub fn list(v: &Value) -> Vec<f64> {
    let list = v.as_array().unwrap_or_else(|| panic!("expected a list, got {v}"));
    list.iter().map(|n| n.as_f64().unwrap_or_else(|| panic!("expected a number, got {n}"))).collect()
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
