//! Scales, ticks, and the frame that charts with two axes share: title, grid, axis names, legend at the right of the data.

use super::pen::{Align, GRID, INK, MUTED, Pen, Point, shorten, width, wrap};
use super::style::Mark;
use super::{HEIGHT, WIDTH};
use plotters::backend::DrawingBackend;

pub(super) const TITLE: f64 = 17.0;
pub(super) const NAME: f64 = 13.0;
pub(super) const TICK: f64 = 12.0;
const MARGIN: f64 = 18.0;

/// Values to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) log: bool,
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        let f = |v: f64| if self.log { v.log2() } else { v };
        self.from + (f(value) - f(self.low)) / (f(self.high) - f(self.low)) * (self.to - self.from)
    }
}

/// What stands at an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    pub(super) ticks: Vec<(f64, String)>,
}

/// The step 1, 2 or 5 times a power of ten that puts about `about` ticks between the two.
fn step(low: f64, high: f64, about: f64) -> f64 {
    let raw = (high - low) / about.max(1.0);
    let power = 10_f64.powf(raw.log10().floor());
    let factor = raw / power;
    power
        * if factor <= 1.0 {
            1.0
        } else if factor <= 2.0 {
            2.0
        } else if factor <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// A number as a tick of that step: no more decimals than the step has.
fn label(value: f64, step: f64, percent: bool) -> String {
    let (value, step, unit) = if percent { (100.0 * value, 100.0 * step, "%") } else { (value, step, "") };
    if value != 0.0 && !(1e-4..1e6).contains(&step) {
        return format!("{value:.1e}{unit}");
    }
    let decimals = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').to_string() } else { text };
    text.replace('-', "−") + unit
}

impl Axis {
    /// An axis with ticks at round numbers, widened to them. Where there is nothing to span, `low..high` is widened first.
    pub(super) fn linear(name: &str, low: f64, high: f64, percent: bool, about: f64) -> Self {
        let (mut low, mut high) = if low.is_finite() && high.is_finite() { (low.min(high), low.max(high)) } else { (0.0, 1.0) };
        if high - low <= 1e-12 * high.abs().max(low.abs()) || high == low {
            let room = if percent { 0.05 } else { (0.05 * low.abs()).max(0.5) };
            (low, high) = (low - room, high + room);
        }
        let step = step(low, high, about);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let ticks = (0..=((last - first) as usize).min(50)).map(|i| (first + i as f64) * step);
        let ticks = ticks.map(|v| (v, label(v, step, percent))).collect();
        Self { name: name.into(), low: first * step, high: last * step, log: false, ticks }
    }

    /// The y axis of values that lie in `low..high`: shares stay in 0..=1, and an axis that would show most of that shows all.
    pub(super) fn values(name: &str, low: f64, high: f64, percent: bool) -> Self {
        let room = 0.04 * (high - low);
        let (mut a, mut b) = (low - room, high + room);
        if percent && low >= 0.0 && high <= 1.0 {
            (a, b) = if high - low > 0.7 { (0.0, 1.0) } else { (a.max(0.0), b.min(1.0)) };
            if b - a < 0.02 {
                (a, b) = ((a - 0.05).max(0.0), (b + 0.05).min(1.0));
            }
        } else if low >= 0.0 {
            a = a.max(0.0);
        }
        Self::linear(name, a, b, percent, 6.0)
    }
}

/// A name in the legend and what stands for it in the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) mark: Mark,
}

/// Where the data goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

/// Draws the title in at most two lines; the first free y below it.
pub(super) fn title<B: DrawingBackend>(pen: &mut Pen<B>, title: Option<&str>) -> f64 {
    let Some(title) = title else { return MARGIN };
    let (lines, _) = wrap(title, TITLE, f64::from(WIDTH) - 2.0 * MARGIN, 2);
    for (i, line) in lines.iter().enumerate() {
        pen.text((MARGIN, 28.0 + 22.0 * i as f64), line, TITLE, INK, Align::Left);
    }
    28.0 + 22.0 * lines.len() as f64
}

/// Draws the legend down from `top` at the right border; the x where it begins.
pub(super) fn legend<B: DrawingBackend>(pen: &mut Pen<B>, entries: &[Entry], top: f64, bottom: f64) -> f64 {
    const SAMPLE: f64 = 36.0;
    let right = f64::from(WIDTH) - MARGIN;
    let widest = entries.iter().map(|e| width(&e.name, TICK)).fold(0.0, f64::max);
    if entries.is_empty() {
        return right;
    }
    let left = right - widest.min(190.0) - SAMPLE;
    let wrapped: Vec<Vec<String>> = entries.iter().map(|e| wrap(&e.name, TICK, right - left - SAMPLE, 3).0).collect();
    let room = bottom - top;
    let all: usize = wrapped.iter().map(|w| w.len().max(1)).sum();
    let whole = all as f64 * 15.0 + entries.len() as f64 * 5.0 <= room;
    let pitch = if whole { 20.0 } else { (room / entries.len() as f64).clamp(14.5, 20.0) };
    let fit = ((room / pitch) as usize).max(1);
    let mut y = top + 8.0;
    for (i, (entry, lines)) in entries.iter().zip(&wrapped).enumerate() {
        if !whole && i + 1 == fit && entries.len() > fit {
            pen.text((left, y + 4.0), &format!("… and {} more", entries.len() - i), TICK, MUTED, Align::Left);
            break;
        }
        entry.mark.sample(pen, (left, y), SAMPLE - 9.0);
        if whole {
            for (k, line) in lines.iter().enumerate() {
                pen.text((left + SAMPLE, y + 4.3 + 15.0 * k as f64), line, TICK, INK, Align::Left);
            }
            y += 15.0 * lines.len().max(1) as f64 + 5.0;
        } else {
            pen.text((left + SAMPLE, y + 4.3), &shorten(&entry.name, TICK, right - left - SAMPLE), TICK, INK, Align::Left);
            y += pitch;
        }
    }
    left
}

