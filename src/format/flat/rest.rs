//! What of a record is none of its named parts: numbers become signals under their own name, everything else is kept.

use super::steps::fit;
use super::value::{label, number, survives};
use crate::format::fields::{first_wrong, free_name};
use crate::trace::{Candidate, Orientation, Reading, Signal, SignalSource, Unit, Values};
use serde_json::{Map, Value};

/// How deep objects of numbers are opened.
const DEEP: usize = 4;
/// Numbers that an object gives at most; those of a larger one are kept as they are.
const MANY: usize = 256;

/// A candidate that is being read, and what else its record says of it.
#[derive(Default)]
pub struct Read {
    pub candidate: Candidate,
    pub extra: Map<String, Value>,
}

impl Read {
    /// Puts a field where it belongs. `loose`: texts that are numbers count as such.
    pub fn put(&mut self, name: &str, value: &Value, loose: bool) {
        self.put_at(name, value, loose, 0);
    }

    fn put_at(&mut self, name: &str, value: &Value, loose: bool, depth: usize) {
        match value {
            Value::Number(_) | Value::String(_) => {
                // In a table of texts a whole number may be a code; one with a fraction measures something.
                let table = |s: &str| loose && (s.contains(['.', 'e', 'E']) || kind(name).0 != Orientation::High);
                let scored = judges(name) || value.as_str().is_some_and(table);
                match number(value, scored).filter(|x| !names_something(name) && survives(*x)) {
                    Some(x) => self.signal(name, Values::Candidate(x as f32)),
                    None => self.keep(name, value),
                }
            }
            Value::Array(all) if !all.is_empty() && all.iter().all(|v| v.is_null() || number(v, false).is_some_and(survives)) => {
                let values: Vec<Option<f32>> = all.iter().map(|v| number(v, false).map(|x| x as f32)).collect();
                let some = values.iter().any(Option::is_some);
                if some
                    && !names_something(name)
                    && (judges(name) || values.len() == self.candidate.steps.len())
                    && self.step_signal(name, &values)
                {
                    return;
                }
                // Numbers of other steps than can be found: the last one is what such lists end in.
                if let Some(last) = values.last().copied().flatten().filter(|_| judges(name)) {
                    self.signal(name, Values::Candidate(last));
                }
                self.keep(name, value);
            }
            Value::Object(map) if depth < DEEP && map.len() <= MANY && (depth > 0 || judges(name)) => {
                for (key, inner) in map {
                    // `score: {"score": 1, …}` is the score.
                    let name = if key == name { name.to_owned() } else { format!("{name}.{key}") };
                    self.put_at(&name, inner, loose, depth + 1);
                }
            }
            _ => self.keep(name, value),
        }
    }

    /// Puts the fields of a record that have no place in its trace; `id` is the record's own name.
    pub fn put_others(&mut self, record: &Map<String, Value>, taken: &[&str], id: &str) {
        for (key, v) in record.iter().filter(|(key, v)| !taken.contains(&key.as_str()) && !v.is_null()) {
            if v.as_str() != Some(id) && v.as_number().is_none_or(|n| n.to_string() != id) {
                self.put(key, v, false);
            }
        }
    }

    /// Values of steps, where the text has so many; false where it has not.
    pub fn step_signal(&mut self, name: &str, values: &[Option<f32>]) -> bool {
        let fits = fit(&mut self.candidate, values.len());
        if fits {
            self.signal(name, Values::Steps(values.to_vec()));
        }
        fits
    }

    /// A signal of the file.
    pub fn signal(&mut self, name: &str, values: Values) {
        let name = askable(name);
        let taken = |name: &str| self.candidate.signal(name).is_some();
        let free = if taken(&name) { (2..).map(|n| format!("{name}#{n}")).find(|n| !taken(n)) } else { None };
        let (orientation, unit) = kind(&name);
        let name = free.unwrap_or(name);
        let signal = match values {
            Values::Steps(values) => Signal::given_steps(name, values),
            values => Signal { unit, ..Signal::new(name, SignalSource::File, values) },
        };
        self.candidate.signals.push(Signal { orientation, ..signal });
    }

