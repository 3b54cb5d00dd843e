//! Units of time, and how the name of a column states one. Text, NumPy arrays and HDF5 share these
//! rules.

use tickless_words::words;

/// The unit of times in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

words!(TimeUnit, "unit of time", {
    Seconds = "s",
    Milliseconds = "ms",
    Microseconds = "us",
    Nanoseconds = "ns",
});
#[cfg(feature = "serde")]
words!(serde TimeUnit);

/// The names of a column of times, without a unit.
const STEMS: [&str; 6] = ["t", "ts", "time", "times", "timestamp", "timestamps"];

impl TimeUnit {
    /// The decimal exponent of one unit in µs.
    pub(crate) fn exponent(self) -> i32 {
        match self {
            TimeUnit::Seconds => 6,
            TimeUnit::Milliseconds => 3,
            TimeUnit::Microseconds => 0,
            TimeUnit::Nanoseconds => -3,
        }
    }

    /// Parses a unit or one of its usual abbreviations.
    pub(crate) fn parse(text: &str) -> Option<TimeUnit> {
        Some(match text {
            "s" | "sec" | "secs" | "second" | "seconds" => TimeUnit::Seconds,
            "ms" | "msec" | "millisecond" | "milliseconds" => TimeUnit::Milliseconds,
            "us" | "µs" | "μs" | "usec" | "microsecond" | "microseconds" => TimeUnit::Microseconds,
            "ns" | "nsec" | "nanosecond" | "nanoseconds" => TimeUnit::Nanoseconds,
            _ => return None,
        })
    }

    /// Parses the lower-case name of a column: `None` if it is not a column of times (or has an
    /// unknown unit), otherwise the unit that it states, if any. Examples: `t_s`, `time[ms]`,
    /// `timestamp (float s)`.
    pub(crate) fn of_column(name: &str) -> Option<Option<TimeUnit>> {
        let name = name.trim();
        if STEMS.contains(&name) {
            return Some(None);
        }
        let (stem, unit) = name.trim_end_matches([')', ']']).rsplit_once(['_', '(', '['])?;
        // The name of a type may precede the unit.
        let unit = unit.rsplit(char::is_whitespace).next().unwrap_or_default();
        STEMS.contains(&stem.trim_end()).then(|| TimeUnit::parse(unit).map(Some))?
    }

    /// Converts an integer of this unit to µs, rounded to nearest; `None` if the result exceeds 64
    /// bits.
    pub(crate) fn whole(self, value: u64) -> Option<u64> {
        match u32::try_from(self.exponent()) {
            Ok(power) => value.checked_mul(10u64.pow(power)),
            Err(_) => Some(value / 1000 + u64::from(value % 1000 >= 500)),
        }
    }

    /// Converts a floating-point number of this unit to µs, rounded to nearest, ties to even;
    /// `None` if it is negative, NaN, or too large to be exact in a float.
    pub(crate) fn float(self, value: f64) -> Option<u64> {
        let us = match self {
            TimeUnit::Nanoseconds => value / 1e3,
            _ => value * 10f64.powi(self.exponent()),
        };
        Some(us.round_ties_even()).filter(|us| (0.0..9e15).contains(us)).map(|us| us as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_column_states_its_unit() {
        for (name, unit) in [
            ("t", Some(None)),
            ("timestamps", Some(None)),
            ("t_s", Some(Some(TimeUnit::Seconds))),
            ("time[ms]", Some(Some(TimeUnit::Milliseconds))),
            ("timestamp (int32 us)", Some(Some(TimeUnit::Microseconds))),
            ("timestamp(float s)", Some(Some(TimeUnit::Seconds))),
            ("ts_nsec", Some(Some(TimeUnit::Nanoseconds))),
            ("t_ticks", None),
            ("time_x", None),
            ("format", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(TimeUnit::of_column(name), unit, "{name}");
        }
    }

    #[test]
    fn times_become_the_nearest_microsecond_or_nothing() {
        assert_eq!(TimeUnit::Nanoseconds.whole(1499), Some(1));
        assert_eq!(TimeUnit::Nanoseconds.whole(u64::MAX), Some(18_446_744_073_709_552));
        assert_eq!(TimeUnit::Seconds.whole(3), Some(3_000_000));
        assert_eq!(TimeUnit::Seconds.whole(u64::MAX), None);
        assert_eq!(TimeUnit::Seconds.float(0.000937), Some(937));
        assert_eq!(TimeUnit::Nanoseconds.float(1500.0), Some(2));
        for wrong in [f64::NAN, f64::INFINITY, -1e-3, 1e300] {
            assert_eq!(TimeUnit::Milliseconds.float(wrong), None, "{wrong}");
        }
    }
}
