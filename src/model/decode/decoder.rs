//! One decoder for the Llama, Mistral, Qwen2 and Qwen3 families: a differentiable pass over packed sequences and a cached one, from the same blocks.

use super::cache::KvCache;
use super::checkpointing::checkpoint;
use crate::model::compute::kernels::{Heads, Rotary};
use crate::model::compute::ops::{self, AttentionPlan};
use crate::model::compute::rotary::rotary;
use crate::model::{Config, LinearWeight, ModelError, REWARD_HEADS, WeightSource};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The longest context for which rotary angles are kept.
const MAX_CONTEXT: usize = 16_384;

#[derive(Clone)]
struct Linear {
    weight: LinearWeight,
    bias: Option<Tensor>,
}

impl Linear {
    fn load(source: &dyn WeightSource, name: &str, out: usize, input: usize, bias: bool) -> Result<Self, ModelError> {
        let weight = source.linear(&format!("{name}.weight"), out, input)?;
        let bias = if bias { Some(source.tensor(&format!("{name}.bias"), &[out])?) } else { None };
        Ok(Self { weight, bias })
    }

    fn for_inference(&mut self) -> candle_core::Result<()> {
        self.weight = self.weight.clone().for_inference()?;
        self.bias = self.bias.as_ref().map(Tensor::detach);
        Ok(())
    }

    fn forward(&self, x: &Tensor, exact: bool) -> candle_core::Result<Tensor> {
        let y = self.weight.forward(x, exact)?;
        match &self.bias {
            Some(b) => y.broadcast_add(b),
            None => Ok(y),
        }
    }
}

#[derive(Clone)]
struct Block {
    input_norm: Tensor,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    head_norms: Option<(Tensor, Tensor)>,
    post_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Block {
    fn load(source: &dyn WeightSource, c: &Config, layer: usize) -> Result<Self, ModelError> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let (h, i) = (c.hidden_size, c.intermediate_size);
        let (q, kv) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        let linear = |part: &str, out, input, bias| Linear::load(source, &name(part), out, input, bias);
        let norm = |part: &str, n: usize| source.tensor(&name(part), &[n]);
        Ok(Self {
            input_norm: norm("input_layernorm.weight", h)?,
            q: linear("self_attn.q_proj", q, h, c.qkv_bias)?,
            k: linear("self_attn.k_proj", kv, h, c.qkv_bias)?,
            v: linear("self_attn.v_proj", kv, h, c.qkv_bias)?,
            o: linear("self_attn.o_proj", h, q, c.o_bias)?,
            head_norms: match c.qk_norm {
                true => Some((norm("self_attn.q_norm.weight", c.head_dim)?, norm("self_attn.k_norm.weight", c.head_dim)?)),
                false => None,
            },
            post_norm: norm("post_attention_layernorm.weight", h)?,
            gate: linear("mlp.gate_proj", i, h, false)?,
            up: linear("mlp.up_proj", i, h, false)?,
            down: linear("mlp.down_proj", h, i, false)?,
        })
    }

