//! One decoder for all families of [`FAMILIES`](crate::model::FAMILIES): a differentiable pass over packed sequences and a cached one, from the same blocks.

use super::cache::KvCache;
use super::checkpointing::checkpoint;
use super::mlp::{Linear, Mlp};
use crate::model::compute::attention::Heads;
use crate::model::compute::kernels::Rotary;
use crate::model::compute::ops::{self, AttentionPlan};
use crate::model::compute::rotary::rotary;
use crate::model::{Config, Layer, LinearWeight, ModelError, Norms, REWARD_HEADS, WeightSource};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The longest context for which rotary angles are kept.
const MAX_CONTEXT: usize = 16_384;

/// A norm's weight; Gemma's multiplies by 1 + w, which is added here where w stays as it is.
#[derive(Clone)]
struct Norm {
    weight: Tensor,
    plus_one: bool,
}

impl Norm {
    fn load(source: &dyn WeightSource, name: &str, width: usize, c: &Config) -> Result<Self, ModelError> {
        let (weight, plus_one) = (source.tensor(name, &[width])?, c.variant.one_plus_norms);
        Ok(match plus_one && !weight.is_variable() {
            true => Self { weight: (weight + 1.0)?, plus_one: false },
            false => Self { weight, plus_one },
        })
    }

    fn forward(&self, x: &Tensor, eps: f64) -> candle_core::Result<Tensor> {
        match self.plus_one {
            true => ops::rms_norm(x, &(&self.weight + 1.0)?, eps),
            false => ops::rms_norm(x, &self.weight, eps),
        }
    }
}

#[derive(Clone)]
struct Block {
    input_norm: Option<Norm>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    head_norms: Option<(Norm, Norm)>,
    attention_norm: Option<Norm>,
    mlp_input_norm: Option<Norm>,
    mlp: Mlp,
    mlp_norm: Option<Norm>,
    heads: Heads,
    rotary: Arc<Rotary>,
}

