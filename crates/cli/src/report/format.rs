//! Formats numbers for people. Every table, caption and picture uses these functions, so a value
//! looks the same in all of them.

/// The text for a missing or undefined value.
pub(crate) const MISSING: &str = "–";

/// The value with `digits` decimals and a true minus sign; `∞` or [`MISSING`] if it is not finite.
pub(crate) fn decimal(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return MISSING.into();
    }
    let text = if value.is_infinite() { "∞".into() } else { format!("{:.digits$}", value.abs()) };
    let zero = text.bytes().all(|b| b == b'0' || b == b'.');
    if value < 0.0 && !zero { format!("−{text}") } else { text }
}

/// The value and, if known, its standard error: `82.5 ± 0.4`.
pub(crate) fn with_error(value: f64, error: Option<f64>, digits: usize) -> String {
    match error.filter(|e| e.is_finite() && value.is_finite()) {
        Some(error) => format!("{} ± {}", decimal(value, digits), decimal(error.abs(), digits)),
        None => decimal(value, digits),
    }
}

/// The value with its sign always shown: `+1.1`, `−29.0`.
pub(crate) fn signed(value: f64, digits: usize) -> String {
    let text = decimal(value, digits);
    if value > 0.0 && value.is_finite() { format!("+{text}") } else { text }
}

/// The value as a whole number in groups of three: `75,200`. Values below 10 keep one decimal.
pub(crate) fn grouped(value: f64) -> String {
    if !value.is_finite() || value.abs() >= 1e15 {
        return if value.is_finite() { format!("{value:.2e}") } else { decimal(value, 0) };
    }
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return decimal(value, 1);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "−" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// About three significant digits and a unit of magnitude: `3.54 M`, `980`, `15.5 k`.
pub(crate) fn compact(value: f64) -> String {
    let (scale, unit) = match value.abs() {
        v if !v.is_finite() => return decimal(value, 0),
        v if v >= 999.5e6 => (1e9, " G"),
        v if v >= 999.5e3 => (1e6, " M"),
        v if v >= 9_999.5 => (1e3, " k"),
        _ => return grouped(value),
    };
    let scaled = value / scale;
    let digits = if scaled.abs() < 9.995 { 2 } else { usize::from(scaled.abs() < 99.95) };
    decimal(scaled, digits) + unit
}

/// The value with its unit; `–` and `∞` get no unit.
pub(crate) fn with_unit(value: f64, digits: usize, unit: &str) -> String {
    let text = decimal(value, digits);
    if value.is_finite() { format!("{text} {unit}") } else { text }
}

/// A firing rate with about three significant digits, in the unit of `value`.
pub(crate) fn rate(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 || v == 0.0 => 2,
        _ => 4,
    };
    decimal(value, digits)
}

/// A duration in seconds as text: `4.8 s`, `48 s`, `12 min 5 s`, `3 h 20 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.into();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The unit in which to show times up to `longest_us`: its length in µs and its name.
pub(crate) fn time_unit(longest_us: f64) -> (f64, &'static str) {
    if longest_us >= 10e6 { (1e6, "s") } else { (1e3, "ms") }
}

/// A duration in µs as text: `0.4 ms`, `300 ms`, `12.5 s`, `160 s`.
pub(crate) fn span(us: f64) -> String {
    let (unit, name) = time_unit(us);
    let value = us / unit;
    let digits = usize::from(if name == "s" { value < 99.95 } else { value < 9.95 });
    format!("{} {name}", decimal(value, digits))
}

/// A number and its noun: `1 seed`, `3 seeds`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number as f64), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(decimal(-0.01, 1), "0.0");
        assert_eq!(decimal(f64::NAN, 1), MISSING);
        assert_eq!(decimal(f64::NEG_INFINITY, 1), "−∞");
        assert_eq!(with_error(82.46, Some(0.44), 1), "82.5 ± 0.4");
        assert_eq!(with_error(82.46, Some(f64::NAN), 1), "82.5");
        assert_eq!(signed(1.14, 1), "+1.1");
        assert_eq!(grouped(75_200.0), "75,200");
        assert_eq!(grouped(1_000_000.0), "1,000,000");
        assert_eq!(grouped(2.5), "2.5");
        assert_eq!(compact(3.54e6), "3.54 M");
        assert_eq!(compact(15_500.0), "15.5 k");
        assert_eq!(compact(9_586.0), "9,586");
        assert_eq!([with_unit(0.29, 2, "×"), with_unit(f64::INFINITY, 1, "%")], ["0.29 ×", "∞"]);
        assert_eq!(rate(0.0123), "0.0123");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(count(1, "seed"), "1 seed");
        assert_eq!(
            [400.0, 300_000.0, 9.9e6, 12.5e6, 160e6].map(span),
            ["0.4 ms", "300 ms", "9900 ms", "12.5 s", "160 s"]
        );
    }
}
