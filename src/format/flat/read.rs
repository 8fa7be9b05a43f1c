//! A flat record as a trace: its parts by their roles, its numbers as signals, everything else kept.

use super::path::{find, is_list, nearest, top};
use super::prompt::{Posed, posed};
use super::rest::Read;
use super::shapes::{Role, Shape};
use super::value::{self, verdict};
use super::written::{is_messages, text_key, with_thoughts, written};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_integer, join_steps, wrong};
use crate::trace::{Candidate, GoldDeviation, Trace, Values};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

type Result<T> = std::result::Result<T, FieldError>;

/// A record's fields that go with every one of several candidates; longer ones go with the first.
const SHORT: usize = 100;

/// A record that is being read.
struct Reader<'a> {
    value: &'a Value,
    map: &'a Map<String, Value>,
    shape: &'static Shape,
    /// Every value is a text, as in CSV: texts that are numbers or lists are such.
    loose: bool,
    /// Fields that have a place.
    taken: HashSet<&'a str>,
}

/// What stands under a role.
struct Part<'a> {
    path: &'static str,
    values: Vec<Cow<'a, Value>>,
    /// Whether the values are elements of a list.
    several: bool,
}

/// Reads a record of a shape.
pub fn parse(shape: &'static Shape, value: &Value) -> Result<Trace> {
    let map = Fields::record(value)?.map;
    let loose = map.len() > 1 && map.values().all(|v| v.is_string() || v.is_null());
    let mut reader = Reader { value, map, shape, loose, taken: HashSet::new() };
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
    let candidates = std::mem::take(reads).into_iter().map(Read::done).collect();
    Ok(Trace { id, problem, gold_answer, candidates, source: None })
}

/// The id and the problem's text of a record, which need not be whole: the fields that [`head_fields`] names are enough.
pub fn head(shape: &'static Shape, value: &Value) -> Result<(String, String)> {
    let map = Fields::record(value)?.map;
    let (id, posed) = Reader { value, map, shape, loose: false, taken: HashSet::new() }.head()?;
    Ok((id, posed.problem))
}

