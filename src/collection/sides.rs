//! What several records, or several files, say of one problem.

use crate::format;
use crate::trace::{Candidate, ENTROPY, LOGPROB, Signal, SignalSource, Token, TokenValue, Trace, Values, policy_signals};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet, VecDeque};

/// One problem of what is said of it, file by file: each file's number and what its records say, in order. `names` are the files' names.
///
/// The records of a file are its samples, but for a format that tells of one sample in several records. What another file says of a text that is there already is said of the same candidate; its other texts are
/// candidates of their own.
pub(super) fn together(said: Vec<(usize, Trace)>, names: &[String]) -> Option<Trace> {
    let mut files: Vec<(usize, Trace)> = Vec::new();
    for (file, trace) in said {
        match files.last_mut().filter(|last| last.0 == file) {
            Some((_, whole)) => {
                let mut trace = trace;
                keep_name(&whole.id, &mut trace);
                whole.gold_answer = whole.gold_answer.take().or(trace.gold_answer);
                let again = trace.source.as_ref().is_some_and(|s| format::tells_again(&s.format));
                if again {
                    beside(&mut whole.candidates, trace.candidates, names.get(file).map_or("", String::as_str));
                } else {
                    whole.candidates.extend(trace.candidates);
                }
            }
            None => files.push((file, trace)),
        }
    }
    let mut files = files.into_iter();
    let (first, mut whole) = files.next()?;
    let name = |file: usize| names.get(file).map_or("", String::as_str);
    let mut from = vec![first; whole.candidates.len()];
    for (file, trace) in files {
        whole.gold_answer = whole.gold_answer.take().or(trace.gold_answer);
        let before = whole.candidates.len();
        beside(&mut whole.candidates, trace.candidates, name(file));
        if whole.candidates.len() > before {
            by(&mut whole.candidates[..before], name(first));
        }
        from.resize(whole.candidates.len(), file);
    }
    apart(&mut whole.candidates, &from, name);
    Some(whole)
}

/// Keeps the name that a record has of its own with its candidates, where the problem goes by another's.
fn keep_name(id: &str, trace: &mut Trace) {
    let made = trace.source.as_ref().is_some_and(|s| trace.id.strip_prefix(&s.format).is_some_and(|rest| rest.starts_with('-')));
    if trace.id == id || trace.id.is_empty() || made {
        return;
    }
    for c in &mut trace.candidates {
        let mut extra: Map<String, Value> = c.extra.as_deref().and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
        extra.entry("record.id").or_insert_with(|| Value::from(trace.id.clone()));
        c.extra = Some(Value::Object(extra).to_string());
    }
}

/// Tells candidates apart that several files have of one writer, as of checkpoints of one model: the writer's name and the file's.
fn apart<'a>(candidates: &mut [Candidate], from: &[usize], name: impl Fn(usize) -> &'a str) {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut several: HashSet<String> = HashSet::new();
    for (policy, file) in candidates.iter().zip(from).filter_map(|(c, file)| Some((c.policy.as_ref()?, *file))) {
        if *first.entry(policy.clone()).or_insert(file) != file {
            several.insert(policy.clone());
        }
    }
    for (c, file) in candidates.iter_mut().zip(from) {
        if let Some(policy) = c.policy.as_mut().filter(|p| several.contains(*p) && p.as_str() != name(*file)) {
            *policy = format!("{policy} ({})", name(*file));
        }
    }
}

/// Names the file as the writer of the candidates that name none.
fn by(candidates: &mut [Candidate], name: &str) {
    candidates.iter_mut().filter(|c| c.policy.is_none()).for_each(|c| c.policy = Some(name.to_owned()));
}

/// Puts another file's candidates beside those that are there. A text that occurs several times is as many samples.
fn beside(whole: &mut Vec<Candidate>, others: Vec<Candidate>, name: &str) {
    let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (i, c) in whole.iter().enumerate() {
        places.entry(&c.text).or_default().push_back(i);
    }
    // What another writer says in the same words is a sample of its own.
    let writer = |i: usize, c: &Candidate| whole[i].policy.as_deref().zip(c.policy.as_deref()).is_none_or(|(a, b)| a == b);
    let place = |c: &Candidate| {
        let free = places.get_mut(c.text.as_str())?;
        free.iter().position(|&i| writer(i, c)).and_then(|at| free.remove(at))
    };
    let at: Vec<Option<usize>> = others.iter().map(place).collect();
    for (mut other, at) in others.into_iter().zip(at) {
        match at {
            Some(i) => add(&mut whole[i], other, name),
            None => {
                by(std::slice::from_mut(&mut other), name);
                whole.push(other);
            }
        }
    }
}

