//! A flat record as a trace: its parts by their roles, its numbers as signals, everything else kept.

use super::path::{find, is_list, nearest, top};
use super::prompt::{Posed, posed};
use super::rest::{Read, step_fields};
use super::shapes::COMMON;
use super::value::{self, verdict};
use super::written::{is_messages, text_key, with_thoughts, written};
use super::{Role, Shape};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, join_steps, wrong};
use crate::trace::{Candidate, Trace};
use serde_json::{Map, Value};
use std::borrow::Cow;

pub type Result<T> = std::result::Result<T, FieldError>;

/// A record that is being read.
pub struct Reader<'a> {
    pub value: &'a Value,
    pub map: &'a Map<String, Value>,
    pub shape: &'static Shape,
    /// Every value is a text, as in CSV: texts that are numbers or lists are such.
    pub loose: bool,
    /// Fields that have a place.
    pub taken: Vec<&'a str>,
}

/// What stands under a role.
pub struct Part<'a> {
    pub path: &'static str,
    pub values: Vec<Cow<'a, Value>>,
    /// Whether the values are elements of a list.
    pub several: bool,
}

/// Reads a record of a shape.
pub fn parse(shape: &'static Shape, value: &Value) -> Result<Trace> {
    let map = Fields::record(value)?.map;
    let loose = map.len() > 1 && map.values().all(|v| v.is_string() || v.is_null());
    let mut reader = Reader { value, map, shape, loose, taken: Vec::new() };
    let (id, Posed { problem, system }) = reader.head()?;
    if shape.expert && problem.is_empty() {
        return Err(FieldError::new(reader.path_of(Role::Problem), "is empty", "fill it or remove the record"));
    }
    let mut reads = reader.candidates()?;
    let several = reads.1;
    let reads = &mut reads.0;
    reader.labels(reads)?;
    let (gold_answer, solution) = reader.gold();
    reader.judged(reads, several, solution.as_deref());
    for (name, path) in shape.signals {
        reader.named_signal(name, path, reads, several)?;
    }
    if let (Some(system), Some(first)) = (system, reads.first_mut()) {
        first.keep("system", &Value::String(system));
    }
    reader.rest(reads, several);
    let by = shape.told_by.and_then(|field| map.get(field)).and_then(Value::as_str).filter(|by| *by != "none");
    if let Some(by) = by {
        reads.iter_mut().for_each(|read| read.told_by(by));
    }
    let candidates = std::mem::take(reads).into_iter().map(Read::done).collect();
    Ok(Trace { id, problem, gold_answer, candidates, source: None })
}

/// The id and the problem's text of a record, which need not be whole: the fields that [`head_fields`] names are enough.
pub fn head(shape: &'static Shape, value: &Value) -> Result<(String, String)> {
    let map = Fields::record(value)?.map;
    let (id, posed) = Reader { value, map, shape, loose: false, taken: Vec::new() }.head()?;
    Ok((id, posed.problem))
}

