//! What a record says of its candidates: labels, the reference answer, verdicts, writers, ends, and everything that has no place of its own.

use super::Role;
use super::path::find;
use super::read::{Part, Reader, Result, flat};
use super::rest::Read;
use super::value::{self, verdict};
use super::written::is_messages;
use crate::format::error::FieldError;
use crate::format::fields::{as_integer, final_answer, first_wrong, is_short, wrong};
use crate::trace::{GoldDeviation, Values};
use serde_json::Value;
use std::borrow::Cow;

impl<'a> Reader<'a> {
    /// Labels of steps and the first wrong one.
    pub fn labels(&mut self, reads: &mut [Read]) -> Result<()> {
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
            read.candidate.gold = read.candidate.gold.or(first_wrong(&read.candidate.steps));
            self.take(part.path);
        } else if self.shape.strict {
            let problem = format!("has {} labels for {} steps, or some that are no labels", list.len(), read.candidate.steps.len());
            return Err(FieldError::new(part.path, problem, "give one a step: true, false, 1, 0, -1, \"+\" or \"-\""));
        }
        Ok(())
    }

    /// The reference answer, and the reference solution; what they say beyond an answer is kept with the rest.
    pub fn gold(&mut self) -> (Option<String>, Option<String>) {
        let solution =
            self.shape.paths(Role::Solution).iter().find_map(|path| find(self.value, path).first().copied()?.as_str().map(str::to_owned));
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
        let marked = solution.as_deref().and_then(final_answer);
        // A solution of a few words is the answer itself.
        let short = || solution.clone().filter(|s| s.trim().len() <= 40 && !s.trim().contains('\n') && !s.trim().is_empty());
        (marked.or_else(short), solution)
    }

    /// Answers, verdicts, writers and ends, where they are one a candidate.
    pub fn judged(&mut self, reads: &mut [Read], several: bool, solution: Option<&str>) {
        if self.shape.expert {
            for read in reads.iter_mut() {
                read.candidate.correct = Some(true);
                read.candidate.policy = Some("expert".into());
                read.candidate.answer = solution.and_then(final_answer);
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
    pub fn named_signal(&mut self, name: &str, path: &'static str, reads: &mut [Read], several: bool) -> Result<()> {
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
    pub fn rest(&self, reads: &mut [Read], several: bool) {
        let n = reads.len();
        let left = self.map.iter().filter(|(key, _)| !self.taken.contains(&key.as_str()));
        for (key, value) in left {
            let cell = value.as_str().filter(|s| self.loose && s.starts_with('[')).and_then(|s| serde_json::from_str::<Value>(s).ok());
            let value = cell.as_ref().unwrap_or(value);
            match value.as_array() {
                Some(all) if several && n > 0 && all.len() == n && !is_messages(all) => {
                    for (read, v) in reads.iter_mut().zip(all).filter(|(_, v)| !v.is_null()) {
                        match v {
                            Value::Bool(b) => read.keep(key, &Value::Bool(*b)),
                            v => read.put(key, v, self.loose),
                        }
                    }
                }
                _ if n == 1 => reads[0].put(key, value, self.loose),
                _ => {
                    let many = if is_short(value) { n } else { n.min(1) };
                    reads[..many].iter_mut().for_each(|r| r.keep(key, value));
                }
            }
        }
    }
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
    match usize::try_from(number.saturating_sub(from)) {
        Ok(step) if step < steps => Ok(Some(GoldDeviation::Step(step))),
        Err(_) if number == -1 || number == 0 && from == 1 => Ok(Some(GoldDeviation::None)),
        _ => {
            let problem = format!("is {number} with {steps} steps");
            Err(FieldError::new(path, problem, format!("give the first wrong step, from {from}, or null")))
        }
    }
}
