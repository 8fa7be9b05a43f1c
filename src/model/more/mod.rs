//! Families that candle-transformers has and our own decoder has not, behind one face: one sequence at a time, logits of the next token.
//!
//! No gradients, no hidden states, no batches. What such a model gives is compared with transformers on a tiny one before its family is listed here
//! (`tests/all/more.rs`).

#[cfg(feature = "more-models")]
mod config;
#[cfg(feature = "more-models")]
mod models;

use crate::model::files::object;
use crate::model::{MORE_FAMILIES, ModelError, ModelFiles, Progress};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// A model of one of [`MORE_FAMILIES`].
pub struct More {
    family: &'static str,
    vocab_size: usize,
    context: usize,
    eos: Vec<u32>,
    parameters: usize,
    stored: String,
    device: Device,
    make: Arc<Make>,
}

/// Makes a model with an empty cache; the weights are shared.
type Make = dyn Fn() -> candle_core::Result<Box<dyn Steps>> + Send + Sync;

/// A model with the cache of one sequence.
trait Steps: Send {
    /// Appends ids `[1, n]`, the first of which stands at position `at`, and gives the logits after the last. Where the cache is not empty n is 1.
    fn forward(&mut self, ids: &Tensor, at: usize) -> candle_core::Result<Tensor>;
    /// The same with a cache of its own; `None` where the model cannot be copied.
    fn fork(&self) -> Option<Box<dyn Steps>>;
}

/// One sequence that grows.
pub struct Growing {
    steps: Box<dyn Steps>,
    ids: Vec<u32>,
    logits: Vec<f32>,
}

impl Growing {
    /// The logits after the last token.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none, which never is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The family of `files` where it is one of [`MORE_FAMILIES`].
pub fn more_family(files: &ModelFiles) -> Option<&'static str> {
    if matches!(files, ModelFiles::Gguf(_) | ModelFiles::Adapter { .. } | ModelFiles::Embedded { .. }) {
        return None;
    }
    let map = object(&files.read("config.json").ok()?, &files.path_of("config.json")).ok()?;
    let named = map.get("model_type")?.as_str()?;
    MORE_FAMILIES.into_iter().find(|family| *family == named)
}

impl More {
    /// Reads the weights in f32. Fails on an option of `config.json` that candle-transformers does not compute, and in a build without it.
    #[cfg(feature = "more-models")]
    pub fn open(files: &ModelFiles, device: &Device, progress: Option<Progress>) -> Result<Self, ModelError> {
        models::open(files, device, progress)
    }

    /// Reads the weights in f32. Fails in this build, which has no candle-transformers.
    #[cfg(not(feature = "more-models"))]
    pub fn open(files: &ModelFiles, _: &Device, _: Option<Progress>) -> Result<Self, ModelError> {
        Err(ModelError::File {
            path: files.path_of("config.json"),
            what: "its family needs candle-transformers, which this build has not".into(),
            remedy: "build with --features more-models".into(),
        })
    }

    /// Its family.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// Rows of its output.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Positions for which it is right: the model's own, its sliding window, or 16,384, whichever is least.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Ids that end a sequence.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// A line for people: family, parameters, storage, device, context, and what is otherwise than with other models.
    pub fn about(&self) -> String {
        format!(
            "{} on candle-transformers, {:.1} M parameters, {} as F32, {}, context {}; one candidate at a time, recorded text token by token (as slowly as it writes)",
            self.family,
            self.parameters as f64 / 1e6,
            self.stored,
            crate::model::device_name(&self.device),
            self.context
        )
    }

    /// A sequence that begins with `ids`. Fails where there are none, too many, or one is outside the vocabulary.
    pub fn begin(&self, ids: &[u32]) -> Result<Growing, ModelError> {
        if ids.is_empty() {
            return Err(ModelError::Input("the problem is empty; type at least one word".into()));
        }
        let mut growing = Growing { steps: (self.make)()?, ids: Vec::new(), logits: Vec::new() };
        self.extend(&mut growing, ids)?;
        Ok(growing)
    }

    /// Another sequence that begins with what `of` has so far, and grows by itself.
    pub fn fork(&self, of: &Growing) -> Result<Growing, ModelError> {
        match of.steps.fork() {
            Some(steps) => Ok(Growing { steps, ids: of.ids.clone(), logits: of.logits.clone() }),
            None => self.begin(&of.ids),
        }
    }

    /// Appends one token.
    pub fn push(&self, growing: &mut Growing, id: u32) -> Result<(), ModelError> {
        self.extend(growing, &[id])
    }

    fn extend(&self, growing: &mut Growing, ids: &[u32]) -> Result<(), ModelError> {
        let needed = growing.ids.len() + ids.len();
        if needed > self.context {
            let context = self.context;
            let what = format!("{needed} tokens do not fit the context of {context}; shorten the problem or lower --max-tokens");
            return Err(ModelError::Input(what));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            let v = self.vocab_size;
            return Err(ModelError::Input(format!(
                "token id {id} is outside the vocabulary of {v}; the tokenizer belongs to another model"
            )));
        }
        let input = Tensor::from_slice(ids, (1, ids.len()), &self.device)?;
        growing.logits = growing.steps.forward(&input, growing.ids.len())?.flatten_all()?.to_vec1()?;
        growing.ids.extend_from_slice(ids);
        Ok(())
    }
}
