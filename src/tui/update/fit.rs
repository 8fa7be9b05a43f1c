//! What goes where: every size is decided here, and what is shown is derived, once a frame, before anything is drawn.

use crate::trace::{Calibration, Candidate};
use crate::tui::Settings;
use crate::tui::state::{Column, Derived, Focus, Hit, Layout, Line, Overlay, State, View, gold_step};
use crate::tui::text::wrap_plain;
use crate::tui::view::{Gutter, VOTES_BESIDE, board_rows, settings_rows, text_area};
use ratatui::layout::Rect;

/// From this width on the list stands beside the trace.
const WIDE: u16 = 100;
/// From this width on it stands beside all candidates, too.
const WIDER: u16 = 150;
/// The narrowest column of the compare view.
const COLUMN: u16 = 25;
/// Below this the compare view stacks its candidates.
const STACK_WIDTH: u16 = 52;

/// Fits the state to the screen.
pub(super) fn fit(state: &mut State, area: Rect) {
    let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
    if let Some(item) = state.open {
        if let Some(doc) = state.doc_mut() {
            doc.refresh(&settings, &calibration, true);
        }
        super::mark(state, item);
    }
    state.layout = Layout::default();
    let [panes, status] = split_bottom(area, 1);
    state.layout.status = status;
    let beside = area.width >= WIDE && (state.view == View::Trace || state.focus == Focus::List || area.width >= WIDER);
    let main = if beside {
        let [list, main] = split_left(panes, (area.width * 3 / 10).clamp(32, 56));
        state.layout.list = Some(list);
        main
    } else if state.focus == Focus::List {
        state.layout.list = Some(panes);
        Rect::default()
    } else {
        panes
    };
    if let Some(list) = state.layout.list {
        state.list.reveal(usize::from(list.height.saturating_sub(1)));
        let rows = Rect { y: list.y + 1.min(list.height), height: list.height.saturating_sub(1), ..list };
        state.layout.hits.push((list, Hit::List));
        for y in 0..rows.height {
            let at = state.list.top + usize::from(y);
            if at < state.list.count() {
                state.layout.hits.push((Rect { y: rows.y + y, height: 1, ..rows }, Hit::Listed(at)));
            }
        }
    }
    if main.width > 0 && main.height > 0 {
        state.layout.main = Some(main);
        fit_main(state, main);
        warm(state, &settings, &calibration);
    }
    fit_overlay(state, panes);
}

/// Finds the colours of the tokens on screen.
fn warm(state: &mut State, settings: &Settings, calibration: &Calibration) {
    let heat = state.heat.clone();
    let columns: Vec<usize> = state.layout.columns.iter().map(|c| c.candidate).collect();
    let view = state.view;
    if let Some(doc) = state.doc_mut() {
        let shown = if view == View::Trace { vec![doc.cursor.candidate] } else { columns };
        shown.into_iter().for_each(|i| doc.warm(i, heat.as_deref(), settings, calibration));
    }
}

fn fit_overlay(state: &mut State, area: Rect) {
    match &state.overlay {
        Some(Overlay::Settings { at, .. }) => {
            let (frame, rows, _) = settings_rows(area, *at);
            state.layout.hits.push((frame, Hit::Overlay));
            state.layout.hits.extend(rows.iter().map(|r| (Rect { y: r.1, height: 1, ..frame }, Hit::Setting(r.0))));
        }
        Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Problem) => state.layout.hits.push((area, Hit::Overlay)),
        Some(Overlay::Search(_) | Overlay::Filter(_)) | None => {}
    }
}

fn fit_main(state: &mut State, main: Rect) {
    let height = main.height;
    let detail = match height {
        ..=5 => 0,
        6..=15 => 1,
        16..=21 => 2,
        22..=33 => 3,
        34..=47 => 4,
        _ => 5,
    };
    let [rest, area] = split_bottom(main, detail);
    state.layout.detail = area;
    let many = state.view == View::Compare && state.doc().is_some_and(|d| d.candidates().len() > 1);
    let charted = state.chart.unwrap_or(height >= if many { 50 } else { 28 });
    let chart = if charted && rest.height > 12 { (rest.height / 4).clamp(5, 11) } else { 0 };
    let [rest, area] = split_bottom(rest, chart);
    state.layout.chart = area;
    let (problem, rule) = fit_problem(state, rest);
    state.layout.problem_rule = rule;
    let [area, rest] = split_top(rest, problem);
    state.layout.problem = area;
    match state.view {
        View::Trace => fit_trace(state, rest),
        View::Compare => fit_compare(state, rest),
    }
}

/// Lines of the title and the problem below it, and whether a rule is the last of them.
fn fit_problem(state: &State, area: Rect) -> (u16, bool) {
    let Some(doc) = state.doc() else { return (1.min(area.height), false) };
    let rows = wrap_plain(&doc.trace().problem, area.width.saturating_sub(2)).len() as u16;
    let most = match area.height {
        ..=10 => 0,
        11..=17 => 1,
        18..=30 => 2,
        _ => 4,
    };
    let most = if state.problem_whole { area.height / 2 } else { most };
    // A rule below it where there is room.
    let rule = area.height > 14;
    ((1 + rows.min(most) + u16::from(rule)).min(area.height), rule)
}

