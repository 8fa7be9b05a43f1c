//! What the state looks like.

mod board;
mod chart;
mod compare;
mod detail;
pub(super) mod format;
mod list;
pub(super) mod overlay;
pub(super) mod page;
pub(super) mod paint;
pub(super) mod status;
mod trace;
mod words;

use super::state::{State, View};
use super::theme::{Role, Theme};
use paint::Painter;
use ratatui::Frame;

pub(super) use board::board_rows;
pub(super) use compare::{VOTES_BESIDE, text_area};
pub(super) use overlay::settings_rows;
pub(super) use trace::Gutter;

/// Draws the state.
pub(crate) fn draw(state: &State, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut p = Painter::new(frame.buffer_mut(), theme);
    p.fill(area, Role::Background);
    list::draw(state, &mut p);
    if state.layout.main.is_some() {
        trace::head(state, &mut p);
        match state.view {
            View::Trace => trace::draw(state, &mut p),
            View::Compare => compare::draw(state, &mut p),
        }
        chart::draw(state, &mut p);
        detail::draw(state, &mut p);
    }
    status::draw(state, &mut p);
    overlay::draw(state, &mut p);
}
