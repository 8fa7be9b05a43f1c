//! How a model's own files say that it is to be sampled.

use super::{GgufFile, ModelError, ModelFiles};
use serde_json::Value;
use std::path::PathBuf;

/// The file of Hugging Face models that says it.
const FILE: &str = "generation_config.json";
/// Settings of that file that are not known here, the same in a GGUF file's metadata, and the value that is off.
const UNKNOWN: [(&str, &str, f64); 6] = [
    ("repetition_penalty", "general.sampling.penalty_repeat", 1.0),
    ("no_repeat_ngram_size", "", 0.0),
    ("typical_p", "", 1.0),
    ("presence_penalty", "", 0.0),
    ("frequency_penalty", "", 0.0),
    ("xtc_probability", "general.sampling.xtc_probability", 0.0),
];

/// What a model's own files say of how it is to be sampled: `generation_config.json`, or the keys `general.sampling.*` of a GGUF file.
///
/// As vLLM does, each setting that is there is taken, also where `do_sample` is not set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommended {
    /// Softmax temperature, ≥ 0.
    pub temperature: Option<f32>,
    /// In (0, 1].
    pub top_p: Option<f32>,
    /// 0 is off.
    pub top_k: Option<usize>,
    /// In [0, 1).
    pub min_p: Option<f32>,
    /// The file that says so.
    pub path: PathBuf,
    /// What else the file says and is not followed, a note each.
    pub unknown: Vec<String>,
    /// Whether the model was made to talk: it has a chat template of somebody else's making.
    pub talks: bool,
}

impl Recommended {
    /// What the files of a model say. An adapter is sampled as its own folder says, not as its base is. Errors where the file is no JSON.
    pub fn of(files: &ModelFiles) -> Result<Self, ModelError> {
        let own = match files {
            ModelFiles::Adapter { dir, .. } => dir.join(FILE).is_file(),
            files => files.has(FILE),
        };
        let mut this = match files {
            ModelFiles::Gguf(path) => {
                let file = GgufFile::open(path)?;
                let number = |name: &str| file.number(&format!("general.sampling.{name}"));
                let fields = [number("temp"), number("top_p"), number("top_k"), number("min_p")];
                let mut this = Self { path: path.clone(), ..Self::default() };
                this.take(fields, |_, key| if key.is_empty() { None } else { file.number(key) });
                this.talks = file.text("tokenizer.chat_template").is_some();
                this
            }
            _ => Self { talks: matches!(files, ModelFiles::Directory(_)) && files.has("tokenizer_config.json"), ..Self::default() },
        };
        if own && !this.says_something() {
            let path = files.path_of(FILE);
            let json: Value = serde_json::from_slice(&files.read(FILE)?).map_err(|e| ModelError::File {
                path: path.clone(),
                what: format!("not valid JSON: {e}"),
                remedy: "fetch the file again".into(),
            })?;
            this.path = path;
            let number = |name: &str| json[name].as_f64();
            this.take([number("temperature"), number("top_p"), number("top_k"), number("min_p")], |name, _| number(name));
        }
        Ok(this)
    }

    /// Whether it says how to sample.
    pub fn says_something(&self) -> bool {
        self.temperature.is_some() || self.top_p.is_some() || self.top_k.is_some() || self.min_p.is_some()
    }

    /// Takes temperature, top-p, top-k and min-p as far as they are in range, and notes what is not followed.
    fn take(&mut self, [temperature, top_p, top_k, min_p]: [Option<f64>; 4], other: impl Fn(&str, &str) -> Option<f64>) {
        let mut fit = |name: &str, value: Option<f64>, fits: fn(f64) -> bool| {
            let value = value?;
            if !fits(value) {
                self.unknown.push(format!("{name} {value} is out of range"));
            }
            fits(value).then_some(value)
        };
        let temperature = fit("temperature", temperature, |t| (0.0..=1e3).contains(&t));
        let top_p = fit("top_p", top_p, |p| p > 0.0 && p <= 1.0);
        // -1 is off, as 0 is.
        let top_k = fit("top_k", top_k, |k| (-1.0..=1e9).contains(&k));
        let min_p = fit("min_p", min_p, |p| (0.0..1.0).contains(&p));
        (self.temperature, self.top_p) = (temperature.map(|t| t as f32), top_p.map(|p| p as f32));
        (self.top_k, self.min_p) = (top_k.map(|k| k.max(0.0) as usize), min_p.map(|p| p as f32));
        for (name, key, off) in UNKNOWN {
            if let Some(value) = other(name, key).filter(|v| *v != off) {
                self.unknown.push(format!("{name} {value} is not known here"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Recommended, ModelError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        Recommended::of(&ModelFiles::Directory(dir.path().into()))
    }

    #[test]
    fn what_is_there_and_in_range_is_taken() {
        let r = of(r#"{"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "repetition_penalty": 1.05}"#).unwrap();
        assert_eq!((r.temperature, r.top_p, r.top_k, r.min_p), (Some(0.6), Some(0.95), Some(20), None));
        assert_eq!(r.unknown, ["repetition_penalty 1.05 is not known here"]);
        assert!(r.path.ends_with(FILE) && r.says_something() && !r.talks);
        let r = of(r#"{"temperature": -1, "top_p": 0, "top_k": -1, "min_p": 1, "repetition_penalty": 1.0, "typical_p": null}"#).unwrap();
        assert_eq!((r.temperature, r.top_p, r.top_k, r.min_p), (None, None, Some(0), None));
        assert_eq!(r.unknown.len(), 3, "{:?}", r.unknown);
        let r = of(r#"{"eos_token_id": 2, "temperature": "warm"}"#).unwrap();
        assert!(!r.says_something() && r.unknown.is_empty());
        let e = of("{").unwrap_err().to_string();
        assert!(e.contains(FILE) && e.contains("not valid JSON"), "{e}");
        assert_eq!(Recommended::of(&crate::model::embedded_policy()).unwrap(), Recommended::default());
    }
}