/// Adds what the file of this name says of a candidate.
fn add(candidate: &mut Candidate, other: Candidate, name: &str) {
    let same_steps = other.steps.len() == candidate.steps.len() && other.steps.iter().zip(&candidate.steps).all(|(a, b)| a.span == b.span);
    let mut signals = Vec::new();
    if candidate.tokens.is_empty() {
        candidate.tokens = other.tokens;
    } else if !other.tokens.is_empty() && !same_tokens(&candidate.tokens, &other.tokens) {
        // Another policy read the text.
        signals.extend(policy_signals(&other).into_iter().filter(|s| [LOGPROB, ENTROPY].contains(&s.name.as_str())));
        signals.iter_mut().for_each(|s| s.name = format!("{}:{name}", s.name));
    }
    signals.extend(other.signals);
    for mut signal in signals {
        if let Values::Steps(values) = &signal.values
            && !same_steps
        {
            // The numbers stand where that file's own steps are.
            let each = other.steps.iter().zip(values).map(|(s, v)| TokenValue { span: s.span, value: v.unwrap_or(f32::NAN) });
            signal.values = Values::Tokens(each.collect());
        }
        put(candidate, signal, name);
    }
    if same_steps && candidate.steps.iter().all(|s| s.label.is_none()) {
        candidate.steps.iter_mut().zip(&other.steps).for_each(|(s, o)| s.label = o.label);
    }
    candidate.answer = candidate.answer.take().or(other.answer);
    candidate.correct = candidate.correct.or(other.correct);
    candidate.gold = candidate.gold.or(other.gold);
    candidate.policy = candidate.policy.take().or(other.policy);
    candidate.finish = candidate.finish.take().or(other.finish);
    candidate.deviation = candidate.deviation.take().or(other.deviation);
    candidate.extra = candidate.extra.take().or(other.extra);
}

/// Stores a signal under its name, or, where another one has that, under one with the model's or the file's name behind it. What is there already is not
/// stored twice.
fn put(candidate: &mut Candidate, mut signal: Signal, file: &str) {
    let mut model = None;
    if let Some(there) = candidate.signal(&signal.name) {
        if same_signal(there, &signal) {
            return;
        }
        if let SignalSource::Model(name) = &signal.source
            && there.source != signal.source
            && !name.is_empty()
        {
            model = Some(name.clone());
        }
        let names = model.into_iter().chain([file.to_owned()]).map(|by| format!("{}:{by}", signal.name));
        let more = (2..).map(|n| format!("{}:{file}#{n}", signal.name));
        for name in names.chain(more) {
            match candidate.signal(&name) {
                Some(there) if same_signal(there, &signal) => return,
                Some(_) => {}
                None => {
                    signal.name = name;
                    break;
                }
            }
        }
    }
    candidate.signals.push(signal);
}

/// Whether two signals say the same, whatever their names are.
fn same_signal(a: &Signal, b: &Signal) -> bool {
    let bits = |v: f32| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() };
    let values = match (&a.values, &b.values) {
        (Values::Tokens(a), Values::Tokens(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.span == b.span && bits(a.value) == bits(b.value))
        }
        (Values::Candidate(a), Values::Candidate(b)) => bits(*a) == bits(*b),
        (a, b) => a == b,
    };
    values && a.source == b.source && a.orientation == b.orientation
}

