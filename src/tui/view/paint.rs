//! Drawing into the buffer: clipped, and safe for any text.

use crate::trace::Span;
use crate::tui::text::{Shown, fit, graphemes, middle, shown, width};
use crate::tui::theme::{Glyphs, Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A buffer and the look of what is drawn into it. Nothing drawn outside the buffer is an error.
pub(crate) struct Painter<'a> {
    buffer: &'a mut Buffer,
    pub theme: &'a Theme,
}

impl<'a> Painter<'a> {
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        Self { buffer, theme }
    }

    pub fn glyphs(&self) -> &'a Glyphs {
        &self.theme.glyphs
    }

    pub fn area(&self) -> Rect {
        self.buffer.area
    }

    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// Blanks an area and gives it a role's style.
    pub fn fill(&mut self, area: Rect, role: Role) {
        let style = self.style(role);
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    /// Lays a style over what an area shows.
    pub fn tint(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Draws text from the left, at most `limit` cells; returns the column after it.
    pub fn text(&mut self, x: u16, y: u16, limit: u16, text: &str, style: Style) -> u16 {
        let end = x.saturating_add(limit).min(self.buffer.area.right());
        let mut at = x;
        for (_, g) in graphemes(text) {
            let (what, wide) = shown(g, usize::from(at - x), self.theme.glyphs.unicode);
            let next = at.saturating_add(wide as u16);
            if next > end {
                break;
            }
            match what {
                Shown::Itself(g) => self.cell(at, y, g, style),
                Shown::Instead(c) => self.cell(at, y, c.encode_utf8(&mut [0; 4]), style),
                Shown::Blanks(_) => self.cell(at, y, " ", style),
                Shown::Nothing | Shown::Break => {}
            }
            for x in at.saturating_add(1)..next {
                self.covered(x, y, style);
            }
            at = next;
        }
        at
    }

    /// Like [`Painter::text`]; text that does not fit ends in an ellipsis.
    pub fn cut(&mut self, x: u16, y: u16, limit: u16, text: &str, style: Style) -> u16 {
        if width(text) <= usize::from(limit) {
            return self.text(x, y, limit, text, style);
        }
        let mark = self.theme.glyphs.ellipsis;
        let (head, used) = fit(text, usize::from(limit).saturating_sub(width(mark)));
        let after = self.text(x, y, used as u16, head.trim_end(), style);
        self.glyph(after, y, limit.saturating_sub(after - x), mark, style)
    }

    /// Like [`Painter::text`]; text that does not fit loses its middle, so that names and numbers do not become others.
    pub fn middle(&mut self, x: u16, y: u16, limit: u16, text: &str, style: Style) -> u16 {
        let short = middle(text, usize::from(limit), self.theme.glyphs.ellipsis);
        self.text(x, y, limit, &short, style)
    }

    /// Draws one of our own glyphs or strings, which are safe as they are.
    pub fn glyph(&mut self, x: u16, y: u16, limit: u16, glyph: &str, style: Style) -> u16 {
        let end = x.saturating_add(limit).min(self.buffer.area.right());
        let mut at = x;
        for (_, g) in graphemes(glyph) {
            if at >= end {
                break;
            }
            self.cell(at, y, g, style);
            at += 1;
        }
        at
    }

    /// Draws text that ends before column `right`; returns where it begins. Text that does not fit loses its middle.
    pub fn right(&mut self, right: u16, y: u16, limit: u16, text: &str, style: Style) -> u16 {
        let short = middle(text, usize::from(limit.min(right)), self.theme.glyphs.ellipsis);
        let wide = (width(&short) as u16).min(limit).min(right);
        self.text(right - wide, y, wide, &short, style);
        right - wide
    }

    /// Draws the bytes `span` of `text`; where overlays (ascending by start within each layer) hold a byte, their styles are laid over the base.
    #[allow(clippy::too_many_arguments)]
    pub fn spans(&mut self, x: u16, y: u16, limit: u16, text: &str, span: Span, base: Style, overlays: &[(Span, Style)]) -> u16 {
        let here: Vec<&(Span, Style)> = overlays.iter().filter(|o| o.0.start < span.end && span.start < o.0.end).collect();
        if here.is_empty() {
            return self.text(x, y, limit, span.of(text), base);
        }
        let end = x.saturating_add(limit).min(self.buffer.area.right());
        let mut at = x;
        for (offset, g) in graphemes(span.of(text)) {
            let byte = span.start + offset;
            let style = here.iter().filter(|o| o.0.start <= byte && byte < o.0.end).fold(base, |s, o| s.patch(o.1));
            let wide = shown(g, usize::from(at - x), self.theme.glyphs.unicode).1 as u16;
            if at.saturating_add(wide) > end {
                break;
            }
            // A tab's width depends on where it stands.
            match shown(g, usize::from(at - x), self.theme.glyphs.unicode).0 {
                Shown::Blanks(n) => (0..n as u16).for_each(|i| self.cell(at + i, y, " ", style)),
                _ => {
                    self.text(at, y, wide, g, style);
                }
            }
            at += wide;
        }
        at
    }

    /// Draws a rule over the top row of an area.
    pub fn rule(&mut self, area: Rect, role: Role) {
        let style = self.style(role);
        for x in area.left()..area.right() {
            self.glyph(x, area.y, 1, self.theme.glyphs.rule, style);
        }
    }

    /// The cell behind a wide character.
    fn covered(&mut self, x: u16, y: u16, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(" ").set_style(style);
        }
    }

    fn cell(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        // What is drawn over the second half of a wide character takes the first half away, too.
        if let Some(before) = x.checked_sub(1).and_then(|x| self.buffer.cell_mut((x, y)))
            && before.symbol().len() > 1
            && width(before.symbol()) > 1
        {
            before.set_symbol(" ");
        }
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(symbol).set_style(style);
        }
    }
}
