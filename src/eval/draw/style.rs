//! How a series looks: a colour that colour-blind readers can tell, and a dash, a marker or a hatching that a grey print keeps.

use super::pen::{Pen, Point, WHITE};
use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

/// Okabe and Ito's palette, blue and orange first; its yellow is left out, for it cannot be seen on white.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x33, 0x33, 0x33),
];
const DASHES: [&[f64]; 4] = [&[], &[9.0, 4.0], &[2.5, 3.0], &[10.0, 3.0, 2.5, 3.0]];

pub(super) const BLUE: RGBColor = PALETTE[0];
pub(super) const ORANGE: RGBColor = PALETTE[1];

/// Colour of the series at an index.
pub(super) fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// Dashes of the series at an index; with the colour, 28 series differ.
pub(super) fn dashes(index: usize) -> &'static [f64] {
    DASHES[index % DASHES.len()]
}

/// What stands for a series in the picture and in the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A line with markers of the series at this index.
    Line(usize),
    /// A hatched area of the series at this index.
    Area(usize),
    /// A border in the dashes of the series at this index, lightly filled.
    Outline(usize),
    /// A pale bar that tells where the mass is.
    Mass,
    /// The thin grey dashes of a reference.
    Reference,
}

impl Mark {
    /// Draws it beside its name; `at` is the left end of its middle line.
    pub(super) fn sample<B: DrawingBackend>(self, pen: &mut Pen<B>, at: Point, length: f64) {
        let end = (at.0 + length, at.1);
        match self {
            Mark::Line(i) => {
                pen.dashed(&[at, end], color(i), 2.0, dashes(i));
                marker(pen, (at.0 + length / 2.0, at.1), i, 4.0);
            }
            Mark::Area(i) => hatched(pen, (at.0 + 6.0, at.1 - 6.0), (end.0 - 4.0, at.1 + 6.0), i),
            Mark::Outline(i) => {
                pen.rect((at.0, at.1 - 5.0), (end.0, at.1 + 5.0), color(i), 0.18);
                pen.dashed(&[(at.0, at.1 - 5.0), (end.0, at.1 - 5.0)], color(i), 2.0, dashes(i));
            }
            Mark::Mass => pen.rect((at.0 + 6.0, at.1 - 6.0), (end.0 - 4.0, at.1 + 6.0), ORANGE, 0.55),
            Mark::Reference => pen.dashed(&[at, end], super::pen::MUTED, 1.25, &[5.0, 4.0]),
        }
    }
}

/// A marker in the shape and the colour of the series at an index.
pub(super) fn marker<B: DrawingBackend>(pen: &mut Pen<B>, (x, y): Point, index: usize, r: f64) {
    let c = color(index);
    match index % 6 {
        0 => pen.disc((x, y), r, c),
        1 => pen.rect((x - r * 0.9, y - r * 0.9), (x + r * 0.9, y + r * 0.9), c, 1.0),
        2 => pen.fill(&[(x, y - r * 1.2), (x + r * 1.1, y + r * 0.8), (x - r * 1.1, y + r * 0.8)], c, 1.0),
        3 => pen.fill(&[(x, y - r * 1.3), (x + r * 1.3, y), (x, y + r * 1.3), (x - r * 1.3, y)], c, 1.0),
        4 => pen.fill(&[(x, y + r * 1.2), (x + r * 1.1, y - r * 0.8), (x - r * 1.1, y - r * 0.8)], c, 1.0),
        _ => {
            pen.disc((x, y), r, c);
            pen.disc((x, y), r * 0.5, WHITE);
        }
    }
}

/// A filled rectangle, hatched in white after its index: none, rising, falling, level.
pub(super) fn hatched<B: DrawingBackend>(pen: &mut Pen<B>, a: Point, b: Point, index: usize) {
    let (x0, y0, x1, y1) = (a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1));
    if [x0, y0, x1, y1].iter().any(|v| !v.is_finite()) {
        return;
    }
    pen.rect((x0, y0), (x1, y1), color(index), 1.0);
    const GAP: f64 = 6.0;
    let (w, h) = (x1 - x0, y1 - y0);
    match index % 4 {
        0 => {}
        3 => {
            for k in 1..(h / GAP).ceil() as usize {
                let y = y1 - k as f64 * GAP;
                pen.line(&[(x0, y), (x1, y)], WHITE, 1.25);
            }
        }
        slope => {
            for k in 1..((w + h) / GAP).ceil() as usize {
                // x + y = d, cut to the rectangle; mirrored for the falling kind.
                let d = k as f64 * GAP;
                let (from, to) = ((d.min(w), (d - w).max(0.0)), ((d - h).max(0.0), d.min(h)));
                let at = |p: Point| (if slope == 1 { x0 + p.0 } else { x1 - p.0 }, y0 + p.1);
                pen.line(&[at(from), at(to)], WHITE, 1.25);
            }
        }
    }
}
