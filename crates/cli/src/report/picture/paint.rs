//! Replays a picture through plotters.
//!
//! Plotters has integer coordinates. Pictures are therefore painted [`FINE`] times larger, and the
//! view box of the SVG or the averaging of the bitmap divides by the factor again.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Align, Ink, Picture, Shape, Spot};

/// Painted pixels per pixel of the picture.
pub(crate) const FINE: u32 = 4;

/// Plotters takes a line height as font size; this is its ratio to the letter size.
const LINE_HEIGHT: f64 = 1.24;

/// Draws every shape. `drop` moves text down by this share of its size, because backends differ in
/// where they place the middle of a line.
pub(super) fn paint<DB: DrawingBackend>(
    picture: &Picture,
    area: &DrawingArea<DB, Shift>,
    drop: f64,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    for shape in &picture.shapes {
        match shape {
            Shape::Line { points, ink, width, dash } => line(area, points, *ink, *width, *dash)?,
            Shape::Area { points, ink } => {
                let points: Vec<_> = points.iter().copied().map(fine).collect();
                area.draw(&Polygon::new(points, colour(*ink)))?;
            }
            Shape::Disc { centre, radius, ink } => {
                area.draw(&Circle::new(fine(*centre), length(*radius), colour(*ink).filled()))?;
            }
            Shape::Boxes { boxes, ink } => {
                let style = colour(*ink).filled();
                for &(x, y, width, height) in boxes {
                    let (left, top) = fine((x, y));
                    let (right, bottom) = fine((x + width, y + height));
                    area.draw(&Rectangle::new([(left, top), (right.max(left + 1), bottom.max(top + 1))], style))?;
                }
            }
            Shape::Text { at, text, size, ink, align } => {
                let at = (at.0, at.1 + drop * size);
                let horizontal = match align {
                    Align::Left => HPos::Left,
                    Align::Centre => HPos::Center,
                    Align::Right => HPos::Right,
                };
                let font = ("sans-serif", size * LINE_HEIGHT * f64::from(FINE)).into_font();
                let colour = colour(*ink);
                let style = TextStyle::from(font).color(&colour).pos(Pos::new(horizontal, VPos::Center));
                area.draw(&Text::new(text.as_str(), fine(at), style))?;
            }
        }
    }
    area.present()
}

/// Registers the embedded font under the name that the pictures use, so that plotters never looks
/// for a system font.
pub(super) fn prepare() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // If the font cannot be parsed, drawing the first text returns `FontUnavailable`.
        let _ = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
    });
}

fn line<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    points: &[Spot],
    ink: Ink,
    width: f64,
    dash: Option<(f64, f64)>,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    if points.len() < 2 {
        return Ok(());
    }
    let style = colour(ink).stroke_width(length(width).max(1) as u32);
    let points = points.iter().copied().map(fine);
    match dash {
        None => area.draw(&PathElement::new(points.collect::<Vec<_>>(), style)),
        Some((on, off)) => area.draw(&DashedPathElement::new(points, length(on), length(off), style)),
    }
}

fn colour(ink: Ink) -> RGBAColor {
    let [r, g, b] = ink.light();
    RGBAColor(r, g, b, ink.opacity)
}

fn fine((x, y): Spot) -> (i32, i32) {
    ((x * f64::from(FINE)).round() as i32, (y * f64::from(FINE)).round() as i32)
}

fn length(pixels: f64) -> i32 {
    (pixels * f64::from(FINE)).round() as i32
}
