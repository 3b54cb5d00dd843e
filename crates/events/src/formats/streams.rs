//! The choice of one stream of a file that contains several recordings.
//!
//! A file of one stream is read without a choice. For a file of several, reading is an error until
//! the caller chooses one ([`super::ReadOptions::stream`]), so that no recording is ignored
//! unnoticed.

pub use crate::stream::StreamInfo;
use crate::{Error, Result};

/// The index of the wanted stream, or of the only one.
///
/// # Errors
/// [`Error::Streams`] if the wanted stream does not exist, or if several exist and none is wanted.
#[cfg_attr(
    not(any(feature = "aedat4", feature = "hdf5")),
    allow(dead_code, reason = "the formats of several streams are optional")
)]
pub(super) fn choose(streams: &[StreamInfo], wanted: Option<i32>, file: &str, format: &'static str) -> Result<usize> {
    let found = match (wanted, streams) {
        (Some(number), _) => streams.iter().position(|s| s.number == number),
        (None, [_]) => Some(0),
        (None, _) => None,
    };
    found.ok_or_else(|| Error::Streams { file: file.into(), format, wanted, streams: streams.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sensor;

    fn stream(number: i32, name: &str) -> StreamInfo {
        StreamInfo { number, name: name.into(), sensor: (number > 0).then_some(Sensor { width: 8, height: 6 }) }
    }

    #[test]
    fn the_only_stream_is_taken_and_of_several_the_wanted_one() {
        let streams = [stream(0, "left"), stream(3, "")];
        assert_eq!(choose(&streams[..1], None, "f", "x").unwrap(), 0);
        assert_eq!(choose(&streams, Some(3), "f", "x").unwrap(), 1);
        for wanted in [None, Some(1)] {
            let error = choose(&streams, wanted, "f", "x").unwrap_err();
            let Error::Streams { file, streams: listed, wanted: refused, .. } = &error else { panic!("{error}") };
            assert_eq!((&file[..], &listed[..], *refused), ("f", &streams[..], wanted));
            assert!(error.to_string().contains(": 0 (left), 3 (8x6)") || wanted.is_some(), "{error}");
        }
    }
}
