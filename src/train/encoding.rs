//! How texts become tokens: problem, newline, completion, end of sequence.

use super::TrainError;
use crate::model::TextTokenizer;
use crate::trace::{Segmentation, Span, segment, step_of_each};

/// How texts become tokens, for policies and reward models alike.
#[derive(Clone)]
pub struct Encoding {
    /// The tokenizer.
    pub tokenizer: TextTokenizer,
    /// Ends every completion.
    pub eos: u32,
}

impl Encoding {
    /// Tokens of a problem.
    pub fn prompt(&self, problem: &str) -> Result<Vec<u32>, TrainError> {
        Ok(self.tokenizer.frame_problem(problem)?.ids)
    }

    /// Tokens of a whole completion.
    pub fn completion(&self, text: &str) -> Result<Vec<u32>, TrainError> {
        Ok(self.tokenizer.frame_completion(self.eos, text)?)
    }

    /// Text of a completion, with every token's bytes in it.
    pub fn text(&self, ids: &[u32]) -> (String, Vec<Span>) {
        self.tokenizer.decode_spans(ids)
    }

    /// Index of the last token of every step, and of every paragraph: a blank line ends one, or where a text has none, every second step.
    pub fn step_ends(&self, ids: &[u32]) -> (Vec<usize>, Vec<usize>) {
        let (text, spans) = self.text(ids);
        let steps = segment(&text, &Segmentation::Line);
        if steps.is_empty() || ids.is_empty() {
            return (vec![ids.len().saturating_sub(1)], vec![ids.len().saturating_sub(1)]);
        }
        let owner = step_of_each(spans, &steps);
        let last = |i: usize| owner.get(i + 1) != Some(&owner[i]);
        let ends: Vec<usize> = (0..owner.len()).filter(|&i| last(i)).collect();
        let blank = |i: usize| steps.get(i + 1).is_some_and(|next| text[steps[i].span.end..next.span.start].matches('\n').count() > 1);
        let any = (0..steps.len()).any(blank);
        let closes = |i: usize| if any { blank(i) } else { i % 2 == 1 };
        let paragraphs = ends.iter().copied().filter(|&e| closes(owner[e]) || e + 1 == ids.len()).collect();
        (ends, paragraphs)
    }
}
