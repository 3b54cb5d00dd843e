//! Reads and writes numbers that may be infinite or undefined as JSON.
//!
//! JSON has no infinity, and `serde_json` writes `null` for it, which does not read back. A
//! diverged loss and a spike difference to a silent network are results that must be stored, so
//! they are written as the words `infinity`, `-infinity` and `nan`. Use as `#[serde(with =
//! "number")]`.

use serde::{Deserialize, Deserializer, Serializer};

/// A JSON number, one of the three words, or null, which older files contain.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
    Null(()),
}

impl Written {
    fn value<E: serde::de::Error>(self) -> Result<f64, E> {
        match self {
            Written::Number(value) => Ok(value),
            Written::Null(()) => Ok(f64::NAN),
            Written::Word(word) => match word.as_str() {
                "infinity" => Ok(f64::INFINITY),
                "-infinity" => Ok(f64::NEG_INFINITY),
                "nan" => Ok(f64::NAN),
                _ => Err(E::custom(format!("`{word}` is no number; allowed words: infinity, -infinity, nan"))),
            },
        }
    }
}

/// Writes a number.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *value {
        v if v.is_finite() => serializer.serialize_f64(v),
        v if v.is_nan() => serializer.serialize_str("nan"),
        v if v > 0.0 => serializer.serialize_str("infinity"),
        _ => serializer.serialize_str("-infinity"),
    }
}

/// Reads a number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Written::deserialize(deserializer)?.value()
}

/// The same for an `Option`.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, Written};

    /// Writes a number or null.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a number or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<Written>::deserialize(deserializer)?.map(Written::value).transpose()
    }
}

#[cfg(test)]
mod tests {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct One(#[serde(with = "super")] f64);

    #[test]
    fn words_for_what_json_cannot_say() {
        for (value, json) in [(0.5, "0.5"), (f64::INFINITY, "\"infinity\""), (f64::NEG_INFINITY, "\"-infinity\"")] {
            assert_eq!(serde_json::to_string(&One(value)).unwrap(), json);
            assert_eq!(serde_json::from_str::<One>(json).unwrap().0, value);
        }
        assert!(serde_json::from_str::<One>("\"nan\"").unwrap().0.is_nan());
        assert!(serde_json::from_str::<One>("null").unwrap().0.is_nan());
        let error = serde_json::from_str::<One>("\"many\"").err().unwrap().to_string();
        assert!(error.contains("`many`"), "{error}");
    }
}
