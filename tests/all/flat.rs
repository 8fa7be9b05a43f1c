//! Flat records and what nests in them: every part in its place, every number kept, every dialect read, and what a user says with `--fields`.

use reasonscope::collection::{self, Collection};
use reasonscope::format::{FieldMap, Options, TraceList};
use reasonscope::trace::{Candidate, GoldDeviation, Trace, Values};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const Q: &str = "How many rolls are left?";
const A: &str = "He has 12.\n\n12 - 5 = 7.\n\nThe answer is \\boxed{7}.";
const B: &str = "He has 12.\n\nThe answer is \\boxed{6}.";

fn write(dir: &Path, name: &str, records: &[Value]) -> String {
    let path = dir.join(name);
    let lines: String = records.iter().map(|r| format!("{r}\n")).collect();
    std::fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

fn open(path: &str, options: Options) -> (Vec<Trace>, Vec<String>) {
    let list = TraceList::open(&[path], options).unwrap_or_else(|e| panic!("{e}"));
    let traces = list.iter().filter_map(Result::ok).collect();
    (traces, list.errors().iter().map(ToString::to_string).collect())
}

fn read(record: &Value) -> Trace {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "r.jsonl", std::slice::from_ref(record));
    let (mut traces, errors) = open(&path, Options::default());
    assert!(errors.is_empty(), "{record}: {errors:?}");
    assert_eq!(traces.len(), 1, "{record}");
    traces.remove(0)
}

/// Steps, answer, verdict, first wrong step, writer, end and signals in a line.
fn shown(c: &Candidate) -> String {
    let labels: Vec<String> = c.steps.iter().map(|s| s.label.map_or("?".into(), |l| l.to_string())).collect();
    let labels = if c.steps.iter().all(|s| s.label.is_none()) { c.steps.len().to_string() } else { labels.join(" ") };
    let gold = match c.gold {
        None => "-".to_owned(),
        Some(GoldDeviation::None) => "none".into(),
        Some(GoldDeviation::Step(i)) => i.to_string(),
    };
    let finish = c.finish.as_ref().map_or("-".into(), |f| format!("{f:?}").to_lowercase());
    let values = |v: &Values| match v {
        Values::Candidate(x) => x.to_string(),
        Values::Steps(all) => all.iter().map(|v| v.map_or("?".into(), |v| v.to_string())).collect::<Vec<_>>().join("/"),
        Values::Tokens(_) => "tokens".into(),
    };
    let signals: Vec<String> = c.signals.iter().map(|s| format!("{}={}", s.name, values(&s.values))).collect();
    let correct = c.correct.map_or("-".into(), |b| b.to_string());
    let answer = c.answer.as_deref().unwrap_or("-");
    let policy = c.policy.as_deref().unwrap_or("-");
    format!("{labels} | {answer} {correct} | {gold} {policy} {finish} | {}", signals.join(" "))
}

