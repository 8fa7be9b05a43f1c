//! Weights from safetensors files: one, or shards with an index.

use crate::model::{ModelError, ModelFiles, WeightSource};
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Hears the part of the weights that is read, 0 to 1; called from the loading thread.
pub type Progress = Arc<dyn Fn(f32) + Send + Sync>;

/// File of a model's weights where there is one.
const SINGLE: &str = "model.safetensors";
/// Names the shards where there are several.
const INDEX: &str = "model.safetensors.index.json";
/// The token embedding.
pub(in crate::model) const EMBEDDING: &str = "model.embed_tokens.weight";
/// Makes safetensors of pickled weights, in their directory; `weights_only` lets the pickle hold tensors and nothing else.
const CONVERT: &str = "in that directory run: python -c \"import glob,torch,safetensors.torch as s; d={}; \
    [d.update(torch.load(f,map_location='cpu',weights_only=True)) for f in sorted(glob.glob('pytorch_model*.bin'))]; \
    s.save_file({k:v.clone().contiguous() for k,v in d.items()},'model.safetensors')\"";
/// A header longer than this is no header.
const MAX_HEADER: u64 = 100 << 20;
/// What to do about a damaged file.
const REFETCH: &str = "the file is damaged or not fully fetched: fetch it again";

/// Weights in safetensors: f32, f64, f16 and bf16, converted to the compute type.
///
/// A tensor's bytes are read from the file when it is asked for, so that never more than one tensor is held twice.
pub struct SafetensorsSource {
    shards: Vec<Shard>,
    tensors: HashMap<String, (usize, Entry)>,
    device: Device,
    dtype: DType,
    counter: Counter,
    /// The embedding once read: a tied output projection asks for it again and shares it.
    embedding: Mutex<Option<Tensor>>,
}

impl SafetensorsSource {
    /// Opens the weights of `files` and checks headers and sizes; tensors are read later. Errors name the file and what is wrong with it.
    pub fn open(files: &ModelFiles, device: &Device, dtype: DType, progress: Option<Progress>) -> Result<Self, ModelError> {
        let names = if files.has(SINGLE) {
            vec![SINGLE.to_owned()]
        } else if files.has(INDEX) {
            shard_names(files)?
        } else {
            let pickled = files.has("pytorch_model.bin") || files.has("pytorch_model.bin.index.json");
            let (what, remedy) = match pickled {
                true => (
                    "the weights are pickled (pytorch_model*.bin), which is never opened here, for a pickle can run code",
                    CONVERT.to_owned(),
                ),
                false => ("no weights", format!("the directory needs {SINGLE}, or shards with {INDEX}")),
            };
            return Err(ModelError::File { path: files.path(), what: what.into(), remedy });
        };
        let mut shards = Vec::new();
        for name in &names {
            let path = files.path_of(name);
            shards.push(match files {
                ModelFiles::Embedded { .. } => Shard::new(path, Bytes::Memory(files.read(name)?))?,
                _ => Shard::open(path)?,
            });
        }
        Self::new(shards, device, dtype, progress)
    }

    /// Opens one safetensors file by its path.
    pub fn open_file(path: &Path, device: &Device, dtype: DType, progress: Option<Progress>) -> Result<Self, ModelError> {
        Self::new(vec![Shard::open(path.into())?], device, dtype, progress)
    }

    fn new(shards: Vec<Shard>, device: &Device, dtype: DType, progress: Option<Progress>) -> Result<Self, ModelError> {
        let mut tensors = HashMap::new();
        let mut total = 0;
        for (i, shard) in shards.iter().enumerate() {
            for (name, entry) in &shard.entries {
                total += entry.len();
                // What `torch.compile` wraps has this in its names.
                tensors.insert(name.replace("_orig_mod.", ""), (i, entry.clone()));
            }
        }
        Ok(Self { shards, tensors, device: device.clone(), dtype, counter: Counter::new(total, progress), embedding: Mutex::default() })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Shape of the tensor `name`, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.find(name).map(|(_, e)| e.shape.as_slice())
    }

