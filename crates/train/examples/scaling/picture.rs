//! Draws the measured points and their lines, one panel per quantity, as SVG or PNG.

use super::fit::Line;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use std::error::Error;

/// Name of the quantity, its points (x, seconds), and the line.
pub type Panel<'a> = (&'a str, Vec<(f64, f64)>, Line);

const SIZE: (u32, u32) = (1100, 800);

/// Draws into `path`; the file's extension, `.svg` or `.png`, selects the format.
pub fn draw(path: &str, title: &str, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error>> {
    // An embedded font, so that the picture does not depend on installed fonts.
    register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).map_err(|_| "the font does not parse")?;
    if path.ends_with(".svg") {
        return paint(&SVGBackend::new(path, SIZE).into_drawing_area(), title, panels);
    }
    if !path.ends_with(".png") {
        return Err("unknown picture format".into());
    }
    let mut pixels = vec![255u8; (SIZE.0 * SIZE.1 * 3) as usize];
    paint(&BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area(), title, panels)?;
    let mut encoder = png::Encoder::new(std::fs::File::create(path)?, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    Ok(writer.finish()?)
}

fn paint<D: DrawingBackend>(
    area: &DrawingArea<D, Shift>,
    title: &str,
    panels: &[Panel<'_>],
) -> Result<(), Box<dyn Error>>
where
    D::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let area = area.margin(12, 0, 0, 0).titled(title, ("sans-serif", 24))?;
    for (part, (name, points, line)) in area.split_evenly((panels.len().div_ceil(2), 2)).iter().zip(panels) {
        let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(0.0, f64::max) * 1.08;
        let (right, top) = (most(|p| p.0), 1e3 * most(|p| p.1).max(line.fixed));
        let caption = format!("{name}: R² = {:.4}, at most {:.1} % off the line", line.r2, 100.0 * line.largest);
        let mut chart = ChartBuilder::on(part)
            .caption(caption, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(0.0..right, 0.0..top)?;
        let light = RGBColor(225, 225, 225);
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT).bold_line_style(light).label_style(("sans-serif", 14));
        mesh.x_label_formatter(&|v| format!("{v}")).y_label_formatter(&|v| format!("{v}"));
        mesh.x_desc(*name).y_desc("ms").axis_desc_style(("sans-serif", 15)).draw()?;
        let ends = [0.0, right].map(|x| (x, 1e3 * (line.fixed + line.slope * x)));
        chart.draw_series([PathElement::new(ends.to_vec(), RGBColor(0, 90, 160).stroke_width(2))])?;
        let dots = points.iter().map(|(x, y)| Circle::new((*x, 1e3 * y), 4, RGBColor(200, 80, 0).filled()));
        chart.draw_series(dots)?;
    }
    area.present()?;
    Ok(())
}
