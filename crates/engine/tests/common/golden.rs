//! The golden files: where they are, and how their layer lists become networks.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tickless_net::{
    Array, Conv, InputKind, Layer, Leak, Linear, Network, NetworkBuilder, Neuron, NodeId, Pool, Reset, Shape,
    SpikeMode, Weights,
};

/// A folder given by an environment variable, else next to the workspace. `None` (and one line
/// that names what is skipped) if it is not there, a failure if it must be.
pub fn folder(variable: &str, default: &str, skipped: &str) -> Option<PathBuf> {
    // At run time: a target folder that several clones share keeps the path of the one that built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).join("../..");
    let path = std::env::var_os(variable).map_or_else(|| root.join(default), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("TICKLESS_REQUIRE_SHARED").is_ok_and(|v| v == "1");
    assert!(!required, "{} is missing, and TICKLESS_REQUIRE_SHARED=1 asks for it (set {variable})", path.display());
    println!("skipped {skipped}: no folder {} (set {variable})", path.display());
    None
}

/// The golden folder.
pub fn golden(skipped: &str) -> Option<PathBuf> {
    folder("TICKLESS_GOLDEN", "../shared/golden", skipped)
}

/// The data folder.
pub fn data(skipped: &str) -> Option<PathBuf> {
    folder("TICKLESS_DATA", "../shared/data", skipped)
}

/// The entries of index.json whose file name starts with `kind`: (file, entry).
pub fn entries(folder: &Path, kind: &str) -> Vec<(PathBuf, Value)> {
    let text = std::fs::read_to_string(folder.join("index.json")).expect("index.json");
    let index: Value = serde_json::from_str(&text).expect("index.json");
    let files = index["files"].as_object().expect("files");
    let found: Vec<_> =
        files.iter().filter(|(k, _)| k.starts_with(kind)).map(|(k, v)| (folder.join(k), v.clone())).collect();
    assert!(!found.is_empty(), "index.json has no entry {kind}*");
    found
}

/// The tensors of a safetensors file, all as f64 (float32 and int32/64 are exact in it).
pub struct Tensors(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Tensors {
    pub fn load(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let st = SafeTensors::deserialize(&bytes).expect("safetensors");
        let mut all = BTreeMap::new();
        for (name, v) in st.tensors() {
            let d = v.data();
            let data = match v.dtype() {
                Dtype::F32 => d.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
                Dtype::F64 => d.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
                Dtype::I32 => d.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
                Dtype::I64 => d.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
                other => panic!("{name}: {other:?}"),
            };
            all.insert(name, (v.shape().to_vec(), data));
        }
        Self(all)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn get(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// Rows of integers.
    pub fn rows<const N: usize>(&self, name: &str) -> Vec<[u64; N]> {
        let (shape, data) = self.get(name);
        assert_eq!(shape.get(1), Some(&N), "{name}: {shape:?}");
        data.chunks_exact(N).map(|r| std::array::from_fn(|i| r[i] as u64)).collect()
    }

    pub fn array(&self, name: &str) -> Array {
        let (shape, data) = self.get(name);
        Array::new(shape.clone(), data.iter().map(|&v| v as f32).collect())
    }
}

/// A golden network with the names of what its spiking layers must give.
pub struct Case {
    pub net: Network,
    pub weights: Weights,
    /// The JSON of each spiking layer.
    pub spiking: Vec<Value>,
}

fn number(v: &Value, key: &str) -> usize {
    v[key].as_u64().unwrap_or_else(|| panic!("{key} of {v}")) as usize
}

/// The neuron that a golden entry describes. Integrate and fire fires at equality, LIF does not.
pub fn neuron(v: &Value) -> Neuron {
    let tau = v["tau_us"].as_f64();
    Neuron {
        threshold: v["threshold"].as_f64().expect("threshold") as f32,
        leak: tau.map_or(Leak::None, Leak::Time),
        spikes: match v["spike"].as_str() {
            Some("multi") => SpikeMode::Multi,
            Some("single") => SpikeMode::Single,
            other => panic!("spike {other:?}"),
        },
        reset: match v["reset"].as_str() {
            Some("subtract") => Reset::Soft,
            Some("zero") => Reset::Hard,
            other => panic!("reset {other:?}"),
        },
        v_min: v["min_v_mem"].as_f64().map(|m| m as f32),
        fire_at_threshold: tau.is_none(),
        ..Neuron::if_multi()
    }
}

/// Translates a layer list.
pub fn translate(input: Shape, layers: &[Value], tensors: &Tensors) -> Case {
    let mut b = NetworkBuilder::new("golden", input, InputKind::Events);
    let (mut at, mut shape, mut weights, mut spiking) = (NodeId::Input, input, Weights::default(), Vec::new());
    for (i, l) in layers.iter().enumerate() {
        let name = format!("layer{i}");
        let weight = l["weight"].as_str().map(|w| tensors.array(w));
        let layer = match l["type"].as_str() {
            Some("conv") => {
                let w = &weight.as_ref().expect("weight").shape;
                let (stride, padding) = (number(l, "stride"), number(l, "padding"));
                Layer::Conv(Conv {
                    out: w[0],
                    kernel: w[2],
                    stride,
                    padding,
                    groups: shape.channels / w[1],
                    bias: false,
                })
            }
            Some("linear") => Layer::Linear(Linear { out: weight.as_ref().expect("weight").shape[0], bias: false }),
            Some("sumpool") => Layer::Pool(Pool::sum(number(l, "k"))),
            Some("avgpool") => Layer::Pool(Pool::average(number(l, "k"))),
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
        shape = layer.output(&name, &[shape]).unwrap();
    }
    Case { net: b.build().unwrap(), weights, spiking }
}

/// The network of an `async_*` case.
pub fn case(entry: &Value, tensors: &Tensors) -> Case {
    let s: Vec<usize> =
        entry["input_shape"].as_array().expect("input_shape").iter().map(|v| v.as_u64().unwrap() as usize).collect();
    translate(Shape::new(s[0], s[1], s[2]), entry["layers"].as_array().expect("layers"), tensors)
}