    /// Names the signals that judge by who judged.
    pub fn told_by(&mut self, by: &str) {
        let mut free: Vec<String> = self.candidate.signals.iter().map(|s| s.name.clone()).collect();
        for signal in self.candidate.signals.iter_mut().filter(|s| s.orientation != Orientation::Neither) {
            let name = askable(&format!("{},{by}", signal.name));
            if !free.contains(&name) {
                free.push(name.clone());
                signal.rename(name);
            }
        }
    }

    /// Keeps a field as it is; under `record.NAME` where a native record has one of its name.
    pub fn keep(&mut self, name: &str, value: &Value) {
        if value.is_null() && self.extra.contains_key(name) {
            return;
        }
        self.extra.insert(free_name(name), value.clone());
    }

    /// The candidate with all that is kept of its record.
    pub fn done(mut self) -> Candidate {
        self.candidate.signals.sort_by_key(|s| rank(&s.name));
        self.candidate.extra = (!self.extra.is_empty()).then(|| Value::Object(self.extra).to_string());
        self.candidate
    }
}

/// What ranks candidates where nobody names a signal: the whole reward before its parts, and what training made of it last.
fn rank(name: &str) -> u8 {
    match name {
        "reward" | "score" | "total_reward" | "final_reward" | "agg_scores" | "reward_score" => 0,
        _ if name.starts_with("advantage") => 2,
        _ => 1,
    }
}

fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_ascii_lowercase)
}

/// Whether a name is of something that judges, so that an object or a list of it holds judgements.
fn judges(name: &str) -> bool {
    const WORDS: [&str; 26] = [
        "score",
        "scores",
        "reward",
        "rewards",
        "metric",
        "metrics",
        "advantage",
        "advantages",
        "value",
        "values",
        "eval",
        "evaluation",
        "judge",
        "judgement",
        "judgment",
        "correctness",
        "accuracy",
        "acc",
        "rating",
        "ratings",
        "margin",
        "rm",
        "prm",
        "orm",
        "prob",
        "probs",
    ];
    words(name).any(|w| WORDS.contains(&w.as_str()))
}

/// Whether a number under this name tells one thing from another and measures nothing: an index, a seed.
pub fn names_something(name: &str) -> bool {
    const WORDS: [&str; 14] =
        ["id", "ids", "idx", "index", "uid", "uuid", "seed", "seeds", "created", "timestamp", "version", "date", "port", "hash"];
    words(name).last().is_some_and(|w| WORDS.contains(&w.as_str()))
}

/// Which of its values are good, and what they are, by a name.
fn kind(name: &str) -> (Orientation, Unit) {
    const COUNTS: [&str; 17] = [
        "tokens", "token", "length", "len", "count", "num", "n", "turns", "turn", "steps", "chars", "words", "lines", "size", "calls",
        "level", "rank",
    ];
    const NEITHER: [&str; 30] = [
        "logprob",
        "logprobs",
        "logp",
        "logps",
        "step",
        "epoch",
        "iteration",
        "iter",
        "time",
        "ms",
        "seconds",
        "sec",
        "duration",
        "latency",
        "temperature",
        "p",
        "k",
        "cost",
        "usage",
        "timing",
        "batch",
        "worker",
        "retries",
        "lr",
        "entropy",
        "difficulty",
        "year",
        "month",
        "day",
        "depth",
    ];
    const LOW: [&str; 9] = ["loss", "nll", "ppl", "perplexity", "kl", "wer", "cer", "mse", "mae"];
    let name = name.rsplit('.').next().unwrap_or(name);
    let any = |list: &[&str]| words(name).any(|w| list.contains(&w.as_str()));
    match () {
        () if any(&LOW) => (Orientation::Low, Unit::Unknown),
        () if judges(name) => (Orientation::High, Unit::Unknown),
        () if any(&COUNTS) => (Orientation::Neither, Unit::Count),
        () if any(&NEITHER) => (Orientation::Neither, Unit::Unknown),
        () => (Orientation::High, Unit::Unknown),
    }
}

