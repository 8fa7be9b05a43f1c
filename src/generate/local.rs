//! A policy that runs on this machine.

use super::{GenerateError, Policy, Prompt, decode};
use crate::model::{
    ChatOptions, Decoder, Dialogue, ModelError, ModelFiles, Progress, REWARD_HEADS, StreamDecoder, TextTokenizer, compute_dtype,
    device_name,
};
use crate::trace::{Candidate, FinishReason, Sampling, Token, TraceEvent};
use candle_core::Device;
use std::ops::ControlFlow;

/// A decoder with its tokenizer and chat template.
pub struct LocalPolicy {
    name: String,
    about: String,
    decoder: Decoder,
    tokenizer: TextTokenizer,
    dialogue: Dialogue,
}

impl LocalPolicy {
    /// Loads a model; `progress` sees the share that is through, 0 to 1.
    pub fn open(files: &ModelFiles, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        Self::asked(files, &ChatOptions::default(), device, progress)
    }

    /// The same, with problems put to it as `chat` says. Fails also where its chat template takes no problem.
    pub fn asked(files: &ModelFiles, chat: &ChatOptions, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        let model = files.load(device, compute_dtype(device), progress)?;
        let decoder = Decoder::load(&model.config, model.weights.as_ref(), &mut |_| {})?.for_inference()?;
        let mut about = describe(&decoder, &model.stored);
        if let Some(head) = REWARD_HEADS.iter().find(|name| model.weights.contains(name)) {
            about.push_str(&format!("; its reward head {head} is not read here: name the model with --reward for it"));
        }
        let dialogue = Dialogue::new(model.chat, chat)?;
        dialogue.notes().iter().for_each(|note| about.push_str(&format!("; {note}")));
        Ok(Self { name: files.name(), about, decoder, tokenizer: model.tokenizer, dialogue })
    }

    /// A line for people: parameters, storage, device, context.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What people should know of how it is asked.
    pub fn notes(&self) -> &[String] {
        self.dialogue.notes()
    }

    /// Its decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Token ids of a problem as the policy reads it.
    pub fn prompt_ids(&self, problem: &str) -> Result<Vec<u32>, ModelError> {
        prompt_ids(&self.tokenizer, &self.dialogue, problem)
    }

    /// The text that the policy reads of a problem.
    pub(super) fn prompt_text(&self, problem: &str) -> Result<String, ModelError> {
        self.dialogue.prompt(problem)
    }
}

/// Token ids of a problem as a policy that is asked so reads it.
pub(super) fn prompt_ids(tokenizer: &TextTokenizer, dialogue: &Dialogue, problem: &str) -> Result<Vec<u32>, ModelError> {
    if problem.trim().is_empty() {
        return Err(ModelError::Input("the problem is empty; type at least one word".into()));
    }
    Ok(match dialogue.has_template() {
        true => tokenizer.encode(&dialogue.prompt(problem)?, true)?.ids,
        false => tokenizer.frame_problem(&dialogue.asked(problem))?.ids,
    })
}

/// Parameters, storage, device and context of a decoder, for people.
pub fn describe(decoder: &Decoder, stored: &str) -> String {
    let p = decoder.config().parameters() as f64 / 1e6;
    let family = &decoder.config().model_type;
    format!("{family}, {p:.1} M parameters, {stored}, {}, context {}", device_name(decoder.device()), decoder.context())
}

impl Policy for LocalPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn tokenizer_fingerprint(&self) -> &str {
        self.tokenizer.fingerprint()
    }

    fn sample(
        &mut self,
        problem: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        let ids = self.prompt_ids(problem)?;
        let mut streams: Vec<StreamDecoder> = (0..n).map(|_| self.tokenizer.stream()).collect();
        let mut stopped = vec![false; n];
        for candidate in 0..n {
            if sink(TraceEvent::Started { candidate }).is_break() {
                return Ok(());
            }
        }
        let eos = self.decoder.config().eos_token_ids.clone();
        let prompts = [Prompt { ids, seed: sampling.seed }];
        decode(&self.decoder, &prompts, n, sampling, &mut |_, candidate, drawn| match drawn {
            Some(d) => {
                let piece = streams[candidate].push(d.id);
                stopped[candidate] = eos.contains(&d.id);
                let token = Token { id: Some(d.id), span: piece.span, logprob: Some(d.logprob), entropy: Some(d.entropy) };
                sink(TraceEvent::Tokens { candidate, text: piece.text, tokens: vec![token] })
            }
            None => {
                let text = streams[candidate].finish();
                if !text.is_empty() && sink(TraceEvent::Tokens { candidate, text, tokens: Vec::new() }).is_break() {
                    return ControlFlow::Break(());
                }
                let reason = if stopped[candidate] { FinishReason::Stop } else { FinishReason::Length };
                sink(TraceEvent::Finished { candidate, reason })
            }
        })?;
        Ok(())
    }

    fn reads(&self) -> bool {
        true
    }

    fn follow(
        &mut self,
        problem: &str,
        candidates: &[Candidate],
        sink: &mut dyn FnMut(TraceEvent) -> ControlFlow<()>,
    ) -> Result<(), GenerateError> {
        Ok(self.read_along(problem, candidates, sink)?)
    }
}
