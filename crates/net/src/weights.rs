//! Named tensors and their file format (safetensors, little-endian f32).
//!
//! A tensor has the name `<layer>.<tensor>`, for example `conv1.weight` or `norm1.running_mean`.
//!
//! # Checksum
//! A file that Tickless writes has the entry `checksum` among the texts of its header
//! (`__metadata__`), so every other reader of safetensors can read the file too. The value is
//! `xxh3-64:` and 16 hexadecimal digits: XXH3 with seed 0 over
//!
//! ```text
//! for each tensor, by name:
//!     text(name)  text("F32")  number(rank)  number(each side)  its bytes
//! for each other entry, by key:
//!     text(key)  text(value)
//! number(n) = n in 8 bytes, little endian
//! text(s)   = number(length of s in bytes)  s in UTF-8
//! ```
//!
//! Names and keys are sorted by their UTF-8 bytes. A file without a checksum is valid too, because
//! other programs write none; [`WeightFile::has_checksum`] tells the two apart.

use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::network::Network;
use crate::neuron::Leak;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::hash::Hasher;
use std::io::Write;
use std::iter::repeat_n;
use std::path::Path;
use twox_hash::XxHash3_64;

/// Key of the header entry with the checksum.
pub(crate) const CHECKSUM: &str = "checksum";
/// The length of a safetensors header is a multiple of this, in bytes.
const ALIGNMENT: usize = 8;
/// The largest header that readers of safetensors take, in bytes.
const LARGEST_HEADER: usize = 100_000_000;

/// A dense row-major f32 array.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Array {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub data: Vec<f32>,
}

impl Array {
    /// Creates an array from its shape and values.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} against {} values", data.len());
        Self { shape, data }
    }

    /// An array filled with one value.
    pub fn full(shape: &[usize], value: f32) -> Self {
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }
}

/// All weights of a network by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    /// Name → array, sorted by name.
    pub tensors: BTreeMap<String, Array>,
}

impl Weights {
    /// The tensor with this name, if any.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.tensors.get(name)
    }

    /// Adds a tensor, or replaces the one with the same name.
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.tensors.insert(name.into(), array);
    }

    /// The tensor `<node>.<tensor>`.
    ///
    /// # Errors
    /// If it is missing; the message names the layer.
    pub fn require(&self, node: &str, tensor: &str) -> Result<&Array> {
        self.get(&format!("{node}.{tensor}")).ok_or_else(|| Error::Weights {
            file: "<memory>".into(),
            layer: node.to_owned(),
            problem: format!("`{tensor}` is missing"),
        })
    }

    /// Checks that the weights contain every tensor of `network` in its shape, and no other
    /// tensors.
    ///
    /// # Errors
    /// Names the file, the layer and both shapes or the tensor that is missing or superfluous.
    pub fn check(&self, network: &Network, file: &Path) -> Result<()> {
        let refuse = |layer: &str, problem: String| {
            Err(Error::Weights { file: file.to_owned(), layer: layer.to_owned(), problem })
        };
        let mut known = BTreeSet::new();
        for (i, name, spec) in network.tensors() {
            let layer = &network.nodes()[i].name;
            match self.get(&name) {
                None => {
                    return refuse(
                        layer,
                        format!(
                            "network `{}` needs `{name}` of shape {:?}, the file has none",
                            network.name(),
                            spec.shape
                        ),
                    );
                }
                Some(a) if a.shape != spec.shape => {
                    return refuse(
                        layer,
                        format!(
                            "`{name}` has shape {:?} in the file, network `{}` needs {:?}",
                            a.shape,
                            network.name(),
                            spec.shape
                        ),
                    );
                }
                Some(_) => {}
            }
            known.insert(name);
        }
        match self.tensors.keys().find(|k| !known.contains(*k)) {
            Some(extra) => {
                let layer = extra.rsplit_once('.').map_or(extra.as_str(), |p| p.0);
                refuse(layer, format!("the file has `{extra}`, which network `{}` does not have", network.name()))
            }
            None => Ok(()),
        }
    }

    /// `network` with every learned decay replaced by a leak per step of the trained value.
    ///
    /// # Errors
    /// If a decay is missing or not finite.
    pub fn with_learned_leaks(&self, network: &Network) -> Result<Network> {
        let mut leaks = BTreeMap::new();
        for node in network.nodes() {
            if let Layer::Neuron(neuron) = node.layer
                && matches!(neuron.leak, Leak::Learned(_))
            {
                let decay = self.require(&node.name, "decay")?.data.first().copied();
                let Some(decay) = decay.filter(|d| d.is_finite()) else {
                    return Err(Error::layer(&node.name, "its learned `decay` is not one finite number"));
                };
                leaks.insert(node.name.as_str(), neuron.with_learned(decay));
            }
        }
        Ok(network.map_neurons(|name, neuron| leaks.get(name).copied().unwrap_or(neuron)))
    }

    /// Checks that every value is finite and no running variance is negative.
    ///
    /// # Errors
    /// Names the file, the layer, the tensor, the index and the value.
    pub fn check_values(&self, file: &Path) -> Result<()> {
        for (name, array) in &self.tensors {
            let variance = name.ends_with(".running_var");
            let Some(at) = array.data.iter().position(|v| !v.is_finite() || (variance && *v < 0.0)) else { continue };
            let layer = name.rsplit_once('.').map_or(name.as_str(), |p| p.0);
            let (value, limit) =
                (array.data[at], if variance { "a finite number from 0 on" } else { "a finite number" });
            let problem = format!(
                "value {at} of `{name}` is {value}, not {limit}: the training diverged, or the file was changed"
            );
            return Err(Error::Weights { file: file.to_owned(), layer: layer.to_owned(), problem });
        }
        Ok(())
    }

    /// Reads a safetensors file whose tensors are all f32.
    ///
    /// # Errors
    /// If the file cannot be read, is not a safetensors file, has a tensor of another type, or does
    /// not match its checksum.
    pub fn load(file: &Path) -> Result<Self> {
        Ok(WeightFile::load(file)?.weights)
    }

    /// Reads the bytes of a safetensors file; the messages name `file`.
    ///
    /// # Errors
    /// If the bytes are not such a file, a tensor is not f32, or the content does not match the
    /// checksum.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<Self> {
        Ok(WeightFile::from_bytes(bytes, file)?.weights)
    }

    /// The checksum of the tensors and the header's texts (see the [module](self)).
    fn checksum(&self, metadata: &BTreeMap<String, String>) -> String {
        checksum(self.tensors.iter().map(|(name, array)| (name.as_str(), array)), metadata)
    }

    /// The bytes of a safetensors file; its header contains `metadata` and the checksum.
    ///
    /// # Errors
    /// If the format does not allow a tensor's name.
    pub fn to_bytes(&self, metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
        let tensors: BTreeMap<_, _> = self.tensors.iter().map(|(name, array)| (name.clone(), array)).collect();
        let mut bytes = Vec::with_capacity(tensors.values().map(|a| size_of_val(a.data.as_slice())).sum());
        write_tensors(&tensors, metadata.unwrap_or_default(), Path::new("<memory>"), &mut bytes)?;
        Ok(bytes)
    }
}

