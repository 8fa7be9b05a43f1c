//! Lines with bands.

use super::axes::{Axis, Entry, frame, nothing, whisker};
use super::pen::{MUTED, Pen, Point};
use super::style::{Mark, color, dashes, marker};
use crate::eval::parts::chart::Line;
use crate::eval::stats::Interval;
use plotters::backend::DrawingBackend;

/// More bands than this hide one another; their intervals become whiskers.
const MOST_BANDS: usize = 4;

/// Names of the axes, and how they are scaled.
pub(super) struct Axes<'a> {
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) log_x: bool,
    pub(super) percent: bool,
}

/// Interval with ends that can be drawn: those that are not known fall on the estimate.
pub(super) fn ends(i: &Interval) -> (f64, f64) {
    let or = |v: f64| if v.is_finite() { v } else { i.estimate };
    (or(i.low), or(i.high))
}

/// The points of a line in ascending x, in runs without a gap: a value that is not a number breaks the line.
fn runs(line: &Line, log: bool) -> Vec<Vec<(f64, Interval)>> {
    let mut points: Vec<(f64, Interval)> = line.points.iter().copied().filter(|p| p.0.is_finite() && (!log || p.0 > 0.0)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.split(|p| !p.1.estimate.is_finite()).filter(|r| !r.is_empty()).map(<[_]>::to_vec).collect()
}

/// `room` is what stays free at either end, as a share of the span.
fn x_axis(name: &str, xs: &[f64], log: bool, room: f64) -> Axis {
    let (low, high) = (xs.first().copied().unwrap_or(1.0), xs.last().copied().unwrap_or(1.0));
    let all_whole = xs.iter().all(|x| x.fract() == 0.0);
    if log {
        let (a, b) = if high > low { (low, high) } else { (low / 2.0, high * 2.0) };
        let room = (b / a).powf(room);
        let powers = (0..64).map(|k| f64::from(k).exp2()).filter(|p| *p >= low && *p <= high);
        let mut at: Vec<f64> = if xs.len() <= 12 { xs.to_vec() } else { powers.chain([low, high]).collect() };
        at.sort_by(f64::total_cmp);
        at.dedup();
        let text = |x: f64| if x.fract() == 0.0 && x < 1e6 { format!("{x}") } else { format!("{x:.3}") };
        return Axis { name: name.into(), low: a / room, high: b * room, log, ticks: at.into_iter().map(|x| (x, text(x))).collect() };
    }
    let mut axis = Axis::linear(name, low, high, false, 8.0);
    if all_whole {
        axis.ticks.retain(|t| t.0.fract() == 0.0);
    }
    // The grid's own ends would squeeze the data; the axis ends just beyond it.
    let room = room * (high - low);
    axis.low = if high > low { low - room } else { axis.low };
    axis.high = if high > low { high + room } else { axis.high };
    axis.ticks.retain(|t| t.0 >= axis.low && t.0 <= axis.high);
    axis
}

/// How far each series stands aside, so that whiskers at the same x can be told apart; bands need none.
fn dodge(series: usize) -> impl Fn(usize) -> f64 {
    let step = if series <= MOST_BANDS { 0.0 } else { (24.0 / series as f64).min(3.0) };
    move |i| step * (i as f64 - (series as f64 - 1.0) / 2.0)
}

pub(super) fn draw<B: DrawingBackend>(pen: &mut Pen<B>, heading: Option<&str>, axes: &Axes, series: &[Line]) {
    let lines: Vec<Vec<Vec<(f64, Interval)>>> = series.iter().map(|l| runs(l, axes.log_x)).collect();
    let points: Vec<(f64, Interval)> = lines.iter().flatten().flatten().copied().collect();
    if points.is_empty() {
        return nothing(pen, heading);
    }
    let mut xs: Vec<f64> = points.iter().map(|p| p.0).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let low = points.iter().map(|p| ends(&p.1).0.min(p.1.estimate)).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| ends(&p.1).1.max(p.1.estimate)).fold(f64::NEG_INFINITY, f64::max);
    let dodge = dodge(series.len());
    let room = 0.025 + dodge(0).abs() / 500.0;
    let (x, y) = (x_axis(axes.x, &xs, axes.log_x, room), Axis::values(axes.y, low, high, axes.percent));
    // In the order in which the lines end, so that the legend reads like the picture.
    let mut order: Vec<usize> = (0..series.len()).filter(|&i| !lines[i].is_empty()).collect();
    let last = |i: usize| lines[i].last().and_then(|r| r.last()).map_or(f64::NEG_INFINITY, |p| p.1.estimate);
    order.sort_by(|&a, &b| last(b).total_cmp(&last(a)));
    let entries = order.iter().map(|&i| (i, "")).chain((0..series.len()).filter(|&i| lines[i].is_empty()).map(|i| (i, " (no data)")));
    let entries: Vec<Entry> = entries.map(|(i, said)| Entry { name: format!("{}{said}", series[i].name), mark: Mark::Line(i) }).collect();
    let frame = frame(pen, heading, (&x, &y), &entries, None);
    if y.low < 0.0 && y.high > 0.0 {
        let zero = frame.y.at(0.0);
        pen.line(&[(frame.x.from, zero), (frame.x.to, zero)], MUTED, 1.25);
    }
    let banded = series.len() <= MOST_BANDS;
    for &i in order.iter().rev() {
        let shift = dodge(i);
        for run in &lines[i] {
            let at = |x: f64, v: f64| -> Point { (frame.x.at(x) + shift, frame.y.at(v)) };
            if banded && run.len() > 1 {
                let upper = run.iter().map(|p| at(p.0, ends(&p.1).1));
                let lower = run.iter().rev().map(|p| at(p.0, ends(&p.1).0));
                pen.fill(&upper.chain(lower).collect::<Vec<_>>(), color(i), 0.17);
            } else {
                for p in run {
                    let (low, high) = ends(&p.1);
                    whisker(pen, at(p.0, low).0, (frame.y.at(low), frame.y.at(high)), 2.5, color(i), if banded { 1.5 } else { 0.75 });
                }
            }
        }
    }
    for &i in order.iter().rev() {
        let shift = dodge(i);
        for run in &lines[i] {
            let path: Vec<Point> = run.iter().map(|p| (frame.x.at(p.0) + shift, frame.y.at(p.1.estimate))).collect();
            pen.dashed(&path, color(i), 2.0, dashes(i));
            // Markers say where a value is; on a long curve they would be a thick line.
            if path.len() <= 40 {
                for p in path {
                    marker(pen, p, i, 4.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, estimate: f64) -> (f64, Interval) {
        (x, Interval { estimate, low: estimate - 0.1, high: estimate + 0.1 })
    }

    #[test]
    fn a_missing_value_breaks_the_line_and_x_ascends() {
        let line = Line { name: "a".into(), points: vec![point(4.0, 0.4), point(2.0, f64::NAN), point(1.0, 0.1), point(0.0, 0.5)] };
        let xs = |log| runs(&line, log).iter().map(|r| r.iter().map(|p| p.0).collect::<Vec<_>>()).collect::<Vec<_>>();
        assert_eq!(xs(false), [vec![0.0, 1.0], vec![4.0]]);
        assert_eq!(xs(true), [vec![1.0], vec![4.0]], "0 has no logarithm");
    }

    #[test]
    fn sizes_are_ticks_as_plain_numbers() {
        let labels = |xs: &[f64]| x_axis("N", xs, true, 0.02).ticks.into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(labels(&[1.0, 2.0, 4.0, 8.0, 16.0, 56.0]), ["1", "2", "4", "8", "16", "56"]);
        let many: Vec<f64> = (1..=40).map(f64::from).collect();
        assert_eq!(labels(&many), ["1", "2", "4", "8", "16", "32", "40"]);
        let single = x_axis("N", &[4.0], true, 0.02);
        assert!(single.low < 4.0 && single.high > 4.0 && single.ticks.len() == 1);
    }

    #[test]
    fn unknown_ends_fall_on_the_estimate() {
        assert_eq!(ends(&Interval { estimate: 0.5, low: f64::NAN, high: 0.7 }), (0.5, 0.7));
    }
}
