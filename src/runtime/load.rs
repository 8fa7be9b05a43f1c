//! Which models a user names, and how they are loaded away from the face's thread.

use crate::generate::Policy;
use crate::reward::RewardModel;
use std::fmt;
use std::path::PathBuf;

/// A model as a user names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ModelRef {
    /// The one inside the program.
    #[default]
    Embedded,
    /// None at all.
    None,
    /// A directory with `config.json`, `tokenizer.json` and safetensors.
    Directory(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
}

impl ModelRef {
    /// Reads `embedded`, `none`, a path that ends in `.gguf`, or else a directory; the disk is not asked.
    pub fn parse(text: &str) -> Self {
        match text {
            "embedded" => Self::Embedded,
            "none" => Self::None,
            path if path.to_ascii_lowercase().ends_with(".gguf") => Self::Gguf(path.into()),
            path => Self::Directory(path.into()),
        }
    }

    /// Whether something is there to load; the message names the path and the remedy.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Embedded | Self::None => Ok(()),
            Self::Directory(path) if path.is_dir() => {
                let missing: Vec<&str> = ["config.json", "tokenizer.json"].into_iter().filter(|f| !path.join(f).is_file()).collect();
                if missing.is_empty() {
                    Ok(())
                } else {
                    Err(format!(
                        "{}: no {} in it; a model directory has config.json, tokenizer.json and safetensors",
                        path.display(),
                        missing.join(" and no ")
                    ))
                }
            }
            Self::Directory(path) if path.is_file() => {
                Err(format!("{}: is a file; name the directory it is in, or a .gguf file, or `embedded`", path.display()))
            }
            Self::Gguf(path) if path.is_file() => Ok(()),
            Self::Directory(path) | Self::Gguf(path) => {
                Err(format!("{}: does not exist; name a directory, a .gguf file or `embedded`", path.display()))
            }
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::None => f.write_str("none"),
            Self::Directory(path) | Self::Gguf(path) => write!(f, "{}", path.display()),
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
pub type Load<M> = Box<dyn FnOnce(&mut dyn FnMut(f32)) -> Result<Loaded<M>, String> + Send>;

/// A model to load.
pub struct Loader<M: ?Sized> {
    /// Its name while it loads.
    pub name: String,
    /// What loads it.
    pub load: Load<M>,
}

impl<M: ?Sized> Loader<M> {
    /// A loader from a closure.
    pub fn new(name: impl Into<String>, load: impl FnOnce(&mut dyn FnMut(f32)) -> Result<Loaded<M>, String> + Send + 'static) -> Self {
        Self { name: name.into(), load: Box::new(load) }
    }
}

/// The models an engine is started with.
#[derive(Default)]
pub struct Models {
    /// What writes candidates; `None` where only recorded traces are read.
    pub policy: Option<Loader<dyn Policy>>,
    /// What scores them; `None` where nothing is scored.
    pub reward: Option<Loader<dyn RewardModel>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(ModelRef::parse("embedded"), ModelRef::Embedded);
        assert_eq!(ModelRef::parse("none"), ModelRef::None);
        assert_eq!(ModelRef::parse("a/B.GGUF"), ModelRef::Gguf("a/B.GGUF".into()));
        assert_eq!(ModelRef::parse("a/b"), ModelRef::Directory("a/b".into()));
    }

    #[test]
    fn what_is_not_there_is_said_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let message = ModelRef::Directory(dir.path().into()).check().unwrap_err();
        assert!(message.contains("no config.json and no tokenizer.json"), "{message}");
        let message = ModelRef::Gguf(dir.path().join("x.gguf")).check().unwrap_err();
        assert!(message.contains("does not exist; name"), "{message}");
        let file = dir.path().join("model.safetensors");
        std::fs::write(&file, "").unwrap();
        assert!(ModelRef::Directory(file).check().unwrap_err().contains("is a file"));
    }
}