/// Writes the safetensors file of tensors that lie in several places to `out`; messages name `file`.
/// The header contains `metadata` and the checksum. The memory needed is that of the header.
///
/// # Errors
/// If the format does not allow a tensor's name or shape, or if writing fails.
pub fn write_tensors(
    tensors: &BTreeMap<String, &Array>,
    metadata: HashMap<String, String>,
    file: &Path,
    out: &mut impl Write,
) -> Result<()> {
    let unwritable = |problem: String| Error::WeightFile { file: file.to_owned(), problem };
    let mut metadata: BTreeMap<String, String> = metadata.into_iter().collect();
    let mut infos = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for (name, array) in tensors {
        if array.shape.iter().product::<usize>() != array.data.len() {
            return Err(unwritable(format!("the shape of `{name}` does not fit the number of its values")));
        }
        let begin = end;
        end += size_of_val(array.data.as_slice());
        let (dtype, shape, data_offsets) = (Dtype::F32, array.shape.clone(), (begin, end));
        infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets }));
    }
    let sum = checksum(tensors.iter().map(|(name, array)| (name.as_str(), *array)), &metadata);
    metadata.insert(CHECKSUM.to_owned(), sum);
    let mut header = Metadata::new(Some(metadata.into_iter().collect()), infos)
        .map_err(|e| unwritable(format!("{e:?}")))
        .and_then(|header| serde_json::to_string(&header).map_err(|e| unwritable(e.to_string())))?;
    let length = header.len().next_multiple_of(ALIGNMENT);
    if length > LARGEST_HEADER {
        return Err(unwritable(format!("its header has {length} bytes, the format allows {LARGEST_HEADER}")));
    }
    let failed = |e| Error::io(file, e);
    out.write_all(&(length as u64).to_le_bytes()).map_err(failed)?;
    header.extend(repeat_n(' ', length - header.len()));
    out.write_all(header.as_bytes()).map_err(failed)?;
    tensors.values().try_for_each(|array| little_endian(&array.data, |bytes| out.write_all(bytes)).map_err(failed))
}

