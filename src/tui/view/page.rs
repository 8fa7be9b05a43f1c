//! Pieces that several views share: scroll bars, panels, meters.

use super::paint::Painter;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// A scroll bar one cell wide; nothing where all is visible.
pub(in crate::tui) fn scrollbar(p: &mut Painter<'_>, area: Rect, top: usize, total: usize) {
    let page = usize::from(area.height);
    if page == 0 || total <= page || area.width == 0 {
        return;
    }
    let g = p.glyphs();
    let size = (page * page / total).clamp(1, page);
    let start = (top * (page - size)).div_ceil((total - page).max(1)).min(page - size);
    for y in 0..page {
        let inside = (start..start + size).contains(&y);
        let (glyph, role) = if inside { (g.thumb, Role::Faint) } else { (g.track, Role::Border) };
        p.glyph(area.x, area.y + y as u16, 1, glyph, p.style(role));
    }
}

/// An area of this size, or less, in the middle.
pub(in crate::tui) fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// What a panel's frame leaves free.
pub(in crate::tui) fn inside(frame: Rect) -> Rect {
    if frame.width < 4 || frame.height < 3 {
        return frame;
    }
    Rect { x: frame.x + 2, y: frame.y + 1, width: frame.width - 4, height: frame.height - 2 }
}

/// A panel in the middle of `area`, cleared and framed by rules; returns its inside.
pub(in crate::tui) fn panel(p: &mut Painter<'_>, area: Rect, width: u16, height: u16, title: &str, hint: &str) -> Rect {
    let frame = centred(area, width, height);
    let (width, height) = (frame.width, frame.height);
    p.fill(frame, Role::Background);
    if width < 4 || height < 3 {
        return frame;
    }
    let border = p.style(Role::BorderFocus);
    let g = p.glyphs();
    let corners = if g.unicode { ["╭", "╮", "╰", "╯"] } else { ["+", "+", "+", "+"] };
    p.rule(frame, Role::BorderFocus);
    p.rule(Rect { y: frame.bottom() - 1, ..frame }, Role::BorderFocus);
    for y in frame.top()..frame.bottom() {
        p.glyph(frame.x, y, 1, g.wall, border);
        p.glyph(frame.right() - 1, y, 1, g.wall, border);
    }
    for (corner, (x, y)) in corners.into_iter().zip([
        (frame.x, frame.y),
        (frame.right() - 1, frame.y),
        (frame.x, frame.bottom() - 1),
        (frame.right() - 1, frame.bottom() - 1),
    ]) {
        p.glyph(x, y, 1, corner, border);
    }
    p.cut(frame.x + 2, frame.y, width - 4, &format!(" {title} "), p.style(Role::Title));
    let hint = format!(" {hint} ");
    let room = width.saturating_sub(4);
    if usize::from(room) >= crate::tui::text::width(&hint) && hint.len() > 2 {
        p.right(frame.right() - 2, frame.bottom() - 1, room, &hint, p.style(Role::Dim));
    }
    inside(frame)
}

/// A meter of `width` cells, `part` of 0 to 1 done.
pub(in crate::tui) fn meter(p: &mut Painter<'_>, x: u16, y: u16, width: u16, part: f32, role: Role) {
    let g = p.glyphs();
    let done = (part.clamp(0.0, 1.0) * f32::from(width)).round() as u16;
    for i in 0..width {
        let (glyph, role) = if i < done { (g.progress_done, role) } else { (g.progress_left, Role::Border) };
        p.glyph(x + i, y, 1, glyph, p.style(role));
    }
}
