//! Draws times as pixels, for images that vector graphics cannot be drawn on.

/// Rows per letter.
pub(super) const HEIGHT: usize = 7;
/// Columns per letter, including the space after it.
const STEP: usize = 6;

/// The letters that times consist of. A row is 5 bits, the highest at the left.
const LETTERS: [(char, [u8; HEIGHT]); 14] = [
    ('0', [0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E]),
    ('1', [0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E]),
    ('2', [0x0E, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1F]),
    ('3', [0x1F, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0E]),
    ('4', [0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02]),
    ('5', [0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E]),
    ('6', [0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E]),
    ('7', [0x1F, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08]),
    ('8', [0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E]),
    ('9', [0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C]),
    ('.', [0x00, 0x00, 0x00, 0x00, 0x00, 0x0C, 0x0C]),
    ('m', [0x00, 0x00, 0x1A, 0x15, 0x15, 0x15, 0x15]),
    ('s', [0x00, 0x00, 0x0E, 0x10, 0x0E, 0x01, 0x1E]),
    (' ', [0x00; HEIGHT]),
];

/// Width of a text in columns.
pub(super) fn width(text: &str) -> usize {
    STEP * text.chars().count()
}

/// The pixels (x, y) of a text. Letters that are not in `LETTERS` are left blank.
pub(super) fn pixels(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.chars().enumerate().flat_map(|(k, c)| {
        let rows = LETTERS.iter().find(|l| l.0 == c).map_or([0; HEIGHT], |l| l.1);
        let row = move |(y, bits): (usize, u8)| {
            (0..5).filter(move |x| bits >> (4 - x) & 1 == 1).map(move |x| (k * STEP + x, y))
        };
        rows.into_iter().enumerate().flat_map(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lies_in_its_box_and_no_two_letters_are_the_same() {
        assert!(pixels("0123456789.ms").all(|(x, y)| x < width("0123456789.ms") && y < HEIGHT));
        for (i, a) in LETTERS.iter().enumerate() {
            assert!(LETTERS[i + 1..].iter().all(|b| a.1 != b.1), "{}", a.0);
        }
        assert_eq!(pixels("1").map(|p| p.1).max(), Some(6));
        assert_eq!(pixels("é").count(), 0);
    }
}