/// The fields that tell a record's problem.
pub fn head_fields(shape: &'static Shape) -> Vec<&'static str> {
    [Role::Problem, Role::Group].iter().flat_map(|role| shape.paths(*role)).map(|path| top(path)).collect()
}

impl<'a> Reader<'a> {
    /// The first path of a role under which something stands that is not null and that no other role has.
    pub fn part(&self, role: Role) -> Option<Part<'a>> {
        self.shape.paths(role).iter().find_map(|path| self.part_at(path))
    }

    pub fn part_at(&self, path: &'static str) -> Option<Part<'a>> {
        if self.taken.contains(&path) {
            return None;
        }
        let found = find(self.value, path);
        if found.iter().all(|v| v.is_null()) {
            return None;
        }
        let several = is_list(path);
        let listed = |v: &'a Value| match v {
            // A cell of a table that holds a list.
            Value::String(s) if self.loose && s.trim_start().starts_with('[') => {
                serde_json::from_str::<Value>(s).ok().filter(Value::is_array).map_or(Cow::Borrowed(v), Cow::Owned)
            }
            _ => Cow::Borrowed(v),
        };
        Some(Part { path, values: found.into_iter().map(listed).collect(), several })
    }

    /// The path of a role for a message.
    fn path_of(&self, role: Role) -> &'static str {
        let paths = self.shape.paths(role);
        paths.iter().find(|p| self.map.contains_key(top(p))).or(paths.first()).copied().unwrap_or_default()
    }

    /// Notes that the field at a path has its place; what is deeper stays with the rest.
    pub fn take(&mut self, path: &str) {
        if let Some((key, _)) = self.map.get_key_value(path) {
            self.taken.push(key);
        }
    }

    fn head(&mut self) -> Result<(String, Posed)> {
        let group = self.shape.paths(Role::Group).iter().find_map(|path| {
            let id = find(self.value, path).first().and_then(|v| value::answer(v)).filter(|id| !id.is_empty())?;
            Some((path, id))
        });
        if let Some((path, _)) = group {
            self.take(path);
        }
        let mut read = Posed::default();
        if let Some(part) = self.part(Role::Problem) {
            self.take(part.path);
            if let Some(value) = part.values.first() {
                read = posed(value, part.path)?;
            }
            // An instruction is about an input beside it.
            let about = self.map.get("input").and_then(Value::as_str).map(str::trim).filter(|s| !s.is_empty());
            if let Some(about) = about.filter(|_| part.path == "instruction" && !self.shape.strict) {
                self.take("input");
                read.problem = format!("{}\n\n{about}", read.problem);
            }
        } else if self.shape.strict && !self.shape.paths(Role::Problem).is_empty() {
            self.missing(Role::Problem)?;
        }
        Ok((group.map_or_else(String::new, |g| g.1), read))
    }

    /// The error for a part that is not there.
    fn missing(&self, role: Role) -> Result<()> {
        let path = self.path_of(role);
        if find(self.value, path).iter().any(|v| v.is_null()) {
            return Err(FieldError::new(path, "is null", "fill it or remove the record"));
        }
        if !self.shape.strict {
            return Err(FieldError::new(path, "is missing", "add it"));
        }
        let near = nearest(self.map, path).map_or_else(|| "see the record's fields".to_owned(), |near| format!("the nearest is `{near}`"));
        Err(FieldError::new(path, "is not in the record", near))
    }

    /// The candidates with their texts, and whether they come from a list.
    fn candidates(&mut self) -> Result<(Vec<Read>, bool)> {
        if let Some(part) = self.part(Role::Text) {
            self.take(part.path);
            let thoughts = self.part(Role::Reasoning).filter(|t| t.path != part.path);
            return self.texts(part, thoughts);
        }
        if let Some(part) = self.part(Role::Steps) {
            self.take(part.path);
            return Ok((vec![self.steps(&part)?], false));
        }
        if let Some(part) = self.part(Role::Reasoning) {
            self.take(part.path);
            return self.texts(part, None);
        }
        let role = if self.shape.paths(Role::Text).is_empty() { Role::Steps } else { Role::Text };
        // An expert's solution may be left out, and a user who names none wants problems alone.
        if !self.shape.expert && !self.shape.paths(role).is_empty() {
            self.missing(role)?;
        }
        Ok((Vec::new(), false))
    }

    fn texts(&mut self, part: Part<'a>, thoughts: Option<Part<'a>>) -> Result<(Vec<Read>, bool)> {
        let Part { path, values, several } = part;
        let (values, several): (Vec<Cow<'a, Value>>, bool) = match values.as_slice() {
            [one] if !several => match one.as_array() {
                Some(all) if !is_messages(all) => (flat(all), true),
                _ => (values, false),
            },
            _ => (values, true),
        };
        let thought: Vec<Cow<'a, Value>> = match &thoughts {
            None => Vec::new(),
            Some(Part { values, several: false, .. }) if several && values.len() == 1 => {
                values[0].as_array().map(|all| flat(all)).unwrap_or_default()
            }
            Some(Part { values, .. }) => values.clone(),
        };
        // Thoughts that are no text (a switch, `"reasoning": "on"` beside a text) or not one a candidate stay with the rest.
        let usable = thought.len() == values.len() && thought.iter().all(|t| t.is_string() || t.is_null());
        if let Some(part) = thoughts.as_ref().filter(|_| usable) {
            self.take(part.path);
        }
        if self.shape.name == "lm-eval" && values.iter().any(|v| v.is_array()) {
            return Err(FieldError::new(
                path,
                "holds likelihoods of given options and no text",
                "give the samples of a task that generates text",
            ));
        }
        let mut reads = Vec::with_capacity(values.len());
        for (i, value) in values.iter().enumerate() {
            let place = if several { format!("{path}[{i}]") } else { path.to_owned() };
            let mut read = Read { candidate: written(value, &place)?, ..Read::default() };
            if let Some(text) = thought.get(i).filter(|_| usable).and_then(|t| t.as_str()) {
                read.candidate = with_thoughts(text, read.candidate);
            }
            self.own_fields(&mut read, value);
            reads.push(read);
        }
        Ok((reads, several))
    }

    /// What a candidate that is an object, or messages, says beyond its text.
    fn own_fields(&self, read: &mut Read, value: &Value) {
        match value {
            Value::Object(map) => {
                let text = text_key(value);
                for (key, v) in map.iter().filter(|(k, v)| Some(k.as_str()) != text && !v.is_null()) {
                    if !self.own_part(&mut read.candidate, key, v) {
                        read.put(key, v, self.loose);
                    }
                }
            }
            // Calls of tools, pictures and whose turn it was: the text does not hold all of that.
            Value::Array(all) if all.len() > 1 || all.iter().any(|m| m.as_object().is_some_and(|m| m.len() > 2)) => {
                read.keep("messages", value)
            }
            _ => {}
        }
    }

    /// Takes a field of a candidate that is an object for the part that it is; false where it is none, or says more than that.
    fn own_part(&self, candidate: &mut Candidate, key: &str, v: &Value) -> bool {
        let role = |role: Role| COMMON.iter().any(|(r, names)| *r == role && names.contains(&key));
        if role(Role::Verdict) && candidate.correct.is_none() && verdict(v).is_some() {
            candidate.correct = verdict(v);
            return v.is_boolean() || v.is_string();
        }
        if role(Role::Finish) && candidate.finish.is_none() && value::finish(key, v).is_some() {
            candidate.finish = value::finish(key, v);
            return true;
        }
        if (role(Role::Policy) || key == "source") && candidate.policy.is_none() && v.is_string() {
            candidate.policy = v.as_str().map(str::to_owned);
            return true;
        }
        if role(Role::Answer) && candidate.answer.is_none() && (v.is_string() || v.is_number()) {
            candidate.answer = value::answer(v);
            return true;
        }
        key == "role" || key == "from"
    }

    /// A text in given steps: a list of texts, or of objects with a text and a label; a text is cut.
    fn steps(&self, part: &Part<'a>) -> Result<Read> {
        let all = match part.values.as_slice() {
            [one] if !part.several => match one.as_ref() {
                Value::String(text) => value::list_of_texts(text).map(|all| all.into_iter().map(|t| Cow::Owned(t.into())).collect()),
                list => list.as_array().map(|all| flat(all)),
            },
            _ => Some(part.values.clone()),
        };
        let Some(all) = all else {
            return Ok(Read { candidate: written(&part.values[0], part.path)?, ..Read::default() });
        };
        let text = |(i, v): (usize, &'_ Cow<'a, Value>)| -> Result<String> {
            let inner = text_key(v).and_then(|k| v.get(k)).or_else(|| v.get("step"));
            let text = inner.unwrap_or(v).as_str().map(str::to_owned);
            text.ok_or_else(|| wrong(&format!("{}[{i}]", part.path), v, "a string"))
        };
        let texts: Vec<String> = all.iter().enumerate().map(text).collect::<Result<_>>()?;
        let parts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (text, steps) = join_steps(&parts, "\n\n");
        let mut read = Read { candidate: Candidate { text, steps, ..Candidate::default() }, ..Read::default() };
        let objects: Vec<&Map<String, Value>> = all.iter().filter_map(|v| v.as_object()).collect();
        if objects.len() == all.len() {
            step_fields(&mut read, &objects, &|name| name == "step" || all.iter().any(|v| text_key(v) == Some(name)));
        }
        Ok(read)
    }
}

/// The elements of a list, lists of texts in it opened.
pub fn flat<'a>(all: &[Value]) -> Vec<Cow<'a, Value>> {
    let mut out = Vec::with_capacity(all.len());
    for value in all {
        match value.as_array() {
            Some(inner) if !is_messages(inner) => out.extend(inner.iter().map(|v| Cow::Owned(v.clone()))),
            _ => out.push(Cow::Owned(value.clone())),
        }
    }
    out
}
