//! Primitives in logical pixels, the same for SVG and for bitmaps.

use crate::eval::EvalError;
use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle, register_font};
use std::sync::OnceLock;

/// Both backends have integer coordinates: a logical pixel is this many of theirs.
pub(super) const FINE: f64 = 4.0;
/// CSS families of the SVG; the embedded font is registered under the whole list, so that both backends take the same name.
const FAMILY: &str = "DejaVu Sans, Verdana, Arial, sans-serif";
const FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-subset.ttf");

/// Joins two words that belong on one line.
pub(super) const NBSP: char = '\u{a0}';

pub(super) type Point = (f64, f64);
/// A point of the backend.
type BackendCoord = (i32, i32);

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const MUTED: RGBColor = RGBColor(0x55, 0x55, 0x55);
pub(super) const GRID: RGBColor = RGBColor(0xE2, 0xE2, 0xE2);
pub(super) const WHITE: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
}

/// How a backend measures text: what one em is in its font sizes, and how far below its anchor the baseline is, in ems.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextMetrics {
    size_of_em: f64,
    baseline: f64,
}

/// `plotters-svg` writes a font size of size ÷ 1.24 and shifts the top anchor by 0.76 em.
pub(super) const SVG_TEXT: TextMetrics = TextMetrics { size_of_em: 1.24, baseline: 0.76 };
/// `ab_glyph` takes the size for ascent − descent (1901 + 483 of 2048 units here), and plotters sets the baseline half of it below the top.
pub(super) const BITMAP_TEXT: TextMetrics = TextMetrics { size_of_em: 2384.0 / 2048.0, baseline: 0.5 * 2384.0 / 2048.0 };

/// Registers the embedded font once.
pub(super) fn load_font() -> Result<(), EvalError> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, FONT).is_ok());
    if *loaded { Ok(()) } else { Err(EvalError::Input("the embedded font of the charts cannot be read".into())) }
}

fn font(size: f64) -> FontDesc<'static> {
    FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal)
}

/// Width of a text at `em` logical pixels.
pub(super) fn width(text: &str, em: f64) -> f64 {
    let size = em * FINE * BITMAP_TEXT.size_of_em;
    font(size).layout_box(text).map_or(0.6 * em * text.chars().count() as f64, |(a, b)| f64::from(b.0 - a.0) / FINE)
}

/// The text, with `…` for its middle where it is wider than `room`: names often differ at their end alone.
pub(super) fn shorten(text: &str, em: f64, room: f64) -> String {
    // No name is drawn longer than this, and each cut is measured.
    const MOST: usize = 400;
    let all: Vec<char> = text.chars().take(MOST + 1).collect();
    if all.len() <= MOST && width(text, em) <= room {
        return text.to_string();
    }
    let all: Vec<char> = if all.len() > MOST { text.chars().take(MOST / 2).chain(last_chars(text, MOST / 2)).collect() } else { all };
    for kept in (1..all.len()).rev() {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let cut: String = all[..head].iter().chain(&['…']).chain(&all[all.len() - tail..]).collect();
        if width(&cut, em) <= room {
            return cut;
        }
    }
    String::new()
}

fn last_chars(text: &str, n: usize) -> Vec<char> {
    let mut tail: Vec<char> = text.chars().rev().take(n).collect();
    tail.reverse();
    tail
}

