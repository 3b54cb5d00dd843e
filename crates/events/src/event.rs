//! One event and the sensor it comes from: the two nouns everything else is made of.

use std::fmt;

/// One change of brightness at one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// Time in µs. Its zero point is the recorder's own.
    pub t_us: u64,
    /// Column, 0 at the left.
    pub x: u16,
    /// Row: 0 at the top (a format that does not say where its rows begin gives them as stored).
    pub y: u16,
    /// True when the pixel became brighter (ON, polarity 1, channel 1).
    pub on: bool,
}

impl Event {
    /// The channel of this event in frames and networks: 0 for OFF, 1 for ON.
    pub fn channel(self) -> usize {
        usize::from(self.on)
    }
}

/// The pixel array of a camera.
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

    /// The smallest sensor that holds all events; 0×0 for none. For formats that do not state it.
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
