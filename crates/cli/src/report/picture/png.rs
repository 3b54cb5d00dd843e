//! Renders a picture as PNG, for programs that cannot show SVG. The file has twice the nominal
//! size, for high-resolution screens.

use plotters::prelude::*;

use super::Picture;
use super::paint::{FINE, paint, prepare};
use crate::report::ReportError;

/// Pixels of the file per pixel of the picture.
const DENSITY: u32 = 2;

/// Plotters places bitmap text too high by this share of the letter size.
const TEXT_DROP: f64 = 0.27;

/// Renders the picture to the bytes of a PNG file.
pub(crate) fn png(picture: &Picture) -> Result<Vec<u8>, ReportError> {
    prepare();
    let failed = |reason: &dyn std::fmt::Display| ReportError::Draw {
        picture: picture.name.clone(),
        reason: reason.to_string(),
    };
    let (width, height) = (picture.size.0 as u32, picture.size.1 as u32);
    let painted = (width * FINE, height * FINE);
    let mut pixels = vec![255u8; (painted.0 * painted.1 * 3) as usize];
    paint(picture, &BitMapBackend::with_buffer(&mut pixels, painted).into_drawing_area(), TEXT_DROP)
        .map_err(|e| failed(&e))?;
    let small = average(&pixels, painted.0 as usize, (FINE / DENSITY) as usize);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width * DENSITY, height * DENSITY);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| failed(&e))?;
    writer.write_image_data(&small).map_err(|e| failed(&e))?;
    writer.finish().map_err(|e| failed(&e))?;
    Ok(file)
}

/// Averages squares of `by` × `by` pixels, which smooths the edges.
fn average(pixels: &[u8], width: usize, by: usize) -> Vec<u8> {
    let mut small = Vec::with_capacity(pixels.len() / by / by);
    let mut sums = vec![0u16; width / by * 3];
    for rows in pixels.chunks_exact(width * 3 * by) {
        sums.fill(0);
        for row in rows.chunks_exact(width * 3) {
            for (square, sum) in row.chunks_exact(3 * by).zip(sums.chunks_exact_mut(3)) {
                for pixel in square.chunks_exact(3) {
                    sum[0] += u16::from(pixel[0]);
                    sum[1] += u16::from(pixel[1]);
                    sum[2] += u16::from(pixel[2]);
                }
            }
        }
        small.extend(sums.iter().map(|sum| (sum / (by * by) as u16) as u8));
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::picture::Ink;

    #[test]
    fn a_bitmap_has_the_colours_of_the_picture() {
        let mut picture = Picture::new("p", "t", 20.0, 10.0);
        picture.rect(0.0, 0.0, 10.0, 10.0, Ink::ON);
        let file = png(&picture).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (40, 20));
        assert_eq!((&pixels[..3], &pixels[39 * 3..40 * 3]), (&[0xD4, 0x5D, 0x01][..], &[255, 255, 255][..]));
    }
}