/// Records with the format, the problem, the reference answer and the candidates that are to be read.
fn table() -> Vec<(Value, &'static str, &'static str, &'static str, Vec<&'static str>)> {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    vec![
        (
            json!({"input": format!("user\n{Q}\nassistant\n<think>\n"), "output": A, "gts": ["7", "seven"], "score": -1, "step": 3}),
            "verl",
            Q,
            "7",
            vec!["3 | - - | - - - | score=-1 step=3"],
        ),
        (
            json!({"input": Q, "output": A, "gts": {"numbers": [12, 5], "target": 7}, "score": {"total": 1.5, "acc": 1}, "step": 3, "tokens": 12}),
            "verl",
            Q,
            "[12, 5] = 7",
            vec!["3 | - true | - - - | score.total=1.5 score.acc=1 step=3 tokens=12"],
        ),
        (
            json!({"input": Q, "output": A, "gts": null, "score": 0.5, "step": 3, "reward_extra": {"len": {"n": 3}}}),
            "verl",
            Q,
            "",
            vec!["3 | - - | - - - | score=0.5 step=3 reward_extra.len.n=3"],
        ),
        (
            json!({"step": "10", "prompt": Q, "completion": A, "accuracy_reward": "0.5", "advantage": "-1"}),
            "trl-completions",
            Q,
            "",
            vec!["3 | - - | - - - | step=10 accuracy_reward=0.5 advantage=-1"],
        ),
        (
            json!({"prompt": [turn("user", Q)], "completion": A, "format_reward": null, "len_reward": 2}),
            "trl-completions",
            Q,
            "",
            vec!["3 | - - | - - - | len_reward=2"],
        ),
        (json!({"prompt": Q, "completion": A, "label": true}), "records", Q, "", vec!["3 | - true | - - - | "]),
        (
            json!({"doc_id": 1, "doc": {"problem": Q}, "target": 7, "arguments": [["Q", {}]], "resps": [[A, B]], "filtered_resps": [["7", "6"]], "filter": "none", "exact_match": [1.0, 0.0]}),
            "lm-eval",
            Q,
            "7",
            vec!["3 | 7 true | - - - | exact_match=1", "2 | 6 false | - - - | exact_match=0"],
        ),
        (
            json!({"doc_id": 1, "doc": {"x": 1}, "target": "7", "arguments": [[Q, {}]], "resps": [[A]], "filtered_resps": [A], "filter": "strict", "acc": 1}),
            "lm-eval",
            Q,
            "7",
            vec!["3 | - true | - - - | acc,strict=1"],
        ),
        // Three scores of two lines and five of nothing that the text has: the list is kept, the last one counts.
        (
            json!({"problem": Q, "answer": "7", "completions": ["a\nb\nc", B], "scores": [[0.5, 0.25, 0.75], [0.1, 0.2, 0.3, 0.4, 0.5]], "agg_scores": [0.75, 0.5]}),
            "search-and-learn",
            Q,
            "7",
            vec!["3 | - - | - - - | agg_scores=0.75 scores=0.5/0.25/0.75", "2 | - - | - - - | agg_scores=0.5 scores=0.5"],
        ),
        (
            json!({"problem": Q, "answer": "7", "generations": [A, B], "correctness_math_verify": [true, null], "correctness_llama": [false, false], "is_reasoning_complete": [1, 0]}),
            "openr1-math",
            Q,
            "7",
            vec!["3 | - true | - - stop | correctness_math_verify=1 correctness_llama=0", "2 | - false | - - length | correctness_llama=0"],
        ),
        (
            json!({"prompt": Q, "responses": [A], "rewards": [[0.5, 0.25, 1]]}),
            "records",
            Q,
            "",
            vec!["3 | - - | - - - | rewards=0.5/0.25/1"],
        ),
        (json!({"query": Q, "output": A, "reward": "0.5", "category": "7"}), "records", Q, "", vec!["3 | - - | - - - | reward=0.5"]),
        (
            json!({"prompt": Q, "outputs": [{"text": A, "finish_reason": "length", "cumulative_logprob": -2.5}]}),
            "vllm",
            Q,
            "",
            vec!["3 | - - | - - length | cumulative_logprob=-2.5"],
        ),
        (json!({"Question": Q, "Complex_CoT": "12 - 5 = 7.", "Response": "It is 7."}), "records", Q, "", vec!["2 | - - | - - - | "]),
        (json!({"question": Q, "reasoning": A, "answer": "7"}), "records", Q, "7", vec!["3 | - - | - - - | "]),
        (
            json!({"input_prompt": Q, "output_response": format!("{A}<|im_end|>"), "score": "1.0", "stop_reason": "length", "tokens": "17"}),
            "skyrl",
            Q,
            "",
            vec!["3 | - - | - - length | score=1 tokens=17"],
        ),
        (json!({"problem": Q, "solution": A}), "solutions", Q, "7", vec!["3 | 7 true | - expert - | "]),
        (json!({"problem": Q, "steps": ["a", "b"], "label": "1"}), "processbench", Q, "", vec!["2 | - - | 1 - - | "]),
        (
            json!({"problem": Q, "steps": ["a", "b"], "label": null, "final_answer_correct": 1}),
            "processbench",
            Q,
            "",
            vec!["2 | - true | - - - | "],
        ),
        (
            json!({"problem": Q, "steps": ["a", "b"], "label": -1.0, "final_answer_correct": "no", "x": 2.5}),
            "processbench",
            Q,
            "",
            vec!["2 | - false | none - - | x=2.5"],
        ),
        (json!({"problem": Q, "steps": ["a", "b"], "label": ["+", "-"]}), "processbench", Q, "", vec!["1 0 | - - | 1 - - | "]),
        (
            json!({"problem": Q, "steps": [{"text": "a", "score": 0.5}, {"text": "b", "score": 0.25}], "label": 1}),
            "processbench",
            Q,
            "",
            vec!["2 | - - | 1 - - | score=0.5/0.25"],
        ),
        (json!({"problem": Q, "steps": ["a", "b"], "final_answer_correct": "yes"}), "records", Q, "", vec!["2 | - true | - - - | "]),
        (json!({"prompt": Q, "text": A}), "records", Q, "", vec!["3 | - - | - - - | "]),
        (json!({"task_id": "HumanEval/0", "completion": A, "passed": true}), "records", "", "", vec!["3 | - true | - - - | "]),
        (json!({"prompt": Q, "completions": ["a", "b"], "labels": ["good", "bad"]}), "stepwise", Q, "", vec!["1 0 | - - | 1 - - | "]),
        (json!({"prompt": Q, "completions": ["a", "b", "c"], "labels": [1, 0, -1]}), "stepwise", Q, "", vec!["1 0 -1 | - - | 2 - - | "]),
        (json!({"prompt": Q, "completions": ["a", "b"], "labels": null}), "stepwise", Q, "", vec!["2 | - - | - - - | "]),
        (
            json!({"input": format!("{Q} Step 1: a ки\nStep 2: b ки"), "label": [true, false]}),
            "math-shepherd",
            Q,
            "",
            vec!["1 0 | - - | 1 - - | "],
        ),
        (
            json!({"text": format!("{Q} Step 1: a ки\nStep 2: b ки"), "value": [1, 0.5]}),
            "math-shepherd",
            Q,
            "",
            vec!["2 | - - | - - - | value=1/0.5"],
        ),
        (
            json!({"conversations": [turn("user", &format!("{Q} 12 - 5 = 7.")), turn("assistant", "+"), turn("user", "So 7.")]}),
            "labelled-turns",
            Q,
            "",
            vec!["1 ? | - - | - - - | "],
        ),
        (
            json!({"messages": [turn("user", Q), turn("user", "a"), turn("assistant", "-")], "prompt": Q, "score": 2}),
            "labelled-turns",
            Q,
            "",
            vec!["? 0 | - - | - - - | score=2"],
        ),
        (
            json!({"question": Q, "steps": [{"text": "a", "rating": 1, "score": 0.5}, {"text": "b", "rating": -1, "score": 0.25}], "mistake_index": "1"}),
            "bigbench-mistake",
            Q,
            "",
            vec!["1 -1 | - - | 1 - - | score=0.5/0.25"],
        ),
        (
            json!({"question": Q, "model_output_steps": "Step 1: a\nStep 2: b", "model_output_solution_first_error_step": "Step 2", "ground_truth_answer": "7"}),
            "mr-gsm8k",
            Q,
            "7",
            vec!["2 | - - | 1 - - | "],
        ),
        (json!({"question": Q, "thinking_trajectories": [A], "attempt": "7", "solution": A}), "s1k", Q, "7", vec!["4 | - - | - - - | "]),
        (
            json!({"prompt": Q, "chosen": format!("{Q}\n{A}"), "rejected": format!("{Q}\n{B}"), "chosen_rating": 4}),
            "preference-pairs",
            Q,
            "",
            vec!["3 | - - | - chosen - | chosen=1 rating=4", "2 | - - | - rejected - | chosen=0"],
        ),
        (
            json!({"question": Q, "children": [{"text": "a", "value": 0.5, "children": [{"text": "b", "value": 1, "n": 2}]}, {"text": "c", "n": 1}]}),
            "math-aps",
            Q,
            "",
            vec!["2 | - - | - - - | mc_value=0.5/1 n=?/2", "1 | - - | - - - | n=1"],
        ),
        (
            json!({"version": 1, "id": "t", "task": {"data": {"prompt": Q, "answer": 7}}, "nodes": [{"message": turn("user", Q)}, {"parent": 0, "message": turn("assistant", A)},
            {"parent": 0, "message": turn("assistant", B)}], "rewards": {"r": 0.5}, "metrics": {"m": 2.0}, "is_completed": true}),
            "verifiers-v1",
            Q,
            "7",
            vec!["3 | - - | - - stop | reward=0.5 rewards.r=0.5 metrics.m=2", "2 | - - | - - stop | reward=0.5 rewards.r=0.5 metrics.m=2"],
        ),
    ]
}

