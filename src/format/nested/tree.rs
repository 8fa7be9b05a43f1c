//! Trees of partial solutions with the share of right continuations at each, as OmegaPRM makes them (MATH-APS, arXiv 2406.06592): a list of prefixes, or
//! nodes with children.

use super::{SHARED, finish, first, less};
use crate::format::error::FieldError;
use crate::format::fields::{Fields, as_text, join_steps};
use crate::format::flat::{Read, gold, posed, step_fields};
use crate::trace::{Candidate, Span, Step, Trace};
use serde_json::{Map, Value};

const PREFIX: &str = "solution_prefix";
const VALUES: [&str; 4] = ["mc_value", "value", "score", "q_value"];
const TEXTS: [&str; 5] = ["text", "step", "content", "state", "solution_step"];
const ROOTS: [&str; 4] = ["tree", "root", "children", "search_tree"];
const PROBLEMS: [&str; 3] = ["question", "problem", "prompt"];

pub(in crate::format) fn fits(record: &Map<String, Value>) -> bool {
    let prefixes = record.get("reasoning_steps").and_then(Value::as_array).and_then(|all| all.first());
    prefixes.is_some_and(|p| p.get(PREFIX).is_some()) || nodes(record).is_some()
}

fn nodes(record: &Map<String, Value>) -> Option<(&'static str, &[Value])> {
    ROOTS.iter().find_map(|name| {
        let value = record.get(*name)?;
        let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        all.first().is_some_and(|n| n.get("children").is_some() || name == &"children" && own(n, &TEXTS).is_some()).then_some((*name, all))
    })
}

fn own<'a>(node: &'a Value, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    let map = node.as_object()?;
    names.iter().find_map(|name| map.get(*name).filter(|v| !v.is_null()).map(|v| (*name, v)))
}

/// A candidate a leaf, whose steps are the pieces on the way to it; their shares are the signal `mc_value`, and that of the problem itself is kept.
pub(in crate::format) fn parse(value: &Value) -> Result<Trace, FieldError> {
    let record = Fields::record(value)?;
    let (name, asked) = first(record.map, &PROBLEMS).unwrap_or(("question", &Value::Null));
    let problem = posed(asked, name)?.problem;
    let mut taken = vec![name];
    let mut reads = if let Some(prefixes) = record.map.get("reasoning_steps") {
        taken.push("reasoning_steps");
        from_prefixes(&problem, prefixes.as_array().map_or(&[][..], Vec::as_slice))?
    } else {
        let (name, all) = nodes(record.map).unwrap_or(("tree", &[]));
        taken.push(name);
        from_nodes(&problem, name, all)?
    };
    let answer = first(record.map, &["final_answer", "answer", "gold_answer", "ground_truth"]);
    let gold_answer = answer.and_then(|(_, v)| gold(v).0);
    taken.extend(answer.filter(|(_, v)| !v.is_object() && !v.is_array()).map(|a| a.0));
    let id = first(record.map, &["question_id", "id", "idx", "problem_id"]);
    taken.extend(id.map(|i| i.0));
    let root = first(record.map, &VALUES).filter(|(key, _)| !taken.contains(key));
    if let (Some((key, v)), Some(read)) = (root, reads.first_mut()) {
        read.keep(key, v);
        taken.push(key);
    }
    let id = id.and_then(|(_, v)| v.as_str().map(str::to_owned).or_else(|| v.as_number().map(ToString::to_string))).unwrap_or_default();
    Ok(Trace { id, problem, gold_answer, candidates: finish(reads, record.map, &taken), source: None })
}

