//! GGUF files: metadata to a [`Config`], tensors under their Hugging Face names, quantised weights kept so.

mod shape;
mod source;
mod tokenizer;

use crate::model::{ChatTemplate, ModelError, TextTokenizer};
use candle_core::quantized::gguf_file::{Content, Value};
pub use source::GgufSource;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Seek},
    path::{Path, PathBuf},
    sync::Mutex,
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
                let kind = e.rsplit(' ').next().and_then(|id| id.parse().ok()).and_then(quantisation);
                let kind = kind.map_or_else(|| e.clone(), |name| format!("a tensor is in {name}"));
                let remedy = "take a file in F16, BF16, Q8_0, Q4_0 or a K quantisation such as Q4_K_M; llama-quantize makes one";
                error(format!("a quantisation that is not supported: {kind}"), remedy)
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

    pub(in crate::model) fn number(&self, key: &str) -> Option<f64> {
        match self.content.metadata.get(key)? {
            Value::F32(x) => Some(f64::from(*x)),
            Value::F64(x) => Some(*x),
            v => whole(v).map(|n| n as f64),
        }
    }

    /// The tokenizer, rebuilt from the metadata: byte-level BPE with a known pre-tokenizer, or SentencePiece BPE. Errors for other kinds.
    pub fn tokenizer(&self) -> Result<TextTokenizer, ModelError> {
        tokenizer::tokenizer(self)
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
}

/// The name of a quantisation that ggml numbers so and candle does not compute.
fn quantisation(id: u32) -> Option<&'static str> {
    Some(match id {
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        _ => return None,
    })
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

    /// A header with one tensor of these dimensions and no data, stored as ggml numbers it.
    fn header_of(dims: &[u64], kind: u32) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend([1_u64, 0].map(u64::to_le_bytes).concat());
        out.extend(1_u64.to_le_bytes());
        out.extend(b"t");
        out.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(0_u64.to_le_bytes());
        out
    }

    /// The same in F32.
    fn header(dims: &[u64]) -> Vec<u8> {
        header_of(dims, 0)
    }

    #[test]
    fn a_quantisation_that_is_not_computed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        for (kind, name) in [(39, "MXFP4"), (20, "IQ4_NL"), (23, "IQ4_XS"), (34, "TQ1_0"), (77, "77")] {
            std::fs::write(&path, header_of(&[32], kind)).unwrap();
            let error = GgufFile::open(&path).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(name) && error.contains("Q4_K_M"), "{kind}: {error}");
        }
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
