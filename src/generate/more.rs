//! A policy of a family that runs on candle-transformers: one candidate at a time.

use super::likelihood::recorded;
use super::local::prompt_ids;
use super::{GenerateError, Policy};
use crate::model::{ChatOptions, Dialogue, ModelError, ModelFiles, More, Progress, Sampler, TextTokenizer, measure};
use crate::trace::{Candidate, FinishReason, Sampling, Token, TraceEvent};
use candle_core::Device;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// A model of one of [`MORE_FAMILIES`](crate::model::MORE_FAMILIES) with its tokenizer and chat template.
pub struct MorePolicy {
    name: String,
    model: More,
    tokenizer: TextTokenizer,
    dialogue: Dialogue,
}

impl MorePolicy {
    /// Loads a model; `progress` sees the share that is through, 0 to 1.
    pub fn open(files: &ModelFiles, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        Self::asked(files, &ChatOptions::default(), device, progress)
    }

    /// The same, with problems put to it as `chat` says. Fails also where its chat template takes no problem.
    pub fn asked(files: &ModelFiles, chat: &ChatOptions, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        let model = More::open(files, device, progress)?;
        let tokenizer = files.tokenizer()?;
        if tokenizer.vocab_size() > model.vocab_size() {
            return Err(ModelError::File {
                path: files.path_of("tokenizer.json"),
                what: format!(
                    "the tokenizer has ids up to {}, the model only {} embeddings",
                    tokenizer.vocab_size() - 1,
                    model.vocab_size()
                ),
                remedy: "take the tokenizer that belongs to the model".into(),
            });
        }
        let dialogue = Dialogue::new(files.chat(&tokenizer)?, chat)?;
        Ok(Self { name: files.name(), model, tokenizer, dialogue })
    }

    /// A line for people: family, parameters, storage, device, context, and what is otherwise than with other models.
    pub fn about(&self) -> String {
        self.dialogue.notes().iter().fold(self.model.about(), |about, note| format!("{about}; {note}"))
    }

    /// Fills `tokens` of every candidate as [`LocalPolicy::read`](super::LocalPolicy::read) does, but one token at a time, so that it takes as long as
    /// writing the text. What is written twice is read once.
    pub fn read(&self, problem: &str, candidates: &mut [Candidate]) -> Result<(), ModelError> {
        let (before, ids) = (self.dialogue.prompt(problem)?, prompt_ids(&self.tokenizer, &self.dialogue, problem)?);
        let begun = self.model.begin(&ids)?;
        let room = self.model.context().saturating_sub(begun.len());
        let mut known: HashMap<String, Vec<Token>> = HashMap::new();
        for candidate in candidates {
            let (text, mut tokens) = recorded(&self.tokenizer, (&before, &ids), self.model.eos().first().copied(), candidate, room)?;
            let key = format!("{}\n{}", text.len(), candidate.text);
            if let Some(tokens) = known.get(&key) {
                candidate.tokens = tokens.clone();
                continue;
            }
            candidate.tokens = Vec::new();
            if text.is_empty() {
                continue;
            }
            let mut growing = self.model.fork(&begun)?;
            for (i, (id, token)) in text.iter().zip(&mut tokens).enumerate() {
                let read = measure(growing.logits(), *id)?;
                (token.logprob, token.entropy) = (Some(read.logprob), Some(read.entropy));
                if i + 1 < text.len() {
                    self.model.push(&mut growing, *id)?;
                }
            }
            known.insert(key, tokens.clone());
            candidate.tokens = tokens;
        }
        Ok(())
    }
}

impl Policy for MorePolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn tokenizer_fingerprint(&self) -> &str {
        self.tokenizer.fingerprint()
    }

    fn reads(&self) -> bool {
        true
    }

    /// A candidate at a time: its family has no pieces.
    fn follow(
        &mut self,
        problem: &str,
        candidates: &[Candidate],
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        for (candidate, text) in candidates.iter().enumerate().filter(|(_, c)| !c.text.is_empty()) {
            let mut one = [Candidate { tokens: Vec::new(), ..text.clone() }];
            self.read(problem, &mut one)?;
            let [Candidate { tokens, .. }] = one;
            if sink(TraceEvent::Read { candidate, from: 0, tokens }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sample(
        &mut self,
        problem: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        let ids = prompt_ids(&self.tokenizer, &self.dialogue, problem)?;
        for candidate in 0..n {
            if sink(TraceEvent::Started { candidate }).is_break() {
                return Ok(());
            }
        }
        let begun = self.model.begin(&ids)?;
        for candidate in 0..n {
            let mut sampler = Sampler::new(sampling, candidate)?;
            let mut stream = self.tokenizer.stream();
            let mut growing = self.model.fork(&begun)?;
            let mut written = 0;
            let reason = loop {
                let drawn = sampler.draw(growing.logits())?;
                written += 1;
                let piece = stream.push(drawn.id);
                let token = Token { id: Some(drawn.id), span: piece.span, logprob: Some(drawn.logprob), entropy: Some(drawn.entropy) };
                if sink(TraceEvent::Tokens { candidate, text: piece.text, tokens: vec![token] }).is_break() {
                    return Ok(());
                }
                if self.model.eos().contains(&drawn.id) {
                    break FinishReason::Stop;
                }
                if written >= sampling.max_tokens || growing.len() + 1 >= self.model.context() {
                    break FinishReason::Length;
                }
                self.model.push(&mut growing, drawn.id)?;
            };
            let text = stream.finish();
            if !text.is_empty() && sink(TraceEvent::Tokens { candidate, text, tokens: Vec::new() }).is_break() {
                return Ok(());
            }
            if sink(TraceEvent::Finished { candidate, reason }).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}