/// Prefixes in the order of their texts stand behind those that they go on from, so that one pass with a stack finds the way to each leaf.
fn from_prefixes(problem: &str, all: &[Value]) -> Result<Vec<Read>, FieldError> {
    let mut prefixes = Vec::with_capacity(all.len());
    for (i, node) in all.iter().enumerate() {
        let path = format!("reasoning_steps[{i}].{PREFIX}");
        let text = node.get(PREFIX).ok_or_else(|| FieldError::new(path.as_str(), "is missing", "add it"))?;
        prefixes.push((as_text(text, &path)?, i));
    }
    prefixes.sort_unstable();
    let base = |text: &str| text.len() - text.strip_prefix(problem).unwrap_or(text).trim_start().len();
    let mut stack: Vec<(&str, usize)> = Vec::new();
    let mut leaves = Vec::new();
    for (at, &(text, i)) in prefixes.iter().enumerate() {
        while stack.last().is_some_and(|(before, _)| !text.starts_with(before)) {
            stack.pop();
        }
        stack.push((text, i));
        let goes_on = prefixes.get(at + 1).is_some_and(|(next, _)| next.starts_with(text));
        if goes_on || base(text) == text.len() && prefixes.len() > 1 {
            continue;
        }
        // What stands after the problem, cut where each prefix ends.
        let start = base(text);
        let (mut steps, mut values, mut nodes, mut from) = (Vec::new(), Vec::new(), Vec::new(), start);
        for &(prefix, i) in &stack {
            if prefix.len() > from {
                nodes.extend(all[i].as_object());
                let piece = &text[from..prefix.len()];
                let lead = piece.len() - piece.trim_start().len();
                let begin = from - start + if piece.trim().is_empty() { 0 } else { lead };
                steps.push(Step { span: Span::new(begin, begin + piece.trim().len()), ..Step::default() });
                values.push(number(&all[i]));
                from = prefix.len();
            }
        }
        let mut read = Read { candidate: Candidate { text: text[start..].to_owned(), steps, ..Candidate::default() }, ..Read::default() };
        read.step_signal("mc_value", &values);
        step_fields(&mut read, &nodes, &is_known);
        leaves.push((i, read));
    }
    leaves.sort_by_key(|(i, _)| *i);
    let mut reads: Vec<Read> = leaves.into_iter().map(|(_, read)| read).collect();
    if let (Some((_, i)), Some(read)) = (prefixes.iter().find(|(text, _)| base(text) == text.len()), reads.first_mut()) {
        of_root(read, &all[*i]);
    }
    Ok(reads)
}

fn number(node: &Value) -> Option<f32> {
    own(node, &VALUES).and_then(|(_, v)| v.as_f64()).map(|x| x as f32)
}

/// Whether a field of a node is its text, its value or its place in the tree.
fn is_known(name: &str) -> bool {
    name == PREFIX || name == "children" || TEXTS.contains(&name) || VALUES.contains(&name)
}

/// Keeps what is said of the problem itself.
fn of_root(read: &mut Read, root: &Value) {
    for (key, v) in root.as_object().into_iter().flatten() {
        if VALUES.contains(&key.as_str()) || !is_known(key) {
            read.keep(key, v);
        }
    }
}

/// The way to a node: the texts on it and the nodes.
type Way<'a> = Vec<(&'a str, &'a Value)>;

fn from_nodes(problem: &str, path: &str, roots: &[Value]) -> Result<Vec<Read>, FieldError> {
    let (mut reads, mut left) = (Vec::new(), SHARED);
    for (i, root) in roots.iter().enumerate() {
        let path = if roots.len() > 1 { format!("{path}[{i}]") } else { path.to_owned() };
        let before = reads.len();
        left = leaves(problem, root, &path, &mut Vec::new(), left, &mut reads)?;
        let text = own(root, &TEXTS).and_then(|(_, v)| v.as_str()).unwrap_or_default().trim();
        if let Some(read) = reads.get_mut(before).filter(|_| text.is_empty() || text == problem) {
            of_root(read, root);
        }
    }
    Ok(reads)
}

/// Goes down to the leaves; how deep a record nests is bounded where it is parsed. `left`: bytes that their texts may still have; what is left is returned.
fn leaves<'a>(
    problem: &str,
    node: &'a Value,
    path: &str,
    way: &mut Way<'a>,
    mut left: usize,
    reads: &mut Vec<Read>,
) -> Result<usize, FieldError> {
    let text = match own(node, &TEXTS) {
        Some((name, text)) => as_text(text, &format!("{path}.{name}"))?,
        None => "",
    };
    // A root repeats the problem, or says nothing.
    let counts = !text.trim().is_empty() && text.trim() != problem;
    if counts {
        way.push((text, node));
    }
    let children = node.get("children").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (i, child) in children.iter().enumerate() {
        left = leaves(problem, child, &format!("{path}.children[{i}]"), way, left, reads)?;
    }
    if children.is_empty() && !way.is_empty() {
        let parts: Vec<&str> = way.iter().map(|w| w.0).collect();
        let values: Vec<Option<f32>> = way.iter().map(|w| number(w.1)).collect();
        let nodes: Vec<&Map<String, Value>> = way.iter().filter_map(|w| w.1.as_object()).collect();
        let ends = parts.iter().any(|p| p.ends_with('\n'));
        left = parts.iter().try_fold(left, |left, part| less(left, part, path))?;
        let (text, steps) = join_steps(&parts, if ends { "" } else { "\n\n" });
        let mut read = Read { candidate: Candidate { text, steps, ..Candidate::default() }, ..Read::default() };
        if values.iter().any(Option::is_some) {
            read.step_signal("mc_value", &values);
        }
        step_fields(&mut read, &nodes, &is_known);
        reads.push(read);
    }
    if counts {
        way.pop();
    }
    Ok(left)
}
