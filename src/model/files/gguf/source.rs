//! Weights of a GGUF file under Hugging Face names, quantised ones kept so.

use super::{GgufFile, plain, shape::is_permuted, size_of_info};
use crate::model::files::safetensors::{Counter, Part, whole_of};
use crate::model::{Codes, Kind, LinearWeight, ModelError, Progress, WeightSource};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor, gguf_file::TensorInfo},
};
use std::{
    borrow::Cow,
    io::{Read, Seek, SeekFrom},
    sync::{Arc, Mutex},
};

impl GgufFile {
    /// The weights; tensors are read when asked for.
    pub fn source(self, device: &Device, dtype: DType, progress: Option<Progress>) -> GgufSource {
        let total = self.content.tensor_infos.values().map(|i| size_of_info(i) as u64).sum();
        let arch = self.text("general.architecture").unwrap_or_default();
        let heads = self.count(&format!("{arch}.attention.head_count")).unwrap_or(1).max(1);
        let kv_heads = self.count(&format!("{arch}.attention.head_count_kv")).unwrap_or(heads).max(1);
        let arch = arch.to_owned();
        GgufSource {
            file: self,
            device: device.clone(),
            dtype,
            heads,
            kv_heads,
            arch,
            embedding: Mutex::default(),
            counter: Counter::new(total, progress),
        }
    }

    pub(super) fn qtensor(&self, name: &str, device: &Device) -> Result<QTensor, ModelError> {
        let mut reader = self.reader.lock().unwrap_or_else(|e| e.into_inner());
        self.content
            .tensor(&mut *reader, name, device)
            .map_err(|e| self.error(format!("tensor {name}: {}", plain(&e)), "fetch the file again"))
    }

    /// Bytes of a row of a tensor, seen as rows of its last dimension; fails where it has not these `rows` from `first` on.
    fn row_bytes(&self, name: &str, info: &TensorInfo, first: usize, rows: usize) -> Result<usize, ModelError> {
        let dims = info.shape.dims();
        let width = dims.last().copied().unwrap_or(0);
        let all = info.shape.elem_count() / width.max(1);
        let block = info.ggml_dtype.block_size();
        if !width.is_multiple_of(block) || first.checked_add(rows).is_none_or(|last| last > all) {
            return Err(self
                .error(format!("tensor {name} of shape {dims:?} does not have rows {first} to {}", first + rows), "fetch the file again"));
        }
        Ok(width / block * info.ggml_dtype.type_size())
    }

    /// Fills `into` with what the tensor has from this byte on.
    fn read_into(&self, info: &TensorInfo, at: usize, into: &mut [u8]) -> Result<(), ModelError> {
        let start = self.content.tensor_data_offset + info.offset + at as u64;
        let mut reader = self.reader.lock().unwrap_or_else(|e| e.into_inner());
        // Past the buffer, which every search through it empties.
        let file = reader.get_mut();
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(into));
        read.map_err(|source| ModelError::Io { path: self.path.clone(), source })
    }

    /// Some rows of a tensor as a matrix.
    fn rows(&self, name: &str, info: &TensorInfo, first: usize, rows: usize, device: &Device) -> Result<QTensor, ModelError> {
        let bytes = self.row_bytes(name, info, first, rows)?;
        let mut data = vec![0; rows * bytes];
        self.read_into(info, first * bytes, &mut data)?;
        let storage = QStorage::from_data(Cow::Owned(data), device, info.ggml_dtype)?;
        let width = info.shape.dims().last().copied().unwrap_or(0);
        Ok(QTensor::new(storage, (rows, width))?)
    }
}

/// Weights of a GGUF file under Hugging Face names.
///
/// Linear weights, and on the CPU the embedding, stay quantised: as [`Codes`] where the format and the processor have them, otherwise in candle's own form,
/// except that Q4_1, Q5_0 and Q5_1, for which candle has no SIMD kernels, become Q8_0. Everything else is dequantised.
/// `lm_head.weight` of a model with tied embeddings is the embedding, the same bytes in memory.
pub struct GgufSource {
    file: GgufFile,
    device: Device,
    dtype: DType,
    heads: usize,
    kv_heads: usize,
    /// `general.architecture`.
    arch: String,
    /// The embedding, once it was asked for, for a head that is tied to it.
    embedding: Mutex<Option<Arc<Codes>>>,
    counter: Counter,
}

