//! Which models a user names, and how they are loaded away from the face's thread.

use crate::generate::{Api, Endpoint, EndpointPolicy, KEY_VARIABLE, LocalPolicy, MorePolicy, PATIENCE, Policy, PolicyOptions};
use crate::model::{DeviceChoice, ModelError, ModelFiles, Progress, Recommended, embedded_policy, embedded_reward, more_family};
use crate::reward::protocol::{Explained, ProtocolReward, WriterReward, as_judge, explain, explain_judge, recognise};
use crate::reward::{
    Exported, ImplicitOptions, ImplicitReward, LocalReward, RewardCard, RewardModel, ServedAt, ServedReward, explain_implicit, export,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A model as a user names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ModelRef {
    /// The one inside the program.
    #[default]
    Embedded,
    /// None at all.
    None,
    /// A model directory, a GGUF file, or a hub id that the local cache holds.
    Path(PathBuf),
    /// A reward model of `airl` read as f, with its potential, rather than as g: `DIR#f`.
    Shaped(PathBuf),
    /// A published reward model that is fed and read as a protocol file says.
    Described {
        /// Its directory, GGUF file or hub id.
        model: PathBuf,
        /// The protocol file.
        protocol: PathBuf,
    },
    /// A language model as a judge that was not trained for it, `judge:MODEL`; a reward model only.
    Judge {
        /// [`ModelRef::Embedded`] or [`ModelRef::Path`].
        model: Box<Self>,
        /// A protocol file with another wording.
        protocol: Option<PathBuf>,
    },
    /// How much likelier one language model finds a text than another, `implicit:MODEL,REFERENCE[,beta=B][,chunk=N]`; a reward model only.
    Implicit {
        /// [`ModelRef::Embedded`] or [`ModelRef::Path`], as the next.
        model: Box<Self>,
        /// The model that it is measured against.
        reference: Box<Self>,
        /// Scale and chunks.
        options: ImplicitOptions,
    },
    /// A model that a server has: as a policy that of an OpenAI-compatible one, `http://HOST:PORT/v1#MODEL`; as a reward model that of vLLM, SGLang or this
    /// program's own server, `http://HOST:PORT[/path]#MODEL`.
    Endpoint(Endpoint),
    /// A server's reward model that is fed and read as a protocol file says.
    Served {
        /// Where it is.
        endpoint: Endpoint,
        /// The protocol file.
        protocol: PathBuf,
    },
    /// A policy that is asked in a way of the user's own.
    Asked {
        /// The policy.
        model: Box<ModelRef>,
        /// How it is asked.
        options: Box<PolicyOptions>,
    },
}

impl ModelRef {
    /// Reads `embedded`, `none`, `judge:MODEL`, `implicit:MODEL,REFERENCE` with its options, an address that begins with `http`, or else a path, after which `#f`
    /// may stand; neither disk nor network is asked. Fails on a wrong address, and on what no judge and no pair can be made of.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "embedded" => Self::Embedded,
            "none" => Self::None,
            address if Endpoint::is_meant(address) => Self::Endpoint(Endpoint::parse(address).map_err(|e| e.to_string())?),
            "embedded#f" => {
                return Err(
                    "embedded#f: the embedded reward model has no potential; name a directory whose reward `airl` has learned".into()
                );
            }
            judge if judge.starts_with("judge:") => {
                let model =
                    language_model(&judge["judge:".len()..]).ok_or_else(|| format!("{judge}: write judge:MODEL; {LANGUAGE_MODEL}"))?;
                Self::Judge { model, protocol: None }
            }
            pair if pair.starts_with("implicit:") => implicit(&pair["implicit:".len()..]).map_err(|e| format!("{pair}: {e}"))?,
            path => match path.strip_suffix("#f") {
                Some(dir) => Self::Shaped(dir.into()),
                None => Self::Path(path.into()),
            },
        })
    }

    /// The model's files, `None` for `none`. Errors where nothing is there to load; they name the path and the remedy.
    fn files(&self, embedded: fn() -> ModelFiles) -> Result<Option<ModelFiles>, ModelError> {
        match self {
            Self::None => Ok(None),
            Self::Path(path) | Self::Shaped(path) | Self::Described { model: path, .. } => ModelFiles::open(path).map(Some),
            Self::Embedded => Ok(Some(embedded())),
            Self::Judge { model, .. } | Self::Implicit { model, .. } => model.files(embedded_policy),
            Self::Asked { model, .. } => model.files(embedded),
            Self::Endpoint(endpoint) | Self::Served { endpoint, .. } => Err(ModelError::Input(format!(
                "{endpoint}: a server's model cannot be used here; name a directory, a .gguf file or `embedded`"
            ))),
        }
    }

    /// Whether a reward is to be read with its potential.
    pub fn is_shaped(&self) -> bool {
        matches!(self, Self::Shaped(_))
    }

    /// The same model, fed and read as the file `protocol` says. Fails where it is no reward model that somebody published: the embedded one, a server's.
    pub fn described(&self, protocol: PathBuf) -> Result<Self, String> {
        match self {
            Self::Path(model) => Ok(Self::Described { model: model.clone(), protocol }),
            Self::Endpoint(endpoint) => Ok(Self::Served { endpoint: endpoint.clone(), protocol }),
            Self::Judge { model, .. } => Ok(Self::Judge { model: model.clone(), protocol: Some(protocol) }),
            other => {
                Err(format!("{other} needs no protocol; name the directory, .gguf file, hub id or address of a published reward model"))
            }
        }
    }

    /// The same model as a policy that is asked in a way of the user's own; none at all stays none.
    pub fn asked(self, options: PolicyOptions) -> Self {
        if self == Self::None || options == PolicyOptions::default() {
            return self;
        }
        Self::Asked { model: Box::new(self), options: Box::new(options) }
    }

    /// The model without the way in which it is asked, and that way.
    fn apart(&self) -> (&Self, PolicyOptions) {
        if let Self::Asked { model, options } = self { (model, (**options).clone()) } else { (self, PolicyOptions::default()) }
    }

    /// What records say of how it is asked; `None` where that is as by default.
    pub fn recorded(&self) -> Option<serde_json::Value> {
        let (model, options) = self.apart();
        let chat = options.chat.recorded();
        let Self::Endpoint(endpoint) = model else { return chat };
        let mut out = serde_json::Map::new();
        // Plain completions were all that there was before, and are not named.
        if let Api::Chat = endpoint.api.unwrap_or_default() {
            out.insert("api".into(), "chat".into());
        }
        if let Some(serde_json::Value::Object(chat)) = chat {
            out.extend(chat);
        }
        if options.one_request {
            out.insert("one_request".into(), true.into());
        }
        (!out.is_empty()).then_some(serde_json::Value::Object(out))
    }

    /// Whether a server has it.
    pub fn is_served(&self) -> bool {
        matches!(self.apart().0, Self::Endpoint(_))
    }

    /// How its own files say that it is to be sampled; a server knows that itself.
    pub fn recommended(&self) -> Result<Recommended, ModelError> {
        if self.is_served() {
            return Ok(Recommended::default());
        }
        self.policy_files()?.map_or_else(|| Ok(Recommended::default()), |files| Recommended::of(&files))
    }

    /// How it is asked as a policy.
    pub fn options(&self) -> PolicyOptions {
        self.apart().1
    }

    /// The protocol file that the user named.
    fn protocol(&self) -> Option<&Path> {
        match self {
            Self::Described { protocol, .. } | Self::Served { protocol, .. } => Some(protocol),
            Self::Judge { protocol, .. } => protocol.as_deref(),
            _ => None,
        }
    }

    /// Whether it was trained here, so that its own card says how it is read.
    fn has_card(&self, files: &ModelFiles) -> bool {
        matches!(self, Self::Embedded | Self::Path(_) | Self::Shaped(_)) && files.has(RewardCard::FILE)
    }

    /// What this model is taken for as a published reward model, and what exactly is fed to it; `None` for one that was trained here, and for none at all.
    pub fn explain_reward(&self) -> Result<Option<Explained>, ModelError> {
        if let Self::Implicit { reference, options, .. } = self {
            let (Some(model), Some(reference)) = (self.reward_files()?, reference.files(embedded_policy)?) else { return Ok(None) };
            return explain_implicit([&model, &reference], *options).map(Some);
        }
        match self.reward_files()? {
            Some(files) if self.is_judge() => explain_judge(&files, self.protocol()).map(Some),
            Some(files) if !self.has_card(&files) => explain(&files, self.protocol()).map(Some),
            _ => Ok(None),
        }
    }

    /// Where it is, as a reward model on a server.
    fn served(&self) -> Option<ServedAt> {
        match self {
            Self::Endpoint(e) | Self::Served { endpoint: e, .. } => Some(ServedAt { url: e.base_url.clone(), model: e.model.clone() }),
            _ => None,
        }
    }

    /// Whether it is asked as a judge.
    fn is_judge(&self) -> bool {
        matches!(self, Self::Judge { .. })
    }

    /// Whether it was named as what can only be a reward model.
    pub fn is_reward_only(&self) -> bool {
        matches!(self, Self::Described { .. } | Self::Served { .. } | Self::Judge { .. } | Self::Implicit { .. })
    }

    /// Whether it was trained here as a reward model.
    pub fn is_trained_reward(&self) -> bool {
        self.reward_files().is_ok_and(|files| files.is_some_and(|f| self.has_card(&f)))
    }

    /// The files of this model as a policy.
    pub fn policy_files(&self) -> Result<Option<ModelFiles>, ModelError> {
        if let Self::Shaped(_) = self.apart().0 {
            return Err(ModelError::Input(format!("{self}: #f reads a reward model with its potential; a policy is named without it")));
        }
        if let Self::Judge { .. } | Self::Implicit { .. } | Self::Served { .. } = self {
            return Err(ModelError::Input(format!(
                "{self}: this is a reward model and writes nothing; a policy is named by its model alone"
            )));
        }
        self.files(embedded_policy)
    }

    /// What runs this model as a policy, for people; `None` where it is no policy's files.
    pub fn runs_on(&self) -> Option<String> {
        let files = self.policy_files().ok()??;
        if let Some(family) = more_family(&files) {
            return Some(format!("candle-transformers ({family}): one candidate at a time; neither trained here nor a --reward"));
        }
        let config = files.config().ok()?;
        let trained = match config.untrainable() {
            Some(_) => "not trained here",
            None => "can be trained and be a --reward",
        };
        Some(format!("the decoder here ({}): candidates in batches; {trained}", config.model_type))
    }

    /// The files of this model as a reward model; `None` for `none`, and for a server's.
    pub fn reward_files(&self) -> Result<Option<ModelFiles>, ModelError> {
        if self.served().is_some() {
            return Ok(None);
        }
        self.files(embedded_reward)
    }

    /// Writes a reward model that was trained here into the directory `to`, for transformers. Fails on any other.
    pub fn export(&self, to: &Path) -> Result<Exported, ModelError> {
        match self.reward_files()? {
            Some(files) if self.has_card(&files) && !self.is_shaped() => export(&files, to),
            _ => Err(ModelError::Input(format!(
                "{self}: only a reward model that was trained here is exported; name a directory with reward.json, or `embedded`"
            ))),
        }
    }

    /// What loads this model as a policy; `None` for `none`. Checks now that something is there; the rest is checked while it loads.
    pub fn policy(&self, device: DeviceChoice) -> Result<Option<Loader<dyn Policy>>, ModelError> {
        self.policy_with(device, PATIENCE)
    }

    /// The same; where it is a server, `patience` is the longest wait for its next word.
    pub fn policy_with(&self, device: DeviceChoice, patience: Duration) -> Result<Option<Loader<dyn Policy>>, ModelError> {
        let (model, options) = self.apart();
        if let Self::Endpoint(endpoint) = model.clone() {
            return Ok(Some(Loader::new(self.to_string(), move |_| {
                let model = EndpointPolicy::asked(&endpoint, patience, &options).map_err(|e| e.to_string())?;
                Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn Policy> })
            })));
        }
        let Some(files) = self.policy_files()? else { return Ok(None) };
        if more_family(&files).is_some() {
            let load = move |progress: Option<Progress>| {
                let model = MorePolicy::asked(&files, &options.chat, &device.open()?, progress)?;
                Ok(Loaded { about: model.about(), model: Box::new(model) as Box<dyn Policy> })
            };
            return Ok(Some(Loader { name: self.to_string(), load: Box::new(move |p| load(p).map_err(|e: ModelError| e.to_string())) }));
        }
        files.config()?;
        let load = move |progress: Option<Progress>| {
            let model = LocalPolicy::asked(&files, &options.chat, &device.open()?, progress)?;
            Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn Policy> })
        };
        Ok(Some(Loader { name: self.to_string(), load: Box::new(move |p| load(p).map_err(|e: ModelError| e.to_string())) }))
    }

    /// What loads this model as a reward model; `None` for `none`. Checks now that something is there; the rest is checked while it loads.
    pub fn reward(&self, device: DeviceChoice) -> Result<Option<Loader<dyn RewardModel>>, ModelError> {
        if let Some(at) = self.served() {
            let protocol = self.protocol().map(Path::to_owned);
            return Ok(Some(Loader::new(self.to_string(), move |_| {
                let model = ServedReward::open(&at, protocol.as_deref(), std::env::var(KEY_VARIABLE).ok(), PATIENCE);
                let model = model.map_err(|e| e.to_string())?;
                Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn RewardModel> })
            })));
        }
        let Some(files) = self.reward_files()? else { return Ok(None) };
        files.config()?;
        if let Self::Implicit { reference, options, .. } = self {
            let Some(reference) = reference.files(embedded_policy)? else { return Ok(None) };
            reference.config()?;
            let options = *options;
            return Ok(Some(Loader::new(self.to_string(), move |progress| {
                let open = || ImplicitReward::open([&files, &reference], options, &device.open()?, progress);
                let model = open().map_err(|e: ModelError| e.to_string())?;
                Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn RewardModel> })
            })));
        }
        let (shaped, judge) = (self.is_shaped(), self.is_judge());
        let (published, protocol) = (!shaped && !self.has_card(&files), self.protocol().map(Path::to_owned));
        let load = move |progress: Option<Progress>| {
            if published {
                let taken = if judge { as_judge(protocol.as_deref())? } else { recognise(&files, protocol.as_deref())? };
                if taken.protocol.write.is_some() {
                    let model = WriterReward::load(&files, taken.protocol, &device.open()?, progress)?;
                    return Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn RewardModel> });
                }
                if taken.protocol.judges_tokens() {
                    let model = LocalReward::open_described(&files, &taken.protocol, &device.open()?, progress)?;
                    return Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn RewardModel> });
                }
                let open = if judge { ProtocolReward::open_judge } else { ProtocolReward::open };
                let model = open(&files, protocol.as_deref(), &device.open()?, progress)?;
                return Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn RewardModel> });
            }
            let model = LocalReward::open(&files, &device.open()?, progress)?;
            let model = if shaped { model.shaped()? } else { model };
            Ok(Loaded { about: model.about().to_string(), model: Box::new(model) as Box<dyn RewardModel> })
        };
        Ok(Some(Loader { name: self.to_string(), load: Box::new(move |p| load(p).map_err(|e: ModelError| e.to_string())) }))
    }
}