    /// How most of the weights are stored, for people.
    pub fn stored(&self) -> String {
        let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, e) in self.tensors.values() {
            *bytes.entry(&e.dtype).or_default() += e.len();
        }
        bytes.into_iter().max_by_key(|b| b.1).map(|b| b.0.to_owned()).unwrap_or_default()
    }

    /// The entry of `name`; base models saved without a head have no `model.` before their names, the text parts of models that see pictures more.
    fn find(&self, name: &str) -> Option<&(usize, Entry)> {
        let get = |name: &str| self.tensors.get(name);
        let rest = name.strip_prefix("model.");
        get(name)
            .or_else(|| get(rest?))
            .or_else(|| get(&format!("model.language_model.{}", rest?)))
            .or_else(|| get(&format!("language_model.{name}")))
    }

    /// The part of a matrix of several in one that is called `name` and has `rows` rows; `None` where there is no such matrix.
    fn part(&self, name: &str, rows: usize) -> Option<(usize, Entry)> {
        let (whole, part) = whole_of(name)?;
        let (shard, entry) = self.find(&whole)?;
        let all = *entry.shape.first()?;
        let first = part.first(all, rows)?;
        let bytes = entry.len() / all.max(1) as u64;
        let start = entry.data_offsets[0] + first as u64 * bytes;
        let shape = [&[rows], &entry.shape[1..]].concat();
        Some((*shard, Entry { shape, data_offsets: [start, start + rows as u64 * bytes], dtype: entry.dtype.clone() }))
    }

    fn error(&self, shard: usize, what: String, remedy: &str) -> ModelError {
        ModelError::File { path: self.shards[shard].path.clone(), what, remedy: remedy.into() }
    }
}

impl WeightSource for SafetensorsSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let part = || self.part(name, *shape.first()?);
        let Some((shard, entry)) = &self.find(name).cloned().or_else(part) else {
            let remedy = "config.json and the weights do not belong together, or a shard is missing";
            return Err(self.error(0, format!("tensor {name} is missing (expected shape {shape:?})"), remedy));
        };
        if entry.shape != shape {
            let what = format!("tensor {name} has shape {:?}, expected {shape:?} by config.json", entry.shape);
            return Err(self.error(*shard, what, "config.json and the weights do not belong together"));
        }
        let dtype = match entry.dtype.as_str() {
            "F32" => DType::F32,
            "F64" => DType::F64,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            other => {
                let what = format!("tensor {name} is stored as {other}");
                return Err(self.error(*shard, what, "supported: F32, F64, F16, BF16; use the unquantised model or a GGUF of it"));
            }
        };
        let mut embedding = (name == EMBEDDING).then(|| self.embedding.lock().unwrap_or_else(|e| e.into_inner()));
        if let Some(Some(shared)) = embedding.as_deref() {
            return Ok(shared.clone());
        }
        let bytes = self.shards[*shard].read(entry)?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, shape, &self.device)?.to_dtype(self.dtype)?;
        self.counter.add(entry.len());
        if let Some(slot) = embedding.as_deref_mut() {
            *slot = Some(tensor.clone());
        }
        Ok(tensor)
    }

    fn contains(&self, name: &str) -> bool {
        self.find(name).is_some() || whole_of(name).is_some_and(|(whole, _)| self.find(&whole).is_some())
    }
}

/// A place in a matrix that holds several, one below the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Part {
    /// q, of q, k and v.
    Query,
    /// k, as tall as v.
    Key,
    /// v.
    Value,
    /// gate, as tall as up.
    Gate,
    /// up.
    Up,
}

impl Part {
    /// The first of its `rows` rows among `all`; `None` where they do not fit.
    pub(in crate::model) fn first(self, all: usize, rows: usize) -> Option<usize> {
        match self {
            Self::Query => (rows <= all).then_some(0),
            Self::Key => all.checked_sub(rows.checked_mul(2)?),
            Self::Value => all.checked_sub(rows),
            Self::Gate => (Some(all) == rows.checked_mul(2)).then_some(0),
            Self::Up => (Some(all) == rows.checked_mul(2)).then_some(rows),
        }
    }
}

/// The matrix that Phi-3 has in place of `name` and others, and the place of `name` in it.
pub(in crate::model) fn whole_of(name: &str) -> Option<(String, Part)> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (module, kind) = rest.rsplit_once('.')?;
    let (whole, part) = match module {
        "self_attn.q_proj" => ("self_attn.qkv_proj", Part::Query),
        "self_attn.k_proj" => ("self_attn.qkv_proj", Part::Key),
        "self_attn.v_proj" => ("self_attn.qkv_proj", Part::Value),
        "mlp.gate_proj" => ("mlp.gate_up_proj", Part::Gate),
        "mlp.up_proj" => ("mlp.gate_up_proj", Part::Up),
        _ => return None,
    };
    Some((format!("model.layers.{layer}.{whole}.{kind}"), part))
}