/// Draws everything around the data. `below` pixels are kept free under the axis for the caller's own labels in place of ticks.
pub(super) fn frame<B: DrawingBackend>(
    pen: &mut Pen<B>,
    heading: Option<&str>,
    (x, y): (&Axis, &Axis),
    entries: &[Entry],
    below: Option<f64>,
) -> Frame {
    let top = title(pen, heading) + 4.0;
    let labels = below.unwrap_or(22.0);
    let named = if x.name.is_empty() { 6.0 } else { 24.0 };
    let bottom = f64::from(HEIGHT) - MARGIN - labels - named + 6.0;
    let widest = y.ticks.iter().map(|t| width(&t.1, TICK)).fold(0.0, f64::max);
    let left = MARGIN + if y.name.is_empty() { 0.0 } else { 22.0 } + widest + 8.0;
    let begin = legend(pen, entries, top, bottom + labels);
    let right = if entries.is_empty() { begin - 8.0 } else { begin - 22.0 };
    let frame = Frame {
        x: Scale { low: x.low, high: x.high, from: left, to: right, log: x.log },
        y: Scale { low: y.low, high: y.high, from: bottom, to: top, log: y.log },
    };
    for (value, text) in &y.ticks {
        let at = frame.y.at(*value);
        pen.line(&[(left, at), (right, at)], GRID, 1.0);
        pen.text((left - 8.0, at + 4.3), text, TICK, MUTED, Align::Right);
    }
    let mut free = f64::NEG_INFINITY;
    for (value, text) in &x.ticks {
        let at = frame.x.at(*value);
        let half = width(text, TICK) / 2.0;
        pen.line(&[(at, bottom), (at, bottom + 5.0)], MUTED, 1.0);
        if at - half > free {
            pen.text((at, bottom + 18.0), text, TICK, MUTED, Align::Middle);
            free = at + half + 5.0;
        }
    }
    pen.line(&[(left, top), (left, bottom), (right, bottom)], MUTED, 1.25);
    let name = shorten(&x.name, NAME, right - left + 60.0);
    pen.text(((left + right) / 2.0, f64::from(HEIGHT) - MARGIN + 4.0), &name, NAME, INK, Align::Middle);
    let name = shorten(&y.name, NAME, bottom - top + 40.0);
    pen.upward((MARGIN + 10.0, (top + bottom) / 2.0), &name, NAME, INK, Align::Middle);
    frame
}

/// Says in the middle of the frame that there is nothing in it.
pub(super) fn nothing<B: DrawingBackend>(pen: &mut Pen<B>, heading: Option<&str>) {
    let top = title(pen, heading) + 4.0;
    let (right, bottom) = (f64::from(WIDTH) - MARGIN, f64::from(HEIGHT) - MARGIN);
    pen.border((MARGIN, top), (right, bottom), GRID, 1.0);
    pen.text(((MARGIN + right) / 2.0, (top + bottom) / 2.0), "no data", TITLE, MUTED, Align::Middle);
}

/// An interval as a thin upright line with caps.
pub(super) fn whisker<B: DrawingBackend>(
    pen: &mut Pen<B>,
    x: f64,
    (low, high): (f64, f64),
    cap: f64,
    color: plotters::style::RGBColor,
    weight: f64,
) {
    if low.is_finite() && high.is_finite() {
        pen.line(&[(x, low), (x, high)], color, weight);
        for y in [low, high] {
            pen.line(&[(x - cap, y), (x + cap, y)] as &[Point], color, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|t| t.1.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(texts(&Axis::linear("", 0.0, 1.0, true, 6.0)), ["0%", "20%", "40%", "60%", "80%", "100%"]);
        assert_eq!(texts(&Axis::linear("", -0.04, 0.11, true, 4.0)), ["−5%", "0%", "5%", "10%", "15%"]);
        assert_eq!(texts(&Axis::linear("", 0.0, 0.7, false, 4.0)), ["0.0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(texts(&Axis::linear("", 3.0, 3.0, false, 4.0)), ["2.5", "3.0", "3.5"]);
        let odd = Axis::linear("", f64::NAN, 4.0, false, 4.0);
        assert!((odd.low, odd.high) == (0.0, 1.0));
    }

    #[test]
    fn shares_stay_shares() {
        let wide = Axis::values("", 0.1, 0.9, true);
        assert_eq!((wide.low, wide.high), (0.0, 1.0));
        let near = Axis::values("", 0.95, 1.0, true);
        assert!(near.low > 0.9 && near.high <= 1.0, "{near:?}");
        let one = Axis::values("", 1.0, 1.0, true);
        assert!(one.low < 1.0 && (one.high - 1.0).abs() < 1e-9, "{one:?}");
        let gain = Axis::values("", -0.02, 0.1, true);
        assert!(gain.low <= -0.02 && gain.high >= 0.1);
    }

    #[test]
    fn a_log_scale_spaces_powers_of_two_evenly() {
        let s = Scale { low: 1.0, high: 16.0, from: 100.0, to: 500.0, log: true };
        assert_eq!([1.0, 2.0, 4.0, 8.0, 16.0].map(|v| s.at(v)), [100.0, 200.0, 300.0, 400.0, 500.0]);
    }
}
