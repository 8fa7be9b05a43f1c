//! GGUF files: metadata to a [`Config`], tensors under their Hugging Face names, quantised weights kept so.

use super::{config_json::supported, safetensors::Counter};
use crate::model::{ChatTemplate, Codes, Config, LinearWeight, ModelError, Progress, RopeScaling, TextTokenizer, WeightSource};
use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QMatMul, QStorage, QTensor,
        gguf_file::{Content, Value},
    },
};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Seek},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// A GGUF file's header, and the file to read tensors from.
pub struct GgufFile {
    pub(in crate::model) content: Content,
    pub(in crate::model) path: PathBuf,
    reader: Mutex<BufReader<File>>,
}

impl GgufFile {
    /// Reads the header. Errors where the file is no GGUF, is cut off, or holds a quantisation that cannot be computed.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.into(), source };
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let error = |what: String, remedy: &str| ModelError::File { path: path.into(), what, remedy: remedy.into() };
        let content = Content::read(&mut reader).map_err(|e| {
            let e = plain(&e);
            if e.contains("unknown dtype") {
                error(format!("a tensor's quantisation is not supported ({e})"), "take a file in F16, BF16, Q8_0, Q4_0 or a K quantisation")
            } else if e.contains("magic") {
                error(format!("not a GGUF file ({e})"), "give a .gguf file or a model directory")
            } else {
                error(format!("not a valid GGUF header: {e}"), "the file is damaged or not fully fetched: fetch it again")
            }
        })?;
        for (name, info) in &content.tensor_infos {
            let elements = info.shape.dims().iter().try_fold(1_u64, |n, &d| n.checked_mul(d as u64));
            let bytes = elements.and_then(|n| (n / info.ggml_dtype.block_size() as u64).checked_mul(info.ggml_dtype.type_size() as u64));
            let end = bytes.and_then(|b| b.checked_add(content.tensor_data_offset)?.checked_add(info.offset));
            if end.is_none_or(|end| end > size) {
                let at = end.map_or_else(
                    || format!("has the impossible shape {:?}", info.shape.dims()),
                    |end| format!("ends at byte {end} of {size}"),
                );
                let what = format!("cut off: tensor {name} {at}");
                return Err(error(what, "the file is damaged or not fully fetched: fetch it again"));
            }
        }
        reader.rewind().map_err(io)?;
        Ok(Self { content, path: path.into(), reader: Mutex::new(reader) })
    }

    pub(in crate::model) fn error(&self, what: impl Into<String>, remedy: &str) -> ModelError {
        ModelError::File { path: self.path.clone(), what: what.into(), remedy: remedy.into() }
    }

    pub(in crate::model) fn text(&self, key: &str) -> Option<&str> {
        match self.content.metadata.get(key) {
            Some(Value::String(s)) => Some(s),
            _ => None,
        }
    }

    pub(in crate::model) fn flag(&self, key: &str) -> Option<bool> {
        self.content.metadata.get(key).and_then(|v| v.to_bool().ok())
    }

    pub(in crate::model) fn count(&self, key: &str) -> Option<usize> {
        whole(self.content.metadata.get(key)?)
    }

    fn number(&self, key: &str) -> Option<f64> {
        match self.content.metadata.get(key)? {
            Value::F32(x) => Some(f64::from(*x)),
            Value::F64(x) => Some(*x),
            v => whole(v).map(|n| n as f64),
        }
    }

    /// The shape, from the metadata. Errors name the missing or unsupported key.
    pub fn config(&self) -> Result<Config, ModelError> {
        let arch = self.text("general.architecture").ok_or_else(|| self.error("general.architecture is missing", &supported()))?;
        if !crate::model::FAMILIES.contains(&arch) {
            return Err(self.error(format!("general.architecture {arch:?} is not supported"), &supported()));
        }
        let key = |name: &str| format!("{arch}.{name}");
        let needed = |name: &str| {
            let found = self.count(&key(name)).filter(|&n| n > 0);
            found.ok_or_else(|| self.error(format!("metadata {arch}.{name} is missing or no whole number"), "fetch the file again"))
        };
        if self.count(&key("expert_count")).unwrap_or(0) > 0 {
            return Err(self.error("a mixture of experts is not supported", &supported()));
        }
        let has = |name: &str| self.content.tensor_infos.contains_key(name);
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        let vocab_size = embedding.and_then(|i| i.shape.dims().first().copied());
        let vocab_size = vocab_size.ok_or_else(|| self.error("tensor token_embd.weight is missing", "fetch the file again"))?;
        let (hidden_size, num_attention_heads) = (needed("embedding_length")?, needed("attention.head_count")?);
        let head_dim = self.count(&key("attention.key_length")).unwrap_or(hidden_size / num_attention_heads);
        if self.count(&key("rope.dimension_count")).is_some_and(|d| d != head_dim) {
            return Err(self.error(
                format!("metadata {arch}.rope.dimension_count is not the head's width {head_dim}"),
                "the decoder rotates whole heads",
            ));
        }
        let max_position_embeddings = needed("context_length")?;
        let rope_theta = self.number(&key("rope.freq_base")).unwrap_or(10_000.0);
        let id = |name: &str| self.count(&format!("tokenizer.ggml.{name}")).and_then(|n| u32::try_from(n).ok());
        let mut eos_token_ids: Vec<u32> = ["eos_token_id", "eot_token_id"].iter().filter_map(|n| id(n)).collect();
        eos_token_ids.dedup();
        let config = Config {
            model_type: arch.to_owned(),
            vocab_size,
            hidden_size,
            intermediate_size: needed("feed_forward_length")?,
            num_hidden_layers: needed("block_count")?,
            num_attention_heads,
            num_key_value_heads: self.count(&key("attention.head_count_kv")).unwrap_or(num_attention_heads),
            head_dim,
            rms_norm_eps: self.number(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-6),
            rope_theta,
            rope_scaling: self.rope_scaling(arch, head_dim, rope_theta, max_position_embeddings)?,
            max_position_embeddings,
            tie_word_embeddings: !has("output.weight"),
            qkv_bias: has("blk.0.attn_q.bias"),
            o_bias: has("blk.0.attn_output.bias"),
            qk_norm: has("blk.0.attn_q_norm.weight"),
            eos_token_ids,
            bos_token_id: id("bos_token_id"),
        };
        match config.implausible() {
            Some(what) => Err(self.error(format!("the metadata say that {what}"), "the file is damaged: fetch it again")),
            None => Ok(config),
        }
    }

    fn rope_scaling(&self, arch: &str, head_dim: usize, theta: f64, context: usize) -> Result<RopeScaling, ModelError> {
        let key = |name: &str| format!("{arch}.rope.scaling.{name}");
        if self.content.tensor_infos.contains_key("rope_freqs.weight") {
            return self.llama3_scaling(head_dim, theta);
        }
        let factor = self.number(&key("factor")).or_else(|| self.number(&format!("{arch}.rope.scale_linear"))).unwrap_or(1.0);
        Ok(match self.text(&key("type")) {
            None | Some("none") if factor == 1.0 => RopeScaling::Default,
            None | Some("linear") => RopeScaling::Linear { factor },
            Some("yarn") => RopeScaling::Yarn {
                factor,
                beta_fast: self.number(&key("yarn_beta_fast")).unwrap_or(32.0),
                beta_slow: self.number(&key("yarn_beta_slow")).unwrap_or(1.0),
                original_max_position_embeddings: self.count(&key("original_context_length")).unwrap_or(context),
                // The factor in the file is put on top of YaRN's own.
                attention_factor: self.number(&key("attn_factor")).filter(|f| *f != 1.0).map(|f| f * (0.1 * factor.ln() + 1.0)),
            },
            Some(other) => {
                return Err(self.error(format!("rope scaling {other:?} is not supported"), "supported: none, linear, yarn, Llama 3's"));
            }
        })
    }

    /// Llama 3's scaling stands in a GGUF only as the divisors it gives; finds the published parameters that give them.
    fn llama3_scaling(&self, head_dim: usize, theta: f64) -> Result<RopeScaling, ModelError> {
        let divisors = self.qtensor("rope_freqs.weight", &Device::Cpu)?.dequantize(&Device::Cpu)?.to_vec1::<f32>()?;
        let factor = f64::from(divisors.iter().copied().fold(1.0, f32::max));
        let (low, high, original) = (1.0, 4.0, 8192usize);
        let expected = |i: usize| {
            let wavelength = std::f64::consts::TAU * theta.powf(2.0 * i as f64 / head_dim as f64);
            let smooth = ((original as f64 / wavelength - low) / (high - low)).clamp(0.0, 1.0);
            1.0 / ((1.0 - smooth) / factor + smooth)
        };
        let agree =
            divisors.len() == head_dim / 2 && divisors.iter().enumerate().all(|(i, &d)| (f64::from(d) / expected(i) - 1.0).abs() < 1e-3);
        if !agree {
            return Err(self.error("rope_freqs.weight is not the scaling of Llama 3.1 or 3.2", "use the model's safetensors instead"));
        }
        Ok(RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original })
    }

    /// The tokenizer, rebuilt from the metadata: byte-level BPE with a known pre-tokenizer, or SentencePiece BPE. Errors for other kinds.
    pub fn tokenizer(&self) -> Result<TextTokenizer, ModelError> {
        super::gguf_tokenizer::tokenizer(self)
    }

    /// The chat template, where the file has one.
    pub fn chat_template(&self, tokenizer: &TextTokenizer) -> Result<Option<ChatTemplate>, ModelError> {
        let Some(source) = self.text("tokenizer.chat_template") else { return Ok(None) };
        ChatTemplate::new(source, &self.path, tokenizer.bos(), tokenizer.eos()).map(Some)
    }

    /// How most of the weights are stored, for people.
    pub fn stored(&self) -> String {
        let mut bytes: BTreeMap<String, usize> = BTreeMap::new();
        for info in self.content.tensor_infos.values() {
            *bytes.entry(format!("{:?}", info.ggml_dtype)).or_default() += size_of_info(info);
        }
        bytes.into_iter().max_by_key(|b| b.1).map(|b| b.0).unwrap_or_default()
    }

    /// The weights; tensors are read when asked for.
    pub fn source(self, device: &Device, dtype: DType, progress: Option<Progress>) -> GgufSource {
        let total = self.content.tensor_infos.values().map(|i| size_of_info(i) as u64).sum();
        let arch = self.text("general.architecture").unwrap_or_default().to_owned();
        let heads = self.count(&format!("{arch}.attention.head_count")).unwrap_or(1).max(1);
        let kv_heads = self.count(&format!("{arch}.attention.head_count_kv")).unwrap_or(heads).max(1);
        let permuted = arch == "llama" || arch == "mistral";
        GgufSource { file: self, device: device.clone(), dtype, heads, kv_heads, permuted, counter: Counter::new(total, progress) }
    }

    fn qtensor(&self, name: &str, device: &Device) -> Result<QTensor, ModelError> {
        let mut reader = self.reader.lock().unwrap_or_else(|e| e.into_inner());
        self.content
            .tensor(&mut *reader, name, device)
            .map_err(|e| self.error(format!("tensor {name}: {}", plain(&e)), "fetch the file again"))
    }
}