/// What a judge and the models of a pair are, for messages.
const LANGUAGE_MODEL: &str = "MODEL is a directory, a .gguf file, a hub id in the local cache or `embedded`";

/// A language model on this machine; `None` where the text names none.
fn language_model(text: &str) -> Option<Box<ModelRef>> {
    match ModelRef::parse(text).ok()? {
        model @ (ModelRef::Embedded | ModelRef::Path(_)) if !text.is_empty() => Some(Box::new(model)),
        _ => None,
    }
}

/// Reads `MODEL,REFERENCE[,beta=B][,chunk=N]`.
fn implicit(text: &str) -> Result<ModelRef, String> {
    let mut parts = text.split(',');
    let mut model = || parts.next().and_then(language_model).ok_or_else(|| format!("write implicit:MODEL,REFERENCE; {LANGUAGE_MODEL}"));
    let (model, reference) = (model()?, model()?);
    let options = ImplicitOptions::parse(parts)?;
    Ok(ModelRef::Implicit { model, reference, options })
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::None => f.write_str("none"),
            Self::Path(path) | Self::Described { model: path, .. } => write!(f, "{}", path.display()),
            Self::Shaped(path) => write!(f, "{}#f", path.display()),
            Self::Judge { model, .. } => write!(f, "judge:{model}"),
            Self::Implicit { model, reference, options } => {
                write!(f, "implicit:{model},{reference}")?;
                if options.beta != ImplicitOptions::default().beta {
                    write!(f, ",beta={}", options.beta)?;
                }
                options.chunk.map_or(Ok(()), |n| write!(f, ",chunk={n}"))
            }
            Self::Endpoint(endpoint) | Self::Served { endpoint, .. } => endpoint.fmt(f),
            Self::Asked { model, .. } => model.fmt(f),
        }
    }
}

