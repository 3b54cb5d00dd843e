//! Sorts names by the numbers in them: `a2` before `a10`.

use std::cmp::Ordering;

/// Compares runs of digits as numbers and everything else by characters. Names that differ only in
/// leading zeros are compared by bytes, so that the order is total.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (digits(left), digits(right));
            left = &left[m.len()..];
            right = &right[n.len()..];
            let (m, n) = (m.trim_start_matches('0'), n.trim_start_matches('0'));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            left = &left[x.len_utf8()..];
            right = &right[y.len_utf8()..];
            x.cmp(&y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

fn digits(text: &str) -> &str {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_sort_by_value() {
        let mut names = ["a10", "a2", "b1", "a", "10", "9", "a02", "a2b", "é3", "a99999999999999999999", "a1"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["9", "10", "a", "a1", "a02", "a2", "a2b", "a10", "a99999999999999999999", "b1", "é3"]);
    }

    proptest! {
        #[test]
        fn the_order_is_total(mut names in prop::collection::vec("[ab0-2é]{0,5}", 3)) {
            let [a, b, c] = &names[..] else { unreachable!() };
            prop_assert_eq!(compare(a, b), compare(b, a).reverse());
            prop_assert_eq!(compare(a, b) == Ordering::Equal, a == b);
            if compare(a, b).is_le() && compare(b, c).is_le() {
                prop_assert!(compare(a, c).is_le());
            }
            names.sort_by(|a, b| compare(a, b));
        }
    }
}