/// The name under which a signal can be asked for: `x.min` would be the least of `x`, and `x:drop` a largest drop.
fn askable(name: &str) -> String {
    let plain = name.parse::<Reading>().is_ok_and(|r| r == Reading::of(name)) && !name.ends_with(":drop");
    if plain { name.to_owned() } else { format!("{}_", name.trim().replace('.', "-")) }
}

/// Fields that steps which are objects have at most among them.
const COMMON_FIELDS: usize = 32;

/// The fields of steps that are objects: a label, numbers, and what is kept. `skip`: those that are something else.
pub fn step_fields(read: &mut Read, all: &[&Map<String, Value>], skip: &dyn Fn(&str) -> bool) {
    let mut names: Vec<&str> = Vec::new();
    for key in all.iter().flat_map(|map| map.keys()).filter(|key| !skip(key)) {
        if !names.contains(&key.as_str()) {
            names.push(key);
        }
        // Steps that have nothing in common are kept as they are.
        if names.len() > COMMON_FIELDS {
            let own = |map: &Map<String, Value>| map.iter().filter(|(k, _)| !skip(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
            return read.keep("steps.fields", &all.iter().map(|map| Value::Object(own(map))).collect());
        }
    }
    for name in names {
        let values: Vec<&Value> = all.iter().map(|map| map.get(name).unwrap_or(&Value::Null)).collect();
        let labels = ["label", "rating", "correct", "is_correct", "correctness"].contains(&name);
        let read_as: Option<Vec<Option<f32>>> = values.iter().map(|v| label(v)).collect();
        match read_as {
            Some(labelled) if labels => {
                read.candidate.steps.iter_mut().zip(labelled).for_each(|(s, l)| s.label = l);
                read.candidate.gold = first_wrong(&read.candidate.steps);
            }
            Some(numbers)
                if values.iter().all(|v| v.is_null() || v.as_f64().is_some_and(survives)) && numbers.iter().any(Option::is_some) =>
            {
                if !read.step_signal(name, &numbers) {
                    read.keep(&format!("steps.{name}"), &values.into_iter().cloned().collect());
                }
            }
            _ => read.keep(&format!("steps.{name}"), &values.into_iter().cloned().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Segmentation, segment};
    use serde_json::json;

    fn read(text: &str, fields: &Value) -> Read {
        let candidate = Candidate { text: text.into(), steps: segment(text, &Segmentation::Auto), ..Candidate::default() };
        let mut read = Read { candidate, ..Read::default() };
        for (name, value) in fields.as_object().unwrap() {
            read.put(name, value, false);
        }
        read
    }

    #[test]
    fn numbers_are_signals_and_the_rest_is_kept() {
        let fields = json!({"format_reward": 0.5, "reward": 1, "step": 20, "seed": 7, "metrics": {"a": 1, "b": {"min": 2}, "note": "x"}, "info": {"n": 3},
            "kl": 0.1, "scores": [0.5, null], "lengths": [1, 2, 3], "tag": "y", "labels": [1], "created": 1_700_000_001, "big": 16_777_217, "values": [1, 2, 3]});
        let c = read("one\n\ntwo", &fields).done();
        let shown: Vec<(&str, Orientation)> = c.signals.iter().map(|s| (s.name.as_str(), s.orientation)).collect();
        let (high, low, neither) = (Orientation::High, Orientation::Low, Orientation::Neither);
        let want = [
            ("reward", high),
            ("format_reward", high),
            ("step", neither),
            ("metrics.a", high),
            ("metrics-b-min_", high),
            ("kl", low),
            ("scores", high),
            ("values", high),
        ];
        assert_eq!(shown, want);
        assert_eq!(c.signal("scores").unwrap().values, Values::Steps(vec![Some(0.5), None]));
        assert_eq!(c.signal("values").unwrap().whole(), Some(3.0), "no cut has three steps: the last value, and the list is kept");
        let extra: Value = serde_json::from_str(c.extra.as_deref().unwrap()).unwrap();
        let kept = json!({"seed": 7, "metrics.note": "x", "info": {"n": 3}, "lengths": [1, 2, 3], "tag": "y", "record.labels": [1],
            "created": 1_700_000_001, "big": 16_777_217, "values": [1, 2, 3]});
        assert_eq!(extra, kept);
    }
}
