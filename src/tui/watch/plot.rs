//! A curve in cells: dots of braille, or points where there is ASCII only.

use crate::tui::theme::Role;
use crate::tui::view::paint::Painter;
use ratatui::layout::Rect;

/// Cells of the numbers beside a plot.
pub(super) const LABELS: u16 = 8;
/// A smoothed curve looks back over this share of its points.
const SMOOTHED: usize = 30;

/// Draws a curve over the steps from `steps.0` to `steps.1`, with the range of its values at the left and marks at some steps.
pub(super) fn draw(p: &mut Painter<'_>, area: Rect, points: &[(usize, f64)], steps: (usize, usize), rough: bool, marks: &[usize]) {
    let plot = Rect { x: area.x + LABELS.min(area.width), width: area.width.saturating_sub(LABELS), ..area };
    if plot.width == 0 || plot.height == 0 {
        return;
    }
    let (across, down) = if p.glyphs().unicode { (2, 4) } else { (1, 1) };
    let grid = (usize::from(plot.width) * across, usize::from(plot.height) * down);
    let raw = columns(points, steps, grid.0);
    let values = || raw.iter().flatten().copied();
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        p.cut(plot.x, plot.y, plot.width, "no finite value", p.style(Role::Faint));
        return;
    }
    let label = |p: &mut Painter<'_>, y, value| {
        p.right(plot.x - 1, y, LABELS - 1, &number(value), p.style(Role::Faint));
    };
    label(p, plot.y, high);
    if plot.height > 1 && low < high {
        label(p, plot.bottom() - 1, low);
    }
    let rows = |column: &Option<f64>| column.map(|v| row(v, low, high, grid.1));
    let smoothed = columns(&smooth(points), steps, grid.0);
    let layers = if rough { vec![(&raw, Role::Accent)] } else { vec![(&raw, Role::Faint), (&smoothed, Role::Accent)] };
    let mut cells = vec![0u8; usize::from(plot.width) * usize::from(plot.height)];
    for (layer, role) in layers {
        let mut before = None;
        for (x, at) in layer.iter().map(rows).enumerate() {
            let Some(y) = at else {
                before = None;
                continue;
            };
            // A jump is drawn as an upright line, so that the curve hangs together.
            let from = before.unwrap_or(y);
            let reach = if y >= from { from.min(y)..=y } else { y..=from };
            for y in reach {
                dot(p, plot, &mut cells, (x, y), role);
            }
            before = Some(y);
        }
    }
    for step in marks {
        let x = column(*step, steps, usize::from(plot.width)) as u16;
        p.glyph(plot.x + x, plot.y, 1, p.glyphs().warning, p.style(Role::Warning));
    }
}

/// Sets a dot of the grid, and draws the cell that it is in.
fn dot(p: &mut Painter<'_>, plot: Rect, cells: &mut [u8], (x, y): (usize, usize), role: Role) {
    let style = p.style(role);
    if !p.glyphs().unicode {
        p.glyph(plot.x + x as u16, plot.y + y as u16, 1, p.glyphs().point, style);
        return;
    }
    // Bits of a braille cell, by column and row (Unicode, block 2800).
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let (cx, cy) = (x / 2, y / 4);
    let Some(cell) = cells.get_mut(cy * usize::from(plot.width) + cx) else { return };
    *cell |= BITS[x % 2][y % 4];
    let glyph = char::from_u32(0x2800 + u32::from(*cell)).unwrap_or(' ');
    p.glyph(plot.x + cx as u16, plot.y + cy as u16, 1, glyph.encode_utf8(&mut [0; 4]), style);
}

/// The column of a step.
fn column(step: usize, (first, last): (usize, usize), n: usize) -> usize {
    let part = step.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64;
    ((part * (n - 1) as f64).round() as usize).min(n - 1)
}

/// The row of a value, from the top; the middle where all values are the same.
fn row(value: f64, low: f64, high: f64, n: usize) -> usize {
    if high <= low {
        return (n - 1) / 2;
    }
    (((high - value) / (high - low)).clamp(0.0, 1.0) * (n - 1) as f64).round() as usize
}