    /// The linear layers.
    fn linears(&self) -> [&Linear; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    fn linears_mut(&mut self) -> [&mut Linear; 7] {
        [&mut self.q, &mut self.k, &mut self.v, &mut self.o, &mut self.gate, &mut self.up, &mut self.down]
    }

    /// The weights that may be variables.
    fn variables(&self) -> Vec<Tensor> {
        let norms = self.head_norms.iter().flat_map(|(q, k)| [q, k]).chain([&self.input_norm, &self.post_norm]).cloned();
        norms.chain(self.linears().into_iter().flat_map(|l| l.weight.variables().into_iter().chain(l.bias.clone()))).collect()
    }

    /// One block over `[n, hidden]`; `attend` mixes positions, `exact` is that of [`LinearWeight::forward`].
    fn forward(
        &self,
        x: &Tensor,
        c: &Config,
        exact: bool,
        attend: impl FnOnce(&Tensor, &Tensor, &Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<Tensor, ModelError> {
        let h = ops::rms_norm(x, &self.input_norm, c.rms_norm_eps)?;
        let (mut q, mut k, v) = (self.q.forward(&h, exact)?, self.k.forward(&h, exact)?, self.v.forward(&h, exact)?);
        if let Some((nq, nk)) = &self.head_norms {
            let per_head = |x: &Tensor, w: &Tensor| {
                let (n, d) = x.dims2()?;
                ops::rms_norm(&x.reshape((n * d / c.head_dim, c.head_dim))?, w, c.rms_norm_eps)?.reshape((n, d))
            };
            (q, k) = (per_head(&q, nq)?, per_head(&k, nk)?);
        }
        let x = (x + self.o.forward(&attend(&q, &k, &v)?, exact)?)?;
        let h = ops::rms_norm(&x, &self.post_norm, c.rms_norm_eps)?;
        let h = ops::swiglu(&self.gate.forward(&h, exact)?, &self.up.forward(&h, exact)?)?;
        Ok((&x + self.down.forward(&h, exact)?)?)
    }
}

/// Why a model has no logits.
fn no_head(source: &dyn WeightSource) -> ModelError {
    let found = REWARD_HEADS.iter().find(|name| source.contains(name));
    ModelError::Tensor {
        name: "lm_head.weight".into(),
        what: match found {
            Some(head) => format!("not there; the weights have {head} in its place, so this is a reward model: name it with --reward"),
            None => "not there, and config.json does not say that the embedding takes its place: set tie_word_embeddings to true if the \
                     model ties them, or fetch the weights again"
                .into(),
        },
    }
}

/// Sequences laid one after the other without padding.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// Token ids of all sequences.
    pub ids: Vec<u32>,
    /// Tokens of each sequence; their sum is the number of ids.
    pub lens: Vec<usize>,
}

impl Packed {
    /// Appends a sequence.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.lens.push(ids.len());
    }
}

/// A causal decoder. Cloning shares the weights.
#[derive(Clone)]
pub struct Decoder {
    config: Config,
    embed: Tensor,
    blocks: Vec<Block>,
    norm: Tensor,
    /// The output projection; `None` where only hidden states are asked for.
    head: Option<Linear>,
    rotary: Arc<Rotary>,
    context: usize,
    /// An adapter is being trained: gradients must pass through frozen weights.
    adapts: bool,
    checkpointing: bool,
}

impl Decoder {
    /// Takes the weights that `config` asks for from `source`; `progress` sees the share of blocks loaded, 0 to 1.
    ///
    /// The output projection is `lm_head` where the source has one, whatever `tie_word_embeddings` says, as in transformers; else it is the embedding where
    /// the configuration ties them. Fails where there is neither: such a model is one for rewards, or its configuration is wrong.
    pub fn load(config: &Config, source: &dyn WeightSource, progress: &mut dyn FnMut(f32)) -> Result<Self, ModelError> {
        let this = Self::load_body(config, source, progress)?;
        let name = match (source.contains("lm_head.weight"), config.tie_word_embeddings) {
            (true, _) => "lm_head",
            (false, true) => "model.embed_tokens",
            (false, false) if source.makes() => "lm_head",
            (false, false) => return Err(no_head(source)),
        };
        let head = Linear::load(source, name, config.vocab_size, config.hidden_size, false)?;
        Ok(Self { head: Some(head), ..this })
    }

    /// The same without an output projection, for what reads hidden states alone; [`Decoder::logits`] fails on it.
    pub fn load_body(config: &Config, source: &dyn WeightSource, progress: &mut dyn FnMut(f32)) -> Result<Self, ModelError> {
        let (v, h) = (config.vocab_size, config.hidden_size);
        let embed = source.tensor("model.embed_tokens.weight", &[v, h])?;
        let mut blocks = Vec::with_capacity(config.num_hidden_layers);
        for layer in 0..config.num_hidden_layers {
            blocks.push(Block::load(source, config, layer)?);
            progress((layer + 1) as f32 / config.num_hidden_layers as f32);
        }
        let beyond = format!("model.layers.{}.input_layernorm.weight", config.num_hidden_layers);
        if source.contains(&beyond) {
            let what = format!("is there, though num_hidden_layers is {}; config.json belongs to another model", config.num_hidden_layers);
            return Err(ModelError::Tensor { name: beyond, what });
        }
        let norm = source.tensor("model.norm.weight", &[h])?;
        let context = config.max_position_embeddings.min(MAX_CONTEXT);
        let adapts = blocks.iter().flat_map(Block::linears).any(|l| l.weight.adapts());
        Ok(Self {
            config: config.clone(),
            embed,
            blocks,
            norm,
            head: None,
            rotary: Arc::new(rotary(config, context)),
            context,
            adapts,
            checkpointing: false,
        })
    }

