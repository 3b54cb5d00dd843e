//! The official files of published data sets, with their URLs and known checksums and lengths.

/// The files of one data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Name to use with [`super::fetch`]: that of the data set, with a suffix if it has several
    /// variants.
    pub name: &'static str,
    /// A web page about the data set, or from which it can be downloaded by hand.
    pub page: &'static str,
    /// A description of one line.
    pub about: &'static str,
    /// The files.
    pub files: &'static [File],
}

/// One file of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its URL.
    pub url: &'static str,
    /// Its name in the data set's folder, and on a mirror.
    pub name: &'static str,
    /// MD5 of its bytes, in hexadecimal. The sources publish MD5, which detects transmission
    /// errors; it proves nothing about who made the file.
    pub md5: &'static str,
    /// Its length in bytes, if known.
    pub bytes: Option<u64>,
    /// Whether it is unpacked.
    pub then: Then,
}

/// The action on a file after the download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The file is kept; the data set reads it as it is.
    Keep,
    /// The file is unpacked in its folder, including zip archives inside it, and then deleted.
    Unpack,
}

/// Every data set that can be downloaded.
pub const SOURCES: &[Source] = &[
    Source {
        name: "mnist",
        page: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        about: "MNIST, 60,000 + 10,000 images of digits, 12 MB",
        files: &[
            File {
                url: "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
                name: "train-images-idx3-ubyte.gz",
                md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                bytes: Some(9_912_422),
                then: Then::Keep,
            },
            File {
                url: "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
                name: "train-labels-idx1-ubyte.gz",
                md5: "d53e105ee54ea40749a09fcbcd1e9432",
                bytes: Some(28_881),
                then: Then::Keep,
            },
            File {
                url: "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
                name: "t10k-images-idx3-ubyte.gz",
                md5: "9fb629c4189551a2d022fa330f9573f3",
                bytes: Some(1_648_877),
                then: Then::Keep,
            },
            File {
                url: "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
                name: "t10k-labels-idx1-ubyte.gz",
                md5: "ec29112dd5afa0611ce80d1b7f02629c",
                bytes: Some(4_542),
                then: Then::Keep,
            },
        ],
    },
    Source {
        name: "cifar10",
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        about: "CIFAR-10, 60,000 images, 170 MB",
        files: &[File {
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            name: "cifar-10-binary.tar.gz",
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
            bytes: Some(170_052_171),
            then: Then::Unpack,
        }],
    },
    Source {
        name: "cifar100",
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        about: "CIFAR-100, 60,000 images, 169 MB",
        files: &[File {
            url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            name: "cifar-100-binary.tar.gz",
            md5: "03b5dce01913d631647c71ecec9e9cb8",
            bytes: Some(168_513_733),
            then: Then::Unpack,
        }],
    },
    Source {
        name: "nmnist",
        page: "https://data.mendeley.com/datasets/468j46mzdv",
        about: "N-MNIST, 60,000 + 10,000 recordings, about 1.2 GB (read as zips)",
        files: &[
            File {
                url: "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
                name: "Train.zip",
                md5: "20959b8e626244a1b502305a9e6e2031",
                bytes: None,
                then: Then::Keep,
            },
            File {
                url: "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
                name: "Test.zip",
                md5: "69ca8762b2fe404d9b9bad1103e97832",
                bytes: None,
                then: Then::Keep,
            },
        ],
    },
    Source {
        name: "ncaltech101",
        page: "https://data.mendeley.com/datasets/cy6cvx3ryv",
        about: "N-Caltech101, 8,709 recordings",
        files: &[File {
            url: "https://data.mendeley.com/public-files/datasets/cy6cvx3ryv/files/36b5c52a-b49d-4853-addb-a836a8883e49/file_downloaded",
            name: "N-Caltech101-archive.zip",
            md5: "66201824eabb0239c7ab992480b50ba3",
            bytes: None,
            then: Then::Unpack,
        }],
    },
    Source {
        name: "cifar10-dvs",
        page: "https://figshare.com/ndownloader/files/38023437",
        about: "CIFAR10-DVS as AEDAT4, 10,000 recordings",
        files: &[File {
            url: "https://figshare.com/ndownloader/files/38023437",
            name: "CIFAR10DVS.zip",
            md5: "ce3a4a0682dc0943703bd8f749a7701c",
            bytes: None,
            then: Then::Unpack,
        }],
    },
    Source {
        name: "cifar10-dvs-aedat2",
        page: "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
        about: "CIFAR10-DVS as published first (AEDAT 2.0), 10,000 recordings in a zip for each class",
        files: &[
            class_zip(
                "https://ndownloader.figshare.com/files/7712788",
                "airplane.zip",
                "0afd5c4bf9ae06af762a77b180354fdd",
            ),
            class_zip(
                "https://ndownloader.figshare.com/files/7712791",
                "automobile.zip",
                "8438dfeba3bc970c94962d995b1b9bdd",
            ),
            class_zip("https://ndownloader.figshare.com/files/7712794", "bird.zip", "a9c207c91c55b9dc2002dc21c684d785"),
            class_zip("https://ndownloader.figshare.com/files/7712812", "cat.zip", "52c63c677c2b15fa5146a8daf4d56687"),
            class_zip("https://ndownloader.figshare.com/files/7712815", "deer.zip", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
            class_zip("https://ndownloader.figshare.com/files/7712818", "dog.zip", "f379ebdf6703d16e0a690782e62639c3"),
            class_zip("https://ndownloader.figshare.com/files/7712842", "frog.zip", "cad6ed91214b1c7388a5f6ee56d08803"),
            class_zip(
                "https://ndownloader.figshare.com/files/7712851",
                "horse.zip",
                "e7cbbf77bec584ffbf913f00e682782a",
            ),
            class_zip("https://ndownloader.figshare.com/files/7712836", "ship.zip", "41c7bd7d6b251be82557c6cce9a7d5c9"),
            class_zip(
                "https://ndownloader.figshare.com/files/7712839",
                "truck.zip",
                "89f3922fd147d9aeff89e76a2b0b70a7",
            ),
        ],
    },
    Source {
        name: "dvs-gesture",
        page: "https://figshare.com/ndownloader/files/38022171",
        about: "DVS-Gesture as one .npy for each trial",
        files: &[
            File {
                url: "https://figshare.com/ndownloader/files/38022171",
                name: "ibmGestureTrain.tar.gz",
                md5: "3a8f0d4120a166bac7591f77409cb105",
                bytes: None,
                then: Then::Unpack,
            },
            File {
                url: "https://figshare.com/ndownloader/files/38020584",
                name: "ibmGestureTest.tar.gz",
                md5: "56070e45dadaa85fff82e0fbfbc06de5",
                bytes: None,
                then: Then::Unpack,
            },
        ],
    },
    Source {
        name: "shd",
        page: "https://zenkelab.org/datasets/",
        about: "Spiking Heidelberg Digits, two HDF5 files",
        files: &[
            File {
                url: "https://zenkelab.org/datasets/shd_train.h5.zip",
                name: "shd_train.h5.zip",
                md5: "f3252aeb598ac776c1b526422d90eecb",
                bytes: None,
                then: Then::Unpack,
            },
            File {
                url: "https://zenkelab.org/datasets/shd_test.h5.zip",
                name: "shd_test.h5.zip",
                md5: "1503a5064faa34311c398fb0a1ed0a6f",
                bytes: None,
                then: Then::Unpack,
            },
        ],
    },
];

const fn class_zip(url: &'static str, name: &'static str, md5: &'static str) -> File {
    File { url, name, md5, bytes: None, then: Then::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_checksum_and_a_name_of_its_own() {
        let mut md5s: Vec<_> = SOURCES.iter().flat_map(|s| s.files).map(|f| f.md5).collect();
        let files = md5s.len();
        assert!(md5s.iter().all(|m| m.len() == 32 && m.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))));
        md5s.sort_unstable();
        md5s.dedup();
        assert_eq!(md5s.len(), files);
        for source in SOURCES {
            let mut names: Vec<_> = source.files.iter().map(|f| f.name).collect();
            assert!(names.iter().all(|n| !n.contains(['/', '\\']) && !n.starts_with('.')));
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), source.files.len(), "{}", source.name);
            assert!(source.files.iter().all(|f| f.url.starts_with("https://")));
        }
    }

    #[cfg(feature = "datasets")]
    #[test]
    fn every_source_is_a_data_set_that_can_be_opened() {
        for source in SOURCES {
            let opens = |name: &str| crate::datasets::list().iter().any(|d| d.name == name);
            assert!(opens(source.name) || source.name.strip_suffix("-aedat2").is_some_and(opens), "{}", source.name);
        }
    }
}
