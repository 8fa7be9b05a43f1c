//! One request as the reward model's thread sees it: what it was read of, and what is left.

use super::RequestId;
use super::board::{Arrived, Begun, End, Recorded, Text};
use crate::reward::Piece;
use crate::trace::{Segmentation, Segmenter, Span, Token};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Recorded candidates read as one batch.
const GROUP: usize = 8;
/// Bytes of text in such a batch, where it has more than one candidate: its key–value caches live at once.
const GROUP_BYTES: usize = 32 << 10;
/// Bytes of one candidate read at a time, so that cancelling and what is urgent need not wait for the rest.
const PIECE_BYTES: usize = 1024;
/// Tokens of one candidate read at a time.
const PIECE_TOKENS: usize = 256;

/// Candidates of a problem that are to be scored.
pub(super) struct Job {
    pub id: RequestId,
    pub problem: String,
    pub source: Source,
    pub cancelled: Arc<AtomicBool>,
    /// Counts up.
    pub arrival: u64,
    candidates: Vec<Reading>,
    /// How texts that grow are cut, for a model that judges steps.
    segmentation: Option<Segmentation>,
    /// Each candidate is read alone, because reading them together failed.
    alone: bool,
    /// Nothing is read before all is written.
    when_whole: bool,
    /// What the model's caches hold of it is void.
    stale: bool,
    panic: Option<String>,
}

/// Where the text comes from.
pub(super) enum Source {
    /// The policy writes it.
    Live {
        /// The reward model reads the policy's tokens as they are.
        shares_tokens: bool,
        end: Option<End>,
    },
    /// It is all there.
    Recorded { urgent: bool },
}

#[derive(Default)]
struct Reading {
    text: String,
    tokens: Vec<Token>,
    /// Its closed steps.
    steps: Vec<Span>,
    /// What cuts a text that grows, for a model that judges steps.
    segmenter: Option<Segmenter>,
    read_text: usize,
    read_tokens: usize,
    /// Nothing follows.
    finished: bool,
    /// It was stopped before its end.
    cut_short: bool,
    /// Read to its end, or failed, or read with the one that it is a copy of.
    through: bool,
    error: Option<String>,
    /// Candidates after it that say the same, and get its rewards.
    copies: Vec<usize>,
    is_copy: bool,
}

/// How much of a candidate is read next.
pub(super) struct Cut {
    /// Index in the model's order.
    local: usize,
    candidate: usize,
    text_end: usize,
    tokens_end: usize,
    finished: bool,
}

impl Job {
    pub fn recorded(recorded: Recorded, arrival: u64) -> Self {
        let Recorded { id, problem, texts, urgent, cancelled } = recorded;
        let mut candidates: Vec<Reading> = texts
            .into_iter()
            .map(|Text { text, steps, cut }| Reading { text, steps, finished: true, cut_short: cut, ..Reading::default() })
            .collect();
        let mut first = HashMap::new();
        let of: Vec<usize> =
            candidates.iter().enumerate().map(|(i, r)| *first.entry((&r.text, &r.steps, r.cut_short)).or_insert(i)).collect();
        for (i, of) in of.into_iter().enumerate().filter(|(i, of)| i != of) {
            candidates[of].copies.push(i);
            (candidates[i].through, candidates[i].is_copy) = (true, true);
        }
        Self {
            id,
            problem,
            source: Source::Recorded { urgent },
            cancelled,
            arrival,
            candidates,
            segmentation: None,
            alone: false,
            when_whole: false,
            stale: false,
            panic: None,
        }
    }

    /// `steps`: the model judges steps, so that the texts are cut as they grow. `when_whole`: nothing is read before all candidates are written, so that
    /// the same texts are read in the same pieces.
    pub fn begun(begun: Begun, shares_tokens: bool, steps: bool, when_whole: bool, arrival: u64) -> Self {
        let Begun { id, problem, n, segmentation, cancelled, .. } = begun;
        let segmentation = steps.then_some(segmentation);
        let candidates = (0..n).map(|_| Reading::of(segmentation.as_ref())).collect();
        Self {
            id,
            problem,
            source: Source::Live { shares_tokens, end: None },
            cancelled,
            arrival,
            candidates,
            segmentation,
            alone: false,
            when_whole,
            stale: false,
            panic: None,
        }
    }

