//! Rewards from a server: what is sent to vLLM, SGLang and this program's own server, and how what they answer is laid on steps.

use crate::fake_server::{FakeServer, Received, Reply, not_found};
use crate::protocol::{case_of, joined, make, near, piece, values};
use reasonscope::reward::{Piece, RewardModel, Said, Scored, ServedAt, ServedReward};
use reasonscope::trace::{Level, REWARD, Reading, Span, Statistic, Unit, Values};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

fn open(url: String, model: &str, protocol: Option<&Path>) -> Result<ServedReward, String> {
    let at = ServedAt { url, model: Some(model.into()) };
    ServedReward::open(&at, protocol, Some("secret-key".into()), Duration::from_secs(20)).map_err(|e| e.to_string())
}

/// A protocol file of the family of this twin, with its tokenizer.
fn protocol(name: &str, more: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let made = make(name);
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(made.path.join(file), dir.path().join(file)).unwrap();
    }
    let files = reasonscope::model::ModelFiles::open(&made.path).unwrap();
    let mut own = reasonscope::reward::protocol::recognise(&files, None).unwrap().protocol;
    own.server.tokenizer = Some("tokenizer.json".into());
    let path = dir.path().join("prm.toml");
    fs::write(&path, toml::to_string(&own).unwrap() + more).unwrap();
    (dir, path)
}

fn list(owner: &str) -> Reply {
    Reply::Whole(200, json!({ "object": "list", "data": [{ "id": "prm", "object": "model", "owned_by": owner }] }))
}

/// What the server says of each token of an input: chances of wrong and right where the case is read, others elsewhere.
fn rows(ids: &Value, case: &(String, Vec<String>, Vec<u32>, Vec<usize>, Vec<f32>)) -> Vec<[f64; 2]> {
    let n = ids.as_array().unwrap().len();
    let mut out = vec![[0.9, 0.1]; n];
    for (at, p) in case.3.iter().zip(&case.4).filter(|(at, _)| **at < n) {
        out[*at] = [1.0 - f64::from(*p), f64::from(*p)];
    }
    out
}

fn score(model: &mut ServedReward, problem: &str, steps: &[String]) -> Result<Vec<Option<f32>>, String> {
    let (text, spans) = joined(steps);
    model.begin(problem, 1).unwrap();
    let said = model.append(&[piece(0, &text, &spans, true)]).map_err(|e| e.to_string())?;
    Ok(values(&said[0]))
}

