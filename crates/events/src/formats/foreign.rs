//! Recognises files that users mistake for recordings, by their first bytes, so that errors can
//! name what they are.

#[cfg(feature = "datasets")]
use super::FORMATS;
use super::cifar::Kind;
use super::{Probe, idx};

const IMAGES: &str = "give a recording, or the folder of a data set of images";

/// The name of the file's kind, and the remedy for the user; `None` if the kind is not recognised.
pub fn kind(probe: &Probe<'_>) -> Option<(&'static str, &'static str)> {
    magic(probe)
        .or_else(|| idx::fits(probe).then_some(("images or labels in the IDX format of MNIST", IMAGES)))
        .or_else(|| records(probe).then_some(("images of CIFAR in binary records", IMAGES)))
}

/// As [`kind`], for formats with a magic number. In a tar archive the magic number is not at the
/// start: it follows the name of the first member, which may be any bytes.
fn magic(probe: &Probe<'_>) -> Option<(&'static str, &'static str)> {
    const UNPACK: &str = "unpack it, and give a file or the folder";
    let begins = |magic: &[u8]| probe.head.starts_with(magic);
    let known: [(&[u8], &str, &str); 15] = [
        (b"PK\x03\x04", "a zip archive", UNPACK),
        (b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
        (b"Rar!\x1A\x07", "a RAR archive", UNPACK),
        (b"BZh", "packed with bzip2", UNPACK),
        (b"\xFD7zXZ\x00", "packed with xz", UNPACK),
        (b"\x28\xB5\x2F\xFD", "packed with zstd", UNPACK),
        (b"#ROSBAG V", "a ROS bag", "extract the event topic to text, npy or HDF5 with the rosbag package"),
        (b"\x89MCAP0\r\n", "an MCAP log", "extract the event topic to text, npy or HDF5 with the mcap package"),
        (
            b"MATLAB 5.0 MAT-file",
            "a MATLAB file",
            "load it with scipy.io.loadmat, and save x, y, t, p with numpy.savez",
        ),
        (b"PAR1", "a Parquet table", "load it with pandas, and save it as csv with a head"),
        (b"\x89PNG\r\n\x1A\n", "a PNG image", IMAGES),
        (b"\xFF\xD8\xFF", "a JPEG image", IMAGES),
        (b"RIFF", "a WAVE, AVI or other RIFF file", "a simulator such as v2e makes events of a video"),
        (b"%PDF-", "a PDF document", "give a recording"),
        (b"\x7FELF", "a program", "give a recording"),
    ];
    let tar = probe.head.get(257..262) == Some(b"ustar");
    let video = probe.head.get(4..8) == Some(b"ftyp");
    let found = known.iter().find(|(magic, ..)| begins(magic)).map(|&(_, what, remedy)| (what, remedy));
    found
        .or_else(|| tar.then_some(("a tar archive", UNPACK)))
        .or_else(|| video.then_some(("an MP4 video", "a simulator such as v2e makes events of a video")))
}

/// Whether the first bytes of a file, or its name, show that it does not contain image records
/// (which have no magic number).
#[cfg(feature = "datasets")]
pub(crate) fn is_named_otherwise(probe: &Probe<'_>, file: &str) -> bool {
    /// Extensions of other files that are often kept beside image records.
    const OTHERS: [&str; 18] = [
        "jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "tar", "tgz", "zip", "7z", "rar", "mp4", "avi", "wav",
        "pdf", "mat", "bag",
    ];
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let extension = name.rsplit(['/', '\\']).next().and_then(|name| name.rsplit_once('.')).map(|(_, e)| e);
    let formats = FORMATS.iter().flat_map(|f| f.extensions).filter(|e| **e != "bin");
    let named = extension.is_some_and(|e| OTHERS.contains(&e) || formats.into_iter().any(|known| *known == e));
    named || magic(probe).is_some()
}

/// Whether `head` consists of whole records of CIFAR-10 or CIFAR-100, and the length, if known,
/// fits.
fn records(probe: &Probe<'_>) -> bool {
    let whole = |kind: Kind| probe.len.is_none_or(|len| len.is_multiple_of(kind.record() as u64));
    [Kind::Cifar10, Kind::Cifar100].into_iter().any(|kind| whole(kind) && kind.begins(probe.head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_recording_is_called_what_it_is() {
        let what = |bytes: &[u8]| kind(&Probe::whole(bytes)).map(|(what, _)| what);
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(what(&tar), Some("a tar archive"));
        assert_eq!(what(b"#ROSBAG V2.0\n"), Some("a ROS bag"));
        assert_eq!(what(&[7; 3073]), Some("images of CIFAR in binary records"));
        assert_eq!(what(&[&[0, 0, 8, 1, 0, 0, 0, 2][..], &[3, 4]].concat()).map(|w| w.contains("IDX")), Some(true));
        // The header states one label more than the file contains.
        assert_eq!(what(&[&[0, 0, 8, 1, 0, 0, 0, 3][..], &[3, 4]].concat()), None);
        assert_eq!((what(b""), what(b"hello")), (None, None));
    }
}