/// Adds up bytes and tells the part of the whole.
pub(in crate::model) struct Counter {
    total: u64,
    done: AtomicU64,
    progress: Option<Progress>,
}

impl Counter {
    pub(in crate::model) fn new(total: u64, progress: Option<Progress>) -> Self {
        Self { total, done: AtomicU64::new(0), progress }
    }
    pub(in crate::model) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = &self.progress {
            progress((done as f64 / self.total.max(1) as f64).min(1.0) as f32);
        }
    }
}

/// One tensor in a shard's header.
#[derive(Clone, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl Entry {
    fn len(&self) -> u64 {
        self.data_offsets[1].saturating_sub(self.data_offsets[0])
    }
}

enum Bytes {
    Disk(File),
    Memory(Cow<'static, [u8]>),
}

struct Shard {
    path: PathBuf,
    bytes: Bytes,
    /// First byte of the tensors' data.
    data: u64,
    entries: HashMap<String, Entry>,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        match File::open(&path) {
            Ok(file) => Self::new(path, Bytes::Disk(file)),
            Err(source) => Err(ModelError::Io { path, source }),
        }
    }

    /// Parses the header: eight bytes of length, JSON, then data. <https://huggingface.co/docs/safetensors>
    fn new(path: PathBuf, bytes: Bytes) -> Result<Self, ModelError> {
        let error = |what: String| ModelError::File { path: path.clone(), what, remedy: REFETCH.into() };
        let size = match &bytes {
            Bytes::Disk(f) => f.metadata().map_err(|source| ModelError::Io { path: path.clone(), source })?.len(),
            Bytes::Memory(b) => b.len() as u64,
        };
        if size < 8 {
            return Err(error(format!("{size} bytes are too few for a safetensors file")));
        }
        let mut shard = Self { path: path.clone(), bytes, data: 0, entries: HashMap::new() };
        let mut length = [0; 8];
        shard.read_at(0, &mut length)?;
        if length.starts_with(b"version ") {
            return Err(ModelError::File {
                path,
                what: "a Git LFS pointer, not the weights".into(),
                remedy: "fetch it with git lfs pull".into(),
            });
        }
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > size - 8 {
            return Err(error(format!("not a safetensors file, or cut off: a header of {length} bytes in a file of {size}")));
        }
        let mut header = vec![0; length as usize];
        shard.read_at(8, &mut header)?;
        let values: HashMap<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|e| error(format!("the safetensors header is not valid: {e}")))?;
        shard.data = 8 + length;
        for (name, value) in values {
            if name == "__metadata__" {
                continue;
            }
            let entry: Entry = serde_json::from_value(value).map_err(|e| error(format!("tensor {name}: {e}")))?;
            let [start, end] = entry.data_offsets;
            if start > end || end > size - shard.data {
                return Err(error(format!("cut off: tensor {name} ends at byte {} of {size}", shard.data.saturating_add(end))));
            }
            let width = match entry.dtype.as_str() {
                "F64" => 8,
                "F32" => 4,
                "F16" | "BF16" => 2,
                _ => 0,
            };
            let count = entry.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
            if width > 0 && count.and_then(|n| n.checked_mul(width)) != Some(end - start) {
                return Err(error(format!("tensor {name}: {} bytes for {} of shape {:?}", end - start, entry.dtype, entry.shape)));
            }
            shard.entries.insert(name, entry);
        }
        Ok(shard)
    }

    fn read_at(&self, start: u64, into: &mut [u8]) -> Result<(), ModelError> {
        match &self.bytes {
            Bytes::Disk(file) => {
                let mut file = file;
                let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(into));
                read.map_err(|source| ModelError::Io { path: self.path.clone(), source })
            }
            Bytes::Memory(all) => {
                let start = start as usize;
                match start.checked_add(into.len()).and_then(|end| all.get(start..end)) {
                    Some(part) => {
                        into.copy_from_slice(part);
                        Ok(())
                    }
                    None => Err(ModelError::File { path: self.path.clone(), what: "cut off".into(), remedy: REFETCH.into() }),
                }
            }
        }
    }

    fn read(&self, entry: &Entry) -> Result<Vec<u8>, ModelError> {
        let mut bytes = vec![0; entry.len() as usize];
        self.read_at(self.data + entry.data_offsets[0], &mut bytes)?;
        Ok(bytes)
    }
}

