//! What a policy thinks of text that is already there: log-probability and entropy of each token of recorded candidates.

use super::LocalPolicy;
use crate::model::{Drawn, KvCache, ModelError, TextTokenizer, measure_all};
use crate::trace::{Candidate, FinishReason, Span, Token, TraceEvent};
use candle_core::Tensor;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Tokens read in one pass: candidates that share their prompt's keys and values.
const TOKENS: usize = 2048;
/// Tokens of a candidate that are read at a time where each is told as soon as it is known.
const PIECE: usize = 256;

/// A candidate's place in a pass.
struct Reading {
    candidate: usize,
    ids: Vec<u32>,
    tokens: Vec<Token>,
}

/// The ids of a candidate's text after its prompt (its text and its ids), at most `room`, and a token for each; an end token follows where the text is not
/// known to have been cut short.
pub(super) fn recorded(
    tokenizer: &TextTokenizer,
    (before, prompt): (&str, &[u32]),
    eos: Option<u32>,
    candidate: &Candidate,
    room: usize,
) -> Result<(Vec<u32>, Vec<Token>), ModelError> {
    if candidate.text.is_empty() {
        return Ok(Default::default());
    }
    let encoded = tokenizer.within(&candidate.text, room, |text| tokenizer.encode_after(before, prompt, text))?;
    let (mut ids, mut spans) = (encoded.ids, encoded.spans);
    let cut = candidate.finish.as_ref().is_some_and(FinishReason::is_cut);
    if let (false, Some(eos)) = (cut, eos) {
        ids.push(eos);
        spans.push(Span::new(candidate.text.len(), candidate.text.len()));
    }
    ids.truncate(room);
    let tokens = ids.iter().zip(spans).map(|(&id, span)| Token { id: Some(id), span, logprob: None, entropy: None }).collect();
    Ok((ids, tokens))
}

impl LocalPolicy {
    /// Fills `tokens` of every candidate: the text in this policy's tokens, each with its log-probability and the entropy of the next-token distribution,
    /// in nats at temperature 1. An end token follows where the text is not known to have been cut short.
    ///
    /// Candidates are read in batches that share the problem's keys and values, and those that say the same once. What does not fit the context is left out.
    pub fn read(&self, problem: &str, candidates: &mut [Candidate]) -> Result<(), ModelError> {
        let (before, prompt) = (self.prompt_text(problem)?, self.prompt_ids(problem)?);
        let decoder = self.decoder();
        let room = decoder.context().saturating_sub(prompt.len());
        let mut cache = decoder.cache();
        let root = cache.add_row(None);
        let last = decoder.forward_cached(&[(root, &prompt)], &mut cache)?.narrow(0, prompt.len() - 1, 1)?;
        let mut batch: Vec<Reading> = Vec::new();
        let mut waiting = 0;
        let mut first: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut copies: Vec<(usize, usize)> = Vec::new();
        for i in 0..candidates.len() {
            let eos = decoder.config().eos_token_ids.first().copied();
            let (ids, tokens) = recorded(self.tokenizer(), (&before, &prompt), eos, &candidates[i], room)?;
            candidates[i].tokens = Vec::new();
            if ids.is_empty() {
                continue;
            }
            if let Some(&of) = first.get(&ids).filter(|&&of| candidates[of].text == candidates[i].text) {
                copies.push((i, of));
                continue;
            }
            first.insert(ids.clone(), i);
            if waiting + ids.len() > TOKENS && !batch.is_empty() {
                self.read_batch(&last, root, &mut cache, std::mem::take(&mut batch), candidates)?;
                waiting = 0;
            }
            waiting += ids.len();
            batch.push(Reading { candidate: i, ids, tokens });
        }
        if !batch.is_empty() {
            self.read_batch(&last, root, &mut cache, batch, candidates)?;
        }
        for (i, of) in copies {
            candidates[i].tokens = candidates[of].tokens.clone();
        }
        Ok(())
    }

