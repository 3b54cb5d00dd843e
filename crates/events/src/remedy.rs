//! The remedy of an error: a text for the user, and the options of this library that apply it.
//!
//! The text names no option, because each program that uses this library has its own names. If a
//! program offers an option, it looks up the [`Choice`] and adds its own name to the message.

use std::borrow::Cow;
use std::fmt;

/// A remedy, as an error states it.
///
/// ```
/// use tickless_events::{Choice, Remedy};
///
/// let remedy = Remedy::from("get the file again");
/// assert_eq!((remedy.to_string().as_str(), remedy.choices()), ("get the file again", &[][..]));
/// assert_eq!(Remedy::START_AT_ZERO.choices(), [Choice::ShiftToZero]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    words: Cow<'static, str>,
    choices: &'static [Choice],
}

/// An option of this library that avoids the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// [`crate::formats::ReadOptions::sort`]
    Sort,
    /// [`crate::formats::ReadOptions::shift_to_zero`]
    ShiftToZero,
    /// [`crate::formats::ReadOptions::sensor`]
    Sensor,
    /// [`crate::formats::ReadOptions::drop_outside`]
    DropOutside,
    /// [`crate::formats::ReadOptions::time_unit`]
    TimeUnit,
    /// [`crate::formats::ReadOptions::literal_times`]
    LiteralTimes,
    /// [`crate::formats::ReadOptions::stream`]
    Stream,
    /// `OtherSize::Scale`
    Scale,
    /// The name of a format, if the path does not determine it ([`crate::formats::convert`]).
    Format,
    /// `DataRequest::test_share`
    TestShare,
    /// `DataRequest::train_first`
    TrainFirst,
    /// `DataRequest::cache`
    Cache,
    /// `DataRequest::crop`
    Crop,
    /// `Dataset::cropped`
    RandomPart,
}

impl Remedy {
    /// For times in an order that a format cannot hold.
    pub const SORT: Remedy = Remedy::of("sort the events by time", &[Choice::Sort]);
    /// For times beyond the range of a format.
    pub const START_AT_ZERO: Remedy = Remedy::of("let the times start near 0", &[Choice::ShiftToZero]);
    /// For a format that must state the sensor, if the sensor is not known.
    pub const STATE_SENSOR: Remedy = Remedy::of("state the sensor", &[Choice::Sensor]);
    /// For an event outside the sensor.
    pub const INSIDE_SENSOR: Remedy =
        Remedy::of("state a larger sensor, or leave such events out", &[Choice::Sensor, Choice::DropOutside]);

    /// For a recording whose events all have one time.
    #[cfg(feature = "datasets")]
    pub(crate) const STATE_UNIT: Remedy =
        Remedy::of("state the unit of its times, or remove the recording", &[Choice::TimeUnit]);
    /// For a data set whose recordings cannot be cached.
    #[cfg(feature = "datasets")]
    pub(crate) const NO_CACHE: Remedy = Remedy::of("leave the cache out", &[Choice::Cache]);

    /// A remedy of a constant text and these options.
    pub(crate) const fn of(words: &'static str, choices: &'static [Choice]) -> Remedy {
        Remedy { words: Cow::Borrowed(words), choices }
    }

    /// A remedy of a text and these options.
    pub(crate) fn with(words: impl Into<Cow<'static, str>>, choices: &'static [Choice]) -> Remedy {
        Remedy { words: words.into(), choices }
    }

    /// The options that apply the remedy; empty if no option of this library does.
    pub fn choices(&self) -> &'static [Choice] {
        self.choices
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<&'static str> for Remedy {
    fn from(words: &'static str) -> Remedy {
        Remedy::of(words, &[])
    }
}

impl From<String> for Remedy {
    fn from(words: String) -> Remedy {
        Remedy { words: Cow::Owned(words), choices: &[] }
    }
}
