//! A trace as NumPy arrays in one file: `numpy.load("trace.npz")`.
//!
//! ```text
//! recordings                     files of the recordings, text [recordings]
//! grid_us                        µs between two rows, f64 []
//! LAYER.shape                    channels, rows, columns, i64 [3]
//! LAYER.spikes.recording         which recording, i64 [spikes]
//! LAYER.spikes.time_us           when, i64 [spikes]
//! LAYER.spikes.neuron            which neuron, (channel, row, column) in one number, i64 [spikes]
//! LAYER.counts                   f32 [recordings, steps, neurons]
//! LAYER.v                        f32 [recordings, rows, neurons]
//! ```
//!
//! Source: NumPy Enhancement Proposal 1, version 1.0 of the npy format.

use super::Traced;
use crate::{Error, Result};
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Bytes at the start of every npy file: its mark and the version of the format.
const MARK: &[u8] = b"\x93NUMPY\x01\x00";

/// The header of an array, which ends at a multiple of 64 bytes.
fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let mut dims = String::new();
    shape.iter().for_each(|d| {
        let _ = write!(dims, "{d}, ");
    });
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({dims}), }}");
    let used = MARK.len() + 2 + text.len() + 1;
    text.push_str(&" ".repeat(used.next_multiple_of(64) - used));
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [MARK, &length.to_le_bytes(), text.as_bytes()].concat()
}

fn integers(shape: &[usize], values: impl IntoIterator<Item = i64>) -> Vec<u8> {
    header("<i8", shape).into_iter().chain(values.into_iter().flat_map(i64::to_le_bytes)).collect()
}

fn floats(shape: &[usize], rows: &[Vec<f32>]) -> Vec<u8> {
    header("<f4", shape).into_iter().chain(rows.iter().flatten().flat_map(|v| v.to_le_bytes())).collect()
}

/// Text as NumPy stores it: four bytes a character, as many for all as the longest needs.
fn texts(all: &[String]) -> Vec<u8> {
    let longest = all.iter().map(|t| t.chars().count()).max().unwrap_or(0).max(1);
    let padded = |t: &String| t.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest).collect::<Vec<u32>>();
    let bytes = all.iter().flat_map(padded).flat_map(u32::to_le_bytes);
    header(&format!("<U{longest}"), &[all.len()]).into_iter().chain(bytes).collect()
}

/// The bytes of the file.
pub(super) fn bytes(traced: &Traced) -> Result<Vec<u8>> {
    let mut arrays = vec![
        ("recordings".to_owned(), texts(&traced.recordings)),
        ("grid_us".to_owned(), header("<f8", &[]).into_iter().chain(traced.grid_us.to_le_bytes()).collect()),
    ];
    for layer in &traced.layers {
        let mut put = |what: &str, array: Vec<u8>| arrays.push((format!("{}.{what}", layer.name), array));
        let s = layer.shape;
        put("shape", integers(&[3], [s.channels, s.height, s.width].map(|d| d as i64)));
        if let Some(spikes) = &layer.spikes {
            let count = [spikes.iter().map(Vec::len).sum::<usize>()];
            let of = |f: &dyn Fn(usize, (u64, usize)) -> i64| -> Vec<i64> {
                spikes
                    .iter()
                    .enumerate()
                    .flat_map(|(r, all)| all.iter().map(move |s| (r, *s)))
                    .map(|(r, s)| f(r, s))
                    .collect()
            };
            put("spikes.recording", integers(&count, of(&|r, _| r as i64)));
            put("spikes.time_us", integers(&count, of(&|_, s| s.0 as i64)));
            put("spikes.neuron", integers(&count, of(&|_, s| s.1 as i64)));
        }
        for (what, rows) in [("counts", &layer.counts), ("v", &layer.potentials)] {
            if let Some(rows) = rows {
                let steps = rows.first().map_or(0, |r| r.len() / s.len().max(1));
                put(what, floats(&[rows.len(), steps, s.len()], rows));
            }
        }
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let made = |e: &dyn std::fmt::Display| Error::Archive { reason: e.to_string() };
    for (name, array) in arrays {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let options = options.large_file(array.len() > u32::MAX as usize);
        zip.start_file(format!("{name}.npy"), options).map_err(|e| made(&e))?;
        zip.write_all(&array).map_err(|e| made(&e))?;
    }
    Ok(zip.finish().map_err(|e| made(&e))?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_at_a_multiple_of_64_bytes_and_states_type_and_shape() {
        for shape in [&[][..], &[3], &[2, 5, 7], &[100_000, 1, 12_345]] {
            let bytes = header("<f4", shape);
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(&bytes[..8], MARK);
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10, bytes.len());
            let text = String::from_utf8_lossy(&bytes[10..]).into_owned();
            assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (") && text.ends_with('\n'));
        }
        assert!(String::from_utf8_lossy(&header("<i8", &[3])).contains("(3, )"), "a tuple of one");
    }

    #[test]
    fn texts_have_the_width_of_the_longest() {
        let bytes = texts(&["ab".into(), "é".into()]);
        assert!(String::from_utf8_lossy(&bytes[10..128]).contains("'<U2'"));
        assert_eq!(&bytes[128..], &[97, 0, 0, 0, 98, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0, 0, 0]);
    }
}