/// The fields that tell a record's problem.
pub fn head_fields(shape: &'static Shape) -> Vec<&'static str> {
    [Role::Problem, Role::Group].iter().flat_map(|role| shape.paths(*role)).map(|path| top(path)).collect()
}

impl<'a> Reader<'a> {
    /// The first path of a role under which something stands that is not null and that no other role has.
    fn part(&self, role: Role) -> Option<Part<'a>> {
        self.shape.paths(role).iter().find_map(|path| self.part_at(path))
    }

    fn part_at(&self, path: &'static str) -> Option<Part<'a>> {
        if self.taken.contains(path) {
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
    fn take(&mut self, path: &str) {
        if let Some((key, _)) = self.map.get_key_value(path) {
            self.taken.insert(key);
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
        } else if self.shape.strict && !self.shape.paths(Role::Problem).is_empty() {
            self.missing(Role::Problem)?;
        }
        Ok((group.map_or_else(String::new, |g| g.1), read))
    }

    /// The error for a part that a user named and that is not there.
    fn missing(&self, role: Role) -> Result<()> {
        let path = self.path_of(role);
        if find(self.value, path).iter().any(|v| v.is_null()) {
            return Err(FieldError::new(path, "is null", "fill it or remove the record"));
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
            return self.texts(part, None);
        }
        // A record that only holds a problem has no candidates; a text that a user named must be there.
        if self.shape.strict && [Role::Text, Role::Steps].iter().any(|r| !self.shape.paths(*r).is_empty()) {
            let role = if self.shape.paths(Role::Text).is_empty() { Role::Steps } else { Role::Text };
            self.missing(role)?;
        }
        if !self.shape.paths(Role::Text).is_empty() && self.map.contains_key(self.path_of(Role::Text)) {
            return Err(FieldError::new(self.path_of(Role::Text), "is null", "fill it or remove the record"));
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
                for (key, v) in map.iter().filter(|(k, _)| Some(k.as_str()) != text) {
                    let role = |role: Role| self.shape.paths(role).contains(&key.as_str());
                    match key.as_str() {
                        "role" | "from" if text.is_some() => {}
                        _ if role(Role::Verdict) && verdict(v).is_some() => read.candidate.correct = verdict(v),
                        _ if role(Role::Finish) && value::finish(key, v).is_some() => read.candidate.finish = value::finish(key, v),
                        _ if role(Role::Policy) && v.is_string() => read.candidate.policy = v.as_str().map(str::to_owned),
                        _ if role(Role::Answer) && value::answer(v).is_some() => read.candidate.answer = value::answer(v),
                        _ => {}
                    }
                    if !(role(Role::Policy) || role(Role::Answer)) || v.is_object() || v.is_array() {
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

    /// A text in given steps: a list of texts, or of objects with a text and a label; a text is cut.
    fn steps(&self, part: &Part<'a>) -> Result<Read> {
        let all = match part.values.as_slice() {
            [one] if !part.several => one.as_array().map(|all| flat(all)),
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
        if all.iter().any(|v| v.is_object()) {
            self.step_fields(&mut read, &all);
        }
        Ok(read)
    }

    /// The fields of steps that are objects: a label, numbers, and what is kept.
    fn step_fields(&self, read: &mut Read, all: &[Cow<'a, Value>]) {
        let mut names: Vec<&str> = Vec::new();
        for key in all.iter().filter_map(|v| v.as_object()).flat_map(Map::keys) {
            if names.len() < 32 && !names.contains(&key.as_str()) {
                names.push(key);
            }
        }
        for name in names.into_iter().filter(|n| all.iter().all(|v| text_key(v) != Some(n)) && *n != "step") {
            let values: Vec<&Value> = all.iter().map(|v| v.get(name).unwrap_or(&Value::Null)).collect();
            let labels = ["label", "rating", "correct", "is_correct", "correctness"].contains(&name);
            let read_as: Option<Vec<Option<f32>>> = values.iter().map(|v| value::label(v)).collect();
            match read_as {
                Some(labelled) if labels => read.candidate.steps.iter_mut().zip(labelled).for_each(|(s, l)| s.label = l),
                Some(numbers) if values.iter().all(|v| v.is_number() || v.is_null()) => {
                    read.step_signal(name, &numbers);
                }
                _ => read.keep(&format!("steps.{name}"), &values.into_iter().cloned().collect()),
            }
        }
    }

    /// Labels of steps and the first wrong one.
    fn labels(&mut self, reads: &mut [Read]) -> Result<()> {
        let [read] = reads else { return Ok(()) };
        for (role, from) in [(Role::FirstError, 0), (Role::FirstErrorFromOne, 1)] {
            let Some(part) = self.shape.paths(role).iter().find(|p| !find(self.value, p).is_empty()) else { continue };
            let value = find(self.value, part)[0];
            read.candidate.gold = first_error(value, from, read.candidate.steps.len(), part)?;
            self.take(part);
        }
        let Some(part) = self.part(Role::Labels) else { return Ok(()) };
        let list = match part.values.as_slice() {
            [one] if !part.several => one.as_array().map(|all| flat(all)),
            _ => Some(part.values.clone()),
        };
        let Some(list) = list else { return Ok(()) };
        let labels: Option<Vec<Option<f32>>> = list.iter().map(|v| value::label(v)).collect();
        if let Some(labels) = labels
            && super::steps::fit(&mut read.candidate, labels.len())
        {
            read.candidate.steps.iter_mut().zip(labels).for_each(|(s, l)| s.label = l);
            read.candidate.gold = read.candidate.gold.or(crate::format::fields::first_wrong(&read.candidate.steps));
            self.take(part.path);
        } else if self.shape.strict {
            let problem = format!("has {} labels for {} steps, or some that are no labels", list.len(), read.candidate.steps.len());
            return Err(FieldError::new(part.path, problem, "give one a step: true, false, 1, 0, -1, \"+\" or \"-\""));
        }
        Ok(())
    }

    /// The reference answer, and the reference solution; what they say beyond an answer is kept with the rest.
    fn gold(&mut self) -> (Option<String>, Option<String>) {
        let solution = self.part(Role::Solution).and_then(|part| part.values.first().and_then(|v| v.as_str()).map(str::to_owned));
        for path in self.shape.paths(Role::Gold) {
            let Some(part) = self.part_at(path) else { continue };
            let (gold, whole) = part.values.first().map_or((None, true), |v| value::gold(v));
            if gold.is_some() {
                if whole && part.values.len() == 1 {
                    self.take(path);
                }
                return (gold, solution);
            }
        }
        let marked = solution.as_deref().and_then(crate::format::sources::gsm8k::final_answer);
        // A solution of a few words is the answer itself.
        let short = || solution.clone().filter(|s| s.trim().len() <= 40 && !s.trim().contains('\n') && !s.trim().is_empty());
        (marked.or_else(short), solution)
    }

    /// Answers, verdicts, writers and ends, where they are one a candidate.
    fn judged(&mut self, reads: &mut [Read], several: bool, solution: Option<&str>) {
        if self.shape.expert {
            for read in reads.iter_mut() {
                read.candidate.correct = Some(true);
                read.candidate.policy = Some("expert".into());
                read.candidate.answer = solution.and_then(crate::format::sources::gsm8k::final_answer);
            }
        }
        if let Some((part, each)) = self.each(Role::Answer, reads.len(), several) {
            let says = |i: usize| value::answer(&each[i]).filter(|a| *a != reads[i].candidate.text.trim());
            let answers: Vec<Option<String>> = (0..reads.len()).map(says).collect();
            reads.iter_mut().zip(answers).for_each(|(r, a)| r.candidate.answer = r.candidate.answer.take().or(a));
            self.take(part);
        }
        for path in self.shape.paths(Role::Verdict) {
            let Some(each) = self.part_at(path).and_then(|part| spread(part, reads.len(), several)) else { continue };
            let verdicts: Vec<Option<bool>> = each.iter().map(|v| verdict(v)).collect();
            if !reads.is_empty() && verdicts.iter().zip(&each).all(|(b, v)| b.is_some() || v.is_null()) {
                reads.iter_mut().zip(&verdicts).for_each(|(r, v)| r.candidate.correct = r.candidate.correct.or(*v));
                // A verdict among several stays a signal too; a number stays one in any case.
                if each.iter().all(|v| v.is_boolean() || v.is_null()) && several {
                    reads.iter_mut().zip(&verdicts).for_each(|(r, v)| {
                        if let Some(v) = v {
                            r.signal(path, Values::Candidate(f32::from(u8::from(*v))));
                        }
                    });
                    self.take(path);
                } else if each.iter().all(|v| v.is_boolean() || v.is_string() && !several) {
                    self.take(path);
                }
                if reads.iter().all(|r| r.candidate.correct.is_some()) {
                    break;
                }
            }
        }
        for path in self.shape.paths(Role::Policy) {
            let Some(each) = self.part_at(path).map(|p| spread(p, reads.len(), several).ok_or(path)) else { continue };
            match each {
                Ok(each) if each.iter().all(|v| v.is_string()) => {
                    reads.iter_mut().zip(&each).for_each(|(r, v)| r.candidate.policy = v.as_str().map(str::to_owned));
                    self.take(path);
                    break;
                }
                Err(path) => {
                    let Some(name) = self.map.get(*path).and_then(Value::as_str).filter(|n| !n.is_empty()) else { continue };
                    reads.iter_mut().for_each(|r| r.candidate.policy = Some(name.to_owned()));
                    self.take(path);
                    break;
                }
                Ok(_) => {}
            }
        }
        for path in self.shape.paths(Role::Finish) {
            let Some(each) = self.part_at(path).and_then(|part| spread(part, reads.len(), several)) else { continue };
            let known: Vec<_> = each.iter().map(|v| value::finish(path, v)).collect();
            if known.iter().zip(&each).all(|(f, v)| f.is_some() || v.is_null()) {
                // That it was cut off is said by one of several fields.
                reads.iter_mut().zip(known).for_each(|(r, f)| match (&r.candidate.finish, f) {
                    (Some(old), _) if old.is_cut() => {}
                    (_, Some(new)) => r.candidate.finish = Some(new),
                    _ => {}
                });
                if each.iter().all(|v| !v.is_string() || verdict(v).is_some() || matches!(v.as_str(), Some("stop" | "length"))) {
                    self.take(path);
                }
            }
        }
    }

    /// The values of a role, one a candidate.
    fn each(&self, role: Role, n: usize, several: bool) -> Option<(&'static str, Vec<Cow<'a, Value>>)> {
        self.shape.paths(role).iter().find_map(|path| {
            let each = spread(self.part_at(path)?, n, several)?;
            each.iter().any(|v| value::answer(v).is_some()).then_some((*path, each))
        })
    }

    /// Numbers that a user gave a name.
    fn named_signal(&mut self, name: &str, path: &'static str, reads: &mut [Read], several: bool) -> Result<()> {
        let Some(part) = self.part_at(path) else { return Ok(()) };
        self.take(path);
        let count = part.values.len();
        let each = match spread(part, reads.len(), several) {
            Some(each) => each,
            None => {
                return Err(FieldError::new(
                    path,
                    format!("has {count} values for {} candidates", reads.len()),
                    "name a list with one a candidate",
                ));
            }
        };
        for (read, value) in reads.iter_mut().zip(each) {
            let numbers = value.as_array().map(|all| all.iter().map(|v| value::number(v, true).map(|x| x as f32)).collect::<Vec<_>>());
            match (numbers, value::number(&value, true)) {
                (Some(numbers), _) if read.step_signal(name, &numbers) => {}
                (_, Some(x)) => read.signal(name, Values::Candidate(x as f32)),
                _ => match verdict(&value) {
                    Some(right) => read.signal(name, Values::Candidate(f32::from(u8::from(right)))),
                    None if value.is_null() => {}
                    None => read.put(name, &value, true),
                },
            }
        }
        Ok(())
    }

    /// Everything that has no place yet: lists of as many elements as there are candidates go to these, numbers become signals of a candidate that is alone.
    fn rest(&self, reads: &mut [Read], several: bool) {
        let n = reads.len();
        let left = self.map.iter().filter(|(key, _)| !self.taken.contains(key.as_str()));
        for (key, value) in left {
            match value.as_array() {
                Some(all) if several && n > 0 && all.len() == n => {
                    for (read, v) in reads.iter_mut().zip(all).filter(|(_, v)| !v.is_null()) {
                        match v {
                            Value::Bool(b) => read.keep(key, &Value::Bool(*b)),
                            v => read.put(key, v, self.loose),
                        }
                    }
                }
                _ if !several && n == 1 => reads[0].put(key, value, self.loose),
                _ => {
                    let short = !value.is_array() && !value.is_object() && value.as_str().is_none_or(|s| s.len() <= SHORT);
                    let many = if short { n } else { n.min(1) };
                    reads[..many].iter_mut().for_each(|r| r.keep(key, value));
                }
            }
        }
    }
}

/// The elements of a list, lists of texts in it opened.
fn flat<'a>(all: &[Value]) -> Vec<Cow<'a, Value>> {
    let mut out = Vec::with_capacity(all.len());
    for value in all {
        match value.as_array() {
            Some(inner) if !is_messages(inner) => out.extend(inner.iter().map(|v| Cow::Owned(v.clone()))),
            _ => out.push(Cow::Owned(value.clone())),
        }
    }
    out
}

/// The values of a part as one a candidate; `None` where they are not.
fn spread<'a>(part: Part<'a>, n: usize, several: bool) -> Option<Vec<Cow<'a, Value>>> {
    let Part { values, several: listed, .. } = part;
    if listed || values.len() != 1 {
        return (values.len() == n).then_some(values);
    }
    match (values[0].as_array(), several) {
        (Some(all), true) => {
            let inner = if all.len() == n { all.iter().map(|v| Cow::Owned(v.clone())).collect() } else { flat(all) };
            (inner.len() == n).then_some(inner)
        }
        (Some(_), false) => (n == 1).then_some(values),
        (None, _) => (n == 1).then_some(values),
    }
}

/// The first wrong step, counted from `from`; null, −1, `N/A` and nothing are none where a record says so.
fn first_error(value: &Value, from: i64, steps: usize, path: &str) -> Result<Option<GoldDeviation>> {
    let says = |text: &str| ["", "n/a", "na", "none", "null", "nan", "correct"].contains(&text.trim().to_lowercase().as_str());
    let number = match value {
        Value::Null => return Ok(Some(GoldDeviation::None)),
        Value::String(s) if says(s) => return Ok(Some(GoldDeviation::None)),
        Value::String(s) => {
            s.trim().trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == ' ').parse::<f64>().ok().map(|x| x as i64)
        }
        v => as_integer(v),
    };
    let number = number.ok_or_else(|| wrong(path, value, "the number of a step, or null for none"))?;
    match usize::try_from(number - from) {
        Ok(step) if step < steps => Ok(Some(GoldDeviation::Step(step))),
        Err(_) if number == -1 || number == 0 && from == 1 => Ok(Some(GoldDeviation::None)),
        _ => {
            let problem = format!("is {number} with {steps} steps");
            Err(FieldError::new(path, problem, format!("give the first wrong step, from {from}, or null")))
        }
    }
}
