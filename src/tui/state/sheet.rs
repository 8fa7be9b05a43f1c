//! One candidate at one width: its wrapped rows, and between them the lines that mark deviations and the answer.

use crate::trace::{Candidate, StepKind};
use crate::tui::WrapCache;
use std::ops::Range;

/// A line of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A wrapped row of text.
    Row(usize),
    /// A predicted or the labelled first deviation is the step that follows.
    Mark(usize),
    /// The final answer begins.
    Answer(usize),
}

/// Rows and marks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    pub wrap: WrapCache,
    pub lines: Vec<Line>,
}

impl Sheet {
    /// Brings the lines up to date; `marks`: steps to mark.
    pub fn update(&mut self, candidate: &Candidate, width: usize, marks: [Option<usize>; 3]) {
        self.wrap.update(&candidate.text, &candidate.steps, width);
        self.lines.clear();
        let kind = |s: usize| candidate.steps.get(s).map(|s| s.kind);
        for (i, row) in self.wrap.rows().iter().enumerate() {
            if let Some(step) = row.step.filter(|_| row.first) {
                if kind(step) == Some(StepKind::Answer) && step > 0 && kind(step - 1) == Some(StepKind::Reasoning) {
                    self.lines.push(Line::Answer(step));
                }
                if marks.contains(&Some(step)) {
                    self.lines.push(Line::Mark(step));
                }
            }
            self.lines.push(Line::Row(i));
        }
    }

    fn step(&self, line: Line) -> Option<usize> {
        match line {
            Line::Row(i) => self.wrap.rows().get(i)?.step,
            Line::Mark(s) | Line::Answer(s) => Some(s),
        }
    }

    /// Lines of a step with what stands before it; empty at the end where the step has none.
    pub fn lines_of(&self, step: usize) -> Range<usize> {
        let Some(start) = self.lines.iter().position(|l| self.step(*l) == Some(step)) else { return self.lines.len()..self.lines.len() };
        let count = self.lines[start..].iter().take_while(|l| self.step(**l) == Some(step)).count();
        start..start + count
    }

    /// The step shown on a line, or the nearest before it that has one.
    pub fn step_at(&self, line: usize) -> usize {
        let end = (line + 1).min(self.lines.len());
        self.lines[..end].iter().rev().find_map(|l| self.step(*l)).unwrap_or(0)
    }

    /// The line that shows a byte of the text.
    pub fn line_at(&self, byte: usize) -> Option<usize> {
        self.lines.iter().rposition(|l| matches!(l, Line::Row(i) if self.wrap.rows().get(*i).is_some_and(|r| r.span.start <= byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Segmentation, segment};

    #[test]
    fn marks_stand_before_their_step_and_belong_to_it() {
        let text = "one\ntwo\n</think>\nthree";
        let candidate = Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), ..Candidate::default() };
        let mut sheet = Sheet::default();
        sheet.update(&candidate, 20, [Some(1), Some(1), None]);
        let want = [Line::Row(0), Line::Mark(1), Line::Row(1), Line::Row(2), Line::Answer(2), Line::Row(3)];
        assert_eq!(sheet.lines, want);
        assert_eq!((sheet.lines_of(1), sheet.lines_of(2), sheet.lines_of(9)), (1..3, 4..6, 6..6));
        assert_eq!((sheet.step_at(1), sheet.step_at(3), sheet.line_at(5)), (1, 1, Some(2)));
    }
}