impl GgufSource {
    fn has(&self, name: &str) -> bool {
        self.file.content.tensor_infos.contains_key(name)
    }

    /// Where `name` is in the file: a tensor, and its part where it is not the whole of it.
    fn find(&self, name: &str) -> Option<(String, Place)> {
        let whole = |name: &str| gguf_name(name, &self.arch).filter(|n| self.has(n));
        if let Some(found) = whole(name) {
            // Phi-3 has gate and up under the name that others have up under.
            let both = self.arch == "phi3" && name.ends_with("mlp.up_proj.weight");
            return Some((found, if both { Place::Part(Part::Up) } else { Place::Whole }));
        }
        if name == "lm_head.weight" {
            return self.find("model.embed_tokens.weight");
        }
        if let Some((layer, expert, part)) = expert_of(name) {
            let found = format!("blk.{layer}.ffn_{part}_exps.weight");
            return self.has(&found).then_some((found, Place::Expert(expert)));
        }
        let (fused, part) = whole_of(name)?;
        whole(&fused).map(|found| (found, Place::Part(part)))
    }

    /// Heads in the rows of `name` where these are in interleaved rotary order.
    fn interleaved(&self, name: &str) -> Option<usize> {
        if !is_permuted(&self.arch) {
            return None;
        }
        match name.rsplit('.').nth(1)? {
            "q_proj" => Some(self.heads),
            "k_proj" => Some(self.kv_heads),
            _ => None,
        }
    }

    /// The tensor called `name`: its name in the file, what the file says of it, and the first of its rows that are meant where these are not all.
    fn locate(&self, name: &str, shape: &[usize]) -> Result<(String, &TensorInfo, Option<usize>), ModelError> {
        let Some((found, place)) = self.find(name) else {
            let called = gguf_name(name, &self.arch).unwrap_or_else(|| name.to_owned());
            let what = format!("tensor {called} is missing (expected shape {shape:?})");
            return Err(self.file.error(what, "the file is not complete: fetch it again"));
        };
        let info = &self.file.content.tensor_infos[&found];
        let dims = info.shape.dims();
        let rows = shape.first().copied().unwrap_or(0);
        let wrong = || {
            let what = format!("tensor {found} has shape {dims:?}, expected {shape:?} by the metadata");
            self.file.error(what, "the file is damaged: fetch it again")
        };
        let first = match place {
            Place::Whole if dims == shape => None,
            Place::Part(part) if dims.len() == shape.len() && dims[1..] == shape[1..] => Some(part.first(dims[0], rows).ok_or_else(wrong)?),
            Place::Expert(expert) if dims.len() == 3 && dims[1..] == *shape && expert < dims[0] => Some(expert * rows),
            _ => return Err(wrong()),
        };
        Ok((found, info, first))
    }

    fn read(&self, name: &str, shape: &[usize], device: &Device) -> Result<QTensor, ModelError> {
        let (found, info, first) = self.locate(name, shape)?;
        let tensor = match (first, self.interleaved(name)) {
            (Some(first), _) => self.file.rows(&found, info, first, shape.first().copied().unwrap_or(0), device)?,
            (None, None) => self.file.qtensor(&found, device)?,
            (None, Some(heads)) => half_split(&self.file.qtensor(&found, &Device::Cpu)?, heads, device)?,
        };
        self.count(info, shape);
        Ok(tensor)
    }

    /// Tells that so much of a tensor was read.
    fn count(&self, info: &TensorInfo, shape: &[usize]) {
        let whole = info.shape.elem_count().max(1);
        self.counter.add(size_of_info(info) as u64 * shape.iter().product::<usize>() as u64 / whole as u64);
    }

