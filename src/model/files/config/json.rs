//! Typed access to the fields of a JSON object in a model's files.

use crate::model::ModelError;
use serde_json::{Map, Value};
use std::path::Path;

/// The object that a file holds.
pub(in crate::model) fn object(text: &[u8], path: &Path) -> Result<Map<String, Value>, ModelError> {
    let bad = |what: String| ModelError::File { path: path.into(), what, remedy: "fetch the file again".into() };
    match serde_json::from_slice(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(bad("not a JSON object".into())),
        Err(e) => Err(bad(format!("not valid JSON: {e}"))),
    }
}

/// Typed access to a JSON object's fields, `null` read as absent.
pub(in crate::model) struct Fields<'a> {
    /// The object.
    pub(in crate::model) map: &'a Map<String, Value>,
    /// Its file, for errors.
    pub(in crate::model) path: &'a Path,
}

impl Fields<'_> {
    pub(in crate::model) fn error(&self, what: &str, remedy: &str) -> ModelError {
        ModelError::File { path: self.path.into(), what: what.into(), remedy: remedy.into() }
    }
    fn get<T>(&self, name: &str, want: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, ModelError> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => match read(v) {
                Some(t) => Ok(Some(t)),
                None => Err(self.error(&format!("{name} is {v}, not {want}"), "correct the field or fetch the file again")),
            },
        }
    }
    pub(in crate::model) fn count(&self, name: &str) -> Result<Option<usize>, ModelError> {
        self.get(name, "a whole number", |v| v.as_u64().and_then(|n| usize::try_from(n).ok()))
    }
    pub(in crate::model) fn needed(&self, name: &str) -> Result<usize, ModelError> {
        match self.count(name)? {
            Some(n) if n > 0 => Ok(n),
            Some(_) => Err(self.error(&format!("{name} is 0"), "correct the field or fetch the file again")),
            None => Err(self.error(&format!("{name} is missing"), "add the field or fetch the file again")),
        }
    }
    pub(in crate::model) fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        self.get(name, "a number", Value::as_f64)
    }
    pub(in crate::model) fn flag(&self, name: &str) -> Result<Option<bool>, ModelError> {
        self.get(name, "true or false", Value::as_bool)
    }
    pub(in crate::model) fn text(&self, name: &str) -> Result<Option<String>, ModelError> {
        self.get(name, "a string", |v| v.as_str().map(str::to_owned))
    }
    pub(in crate::model) fn ids(&self, name: &str) -> Result<Option<Vec<u32>>, ModelError> {
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        self.get(name, "a token id or a list of them", |v| match v {
            Value::Array(list) => list.iter().map(id).collect(),
            v => id(v).map(|i| vec![i]),
        })
    }
}