fn fit_trace(state: &mut State, body: Rect) {
    state.layout.body = body;
    // The last cell is the scroll bar's.
    let page = body.width.saturating_sub(1);
    let gutter = Gutter::of(page, state.doc().and_then(|d| d.candidate()).map_or(0, |c| c.steps.len()));
    let width = usize::from(page.saturating_sub(gutter.width()).saturating_sub(1));
    let height = usize::from(body.height);
    let mut hits = Vec::new();
    if let Some(doc) = state.doc_mut() {
        let at = doc.cursor.candidate;
        let growing = doc.growing(at);
        if let (Some(candidate), Some(derived)) = (doc.store.trace().candidates.get(at), doc.derived.get_mut(at)) {
            derived.wide.update(candidate, width, marks(derived, candidate));
            doc.cursor.step = doc.cursor.step.min(candidate.steps.len().saturating_sub(1));
            let lines = derived.wide.lines_of(doc.cursor.step);
            let most = derived.wide.lines.len().saturating_sub(height);
            if doc.follow && growing {
                doc.top = most;
                doc.cursor.step = candidate.steps.len().saturating_sub(1);
            } else if doc.reveal {
                doc.top = reveal(doc.top, &lines, height);
                let token = doc.cursor.token.and_then(|t| crate::tui::state::Doc::units(candidate).get(t).copied());
                if let Some(line) = token.and_then(|t| derived.wide.line_at(t.start)) {
                    doc.top = reveal(doc.top, &(line..line + 1), height);
                }
            }
            doc.top = doc.top.min(most);
            doc.reveal = false;
            for y in 0..height.min(derived.wide.lines.len().saturating_sub(doc.top)) {
                let row = Rect { y: body.y + y as u16, height: 1, ..body };
                hits.push((row, Hit::Step(at, derived.wide.step_at(doc.top + y))));
            }
        }
    }
    state.layout.hits.extend(hits);
}

/// The steps of a candidate that are marked.
fn marks(derived: &Derived, candidate: &Candidate) -> [Option<usize>; 3] {
    [derived.deviation.as_ref().map(|d| d.step), derived.apart(), gold_step(candidate)]
}

/// The first visible line such that `lines` are visible, or their beginning where they do not fit; moved no further than needed.
fn reveal(top: usize, lines: &std::ops::Range<usize>, height: usize) -> usize {
    let margin = (height / 6).min(3);
    let end = (lines.end + margin).saturating_sub(height);
    if lines.start < top + margin || lines.len() + 2 * margin >= height {
        lines.start.saturating_sub(margin).max(if lines.len() + 2 * margin >= height { 0 } else { end.min(top) })
    } else {
        top.max(end)
    }
}

fn fit_compare(state: &mut State, rest: Rect) {
    let count = state.doc().map_or(0, |d| d.candidates().len()) as u16;
    if rest.width < STACK_WIDTH || rest.height < 12 {
        return fit_stack(state, rest);
    }
    // Header, a row a candidate, a rule.
    let votes = if rest.width < VOTES_BESIDE && rest.height >= 16 { 1 } else { 0 };
    let board = (count + 2).min((rest.height * 2 / 5).max(4)).min(14);
    let [board, body] = split_top(rest, board + votes);
    state.layout.board = board;
    state.layout.body = body;
    let rows = board.height.saturating_sub(2 + votes);
    state.layout.board_rows = rows;
    let rows = usize::from(rows);
    let (by_rank, mut hits) = (state.by_rank, Vec::new());
    let mut columns = Vec::new();
    if let Some(doc) = state.doc_mut() {
        for (y, candidate) in board_rows(doc, rows).enumerate() {
            hits.push((Rect { y: board.y + 1 + y as u16, height: 1, ..board }, Hit::Candidate(candidate)));
        }
        let order: Vec<usize> = if by_rank && !doc.order.is_empty() { doc.order.clone() } else { (0..usize::from(count)).collect() };
        let wide = (body.width + 1) / (COLUMN + 1);
        let across = wide.min(count.max(1)).max(1);
        let down = (count.div_ceil(across)).min(body.height / 9).max(1);
        // As even as it goes: eight on three rows are three, three, two rather than four, four, none.
        let across = count.div_ceil(down).min(across).max(1);
        let shown = usize::from(across * down);
        let at = order.iter().position(|c| *c == doc.cursor.candidate).unwrap_or(0);
        let first = (at / shown.max(1)) * shown;
        let first = first.min(order.len().saturating_sub(shown));
        for (k, &candidate) in order.iter().skip(first).take(shown).enumerate() {
            let (x, y) = (k as u16 % across, k as u16 / across);
            let left = body.x + x * (body.width + 1) / across;
            let right = body.x + (x + 1) * (body.width + 1) / across - 1;
            let (top, bottom) = (body.y + y * body.height / down, body.y + (y + 1) * body.height / down);
            let area = Rect { x: left, y: top, width: right.saturating_sub(left), height: bottom - top };
            columns.push(Column { candidate, area, top: 0 });
        }
        for column in &mut columns {
            fit_column(doc, column, &mut hits);
        }
    }
    state.layout.columns = columns;
    state.layout.hits.extend(hits);
}

