//! What the state looks like.

mod paint;

use super::state::{Item, State};
use super::theme::{Role, Theme};
use paint::Painter;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Fits the state to the screen: what goes where, which rows are visible.
pub(crate) fn prepare(state: &mut State, area: Rect) {
    let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
    if let Some(doc) = state.doc_mut() {
        doc.refresh(&settings, &calibration);
    }
    state.layout = Default::default();
    let list = Rect { width: area.width.min(30), ..area };
    state.layout.list = Some(list);
    state.list.reveal(usize::from(list.height));
    let body = Rect { x: list.right(), width: area.width - list.width, ..area };
    state.layout.body = body;
    state.layout.main = Some(body);
    if let Some(doc) = state.doc_mut() {
        let at = doc.cursor.candidate;
        if let (Some(candidate), Some(seen)) = (doc.trace.candidates.get(at), doc.seen.get_mut(at)) {
            seen.wide.update(&candidate.text, &candidate.steps, usize::from(body.width));
        }
    }
}

/// Draws the state.
pub(crate) fn draw(state: &State, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut p = Painter::new(frame.buffer_mut(), theme);
    p.fill(area, Role::Background);
    if let Some(list) = state.layout.list {
        for y in 0..list.height {
            let at = state.list.top + usize::from(y);
            let Some(item) = state.list.item(at) else { break };
            let text = match item {
                Item::Own(i) => state.list.own[i].clone(),
                Item::Recorded(i) => state.list.row(i).map(|r| r.problem.clone()).unwrap_or_default(),
            };
            let role = if at == state.list.at { Role::Selection } else { Role::Text };
            p.text(list.x, list.y + y, list.width.saturating_sub(1), &text, theme.style(role));
        }
    }
    let body = state.layout.body;
    if let Some((candidate, seen)) = state.doc().and_then(|d| Some((d.candidate()?, d.seen_now()?))) {
        for (y, row) in seen.wide.rows().iter().take(usize::from(body.height)).enumerate() {
            p.text(body.x, body.y + y as u16, body.width, row.span.of(&candidate.text), theme.style(Role::Text));
        }
    }
}
