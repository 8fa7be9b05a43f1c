//! Where a model's files are: a directory, one GGUF file, or inside the program.

use super::peft::{ADAPTER_CONFIG, PeftConfig, adapted};
use crate::hub;
use crate::model::{ChatTemplate, Config, GgufFile, ModelError, Progress, SafetensorsSource, TextTokenizer, WeightSource, parse_config};
use candle_core::{DType, Device};
use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

/// What a directory must hold, for messages.
const NEEDED: &str =
    "a model directory holds config.json, tokenizer.json and model.safetensors (or its shards with model.safetensors.index.json)";

/// A model's files.
#[derive(Clone)]
pub enum ModelFiles {
    /// A directory in the layout of the Hugging Face hub.
    Directory(PathBuf),
    /// One GGUF file.
    Gguf(PathBuf),
    /// A directory with a LoRA adapter in PEFT's layout; what it does not have itself it has from its base.
    Adapter {
        /// The directory.
        dir: PathBuf,
        /// What its `adapter_config.json` says.
        config: Box<PeftConfig>,
        /// The model that it was trained on.
        base: Box<ModelFiles>,
    },
    /// Files inside the program, as `(name, content)`, in the layout of a directory.
    Embedded {
        /// Name for people.
        name: &'static str,
        /// The files.
        files: &'static [(&'static str, &'static [u8])],
    },
}

impl fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelFiles({})", self.path().display())
    }
}

/// Everything a model's files hold, read and checked against each other.
pub struct OpenModel {
    /// The shape.
    pub config: Config,
    /// The weights; tensors are read when asked for.
    pub weights: Box<dyn WeightSource>,
    /// The tokenizer; every id of it is below `config.vocab_size`.
    pub tokenizer: TextTokenizer,
    /// The chat template, where the model has one.
    pub chat: Option<ChatTemplate>,
    /// How the weights are stored, for people: `BF16`, `Q4_1`, `F32`.
    pub stored: String,
}

impl ModelFiles {
    /// Finds the model that the user named: a directory, a `.gguf` file, or a hub id (`owner/name`) that the local Hugging Face cache holds.
    ///
    /// Errors where nothing is there, or where a directory has no `config.json` (it then lists what was found and what is needed). A directory
    /// with exactly one `.gguf` and no `config.json` opens that file. One with an `adapter_config.json` opens that adapter and the base that it names:
    /// a directory or file seen from there or from the working directory, or a hub id.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let error = |what: String, remedy: String| ModelError::File { path: path.into(), what, remedy };
        if path.is_dir() {
            if path.join(ADAPTER_CONFIG).is_file() {
                return Self::open_adapter(path);
            }
            if path.join("config.json").is_file() {
                return Ok(Self::Directory(path.into()));
            }
            let entries = std::fs::read_dir(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
            let mut found: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
            found.sort();
            let ggufs: Vec<&String> = found.iter().filter(|f| f.ends_with(".gguf")).collect();
            if let [one] = ggufs[..] {
                return Ok(Self::Gguf(path.join(one)));
            }
            let remedy = if ggufs.is_empty() { NEEDED.to_owned() } else { "name one of the .gguf files".to_owned() };
            let list = match found.len() {
                0 => "it is empty".to_owned(),
                n if n > 12 => format!("found {}, and {} more", found[..12].join(", "), n - 12),
                _ => format!("found {}", found.join(", ")),
            };
            return Err(error(format!("no config.json in this directory: {list}"), remedy));
        }
        if path.is_file() {
            return match path.extension().and_then(|e| e.to_str()) {
                Some(e) if e.eq_ignore_ascii_case("gguf") => Ok(Self::Gguf(path.into())),
                _ => Err(error("not a .gguf file".into(), format!("give a .gguf file or a directory; {NEEDED}"))),
            };
        }
        if let Some(snapshot) = path.to_str().and_then(|id| hub::snapshot(hub::Kind::Model, id)) {
            return Self::open(&snapshot);
        }
        let name = path.display();
        let remedy = match path.to_str().and_then(hub::hub_id) {
            Some(_) => {
                format!("if it is a model of the Hugging Face hub, fetch it first: reasonscope data fetch --model {name}")
            }
            None => "give a model directory or a .gguf file".to_owned(),
        };
        Err(error("no such file or directory".into(), remedy))
    }

