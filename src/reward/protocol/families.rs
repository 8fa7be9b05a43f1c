//! The families that are known, each a protocol file that can be read and copied.

use super::Protocol;
use crate::model::ModelError;
use std::path::Path;
use std::sync::LazyLock;

macro_rules! files {
    ($($name:literal),* $(,)?) => { [$((concat!("families/", $name, ".toml"), include_str!(concat!("families/", $name, ".toml")))),*] };
}

/// Those that more tells come before those that less tells: a name before an architecture alone.
const FILES: [(&str, &str); 15] = files![
    "reasonflux-prm",
    "qwen2.5-math-prm",
    "qwen2.5-math-rm",
    "skywork-o1-prm",
    "reasoneval",
    "pure-prm",
    "math-minos",
    "trl-prm",
    "math-shepherd",
    "rlhflow-prm",
    "versaprm",
    "openr-math-psa",
    "llemma-prm",
    "genprm",
    "outcome",
];

static FAMILIES: LazyLock<Vec<Protocol>> =
    LazyLock::new(|| FILES.iter().filter_map(|(path, text)| Protocol::parse(text, Path::new(path)).ok()).collect());

/// How a language model that was not trained for it is asked for its judgement.
pub fn judge() -> Result<Protocol, ModelError> {
    Protocol::parse(include_str!("families/judge.toml"), Path::new("families/judge.toml"))
}

/// The families that are known, in the order in which they are tried.
pub fn families() -> &'static [Protocol] {
    &FAMILIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_protocol_that_can_be_recognised() {
        for (path, text) in FILES {
            let family = Protocol::parse(text, Path::new(path)).unwrap_or_else(|e| panic!("{e}"));
            let told = &family.recognise;
            assert!(!(told.architectures.is_empty() && told.tensors.is_empty() && told.names.is_empty()), "{path}");
            assert!(family.source.starts_with("https://"), "{path}");
        }
        assert_eq!(families().len(), FILES.len());
        assert_eq!(judge().unwrap_or_else(|e| panic!("{e}")).recognise, crate::reward::protocol::Recognise::default());
    }
}