#[test]
fn every_part_is_in_its_place() {
    for (record, format, problem, gold, candidates) in table() {
        let trace = read(&record);
        assert_eq!(trace.source.as_ref().unwrap().format, format, "{record}");
        assert_eq!((trace.problem.as_str(), trace.gold_answer.as_deref().unwrap_or_default()), (problem, gold), "{record}");
        assert_eq!(trace.candidates.iter().map(shown).collect::<Vec<_>>(), candidates, "{record}");
    }
}

fn numbers(value: &Value, out: &mut Vec<f64>) {
    match value {
        Value::Number(n) => out.extend(n.as_f64()),
        Value::Array(all) => all.iter().for_each(|v| numbers(v, out)),
        Value::Object(map) => map.values().for_each(|v| numbers(v, out)),
        _ => {}
    }
}

/// Every number of a trace: of signals, labels, verdicts, answers, first wrong steps, and of what is kept.
fn kept(trace: &Trace) -> BTreeSet<u32> {
    let mut all: Vec<f64> = Vec::new();
    let said = [Some(trace.id.clone()), trace.gold_answer.clone()];
    let answers = trace.candidates.iter().map(|c| c.answer.clone());
    let texts = said.into_iter().chain(answers).flatten();
    for text in texts {
        all.extend(text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).filter_map(|n| n.parse::<f64>().ok()));
    }
    for c in &trace.candidates {
        all.extend(c.steps.iter().filter_map(|s| s.label).map(f64::from));
        all.extend(c.correct.map(|b| f64::from(u8::from(b))));
        all.extend(c.finish.as_ref().map(|f| f64::from(u8::from(!f.is_cut()))));
        match c.gold {
            Some(GoldDeviation::Step(i)) => all.extend([i as f64, i as f64 + 1.0]),
            Some(GoldDeviation::None) => all.push(-1.0),
            None => {}
        }
        for s in &c.signals {
            match &s.values {
                Values::Candidate(x) => all.push(f64::from(*x)),
                Values::Steps(values) => all.extend(values.iter().flatten().map(|v| f64::from(*v))),
                Values::Tokens(_) => {}
            }
        }
        if let Some(extra) = &c.extra {
            numbers(&serde_json::from_str(extra).unwrap(), &mut all);
        }
    }
    all.into_iter().map(|x| (x as f32).to_bits()).collect()
}

