//! Groups of bars with intervals.

use super::axes::{Axis, Entry, NAME, TICK, frame, nothing, whisker};
use super::lines::ends;
use super::pen::{Align, INK, MUTED, Pen, shorten, width, wrap};
use super::style::{Mark, hatched};
use crate::eval::stats::Interval;
use plotters::backend::DrawingBackend;

/// How the names of groups are written under the axis.
pub(super) enum Names {
    /// In lines within their slot.
    Level(Vec<Vec<String>>),
    /// From bottom to top.
    Upward(Vec<String>),
}

/// Chooses by what fits a slot of `slot` pixels; with the pixels that they need below the axis.
pub(super) fn names(groups: &[String], slot: f64, em: f64) -> (Names, f64) {
    let wrapped: Vec<(Vec<String>, bool)> = groups.iter().map(|g| wrap(g, em, slot - 6.0, 3)).collect();
    if wrapped.iter().all(|w| w.1) {
        let lines = wrapped.iter().map(|w| w.0.len()).max().unwrap_or(0).max(1);
        return (Names::Level(wrapped.into_iter().map(|w| w.0).collect()), 8.0 + 15.0 * lines as f64);
    }
    let cut: Vec<String> = groups.iter().map(|g| shorten(g, em, 165.0)).collect();
    let longest = cut.iter().map(|c| width(c, em)).fold(0.0, f64::max);
    (Names::Upward(cut), longest + 14.0)
}

type Series = (String, Vec<Option<Interval>>);

pub(super) fn draw<B: DrawingBackend>(
    pen: &mut Pen<B>,
    heading: Option<&str>,
    (x, y, percent): (&str, &str, bool),
    groups: &[String],
    series: &[Series],
) {
    let known = |s: &Series, g: usize| s.1.get(g).copied().flatten().filter(|i| i.estimate.is_finite());
    let all: Vec<Interval> = series.iter().flat_map(|s| (0..groups.len()).filter_map(|g| known(s, g))).collect();
    if all.is_empty() {
        return nothing(pen, heading);
    }
    let low = all.iter().map(|i| ends(i).0.min(i.estimate)).fold(0.0, f64::min);
    let high = all.iter().map(|i| ends(i).1.max(i.estimate)).fold(0.0, f64::max);
    let y = Axis::values(y, low, high, percent);
    let axis = Axis { name: x.into(), low: 0.0, high: groups.len() as f64, log: false, ticks: Vec::new() };
    let entries: Vec<Entry> = series.iter().enumerate().map(|(i, s)| Entry { name: s.0.clone(), mark: Mark::Area(i) }).collect();
    // The slots' width before the frame is laid out, from below: the legend is at most this wide.
    let legend = entries.iter().map(|e| width(&e.name, TICK)).fold(0.0, f64::max).min(190.0) + 58.0;
    let slot = (f64::from(super::WIDTH) - 110.0 - legend) / groups.len() as f64;
    let (names, below) = names(groups, slot, TICK);
    let frame = frame(pen, heading, (&axis, &y), &entries, Some(below));
    let slot = (frame.x.to - frame.x.from) / groups.len() as f64;
    let zero = frame.y.at(0.0);
    let gap = (0.2 * slot).min(24.0);
    let wide = ((slot - gap) / series.len() as f64).min(64.0);
    for g in 0..groups.len() {
        let middle = frame.x.at(g as f64 + 0.5);
        for (i, s) in series.iter().enumerate() {
            let left = middle + wide * (i as f64 - series.len() as f64 / 2.0);
            let inset = (0.06 * wide).min(2.0);
            let center = left + wide / 2.0;
            let Some(value) = known(s, g) else {
                if wide > 5.0 {
                    pen.text((center, zero - 4.0), "–", TICK, MUTED, Align::Middle);
                }
                continue;
            };
            hatched(pen, (left + inset, zero), (left + wide - inset, frame.y.at(value.estimate)), i);
            let (low, high) = ends(&value);
            if high > low {
                whisker(pen, center, (frame.y.at(low), frame.y.at(high)), (0.2 * wide).min(5.0), INK, 1.25);
            }
        }
        match &names {
            Names::Level(lines) => {
                for (k, line) in lines[g].iter().enumerate() {
                    pen.text((middle, frame.y.from + 18.0 + 15.0 * k as f64), line, TICK, INK, Align::Middle);
                }
            }
            Names::Upward(cut) if slot >= NAME => {
                pen.upward((middle + 4.3, frame.y.from + 8.0), &cut[g], TICK, INK, Align::Right);
            }
            // Too many to name each: every k-th that finds room.
            Names::Upward(cut) => {
                if g % (NAME / slot).ceil() as usize == 0 {
                    pen.upward((middle + 4.3, frame.y.from + 8.0), &cut[g], TICK, INK, Align::Right);
                }
            }
        }
    }
    pen.line(&[(frame.x.from, zero), (frame.x.to, zero)], MUTED, 1.25);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_level_where_they_fit() {
        super::super::pen::load_font().unwrap();
        let groups: Vec<String> = ["first step", "second step"].map(String::from).to_vec();
        assert!(matches!(names(&groups, 120.0, 12.0), (Names::Level(l), h) if l[0] == ["first step"] && h < 30.0));
        assert!(matches!(names(&groups, 60.0, 12.0), (Names::Level(l), _) if l[1] == ["second", "step"]));
        assert!(matches!(names(&groups, 20.0, 12.0), (Names::Upward(_), h) if h > 60.0));
    }
}
