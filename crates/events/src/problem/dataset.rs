//! The problems of the files and folders of a data set.

/// Why the files of a data set are not in its layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetProblem {
    /// A symbolic link to a folder that contains the link.
    #[error("a link that leads back to a folder above")]
    LinkBack,
    /// A symbolic link to a file or folder of the same data set.
    #[error("a symbolic link to {target}, which would count twice")]
    LinkInside {
        /// The path to which the link leads.
        target: String,
    },
    /// A folder contains nothing.
    #[error("an empty folder")]
    Empty,
    /// An archive lies beside the folders of the data set.
    #[error("an archive beside folders")]
    ArchiveBeside,
    /// The folder of a class contains a file of no known format.
    #[error("a file of no known format in the folder of a class")]
    OtherFile,
    /// The folder of a class contains a file that is no image.
    #[error("neither JPEG nor PNG in the folder of a class")]
    NoImage,
    /// A file lies where only folders of classes may.
    #[error("not the folder of a class")]
    NoClass,
    /// A third part lies beside the parts for training and testing.
    #[error("beside the parts `{train}` and `{test}` lies `{other}`")]
    ThirdPart {
        /// Name of the part for training.
        train: String,
        /// Name of the part for testing.
        test: String,
        /// Name of the third part.
        other: String,
    },
    /// The part for testing has a class of its own.
    #[error("the test part has a class `{class}` that the training part has not")]
    TestClass {
        /// Name of the class.
        class: String,
    },
    /// A part has a class of its own.
    #[error("a class `{class}` that the training part has not")]
    OwnClass {
        /// Name of the class.
        class: String,
    },
    /// The classes are not those of the published data set.
    #[error("the class folders are {}, not {}", found.join(", "), expected.join(", "))]
    Classes {
        /// The classes that were found.
        found: Vec<String>,
        /// The published classes.
        expected: Vec<String>,
    },
    /// The name of a class is no digit.
    #[error("`{class}` is no digit 0 to 9")]
    NoDigit {
        /// Name of the class.
        class: String,
    },
    /// The name of a file is not that of a recording of N-MNIST.
    #[error("`{file}` is no recording <id>.bin")]
    NoRecording {
        /// Name of the file.
        file: String,
    },
    /// A recording lies in no class folder.
    #[error("not a recording in a class folder")]
    NotInClass,
    /// The name of a file is not that of a trial.
    #[error("not a trial of DVS-Gesture")]
    NoTrial,
    /// A line of labels is no gesture.
    #[error("`{line}` is no gesture")]
    NoGesture {
        /// The line.
        line: String,
    },
    /// A recording has no event in the interval of a label.
    #[error("no event from {start_us} to {end_us} µs, where the labels have a gesture")]
    NoEvents {
        /// Start of the interval in µs.
        start_us: u64,
        /// End of the interval in µs.
        end_us: u64,
    },
    /// The images for training and testing differ in size.
    #[error("train and test images differ in size")]
    ImageSizes,
    /// The labels are more or fewer than the images.
    #[error("{labels} labels for {images} images")]
    Labels {
        /// The number of labels.
        labels: usize,
        /// The number of images.
        images: usize,
    },
    /// A folder holds no data set and no recording.
    #[error("no known data set, and no recording in {contents}")]
    NoDataset {
        /// Names in the folder.
        contents: String,
    },
}