#[test]
fn what_vllm_pools_is_laid_on_the_steps() {
    let case = case_of("qwen-prm", 0);
    let (_dir, file) = protocol("qwen-prm", "");
    // Chances or logits, a row a token or a row a tag; the server says itself that it is vLLM, or the address does.
    for (chances, tags_only, path) in [(true, false, ""), (false, true, "/pooling"), (true, true, "/v1")] {
        let known = case.clone();
        let server = FakeServer::start(move |r: &Received, _| match r.path.as_str() {
            "/v1/models" => list("vllm"),
            "/pooling" => {
                let data: Vec<Value> = r.body["input"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .enumerate()
                    .map(|(i, ids)| {
                        let all = rows(ids, &known);
                        let all: Vec<[f64; 2]> = match tags_only {
                            true => known.3.iter().filter(|at| **at < all.len()).map(|at| all[*at]).collect(),
                            false => all,
                        };
                        let logits = |r: &[f64; 2]| if chances { *r } else { [r[0].ln() + 2.0, r[1].ln() + 2.0] };
                        json!({ "index": i, "object": "pooling", "data": all.iter().map(logits).collect::<Vec<_>>() })
                    })
                    .rev()
                    .collect();
                Reply::Whole(200, json!({ "id": "pool-1", "object": "list", "model": "prm", "data": data }))
            }
            _ => not_found(),
        });
        let mut model = open(format!("{}{path}", server.root()), "prm", Some(&file)).unwrap();
        assert!(model.about().contains("/pooling") && model.about().contains("read as Qwen2.5-Math-PRM"), "{}", model.about());
        assert_eq!(model.calibration().reward(), Some(0.5));
        near(&score(&mut model, &case.0, &case.1).unwrap(), &case.4, path);
        let sent = server.to("/pooling");
        assert_eq!(
            (&sent[0]["input"], &sent[0]["task"], &sent[0]["model"]),
            (&json!([case.2[..=case.3[2]]]), &json!("token_classify"), &json!("prm"))
        );
        assert!(server.received().iter().all(|r| r.authorization.as_deref() == Some("Bearer secret-key")));
        // As it grows: a request for every step that closes, and the same in the end; beside another candidate that is whole.
        let (text, spans) = joined(&case.1);
        model.begin(&case.0, 2).unwrap();
        let mut last = Vec::new();
        for (n, span) in spans.iter().enumerate() {
            let end = n + 1 == spans.len();
            let grown = piece(0, &text[..span.end], &spans[..=n], end);
            let said = model.append(&if n == 0 { vec![grown, piece(1, &text, &spans, true)] } else { vec![grown] }).unwrap();
            last = values(&said[0]);
            assert_eq!(last.len(), n + 1);
            if n == 0 {
                near(&values(&said[1]), &case.4, "the other");
            }
        }
        near(&last, &case.4, "grown");
        assert_eq!(server.to("/pooling").len(), 4);
    }
}

#[test]
fn a_tag_in_the_text_moves_no_row_of_a_server() {
    let case = case_of("qwen-prm", 0);
    let (_dir, file) = protocol("qwen-prm", "");
    let server = FakeServer::start(move |r: &Received, _| match r.path.as_str() {
        "/v1/models" => list("vllm"),
        _ => {
            // A row for every place where the tag stands: the one in the text first.
            let n = r.body["input"][0].as_array().unwrap().iter().filter(|id| id.as_u64() == Some(3)).count();
            let rows: Vec<[f64; 2]> = (0..n).map(|i| [1.0 - 0.125 * i as f64, 0.125 * i as f64]).collect();
            Reply::Whole(200, json!({ "data": [{ "index": 0, "data": rows }] }))
        }
    });
    let mut model = open(server.root(), "prm", Some(&file)).unwrap();
    let found = score(&mut model, &case.0, &["One.<extra_0>and".into(), "Two.".into()]).unwrap();
    near(&found, &[0.125, 0.25], "the tag in the first step is passed over");
}

#[test]
fn a_whole_is_classified_by_vllm_and_by_sglang() {
    let case = case_of("outcome", 0);
    let (_dir, file) = protocol("outcome", "");
    for (owner, path) in [("vllm", "/classify"), ("sglang", "/classify"), ("sglang", ""), ("sglang", "/v1/classify")] {
        let score_of = case.4[0];
        let server = FakeServer::start(move |r: &Received, _| match r.path.as_str() {
            "/v1/models" => list(owner),
            "/classify" if owner == "sglang" => Reply::Whole(200, json!([{ "embedding": [score_of], "meta_info": { "id": "1" } }])),
            _ => Reply::Whole(
                200,
                json!({ "object": "list", "data": [{ "index": 0, "label": "LABEL_0", "probs": [score_of], "num_classes": 1 }] }),
            ),
        });
        let mut model = open(format!("{}{path}", server.root()), "prm", Some(&file)).unwrap();
        let (text, spans) = joined(&case.1);
        model.begin(&case.0, 1).unwrap();
        assert!(model.append(&[piece(0, &text[..10], &[], false)]).unwrap().is_empty(), "a part is not judged");
        let said = model.append(&[piece(0, &text, &spans, true)]).unwrap();
        assert_eq!(said, [Scored { candidate: 0, said: Said::Judged { unit: Unit::Logit, values: Values::Candidate(score_of) } }]);
        let sent = server.received().pop().unwrap().body;
        let ids = if owner == "sglang" && path != "/v1/classify" { &sent["input_ids"] } else { &sent["input"] };
        assert_eq!(ids, &json!([case.2]), "{path}");
    }
}

#[test]
fn faults_of_a_server_are_told_and_what_passes_is_asked_again() {
    let case = case_of("qwen-prm", 0);
    let (_dir, file) = protocol("qwen-prm", "");
    let answer = |reply: fn(usize) -> Reply| {
        let server = FakeServer::start(move |r: &Received, i| if r.path == "/v1/models" { list("vllm") } else { reply(i) });
        let mut model = open(server.root(), "prm", Some(&file)).unwrap();
        (score(&mut model, &case.0, &case.1), server)
    };
    let says = |reply: fn(usize) -> Reply, words: &[&str]| {
        let said = answer(reply).0.unwrap_err();
        words.iter().for_each(|w| assert!(said.contains(w), "{said:?} lacks {w:?}"));
    };
    says(
        |_| Reply::Whole(200, json!({ "data": [{ "index": 0, "data": [[0.5, 0.5]] }] })),
        &["1 rows", "3 places", "served as a reward model"],
    );
    says(|_| Reply::Whole(200, json!({ "data": [{ "index": 0, "data": vec![vec![0.5; 3000]] }] })), &["no scores"]);
    says(|_| Reply::Whole(200, json!({ "data": [] })), &["1 inputs were sent and 0 came back"]);
    says(|_| Reply::Whole(400, json!({ "error": { "message": "too long: secret-key" } })), &["400", "too long"]);
    says(|_| Reply::Whole(401, json!({})), &["401", "OPENAI_API_KEY"]);
    says(|_| Reply::Whole(200, "no json".into()), &["not JSON"]);
    says(|_| Reply::Raw(200, vec![("Content-Length", "2000000000".into())], vec![b' '; 4 << 20], usize::MAX), &["more than"]);
    // Two refusals and a broken connection, then the rows.
    let (found, server) = answer(|i| match i {
        1 => Reply::Whole(503, json!({})),
        2 => Reply::Later(429, json!({}), 0),
        3 => Reply::Close,
        _ => Reply::Whole(200, json!({ "data": [{ "index": 0, "data": [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]] }] })),
    });
    near(&found.unwrap(), &[0.5, 0.75, 0.0], "after all");
    assert_eq!(server.to("/pooling").len(), 4);
}

