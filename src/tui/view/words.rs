//! How the views put what several of them show: an answer's verdict, what ranks, places, text on one line, the style of a value.

use super::paint::Painter;
use crate::trace::Candidate;
use crate::tui::state::{Doc, Scale, State};
use crate::tui::text::fit;
use crate::tui::theme::{Glyphs, Role};
use ratatui::style::Style;

/// What ranks, by its name, and how its steps become one number where they do.
pub(super) fn rank_name(state: &State, doc: &Doc) -> Option<String> {
    let reading = doc.ranked_by()?;
    let steps = doc.signal_of(doc.readings.rank?)?.has_steps();
    Some(if steps { format!("{reading}, {}", state.settings.aggregation.name()) } else { reading.to_string() })
}

/// Glyph and role of a candidate's answer.
pub(super) fn verdict(candidate: &Candidate, g: &Glyphs) -> (&'static str, Role) {
    match candidate.correct {
        Some(true) => (g.right, Role::Right),
        Some(false) => (g.wrong, Role::Wrong),
        None => ("", Role::Strong),
    }
}

/// Text on one line, cut.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    fit(&line, limit).0.to_string()
}

/// A place: `1st`.
pub(super) fn ordinal(n: usize) -> String {
    let end = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// Style of a value on a document's scale; of none, that of what has no number.
pub(super) fn reward_style(p: &Painter<'_>, scale: Scale, reward: Option<f32>) -> Style {
    p.theme.reward(reward.map_or(f32::NAN, |r| scale.place(r)))
}