/// Names of the shards in an index, each once, in order.
fn shard_names(files: &ModelFiles) -> Result<Vec<String>, ModelError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = files.path_of(INDEX);
    let error = |what: String, remedy: &str| ModelError::File { path: path.clone(), what, remedy: remedy.into() };
    let index: Index =
        serde_json::from_slice(&files.read(INDEX)?).map_err(|e| error(format!("not a valid index: {e}"), "fetch the file again"))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    let missing: Vec<&str> = names.iter().map(String::as_str).filter(|n| !files.has(n)).collect();
    if let [first, ..] = missing[..] {
        let what = format!("{} of {} shards are missing, the first is {first}", missing.len(), names.len());
        return Err(error(what, "fetch the missing files into the same directory"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file with these tensors of f32.
    fn file(dir: &Path, tensors: &[(&str, &[usize])]) -> PathBuf {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, shape) in tensors {
            let n: usize = shape.iter().product();
            let start = data.len();
            for i in 0..n {
                data.extend((i as f32).to_le_bytes());
            }
            header.insert((*name).into(), serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
        }
        let header = serde_json::Value::Object(header).to_string();
        let mut all = (header.len() as u64).to_le_bytes().to_vec();
        all.extend(header.as_bytes());
        all.extend(data);
        let path = dir.join("model.safetensors");
        std::fs::write(&path, all).unwrap();
        path
    }

    fn open(path: &Path) -> Result<SafetensorsSource, ModelError> {
        SafetensorsSource::open_file(path, &Device::Cpu, DType::F32, None)
    }

    #[test]
    fn tensors_are_read_and_progress_reaches_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), &[("model.a", &[2, 3]), ("b", &[4])]);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let progress: Progress = Arc::new(move |p| hears.lock().unwrap().push(p));
        let source = SafetensorsSource::open_file(&path, &Device::Cpu, DType::F64, Some(progress)).unwrap();
        let a = source.tensor("model.a", &[2, 3]).unwrap();
        assert_eq!(a.to_vec2::<f64>().unwrap(), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        assert_eq!(source.tensor("model.b", &[4]).unwrap().dims(), [4]);
        assert_eq!(*heard.lock().unwrap(), [0.6, 1.0]);
        assert!(source.contains("model.a") && source.contains("model.b") && !source.contains("model.c"));
    }

    #[test]
    fn errors_name_file_tensor_and_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), &[("a", &[2, 3])]);
        let says = |e: ModelError, words: &[&str]| {
            let e = e.to_string();
            for w in words {
                assert!(e.contains(w), "{e:?} lacks {w:?}");
            }
        };
        let source = open(&path).unwrap();
        says(source.tensor("b", &[1]).unwrap_err(), &["model.safetensors", "tensor b is missing", "[1]", "belong together"]);
        says(source.tensor("a", &[3, 2]).unwrap_err(), &["model.safetensors", "tensor a", "[2, 3]", "expected [3, 2]"]);
        let all = std::fs::read(&path).unwrap();
        for cut in [0, 5, 20, all.len() - 1] {
            std::fs::write(&path, &all[..cut]).unwrap();
            says(open(&path).err().unwrap(), &["model.safetensors", "fetch it again"]);
        }
        std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\n").unwrap();
        says(open(&path).err().unwrap(), &["LFS"]);
        says(
            SafetensorsSource::open(&ModelFiles::Directory(dir.path().join("none")), &Device::Cpu, DType::F32, None).err().unwrap(),
            &["no weights"],
        );
    }

    #[test]
    fn missing_shards_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(INDEX), r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#).unwrap();
        let e =
            SafetensorsSource::open(&ModelFiles::Directory(dir.path().into()), &Device::Cpu, DType::F32, None).err().unwrap().to_string();
        assert!(e.contains("2 of 2 shards") && e.contains("model-1.safetensors"), "{e}");
    }
}
