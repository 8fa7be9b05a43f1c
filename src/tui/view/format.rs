//! Numbers and short texts as the screen writes them.

use crate::trace::{Candidate, FinishReason, GoldDeviation, Unit};
use crate::tui::theme::Glyphs;

/// A reward with its sign, `decimals` places, at most six cells where it can be; `nan` as it is.
pub(in crate::tui) fn signed(value: f32, decimals: usize, g: &Glyphs) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    let size = value.abs();
    if size.is_infinite() {
        return format!("{}inf", if value < 0.0 { g.minus } else { "+" });
    }
    let decimals = match size {
        s if s >= 9999.5 => return format!("{}{size:.0e}", if value < 0.0 { g.minus } else { "+" }),
        s if s >= 99.95 => 0,
        s if s >= 9.995 => decimals.min(1),
        _ => decimals,
    };
    let digits = format!("{size:.decimals$}");
    // What rounds to nought has no sign: it lies on neither side as far as can be read.
    let zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    let sign = if zero {
        " "
    } else if value < 0.0 {
        g.minus
    } else {
        "+"
    };
    format!("{sign}{digits}")
}

/// A value in its own unit: signed where both signs mean something, at most six cells where it can be.
pub(super) fn amount(value: f32, unit: Unit, g: &Glyphs) -> String {
    match unit {
        Unit::Probability if (0.0..10.0).contains(&value) => format!("{value:.2}"),
        // Entropies have one sign, and what rounds to nought has none.
        Unit::Nats if value >= 0.0 => signed(value, 2, g).trim_start_matches('+').to_owned(),
        Unit::Count if value.is_finite() && value.abs() < 1e5 && value.fract() == 0.0 => {
            format!("{}{:.0}", if value < 0.0 { g.minus } else { "" }, value.abs())
        }
        Unit::Logit | Unit::Probability | Unit::Nats | Unit::Count | Unit::Unknown => signed(value, 2, g),
    }
}

/// A value with its exact digits.
pub(super) fn exact(value: f32, g: &Glyphs) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    let sign = if value < 0.0 {
        g.minus
    } else if value > 0.0 {
        "+"
    } else {
        ""
    };
    format!("{sign}{:.4}", value.abs())
}

/// Above or below the pivot.
pub(in crate::tui) fn side(place: Option<f32>, g: &Glyphs) -> &'static str {
    match place {
        Some(t) if t < 0.0 => g.below,
        Some(t) if t >= 0.0 => g.above,
        _ => g.unknown,
    }
}

/// How a candidate's text ended.
pub(super) fn finish(candidate: &Candidate) -> &'static str {
    match &candidate.finish {
        None => "",
        Some(FinishReason::Stop) => "stop",
        Some(FinishReason::Length) => "length",
        Some(FinishReason::Cancelled) => "cancelled",
        Some(FinishReason::Failed(_)) => "failed",
    }
}

/// The label of a candidate: its first wrong step (from 1), `ok` for none.
pub(super) fn gold(gold: Option<GoldDeviation>, g: &Glyphs) -> String {
    match gold {
        Some(GoldDeviation::Step(s)) => format!("{}{}", g.gold, s.saturating_add(1)),
        Some(GoldDeviation::None) => format!("{}ok", g.gold),
        None => String::new(),
    }
}

/// 1234567 as 1,234,567.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::{ASCII, UNICODE};

    #[test]
    fn rewards_keep_their_sign_and_their_width() {
        let all = [1.234, -0.5, 12.34, -123.4, 12345.0, 0.001, f32::NAN, f32::NEG_INFINITY];
        let got: Vec<String> = all.iter().map(|v| signed(*v, 2, &ASCII)).collect();
        assert_eq!(got, ["+1.23", "-0.50", "+12.3", "-123", "+1e4", " 0.00", "nan", "-inf"]);
        assert_eq!(signed(-2.0, 2, &UNICODE), "−2.00");
        let amounts = [(0.5, Unit::Probability), (12.0, Unit::Count), (-1.0, Unit::Count), (0.5, Unit::Logit), (1.5, Unit::Nats)];
        assert_eq!(amounts.map(|(v, u)| amount(v, u, &ASCII)), ["0.50", "12", "-1", "+0.50", "1.50"]);
        assert_eq!(thousands(1234567), "1,234,567");
        assert_eq!(thousands(999), "999");
    }
}