/// Weights of a GGUF file under Hugging Face names.
///
/// Linear weights stay quantised: as [`Codes`] where the format and the processor have them, otherwise in candle's own form, except that Q4_1, Q5_0
/// and Q5_1, for which candle has no SIMD kernels, become Q8_0. Everything else is dequantised.
/// `lm_head.weight` of a model with tied embeddings is the embedding, so that the output projection can stay quantised beside a dense embedding.
pub struct GgufSource {
    file: GgufFile,
    device: Device,
    dtype: DType,
    heads: usize,
    kv_heads: usize,
    /// Rows of q and k are in interleaved rotary order.
    permuted: bool,
    counter: Counter,
}

impl GgufSource {
    /// The tensor's name in the file, where it is there.
    fn find(&self, name: &str) -> Option<String> {
        let has = |n: &str| self.file.content.tensor_infos.contains_key(n);
        let found = gguf_name(name)?;
        if name == "lm_head.weight" && !has(&found) {
            return self.find("model.embed_tokens.weight");
        }
        has(&found).then_some(found)
    }

    /// Heads in the rows of `name` where these are in interleaved rotary order.
    fn interleaved(&self, name: &str) -> Option<usize> {
        if !self.permuted {
            return None;
        }
        match name.rsplit('.').nth(1)? {
            "q_proj" => Some(self.heads),
            "k_proj" => Some(self.kv_heads),
            _ => None,
        }
    }

