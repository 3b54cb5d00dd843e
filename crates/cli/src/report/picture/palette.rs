//! Colours: the colour-blind-safe palette of Okabe and Ito, for light and dark backgrounds.
//!
//! A drawing is written once, in the light colours. On the page a style sheet replaces each light
//! colour by a variable of the current theme ([`stylesheet`]), so every role needs a light colour
//! of its own.

use std::fmt::Write as _;

/// A colour, given by its role, and its opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ink {
    role: usize,
    /// From 0, invisible, to 1.
    pub opacity: f64,
}

/// Name of the CSS variable, light colour, dark colour.
const ROLES: [(&str, [u8; 3], [u8; 3]); 15] = [
    ("paper", [0xFF, 0xFF, 0xFF], [0x15, 0x18, 0x1C]),
    ("ink", [0x1B, 0x1F, 0x24], [0xE6, 0xE8, 0xEB]),
    ("soft", [0x5B, 0x64, 0x70], [0xA3, 0xAC, 0xB8]),
    ("rule", [0xDD, 0xE1, 0xE6], [0x32, 0x38, 0x40]),
    ("band", [0xF4, 0xF6, 0xF8], [0x1D, 0x22, 0x28]),
    ("s0", [0xD5, 0x5E, 0x00], [0xF0, 0x8A, 0x3C]),
    ("s1", [0x00, 0x9E, 0x73], [0x3C, 0xC4, 0x9C]),
    ("s2", [0x00, 0x72, 0xB2], [0x5C, 0xB4, 0xF0]),
    ("s3", [0xCC, 0x79, 0xA7], [0xE0, 0x9C, 0xC2]),
    ("s4", [0xB8, 0x86, 0x0B], [0xF0, 0xD8, 0x50]),
    ("s5", [0x24, 0x8F, 0xC8], [0x8F, 0xD3, 0xF5]),
    ("s6", [0x7A, 0x4F, 0xA3], [0xB9, 0x95, 0xDE]),
    ("s7", [0x4A, 0x4A, 0x4A], [0xC8, 0xC8, 0xC8]),
    ("on", [0xD4, 0x5D, 0x01], [0xFF, 0x9A, 0x4A]),
    ("off", [0x01, 0x73, 0xB1], [0x62, 0xBA, 0xFA]),
];

impl Ink {
    pub const PAPER: Ink = Ink::of(0);
    /// Text and important marks.
    pub const TEXT: Ink = Ink::of(1);
    /// Labels of axes.
    pub const SOFT: Ink = Ink::of(2);
    /// Grid lines.
    pub const RULE: Ink = Ink::of(3);
    /// A tint behind a part of a picture.
    pub const BAND: Ink = Ink::of(4);
    /// On events (brighter).
    pub const ON: Ink = Ink::of(13);
    /// Off events (darker).
    pub const OFF: Ink = Ink::of(14);

    const fn of(role: usize) -> Self {
        Self { role, opacity: 1.0 }
    }

    /// The same colour with another opacity.
    pub fn at(self, opacity: f64) -> Self {
        Self { opacity: opacity.clamp(0.0, 1.0), ..self }
    }

    /// Red, green and blue on a light background.
    pub fn light(self) -> [u8; 3] {
        ROLES[self.role].1
    }
}

/// The colour of a series: the palette of Okabe and Ito, darkened where it is too pale for lines.
/// From the ninth series on, the colours that no strategy owns repeat.
pub(crate) fn series(index: usize) -> Ink {
    let own = FIXED.len();
    Ink::of(5 + if index < 8 { index } else { own + (index - own) % (8 - own) })
}

/// Strategies that have the same colour on every page.
const FIXED: [&str; 3] = ["SDT", "NMT", "MTT"];

/// The series number of each row, given the strategies of the rows. The first row of a known
/// strategy gets that strategy's number; every other row gets the next free number.
pub(crate) fn assign(strategies: &[&str]) -> Vec<usize> {
    let mut free = FIXED.len()..;
    let mut seen = [false; FIXED.len()];
    let slot = |strategy: &&str| match FIXED.iter().position(|f| f == strategy).filter(|k| !seen[*k]) {
        Some(k) => {
            seen[k] = true;
            k
        }
        None => free.next().unwrap_or(FIXED.len()),
    };
    strategies.iter().map(slot).collect()
}

/// The variables of both themes, and the rules that colour inline drawings with them.
pub(crate) fn stylesheet() -> String {
    let hex = |[r, g, b]: [u8; 3]| format!("#{r:02X}{g:02X}{b:02X}");
    let variables = |dark: bool| {
        ROLES.iter().fold(String::new(), |mut css, (name, light, night)| {
            let _ = write!(css, "--{name}:{};", hex(if dark { *night } else { *light }));
            css
        })
    };
    let (light, dark) = (variables(false), variables(true));
    let mut css = format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n\
         @media print{{:root:root:root{{color-scheme:light;{light}}}}}\n"
    );
    for (name, light, _) in ROLES {
        let light = hex(light);
        let _ = writeln!(
            css,
            "svg [fill=\"{light}\"]{{fill:var(--{name})}}svg [stroke=\"{light}\"]{{stroke:var(--{name})}}"
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_can_be_told_from_the_others() {
        for (i, a) in ROLES.iter().enumerate() {
            assert!(ROLES[i + 1..].iter().all(|b| a.1 != b.1 && a.0 != b.0), "{}", a.0);
        }
    }

    #[test]
    fn text_is_readable_on_both_papers() {
        let luminance = |c: [u8; 3]| {
            let linear = c.map(|v| (f64::from(v) / 255.0).powf(2.2));
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        let contrast = |a, b| {
            let (a, b): (f64, f64) = (luminance(a), luminance(b));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        let paper = ROLES[0];
        for (role, least) in
            [(1, 7.0), (2, 4.5), (5, 3.0), (6, 3.0), (7, 3.0), (8, 2.8), (9, 3.0), (10, 3.0), (11, 3.0), (12, 3.0)]
        {
            let (name, light, dark) = ROLES[role];
            assert!(contrast(light, paper.1) >= least, "{name} on light paper");
            assert!(contrast(dark, paper.2) >= least, "{name} on dark paper");
        }
    }
}
