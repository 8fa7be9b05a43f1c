//! Wrapping that knows, for every visual row, the step and the bytes it shows.

use super::{Shown, graphemes, shown};
use crate::trace::{Span, Step};

/// One visual row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its bytes, without the line break and the blanks it was wrapped at.
    pub span: Span,
    /// The step it belongs to; `None` for text between steps.
    pub step: Option<usize>,
    /// Whether it is the first row of its step or of the text between steps.
    pub first: bool,
    /// Whether it lies in a code block.
    pub code: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    span: Span,
    step: Option<usize>,
    code: bool,
    row: usize,
}

/// The visual rows of one growing text at one width.
///
/// Only what changed since the last [`WrapCache::update`] is wrapped again, so the text may grow a token at a time.
#[derive(Clone, Debug, Default)]
pub struct WrapCache {
    width: usize,
    len: usize,
    blocks: Vec<Block>,
    rows: Vec<Row>,
    code: Vec<Span>,
    /// Start of the line up to which code blocks are known, and whether that line is inside one.
    scanned: (usize, Option<usize>),
}

impl WrapCache {
    /// Brings the rows up to date. `width` in cells (at least one is used). The text may only have grown since the last call.
    pub fn update(&mut self, text: &str, steps: &[Step], width: usize) {
        let width = width.max(1);
        if width != self.width || text.len() < self.len {
            *self = Self { width, ..Self::default() };
        }
        let code_before = self.code.clone();
        self.scan_code(text);
        let blocks = self.blocks_of(text, steps);
        // The last block may have grown in place; every other one with the same bytes is the same.
        let mut same = self.blocks.iter().zip(&blocks).take_while(|(a, b)| (a.span, a.step, a.code) == (b.span, b.step, b.code)).count();
        if text.len() != self.len || code_before != self.code {
            let moved =
                self.blocks.iter().position(|b| b.span.end >= self.len || code_before.iter().ne(&self.code) && b.code).unwrap_or(same);
            same = same.min(moved);
        }
        if same == self.blocks.len() && same == blocks.len() && text.len() == self.len {
            return;
        }
        self.rows.truncate(self.blocks.get(same).map_or(self.rows.len(), |b| b.row));
        self.blocks.truncate(same);
        for mut block in blocks.into_iter().skip(same) {
            block.row = self.rows.len();
            self.wrap(text, block);
            self.blocks.push(block);
        }
        self.len = text.len();
    }

    /// All rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Code blocks, without their fences.
    pub fn code(&self) -> &[Span] {
        &self.code
    }

    /// The step shown on `row`, or the nearest before it that has one.
    pub fn step_at(&self, row: usize) -> usize {
        let end = (row + 1).min(self.rows.len());
        self.rows[..end].iter().rev().find_map(|r| r.step).unwrap_or(0)
    }

    fn scan_code(&mut self, text: &str) {
        let (mut at, mut open) = self.scanned;
        // The last block is the open one's part that grew.
        if open.is_some() {
            self.code.pop();
        }
        while let Some(end) = text[at..].find('\n') {
            let line = &text[at..at + end];
            if line.trim_start().starts_with("```") {
                open = match open {
                    Some(start) => {
                        self.code.push(Span::new(start, at));
                        None
                    }
                    None => Some(at + end + 1),
                };
            }
            at += end + 1;
        }
        self.scanned = (at, open);
        if let Some(start) = open {
            let end = if text[at..].trim_start().starts_with("```") { at } else { text.len() };
            self.code.push(Span::new(start, end));
        }
    }

    fn blocks_of(&self, text: &str, steps: &[Step]) -> Vec<Block> {
        let mut blocks = Vec::with_capacity(steps.len() + 2);
        let mut at = 0;
        let mut push = |start: usize, end: usize, step: Option<usize>| {
            let Some(part) = text.get(start..end) else { return };
            let trimmed = if step.is_some() { part.trim_end() } else { part.trim() };
            if trimmed.is_empty() && step.is_none() {
                return;
            }
            let start = start + if step.is_some() { 0 } else { part.len() - part.trim_start().len() };
            let code = self.code.iter().any(|c| c.start < start + trimmed.len() && start < c.end);
            blocks.push(Block { span: Span::new(start, start + trimmed.len()), step, code, row: 0 });
        };
        for (i, step) in steps.iter().enumerate() {
            if step.span.start > at {
                push(at, step.span.start, None);
            }
            push(step.span.start.max(at), step.span.end.max(at), Some(i));
            at = at.max(step.span.end);
        }
        if at < text.len() {
            push(at, text.len(), None);
        }
        blocks
    }