#[test]
fn no_number_is_dropped() {
    let samples = std::fs::read_dir("samples").unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl"));
    let known = [
        "native",
        "gsm8k",
        "mmlu",
        "humaneval",
        "prm800k",
        "prmbench",
        "best_of_n",
        "openai",
        "problems",
        "chat",
        "anthropic",
        "batch",
        "gemini",
        "ollama",
        "request",
        "sharegpt",
        "vllm",
    ];
    let flat = samples.filter(|p| !known.iter().any(|k| p.file_name().unwrap().to_str().unwrap().starts_with(k)));
    let lines: Vec<String> =
        flat.flat_map(|p| std::fs::read_to_string(p).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(lines.len() > 25);
    let of_samples = lines.iter().map(|l| serde_json::from_str(l).unwrap());
    for record in table().into_iter().map(|row| row.0).chain(of_samples) {
        let trace = read(&record);
        let found = kept(&trace);
        let mut all = Vec::new();
        numbers(&record, &mut all);
        for x in all {
            assert!(found.contains(&(x as f32).to_bits()), "{x} of {record} is in none of {trace:?}");
        }
    }
}

#[test]
fn a_records_own_names_do_not_hide_those_of_a_native_record() {
    let trace = read(&json!({"prompt": Q, "response": A, "steps": 3, "source": "web", "text": "t", "step_kinds": ["x"]}));
    let extra: Value = serde_json::from_str(trace.candidates[0].extra.as_deref().unwrap()).unwrap();
    assert_eq!(extra, json!({"record.source": "web", "record.text": "t", "record.step_kinds": ["x"]}));
    assert_eq!(shown(&trace.candidates[0]), "3 | - - | - - - | steps=3");
    let line: Value = serde_json::from_str(&reasonscope::format::to_lines(&trace, None)[0]).unwrap();
    assert_eq!((&line["text"], &line["record.text"]), (&json!(A), &json!("t")));
}

#[test]
fn a_bad_record_is_named_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (
            json!({"prompt": Q, "response": A}),
            json!({"prompt": Q, "response": null}),
            "line 2, field `response`: is null; fill it or remove the record",
        ),
        (
            json!({"prompt": Q, "responses": [A]}),
            json!({"prompt": Q, "responses": [A, 3]}),
            "line 2, field `responses[1]`: is a number; give a text",
        ),
        (json!({"prompt": Q, "response": A}), json!({"prompt": Q, "reply": A}), "line 2, field `completion`: is missing; add it"),
        (
            json!({"input": Q, "steps": ["a"], "mistake_index": 0}),
            json!({"input": Q, "steps": ["a"], "mistake_index": 7}),
            "field `mistake_index`: is 7 with 1 steps",
        ),
        (
            json!({"input": Q, "steps": ["a"], "mistake_index": 0}),
            json!({"input": Q, "steps": ["a", 3], "mistake_index": 0}),
            "field `steps[1]`: is a number; give a string",
        ),
        (
            json!({"doc_id": 0, "resps": [[A]], "arguments": [[Q]]}),
            json!({"doc_id": 1, "resps": [[["-1.5", "False"]], [["-2.5", "True"]]], "arguments": [[Q]]}),
            "field `resps`: holds likelihoods of given options and no text",
        ),
        (
            json!({"nodes": [{"message": {"role": "user", "content": Q}}]}),
            json!({"nodes": [{"parent": 0, "message": {"role": "user", "content": Q}}]}),
            "field `nodes[0].parent`: is no node before it",
        ),
    ];
    for (good, bad, message) in cases {
        let path = write(dir.path(), "bad.jsonl", &[good.clone(), bad, good]);
        let (traces, errors) = open(&path, Options::default());
        assert_eq!((traces.len(), errors.len()), (2, 1), "{message}: {errors:?}");
        assert!(errors[0].contains(message), "{} / {message}", errors[0]);
    }
}

