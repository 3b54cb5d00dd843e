//! The checksum in the field `checksum` of a run's JSON files. If somebody changes a value or
//! misspells a key, the checksum does not fit, and the reader of the file notices it.

use crate::error::{Error, Result};
use serde_json::Value;
use std::hash::Hasher;
use std::path::Path;
use twox_hash::XxHash3_64;

/// The field of a JSON object that holds its checksum.
const FIELD: &str = "checksum";

/// The checksum of these texts, one after the other: `xxh3-64:` and the 16 hexadecimal digits of
/// XXH3 with seed 0.
pub(super) fn over(texts: &[&str]) -> String {
    let mut hash = XxHash3_64::with_seed(0);
    texts.iter().for_each(|text| hash.write(text.as_bytes()));
    format!("xxh3-64:{:016x}", hash.finish())
}

/// The result of comparing a file with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The file is as it was written.
    Whole,
    /// The file was changed after it was written.
    Broken,
    /// The file has no checksum, because an earlier version wrote it.
    Absent,
}

/// Adds the checksum over its fields to an object.
///
/// # Errors
/// If the value is not an object.
pub(super) fn seal(mut value: Value, path: &Path) -> Result<Value> {
    let sum = over(&[&value.to_string()]);
    let Some(fields) = value.as_object_mut() else {
        return Err(Error::NotWritten {
            path: path.to_owned(),
            problem: "not written, because it is no object".into(),
        });
    };
    fields.insert(FIELD.into(), sum.into());
    Ok(value)
}

/// Removes the checksum from an object and compares it with the other fields.
pub(super) fn unseal(mut value: Value) -> (Value, Seal) {
    let sum = value.as_object_mut().and_then(|fields| fields.remove(FIELD));
    let seal = match sum {
        None => Seal::Absent,
        Some(sum) if sum == over(&[&value.to_string()]) => Seal::Whole,
        Some(_) => Seal::Broken,
    };
    (value, seal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_change_of_a_value_or_a_key_breaks_the_seal() {
        let value = json!({"part": "test", "points": [{"loss": 0.1, "configuration": [1, 2]}], "weights": null});
        let sealed = seal(value.clone(), Path::new("a.json")).unwrap();
        // Parses the text, as a reader of the file does.
        let read = |text: &str| unseal(serde_json::from_str(text).unwrap());
        let text = serde_json::to_string_pretty(&sealed).unwrap();
        assert_eq!(read(&text), (value.clone(), Seal::Whole));
        for (from, to) in [("0.1", "0.2"), ("[\n        1", "[\n        3"), ("loss", "lost"), ("null", "1")] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert_eq!(read(&changed).1, Seal::Broken, "{from} to {to}");
        }
        assert_eq!(read(&text.replacen("xxh3-64:", "xxh3-64:0", 1)).1, Seal::Broken);
        assert_eq!(read(&value.to_string()), (value, Seal::Absent));
        assert!(seal(json!([1]), Path::new("a.json")).is_err());
    }
}
