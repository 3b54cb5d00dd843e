//! The direction in which a format counts columns and rows.
//!
//! In memory x counts from the left and y from the top. Coordinates are converted only if the
//! format's specification states another origin. If a format leaves the origin to its readers,
//! coordinates stay as stored, because a wrong guess would flip correct files.

use std::fmt;

#[cfg(feature = "datasets")]
use crate::Columns;
use crate::Sensor;

/// The origin of a format's coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Axes {
    /// The upper left corner, as in memory.
    UpperLeft,
    /// The lower left corner: decoder and encoder convert between y and height − 1 − y.
    LowerLeft,
    /// The format does not define the origin, so coordinates stay as stored. The text states what
    /// is known.
    AsStored(&'static str),
}

impl Axes {
    /// Converts decoded events of a stated sensor back to the stored coordinates.
    #[cfg(feature = "datasets")]
    pub(crate) fn to_stored(self, sensor: Option<Sensor>, events: &mut Columns) {
        if self == Axes::LowerLeft
            && let Some(sensor) = sensor
        {
            events.y.iter_mut().for_each(|y| *y = turned(*y, sensor));
        }
    }

    /// A description of how a conversion between these axes changes the coordinates; `None` if the
    /// axes are equal.
    pub fn conversion(self, to: Axes) -> Option<String> {
        match (self, to) {
            (from, to) if from == to => None,
            (Axes::LowerLeft, Axes::UpperLeft | Axes::LowerLeft) => {
                Some("y counted from the bottom and was turned to count from the top".into())
            }
            (Axes::UpperLeft, Axes::LowerLeft | Axes::UpperLeft) => {
                Some("y counted from the top and was turned to count from the bottom".into())
            }
            (Axes::AsStored(why), Axes::LowerLeft) => {
                Some(format!("x and y were taken to count from the upper left ({why}), and y was turned"))
            }
            (Axes::AsStored(why), _) => Some(format!("x and y are as the first file stores them ({why})")),
            (_, Axes::AsStored(why)) => Some(format!("x and y are written as counted from the upper left ({why})")),
        }
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Axes::UpperLeft => write!(f, "x from the left, y from the top"),
            Axes::LowerLeft => {
                write!(f, "x from the left, y from the bottom as stored; a conversion turns y over")
            }
            Axes::AsStored(why) => write!(f, "x and y as stored; {why}"),
        }
    }
}

/// Flips a row: returns height − 1 − y, or `y` itself if it lies outside the sensor.
pub(super) fn turned(y: u16, sensor: Sensor) -> u16 {
    if y < sensor.height { sensor.height - 1 - y } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_turned_twice_is_itself() {
        let sensor = Sensor { width: 1, height: 480 };
        assert_eq!((turned(0, sensor), turned(479, sensor), turned(480, sensor)), (479, 0, 480));
        assert!((0..500).all(|y| turned(turned(y, sensor), sensor) == y));
    }

    #[test]
    fn a_conversion_says_what_happens_to_y_unless_nothing_does() {
        let as_stored = Axes::AsStored("because");
        assert_eq!(Axes::UpperLeft.conversion(Axes::UpperLeft), None);
        assert_eq!(Axes::LowerLeft.conversion(Axes::LowerLeft), None);
        for (from, to, words) in [
            (Axes::UpperLeft, Axes::LowerLeft, ["turned", "bottom"]),
            (Axes::LowerLeft, Axes::UpperLeft, ["turned", "top"]),
            (as_stored, Axes::UpperLeft, ["first", "(because)"]),
            (as_stored, Axes::LowerLeft, ["turned", "y"]),
            (Axes::UpperLeft, as_stored, ["left", "(because)"]),
        ] {
            let said = from.conversion(to).unwrap();
            assert!(words.iter().all(|word| said.contains(word)), "{from:?} to {to:?}: {said}");
        }
    }
}
