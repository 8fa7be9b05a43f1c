//! What the result of a stage depends on, and the digest of it that its checkpoints bear.
//!
//! A key of a recipe that is as by default takes no part, so that a key that a later version adds leaves the checkpoints of earlier ones valid. Versions that
//! had no such rule hashed the JSON of everything; their digests are computed beside, and accepted.

use super::TrainError;
use crate::util::hash::fnv1a;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Value;

/// To be raised where a default, or what a stage does with the same inputs, changes: every checkpoint is then refused.
const REVISION: u32 = 1;

/// Identifies everything that the result of a stage depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    own: String,
    earlier: String,
}

impl Digest {
    /// 16 hexadecimal digits, as checkpoints of this version bear them.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The digest of the same as earlier versions computed it.
    pub fn earlier(&self) -> &str {
        &self.earlier
    }

    /// Whether a file that bears this digest is of the same stage.
    pub fn is(&self, digest: &str) -> bool {
        digest == self.own || digest == self.earlier
    }
}

/// Everything that the result of a stage depends on, by name.
#[derive(Debug)]
pub struct StageInputs {
    text: String,
    earlier: String,
}

impl StageInputs {
    /// The inputs of a stage. `earlier` is what earlier versions hashed for it, the [`Digest::earlier`] of the stages before it among it.
    pub fn new(stage: &str, earlier: &impl Serialize) -> Result<Self, TrainError> {
        let earlier = serde_json::to_string(earlier).map_err(|e| TrainError::Data(e.to_string()))?;
        Ok(Self { text: format!("{stage} {REVISION}\n"), earlier })
    }

    /// The result of a stage before it.
    #[must_use]
    pub fn stage(mut self, name: &str, digest: &Digest) -> Self {
        self.text += &format!("{name} = {}\n", digest.own);
        self
    }

    /// A value that has no default.
    pub fn value(mut self, name: &str, value: &impl Serialize) -> Result<Self, TrainError> {
        let value = serde_json::to_string(value).map_err(|e| TrainError::Data(e.to_string()))?;
        self.text += &format!("{name} = {value}\n");
        Ok(self)
    }

    /// A section of the recipe: those of its keys that are not as by default.
    pub fn section<T: Serialize + DeserializeOwned + PartialEq>(mut self, name: &str, section: &T) -> Result<Self, TrainError> {
        self.text += &format!("{name} = ");
        canonical(&without_defaults(section)?, &mut self.text);
        self.text.push('\n');
        Ok(self)
    }

    /// A section that may be missing.
    pub fn optional<T: Serialize + DeserializeOwned + PartialEq>(self, name: &str, section: &Option<T>) -> Result<Self, TrainError> {
        match section {
            Some(section) => self.section(name, section),
            None => self.value(name, &()),
        }
    }

    /// The digest of all of them.
    pub fn digest(&self) -> Digest {
        let hex = |text: &str| format!("{:016x}", fnv1a(text.bytes()));
        Digest { own: hex(&self.text), earlier: hex(&self.earlier) }
    }
}

/// A section without the keys that can be left out: reading it gives the same without them.
fn without_defaults<T: Serialize + DeserializeOwned + PartialEq>(section: &T) -> Result<Value, TrainError> {
    let mut whole = Value::try_from(section).map_err(|e| TrainError::Data(e.to_string()))?;
    let mut paths = Vec::new();
    tables(&whole, &mut Vec::new(), &mut paths);
    for path in paths {
        let mut less = whole.clone();
        if remove(&mut less, &path) && less.clone().try_into::<T>().is_ok_and(|read| read == *section) {
            whole = less;
        }
    }
    Ok(whole)
}

/// The paths of all keys, those of a table before those in it.
fn tables(value: &Value, at: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    for (key, value) in value.as_table().into_iter().flatten() {
        at.push(key.clone());
        out.push(at.clone());
        tables(value, at, out);
        at.pop();
    }
}

/// Removes a key; `false` where it is gone already.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let (Some(table), Some((first, rest))) = (value.as_table_mut(), path.split_first()) else { return false };
    if rest.is_empty() { table.remove(first).is_some() } else { table.get_mut(first).is_some_and(|v| remove(v, rest)) }
}

/// A text that only equal values share, whatever the order of their keys.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Table(table) => {
            let mut keys: Vec<&String> = table.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                out.push_str(&format!("{key:?}:"));
                canonical(&table[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(all) => {
            out.push('[');
            for value in all {
                canonical(value, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => out.push_str(&format!("{text:?}")),
        Value::Integer(n) => out.push_str(&n.to_string()),
        Value::Float(x) => out.push_str(&format!("{x:?}f")),
        Value::Boolean(b) => out.push_str(&b.to_string()),
        Value::Datetime(time) => out.push_str(&time.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Inner {
        rate: f32,
        limit: f32,
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { rate: 0.1, limit: f32::INFINITY }
        }
    }

    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    struct Before {
        steps: usize,
        #[serde(default)]
        inner: Inner,
    }

    /// The same a version later.
    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    struct After {
        #[serde(default = "kind")]
        kind: String,
        #[serde(default)]
        inner: InnerAfter,
        steps: usize,
        #[serde(default)]
        names: Vec<String>,
    }

    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct InnerAfter {
        decay: f64,
        rate: f32,
        limit: f32,
    }

    impl Default for InnerAfter {
        fn default() -> Self {
            Self { decay: 0.5, rate: 0.1, limit: f32::INFINITY }
        }
    }

    fn kind() -> String {
        "plain".into()
    }

    fn of<T: Serialize + DeserializeOwned + PartialEq>(section: &T) -> String {
        StageInputs::new("sft", &()).unwrap().section("s", section).unwrap().digest().own
    }

    #[test]
    fn a_key_that_a_later_version_adds_keeps_the_digest_at_its_default_alone() {
        let before = Before { steps: 3, inner: Inner { rate: 0.2, ..Inner::default() } };
        let after = After { kind: kind(), inner: InnerAfter { rate: 0.2, ..InnerAfter::default() }, steps: 3, names: Vec::new() };
        assert_eq!(of(&before), of(&after));
        let set: [fn(&mut After); 6] = [
            |a| a.kind = "other".into(),
            |a| a.inner.decay = 0.25,
            |a| a.names.push("n".into()),
            |a| a.steps = 4,
            |a| a.inner.rate = 0.1,
            |a| a.inner.limit = 1.0,
        ];
        for (i, set) in set.iter().enumerate() {
            let mut other = after.clone();
            set(&mut other);
            assert_ne!(of(&before), of(&other), "{i}");
        }
    }

    #[test]
    fn inputs_are_told_apart_by_stage_name_and_value() {
        let digest =
            |stage: &str, name: &str, value: usize| StageInputs::new(stage, &("a", value)).unwrap().value(name, &value).unwrap().digest();
        let one = digest("rl", "seed", 1);
        for other in [digest("sft", "seed", 1), digest("rl", "sead", 1), digest("rl", "seed", 2)] {
            assert_ne!(one.own, other.own);
        }
        assert_eq!(one.earlier, format!("{:016x}", fnv1a(*br#"["a",1]"#)));
        assert!(one.is(one.own()) && one.is(one.earlier()) && !one.is(digest("rl", "seed", 2).own()));
        let after = |digest: &Digest| StageInputs::new("rl", &()).unwrap().stage("sft", digest).digest().own;
        assert_ne!(after(&one), after(&digest("rl", "seed", 2)));
    }
}
