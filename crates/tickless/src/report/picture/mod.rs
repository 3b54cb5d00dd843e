//! The pictures: each is a list of shapes, drawn from the values alone.
//!
//! A chart ([`accuracy`], [`work`], [`rates`], [`raster`], [`sample`], [`curves`], [`decision`]) turns values into a
//! [`Picture`]: shapes in pixels and [`Ink`]s. Nothing there can fail. [`mod@paint`] replays the shapes through
//! plotters, into an SVG document ([`mod@svg`]) or a bitmap ([`mod@png`]); so both are the same picture.

mod accuracy;
pub(crate) mod asynchrony;
mod axes;
mod curves;
mod decision;
mod paint;
mod palette;
mod png;
mod raster;
mod rates;
pub(crate) mod sample;
pub(crate) mod samples;
mod svg;
mod work;

use super::data::ReportData;

pub(crate) use palette::{Ink, series, stylesheet};
pub(crate) use png::png;
pub(crate) use svg::{Use, svg};

/// A position or an extent in pixels of the picture; y grows downwards.
pub(crate) type Spot = (f64, f64);

/// Left, top, width, height.
pub(crate) type Rect = (f64, f64, f64, f64);

/// One picture.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// File name without extension.
    pub name: String,
    /// Short title, read by screen readers.
    pub title: String,
    /// What it shows, in a sentence with its main numbers, for who cannot see it.
    pub alternative: String,
    /// What stands beneath it on the page.
    pub caption: String,
    /// Width and height.
    pub size: Spot,
    /// From back to front.
    pub shapes: Vec<Shape>,
}

/// One thing to draw.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// An open line through points; `dash` gives the lengths drawn and left out.
    Line { points: Vec<Spot>, ink: Ink, width: f64, dash: Option<(f64, f64)> },
    /// A filled polygon.
    Area { points: Vec<Spot>, ink: Ink },
    /// A filled circle.
    Disc { centre: Spot, radius: f64, ink: Ink },
    /// Filled rectangles of one colour, any number of them.
    Boxes { boxes: Vec<Rect>, ink: Ink },
    /// One line of text, centred vertically on `at`.
    Text { at: Spot, text: String, size: f64, ink: Ink, align: Align },
}

/// Where a text stands relative to its spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Centre,
    Right,
}

impl Picture {
    /// An empty picture on paper.
    pub fn new(name: impl Into<String>, title: impl Into<String>, width: f64, height: f64) -> Self {
        let mut picture = Self { name: name.into(), title: title.into(), size: (width, height), ..Self::default() };
        picture.rect(0.0, 0.0, width, height, Ink::PAPER);
        picture
    }

    pub fn line(&mut self, points: impl Into<Vec<Spot>>, ink: Ink, width: f64) {
        self.shapes.push(Shape::Line { points: points.into(), ink, width, dash: None });
    }

    pub fn dashed(&mut self, points: impl Into<Vec<Spot>>, ink: Ink, width: f64, dash: (f64, f64)) {
        self.shapes.push(Shape::Line { points: points.into(), ink, width, dash: Some(dash) });
    }

    pub fn area(&mut self, points: impl Into<Vec<Spot>>, ink: Ink) {
        self.shapes.push(Shape::Area { points: points.into(), ink });
    }

    pub fn disc(&mut self, centre: Spot, radius: f64, ink: Ink) {
        self.shapes.push(Shape::Disc { centre, radius, ink });
    }

    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, ink: Ink) {
        self.shapes.push(Shape::Boxes { boxes: vec![(x, y, width, height)], ink });
    }

    pub fn boxes(&mut self, boxes: Vec<Rect>, ink: Ink) {
        self.shapes.push(Shape::Boxes { boxes, ink });
    }

    pub fn text(&mut self, at: Spot, text: impl Into<String>, size: f64, ink: Ink, align: Align) {
        self.shapes.push(Shape::Text { at, text: text.into(), size, ink, align });
    }

    /// A vertical error bar with caps.
    pub fn error_bar(&mut self, x: f64, top: f64, bottom: f64, ink: Ink) {
        self.line([(x, top), (x, bottom)], ink, 1.25);
        for y in [top, bottom] {
            self.line([(x - 3.5, y), (x + 3.5, y)], ink, 1.25);
        }
    }

    /// The mark of a series: its colour and its own shape, so that neither alone is needed.
    pub fn mark(&mut self, index: usize, (x, y): Spot, hollow: bool) {
        self.mark_of(index, (x, y), 5.0, series(index));
        if hollow {
            self.mark_of(index, (x, y), 2.75, Ink::PAPER);
        }
    }

    fn mark_of(&mut self, index: usize, (x, y): Spot, r: f64, ink: Ink) {
        let shape =
            |corners: &[Spot]| -> Vec<Spot> { corners.iter().map(|(dx, dy)| (x + r * dx, y + r * dy)).collect() };
        match index % 5 {
            0 => self.disc((x, y), r, ink),
            1 => self.area(shape(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]), ink),
            2 => self.area(shape(&[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)]), ink),
            3 => self.area(shape(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]), ink),
            _ => self.area(shape(&[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)]), ink),
        }
    }
}

/// Every picture there are values for, in the order of the page.
pub(crate) fn pictures(data: &ReportData) -> Vec<Picture> {
    let mut pictures: Vec<Picture> =
        [accuracy::picture(data), decision::picture(data), work::picture(data), rates::picture(data)]
            .into_iter()
            .flatten()
            .chain(raster::pictures(data))
            .chain(sample::picture(data))
            .chain(curves::picture(data))
            .collect();
    for i in 1..pictures.len() {
        let same = pictures[..i].iter().filter(|p| p.name == pictures[i].name).count();
        if same > 0 {
            pictures[i].name += &format!("-{}", i + 1);
        }
    }
    pictures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_picture_for_every_part() {
        let names: Vec<String> = pictures(&fixture::full()).into_iter().map(|p| p.name).collect();
        let expected =
            ["accuracy", "decision", "work", "rates", "raster-sdt", "raster-nmt", "raster-mtt", "input", "training"];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_shape_lies_in_its_picture_and_is_finite() {
        for data in [fixture::full(), fixture::hostile()] {
            for picture in pictures(&data) {
                let inside = |(x, y): Spot| {
                    (-1.0..=picture.size.0 + 1.0).contains(&x) && (-1.0..=picture.size.1 + 1.0).contains(&y)
                };
                for shape in &picture.shapes {
                    let spots: Vec<Spot> = match shape {
                        Shape::Line { points, .. } | Shape::Area { points, .. } => points.clone(),
                        Shape::Disc { centre, .. } => vec![*centre],
                        Shape::Boxes { boxes, .. } => {
                            boxes.iter().flat_map(|&(x, y, w, h)| [(x, y), (x + w, y + h)]).collect()
                        }
                        Shape::Text { at, .. } => vec![*at],
                    };
                    assert!(spots.iter().all(|&s| inside(s)), "{}: {shape:?}", picture.name);
                }
            }
        }
    }

    #[test]
    fn no_values_no_pictures() {
        assert!(pictures(&ReportData::default()).is_empty());
    }
}