#[test]
fn numbers_that_are_none_and_halves_of_characters_cost_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nan.jsonl");
    let line = format!(r#"{{"prompt": "{Q} \ud83d", "response": "a NaN", "reward": NaN, "x": -Infinity, "y": 2, "z": [1, NaN]}}"#);
    std::fs::write(&path, format!("{line}\n{{\"prompt\": \"p\", \"response\": \"r\"}}\n")).unwrap();
    let (traces, errors) = open(path.to_str().unwrap(), Options::default());
    assert_eq!(traces.len(), 2);
    assert_eq!((traces[0].problem.as_str(), traces[0].candidates[0].text.as_str()), (format!("{Q} \u{fffd}").as_str(), "a NaN"));
    assert_eq!(shown(&traces[0].candidates[0]), "1 | - - | - - - | y=2");
    assert_eq!(errors.len(), 1, "{errors:?}");
    let said = "line 1: 3 numbers that are NaN or infinite are read as missing, 1 half of a character is shown as \u{fffd}; the rest of it is kept";
    assert!(errors[0].ends_with(said), "{errors:?}");
}

fn mapped(fields: &str) -> Options {
    Options { fields: Some(fields.parse::<FieldMap>().unwrap()), ..Options::default() }
}

#[test]
fn fields_say_where_the_parts_are() {
    let dir = tempfile::tempdir().unwrap();
    let record = json!({"ask": {"q": Q}, "out": [{"t": A, "ok": "yes", "h": 0.5}, {"t": B, "ok": "no", "h": "0.25"}], "ref": {"a": "7"}, "by": "m", "n": 3, "uid": "u1"});
    let path = write(dir.path(), "own.jsonl", std::slice::from_ref(&record));
    let (traces, errors) =
        open(&path, mapped("problem=ask.q,text=out[].t,gold=ref.a,verdict=out[].ok,policy=by,group=uid,signal:help=out[].h"));
    assert!(errors.is_empty(), "{errors:?}");
    let t = &traces[0];
    assert_eq!((t.id.as_str(), t.problem.as_str(), t.gold_answer.as_deref()), ("u1", Q, Some("7")));
    assert_eq!(t.source.as_ref().unwrap().format, "fields");
    assert_eq!(t.candidates.iter().map(shown).collect::<Vec<_>>(), ["3 | - true | - m - | help=0.5", "2 | - false | - m - | help=0.25"]);
    let (traces, _) = open(&path, mapped("problem=ask.q,text=out[0].t,signal:help=out[0].h"));
    assert_eq!(traces[0].candidates.iter().map(shown).collect::<Vec<_>>(), ["3 | - - | - - - | help=0.5 n=3"]);
    let steps = write(dir.path(), "steps.jsonl", &[json!({"q": Q, "s": ["a", "b"], "l": ["+", "-"], "v": [0.5, 1], "e": 1})]);
    let (traces, _) = open(&steps, mapped("problem=q,steps=s,labels=l,signal:value=v,first_error=e"));
    assert_eq!(traces[0].candidates.iter().map(shown).collect::<Vec<_>>(), ["1 0 | - - | 1 - - | value=0.5/1"]);
    // Only problems are asked for.
    let options = Options { problems: true, ..mapped("problem=ask.q,gold=ref.a") };
    let (traces, _) = open(&path, options);
    assert_eq!((traces[0].problem.as_str(), traces[0].gold_answer.as_deref(), traces[0].candidates.len()), (Q, Some("7"), 0));
    // A field that is nowhere, and one that a record lacks.
    let error = |fields: &str| TraceList::open(&[&path], mapped(fields)).err().unwrap().to_string();
    assert!(
        error("problem=ask.quest,text=out[].t")
            .contains("--fields names `ask.quest`, which is in none of its first records; the nearest is `ask.q`")
    );
    let path = write(dir.path(), "some.jsonl", &[json!({"q": Q, "a": A}), json!({"q": Q, "b": A}), json!({"q": Q, "a": null})]);
    let (traces, errors) = open(&path, mapped("problem=q,text=a"));
    assert_eq!((traces.len(), errors.len()), (1, 2));
    assert!(
        errors[0].contains("line 2, field `a`: is not in the record") && errors[1].contains("line 3, field `a`: is null"),
        "{errors:?}"
    );
}