    /// The same decoder, which in [`Decoder::forward`] keeps the input of each block alone and computes the block again for its gradients: activations
    /// of one block instead of all, for about a third more work.
    pub fn with_checkpointing(self, checkpointing: bool) -> Self {
        Self { checkpointing, ..self }
    }

    /// The same decoder for inference: no gradient reaches its matrices any more, adapters over dense ones are merged, and on the CPU in f32 the
    /// matrices are transposed, which makes products with the few rows of a generation step several times as fast. Weights that change later do not
    /// change here.
    pub fn for_inference(mut self) -> Result<Self, ModelError> {
        for block in &mut self.blocks {
            block.linears_mut().into_iter().try_for_each(Linear::for_inference)?;
        }
        self.head.as_mut().map_or(Ok(()), Linear::for_inference)?;
        self.adapts = self.blocks.iter().flat_map(Block::linears).any(|l| l.weight.adapts());
        Ok(self)
    }

    /// Its shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Positions it can hold: the model's own, at most 16,384.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.embed.device()
    }

    /// The dtype it computes in.
    pub fn dtype(&self) -> DType {
        self.embed.dtype()
    }

    /// An empty cache that fits this decoder.
    pub fn cache(&self) -> KvCache {
        KvCache::new(self.blocks.len(), self.device(), self.dtype())
    }

    fn heads(&self) -> Heads {
        Heads { q: self.config.num_attention_heads, kv: self.config.num_key_value_heads, dim: self.config.head_dim }
    }

    fn embed(&self, ids: &[u32]) -> Result<Tensor, ModelError> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            let v = self.config.vocab_size;
            return Err(ModelError::Input(format!(
                "token id {id} is outside the vocabulary of {v}; the tokenizer belongs to another model"
            )));
        }
        Ok(self.embed.index_select(&Tensor::from_slice(ids, ids.len(), self.device())?, 0)?)
    }

    /// Hidden states after the final norm, `[tokens, hidden]`, differentiable in every weight that is a variable.
    ///
    /// Every sequence starts at position 0 and sees itself alone. Fails if one is longer than the context or an id is outside the vocabulary.
    pub fn forward(&self, batch: &Packed) -> Result<Tensor, ModelError> {
        if let Some(n) = batch.lens.iter().find(|&&n| n > self.context) {
            return Err(ModelError::Input(format!("a sequence of {n} tokens does not fit the context of {}", self.context)));
        }
        let plan = AttentionPlan { lens: Arc::new(batch.lens.clone()), heads: self.heads(), rotary: self.rotary.clone() };
        let mut x = self.embed(&batch.ids)?;
        for block in &self.blocks {
            let weights = block.variables();
            let (block, config, plan, exact) = (block.clone(), self.config.clone(), plan.clone(), self.adapts);
            let run = move |x: &Tensor| block.forward(x, &config, exact, |q, k, v| Ok(ops::attention(q, k, v, &plan)?));
            x = if self.checkpointing { checkpoint(&x, weights, run)? } else { run(&x)? };
        }
        Ok(ops::rms_norm(&x, &self.norm, self.config.rms_norm_eps)?)
    }

    /// Appends each chunk's ids to its cache row and returns the new positions' hidden states after the final norm, `[Σ chunk, hidden]`,
    /// chunks one after the other. Rows grow by different amounts in one call.
    pub fn forward_cached(&self, chunks: &[(usize, &[u32])], cache: &mut KvCache) -> Result<Tensor, ModelError> {
        cache.check(chunks, self.context)?;
        let ids: Vec<u32> = chunks.iter().flat_map(|c| c.1.iter().copied()).collect();
        let mut x = self.embed(&ids)?.detach();
        for (layer, block) in self.blocks.iter().enumerate() {
            let rotary = &self.rotary;
            x = block.forward(&x, &self.config, false, |q, k, v| cache.attend(layer, (q, k, v), chunks, self.heads(), rotary))?.detach();
        }
        cache.grow(chunks);
        Ok(ops::rms_norm(&x, &self.norm, self.config.rms_norm_eps)?.detach())
    }

    /// Next-token logits of hidden states: `[n, hidden]` → `[n, vocabulary]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        let head = self.head.as_ref().ok_or_else(|| ModelError::Input("this decoder was loaded without its output projection".into()))?;
        Ok(head.forward(hidden, self.adapts && hidden.track_op())?)
    }
}
