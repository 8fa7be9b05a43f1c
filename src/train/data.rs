//! Expert demonstrations as token sequences, with one framing for everybody: problem, newline, completion, end of sequence.

use super::TrainError;
use crate::model::TextTokenizer;
use crate::reward::Sequence;
use crate::task::stories::{self, Corruption, Split, Story};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Mutex;

/// Training demonstrations of `stories`, all tokenised.
pub struct Demonstrations {
    prompts: Vec<Vec<u32>>,
    completions: Vec<Vec<u32>>,
    tokenizer: TextTokenizer,
    eos: u32,
    seed: u64,
    /// The epoch that was asked for last, and its order.
    order: Mutex<Option<(usize, Vec<u32>)>>,
}

impl Demonstrations {
    /// The story of demonstration `i` under `seed`.
    pub fn story(seed: u64, i: u64) -> Story {
        stories::story(Split::Train, seed, i)
    }

    /// Text that a tokenizer is trained on: every demonstration.
    pub fn corpus(seed: u64, n: usize) -> impl Iterator<Item = String> {
        (0..n as u64).map(move |i| {
            let s = Self::story(seed, i);
            format!("{}\n{}\n", s.problem, s.solution())
        })
    }

    /// Demonstrations `0..n` under `seed`.
    pub fn load(tokenizer: TextTokenizer, eos: u32, seed: u64, n: usize) -> Result<Self, TrainError> {
        let (mut prompts, mut completions) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for i in 0..n as u64 {
            let s = Self::story(seed, i);
            prompts.push(tokenizer.frame_problem(&s.problem)?.ids);
            completions.push(tokenizer.frame_completion(eos, &s.solution())?);
        }
        Ok(Self { prompts, completions, tokenizer, eos, seed, order: Mutex::default() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.prompts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// The seed they come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Indices of the `n` demonstrations from the `from`-th on, in an order shuffled anew in every epoch: a function of the seed alone.
    pub fn batch(&self, from: usize, n: usize) -> Vec<u64> {
        let mut out = Vec::with_capacity(n);
        let mut at = from;
        let mut kept = self.order.lock().unwrap_or_else(|e| e.into_inner());
        while out.len() < n {
            let epoch = at / self.len();
            if kept.as_ref().is_none_or(|(of, _)| *of != epoch) {
                let mut order: Vec<u32> = (0..self.len() as u32).collect();
                order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed ^ (epoch as u64) << 32));
                *kept = Some((epoch, order));
            }
            let Some((_, order)) = kept.as_ref() else { break };
            let begin = at % self.len();
            let take = (n - out.len()).min(self.len() - begin);
            out.extend(order[begin..begin + take].iter().map(|&i| u64::from(i)));
            at += take;
        }
        out
    }

    /// Tokens of a problem.
    pub fn prompt(&self, i: u64) -> Vec<u32> {
        self.prompts[i as usize].clone()
    }

    /// Problem and expert solution.
    pub fn expert(&self, i: u64) -> Sequence {
        Sequence::new(&self.prompts[i as usize], &self.completions[i as usize])
    }

    /// A corrupted solution of problem `i`, its expert twin, and the first completion token at which they differ; `None` where nothing could be
    /// corrupted. The kind of corruption, and whether later lines carry the wrong value on, are drawn from `rng`.
    pub fn corrupted(&self, i: u64, rng: &mut impl Rng) -> Option<(Sequence, Sequence, usize)> {
        let story = Self::story(self.seed, i);
        let kind = *Corruption::ALL.choose(rng)?;
        let corrupted = stories::corrupt(&story, kind, rng.random_bool(0.5), rng)?;
        let bad = self.tokenizer.frame_completion(self.eos, &corrupted.text).ok()?;
        let good = &self.completions[i as usize];
        let from = bad.iter().zip(good).position(|(a, b)| a != b)?;
        let prompt = &self.prompts[i as usize];
        Some((Sequence::new(prompt, &bad), Sequence::new(prompt, good), from))
    }
}