    fn wrap(&mut self, text: &str, block: Block) {
        let mut row = block.span.start;
        let mut column = 0;
        let mut first = true;
        // Where the row may be cut: end of the row before it, start of the row after it, columns up to there.
        let mut cut: Option<(usize, usize, usize)> = None;
        let in_code = |at: usize| block.code && self.code.iter().any(|c| c.start <= at && at < c.end);
        let mut rows = Vec::new();
        let mut push = |start: usize, end: usize, code: bool, first: &mut bool| {
            rows.push(Row { span: Span::new(start, end), step: block.step, first: *first, code });
            *first = false;
        };
        let part = block.span.of(text);
        let mut blank_before = false;
        for (offset, g) in graphemes(part) {
            let at = block.span.start + offset;
            let (what, mut wide) = shown(g, column, true);
            if what == Shown::Break {
                push(row, at, in_code(row), &mut first);
                (row, column, cut, blank_before) = (at + g.len(), 0, None, false);
                continue;
            }
            let blank = g == " " || g == "\t";
            if blank_before && !blank && column > 0 {
                let end = text[row..at].trim_end_matches([' ', '\t']).len() + row;
                cut = (end > row && !in_code(row)).then_some((end, at, column)).or(cut);
            }
            if column + wide > self.width && at > row && (!blank || in_code(row)) {
                let (end, next, used) = cut.unwrap_or((at, at, column));
                push(row, end, in_code(row), &mut first);
                column -= used;
                (row, cut) = (next, None);
                if matches!(what, Shown::Blanks(_)) {
                    wide = shown(g, column, true).1;
                }
            }
            column += wide;
            blank_before = blank;
        }
        push(row, block.span.end, in_code(row), &mut first);
        self.rows.extend(rows);
    }
}

/// Rows of a text that has no steps.
pub(in crate::tui) fn wrap_plain(text: &str, width: u16) -> Vec<Span> {
    let mut cache = WrapCache::default();
    let text = text.trim_end();
    cache.update(text, &[Step { span: Span::new(0, text.len()), ..Step::default() }], usize::from(width.max(1)));
    cache.rows().iter().map(|r| r.span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, steps: &[(usize, usize)], width: usize) -> Vec<(Option<usize>, String)> {
        let steps: Vec<Step> = steps.iter().map(|s| Step { span: Span::new(s.0, s.1), ..Step::default() }).collect();
        let mut cache = WrapCache::default();
        cache.update(text, &steps, width);
        cache.rows().iter().map(|r| (r.step, r.span.of(text).to_string())).collect()
    }

    fn plain(text: &str, width: usize) -> Vec<String> {
        rows(text, &[(0, text.len())], width).into_iter().map(|r| r.1).collect()
    }

    #[test]
    fn lines_break_between_words_or_inside_long_ones() {
        assert_eq!(plain("the quick brown fox", 9), ["the quick", "brown fox"]);
        assert_eq!(plain("a bbbbbbbbbb c", 4), ["a", "bbbb", "bbbb", "bb c"]);
        assert_eq!(plain("ab   cd", 4), ["ab", "cd"], "the blanks it breaks at belong to no row");
        assert_eq!(plain("one\ntwo\n\nthree", 9), ["one", "two", "", "three"]);
        assert_eq!(plain("日本語日本", 4), ["日本", "語日", "本"]);
        assert_eq!(plain("日本", 1), ["日", "本"], "a character wider than the screen still ends up in a row");
        assert_eq!(plain("", 5), [""], "an empty step has a row of its own");
    }

    #[test]
    fn every_step_begins_a_row_and_text_between_keeps_its_own() {
        let text = "<think>\none two. three four.\n</think>\n42";
        let got = rows(text, &[(8, 16), (17, 28), (38, 40)], 40);
        let want = [(None, "<think>"), (Some(0), "one two."), (Some(1), "three four."), (None, "</think>"), (Some(2), "42")];
        assert_eq!(got, want.map(|w| (w.0, w.1.to_string())));
    }

    #[test]
    fn growing_text_wraps_like_the_whole() {
        let text =
            "First we add 3 and 4.\nThen comes a rather longer line, 日本語 and all.\n```py\nx = 1\n  y = 22222222222222\n```\nDone: 7";
        let ends: Vec<usize> = text.match_indices('\n').map(|m| m.0).chain([text.len()]).collect();
        for width in [1, 5, 12, 80] {
            let mut grown = WrapCache::default();
            for end in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
                let mut steps = Vec::new();
                let mut start = 0;
                for &e in ends.iter().filter(|&&e| e <= end) {
                    steps.push(Step { span: Span::new(start, e), ..Step::default() });
                    start = e + 1;
                }
                grown.update(&text[..end], &steps, width);
                let mut whole = WrapCache::default();
                whole.update(&text[..end], &steps, width);
                assert_eq!(grown.rows(), whole.rows(), "width {width}, {end} bytes");
                assert_eq!(grown.code(), whole.code(), "width {width}, {end} bytes");
            }
        }
    }

    #[test]
    fn code_keeps_its_indentation_and_is_known_by_row() {
        let text = "See:\n```py\nif a:\n    b\n```\nok";
        let steps = [Step { span: Span::new(0, text.len()), ..Step::default() }];
        let mut cache = WrapCache::default();
        cache.update(text, &steps, 20);
        let code: Vec<&str> = cache.rows().iter().filter(|r| r.code).map(|r| r.span.of(text)).collect();
        assert_eq!(code, ["if a:", "    b"]);
    }

    #[test]
    fn rows_lead_back_to_steps() {
        let text = "aa bb cc\ndd";
        let steps = [Step { span: Span::new(0, 8), ..Step::default() }, Step { span: Span::new(9, 11), ..Step::default() }];
        let mut cache = WrapCache::default();
        cache.update(text, &steps, 2);
        assert_eq!((cache.step_at(2), cache.step_at(3), cache.step_at(99)), (0, 1, 1));
    }
}
