//! A matrix in colours that go both ways from 0, with its numbers.

use super::axes::{NAME, TICK, nothing, title};
use super::bars::{Names, names};
use super::pen::{Align, GRID, INK, MUTED, Pen, WHITE, shorten, width};
use super::style::{BLUE, ORANGE};
use super::{HEIGHT, WIDTH};
use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

/// White at 0, orange at −1, blue at +1.
fn tint(t: f64) -> RGBColor {
    let end = if t < 0.0 { ORANGE } else { BLUE };
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t.abs().min(1.0)).round() as u8;
    RGBColor(mix(WHITE.0, end.0), mix(WHITE.1, end.1), mix(WHITE.2, end.2))
}

/// A number in at most about four characters.
fn short(value: f64, largest: f64) -> String {
    let decimals = if largest >= 100.0 {
        0
    } else if largest >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let text = if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').to_string() } else { text };
    text.replace('-', "−")
}

/// Draws the matrix; `(value, y, x)` are what the numbers, rows and columns are.
pub(super) fn draw<B: DrawingBackend>(
    pen: &mut Pen<B>,
    heading: Option<&str>,
    (value, y, x): (&str, &str, &str),
    (rows, columns): (&[String], &[String]),
    values: &[Vec<Option<f64>>],
) {
    let known = |r: usize, c: usize| values.get(r).and_then(|v| v.get(c)).copied().flatten().filter(|v| v.is_finite());
    let cells = (0..rows.len()).flat_map(|r| (0..columns.len()).map(move |c| (r, c)));
    let largest = cells.clone().filter_map(|(r, c)| known(r, c)).map(f64::abs).fold(f64::NAN, f64::max);
    if largest.is_nan() {
        return nothing(pen, heading);
    }
    let span = if largest > 0.0 { largest } else { 1.0 };
    let top = title(pen, heading) + 6.0;
    let row_names: Vec<String> = rows.iter().map(|r| shorten(r, TICK, 200.0)).collect();
    let left = 18.0 + 24.0 + row_names.iter().map(|r| width(r, TICK)).fold(0.0, f64::max) + 8.0;
    let right = f64::from(WIDTH) - 18.0 - 104.0;
    let slot = (right - left) / columns.len() as f64;
    let (column_names, below) = names(columns, slot, TICK);
    let bottom = f64::from(HEIGHT) - 18.0 - below - 22.0;
    let tall = (bottom - top) / rows.len() as f64;
    // One size for all numbers, or none at all where the widest does not fit.
    let widest = cells.clone().filter_map(|(r, c)| known(r, c)).map(|v| width(&short(v, largest), 1000.0) / 1000.0).fold(0.0, f64::max);
    let em = [NAME, 11.0, 9.5, 8.0].into_iter().find(|em| widest * em + 3.0 <= slot && em + 3.0 <= tall);
    for (r, c) in cells {
        let (a, b) = ((left + slot * c as f64, top + tall * r as f64), (left + slot * (c + 1) as f64, top + tall * (r + 1) as f64));
        let (text, fill, ink) = match known(r, c) {
            Some(v) => (short(v, largest), tint(v / span), if v / span > 0.55 { WHITE } else { INK }),
            None => ("–".into(), RGBColor(0xF2, 0xF2, 0xF2), MUTED),
        };
        pen.rect(a, b, fill, 1.0);
        if let Some(em) = em {
            pen.text(((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0 + 0.36 * em), &text, em, ink, Align::Middle);
        }
    }
    for c in 0..=columns.len() {
        let at = left + slot * c as f64;
        pen.line(&[(at, top), (at, bottom)], GRID, 1.0);
    }
    for r in 0..=rows.len() {
        let at = top + tall * r as f64;
        pen.line(&[(left, at), (right, at)], GRID, 1.0);
    }
    let every = |size: f64| ((NAME + 1.0) / size).ceil().max(1.0) as usize;
    for (r, name) in row_names.iter().enumerate().step_by(every(tall)) {
        pen.text((left - 8.0, top + tall * (r as f64 + 0.5) + 4.3), name, TICK, INK, Align::Right);
    }
    for c in 0..columns.len() {
        let middle = left + slot * (c as f64 + 0.5);
        match &column_names {
            Names::Level(lines) => {
                for (k, line) in lines[c].iter().enumerate() {
                    pen.text((middle, bottom + 17.0 + 15.0 * k as f64), line, TICK, INK, Align::Middle);
                }
            }
            Names::Upward(cut) if c % every(slot) == 0 => pen.upward((middle + 4.3, bottom + 8.0), &cut[c], TICK, INK, Align::Right),
            Names::Upward(_) => {}
        }
    }
    pen.text(((left + right) / 2.0, f64::from(HEIGHT) - 14.0), &shorten(x, NAME, right - left), NAME, INK, Align::Middle);
    pen.upward((28.0, (top + bottom) / 2.0), &shorten(y, NAME, bottom - top), NAME, INK, Align::Middle);
    scale(pen, (right + 22.0, top, bottom), value, span);
}

/// The colours beside the matrix, with their numbers.
fn scale<B: DrawingBackend>(pen: &mut Pen<B>, (left, top, bottom): (f64, f64, f64), value: &str, span: f64) {
    const PARTS: usize = 64;
    let part = (bottom - top) / PARTS as f64;
    for k in 0..PARTS {
        let t = 1.0 - 2.0 * (k as f64 + 0.5) / PARTS as f64;
        let y = top + part * k as f64;
        pen.rect((left, y), (left + 16.0, (y + part + 0.5).min(bottom)), tint(t), 1.0);
    }
    pen.border((left, top), (left + 16.0, bottom), MUTED, 1.0);
    for t in [1.0, 0.5, 0.0, -0.5, -1.0] {
        let y = top + (1.0 - t) / 2.0 * (bottom - top);
        pen.line(&[(left + 16.0, y), (left + 20.0, y)], MUTED, 1.0);
        pen.text((left + 23.0, y + 4.3), &short(t * span, span), TICK, MUTED, Align::Left);
    }
    pen.upward((left + 80.0, (top + bottom) / 2.0), &shorten(value, NAME, bottom - top), NAME, INK, Align::Middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_both_ways_from_white() {
        assert_eq!((tint(0.0), tint(1.0), tint(-1.0), tint(7.0)), (WHITE, BLUE, ORANGE, BLUE));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([short(12.34, 12.34), short(-0.001, 12.0), short(0.456, 0.5), short(-123.4, 200.0)], ["12.3", "0.0", "0.46", "−123"]);
    }
}
