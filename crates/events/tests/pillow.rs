//! Compares the operations of AutoAugment with Pillow 13.0, by digests of Pillow's results for the
//! same images. `augment/pillow.py` computes the digests.

use tickless_events::Image;
use tickless_events::augment::Operation::{self, *};

/// Images of noise, of gradients, and of few levels: `[3, H, W]`, the same as in the script.
fn images() -> Vec<Image> {
    let image = |(kind, (w, h)): (usize, (usize, usize))| {
        let (mut pixels, mut state) = (vec![0; 3 * w * h], 1u64);
        for (y, x, c) in (0..w * h * 3).map(|i| (i / 3 / w, i / 3 % w, i % 3)) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 56) as usize;
            let value = [noise, (5 * x + (2 + c) * y) % 256, 60 + 20 * c + noise % 90][kind];
            pixels[(c * h + y) * w + x] = value as u8;
        }
        Image::new(3, h, w, pixels).unwrap()
    };
    [(32, 32), (32, 32), (13, 11)].into_iter().enumerate().map(image).collect()
}

/// The FNV-1a digest of the images that a list of operations gives.
fn digest(image: &Image, operations: &[Operation]) -> u64 {
    let outs = operations.iter().flat_map(|o| o.apply(image).pixels().to_vec());
    outs.fold(0xCBF2_9CE4_8422_2325, |digest, v| (digest ^ u64::from(v)).wrapping_mul(0x0100_0000_01B3))
}

fn operations(name: &str) -> Vec<Operation> {
    let factors = [0.1, 0.5, 0.75, 1.0, 1.25, 1.6, 1.9];
    match name {
        "ShearX" => [-0.3, -0.1, 0.0, 0.2, 0.3].map(ShearX).into(),
        "ShearY" => [-0.3, -0.1, 0.0, 0.2, 0.3].map(ShearY).into(),
        "TranslateX" => [-14, -4, 0, 3, 14].map(TranslateX).into(),
        "TranslateY" => [-14, -4, 0, 3, 14].map(TranslateY).into(),
        "Rotate" => [-30.0, -7.5, 3.0, 20.0, 30.0].map(Rotate).into(),
        "Brightness" => factors.map(Brightness).into(),
        "Color" => factors.map(Color).into(),
        "Contrast" => factors.map(Contrast).into(),
        "Sharpness" => factors.map(Sharpness).into(),
        "Posterize" => [4, 5, 6, 7, 8].map(Posterize).into(),
        "Solarize" => [0.0, 28.5, 127.5, 255.0].map(Solarize).into(),
        "AutoContrast" => vec![AutoContrast],
        "Equalize" => vec![Equalize],
        "Invert" => vec![Invert],
        _ => panic!("{name}"),
    }
}

const PILLOW: [(&str, [u64; 3]); 14] = [
    ("ShearX", [0x52CF_E9B7_92A6_ACFF, 0xB90D_1830_C65E_286A, 0x5213_4665_527F_299D]),
    ("ShearY", [0xC4F5_DFF1_5AFC_8BDF, 0xDD7D_050F_A9D6_8838, 0xCA83_2A39_C41E_C029]),
    ("TranslateX", [0x997E_3DBD_9B22_CEC4, 0x1DE2_F804_EF34_F885, 0x1876_AA84_C00A_8859]),
    ("TranslateY", [0x0D3C_117A_7C6B_B8C2, 0x3CCF_10C7_8E18_90A5, 0xD6DE_CA73_34DD_1B40]),
    ("Rotate", [0x402F_6772_DEA5_B231, 0x3DEB_E206_6FE0_C654, 0x6904_8A8A_E064_23DA]),
    ("Brightness", [0xD9E7_53CF_C72A_D0B5, 0xF3DE_C66D_09A3_0319, 0x6377_91A8_2634_6F79]),
    ("Color", [0xC07E_B9A9_B358_050F, 0x71C8_F5D3_9A05_1D3A, 0xD9B7_C68F_EC96_295D]),
    ("Contrast", [0x2531_999C_F9DD_B56A, 0xC1BF_A2B0_5F93_BDE6, 0xB7CC_0EFC_AE6F_09A3]),
    ("Sharpness", [0x6A28_0E9B_A296_A9EF, 0x32F4_88BF_2CB8_74BF, 0xC297_9F1B_A89C_1CED]),
    ("Posterize", [0xF6FE_61BA_B74D_E2DB, 0xAA4C_C7A2_D98C_F965, 0xF16D_7E1A_2D53_A317]),
    ("Solarize", [0x1CB6_932A_8838_4614, 0x03C1_4FF5_37AE_54C5, 0x5C21_E0BA_FDFB_D07D]),
    ("AutoContrast", [0x0052_EDFD_54B0_74F5, 0xFEAB_33A6_AA50_042E, 0x6BE5_F984_A9B9_E013]),
    ("Equalize", [0x0B02_63E2_9712_D480, 0xE7BA_CD01_1245_C281, 0x2709_F060_C125_FE35]),
    ("Invert", [0x8E3B_F7D4_0D81_C74D, 0x36AD_F666_A1D6_CE25, 0x4C04_F9D4_C91A_B5F0]),
];

#[test]
fn every_operation_gives_what_pillow_gives_to_the_bit() {
    for (name, expected) in PILLOW {
        let operations = operations(name);
        let found: Vec<u64> = images().iter().map(|image| digest(image, &operations)).collect();
        assert_eq!(found, expected, "{name}");
    }
}