    fn read(&self, name: &str, shape: &[usize], device: &Device) -> Result<QTensor, ModelError> {
        let Some(found) = self.find(name) else {
            let what = format!("tensor {} is missing (expected shape {shape:?})", gguf_name(name).unwrap_or_else(|| name.to_owned()));
            return Err(self.file.error(what, "the file is not complete: fetch it again"));
        };
        let info = &self.file.content.tensor_infos[&found];
        if info.shape.dims() != shape {
            let what = format!("tensor {found} has shape {:?}, expected {shape:?} by the metadata", info.shape.dims());
            return Err(self.file.error(what, "the file is damaged: fetch it again"));
        }
        let tensor = match self.interleaved(name) {
            None => self.file.qtensor(&found, device)?,
            Some(heads) => half_split(&self.file.qtensor(&found, &Device::Cpu)?, heads, device)?,
        };
        self.counter.add(size_of_info(info) as u64);
        Ok(tensor)
    }
}

impl WeightSource for GgufSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        Ok(self.read(name, shape, &self.device)?.dequantize(&self.device)?.to_dtype(self.dtype)?)
    }

    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        let tensor = self.read(name, &[out, input], &self.device)?;
        if self.device.is_cpu()
            && let Some(codes) = Codes::new(&tensor)?
        {
            return Ok(LinearWeight::Codes(Arc::new(codes)));
        }
        let tensor = match tensor.dtype() {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
                return Ok(LinearWeight::Dense(tensor.dequantize(&self.device)?.to_dtype(self.dtype)?));
            }
            GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 if self.device.is_cpu() => {
                QTensor::quantize(&tensor.dequantize(&self.device)?, GgmlDType::Q8_0)?
            }
            _ => tensor,
        };
        Ok(LinearWeight::Quantized(Arc::new(QMatMul::from_qtensor(tensor)?)))
    }

    fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// Puts the rows of each head from interleaved rotary order (pairs side by side) into half-split order (first members, then second members).