    /// The files of a tokenizer, and of a chat template beside it: a directory with `tokenizer.json` or that file itself, or a model as [`ModelFiles::open`]
    /// finds it. Nothing else need be there.
    pub fn open_tokenizer(path: &Path) -> Result<Self, ModelError> {
        if path.join("tokenizer.json").is_file() {
            return Ok(Self::Directory(path.into()));
        }
        match path.file_name() {
            Some(name) if name == "tokenizer.json" && path.is_file() => Ok(Self::Directory(path.parent().unwrap_or(Path::new("")).into())),
            _ => Self::open(path),
        }
    }

    fn open_adapter(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join(ADAPTER_CONFIG);
        let text = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let config = PeftConfig::parse(&text, &path)?;
        let error = |what: String| ModelError::File {
            path: path.clone(),
            what: format!("base_model_name_or_path is {:?}: {what}", config.base),
            remedy: "write the base model's directory or hub id there".into(),
        };
        let beside = dir.join(&config.base);
        let named = if beside.exists() { beside } else { PathBuf::from(&config.base) };
        if named.join(ADAPTER_CONFIG).is_file() {
            return Err(error("that is an adapter itself".into()));
        }
        let base = Box::new(Self::open(&named).map_err(|e| error(e.to_string()))?);
        Ok(Self::Adapter { dir: dir.into(), config: Box::new(config), base })
    }

    /// Name for people: the directory's or file's name without its extension.
    pub fn name(&self) -> String {
        match self {
            Self::Embedded { name, .. } => (*name).to_owned(),
            Self::Gguf(p) => p.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Directory(p) | Self::Adapter { dir: p, .. } => {
                let full = p.canonicalize().unwrap_or_else(|_| p.clone());
                full.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }

    /// The directory or file, for messages; `embedded:NAME` inside the program.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Directory(p) | Self::Gguf(p) | Self::Adapter { dir: p, .. } => p.clone(),
            Self::Embedded { name, .. } => PathBuf::from(format!("embedded:{name}")),
        }
    }