    /// The same numbers, told to `sink` by pieces of a candidate, one candidate after the other, so that what is read first is there first.
    pub(super) fn read_along(
        &self,
        problem: &str,
        candidates: &[Candidate],
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), ModelError> {
        let (before, prompt) = (self.prompt_text(problem)?, self.prompt_ids(problem)?);
        let decoder = self.decoder();
        let room = decoder.context().saturating_sub(prompt.len());
        let mut cache = decoder.cache();
        let root = cache.add_row(None);
        let after_prompt = decoder.forward_cached(&[(root, &prompt)], &mut cache)?.narrow(0, prompt.len() - 1, 1)?;
        let mut read: HashMap<Vec<u32>, Vec<Token>> = HashMap::new();
        for (candidate, text) in candidates.iter().enumerate() {
            let eos = decoder.config().eos_token_ids.first().copied();
            let (ids, tokens) = recorded(self.tokenizer(), (&before, &prompt), eos, text, room)?;
            if ids.is_empty() {
                continue;
            }
            // Equal ids are equal text, but for bytes that no vocabulary has.
            if let Some(known) = read.get(&ids).filter(|known| known.iter().zip(&tokens).all(|(a, b)| a.span == b.span)) {
                if sink(TraceEvent::Read { candidate, from: 0, tokens: known.clone() }).is_break() {
                    return Ok(());
                }
                continue;
            }
            let (row, mut last, mut all) = (cache.add_row(Some(root)), after_prompt.clone(), Vec::with_capacity(ids.len()));
            for from in (0..ids.len()).step_by(PIECE) {
                let piece = &ids[from..ids.len().min(from + PIECE)];
                // The last token of all predicts nothing that is read.
                let fed = if from + piece.len() == ids.len() { &piece[..piece.len() - 1] } else { piece };
                let mut states = vec![last.clone()];
                if !fed.is_empty() {
                    let hidden = decoder.forward_cached(&[(row, fed)], &mut cache)?;
                    if piece.len() > 1 {
                        states.push(hidden.narrow(0, 0, piece.len() - 1)?);
                    }
                    last = hidden.narrow(0, fed.len() - 1, 1)?.copy()?;
                }
                let drawn = measure_all(decoder, &Tensor::cat(&states, 0)?, piece)?;
                let tokens: Vec<Token> = tokens[from..].iter().zip(drawn).map(known).collect();
                all.extend_from_slice(&tokens);
                if sink(TraceEvent::Read { candidate, from, tokens }).is_break() {
                    return Ok(());
                }
            }
            cache.free(row);
            read.insert(ids, all);
        }
        Ok(())
    }

    fn read_batch(
        &self,
        last: &Tensor,
        root: usize,
        cache: &mut KvCache,
        batch: Vec<Reading>,
        candidates: &mut [Candidate],
    ) -> Result<(), ModelError> {
        let decoder = self.decoder();
        let rows: Vec<usize> = batch.iter().map(|_| cache.add_row(Some(root))).collect();
        // The last token predicts nothing that is read.
        let chunks: Vec<(usize, &[u32])> =
            rows.iter().zip(&batch).filter(|(_, r)| r.ids.len() > 1).map(|(&row, r)| (row, &r.ids[..r.ids.len() - 1])).collect();
        let hidden = if chunks.is_empty() { None } else { Some(decoder.forward_cached(&chunks, cache)?) };
        let mut states = Vec::new();
        let mut at = 0;
        for reading in &batch {
            states.push(last.clone());
            if let (Some(hidden), n @ 1..) = (&hidden, reading.ids.len() - 1) {
                states.push(hidden.narrow(0, at, n)?);
                at += n;
            }
        }
        let (states, targets) = (Tensor::cat(&states, 0)?, batch.iter().flat_map(|r| r.ids.iter().copied()).collect::<Vec<_>>());
        let mut read = measure_all(decoder, &states, &targets)?.into_iter();
        for reading in batch {
            candidates[reading.candidate].tokens = reading.tokens.iter().zip(read.by_ref()).map(known).collect();
        }
        rows.into_iter().for_each(|row| cache.free(row));
        Ok(())
    }
}