fn half_split(tensor: &QTensor, heads: usize, device: &Device) -> Result<QTensor, ModelError> {
    let rows = tensor.shape().dims().first().copied().unwrap_or(0);
    let data = tensor.data()?;
    let width = data.len() / rows.max(1);
    let head = rows / heads;
    let mut out = Vec::with_capacity(data.len());
    for h in 0..heads {
        for half in 0..2 {
            for j in 0..head / 2 {
                let row = h * head + 2 * j + half;
                out.extend_from_slice(&data[row * width..(row + 1) * width]);
            }
        }
    }
    if out.len() != data.len() {
        return Err(ModelError::Input(format!("{rows} rows cannot be divided into {heads} heads of even width")));
    }
    let storage = QStorage::from_data(Cow::Owned(out), device, tensor.dtype())?;
    Ok(QTensor::new(storage, tensor.shape().clone())?)
}

/// The GGUF name of a Hugging Face tensor.
fn gguf_name(name: &str) -> Option<String> {
    match name {
        "model.embed_tokens.weight" => return Some("token_embd.weight".into()),
        "model.norm.weight" => return Some("output_norm.weight".into()),
        "lm_head.weight" => return Some("output.weight".into()),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (module, kind) = rest.rsplit_once('.')?;
    let module = match module {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{module}.{kind}"))
}

fn size_of_info(info: &candle_core::quantized::gguf_file::TensorInfo) -> usize {
    info.shape.elem_count() / info.ggml_dtype.block_size() * info.ggml_dtype.type_size()
}

fn whole(v: &Value) -> Option<usize> {
    match v {
        Value::I8(n) => usize::try_from(*n).ok(),
        Value::I16(n) => usize::try_from(*n).ok(),
        Value::I32(n) => usize::try_from(*n).ok(),
        Value::I64(n) => usize::try_from(*n).ok(),
        Value::Bool(_) => None,
        v => v.to_u64().ok().and_then(|n| usize::try_from(n).ok()),
    }
}

/// candle's message without the backtrace it may carry.
fn plain(e: &candle_core::Error) -> String {
    e.to_string().lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one F32 tensor of these dimensions and no data.
    fn header(dims: &[u64]) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend([1_u64, 0].map(u64::to_le_bytes).concat());
        out.extend(1_u64.to_le_bytes());
        out.extend(b"t");
        out.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
        out.extend(0_u32.to_le_bytes());
        out.extend(0_u64.to_le_bytes());
        out
    }

    #[test]
    fn a_size_that_wraps_around_is_no_small_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        for (dims, what) in
            [(&[1_u64 << 61, 8][..], "impossible shape"), (&[1 << 62], "impossible shape"), (&[1 << 20, 1 << 20], "ends at byte")]
        {
            std::fs::write(&path, header(dims)).unwrap();
            let error = GgufFile::open(&path).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(what) && error.contains("tensor t"), "{dims:?}: {error}");
        }
    }
}