impl Block {
    fn load(source: &dyn WeightSource, c: &Config, layer: usize, rotary: Arc<Rotary>) -> Result<Self, ModelError> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let h = c.hidden_size;
        let (q, kv) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        let linear = |part: &str, out, input, bias| Linear::load(source, &name(part), out, input, bias);
        let norm = |part: &str, n: usize| Norm::load(source, &name(part), n, c);
        // Before attention, on what it adds, before the MLP, on what that adds.
        let norms = match c.variant.norms {
            Norms::Before => [Some("input_layernorm"), None, Some("post_attention_layernorm"), None],
            Norms::After => [None, Some("post_attention_layernorm"), None, Some("post_feedforward_layernorm")],
            Norms::Around => {
                ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"].map(Some)
            }
        };
        let [input_norm, attention_norm, mlp_input_norm, mlp_norm] = norms.map(|n| n.map(|n| norm(&format!("{n}.weight"), h)).transpose());
        let widths = if c.variant.wide_qk_norm { (q, kv) } else { (c.head_dim, c.head_dim) };
        let window = if c.layer(layer).sliding { c.variant.window } else { None };
        Ok(Self {
            input_norm: input_norm?,
            q: linear("self_attn.q_proj", q, h, c.qkv_bias)?,
            k: linear("self_attn.k_proj", kv, h, c.qkv_bias)?,
            v: linear("self_attn.v_proj", kv, h, c.qkv_bias)?,
            o: linear("self_attn.o_proj", h, q, c.o_bias)?,
            head_norms: match c.qk_norm {
                true => Some((norm("self_attn.q_norm.weight", widths.0)?, norm("self_attn.k_norm.weight", widths.1)?)),
                false => None,
            },
            attention_norm: attention_norm?,
            mlp_input_norm: mlp_input_norm?,
            mlp: Mlp::load(source, c, layer)?,
            mlp_norm: mlp_norm?,
            heads: Heads { q: c.num_attention_heads, kv: c.num_key_value_heads, dim: c.head_dim, window: window.unwrap_or(usize::MAX) },
            rotary,
        })
    }

    /// The linear layers.
    fn linears(&self) -> Vec<&Linear> {
        let mut all = vec![&self.q, &self.k, &self.v, &self.o];
        all.extend(self.mlp.linears());
        all
    }

    fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut all = vec![&mut self.q, &mut self.k, &mut self.v, &mut self.o];
        all.extend(self.mlp.linears_mut());
        all
    }

    /// The weights that may be variables.
    fn variables(&self) -> Vec<Tensor> {
        let norms = [&self.input_norm, &self.attention_norm, &self.mlp_input_norm, &self.mlp_norm].into_iter().flatten();
        let norms = norms.chain(self.head_norms.iter().flat_map(|(q, k)| [q, k])).map(|n| n.weight.clone());
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
        let eps = c.rms_norm_eps;
        let normed = |norm: &Option<Norm>, x: Tensor| norm.as_ref().map_or(Ok(x.clone()), |n| n.forward(&x, eps));
        let h = normed(&self.input_norm, x.clone())?;
        let (mut q, mut k, v) = (self.q.forward(&h, exact)?, self.k.forward(&h, exact)?, self.v.forward(&h, exact)?);
        if let Some((nq, nk)) = &self.head_norms {
            let per_head = |x: &Tensor, norm: &Norm| {
                let ((n, d), width) = (x.dims2()?, norm.weight.dim(0)?);
                norm.forward(&x.reshape((n * d / width, width))?, eps)?.reshape((n, d))
            };
            (q, k) = (per_head(&q, nq)?, per_head(&k, nk)?);
        }
        // Attention itself divides the scores by √head_dim.
        if let Some(scale) = c.variant.attention_scale.map(|s| s * (c.head_dim as f64).sqrt()).filter(|s| (s - 1.0).abs() > 1e-12) {
            q = (q * scale)?;
        }
        let adds = |norm: &Option<Norm>, y: Tensor| {
            let y = normed(norm, y)?;
            if c.variant.residual_multiplier == 1.0 { Ok(y) } else { y * c.variant.residual_multiplier }
        };
        let x = (x + adds(&self.attention_norm, self.o.forward(&attend(&q, &k, &v)?, exact)?)?)?;
        let h = normed(&self.mlp_input_norm, x.clone())?;
        Ok((&x + adds(&self.mlp_norm, self.mlp.forward(&h, exact)?)?)?)
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
    embed: LinearWeight,
    device: Device,
    dtype: DType,
    blocks: Vec<Block>,
    norm: Norm,
    /// The output projection; `None` where only hidden states are asked for.
    head: Option<Linear>,
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
        let embed = source.embedding("model.embed_tokens.weight", v, h)?;
        let context = config.max_position_embeddings.min(MAX_CONTEXT);
        let mut blocks = Vec::with_capacity(config.num_hidden_layers);
        // Layers of one kind share their angles.
        let mut angles: Vec<(Layer, Arc<Rotary>)> = Vec::new();
        for layer in 0..config.num_hidden_layers {
            let kind = config.layer(layer);
            let known = angles.iter().find(|(k, _)| *k == kind).map(|(_, rotary)| rotary.clone());
            let shared = known.unwrap_or_else(|| {
                let made = Arc::new(rotary(config, kind, context));
                angles.push((kind, made.clone()));
                made
            });
            blocks.push(Block::load(source, config, layer, shared)?);
            progress((layer + 1) as f32 / config.num_hidden_layers as f32);
        }
        let beyond = format!("model.layers.{}.post_attention_layernorm.weight", config.num_hidden_layers);
        if source.contains(&beyond) {
            let what = format!("is there, though num_hidden_layers is {}; config.json belongs to another model", config.num_hidden_layers);
            return Err(ModelError::Tensor { name: beyond, what });
        }
        let norm = Norm::load(source, "model.norm.weight", h, config)?;
        let adapts = blocks.iter().flat_map(Block::linears).any(|l| l.weight.adapts());
        let (device, dtype) = (norm.weight.device().clone(), norm.weight.dtype());
        Ok(Self { config: config.clone(), embed, device, dtype, blocks, norm, head: None, context, adapts, checkpointing: false })
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
        &self.device
    }

    /// The dtype it computes in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// An empty cache that fits this decoder.
    pub fn cache(&self) -> KvCache {
        KvCache::new(self.blocks.len(), self.device(), self.dtype())
    }

    fn embed(&self, ids: &[u32]) -> Result<Tensor, ModelError> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            let v = self.config.vocab_size;
            return Err(ModelError::Input(format!(
                "token id {id} is outside the vocabulary of {v}; the tokenizer belongs to another model"
            )));
        }
        let x = self.embed.rows(ids)?;
        let multiplier = self.config.variant.embedding_multiplier;
        Ok(if multiplier == 1.0 { x } else { (x * multiplier)? })
    }

    /// Hidden states after the final norm, `[tokens, hidden]`, differentiable in every weight that is a variable.
    ///
    /// Every sequence starts at position 0 and sees itself alone. Fails if one is longer than the context or an id is outside the vocabulary.
    pub fn forward(&self, batch: &Packed) -> Result<Tensor, ModelError> {
        if let Some(n) = batch.lens.iter().find(|&&n| n > self.context) {
            return Err(ModelError::Input(format!("a sequence of {n} tokens does not fit the context of {}", self.context)));
        }
        let lens = Arc::new(batch.lens.clone());
        let mut x = self.embed(&batch.ids)?;
        for block in &self.blocks {
            let weights = block.variables();
            let plan = AttentionPlan { lens: lens.clone(), heads: block.heads, rotary: block.rotary.clone() };
            let (block, config, exact) = (block.clone(), self.config.clone(), self.adapts);
            let run = move |x: &Tensor| block.forward(x, &config, exact, |q, k, v| Ok(ops::attention(q, k, v, &plan)?));
            x = if self.checkpointing { checkpoint(&x, weights, run)? } else { run(&x)? };
        }
        Ok(self.norm.forward(&x, self.config.rms_norm_eps)?)
    }

    /// Appends each chunk's ids to its cache row and returns the new positions' hidden states after the final norm, `[Σ chunk, hidden]`,
    /// chunks one after the other. Rows grow by different amounts in one call.
    pub fn forward_cached(&self, chunks: &[(usize, &[u32])], cache: &mut KvCache) -> Result<Tensor, ModelError> {
        cache.check(chunks, self.context)?;
        let ids: Vec<u32> = chunks.iter().flat_map(|c| c.1.iter().copied()).collect();
        let mut x = self.embed(&ids)?.detach();
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block
                .forward(&x, &self.config, false, |q, k, v| cache.attend(layer, (q, k, v), chunks, block.heads, &block.rotary))?
                .detach();
        }
        cache.grow(chunks);
        Ok(self.norm.forward(&x, self.config.rms_norm_eps)?.detach())
    }

    /// Next-token logits of hidden states: `[n, hidden]` → `[n, vocabulary]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        let head = self.head.as_ref().ok_or_else(|| ModelError::Input("this decoder was loaded without its output projection".into()))?;
        let logits = head.forward(hidden, self.adapts && hidden.track_op())?;
        let divisor = self.config.variant.logits_divisor;
        Ok(if divisor == 1.0 { logits } else { (logits / divisor)? })
    }
}
