//! Tensors of any number type out of a safetensors file, as f64.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

/// A file in memory.
pub struct File(Vec<u8>);

impl File {
    pub fn open(path: &Path) -> File {
        File(std::fs::read(path).unwrap())
    }

    pub fn names(&self) -> Vec<String> {
        self.parsed().names().into_iter().map(String::from).collect()
    }

    fn parsed(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    /// Shape and values.
    pub fn get(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let parsed = self.parsed();
        let tensor = parsed.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::U8 => data.iter().map(|&v| f64::from(v)).collect(),
            Dtype::I16 => numbers(data, |b| f64::from(i16::from_le_bytes(b))),
            Dtype::I32 => numbers(data, |b| f64::from(i32::from_le_bytes(b))),
            Dtype::I64 => numbers(data, |b| i64::from_le_bytes(b) as f64),
            Dtype::F32 => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
            Dtype::F64 => numbers(data, f64::from_le_bytes),
            other => panic!("{name}: no reader for {other:?}"),
        };
        (tensor.shape().to_vec(), values)
    }
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.chunks_exact(N).map(|b| read(b.try_into().unwrap())).collect()
}