#[test]
fn what_fits_nothing_is_listed_with_a_command_that_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let record = json!({"ask_text": Q, "meta": {"s": 0.5, "id": 4}, "out": format!("{A} {}", "x".repeat(80)), "truth": "7", "is_right": 1});
    let path = write(dir.path(), "it's odd.jsonl", std::slice::from_ref(&record));
    let error = TraceList::open(&[&path], Options::default()).err().unwrap().to_string();
    assert!(error.contains("they have the fields ask_text (a text), meta.s (a number), meta.id (a number), out (a text of"), "{error}");
    let fields = error.rsplit_once("--fields '").unwrap().1.trim_end_matches('\'');
    assert_eq!(fields, "problem=ask_text,text=out,verdict=is_right,gold=truth,signal:s=meta.s");
    assert!(error.contains(r"reasonscope inspect '") && error.contains(r"it'\''s odd.jsonl' --fields"), "{error}");
    let (traces, errors) = open(&path, mapped(fields));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(shown(&traces[0].candidates[0]), "3 | - true | - - - | s=0.5 is_right=1");
    // Problems with a long text beside them.
    let path = write(dir.path(), "long.jsonl", &[json!({"question": Q, "notes": "x".repeat(300)})]);
    let error = TraceList::open(&[&path], Options::default()).err().unwrap().to_string();
    assert!(error.contains("holds problems without reasoning") && error.ends_with("--fields 'problem=question,text=notes'"), "{error}");
    let path = write(dir.path(), "short.jsonl", &[json!({"question": Q, "answer": "7"})]);
    assert!(TraceList::open(&[&path], Options::default()).err().unwrap().to_string().ends_with("or name a file with candidates"));
}