fn same_tokens(a: &[Token], b: &[Token]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.span == b.span && a.logprob == b.logprob && a.entropy == b.entropy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{REWARD, Segmentation, Span, segment};

    fn candidate(text: &str, signals: Vec<Signal>) -> Candidate {
        Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), signals, ..Candidate::default() }
    }

    fn trace(candidates: Vec<Candidate>) -> Trace {
        Trace { id: "t".into(), problem: "p".into(), candidates, ..Trace::default() }
    }

    fn reward(model: &str, value: f32) -> Signal {
        Signal::reward(model, vec![TokenValue { span: Span::new(0, 1), value }])
    }

    fn names(c: &Candidate) -> Vec<&str> {
        c.signals.iter().map(|s| s.name.as_str()).collect()
    }

    const FILES: [&str; 3] = ["a", "b", "c"];

    fn of(said: Vec<(usize, Trace)>) -> Trace {
        together(said, &FILES.map(String::from)).unwrap()
    }

    #[test]
    fn a_file_beside_itself_says_nothing_new() {
        let hole = Signal::reward("m", vec![TokenValue { span: Span::new(0, 1), value: f32::NAN }]);
        let one =
            || trace(vec![candidate("x\ny", vec![hole.clone(), Signal::given("given", 2.0)]), candidate("z", vec![reward("m", 1.0)])]);
        let whole = of(vec![(0, one()), (1, one())]);
        assert_eq!(whole.candidates.iter().map(names).collect::<Vec<_>>(), [vec![REWARD, "given"], vec![REWARD]]);
        assert!(whole.candidates.iter().all(|c| c.policy.is_none()));
    }

    #[test]
    fn scores_of_several_models_stand_side_by_side() {
        let one = |signals| trace(vec![candidate("x", signals)]);
        let whole = of(vec![(0, one(vec![reward("m", 1.0)])), (1, one(vec![reward("n", 1.0)])), (2, one(vec![reward("m", 3.0)]))]);
        assert_eq!(names(&whole.candidates[0]), [REWARD, "reward:n", "reward:c"]);
        let given = |v| one(vec![Signal::given("outcome", v)]);
        let whole = of(vec![(0, given(1.0)), (1, given(2.0)), (1, given(3.0)), (2, given(2.0))]);
        assert_eq!(whole.candidates.len(), 2, "two samples of one text in one file");
        assert_eq!(names(&whole.candidates[0]), ["outcome", "outcome:b", "outcome:c"]);
        assert_eq!(whole.candidates[1].policy.as_deref(), Some("b"));
    }

    #[test]
    fn other_texts_are_other_candidates_by_their_file() {
        let mut known = candidate("known", Vec::new());
        known.policy = Some("gpt".into());
        let whole = of(vec![(0, trace(vec![candidate("x", Vec::new()), known])), (2, trace(vec![candidate("y", Vec::new())]))]);
        let by: Vec<_> = whole.candidates.iter().map(|c| (c.text.as_str(), c.policy.as_deref().unwrap())).collect();
        assert_eq!(by, [("x", "a"), ("known", "gpt"), ("y", "c")]);
        let by = |policy: &str| trace(vec![Candidate { policy: Some(policy.into()), ..candidate("same", Vec::new()) }]);
        assert_eq!(of(vec![(0, by("m")), (1, by("n")), (2, by("n"))]).candidates.len(), 2, "two models in the same words");
    }

    #[test]
    fn checkpoints_of_one_model_are_told_apart_by_their_files() {
        let by = |policy: Option<&str>, text: &str| Candidate { policy: policy.map(Into::into), ..candidate(text, Vec::new()) };
        let names = |t: &Trace| t.candidates.iter().map(|c| c.policy.clone().unwrap_or_default()).collect::<Vec<_>>();
        let whole = of(vec![
            (0, trace(vec![by(Some("m"), "x"), by(Some("other"), "o"), by(None, "n")])),
            (1, trace(vec![by(Some("m"), "y"), by(Some("m"), "x")])),
            (2, trace(vec![by(None, "z")])),
        ]);
        assert_eq!(names(&whole), ["m (a)", "other", "a", "m (b)", "c"], "what both wrote in the same words is one candidate");
        let whole = of(vec![(0, trace(vec![by(Some("m"), "x"), by(Some("m"), "y")])), (1, trace(vec![by(Some("n"), "z")]))]);
        assert_eq!(names(&whole), ["m", "m", "n"], "two models need no more");
    }

    #[test]
    fn numbers_of_other_steps_stand_where_those_were() {
        let fine = candidate("ab\ncd", vec![Signal::given_steps("s", vec![Some(0.5), None])]);
        let coarse = Candidate { steps: segment("ab\ncd", &Segmentation::BlankLine), ..candidate("ab\ncd", Vec::new()) };
        assert_eq!((fine.steps.len(), coarse.steps.len()), (2, 1));
        let whole = of(vec![(0, trace(vec![coarse])), (1, trace(vec![fine]))]);
        let tokens = whole.candidates[0].signal("s").unwrap().tokens();
        assert!(tokens[0].value == 0.5 && tokens[1].value.is_nan() && tokens[1].span == Span::new(3, 5));
    }

    #[test]
    fn what_two_policies_make_of_a_text_is_kept() {
        let read = |lp: f32| {
            let token = Token { span: Span::new(0, 1), logprob: Some(lp), ..Token::default() };
            trace(vec![Candidate { tokens: vec![token], ..candidate("x", Vec::new()) }])
        };
        let whole = of(vec![(0, read(-1.0)), (1, read(-2.0)), (2, read(-1.0))]);
        assert_eq!(names(&whole.candidates[0]), ["logprob:b"]);
        assert_eq!(whole.candidates[0].signals[0].tokens()[0].value, -2.0);
    }
}
