//! One event, and the sensor that it comes from.

use std::fmt;

/// One change of brightness at one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// Time in µs since a zero point that the recorder chooses.
    pub t_us: u64,
    /// Column, 0 at the left.
    pub x: u16,
    /// Row, 0 at the top. If a format does not say whether its rows begin at the top, the row is
    /// the one that the file stores.
    pub y: u16,
    /// True if the pixel became brighter (ON, polarity 1, channel 1).
    pub on: bool,
}

impl Event {
    /// The channel of this event in frames and networks: 0 for OFF, 1 for ON.
    pub fn channel(self) -> usize {
        usize::from(self.on)
    }
}

/// The size of a camera's pixel array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sensor {
    /// Number of columns.
    pub width: u16,
    /// Number of rows.
    pub height: u16,
}

impl Sensor {
    /// The sensor of N-MNIST and of the simulated camera, 34×34.
    pub const NMNIST: Sensor = Sensor { width: 34, height: 34 };

    /// Number of pixels.
    pub fn pixels(self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }

    /// Whether the pixel (x, y) exists.
    pub fn contains(self, x: u16, y: u16) -> bool {
        x < self.width && y < self.height
    }

    /// The smallest sensor that contains all events; 0×0 if `events` is empty. For formats that do
    /// not state a sensor. No sensor contains an event at coordinate 65,535; the size stops at
    /// 65,535.
    pub fn bounding(events: &[Event]) -> Sensor {
        let mut sensor = Sensor { width: 0, height: 0 };
        for e in events {
            sensor.width = sensor.width.max(e.x.saturating_add(1));
            sensor.height = sensor.height.max(e.y.saturating_add(1));
        }
        sensor
    }
}

impl fmt::Display for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