    pub fn is_live(&self) -> bool {
        matches!(self.source, Source::Live { .. })
    }

    /// Whether the policy still writes.
    pub fn is_growing(&self) -> bool {
        matches!(self.source, Source::Live { end: None, .. })
    }

    /// Candidates that are read alone are read once, when they are whole: each would need the others' place in the caches.
    pub fn may_read_now(&self) -> bool {
        !((self.alone || self.when_whole) && self.is_growing())
    }

    /// Whether what the model's caches hold of it must be forgotten; asked once.
    pub fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Takes what the policy wrote; `keep` is false where nobody will read it.
    pub fn take_arrived(&mut self, arrived: &mut Arrived, keep: bool) {
        let shares_tokens = matches!(self.source, Source::Live { shares_tokens: true, .. });
        for (reading, delta) in self.candidates.iter_mut().zip(&mut arrived.candidates) {
            if std::mem::take(&mut delta.restarted) && !(reading.text.is_empty() && reading.tokens.is_empty()) {
                *reading = Reading::of(self.segmentation.as_ref());
                self.stale = true;
            }
            let (text, mut tokens) = (std::mem::take(&mut delta.text), std::mem::take(&mut delta.tokens));
            if keep && !reading.through {
                reading.text.push_str(&text);
                if shares_tokens {
                    reading.tokens.append(&mut tokens);
                }
            }
            reading.finished |= delta.finished;
            reading.cut_short |= delta.cut;
            reading.cut_steps();
            reading.end_if_read(shares_tokens);
        }
        if self.stale {
            // The others are read again beside it, from their start.
            self.candidates.iter_mut().for_each(Reading::unread);
        }
        if let (Source::Live { end, .. }, Some(ended)) = (&mut self.source, arrived.end.take()) {
            *end = Some(ended);
        }
    }

    /// Whether a candidate has something that was not read.
    pub fn has_unread(&self) -> bool {
        self.candidates.iter().any(Reading::has_unread)
    }

    /// A candidate and its copies.
    pub fn all_of(&self, candidate: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(candidate).chain(self.candidates[candidate].copies.iter().copied())
    }

    pub fn text_len(&self, candidate: usize) -> usize {
        self.candidates[candidate].text.len()
    }

    /// Whether a batch that the model holds has something unread.
    pub fn wants(&self, group: &[usize]) -> bool {
        group.iter().any(|&c| self.candidates[c].has_unread())
    }

    /// The next candidates to read as one batch, from their start.
    pub fn next_group(&mut self) -> Vec<usize> {
        let open = (0..self.candidates.len()).filter(|&c| !self.candidates[c].through);
        let group: Vec<usize> = if self.is_live() && !self.alone {
            open.collect()
        } else {
            let mut bytes = 0;
            let most = if self.alone { 1 } else { GROUP };
            open.take(most)
                .enumerate()
                .take_while(|&(i, c)| {
                    bytes += self.candidates[c].text.len();
                    i == 0 || bytes <= GROUP_BYTES
                })
                .map(|(_, c)| c)
                .collect()
        };
        for &c in &group {
            (self.candidates[c].read_text, self.candidates[c].read_tokens) = (0, 0);
        }
        group
    }

    /// What to read next of each candidate of the batch.
    pub fn cuts(&self, group: &[usize]) -> Vec<Cut> {
        let shares = matches!(self.source, Source::Live { shares_tokens: true, .. });
        let unread = group.iter().enumerate().filter(|&(_, &c)| self.candidates[c].has_unread());
        unread.map(|(local, &candidate)| self.candidates[candidate].cut(local, candidate, shares)).collect()
    }

