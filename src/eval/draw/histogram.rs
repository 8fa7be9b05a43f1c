//! Counts over bins, each series as its share of its own sum.

use super::axes::{Axis, Entry, frame, nothing};
use super::pen::{NBSP, Pen, Point};
use super::style::{Mark, color, dashes};
use plotters::backend::DrawingBackend;

/// Borders that can be drawn: an open end is as wide as the bin beside it, and says so on its tick.
fn borders(edges: &[f64]) -> Option<Vec<f64>> {
    let mut out = edges.to_vec();
    let n = out.len();
    if n < 2 {
        return None;
    }
    let width = |a: f64, b: f64| if (b - a).is_finite() { b - a } else { 1.0 };
    if out[0] == f64::NEG_INFINITY {
        out[0] = out[1] - if n > 2 { width(out[1], out[2]) } else { 1.0 };
    }
    if out[n - 1] == f64::INFINITY {
        out[n - 1] = out[n - 2] + if n > 2 { width(out[n - 3], out[n - 2]) } else { 1.0 };
    }
    (out.iter().all(|e| e.is_finite()) && out.windows(2).all(|w| w[0] <= w[1]) && out[0] < out[n - 1]).then_some(out)
}

pub(super) fn draw<B: DrawingBackend>(pen: &mut Pen<B>, heading: Option<&str>, x: &str, edges: &[f64], series: &[(String, Vec<u64>)]) {
    let sums: Vec<u64> = series.iter().map(|s| s.1.iter().sum()).collect();
    let Some(borders) = borders(edges).filter(|_| sums.iter().any(|s| *s > 0)) else { return nothing(pen, heading) };
    let share = |i: usize, bin: usize| series[i].1.get(bin).map_or(0.0, |c| *c as f64 / sums[i].max(1) as f64);
    let bins = borders.len() - 1;
    let highest = (0..series.len()).flat_map(|i| (0..bins).map(move |b| (i, b))).map(|(i, b)| share(i, b)).fold(0.0, f64::max);
    let y = Axis::linear("share of the series in each bin", 0.0, highest * 1.02, true, 6.0);
    let mut axis = Axis::linear(x, borders[0], borders[bins], false, 8.0);
    (axis.low, axis.high) = (borders[0], borders[bins]);
    axis.ticks.retain(|t| t.0 >= axis.low && t.0 <= axis.high);
    // In an open bin a tick would lie: what it holds may be anywhere beyond.
    if edges[0] == f64::NEG_INFINITY {
        axis.ticks.retain(|t| t.0 >= borders[1]);
        axis.ticks.insert(0, ((borders[0] + borders[1]) / 2.0, "below".into()));
    }
    if edges[bins] == f64::INFINITY {
        axis.ticks.retain(|t| t.0 <= borders[bins - 1]);
        axis.ticks.push(((borders[bins - 1] + borders[bins]) / 2.0, "above".into()));
    }
    let entries: Vec<Entry> = series
        .iter()
        .zip(&sums)
        .enumerate()
        .map(|(i, (s, n))| Entry { name: format!("{} (n{NBSP}={NBSP}{n})", s.0), mark: Mark::Outline(i) })
        .collect();
    let frame = frame(pen, heading, (&axis, &y), &entries, None);
    let base = frame.y.at(0.0);
    let outline = |i: usize| -> Vec<Point> {
        let mut path = vec![(frame.x.at(borders[0]), base)];
        for bin in 0..bins {
            let top = frame.y.at(share(i, bin));
            path.push((frame.x.at(borders[bin]), top));
            path.push((frame.x.at(borders[bin + 1]), top));
        }
        path.push((frame.x.at(borders[bins]), base));
        path
    };
    let drawn: Vec<usize> = (0..series.len()).filter(|&i| sums[i] > 0).collect();
    for &i in &drawn {
        pen.fill(&outline(i), color(i), 0.18);
    }
    for &i in drawn.iter().rev() {
        pen.dashed(&outline(i), color(i), 2.0, dashes(i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_bins_are_as_wide_as_their_neighbours() {
        let inf = f64::INFINITY;
        assert_eq!(borders(&[-inf, -1.0, 1.0, 4.0, inf]), Some(vec![-3.0, -1.0, 1.0, 4.0, 7.0]));
        assert_eq!(borders(&[-inf, inf]).map(|b| b.len()), None);
        assert_eq!(borders(&[0.0]), None);
        assert_eq!(borders(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!(borders(&[2.0, 1.0]), None);
    }
}
