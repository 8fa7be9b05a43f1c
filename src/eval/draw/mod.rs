//! Draws a [`Chart`] as SVG or PNG, both from the same strokes; no font of the system is needed.
//!
//! Letters beyond Latin, Greek and basic Cyrillic are boxes in PNG; in SVG the reader's fonts show them.

mod axes;
mod bars;
mod heat;
mod histogram;
mod lines;
mod pen;
mod reliability;
mod style;

use crate::eval::EvalError;
use crate::eval::parts::chart::{Chart, ChartKind};
use crate::util::html::escape;
use pen::{BITMAP_TEXT, FINE, Pen, SVG_TEXT, WHITE, load_font};
use plotters::backend::DrawingBackend;
use plotters::prelude::{BitMapBackend, SVGBackend};

/// Width of a picture in CSS pixels.
pub const WIDTH: u32 = 900;
/// Height of a picture in CSS pixels.
pub const HEIGHT: u32 = 560;
/// Pixels of the PNG a CSS pixel.
pub const DENSITY: u32 = 2;

/// A standalone SVG document, [`WIDTH`] × [`HEIGHT`], with its title in it.
///
/// # Errors
/// The drawing backend fails.
pub fn svg(chart: &Chart) -> Result<String, EvalError> {
    vector(chart, Some(&chart.title))
}

/// As [`svg`], for a page that has the title in a caption of its own.
///
/// # Errors
/// As [`svg`].
pub fn svg_untitled(chart: &Chart) -> Result<String, EvalError> {
    vector(chart, None)
}

fn vector(chart: &Chart, heading: Option<&str>) -> Result<String, EvalError> {
    load_font()?;
    let mut out = String::new();
    let size = (WIDTH * FINE as u32, HEIGHT * FINE as u32);
    let mut pen = Pen::new(SVGBackend::with_string(&mut out, size), SVG_TEXT);
    picture(&mut pen, chart, heading);
    pen.finish()?;
    // The backend's pixels are fine ones; the reader's are not, and a page wants to be told what the picture shows.
    let start = out.find('>').map_or(out.len(), |i| i + 1);
    let (w, h) = size;
    let name = escape(&chart.title);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{name}\">{}",
        &out[start..]
    ))
}

/// A PNG file of [`DENSITY`] × ([`WIDTH`] × [`HEIGHT`]) pixels, with its title in it.
///
/// # Errors
/// The drawing backend or the encoder fails.
pub fn png(chart: &Chart) -> Result<Vec<u8>, EvalError> {
    load_font()?;
    let failed = |e: &dyn std::fmt::Display| EvalError::Input(format!("a chart cannot be drawn: {e}"));
    let (fine, out) = (FINE as usize, DENSITY as usize);
    let (w, h) = (WIDTH as usize * fine, HEIGHT as usize * fine);
    let mut pixels = vec![0xFF; w * h * 3];
    let backend = BitMapBackend::with_buffer(&mut pixels, (w as u32, h as u32));
    let mut pen = Pen::new(backend, BITMAP_TEXT);
    picture(&mut pen, chart, Some(&chart.title));
    pen.finish()?;
    let mut file = Vec::new();
    let (width, height) = (WIDTH * DENSITY, HEIGHT * DENSITY);
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let small = shrink(&pixels, w, fine / out);
    let mut writer = encoder.write_header().map_err(|e| failed(&e))?;
    writer.write_image_data(&small).map_err(|e| failed(&e))?;
    writer.finish().map_err(|e| failed(&e))?;
    Ok(file)
}

/// Means of `by` × `by` pixels: the backend's polygons have no smooth edges of their own.
fn shrink(pixels: &[u8], width: usize, by: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / by / by);
    for rows in pixels.chunks_exact(width * 3 * by) {
        for x in (0..width).step_by(by) {
            for channel in 0..3 {
                let block = (0..by * by).map(|k| u32::from(rows[((k / by) * width + x + k % by) * 3 + channel]));
                out.push((block.sum::<u32>() / (by * by) as u32) as u8);
            }
        }
    }
    out
}

fn picture<B: DrawingBackend>(pen: &mut Pen<B>, chart: &Chart, heading: Option<&str>) {
    pen.rect((0.0, 0.0), (f64::from(WIDTH), f64::from(HEIGHT)), WHITE, 1.0);
    match &chart.kind {
        ChartKind::Lines { x, y, log_x, percent, series } => {
            lines::draw(pen, heading, &lines::Axes { x, y, log_x: *log_x, percent: *percent }, series);
        }
        ChartKind::Histogram { x, edges, series } => histogram::draw(pen, heading, x, edges, series),
        ChartKind::Reliability { bins } => reliability::draw(pen, heading, bins),
        ChartKind::Bars { x, y, percent, groups, series } => bars::draw(pen, heading, (x, y, *percent), groups, series),
        ChartKind::Heat { value, y, x, rows, columns, values } => heat::draw(pen, heading, (value, y, x), (rows, columns), values),
    }
}

#[cfg(test)]
mod tests;