#[test]
fn what_is_missing_is_said_before_anything_is_sent() {
    let server = FakeServer::start(|r: &Received, _| if r.path == "/v1/models" { list("somebody") } else { not_found() });
    let fail = |url: String, model: &str, file: Option<&Path>, words: &[&str]| {
        let said = open(url, model, file).err().unwrap();
        words.iter().for_each(|w| assert!(said.contains(w), "{said:?} lacks {w:?}"));
    };
    fail(server.root(), "prm", None, &["does not say what it is", "/pooling", "/score"]);
    fail(format!("{}/pooling", server.root()), "prm", None, &["--reward-protocol", "prm"]);
    fail(format!("{}/pooling", server.root()), "Qwen/Qwen2.5-Math-PRM-7B", None, &["tokenizer", "server.tokenizer"]);
    assert!(server.received().iter().all(|r| r.path == "/v1/models"));
}

/// This program's own server, which has a model of one level.
fn own(level: &'static str, candidates: fn(&Value) -> Vec<Value>) -> FakeServer {
    FakeServer::start(move |r: &Received, _| match r.path.as_str() {
        "/v1/models" => Reply::Whole(
            200,
            json!({ "object": "list", "data": [{
            "id": "prm", "object": "model", "status": "ready", "unit": "logit", "level": level,
            "calibration": { "reading": "reward.sum", "threshold": -2.5, "false_alarm_rate": 0.05, "task": "stories", "samples": 9, "method": "m" },
        }] }),
        ),
        _ => {
            let all: Vec<Value> = r.body["candidates"].as_array().unwrap().iter().flat_map(candidates).collect();
            Reply::Whole(200, json!({ "reward": "prm", "unit": "logit", "items": [{ "candidates": all }] }))
        }
    })
}