/// A model that is ready, and a line about it for people: parameters, quantisation, device.
pub struct Loaded<M: ?Sized> {
    /// The model.
    pub model: Box<M>,
    /// For people.
    pub about: String,
}

/// Loads a model on the thread that will own it; told progress goes from 0 to 1. The error names file, field and remedy.
pub type Load<M> = Box<dyn FnOnce(Option<Progress>) -> Result<Loaded<M>, String> + Send>;

/// A model to load.
pub struct Loader<M: ?Sized> {
    /// Its name while it loads.
    pub name: String,
    /// What loads it.
    pub load: Load<M>,
}

impl<M: ?Sized> Loader<M> {
    /// A loader from a closure.
    pub fn new(name: impl Into<String>, load: impl FnOnce(Option<Progress>) -> Result<Loaded<M>, String> + Send + 'static) -> Self {
        Self { name: name.into(), load: Box::new(load) }
    }
}

/// The models an engine is started with.
#[derive(Default)]
pub struct Models {
    /// What writes candidates; `None` where only recorded traces are read.
    pub policy: Option<Loader<dyn Policy>>,
    /// What scores them, each by itself; none where nothing is scored.
    pub rewards: Vec<Loader<dyn RewardModel>>,
}

impl Models {
    /// What loads these models as reward models, in their order; [`ModelRef::None`] is none of them. Errors as [`ModelRef::reward`].
    pub fn rewards(models: &[ModelRef], device: DeviceChoice) -> Result<Vec<Loader<dyn RewardModel>>, ModelError> {
        models.iter().filter_map(|m| m.reward(device).transpose()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(ModelRef::parse("embedded"), Ok(ModelRef::Embedded));
        assert_eq!(ModelRef::parse("none"), Ok(ModelRef::None));
        assert_eq!(ModelRef::parse("a/b.gguf"), Ok(ModelRef::Path("a/b.gguf".into())));
        let shaped = ModelRef::parse("a/b#f").unwrap();
        assert_eq!((&shaped, shaped.to_string().as_str()), (&ModelRef::Shaped("a/b".into()), "a/b#f"));
        assert!(ModelRef::parse("embedded#f").unwrap_err().contains("no potential"));
        assert!(shaped.policy_files().unwrap_err().to_string().contains("#f"));
        for text in ["judge:embedded", "judge:a/b.gguf", "implicit:a,b", "implicit:a,embedded,beta=0.001,chunk=16"] {
            let named = ModelRef::parse(text).unwrap();
            assert_eq!(named.to_string(), text);
            assert!(named.policy_files().unwrap_err().to_string().contains("writes nothing"));
        }
        for (text, word) in [
            ("judge:", "judge:MODEL"),
            ("judge:none", "judge:MODEL"),
            ("judge:http://h/v1", "judge:MODEL"),
            ("implicit:a", "MODEL,REFERENCE"),
            ("implicit:a,", "MODEL,REFERENCE"),
            ("implicit:a,b,beta=0", "above 0"),
            ("implicit:a,b,chunk=0", "tokens"),
            ("implicit:a,b,c", "neither"),
        ] {
            let said = ModelRef::parse(text).unwrap_err();
            assert!(said.contains(word) && said.contains(text), "{said}");
        }
        let file = ModelRef::parse("judge:a").unwrap().described("p.toml".into()).unwrap();
        assert!(matches!(file, ModelRef::Judge { protocol: Some(_), .. }));
        let served = ModelRef::parse("http://gpu:8000/v1#m").unwrap();
        assert_eq!(served.to_string(), "http://gpu:8000/v1#m");
        assert!(served.reward(DeviceChoice::Cpu).unwrap().is_some() && served.reward_files().unwrap().is_none());
        assert!(matches!(served.described("p.toml".into()), Ok(ModelRef::Served { .. })));
        assert!(ModelRef::parse("http://").is_err());
        let recorded = |text: &str| ModelRef::parse(text).unwrap().recorded();
        assert_eq!(recorded("http://gpu:8000/v1"), Some(serde_json::json!({ "api": "chat" })));
        assert_eq!((recorded("http://gpu:8000/v1/completions"), recorded("a/b")), (None, None));
        let options = PolicyOptions { one_request: true, ..PolicyOptions::default() };
        let asked = served.clone().asked(options.clone());
        assert_eq!((asked.to_string(), asked.options(), asked.is_served()), (served.to_string(), options.clone(), true));
        assert_eq!(ModelRef::None.asked(options), ModelRef::None);
    }

    #[test]
    fn what_is_not_there_is_said_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let said =
            |path: &std::path::Path| ModelRef::Path(path.into()).policy(DeviceChoice::Cpu).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said(dir.path()).contains("config.json"), "{}", said(dir.path()));
        assert!(said(&dir.path().join("x.gguf")).contains("no such file"));
        assert!(ModelRef::None.policy(DeviceChoice::Cpu).unwrap().is_none());
    }
}