fn known((token, drawn): (&Token, Drawn)) -> Token {
    Token { logprob: Some(drawn.logprob), entropy: Some(drawn.entropy), ..*token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Policy;
    use crate::trace::{Sampling, TraceEvent};
    use candle_core::Device;
    use std::ops::ControlFlow;

    #[test]
    fn what_the_policy_wrote_is_read_as_it_was_written() {
        let mut policy = LocalPolicy::open(&crate::model::embedded_policy(), &Device::Cpu, None).unwrap();
        let problem = "Mia has 2 bags with 3 apples each. How many apples does Mia have?";
        let mut written = vec![Candidate::default(); 3];
        let mut sink = |event| {
            match event {
                TraceEvent::Tokens { candidate, text, tokens } => {
                    written[candidate].text += &text;
                    written[candidate].tokens.extend(tokens);
                }
                TraceEvent::Finished { candidate, reason } => written[candidate].finish = Some(reason),
                _ => {}
            }
            ControlFlow::Continue(())
        };
        policy.sample(problem, 3, &Sampling { max_tokens: 60, seed: 5, ..Sampling::default() }, &mut sink).unwrap();
        let mut read = written.clone();
        read.push(Candidate::default());
        read.push(Candidate { tokens: Vec::new(), ..read[1].clone() });
        policy.read(problem, &mut read).unwrap();
        assert!(read[3].tokens.is_empty(), "nothing to read");
        assert!(read[4].tokens == read[1].tokens && !read[4].tokens.is_empty(), "a copy says what the first does");
        for (w, r) in written.iter().zip(&read) {
            let ids = |c: &Candidate| c.tokens.iter().map(|t| t.id).collect::<Vec<_>>();
            assert_eq!(ids(w), ids(r), "{}", w.text);
            for (a, b) in w.tokens.iter().zip(&r.tokens) {
                let near = |a: Option<f32>, b: Option<f32>| (a.unwrap() - b.unwrap()).abs() < 1e-3;
                assert!(near(a.logprob, b.logprob) && near(a.entropy, b.entropy), "{a:?} {b:?}");
            }
        }
        // Piece by piece as at once, also over the border of a piece, and until somebody breaks off.
        let long = Candidate { text: read[1].text.repeat(1 + 2 * PIECE / read[1].tokens.len()), tokens: Vec::new(), ..read[1].clone() };
        let mut whole: Vec<Candidate> = [&read[..], &[long]].concat();
        policy.read(problem, &mut whole).unwrap();
        let mut told: Vec<Vec<Token>> = vec![Vec::new(); whole.len()];
        let mut pieces = 0;
        policy
            .follow(problem, &whole, &mut |event| {
                let TraceEvent::Read { candidate, from, tokens } = event else { panic!("{event:?}") };
                told[candidate].truncate(from);
                told[candidate].extend(tokens);
                pieces += usize::from(candidate + 1 == whole.len());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(pieces > 1, "{pieces}");
        for (told, whole) in told.iter().zip(&whole) {
            assert_eq!(told.len(), whole.tokens.len());
            for (a, b) in told.iter().zip(&whole.tokens) {
                let near = |a: Option<f32>, b: Option<f32>| (a.unwrap() - b.unwrap()).abs() < 1e-4;
                assert!((a.id, a.span) == (b.id, b.span) && near(a.logprob, b.logprob) && near(a.entropy, b.entropy), "{a:?} {b:?}");
            }
        }
        let mut events = 0;
        let mut broken_off = |_| {
            events += 1;
            ControlFlow::Break(())
        };
        policy.follow(problem, &whole, &mut broken_off).unwrap();
        assert_eq!(events, 1);
        // By itself as in a batch.
        let mut alone = vec![read[1].clone()];
        policy.read(problem, &mut alone).unwrap();
        let near = alone[0].tokens.iter().zip(&read[1].tokens).all(|(a, b)| (a.logprob.unwrap() - b.logprob.unwrap()).abs() < 1e-4);
        assert!(near && alone[0].tokens.len() == read[1].tokens.len());
    }
}