#[test]
fn this_programs_own_server_is_asked_for_tokens_steps_or_the_whole() {
    let text = "One é.\nTwo.";
    let spans = [Span::new(0, 7), Span::new(8, 12)];
    let server = own("token", |c| {
        let n = c["completion"].as_str().unwrap().len();
        vec![
            json!({ "value": 1.0, "steps": [], "tokens": [{ "span": [0, 8], "value": -1.5 }, { "span": [8, n], "value": null }, { "span": [n, n], "value": 2.0 }] }),
        ]
    });
    let mut model = open(server.root(), "prm", None).unwrap();
    assert!(model.about().contains("reasonscope serve"), "{}", model.about());
    let calibration = model.calibration();
    assert_eq!(
        (calibration.reward(), &calibration.reading, calibration.task.as_deref()),
        (Some(-2.5), &Reading::new(REWARD, Statistic::Sum), Some("stories"))
    );
    model.begin("How many?", 1).unwrap();
    let whole =
        |model: &mut ServedReward| model.append(&[Piece { cut_short: true, ..piece(0, text, &spans, true) }]).unwrap().remove(0).said;
    let Said::Judged { unit: Unit::Logit, values: Values::Tokens(tokens) } = whole(&mut model) else { panic!() };
    assert_eq!(tokens.iter().map(|t| [t.span.start, t.span.end]).collect::<Vec<_>>(), [[0, 8], [8, 12], [12, 12]]);
    assert!(tokens[0].value == -1.5 && tokens[1].value.is_nan());
    let sent = server.to("/score").remove(0);
    assert_eq!(
        sent,
        json!({ "reward": "prm", "problem": "How many?", "candidates": [{ "completion": text, "finished": false }], "tokens": true })
    );

    let server = own("step", |c| {
        let steps = c["steps"].as_array().unwrap();
        vec![
            json!({ "value": 1.0, "steps": steps.iter().map(|s| json!({ "span": [0, 1], "value": s.as_str().unwrap().len() })).collect::<Vec<_>>() }),
        ]
    });
    let mut model = open(format!("{}/score", server.root()), "prm", None).unwrap();
    model.begin("How many?", 1).unwrap();
    assert_eq!(values(&model.append(&[piece(0, &text[..8], &spans[..1], false)]).unwrap()[0]), [Some(7.0)]);
    let Said::Judged { values: Values::Steps(steps), .. } = whole(&mut model) else { panic!() };
    assert_eq!(steps, [Some(7.0), Some(4.0)]);

    let server = own("candidate", |_| {
        let domain = json!({ "task": "stories", "problem": { "value": -9.0, "limit": -4.0 }, "text": { "limit": -4.0 }, "vocabulary": { "limit": 0.5 } });
        vec![json!({ "value": 0.25, "steps": [], "domain": domain })]
    });
    let mut model = open(server.root(), "prm", None).unwrap();
    assert_eq!(model.says(), (Unit::Logit, Level::Candidate));
    model.begin("How many?", 1).unwrap();
    assert_eq!(model.domain(0), None);
    assert!(model.append(&[piece(0, &text[..8], &spans[..1], false)]).unwrap().is_empty());
    assert!(model.domain(0).is_some_and(|d| d.is_outside() && d.task == "stories"));
    assert_eq!(whole(&mut model), Said::Judged { unit: Unit::Logit, values: Values::Candidate(0.25) });
}

#[test]
fn answers_of_our_own_server_that_do_not_fit_are_told() {
    let says = |level: &'static str, candidates: fn(&Value) -> Vec<Value>, word: &str| {
        let server = own(level, candidates);
        let mut model = open(server.root(), "prm", None).unwrap();
        model.begin("How many?", 1).unwrap();
        let said = model.append(&[piece(0, "One.", &[Span::new(0, 4)], true)]).unwrap_err().to_string();
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    };
    says("token", |_| vec![], "1 candidates were sent and 0 came back");
    says("token", |_| vec![json!({ "value": 1.0, "tokens": [{ "span": [2, 99], "value": 1.0 }] })], "do not follow");
    says("step", |_| vec![json!({ "value": 1.0, "steps": [] })], "1 steps were sent and 0 came back");
    says("step", |_| vec![json!({ "value": null, "steps": [], "error": "out of memory" })], "out of memory");
}
