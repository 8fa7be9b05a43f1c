//! How the views put what several of them show: an answer's verdict, what ranks, places, text on one line, the style of a value.

use super::paint::Painter;
use crate::runtime::Slot;
use crate::trace::{Candidate, FEWEST_TEXTS, SURPRISAL};
use crate::tui::state::{Doc, Scale, State};
use crate::tui::text::middle;
use crate::tui::theme::{Glyphs, Role};
use ratatui::style::Style;

/// What ranks, by its name, and how its steps become one number where they do.
pub(super) fn rank_name(state: &State, doc: &Doc) -> Option<String> {
    let reading = doc.ranked_by()?;
    let steps = doc.signal_of(doc.readings.rank?)?.has_steps();
    Some(if steps { format!("{reading}, {}", state.settings.aggregation.name()) } else { reading.to_string() })
}

/// That a reward model has not learned on such text, the longest form first; `None` where all have, as far as is known.
pub(super) fn outside(doc: &Doc, g: &Glyphs) -> Option<Vec<String>> {
    let (signal, domain) = doc.outside.first()?;
    let (task, why) = (one_line(&domain.task, 24, g), domain.why().unwrap_or_default());
    let what = if doc.trust { "believed all the same" } else { "verdicts withheld, ! shows them" };
    let short = if doc.trust { "believed" } else { "withheld (!)" };
    let mut forms =
        vec![format!("{signal}: outside {task}, {why}; {what}"), format!("outside {task}; {what}"), format!("outside {task}, {short}")];
    // Who insists knows it already.
    forms.extend(doc.trust.then(|| "outside".to_owned()));
    Some(forms)
}

/// What judges where no reward does, and how its threshold came about, the longest form first; `None` where something else colours.
pub(super) fn unjudged(state: &State, doc: &Doc) -> Option<[String; 3]> {
    let reading = doc.coloured_by().filter(|r| r.signal == SURPRISAL)?;
    let by = match &state.models.policy {
        Slot::Ready { name, .. } if state.models.policy_reads => {
            format!(" to {}", name.rsplit('/').find(|p| !p.is_empty()).unwrap_or(name))
        }
        _ => String::new(),
    };
    let fitted = doc.readings.colour.and_then(|i| doc.bounds.get(i)?.as_ref()?.fitted.as_ref());
    Some(match fitted {
        Some(fitted) => {
            let [long, short] = fitted.words();
            [format!("{reading}: how unexpected a step is{by}; {long}"), format!("{reading}{by}; {long}"), format!("surprisal; {short}")]
        }
        None => {
            let few = format!("marks from {FEWEST_TEXTS} texts on");
            [format!("{reading}: how unexpected a step is{by}; {few}"), format!("{reading}{by}; {few}"), "surprisal; no threshold".into()]
        }
    })
}

/// Glyph and role of a candidate's answer.
pub(super) fn verdict(candidate: &Candidate, g: &Glyphs) -> (&'static str, Role) {
    match candidate.correct {
        Some(true) => (g.right, Role::Right),
        Some(false) => (g.wrong, Role::Wrong),
        None => ("", Role::Strong),
    }
}

/// Text on one line; what is too long loses its middle.
pub(super) fn one_line(text: &str, limit: usize, g: &Glyphs) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    middle(&line, limit, g.ellipsis).into_owned()
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