    /// A matrix in the layout of this processor's kernels; `None` where there is none for it.
    fn codes(&self, name: &str, out: usize, input: usize) -> Result<Option<Arc<Codes>>, ModelError> {
        let (found, info, first) = self.locate(name, &[out, input])?;
        let Some(kind) = Kind::of(info.ggml_dtype).filter(|_| self.device.is_cpu() && self.dtype == DType::F32) else { return Ok(None) };
        let mut embedding = (found == EMBEDDING).then(|| self.embedding.lock().unwrap_or_else(|e| e.into_inner()));
        if let Some(Some(shared)) = embedding.as_deref() {
            return Ok(Some(shared.clone()));
        }
        let codes = match self.interleaved(name) {
            Some(_) => {
                let tensor = self.read(name, &[out, input], &Device::Cpu)?;
                let data = tensor.data()?;
                let bytes = data.len() / out.max(1);
                let read = |row: usize, into: &mut [u8]| {
                    into.copy_from_slice(&data[row * bytes..][..into.len()]);
                    Ok::<_, ModelError>(())
                };
                Codes::new(kind, out, input, read)?
            }
            None => {
                let first = first.unwrap_or(0);
                let bytes = self.file.row_bytes(&found, info, first, out)?;
                let codes = Codes::new(kind, out, input, |row, into| self.file.read_into(info, (first + row) * bytes, into))?;
                self.count(info, &[out, input]);
                codes
            }
        };
        let codes = Arc::new(codes);
        if let Some(slot) = embedding.as_deref_mut() {
            *slot = Some(codes.clone());
        }
        Ok(Some(codes))
    }
}

/// The embedding's name in a file.
const EMBEDDING: &str = "token_embd.weight";

/// What of a tensor is meant.
#[derive(Clone, Copy)]
enum Place {
    /// All of it.
    Whole,
    /// One of the matrices below each other in it.
    Part(Part),
    /// The matrix of one expert.
    Expert(usize),
}

/// Layer, expert and matrix (`gate`, `up`, `down`) that an expert's weight is called by.
fn expert_of(name: &str) -> Option<(&str, usize, &str)> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once(".mlp.experts.")?;
    let (expert, rest) = rest.split_once('.')?;
    Some((layer, expert.parse().ok()?, rest.strip_suffix("_proj.weight")?))
}

impl WeightSource for GgufSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let tensor = self.read(name, shape, &self.device)?.dequantize(&self.device)?;
        // llama.cpp's converter writes 1 + w, the family's decoder adds the 1 itself.
        let tensor = if self.arch == "gemma3" && name.ends_with("norm.weight") { (tensor - 1.0)? } else { tensor };
        Ok(tensor.to_dtype(self.dtype)?)
    }

    fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeight, ModelError> {
        if let Some(codes) = self.codes(name, out, input)? {
            return Ok(LinearWeight::Codes(codes));
        }
        let tensor = self.read(name, &[out, input], &self.device)?;
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

    fn embedding(&self, name: &str, rows: usize, width: usize) -> Result<LinearWeight, ModelError> {
        if !self.device.is_cpu() || self.dtype != DType::F32 {
            return Ok(LinearWeight::Dense(self.tensor(name, &[rows, width])?));
        }
        match self.codes(name, rows, width)? {
            Some(codes) => Ok(LinearWeight::Codes(codes)),
            None => {
                let tensor = self.read(name, &[rows, width], &self.device)?;
                Ok(match tensor.dtype() {
                    GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => LinearWeight::Dense(tensor.dequantize(&self.device)?),
                    _ => LinearWeight::Quantized(Arc::new(QMatMul::QTensor(Arc::new(tensor)))),
                })
            }
        }
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

/// The GGUF name of a Hugging Face tensor in a file of this architecture.
fn gguf_name(name: &str, arch: &str) -> Option<String> {
    match name {
        "model.embed_tokens.weight" => return Some(EMBEDDING.into()),
        "model.norm.weight" => return Some("output_norm.weight".into()),
        "lm_head.weight" => return Some("output.weight".into()),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (module, kind) = rest.rsplit_once('.')?;
    let module = match module {
        "input_layernorm" => "attn_norm",
        // Where there are norms after attention and MLP, this is the one after attention.
        "post_attention_layernorm" if matches!(arch, "gemma3" | "olmo2") => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" => "attn_qkv",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate" => "ffn_gate_inp",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.gate_up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{module}.{kind}"))
}
