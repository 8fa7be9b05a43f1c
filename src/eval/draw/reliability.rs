//! Observed share against predicted probability, with the diagonal, and how many candidates are behind each point.

use super::axes::{Axis, Entry, TICK, frame, nothing, whisker};
use super::lines::ends;
use super::pen::{Align, MUTED, NBSP, Pen, Point};
use super::style::{BLUE, Mark, ORANGE, marker};
use crate::eval::parts::chart::ReliabilityBin;
use plotters::backend::DrawingBackend;

pub(super) fn draw<B: DrawingBackend>(pen: &mut Pen<B>, heading: Option<&str>, bins: &[ReliabilityBin]) {
    let mut known: Vec<&ReliabilityBin> =
        bins.iter().filter(|b| b.predicted.is_finite() && b.observed.estimate.is_finite() && b.count > 0).collect();
    if known.is_empty() {
        return nothing(pen, heading);
    }
    known.sort_by(|a, b| a.predicted.total_cmp(&b.predicted));
    let total: usize = known.iter().map(|b| b.count).sum();
    let axis = |name: &str| Axis::linear(name, 0.0, 1.0, true, 6.0);
    let mut x = axis("predicted probability that the candidate is right");
    (x.low, x.high) = (-0.02, 1.02);
    let mut y = axis("observed share that is right");
    (y.low, y.high) = (-0.02, 1.02);
    let entries = [
        Entry { name: format!("observed share, with its interval (n{NBSP}={NBSP}{total})"), mark: Mark::Line(0) },
        Entry { name: "perfectly calibrated".into(), mark: Mark::Reference },
        Entry { name: "candidates in the bin".into(), mark: Mark::Mass },
    ];
    let frame = frame(pen, heading, (&x, &y), &entries, None);
    let at = |a: f64, b: f64| -> Point { (frame.x.at(a), frame.y.at(b)) };
    let most = known.iter().map(|b| b.count).max().unwrap_or(1) as f64;
    let crowd = known.windows(2).map(|w| frame.x.at(w[1].predicted) - frame.x.at(w[0].predicted)).fold(30.0, f64::min);
    let half = (0.4 * crowd).clamp(1.0, 12.0);
    // Low bars along the axis, at most an eighth of the height: they tell where the mass is, not a value of the y axis.
    let full = (frame.y.from - frame.y.to) / 8.0;
    for bin in &known {
        let (center, height) = (frame.x.at(bin.predicted), full * bin.count as f64 / most);
        pen.rect((center - half, frame.y.from - height), (center + half, frame.y.from), ORANGE, 0.55);
        if crowd >= 26.0 {
            pen.text((center, frame.y.from - height - 3.0), &bin.count.to_string(), TICK - 1.5, MUTED, Align::Middle);
        }
    }
    pen.dashed(&[at(0.0, 0.0), at(1.0, 1.0)], MUTED, 1.25, &[5.0, 4.0]);
    for bin in &known {
        let (low, high) = ends(&bin.observed);
        whisker(pen, frame.x.at(bin.predicted), (frame.y.at(low), frame.y.at(high)), 4.0, BLUE, 1.25);
    }
    let path: Vec<Point> = known.iter().map(|b| at(b.predicted, b.observed.estimate)).collect();
    pen.line(&path, BLUE, 2.0);
    for p in path {
        marker(pen, p, 0, 4.5);
    }
}
