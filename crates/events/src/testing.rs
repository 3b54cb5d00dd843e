//! Random events for unit tests.

use proptest::prelude::*;

use crate::{Event, Sensor};

/// Up to `n` unsorted events on `sensor` with times below `t_max`.
pub fn events(sensor: Sensor, n: usize, t_max: u64) -> impl Strategy<Value = Vec<Event>> {
    let one = (0..t_max, 0..sensor.width, 0..sensor.height, any::<bool>()).prop_map(|(t_us, x, y, on)| Event {
        t_us,
        x,
        y,
        on,
    });
    prop::collection::vec(one, 0..n)
}