/// Passes the little-endian bytes of `values` to `take`, in pieces.
///
/// # Errors
/// The first error of `take`.
fn little_endian<E>(
    values: &[f32],
    mut take: impl FnMut(&[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    const PIECE: usize = 1 << 14;
    let mut buffer = [0; size_of::<f32>() * PIECE];
    for values in values.chunks(PIECE) {
        let bytes = &mut buffer[..size_of_val(values)];
        bytes.chunks_exact_mut(size_of::<f32>()).zip(values).for_each(|(b, v)| b.copy_from_slice(&v.to_le_bytes()));
        take(bytes)?;
    }
    Ok(())
}

/// The checksum of tensors, which come in the order of their names, and of the header's texts.
fn checksum<'a>(tensors: impl Iterator<Item = (&'a str, &'a Array)>, metadata: &BTreeMap<String, String>) -> String {
    let mut hash = XxHash3_64::with_seed(0);
    let number = |hash: &mut XxHash3_64, n: usize| hash.write(&(n as u64).to_le_bytes());
    let text = |hash: &mut XxHash3_64, s: &str| {
        number(hash, s.len());
        hash.write(s.as_bytes());
    };
    for (name, array) in tensors {
        text(&mut hash, name);
        text(&mut hash, "F32");
        number(&mut hash, array.shape.len());
        array.shape.iter().for_each(|n| number(&mut hash, *n));
        let Ok(()) = little_endian(&array.data, |bytes| {
            hash.write(bytes);
            Ok::<_, Infallible>(())
        });
    }
    for (key, value) in metadata.iter().filter(|(key, _)| *key != CHECKSUM) {
        text(&mut hash, key);
        text(&mut hash, value);
    }
    format!("xxh3-64:{:016x}", hash.finish())
}

/// The content of a safetensors file whose checksum was verified, if it has one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WeightFile {
    /// The tensors.
    pub weights: Weights,
    /// The texts of the header, without the checksum.
    pub metadata: BTreeMap<String, String>,
    /// The checksum of the content (see the [module](self)).
    pub checksum: String,
    /// Whether the file states a checksum, which then matches. If not, changes of the file go
    /// unnoticed.
    pub has_checksum: bool,
}

