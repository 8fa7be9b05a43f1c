//! Batched sampling from a decoder: the candidates of a prompt share its keys and values and grow as one batch.

use crate::model::{Decoder, Drawn, ModelError, Sampler, TextTokenizer};
use crate::trace::{Candidate, FinishReason, Sampling, Segmentation, Token, segment};
use rayon::prelude::*;
use std::ops::ControlFlow;

/// One sampled completion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// Token ids, with the end-of-sequence token where it was sampled.
    pub ids: Vec<u32>,
    /// ln π of each at temperature 1.
    pub logprobs: Vec<f32>,
    /// Entropy of the policy at each position, nats; empty where a server wrote it, which does not tell.
    pub entropies: Vec<f32>,
    /// Whether an end-of-sequence token was sampled.
    pub stopped: bool,
}

/// What hears `(prompt, candidate, token)` as tokens come, `None` at the end of a candidate.
pub type TokenSink<'a> = dyn FnMut(usize, usize, Option<&Drawn>) -> ControlFlow<()> + 'a;

/// A prompt to continue, and the seed of its candidates.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Token ids, at least one.
    pub ids: Vec<u32>,
    /// Candidate i draws from stream i of this seed.
    pub seed: u64,
}

/// Samples `n` completions for every prompt as one batch; `result[p][i]` is candidate i of prompt p. `sampling.seed` is passed over for the prompts' own.
///
/// `Break` from `sink` stops everything. A candidate also
/// ends at `sampling.max_tokens` and where the context is full. Fails on an empty prompt or one that fills the context.
pub fn decode(
    decoder: &Decoder,
    prompts: &[Prompt],
    n: usize,
    sampling: &Sampling,
    sink: &mut TokenSink,
) -> Result<Vec<Vec<Completion>>, ModelError> {
    decode_until(decoder, prompts, n, sampling, &|_| false, sink)
}

/// As [`decode`], a candidate ending also after a token for which `ends` holds, for example one that closes a line.
pub fn decode_until(
    decoder: &Decoder,
    prompts: &[Prompt],
    n: usize,
    sampling: &Sampling,
    ends: &dyn Fn(u32) -> bool,
    sink: &mut TokenSink,
) -> Result<Vec<Vec<Completion>>, ModelError> {
    struct Live {
        prompt: usize,
        candidate: usize,
        row: usize,
        logits: usize,
        sampler: Sampler,
    }
    let eos = &decoder.config().eos_token_ids;
    let mut cache = decoder.cache();
    let mut out = vec![vec![Completion::default(); n]; prompts.len()];
    let (mut live, mut last) = (Vec::new(), Vec::new());
    let mut roots = Vec::new();
    let mut end = 0u32;
    for (p, prompt) in prompts.iter().enumerate() {
        if prompt.ids.is_empty() {
            return Err(ModelError::Input("the problem is empty; type at least one word".into()));
        }
        roots.push((cache.add_row(None), prompt.ids.as_slice()));
        end += prompt.ids.len() as u32;
        last.push(end - 1);
        for candidate in 0..n {
            let sampler = Sampler::new(&Sampling { seed: prompt.seed, ..sampling.clone() }, candidate)?;
            live.push(Live { prompt: p, candidate, row: cache.add_row(Some(roots[p].0)), logits: p, sampler });
        }
    }
    if live.is_empty() {
        return Ok(out);
    }
    let hidden = decoder.forward_cached(&roots, &mut cache)?;
    let index = candle_core::Tensor::from_vec(last, prompts.len(), decoder.device())?;
    let mut logits = rows(&decoder.logits(&hidden.index_select(&index, 0)?)?)?;
    while !live.is_empty() {
        let v = decoder.config().vocab_size;
        let mut next = Vec::with_capacity(live.len());
        let mut chosen = Vec::with_capacity(live.len());
        for mut l in live {
            let token = l.sampler.draw(&logits[l.logits * v..(l.logits + 1) * v])?;
            let c = &mut out[l.prompt][l.candidate];
            c.ids.push(token.id);
            c.logprobs.push(token.logprob);
            c.entropies.push(token.entropy);
            c.stopped = eos.contains(&token.id);
            let full = c.ids.len() >= sampling.max_tokens || cache.len(l.row) + 1 >= decoder.context();
            if sink(l.prompt, l.candidate, Some(&token)).is_break() {
                return Ok(out);
            }
            if c.stopped || full || ends(token.id) {
                cache.free(l.row);
                if sink(l.prompt, l.candidate, None).is_break() {
                    return Ok(out);
                }
            } else {
                l.logits = next.len();
                chosen.push([token.id]);
                next.push(l);
            }
        }
        live = next;
        if !live.is_empty() {
            let chunks: Vec<(usize, &[u32])> = live.iter().zip(&chosen).map(|(l, t)| (l.row, t.as_slice())).collect();
            logits = rows(&decoder.logits(&decoder.forward_cached(&chunks, &mut cache)?)?)?;
        }
    }
    Ok(out)
}

fn rows(logits: &candle_core::Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(logits.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()?)
}

/// Prompts that [`decode_all`] samples as one batch on one thread.
pub const BATCH: usize = 8;

/// As [`decode`] for many prompts, several batches at a time on all threads; `done` hears how many prompts are through, and `Break` ends the work
/// with the samples so far.
pub fn decode_all(
    decoder: &Decoder,
    prompts: &[Prompt],
    n: usize,
    sampling: &Sampling,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Vec<Completion>>, ModelError> {
    let decoder = &decoder.clone().for_inference()?;
    let mut out = Vec::with_capacity(prompts.len());
    for wave in prompts.chunks(BATCH * rayon::current_num_threads().max(1) * 4) {
        let parts: Vec<_> =
            wave.par_chunks(BATCH).map(|p| decode(decoder, p, n, sampling, &mut |_, _, _| ControlFlow::Continue(()))).collect();
        for part in parts {
            out.extend(part?);
        }
        if done(out.len()).is_break() {
            break;
        }
    }
    Ok(out)
}

impl Completion {
    /// The completion as a candidate with a step a line; the end token owns no byte.
    pub fn candidate(&self, tokenizer: &TextTokenizer) -> Candidate {
        let (text, spans) = tokenizer.decode_spans(&self.ids);
        let tokens = self.ids.iter().zip(spans).zip(&self.logprobs).enumerate().map(|(i, ((&id, span), &lp))| Token {
            id: Some(id),
            span,
            logprob: Some(lp),
            entropy: self.entropies.get(i).copied(),
        });
        Candidate {
            tokens: tokens.collect(),
            steps: segment(&text, &Segmentation::Line),
            finish: Some(if self.stopped { FinishReason::Stop } else { FinishReason::Length }),
            text,
            ..Default::default()
        }
    }
}
