//! The embedded table of handwritten digits: 1,797 real images of 8×8 pixels, grey values 0..=16.
//!
//! Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
//! Learning Repository, 1998, doi 10.24432/C50P49, licence CC BY 4.0; the unchanged test part.
//! `digits.txt` has one line per image: 64 pixels, row by row, as digits in base 17 (`G` is 16), a
//! space, and the label.

const TABLE: &str = include_str!("digits.txt");
const PIXELS: usize = 64;
const BASE: u32 = 17;

/// The pixels, 64 per image with values 0..=16, and the labels.
pub(super) fn digits() -> (Vec<u8>, Vec<u8>) {
    let value = |c: char| c.to_digit(BASE).map(|v| v as u8);
    let (mut pixels, mut labels) = (Vec::with_capacity(TABLE.len()), Vec::new());
    for line in TABLE.lines() {
        let mut values = line.chars().filter_map(value);
        pixels.extend(values.by_ref().take(PIXELS));
        labels.extend(values.next());
    }
    (pixels, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_as_many_images_of_each_class_as_published() {
        let (pixels, labels) = digits();
        assert_eq!((pixels.len(), labels.len()), (1_797 * PIXELS, 1_797));
        let of_class = |class: u8| labels.iter().filter(|&&l| l == class).count();
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(of_class), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // The sum of all pixels is the same in other copies of the data set.
        assert_eq!(pixels.iter().map(|&p| u64::from(p)).sum::<u64>(), 561_718);
    }
}
