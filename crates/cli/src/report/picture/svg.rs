//! Renders a picture as SVG.

use std::fmt::Write as _;

use plotters::prelude::*;

use super::Picture;
use super::paint::{FINE, paint, prepare};
use crate::report::ReportError;
use crate::report::escape::escape;

/// The place where the SVG will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// As a file.
    File,
    /// Inside the page, which determines width and colours.
    Inline,
}

/// Renders the SVG, as wide as its container, with title and description for screen readers.
pub(crate) fn svg(picture: &Picture, purpose: Use) -> Result<String, ReportError> {
    prepare();
    let (width, height) = picture.size;
    let (fine_width, fine_height) = (width as u32 * FINE, height as u32 * FINE);
    let mut drawn = String::new();
    paint(picture, &SVGBackend::with_string(&mut drawn, (fine_width, fine_height)).into_drawing_area(), 0.0)
        .map_err(|error| ReportError::Draw { picture: picture.name.clone(), reason: error.to_string() })?;
    let body = drawn.split_once('>').map_or("", |(_, body)| body);
    let mut document = String::from("<svg ");
    if purpose == Use::File {
        let _ = write!(document, "xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" ");
    }
    let id = &picture.name;
    let _ = write!(
        document,
        "viewBox=\"0 0 {fine_width} {fine_height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-text\">{}</desc>\n{}",
        escape(&picture.title),
        escape(&picture.alternative),
        compact(body),
    );
    Ok(document)
}

/// Joins consecutive rectangles of one colour into one path, and drops default attributes and line
/// breaks. This reduces a raster to an eighth of its size.
fn compact(body: &str) -> String {
    let mut text = String::with_capacity(body.len() / 4);
    let mut open: Option<&str> = None;
    for line in body.lines() {
        let rectangle = rectangle(line);
        if open.is_some() && open != rectangle.map(|(_, style)| style) {
            let _ = writeln!(text, "\"{}", open.take().unwrap_or_default());
        }
        match rectangle {
            Some(([x, y, w, h], style)) => {
                if open.replace(style).is_none() {
                    text.push_str("<path d=\"");
                }
                let _ = write!(text, "M{x} {y}h{w}v{h}h-{w}z");
            }
            None if line.starts_with("<text") => text.push_str(line),
            None if line.starts_with('<') => {
                text.push_str(line);
                text.push('\n');
            }
            None => text.push_str(line),
        }
    }
    text.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "").replace(" \"/>", "\"/>")
}

/// Position and size of a filled rectangle as plotters writes it, and the rest of its element.
fn rectangle(line: &str) -> Option<([&str; 4], &str)> {
    let mut rest = line.strip_prefix("<rect ")?;
    let mut values = [""; 4];
    for (value, name) in values.iter_mut().zip(["x=\"", "y=\"", "width=\"", "height=\""]) {
        let (found, after) = rest.strip_prefix(name)?.split_once("\" ")?;
        (*value, rest) = (found, after);
    }
    let style = &line[line.len() - rest.len() - 1..];
    (!style.contains("fill=\"none\"")).then_some((values, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::picture::{Format, Ink, pictures};

    #[test]
    fn rectangles_of_one_colour_become_one_path() {
        let mut picture = Picture::new("p", "t", 10.0, 10.0);
        picture.boxes(vec![(1.0, 1.0, 1.0, 1.0), (3.0, 3.0, 2.0, 1.0)], Ink::ON.at(0.5));
        let svg = svg(&picture, Use::File).unwrap();
        assert!(svg.contains("<path d=\"M4 4h4v4h-4zM12 12h8v4h-8z\" opacity=\"0.5\" fill=\"#D45D01\"/>"), "{svg}");
        assert!(!svg.contains("<rect"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn a_file_stands_alone_and_an_inline_drawing_names_no_address() {
        for picture in pictures(&fixture::full(), Format::Wide) {
            let file = svg(&picture, Use::File).unwrap();
            assert!(file.starts_with("<svg xmlns=") && file.contains("<title") && file.contains("fill=\"#FFFFFF\""));
            assert!(!svg(&picture, Use::Inline).unwrap().contains("http"), "{}", picture.name);
            assert!(file.len() < 400_000, "{} has {} bytes", picture.name, file.len());
        }
    }

    #[test]
    fn text_is_escaped() {
        let mut picture = Picture::new("p", "a < b", 10.0, 10.0);
        picture.text((5.0, 5.0), "<&>", 10.0, Ink::TEXT, crate::report::picture::Align::Left);
        let svg = svg(&picture, Use::Inline).unwrap();
        assert!(svg.contains(">a &lt; b</title>") && svg.contains(">&lt;&amp;&gt;</text>"), "{svg}");
    }
}
