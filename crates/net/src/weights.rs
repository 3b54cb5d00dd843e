//! Named tensors and the one file format that holds them (safetensors, little endian f32).
//!
//! A tensor is named `<layer>.<tensor>`: `conv1.weight`, `norm1.running_mean`.

use crate::error::{Error, Result};
use crate::network::Network;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A dense row-major f32 array.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row major.
    pub data: Vec<f32>,
}

impl Array {
    /// An array from its parts.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} against {} values", data.len());
        Self { shape, data }
    }

    /// An array of one value.
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
    /// One tensor.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.tensors.get(name)
    }

    /// Adds or replaces one tensor.
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.tensors.insert(name.into(), array);
    }

    /// The tensor `<node>.<tensor>`, or an error that names the layer.
    ///
    /// # Errors
    /// If it is missing.
    pub fn require(&self, node: &str, tensor: &str) -> Result<&Array> {
        self.get(&format!("{node}.{tensor}")).ok_or_else(|| Error::Weights {
            file: "<memory>".into(),
            layer: node.to_owned(),
            problem: format!("`{tensor}` is missing"),
        })
    }

    /// Checks that every tensor of `network` is there with its shape and that nothing is left over.
    ///
    /// # Errors
    /// Names the file, the layer and both shapes.
    pub fn check(&self, network: &Network, file: &Path) -> Result<()> {
        let wrong = |layer: &str, problem: String| {
            Err(Error::Weights { file: file.to_owned(), layer: layer.to_owned(), problem })
        };
        let mut known = std::collections::BTreeSet::new();
        for (i, name, spec) in network.tensors() {
            let layer = &network.nodes()[i].name;
            match self.get(&name) {
                None => {
                    return wrong(
                        layer,
                        format!(
                            "network `{}` needs `{name}` of shape {:?}, the file has none",
                            network.name(),
                            spec.shape
                        ),
                    );
                }
                Some(a) if a.shape != spec.shape => {
                    return wrong(
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
                wrong(layer, format!("the file has `{extra}`, which network `{}` does not have", network.name()))
            }
            None => Ok(()),
        }
    }

    /// Reads a safetensors file. `f32` tensors only.
    ///
    /// # Errors
    /// If the file cannot be read or is not such a file.
    pub fn load(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
        Self::from_bytes(&bytes, file)
    }

    /// Reads the bytes of a safetensors file; `file` is used in messages.
    ///
    /// # Errors
    /// If the bytes are not such a file or a tensor is not `f32`.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::WeightFile { file: file.to_owned(), problem };
        let st = SafeTensors::deserialize(bytes).map_err(|e| wrong(format!("{e:?} ({} bytes)", bytes.len())))?;
        let mut out = Weights::default();
        for (name, view) in st.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(wrong(format!("tensor `{name}` is {:?}, weights are f32", view.dtype())));
            }
            let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            out.tensors.insert(name, Array { shape: view.shape().to_vec(), data });
        }
        Ok(out)
    }

    /// The text entries in the header of a safetensors file.
    ///
    /// # Errors
    /// If the bytes are not such a file.
    pub fn metadata(bytes: &[u8], file: &Path) -> Result<HashMap<String, String>> {
        let wrong =
            |e: safetensors::SafeTensorError| Error::WeightFile { file: file.to_owned(), problem: format!("{e:?}") };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        Ok(header.metadata().clone().unwrap_or_default())
    }

    /// The bytes of a safetensors file; `metadata` goes into its header.
    ///
    /// # Errors
    /// If the tensors cannot be written (a name that the format refuses).
    pub fn to_bytes(&self, metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
        let bytes: Vec<(&String, Vec<u8>, &Vec<usize>)> = self
            .tensors
            .iter()
            .map(|(k, a)| (k, a.data.iter().flat_map(|v| v.to_le_bytes()).collect(), &a.shape))
            .collect();
        let wrong =
            |e: safetensors::SafeTensorError| Error::WeightFile { file: "<memory>".into(), problem: format!("{e:?}") };
        let mut views = Vec::with_capacity(bytes.len());
        for (name, data, shape) in &bytes {
            views.push((name.as_str(), TensorView::new(Dtype::F32, (*shape).clone(), data).map_err(wrong)?));
        }
        safetensors::serialize(views, metadata).map_err(wrong)
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