fn fit_column(doc: &mut crate::tui::state::Doc, column: &mut Column, hits: &mut Vec<(Rect, Hit)>) {
    let Some(candidate) = doc.store.trace().candidates.get(column.candidate) else { return };
    let body = text_area(column.area);
    let gutter = Gutter::of(body.width, candidate.steps.len());
    let width = usize::from(body.width.saturating_sub(gutter.width()));
    let Some(derived) = doc.derived.get_mut(column.candidate) else { return };
    derived.narrow.update(candidate, width, marks(derived, candidate));
    let height = usize::from(body.height);
    let most = derived.narrow.lines.len().saturating_sub(height);
    if doc.follow && doc.cursor.candidate == column.candidate {
        doc.cursor.step = candidate.steps.len().saturating_sub(1);
    }
    column.top = if doc.follow {
        most
    } else {
        let step = doc.cursor.step.min(candidate.steps.len().saturating_sub(1));
        // The selected step of every candidate begins on the same row, with what leads to it above.
        let lead = if doc.skip > 0 { 0 } else { height / 4 };
        (derived.narrow.lines_of(step).start + doc.skip).saturating_sub(lead).min(most)
    };
    hits.push((column.area, Hit::Candidate(column.candidate)));
    for y in 0..height.min(derived.narrow.lines.len().saturating_sub(column.top)) {
        let row = Rect { y: body.y + y as u16, height: 1, ..body };
        hits.push((row, Hit::Step(column.candidate, derived.narrow.step_at(column.top + y))));
    }
}

/// Candidates below each other: a line of the board and the selected step of each.
fn fit_stack(state: &mut State, rest: Rect) {
    state.layout.body = rest;
    let by_rank = state.by_rank;
    let mut columns = Vec::new();
    let mut hits = Vec::new();
    if let Some(doc) = state.doc_mut() {
        let count = doc.candidates().len();
        let order: Vec<usize> = if by_rank && !doc.order.is_empty() { doc.order.clone() } else { (0..count).collect() };
        let each = (rest.height / (count.max(1) as u16)).clamp(2.min(rest.height.max(1)), 6).max(1);
        let shown = usize::from((rest.height / each).max(1));
        let at = order.iter().position(|c| *c == doc.cursor.candidate).unwrap_or(0);
        let first = at.saturating_sub(shown / 2).min(order.len().saturating_sub(shown));
        for (k, &candidate) in order.iter().skip(first).take(shown).enumerate() {
            let area = Rect { y: rest.y + k as u16 * each, height: each, ..rest }.intersection(rest);
            let mut column = Column { candidate, area, top: 0 };
            fit_column(doc, &mut column, &mut hits);
            if !doc.follow
                && let Some(derived) = doc.derived.get(candidate)
            {
                // The line that matters is the step's first row of text, not what leads to it.
                let lines = derived.narrow.lines_of(doc.cursor.step.min(doc.candidates()[candidate].steps.len().saturating_sub(1)));
                let marks = derived.narrow.lines[lines.clone()].iter().take_while(|l| !matches!(l, Line::Row(_))).count();
                column.top = (lines.start + marks + doc.skip).min(derived.narrow.lines.len().saturating_sub(1));
            }
            columns.push(column);
        }
    }
    state.layout.columns = columns;
    state.layout.hits.extend(hits);
}

fn split_bottom(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    [Rect { height: area.height - height, ..area }, Rect { y: area.bottom() - height, height, ..area }]
}

fn split_top(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    [Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area }]
}

/// Two panes with a column between them.
fn split_left(area: Rect, width: u16) -> [Rect; 2] {
    let width = width.min(area.width);
    let x = (area.x + width + 1).min(area.right());
    [Rect { width, ..area }, Rect { x, width: area.right() - x, ..area }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revealed_is_visible_and_moves_no_further() {
        for height in [1, 2, 5, 12, 40] {
            for top in [0, 3, 50] {
                for lines in [0..1, 4..6, 30..31, 45..49] {
                    let to = reveal(top, &lines, height);
                    assert!((to..to + height).contains(&lines.start), "{lines:?} at {to}, {height} high");
                    if lines.len() <= height {
                        assert!(
                            lines.end <= to + height || lines.len() + 2 * (height / 6).min(3) >= height,
                            "{lines:?} at {to}, {height} high"
                        );
                    }
                }
            }
        }
        assert_eq!(reveal(10, &(15..16), 20), 10, "already in view");
    }
}