impl WeightFile {
    /// Reads a safetensors file whose tensors are all f32.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
        Self::from_bytes(&bytes, file)
    }

    /// Reads the bytes of a safetensors file; the messages name `file`.
    ///
    /// # Errors
    /// As [`Weights::from_bytes`].
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<Self> {
        let malformed = |problem: String| Error::WeightFile { file: file.to_owned(), problem };
        let parsed = |e: safetensors::SafeTensorError| malformed(format!("{e:?} ({} bytes)", bytes.len()));
        let st = SafeTensors::deserialize(bytes).map_err(parsed)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(parsed)?;
        let mut weights = Weights::default();
        for (name, view) in st.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(malformed(format!("tensor `{name}` is {:?}, weights are f32", view.dtype())));
            }
            let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            weights.tensors.insert(name, Array { shape: view.shape().to_vec(), data });
        }
        let mut metadata: BTreeMap<String, String> =
            header.metadata().clone().unwrap_or_default().into_iter().collect();
        let stated = metadata.remove(CHECKSUM);
        let found = weights.checksum(&metadata);
        match &stated {
            Some(stated) if *stated != found => {
                Err(malformed(format!("its content has the checksum {found}, its header says {stated}")))
            }
            _ => Ok(Self { weights, metadata, checksum: found, has_checksum: stated.is_some() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_a_round_trip_bit_for_bit() {
        let mut w = Weights::default();
        w.insert("a.weight", Array::new(vec![2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 3.5]));
        let back = Weights::from_bytes(&w.to_bytes(None).unwrap(), Path::new("x")).unwrap();
        assert_eq!(back, w);
    }

    fn example() -> Weights {
        let mut w = Weights::default();
        w.insert("conv1.weight", Array::new(vec![2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 3.5]));
        w.insert("norm1.running_var", Array::full(&[3], 0.5));
        w
    }

    #[test]
    fn a_file_has_the_bytes_that_the_library_of_the_format_writes() {
        // Longer than a piece, names and texts beyond ASCII, a scalar, an empty tensor.
        let long = Array::new(vec![3, 7001], (0..21003).map(|i| i as f32 * 0.1).collect());
        let mut w = example();
        w.insert("größe.weight", long);
        w.insert("a", Array::new(Vec::new(), vec![2.0]));
        w.insert("z", Array::new(vec![0, 3], Vec::new()));
        let bytes = w.to_bytes(None).unwrap();
        let header = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone();
        let all: Vec<(&String, &Array, Vec<u8>)> =
            w.tensors.iter().map(|(n, a)| (n, a, a.data.iter().flat_map(|v| v.to_le_bytes()).collect())).collect();
        let view = |a: &Array, b| safetensors::tensor::TensorView::new(Dtype::F32, a.shape.clone(), b).unwrap();
        let theirs = safetensors::serialize(all.iter().map(|(n, a, b)| (n, view(a, b))), header).unwrap();
        assert!(bytes == theirs, "{} bytes here, {} there", bytes.len(), theirs.len());
    }

    #[test]
    fn every_flipped_bit_of_a_weight_file_is_noticed_or_without_effect() {
        let file = Path::new("w.safetensors");
        let metadata = HashMap::from([("position".to_owned(), "{\"epoch\":2}".to_owned())]);
        let bytes = example().to_bytes(Some(metadata)).unwrap();
        let whole = WeightFile::from_bytes(&bytes, file).unwrap();
        assert!(whole.has_checksum && whole.weights == example() && whole.metadata.len() == 1);
        let mut unnoticed = 0;
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match WeightFile::from_bytes(&flipped, file) {
                Err(e) => assert!(e.to_string().starts_with("w.safetensors:"), "{e}"),
                Ok(read) => {
                    // Only a changed key of the checksum itself goes unnoticed; then `has_checksum`
                    // is false.
                    assert!(!read.has_checksum && read.weights == whole.weights, "bit {bit}");
                    unnoticed += 1;
                }
            }
        }
        assert!(unnoticed <= 8 * CHECKSUM.len(), "{unnoticed}");
    }

    #[test]
    fn the_checksum_is_of_names_shapes_values_and_texts_and_no_two_run_into_each_other() {
        let file = Path::new("w.safetensors");
        let checksum = |w: &Weights, texts: &[(&str, &str)]| {
            w.checksum(&texts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        let mut all = vec![checksum(&example(), &[]), checksum(&Weights::default(), &[])];
        let mut other = example();
        other.tensors.get_mut("conv1.weight").unwrap().shape = vec![4];
        all.push(checksum(&other, &[]));
        other.insert("conv1.weight", Array::new(vec![2, 2], vec![1.0, 0.0, f32::MIN_POSITIVE, 3.5]));
        all.push(checksum(&other, &[]));
        all.extend([("a", "bc"), ("ab", "c")].map(|text| checksum(&example(), &[text])));
        let different: BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        // Pinned, because files of earlier versions contain checksums of this definition.
        assert_eq!(all[1], "xxh3-64:2d06800538d394c2");
        let stated = String::from_utf8_lossy(&example().to_bytes(None).unwrap()).contains(&all[0]);
        assert!(stated && WeightFile::from_bytes(&example().to_bytes(None).unwrap(), file).unwrap().has_checksum);
    }

    #[test]
    fn a_file_of_another_program_has_no_checksum_and_is_read() {
        let data: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(Dtype::F32, vec![2], &data).unwrap();
        let bytes = safetensors::serialize([("a.weight", view)], None).unwrap();
        let read = WeightFile::from_bytes(&bytes, Path::new("w")).unwrap();
        assert!(!read.has_checksum && read.weights.tensors["a.weight"].data == [1.0, 2.0]);
    }

    #[test]
    fn values_that_nothing_can_be_computed_with_are_named() {
        let file = Path::new("w.safetensors");
        example().check_values(file).unwrap();
        for (name, value, ok) in [
            ("conv1.weight", f32::NAN, false),
            ("conv1.weight", f32::NEG_INFINITY, false),
            ("conv1.weight", -1e38, true),
            ("norm1.running_var", f32::INFINITY, false),
            ("norm1.running_var", -1e-3, false),
            ("norm1.running_var", 0.0, true),
        ] {
            let mut w = example();
            w.tensors.get_mut(name).unwrap().data[2] = value;
            match w.check_values(file) {
                Ok(()) => assert!(ok, "{name} {value}"),
                Err(e) => {
                    let e = e.to_string();
                    assert!(!ok && e.starts_with("w.safetensors: layer") && e.contains(name), "{e}");
                    assert!(e.contains("value 2") && e.contains(&value.to_string()), "{e}");
                }
            }
        }
    }

    #[test]
    fn every_truncation_of_a_weight_file_is_an_error_that_names_the_file() {
        let mut w = Weights::default();
        w.insert("a.weight", Array::full(&[3, 3], 0.5));
        let bytes = w.to_bytes(None).unwrap();
        for n in 0..bytes.len() {
            let e = Weights::from_bytes(&bytes[..n], Path::new("w.safetensors")).unwrap_err();
            assert!(e.to_string().starts_with("w.safetensors:"), "{e}");
        }
    }
}
