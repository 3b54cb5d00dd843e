//! The AutoAugment policy for CIFAR-10: it picks one of 25 pairs of operations and applies each of
//! the two with its own probability.
//!
//! Source: Cubuk, Zoph, Mane, Vasudevan and Le, "AutoAugment: Learning Augmentation Strategies from
//! Data" (CVPR 2019), table 7 of the appendix, for CIFAR-10 and CIFAR-100. A magnitude from 0 to 9
//! selects one of ten evenly spaced values, as in torchvision (`AutoAugmentPolicy.CIFAR10`):
//!
//! ```text
//! Shear 0..0.3   Translate 0..150/331 of the size, whole pixels   Rotate 0..30°
//! Brightness, Color, Contrast, Sharpness 1 ± 0..0.9   Posterize 8..4 bits   Solarize 255..0
//! ```
//!
//! Each of these gets a random sign, except Posterize and Solarize.

use Kind::*;

use super::pil::Operation;
use crate::Image;
use crate::rng::Rng;

/// The type of an operation, without its magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

/// Operation, probability, magnitude.
type Step = (Kind, f32, u8);

const POLICY: [[Step; 2]; 25] = [
    [(Invert, 0.1, 0), (Contrast, 0.2, 6)],
    [(Rotate, 0.7, 2), (TranslateX, 0.3, 9)],
    [(Sharpness, 0.8, 1), (Sharpness, 0.9, 3)],
    [(ShearY, 0.5, 8), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.5, 0), (Equalize, 0.9, 0)],
    [(ShearY, 0.2, 7), (Posterize, 0.3, 7)],
    [(Color, 0.4, 3), (Brightness, 0.6, 7)],
    [(Sharpness, 0.3, 9), (Brightness, 0.7, 9)],
    [(Equalize, 0.6, 0), (Equalize, 0.5, 0)],
    [(Contrast, 0.6, 7), (Sharpness, 0.6, 5)],
    [(Color, 0.7, 7), (TranslateX, 0.5, 8)],
    [(Equalize, 0.3, 0), (AutoContrast, 0.4, 0)],
    [(TranslateY, 0.4, 3), (Sharpness, 0.2, 6)],
    [(Brightness, 0.9, 6), (Color, 0.2, 8)],
    [(Solarize, 0.5, 2), (Invert, 0.0, 0)],
    [(Equalize, 0.2, 0), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.2, 0), (Equalize, 0.6, 0)],
    [(Color, 0.9, 9), (Equalize, 0.6, 0)],
    [(AutoContrast, 0.8, 0), (Solarize, 0.2, 8)],
    [(Brightness, 0.1, 3), (Color, 0.7, 0)],
    [(Solarize, 0.4, 5), (AutoContrast, 0.9, 0)],
    [(TranslateY, 0.9, 9), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.9, 0), (Solarize, 0.8, 3)],
    [(Equalize, 0.8, 0), (Invert, 0.1, 0)],
    [(TranslateY, 0.7, 9), (AutoContrast, 0.9, 0)],
];

/// Draws the operations for an image of `height`×`width` pixels: none, one or two. Always draws
/// five numbers from `rng`, so that the number of draws does not depend on the result.
pub fn draw(height: usize, width: usize, rng: &mut Rng) -> Vec<Operation> {
    let pair = &POLICY[rng.below(POLICY.len() as u64) as usize];
    let draws = [0, 1].map(|_| (rng.unit(), rng.coin()));
    let drawn = pair.iter().zip(draws).filter(|((_, p, _), (u, _))| u < p);
    drawn.map(|(&(kind, _, magnitude), (_, negative))| operation(kind, magnitude, negative, height, width)).collect()
}

/// Applies the policy to `image` and returns the result, of the same shape.
pub fn apply(image: Image, rng: &mut Rng) -> Image {
    let [_, height, width] = image.shape();
    draw(height, width, rng).into_iter().fold(image, |image, operation| operation.apply(&image))
}

