//! Messages as one candidate: its text, its steps, and where each message begins.

use super::parts::Piece;
use super::turn::{Role, Turn};
use crate::trace::{Segmentation, Span, Step, StepKind, segment};

/// The text of some messages.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub text: String,
    pub steps: Vec<Step>,
    /// For each message: where it begins in the text, where what it says begins, and its steps.
    pub turns: Vec<Place>,
}

/// Where a message stands in a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub start: usize,
    /// First byte of what is said, behind the reasoning.
    pub said: usize,
    /// One past its last byte.
    pub end: usize,
    /// Its steps: `first_step..end_step`.
    pub first_step: usize,
    pub end_step: usize,
}

/// Puts messages together. Reasoning and text are cut into steps; a call of a tool, a result, and what somebody else says are a step each.
///
/// What is said last is the answer, where reasoning stands apart from it; everything before is on the way there.
pub(super) fn compose(turns: &[Turn<'_>]) -> Composed {
    let mut out = Composed::default();
    let is_way = |t: &Turn<'_>, p: &Piece| t.role != Role::Assistant || matches!(p, Piece::Thought(_) | Piece::Call(_) | Piece::Result(_));
    let order = || turns.iter().enumerate().flat_map(|(t, turn)| turn.pieces.iter().enumerate().map(move |(p, piece)| (t, p, turn, piece)));
    let end = turns.iter().rposition(|t| t.role == Role::Assistant).unwrap_or(turns.len());
    let last_way = order().filter(|(t, _, turn, piece)| *t <= end && is_way(turn, piece)).map(|(t, p, ..)| (t, p)).next_back();
    let mut thought = false;
    for (t, turn) in turns.iter().enumerate() {
        let mut place = Place { start: out.next(), first_step: out.steps.len(), ..Place::default() };
        let mut said = None;
        if turn.role == Role::Assistant || turn.role == Role::Tool {
            for (p, piece) in turn.pieces.iter().enumerate() {
                match piece {
                    Piece::Thought(text) => {
                        thought = true;
                        out.prose(text, |_, _| StepKind::Reasoning);
                    }
                    Piece::Text(text) => {
                        said.get_or_insert(out.next());
                        let is_last = last_way.is_none_or(|way| way < (t, p));
                        let before = thought;
                        out.prose(text, |own, marked| {
                            thought |= marked;
                            match (is_last, marked, before) {
                                (false, ..) => StepKind::Reasoning,
                                (true, false, true) => StepKind::Answer,
                                _ => own,
                            }
                        });
                    }
                    Piece::Sign(text) | Piece::Call(text) | Piece::Result(text) => out.block(text),
                }
            }
        } else {
            let words = turn.words();
            if !words.trim().is_empty() {
                out.block(&format!("{}: {words}", turn.role.name()));
            }
        }
        place.said = said.unwrap_or(place.start).min(out.text.len());
        place.start = place.start.min(out.text.len());
        place.end = out.text.len();
        place.end_step = out.steps.len();
        out.turns.push(place);
    }
    out
}

impl Composed {
    /// Where the next piece begins.
    fn next(&self) -> usize {
        if self.text.is_empty() { 0 } else { self.text.len() + 2 }
    }

    fn begin(&mut self) -> usize {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.len()
    }

    /// Text that is cut into steps; `kind` is asked for that of each, given its own by the marks in the text and whether there are such marks.
    fn prose(&mut self, text: &str, mut kind: impl FnMut(StepKind, bool) -> StepKind) {
        if text.trim().is_empty() {
            return;
        }
        let base = self.begin();
        self.text.push_str(text);
        let steps = cut(text);
        // A mark belongs to no step: where one opens the text, the first step begins behind it.
        let lead = text.len() - text.trim_start().len();
        let marked = steps.iter().any(|s| s.kind == StepKind::Answer) || steps.first().is_none_or(|s| s.span.start > lead);
        self.steps.extend(steps.into_iter().map(|s| Step {
            span: Span::new(base + s.span.start, base + s.span.end),
            kind: kind(s.kind, marked),
            ..s
        }));
    }

    /// Text that is one step.
    fn block(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let base = self.begin();
        self.text.push_str(text);
        let lead = text.len() - text.trim_start().len();
        let span = Span::new(base + lead, base + lead + text.trim().len());
        self.steps.push(Step { span, ..Step::default() });
    }
}

/// What models write around calls of tools, and around what those gave back.
const BLOCKS: [(&str, &str); 2] = [("<tool_call>", "</tool_call>"), ("<tool_response>", "</tool_response>")];

/// The steps of a text; a call of a tool or what it gave back is one, however many lines it has.
fn cut(text: &str) -> Vec<Step> {
    let mut covered = String::new();
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some((start, end)) = block(text, from) {
        covered.push_str(&text[from..start]);
        // As long as the block, and a paragraph by itself.
        covered.push_str("\n\n");
        covered.extend(std::iter::repeat_n('x', end - start - 4));
        covered.push_str("\n\n");
        blocks.push(Span::new(start, end));
        from = end;
    }
    if blocks.is_empty() {
        return segment(text, &Segmentation::Auto);
    }
    covered.push_str(&text[from..]);
    let mut blocks = blocks.into_iter().peekable();
    let mut steps = segment(&covered, &Segmentation::Auto);
    for step in &mut steps {
        while let Some(block) = blocks.next_if(|b| b.start < step.span.end) {
            if block.start + 2 == step.span.start {
                step.span.start = block.start;
            }
            step.span.end = step.span.end.max(block.end);
        }
    }
    steps
}

/// The next block from a byte on.
fn block(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let start = at + text[at..].find("<tool_")?;
        if let Some((open, close)) = BLOCKS.iter().find(|b| text[start..].starts_with(b.0)) {
            let inside = start + open.len();
            return text[inside..].find(close).map(|end| (start, inside + end + close.len()));
        }
        at = start + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::work::{count, grows_with_the_text};

    #[test]
    fn a_call_in_a_text_is_one_step() {
        let text =
            "<think>\nI add.\n<tool_call>\n{\"a\":\n1}\n</tool_call>\n<tool_response>\n23\n</tool_response>\nSo.</think>\n23 <tool_call>";
        let steps: Vec<_> = cut(text).iter().map(|s| (s.span.of(text), s.kind)).collect();
        let want = [
            ("I add.", StepKind::Reasoning),
            ("<tool_call>\n{\"a\":\n1}\n</tool_call>", StepKind::Reasoning),
            ("<tool_response>\n23\n</tool_response>", StepKind::Reasoning),
            ("So.", StepKind::Reasoning),
            ("23 <tool_call>", StepKind::Answer),
        ];
        assert_eq!(steps, want);
        let headed = "Step 1: a\n<tool_call></tool_call> <tool_call></tool_call>\nStep 2: b";
        let steps: Vec<_> = cut(headed).iter().map(|s| s.span.of(headed)).collect();
        assert_eq!(steps, ["Step 1: a\n<tool_call></tool_call> <tool_call></tool_call>", "Step 2: b"]);
    }

    #[test]
    fn blocks_cost_what_a_text_is_long() {
        for unit in ["<tool_call>", "<tool_", "<tool_call></tool_call>", "<tool_response></tool_call>"] {
            let read = |text: &str| {
                count(text.len());
                drop(cut(text));
            };
            grows_with_the_text(unit, |n| unit.repeat(n), read);
        }
    }
}
