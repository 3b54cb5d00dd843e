//! The pictures: each is a list of shapes, computed from the values alone.
//!
//! A chart ([`accuracy`], [`work`], [`rates`], [`raster`], [`sample`], [`curves`], [`decision`],
//! [`frontier`])
//! turns values into a [`Picture`]: shapes in pixels and [`Ink`]s. This step cannot fail.
//! [`mod@paint`] replays the shapes through plotters into an SVG document ([`mod@svg`]) or a bitmap
//! ([`mod@png`]), so both show the same picture.

mod accuracy;
pub(crate) mod asynchrony;
mod axes;
pub(crate) mod chip;
mod curves;
mod decision;
pub(crate) mod early_exit;
pub(crate) mod frontier;
pub(crate) mod graph;
pub(crate) mod no_clock;
mod paint;
pub(crate) mod palette;
mod png;
mod raster;
mod rates;
pub(crate) mod robustness;
pub(crate) mod sample;
pub(crate) mod samples;
mod svg;
mod work;

use super::data::{ReportData, StrategyResult};

pub(crate) use paint::FINE;
pub(crate) use palette::{Ink, series, stylesheet};
pub(crate) use png::png;
pub(crate) use svg::{Use, svg};

/// The width that a picture is drawn for. Text has the same size in both formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a large screen, a file or paper.
    Wide,
    /// For the screen of a telephone: parts are placed below each other.
    Narrow,
}

impl Format {
    /// Width in pixels.
    pub fn width(self) -> f64 {
        self.choose(960.0, 368.0)
    }

    /// Selects one of two values.
    pub fn choose<T>(self, wide: T, narrow: T) -> T {
        match self {
            Format::Wide => wide,
            Format::Narrow => narrow,
        }
    }
}

/// A position or an extent in pixels of the picture. The y axis points down.
pub(crate) type Spot = (f64, f64);

/// A rectangle: left, top, width, height.
pub(crate) type Rect = (f64, f64, f64, f64);

/// One picture.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// File name without extension.
    pub name: String,
    /// Short title, which screen readers read.
    pub title: String,
    /// A sentence with the main numbers, for readers who cannot see the picture.
    pub alternative: String,
    /// Caption below the picture on the page.
    pub caption: String,
    /// Width and height in pixels.
    pub size: Spot,
    /// The shapes, from back to front.
    pub shapes: Vec<Shape>,
}

/// One shape.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// An open line through points; `dash` gives the lengths of dashes and gaps.
    Line { points: Vec<Spot>, ink: Ink, width: f64, dash: Option<(f64, f64)> },
    /// A filled polygon.
    Area { points: Vec<Spot>, ink: Ink },
    /// A filled circle.
    Disc { centre: Spot, radius: f64, ink: Ink },
    /// Filled rectangles of one colour.
    Boxes { boxes: Vec<Rect>, ink: Ink },
    /// One line of text, centred vertically on `at`.
    Text { at: Spot, text: String, size: f64, ink: Ink, align: Align },
}

/// Horizontal position of a text relative to its spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Centre,
    Right,
}

impl Picture {
    /// An empty picture with a background.
    pub fn new(name: impl Into<String>, title: impl Into<String>, width: f64, height: f64) -> Self {
        let mut picture = Self { name: name.into(), title: title.into(), size: (width, height), ..Self::default() };
        picture.rect(0.0, 0.0, width, height, Ink::PAPER);
        picture
    }