fn operation(kind: Kind, magnitude: u8, negative: bool, height: usize, width: usize) -> Operation {
    let sign = if negative { -1.0 } else { 1.0 };
    // Computed in float32 and from the nearer end of the range, because `torch.linspace` does so.
    let even = |from: f32, to: f32| {
        let step = (to - from) / 9.0;
        if magnitude < 5 { from + step * f32::from(magnitude) } else { to - step * f32::from(9 - magnitude) }
    };
    let shift = |size: usize| (sign * even(0.0, (150.0 / 331.0 * size as f64) as f32)) as i64;
    let factor = (1.0 + f64::from(sign) * f64::from(even(0.0, 0.9))) as f32;
    match kind {
        ShearY => Operation::ShearY(f64::from(sign * even(0.0, 0.3))),
        TranslateX => Operation::TranslateX(shift(width)),
        TranslateY => Operation::TranslateY(shift(height)),
        Rotate => Operation::Rotate(f64::from(sign * even(0.0, 30.0))),
        Brightness => Operation::Brightness(factor),
        Color => Operation::Color(factor),
        Contrast => Operation::Contrast(factor),
        Sharpness => Operation::Sharpness(factor),
        Posterize => Operation::Posterize(8 - (f64::from(magnitude) / 2.25).round_ties_even() as u32),
        Solarize => Operation::Solarize(even(255.0, 0.0)),
        AutoContrast => Operation::AutoContrast,
        Equalize => Operation::Equalize,
        Invert => Operation::Invert,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_pair_is_drawn_equally_often_and_each_step_with_its_probability() {
        const DRAWS: u64 = 200_000;
        let mut steps = 0.0;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for i in 0..DRAWS {
            let drawn = draw(32, 32, &mut Rng::new(3, i));
            steps += drawn.len() as f64;
            drawn.iter().for_each(|o| *counts.entry(format!("{o:?}")).or_default() += 1);
        }
        let expected: f64 = POLICY.iter().flatten().map(|s| f64::from(s.1)).sum::<f64>() / 25.0;
        assert!((steps / DRAWS as f64 - expected).abs() < 0.01, "{steps} {expected}");
        // Pairs 4, 22 (twice) and 25 draw TranslateY with ±14; each sign gets half of the draws.
        let share = |name: &str| counts.get(name).copied().unwrap_or(0) as f64 / DRAWS as f64;
        let translated = (0.7 + 0.9 + 0.7 + 0.7) / 25.0 / 2.0;
        for name in ["TranslateY(14)", "TranslateY(-14)"] {
            assert!((share(name) - translated).abs() < 0.003, "{counts:?}");
        }
        // Only pair 6 draws Posterize, to 5 bits. Pairs 1 and 24 draw Invert; pair 15 never does.
        assert!((share("Posterize(5)") - 0.3 / 25.0).abs() < 0.002);
        assert!((share("Invert") - 0.2 / 25.0).abs() < 0.002);
    }

    #[test]
    fn magnitudes_are_those_of_torchvision() {
        let drawn = |kind, m, negative| operation(kind, m, negative, 32, 64);
        assert_eq!(drawn(TranslateX, 9, true), Operation::TranslateX(-29));
        assert_eq!(drawn(TranslateY, 9, false), Operation::TranslateY(14));
        assert_eq!(drawn(TranslateY, 3, false), Operation::TranslateY(4));
        assert_eq!(drawn(Brightness, 9, true), Operation::Brightness(1.0 - 0.9));
        assert_eq!(drawn(Color, 0, true), Operation::Color(1.0));
        assert_eq!(drawn(Solarize, 9, false), Operation::Solarize(0.0));
        assert_eq!(drawn(Solarize, 0, false), Operation::Solarize(255.0));
        let bits: Vec<_> = (0..10).map(|m| drawn(Posterize, m, false)).collect();
        let expected = [8, 8, 7, 7, 6, 6, 5, 5, 4, 4].map(Operation::Posterize);
        assert_eq!(bits, expected);
    }

    #[test]
    fn an_image_keeps_its_size_and_the_same_draw_gives_the_same_image() {
        for shape in [[3, 32, 32], [1, 28, 28], [2, 5, 7], [3, 1, 1], [3, 0, 4]] {
            let [c, h, w] = shape;
            let pixels: Vec<u8> = (0..c * h * w).map(|i| (i * 37 % 251) as u8).collect();
            let image = Image::new(c, h, w, pixels).unwrap();
            for i in 0..300 {
                let out = apply(image.clone(), &mut Rng::new(1, i));
                assert_eq!(out.shape(), shape);
                assert_eq!(out, apply(image.clone(), &mut Rng::new(1, i)));
            }
        }
    }
}