    pub fn piece<'a>(&'a self, cut: &Cut) -> Piece<'a> {
        let reading = &self.candidates[cut.candidate];
        Piece {
            candidate: cut.local,
            text: &reading.text[..cut.text_end],
            tokens: &reading.tokens[reading.read_tokens.min(cut.tokens_end)..cut.tokens_end],
            new: reading.read_text..cut.text_end,
            finished: cut.finished,
            cut_short: reading.cut_short,
            steps: reading.steps_to(cut.text_end),
        }
    }

    pub fn mark_read(&mut self, cuts: &[Cut]) {
        for cut in cuts {
            let reading = &mut self.candidates[cut.candidate];
            reading.read_text = cut.text_end;
            reading.read_tokens = cut.tokens_end;
            reading.through |= cut.finished;
        }
    }

    /// The batch could not be read: read its candidates alone, or give the only one up. Gives back what to say.
    pub fn fail_group(&mut self, group: &[usize], error: &str) -> Option<(RequestId, String)> {
        match group {
            [candidate] => {
                self.candidates[*candidate].give_up(error);
                Some((self.id, format!("candidate {} is not scored: {error}", candidate + 1)))
            }
            _ => {
                self.alone = true;
                None
            }
        }
    }

    /// Nothing more of this request can be read. Gives back what to say.
    pub fn fail_all(&mut self, error: &str, panic: bool) -> Option<(RequestId, String)> {
        for reading in self.candidates.iter_mut().filter(|r| !r.through) {
            reading.give_up(error);
        }
        if panic {
            self.panic = Some(error.to_string());
        }
        // What ends the request says it too; only while the policy still writes must people know before.
        self.is_growing().then(|| (self.id, format!("not scored: {error}")))
    }

    /// Why the whole request failed, if it did: the model's code panicked, or no candidate could be scored.
    pub fn failure(&self) -> Option<String> {
        let first = self.candidates.first().and_then(|c| c.error.clone());
        let none = self.candidates.iter().filter(|c| !c.is_copy).all(|c| c.error.is_some());
        self.panic.clone().or(if none { first } else { None })
    }
}

impl Reading {
    /// A candidate that is empty, and is cut so where its steps are asked for.
    fn of(segmentation: Option<&Segmentation>) -> Self {
        Self { segmenter: segmentation.map(|s| Segmenter::new(s.clone())), ..Self::default() }
    }

    fn has_unread(&self) -> bool {
        !self.through && (self.finished || self.read_text < self.text.len() || self.read_tokens < self.tokens.len())
    }

    /// Cuts what was appended into steps.
    fn cut_steps(&mut self) {
        let Some(segmenter) = &mut self.segmenter else { return };
        self.steps.extend(segmenter.push(&self.text).iter().map(|s| s.span));
        if self.finished {
            self.steps.extend(segmenter.finish(&self.text).iter().map(|s| s.span));
        }
    }

    /// The closed steps of the first `end` bytes.
    fn steps_to(&self, end: usize) -> &[Span] {
        &self.steps[..self.steps.partition_point(|s| s.end <= end)]
    }

    /// A candidate whose tokens were read as they are has its end-of-sequence token among them: no empty last piece, which would score it again.
    fn end_if_read(&mut self, shares_tokens: bool) {
        let read = self.read_tokens == self.tokens.len() && self.read_text == self.text.len();
        self.through |= shares_tokens && self.finished && read && !self.tokens.is_empty();
    }

    fn cut(&self, local: usize, candidate: usize, shares_tokens: bool) -> Cut {
        let (text_end, tokens_end) = if shares_tokens {
            let end = self.tokens.len().min(self.read_tokens + PIECE_TOKENS);
            let text = match end.checked_sub(1) {
                Some(last) if end < self.tokens.len() => self.tokens[last].span.end,
                _ => self.text.len(),
            };
            (text.max(self.read_text), end)
        } else {
            (self.text.len().min(self.read_text + PIECE_BYTES), 0)
        };
        let mut text_end = text_end.min(self.text.len());
        while !self.text.is_char_boundary(text_end) {
            text_end += 1;
        }
        let whole = text_end == self.text.len() && (!shares_tokens || tokens_end == self.tokens.len());
        Cut { local, candidate, text_end, tokens_end, finished: self.finished && whole }
    }

    /// As if nothing had been read of it.
    fn unread(&mut self) {
        (self.read_text, self.read_tokens) = (0, 0);
        self.through &= self.error.is_some();
    }

    fn give_up(&mut self, error: &str) {
        self.through = true;
        self.error = Some(error.to_string());
    }
}