    /// Changes the height; the shapes stay.
    pub fn resize(&mut self, height: f64) {
        self.size.1 = height.ceil();
        if let Some(Shape::Boxes { boxes, .. }) = self.shapes.first_mut() {
            *boxes = vec![(0.0, 0.0, self.size.0, self.size.1)];
        }
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

    /// A band between an upper and a lower edge. Each entry is x, upper y and lower y, in pixels.
    pub fn band(&mut self, edges: &[(f64, f64, f64)], ink: Ink) {
        let upper = edges.iter().map(|(x, top, _)| (*x, *top));
        let lower = edges.iter().rev().map(|(x, _, bottom)| (*x, *bottom));
        if edges.len() > 1 {
            self.area(upper.chain(lower).collect::<Vec<_>>(), ink);
        }
    }

    /// The mark of a series. Series differ in colour and in shape, so that either suffices to tell
    /// them apart.
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

/// The rows of a report with the number of their colour and mark ([`series`]).
pub(crate) fn rows(data: &ReportData) -> Vec<(usize, &StrategyResult)> {
    let strategies: Vec<&str> = data.strategies.iter().map(|s| s.family()).collect();
    palette::assign(&strategies).into_iter().zip(&data.strategies).collect()
}

/// All pictures that the data has values for, in the order of the page.
pub(crate) fn pictures(data: &ReportData, format: Format) -> Vec<Picture> {
    let charts = [accuracy::picture, frontier::picture, decision::picture, work::picture, rates::picture];
    let mut pictures: Vec<Picture> = charts
        .into_iter()
        .filter_map(|chart| chart(data, format))
        .chain(raster::pictures(data, format))
        .chain(sample::picture(data, format))
        .chain(curves::picture(data, format))
        .collect();
    for i in 1..pictures.len() {
        let same = pictures[..i].iter().filter(|p| p.name == pictures[i].name).count();
        if same > 0 {
            pictures[i].name += &format!("-{}", i + 1);
        }
    }
    // Both formats appear on one page, where names must be unique.
    if format == Format::Narrow {
        pictures.iter_mut().for_each(|p| p.name += "-narrow");
    }
    pictures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_picture_for_every_part() {
        let names: Vec<String> = pictures(&fixture::full(), Format::Wide).into_iter().map(|p| p.name).collect();
        let expected =
            ["accuracy", "decision", "work", "rates", "raster-sdt", "raster-nmt", "raster-mtt", "input", "training"];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_shape_lies_in_its_picture_and_is_finite() {
        for (data, format) in [fixture::full(), fixture::explored(), fixture::hostile()]
            .into_iter()
            .flat_map(|d| [(d.clone(), Format::Wide), (d, Format::Narrow)])
        {
            for picture in pictures(&data, format) {
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

    /// The bounding boxes of a picture's texts: left, top, right, bottom, text.
    fn texts(picture: &Picture) -> Vec<(f64, f64, f64, f64, String)> {
        let text = |s: &Shape| match s {
            Shape::Text { at, text, size, align, .. } => {
                let width = axes::width(text, *size) * 0.92;
                let left = at.0 - width * [0.0, 0.5, 1.0][*align as usize];
                Some((left, at.1 - size * 0.45, left + width, at.1 + size * 0.45, text.clone()))
            }
            _ => None,
        };
        picture.shapes.iter().filter_map(text).collect()
    }

    #[test]
    fn every_text_is_large_enough_to_read_lies_in_its_picture_and_touches_no_other() {
        let mut long = fixture::full();
        long.sample.as_mut().unwrap().duration_us = 160_000_000;
        for s in &mut long.strategies {
            s.raster.as_mut().unwrap().duration_us = 160_000_000;
            let decisions = s.event_driven.as_mut().unwrap().decisions.as_mut().unwrap();
            decisions.time.iter_mut().for_each(|p| p.us *= 500);
            decisions.exits.iter_mut().for_each(|p| p.us *= 500.0);
        }
        for (data, format) in [fixture::full(), fixture::explored(), long]
            .into_iter()
            .flat_map(|d| [(d.clone(), Format::Wide), (d, Format::Narrow)])
        {
            for picture in pictures(&data, format) {
                assert!((picture.size.0 - format.width()).abs() < 0.5, "{}: {:?}", picture.name, picture.size);
                for shape in &picture.shapes {
                    if let Shape::Text { size, text, .. } = shape {
                        assert!(*size >= 10.5, "{} {format:?}: `{text}` is {size} pixels high", picture.name);
                    }
                }
                let all = texts(&picture);
                for (k, a) in all.iter().enumerate() {
                    let inside = a.0 >= -1.0 && a.2 <= picture.size.0 + 1.0 && a.3 <= picture.size.1;
                    assert!(inside, "{} {format:?}: {a:?} leaves {:?}", picture.name, picture.size);
                    for b in &all[k + 1..] {
                        let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                        assert!(apart, "{} {format:?}: {a:?} on {b:?}", picture.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_strategy_has_its_colour_on_every_page() {
        let colours = |names: &[&str]| {
            let mut data = fixture::full();
            data.strategies = names
                .iter()
                .map(|n| StrategyResult {
                    name: format!("runs/{n}"),
                    strategy: (*n).into(),
                    ..StrategyResult::default()
                })
                .collect();
            rows(&data).into_iter().map(|r| r.0).collect::<Vec<_>>()
        };
        assert_eq!(colours(&["SDT", "NMT", "MTT"]), [0, 1, 2]);
        assert_eq!(colours(&["MTT"]), [2]);
        assert_eq!(colours(&["MTT", "SDT"]), [2, 0]);
        assert_eq!(colours(&["imported", "MTT", "MTT"]), [3, 2, 4], "nothing else takes the colour of a strategy");
    }

    #[test]
    fn no_values_no_pictures() {
        assert!(pictures(&ReportData::default(), Format::Wide).is_empty());
    }
}