fn collected(path: &str) -> Vec<Trace> {
    let collection = Collection::open(&[path], &collection::Options::default()).unwrap();
    collection.wait_all();
    (0..collection.len()).map(|i| collection.read(i).unwrap()).collect()
}

#[test]
fn samples_of_one_prompt_are_candidates_of_one_problem() {
    let dir = tempfile::tempdir().unwrap();
    // Other templates and other steps of training, ids of samples, the same problem.
    let prompts = [
        format!("user\n{Q}\nassistant\n"),
        format!("<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n"),
        "Another?".into(),
        format!(" {Q}"),
    ];
    let rows: Vec<Value> = prompts
        .iter()
        .zip(0..)
        .map(|(p, i)| json!({"input": p, "output": A, "gts": "7", "score": i, "step": i, "request_id": format!("r{i}")}))
        .collect();
    let traces = collected(&write(dir.path(), "verl.jsonl", &rows));
    assert_eq!(traces.iter().map(|t| (t.problem.as_str(), t.candidates.len())).collect::<Vec<_>>(), [(Q, 3), ("Another?", 1)]);
    // The problem's own id tells it where there is one.
    let row = |id: i32| json!({"example_id": id, "prompt": Q, "completion": A, "reward": 1, "answer": "7"});
    let traces = collected(&write(dir.path(), "verifiers.jsonl", &[row(1), row(2), row(1)]));
    assert_eq!(traces.iter().map(|t| (t.id.as_str(), t.candidates.len())).collect::<Vec<_>>(), [("1", 2), ("2", 1)]);
}

#[test]
fn several_filters_tell_of_the_same_samples() {
    let traces = collected("samples/lm_eval.jsonl");
    assert_eq!(traces.iter().map(|t| t.candidates.len()).collect::<Vec<_>>(), [1, 1]);
    let said: Vec<String> = traces[0].candidates.iter().map(shown).collect();
    assert_eq!(said, ["3 | [invalid] false | - - - | exact_match,strict-match=0 exact_match,flexible-extract=1"]);
    // Two samples in the same words are two, by every filter.
    let dir = tempfile::tempdir().unwrap();
    let row = |f: &str, v: i32| json!({"doc_id": 0, "doc": {"question": Q}, "target": "7", "resps": [[A, B, A]], "filter": f, "exact_match": [v, 0, v]});
    let traces = collected(&write(dir.path(), "repeats.jsonl", &[row("x", 1), row("y", 0)]));
    let said: Vec<String> = traces[0].candidates.iter().map(shown).collect();
    let twice = "3 | 7 true | - - - | exact_match,x=1 exact_match,y=0";
    assert_eq!(said, [twice, "2 | 6 false | - - - | exact_match,x=0 exact_match,y=0", twice]);
}
