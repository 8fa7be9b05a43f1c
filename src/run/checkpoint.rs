//! What a checkpoint says of itself.

use std::collections::HashMap;

const STEP: &str = "step";
const DIGEST: &str = "recipe";
const EXTRA: &str = "extra";
const UPDATES: &str = "updates";

/// The metadata of a checkpoint, a safetensors file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointHeader {
    /// Updates of the stage that are done.
    pub step: usize,
    /// Identifies all that the stage's result depends on.
    pub digest: String,
    /// Updates that each optimiser made, by its name.
    pub updates: HashMap<String, usize>,
    /// What the stage itself reads back.
    pub extra: String,
}

impl CheckpointHeader {
    /// As the file has it.
    pub fn to_metadata(&self) -> HashMap<String, String> {
        let mut all = HashMap::from([
            (STEP.to_owned(), self.step.to_string()),
            (DIGEST.to_owned(), self.digest.clone()),
            (EXTRA.to_owned(), self.extra.clone()),
        ]);
        all.extend(self.updates.iter().map(|(name, n)| (format!("{name}{UPDATES}"), n.to_string())));
        all
    }

    /// Reads it back; the error names what is missing.
    pub fn from_metadata(all: &HashMap<String, String>) -> Result<Self, String> {
        let number = |key: &str| all.get(key).and_then(|s| s.parse().ok()).ok_or_else(|| format!("it names no {key}"));
        let owners = all.keys().filter_map(|k| Some((k, k.strip_suffix(UPDATES)?)));
        Ok(Self {
            step: number(STEP)?,
            digest: all.get(DIGEST).cloned().unwrap_or_default(),
            updates: owners.map(|(key, name)| Ok((name.to_owned(), number(key)?))).collect::<Result<_, String>>()?,
            extra: all.get(EXTRA).cloned().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_one_without_a_step_is_none() {
        let updates = HashMap::from([(String::new(), 3), ("critic-".to_owned(), 6)]);
        let header = CheckpointHeader { step: 3, digest: "0123".into(), updates, extra: "[]".into() };
        let all = header.to_metadata();
        assert_eq!((all["updates"].as_str(), all["critic-updates"].as_str()), ("3", "6"));
        assert_eq!(CheckpointHeader::from_metadata(&all), Ok(header));
        assert_eq!(CheckpointHeader::from_metadata(&HashMap::new()).unwrap_err(), "it names no step");
    }
}
