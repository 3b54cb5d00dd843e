//! Files of recordings in the layouts of data sets.

/// A trial of DVS-Gesture as NumPy array: the columns x, y, polarity and time in ms, as float64.
/// Events are (µs, x, y, polarity).
pub fn gesture_array(events: impl IntoIterator<Item = (u64, u16, u16, bool)>) -> Vec<u8> {
    let mut rows = Vec::new();
    let mut count = 0;
    for (t_us, x, y, on) in events {
        let row = [f64::from(x), f64::from(y), f64::from(u8::from(on)), t_us as f64 / 1000.0];
        rows.extend(row.iter().flat_map(|v| v.to_le_bytes()));
        count += 1;
    }
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({count}, 4), }}");
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(rows);
    bytes
}