    /// Path of the file `name` of the model, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        match self {
            Self::Gguf(p) => p.with_file_name(name),
            Self::Adapter { dir, base, .. } if !dir.join(name).is_file() && base.has(name) => base.path_of(name),
            _ => self.path().join(name),
        }
    }

    /// Whether the model has the file `name`.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(p) => p.join(name).is_file(),
            Self::Gguf(p) => p.with_file_name(name).is_file(),
            Self::Adapter { dir, base, .. } => dir.join(name).is_file() || base.has(name),
            Self::Embedded { files, .. } => files.iter().any(|f| f.0 == name),
        }
    }

    /// The content of the file `name` of the model; for a GGUF, of a file beside it.
    pub fn read(&self, name: &str) -> Result<Cow<'static, [u8]>, ModelError> {
        if let Self::Adapter { dir, base, .. } = self
            && !dir.join(name).is_file()
        {
            return base.read(name);
        }
        if let Self::Embedded { files, .. } = self {
            let found = files.iter().find(|f| f.0 == name);
            return match found {
                Some((_, content)) => Ok(Cow::Borrowed(content)),
                None => Err(ModelError::File { path: self.path_of(name), what: "missing".into(), remedy: NEEDED.into() }),
            };
        }
        let path = self.path_of(name);
        std::fs::read(&path).map(Cow::Owned).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ModelError::File { path, what: "missing".into(), remedy: NEEDED.into() },
            _ => ModelError::Io { path, source },
        })
    }

    /// The content of `name` where the model has it.
    fn read_if(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, ModelError> {
        if self.has(name) { self.read(name).map(Some) } else { Ok(None) }
    }

    /// Reads everything and checks that the parts fit. Weights come on `device` in `dtype`; `progress` hears the part of the weights that is read,
    /// 0 to 1.
    pub fn load(&self, device: &Device, dtype: DType, progress: Option<Progress>) -> Result<OpenModel, ModelError> {
        tracing::info!(model = self.name(), ?device, ?dtype, "opens a model");
        if let Self::Gguf(path) = self {
            let file = GgufFile::open(path)?;
            let config = file.config()?;
            let tokenizer = match file.tokenizer() {
                Err(_) if self.has("tokenizer.json") => {
                    TextTokenizer::from_bytes(&self.read("tokenizer.json")?, &self.path_of("tokenizer.json"))?
                }
                other => other?,
            };
            tokenizer.check_fits(&config, path)?;
            let chat = file.chat_template(&tokenizer)?;
            let stored = file.stored();
            return Ok(OpenModel { config, weights: Box::new(file.source(device, dtype, progress)), tokenizer, chat, stored });
        }
        if let Self::Adapter { dir, config: peft, base } = self {
            let mut open = base.load(device, dtype, progress)?;
            open.weights = adapted(open.weights, &open.config, dir, peft, device, dtype)?;
            open.stored = format!("{} with a LoRA adapter of rank {}", open.stored, peft.lora.rank);
            if dir.join("tokenizer.json").is_file() {
                open.tokenizer = self.tokenizer()?;
                open.tokenizer.check_fits(&open.config, &self.path_of("tokenizer.json"))?;
            }
            open.chat = ChatTemplate::of(self, &open.tokenizer)?.or(open.chat);
            return Ok(open);
        }
        let config = self.config()?;
        let tokenizer = self.tokenizer()?;
        tokenizer.check_fits(&config, &self.path_of("tokenizer.json"))?;
        let weights = SafetensorsSource::open(self, device, dtype, progress)?;
        let stored = weights.stored();
        let chat = ChatTemplate::of(self, &tokenizer)?;
        Ok(OpenModel { config, weights: Box::new(weights), tokenizer, chat, stored })
    }

    /// The shape alone, from `config.json` or the GGUF's metadata.
    pub fn config(&self) -> Result<Config, ModelError> {
        match self {
            Self::Gguf(path) => GgufFile::open(path)?.config(),
            Self::Adapter { base, .. } => base.config(),
            _ => {
                let generation = self.read_if("generation_config.json")?;
                parse_config(&self.read("config.json")?, generation.as_deref(), &self.path_of("config.json"))
            }
        }
    }

    /// The chat template alone, where the model has one.
    pub fn chat(&self, tokenizer: &TextTokenizer) -> Result<Option<ChatTemplate>, ModelError> {
        match self {
            Self::Gguf(path) => GgufFile::open(path)?.chat_template(tokenizer),
            _ => ChatTemplate::of(self, tokenizer),
        }
    }

    /// The tokenizer alone, from `tokenizer.json` or the GGUF's metadata.
    pub fn tokenizer(&self) -> Result<TextTokenizer, ModelError> {
        match self {
            Self::Gguf(path) => GgufFile::open(path)?.tokenizer(),
            Self::Adapter { dir, base, .. } if !dir.join("tokenizer.json").is_file() => base.tokenizer(),
            _ => {
                let mut tokenizer = TextTokenizer::from_bytes(&self.read("tokenizer.json")?, &self.path_of("tokenizer.json"))?;
                if let Some(text) = self.read_if("tokenizer_config.json")? {
                    tokenizer.apply_config(&text, &self.path_of("tokenizer_config.json"))?;
                }
                Ok(tokenizer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_config_lists_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let e = ModelFiles::open(dir.path()).unwrap_err().to_string();
        assert!(e.contains("it is empty") && e.contains("tokenizer.json"), "{e}");
        std::fs::write(dir.path().join("weights.bin"), "x").unwrap();
        let e = ModelFiles::open(dir.path()).unwrap_err().to_string();
        assert!(e.contains("found weights.bin") && e.contains("config.json"), "{e}");
        std::fs::write(dir.path().join("a.gguf"), "x").unwrap();
        assert!(matches!(ModelFiles::open(dir.path()).unwrap(), ModelFiles::Gguf(_)));
        std::fs::write(dir.path().join("b.gguf"), "x").unwrap();
        let e = ModelFiles::open(dir.path()).unwrap_err().to_string();
        assert!(e.contains("a.gguf, b.gguf") && e.contains("name one"), "{e}");
    }

    #[test]
    fn what_is_not_there_says_how_to_get_it() {
        let e = ModelFiles::open(Path::new("owner-x/model-y")).unwrap_err().to_string();
        assert!(e.contains("no such file") && e.contains("reasonscope data fetch --model owner-x/model-y"), "{e}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.bin");
        std::fs::write(&file, "x").unwrap();
        let e = ModelFiles::open(&file).unwrap_err().to_string();
        assert!(e.contains("not a .gguf"), "{e}");
    }

    #[test]
    fn embedded_files_are_read_by_name() {
        let files = ModelFiles::Embedded { name: "tiny", files: &[("config.json", b"{}")] };
        assert_eq!(&*files.read("config.json").unwrap(), b"{}");
        assert!(files.has("config.json") && !files.has("tokenizer.json"));
        let e = files.read("tokenizer.json").unwrap_err().to_string();
        assert!(e.contains("embedded:tiny/tokenizer.json") && e.contains("missing"), "{e}");
        assert!(files.config().unwrap_err().to_string().contains("model_type is missing"));
    }
}