/// The mean of the finite values in each of `n` columns; columns between two others are interpolated.
fn columns(points: &[(usize, f64)], steps: (usize, usize), n: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0usize); n];
    for (step, value) in points.iter().filter(|p| p.1.is_finite()) {
        let at = &mut sums[column(*step, steps, n)];
        *at = (at.0 + value, at.1 + 1);
    }
    let mut out: Vec<Option<f64>> = sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / n as f64)).collect();
    let known: Vec<(usize, f64)> = out.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i, v))).collect();
    for pair in known.windows(2) {
        let ((a, from), (b, to)) = (pair[0], pair[1]);
        for (i, between) in out.iter_mut().enumerate().take(b).skip(a + 1) {
            *between = Some(from + (to - from) * (i - a) as f64 / (b - a) as f64);
        }
    }
    out
}

/// An exponential moving average, corrected for its start (Kingma and Ba, arXiv 1412.6980, §3).
fn smooth(points: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let keep = 1.0 - 1.0 / (points.len() / SMOOTHED).max(2) as f64;
    let (mut sum, mut weight) = (0.0, 0.0);
    let finite = points.iter().filter(|p| p.1.is_finite());
    finite
        .map(|(step, value)| {
            (sum, weight) = (keep * sum + (1.0 - keep) * value, keep * weight + 1.0 - keep);
            (*step, sum / weight)
        })
        .collect()
}

/// A value in at most seven cells.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        s if !s.is_finite() => "nan".into(),
        0.0 => "0".into(),
        s if !(1e-3..1e6).contains(&s) => format!("{value:.1e}"),
        s if s >= 1e4 => format!("{:.1}k", value / 1e3),
        s if s >= 1e3 => format!("{value:.0}"),
        s if s >= 1e2 => format!("{value:.1}"),
        s if s >= 10.0 => format!("{value:.2}"),
        s if s >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_means_and_are_joined() {
        let points = [(1, 1.0), (2, 3.0), (3, f64::NAN), (9, 5.0), (10, 7.0)];
        // two columns a half: steps 1 to 10 on four columns, of which the middle ones are empty
        assert_eq!(columns(&points, (1, 10), 4), [Some(2.0), Some(2.0 + 4.0 / 3.0), Some(2.0 + 8.0 / 3.0), Some(6.0)]);
        assert_eq!(columns(&points[..1], (1, 10), 3), [Some(1.0), None, None]);
        assert_eq!(columns(&[], (0, 0), 2), [None, None]);
    }

    #[test]
    fn rows_run_from_the_high_to_the_low() {
        assert_eq!([3.0, 2.0, 1.0].map(|v| row(v, 1.0, 3.0, 5)), [0, 2, 4]);
        assert_eq!(row(1.0, 1.0, 1.0, 5), 2);
    }

    #[test]
    fn smoothing_starts_at_the_first_value_and_follows() {
        // few points: half of the old, half of the new; weights 1/2, 3/4, 7/8
        let s: Vec<f64> = smooth(&[(1, 1.0), (2, f64::NAN), (3, 3.0), (4, 3.0)]).into_iter().map(|p| p.1).collect();
        assert_eq!(s, [1.0, (0.25 + 1.5) / 0.75, (0.125 + 0.75 + 1.5) / 0.875]);
    }

    #[test]
    fn numbers_fit_their_cells() {
        let all = [0.0, 0.12345, -0.012345, 1.5e-5, -12.345, 123.45, 1234.5, 123456.0, -2.5e9, f64::NAN];
        let got: Vec<String> = all.iter().map(|v| number(*v)).collect();
        assert_eq!(got, ["0", "0.123", "-0.0123", "1.5e-5", "-12.35", "123.5", "1234", "123.5k", "-2.5e9", "nan"]);
        assert!(got.iter().all(|n| n.len() <= 7));
    }
}