/// Words in at most `lines` lines no wider than `room`, and whether that could be done without breaking or cutting a word.
pub(super) fn wrap(text: &str, em: f64, room: f64, lines: usize) -> (Vec<String>, bool) {
    let (mut out, mut fits) = (Vec::<String>::new(), true);
    for word in text.split(|c: char| c.is_whitespace() && c != NBSP).filter(|w| !w.is_empty()) {
        if let Some(line) = out.last_mut()
            && width(&format!("{line} {word}"), em) <= room
        {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        out.push(String::new());
        for c in word.chars() {
            let line = out.last().map_or("", String::as_str);
            if !line.is_empty() && width(&format!("{line}{c}"), em) > room {
                fits = false;
                if out.len() > lines {
                    break;
                }
                out.push(String::new());
            }
            if let Some(line) = out.last_mut() {
                line.push(c);
            }
        }
    }
    if out.len() <= lines {
        return (out, fits);
    }
    // What does not fit shares the last line.
    let kept: usize = out[..lines.max(1) - 1].iter().map(|l| l.chars().count()).sum();
    let rest: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().skip(kept).collect();
    out.truncate(lines.max(1) - 1);
    out.push(shorten(rest.trim_start(), em, room));
    (out, false)
}

/// Draws on a backend; the first failure is kept and told at the end.
pub(super) struct Pen<B: DrawingBackend> {
    backend: B,
    text: TextMetrics,
    failed: Option<String>,
}

fn fine(p: Point) -> BackendCoord {
    ((p.0 * FINE).round() as i32, (p.1 * FINE).round() as i32)
}

impl<B: DrawingBackend> Pen<B> {
    pub(super) fn new(backend: B, text: TextMetrics) -> Self {
        Self { backend, text, failed: None }
    }

    /// Ends the drawing.
    ///
    /// # Errors
    /// What the backend said first.
    pub(super) fn finish(mut self) -> Result<(), EvalError> {
        let done = self.backend.present();
        self.note(done);
        self.failed.map_or(Ok(()), |e| Err(EvalError::Input(format!("a chart cannot be drawn: {e}"))))
    }

    fn note<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(e) = result {
            self.failed.get_or_insert(e.to_string());
        }
    }

    fn stroke(color: RGBColor, alpha: f64, width: f64) -> ShapeStyle {
        ShapeStyle { color: color.mix(alpha), filled: false, stroke_width: (width * FINE).round().max(1.0) as u32 }
    }

    /// A line through points. Points that are not finite are passed over.
    pub(super) fn line(&mut self, points: &[Point], color: RGBColor, width: f64) {
        let mut path: Vec<BackendCoord> = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).map(|p| fine(*p)).collect();
        path.dedup();
        if path.len() >= 2 {
            let done = self.backend.draw_path(path, &Self::stroke(color, 1.0, width));
            self.note(done);
        }
    }

    /// A line with dashes and gaps of the given lengths in turn; none: a whole line.
    pub(super) fn dashed(&mut self, points: &[Point], color: RGBColor, width: f64, dashes: &[f64]) {
        if dashes.is_empty() {
            return self.line(points, color, width);
        }
        let points: Vec<Point> = points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
        let (mut which, mut left) = (0, dashes[0]);
        let mut dash: Vec<Point> = points.first().copied().into_iter().collect();
        for pair in points.windows(2) {
            let length = (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
            let at = |d: f64| (pair[0].0 + (pair[1].0 - pair[0].0) * d / length, pair[0].1 + (pair[1].1 - pair[0].1) * d / length);
            let mut done = 0.0;
            while length - done > left {
                done += left;
                dash.push(at(done));
                if which % 2 == 0 {
                    self.line(&dash, color, width);
                }
                dash = vec![at(done)];
                which += 1;
                left = dashes[which % dashes.len()].max(0.5);
            }
            left -= length - done;
            dash.push(pair[1]);
        }
        if which % 2 == 0 {
            self.line(&dash, color, width);
        }
    }

    /// A filled polygon; passed over where a corner is not finite.
    pub(super) fn fill(&mut self, corners: &[Point], color: RGBColor, alpha: f64) {
        if corners.len() < 3 || corners.iter().any(|p| !(p.0.is_finite() && p.1.is_finite())) {
            return;
        }
        let path: Vec<BackendCoord> = corners.iter().map(|p| fine(*p)).collect();
        let done = self.backend.fill_polygon(path, &color.mix(alpha).to_backend_color());
        self.note(done);
    }

    /// A filled rectangle between two corners.
    pub(super) fn rect(&mut self, a: Point, b: Point, color: RGBColor, alpha: f64) {
        if [a.0, a.1, b.0, b.1].iter().any(|v| !v.is_finite()) {
            return;
        }
        let (a, b) = ((a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1)));
        let done = self.backend.draw_rect(fine(a), fine(b), &color.mix(alpha).to_backend_color(), true);
        self.note(done);
    }

    /// The border of a rectangle.
    pub(super) fn border(&mut self, a: Point, b: Point, color: RGBColor, width: f64) {
        self.line(&[a, (b.0, a.1), b, (a.0, b.1), a], color, width);
    }

    /// A disc.
    pub(super) fn disc(&mut self, center: Point, radius: f64, color: RGBColor) {
        if center.0.is_finite() && center.1.is_finite() {
            let done = self.backend.draw_circle(fine(center), (radius * FINE).round() as u32, &color.to_backend_color(), true);
            self.note(done);
        }
    }

    /// A text with its baseline at `at`, `em` logical pixels high.
    pub(super) fn text(&mut self, at: Point, text: &str, em: f64, color: RGBColor, align: Align) {
        self.write(at, text, em, color, align, false);
    }

    /// As [`Pen::text`], read from bottom to top; the baseline is to the right of the letters.
    pub(super) fn upward(&mut self, at: Point, text: &str, em: f64, color: RGBColor, align: Align) {
        self.write(at, text, em, color, align, true);
    }

    fn write(&mut self, at: Point, text: &str, em: f64, color: RGBColor, align: Align, upward: bool) {
        // XML has no way to write control characters.
        let text: String = text.chars().map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }).collect();
        if text.trim().is_empty() || !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        let up = em * self.text.baseline;
        let at = if upward { (at.0 - up, at.1) } else { (at.0, at.1 - up) };
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let mut font = font(em * FINE * self.text.size_of_em);
        if upward {
            font = font.transform(FontTransform::Rotate270);
        }
        let style = TextStyle { font, color: color.to_backend_color(), pos: Pos::new(horizontal, VPos::Top) };
        let done = self.backend.draw_text(&text, &style, fine(at));
        self.note(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_measured_cut_and_wrapped() {
        load_font().unwrap();
        assert!(width("wide", 12.0) > width("w", 12.0) && (width("ww", 24.0) / width("ww", 12.0) - 2.0).abs() < 0.05);
        assert_eq!(shorten("short", 12.0, 100.0), "short");
        let cut = shorten("a rather long name of a method, seed 3", 12.0, 100.0);
        assert!(cut.starts_with("a ra") && cut.ends_with("d 3") && cut.contains('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(shorten("anything", 12.0, 1.0), "");
        assert!(width(&shorten(&"long ".repeat(10_000), 12.0, 300.0), 12.0) <= 300.0);
        let words = |name: &str, lines| wrap(name, 12.0, 70.0, lines);
        assert_eq!(words("weighted majority product", 3), (vec!["weighted".to_string(), "majority".into(), "product".into()], true));
        let (lines, fits) = words("weighted majority product of it all", 2);
        assert!(
            lines.len() == 2 && lines[1].contains('…') && lines[1].starts_with("maj") && lines[1].ends_with("ll") && !fits,
            "{lines:?}"
        );
        let (lines, fits) = words("runs/2026-11-24/step", 3);
        assert!(lines.concat() == "runs/2026-11-24/step" && lines.len() > 1 && !fits, "{lines:?}");
        assert_eq!(wrap("", 12.0, 70.0, 2), (Vec::new(), true));
    }
}
