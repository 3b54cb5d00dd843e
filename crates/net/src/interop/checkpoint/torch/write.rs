//! Writes a PyTorch file: the archive and pickle that `torch.save` writes for a state dict.

use crate::error::{Error, Result};
use crate::weights::Array;
use std::borrow::Borrow;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The bytes of a `.pt` file with an `OrderedDict` of these tensors, in this order, as f32 on the
/// CPU. `torch.load(FILE, weights_only=True)` opens it.
///
/// # Errors
/// If the archive cannot be written.
pub fn to_bytes(tensors: &[(String, impl Borrow<Array>)]) -> Result<Vec<u8>> {
    let unwritable = |e: &dyn std::fmt::Display| Error::Checkpoint {
        file: Path::new("<memory>").to_owned(),
        problem: format!("cannot be written as a zip archive: {e}"),
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut member = |name: &str, bytes: &[u8]| -> Result<()> {
        // PyTorch maps storages into memory and asks for this alignment.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::DEFAULT)
            .large_file(bytes.len() > u32::MAX as usize)
            .with_alignment(64);
        zip.start_file(format!("archive/{name}"), options).map_err(|e| unwritable(&e))?;
        zip.write_all(bytes).map_err(|e| unwritable(&e))
    };
    member("data.pkl", &pickle(tensors))?;
    member("byteorder", b"little")?;
    for (key, (_, array)) in tensors.iter().enumerate() {
        let array: &Array = array.borrow();
        let bytes: Vec<u8> = array.data.iter().flat_map(|v| v.to_le_bytes()).collect();
        member(&format!("data/{key}"), &bytes)?;
    }
    member("version", b"3\n")?;
    Ok(zip.finish().map_err(|e| unwritable(&e))?.into_inner())
}

/// The pickle, protocol 2, without references to earlier values.
fn pickle(tensors: &[(String, impl Borrow<Array>)]) -> Vec<u8> {
    let mut out = vec![0x80, 2];
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (key, (name, array)) in tensors.iter().enumerate() {
        let array: &Array = array.borrow();
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        number(&mut out, array.data.len());
        out.extend(b"tQ");
        number(&mut out, 0);
        out.push(b'(');
        array.shape.iter().for_each(|n| number(&mut out, *n));
        out.extend(b"t(");
        for i in 0..array.shape.len() {
            number(&mut out, array.shape[i + 1..].iter().product());
        }
        // requires_grad: False; backward hooks: an empty OrderedDict.
        out.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// LONG1 of eight bytes, of which the last is 0 for every length in memory.
fn number(out: &mut Vec<u8>, n: usize) {
    out.extend([0x8a, 8]);
    out.extend((n as u64).to_le_bytes());
}
