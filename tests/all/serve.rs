//! What `serve` answers: numbers of `score`, streams that are the whole, states, counts, descriptions, limits, tokens.

use crate::protocol::make;
use crate::serve_fixture::{Gate, JSON, Running, bytes, embedded, named, open};
use reasonscope::runtime::{Loader, ModelRef, Models};
use reasonscope::serve::{Limits, News};
use reasonscope::task::stories::{self, Split};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What `score` writes of a file.
fn scored(file: &str, more: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope"))
        .args(["score", file, "-q", "--trust", "--device", "cpu"])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The bits of a number.
fn bits(value: &Value) -> Option<u32> {
    value.as_f64().map(|v| (v as f32).to_bits())
}

fn all_bits<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<Option<u32>> {
    values.into_iter().map(bits).collect()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// Holds what `score` wrote of a candidate against what the server says of it.
fn same(record: &Value, got: &Value) {
    let signal = record["signals"].as_array().and_then(|s| s.iter().find(|s| s["name"] == "reward"));
    // Without token rewards, the step rewards and the outcome of a record are those that came with its file.
    let tokens = record.get("token_rewards");
    let steps = match (tokens, signal) {
        (Some(_), _) => list(&record["step_rewards"]).clone(),
        (None, Some(signal)) => signal["step_values"].as_array().cloned().unwrap_or_default(),
        (None, None) => panic!("no reward: {record}"),
    };
    let (spans, values): (Vec<Value>, Vec<Value>) = list(&got["steps"]).iter().map(|s| (s["span"].clone(), s["value"].clone())).unzip();
    assert_eq!(&Value::from(spans), &record["steps"]);
    if !steps.is_empty() {
        assert_eq!(all_bits(&values), all_bits(&steps), "{record}\n{got}");
    }
    if let Some(tokens) = tokens {
        assert_eq!(all_bits(list(&got["tokens"]).iter().map(|t| &t["value"])), all_bits(list(tokens)));
        let spans: Vec<Value> = list(&got["tokens"]).iter().map(|t| t["span"].clone()).collect();
        assert_eq!(Value::from(spans), record["reward_spans"]);
    }
    let whole = if tokens.is_some() { record.get("outcome_reward") } else { signal.and_then(|s| s.get("value")) };
    if let Some(whole) = whole {
        assert_eq!(bits(&got["value"]), bits(whole), "{record}\n{got}");
    }
    match record["first_deviation"].as_i64() {
        None => assert_eq!(got["judged"], false),
        Some(-1) => assert_eq!((&got["judged"], &got["deviation"]), (&json!(true), &Value::Null)),
        Some(step) => {
            assert_eq!(got["deviation"]["step"], step);
            assert_eq!(bits(&got["deviation"]["value"]), bits(&record["deviation_value"]));
            assert_eq!(bits(&got["deviation"]["threshold"]), bits(&record["deviation_threshold"]));
        }
    }
}

/// The problems of a scored file as a request has them: the candidates of one problem together.
fn request(records: &[Value]) -> Value {
    let mut items: Vec<(Value, Vec<Value>)> = Vec::new();
    for record in records {
        let finished = record["finish"].is_null() || record["finish"] == "stop";
        let candidate = json!({ "completion": record["text"], "finished": finished });
        match items.last_mut() {
            Some((id, candidates)) if *id == record["trace_id"] => candidates.push(candidate),
            _ => items.push((record["trace_id"].clone(), vec![candidate])),
        }
    }
    let problem = |id: &Value| records.iter().find(|r| r["trace_id"] == *id).unwrap()["problem"].clone();
    let items: Vec<Value> =
        items.into_iter().map(|(id, candidates)| json!({"id": id, "problem": problem(&id), "candidates": candidates})).collect();
    json!({ "items": items, "tokens": true, "trust": true })
}

fn candidates(response: &Value) -> Vec<Value> {
    list(&response["items"]).iter().flat_map(|i| list(&i["candidates"]).clone()).collect()
}

const STORY: &str = "Ben has 12 pears. He gives 5 pears to Mia. How many pears does Ben have left?";

#[test]
fn a_file_has_the_same_numbers_through_both_doors() {
    let dir = tempfile::tempdir().unwrap();
    // Candidates of one problem, longer than a piece and longer than the context, cut ones, and empty ones.
    let line = |id: &str, text: &str, finish: &str| {
        json!({"schema_version": 1, "trace_id": id, "candidate": 0, "problem": STORY, "text": text, "finish": finish}).to_string()
    };
    let long = (0..40).map(|i| format!("Ben has {i} - 5 = {} pears after day {i}.", i - 5)).collect::<Vec<_>>().join("\n");
    let mut lines: Vec<String> = (0..11).map(|i| line("a", &format!("Ben has 12 - 5 = {} pears.\n#### {i}", 7 + i % 3), "stop")).collect();
    lines.push(line("b", &long, "stop"));
    lines.push(line("b", "Ben has 12 - 5 =", "length"));
    let file = dir.path().join("in.jsonl");
    let server = Running::start(embedded(), None, Limits::default());
    for (options, beyond) in [
        (json!({}), true),
        (json!({"granularity": "step", "aggregation": "min"}), false),
        (json!({"granularity": "interval:4", "aggregation": "product", "segmentation": "sentence"}), false),
        (json!({"granularity": "sparse", "aggregation": "last"}), false),
    ] {
        let mut lines = lines.clone();
        if beyond {
            lines.push(line("b", &long.repeat(9), "stop"));
        }
        std::fs::write(&file, lines.join("\n")).unwrap();
        let mut more = vec!["--reward", "embedded"];
        for (name, option) in [("granularity", "--granularity"), ("aggregation", "--aggregation"), ("segmentation", "--segment")] {
            if let Some(value) = options[name].as_str() {
                more.extend([option, value]);
            }
        }
        let records = scored(file.to_str().unwrap(), &more);
        assert_eq!(records.len(), lines.len());
        let mut body = request(&records);
        body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let response = server.score(&body);
        assert_eq!((&response["reward"], &response["unit"]), (&json!("embedded"), &json!("logit")));
        let got = candidates(&response);
        records.iter().zip(&got).for_each(|(record, got)| same(record, got));
        let cut: Vec<usize> = (0..got.len()).filter(|&i| got[i]["cut"] == true).collect();
        assert_eq!(cut, if beyond { vec![13] } else { vec![] });
    }
    // Given steps, as a file of steps has them.
    let records = scored(&sample("processbench.jsonl"), &["--reward", "embedded"]);
    let lines = std::fs::read_to_string(sample("processbench.jsonl")).unwrap();
    for (line, record) in lines.lines().zip(&records) {
        let line: Value = serde_json::from_str(line).unwrap();
        let response = server.score(&json!({"problem": line["problem"], "steps": line["steps"], "tokens": true, "trust": true}));
        same(record, &response["items"][0]["candidates"][0]);
    }
}

#[test]
fn published_models_have_the_same_numbers_through_both_doors() {
    for (name, unit) in [("qwen-prm", "probability"), ("outcome", "logit")] {
        let made = make(name);
        let model = made.path.display().to_string();
        let records = scored(&sample("processbench.jsonl"), &["--reward", &model]);
        let server = Running::start(named(&ModelRef::Path(made.path.clone())), None, Limits::default());
        let body = request(&records);
        let response = server.score(&body);
        assert_eq!(response["unit"], unit);
        let got = candidates(&response);
        assert_eq!(got.len(), records.len());
        records.iter().zip(&got).for_each(|(record, got)| same(record, got));
        assert!(got.iter().all(|c| c["value"].is_number() && c.get("tokens").is_none()), "{response}");
        let mut streamed = body.clone();
        streamed["stream"] = true.into();
        let lines = server.post("/score", &streamed).lines();
        let mut done = lines.last().unwrap().clone();
        assert_eq!(done.as_object_mut().unwrap().remove("event"), Some("done".into()));
        assert_eq!(done, response);
        assert_eq!(lines.len() > 1, name == "qwen-prm", "a model of the whole has nothing to say of steps");
        let models = server.get("/v1/models").json();
        assert_eq!(models["data"][0]["level"], if name == "outcome" { "candidate" } else { "step" });
    }
}

#[test]
fn streamed_is_whole_and_together_is_alone() {
    let server = Running::start(embedded(), None, Limits::default());
    let long = (0..40).map(|i| format!("Ben has {i} pears.")).collect::<Vec<_>>().join("\n");
    let items = json!([
        {"id": "x", "problem": STORY, "completion": long},
        {"problem": STORY, "candidates": ["Ben has 12 - 5 = 7 pears.\n#### 7", {"steps": ["Ben has 7.", " ", "#### 7"], "finished": false}, ""]},
    ]);
    for granularity in ["dense", "step", "interval:5", "sparse"] {
        let body = json!({"items": items, "granularity": granularity, "segmentation": "line", "tokens": true});
        let whole = server.post("/score", &body);
        let response = whole.json();
        let mut streamed = body.clone();
        streamed["stream"] = true.into();
        let answer = server.post("/score", &streamed);
        assert!(answer.head.contains("content-type: application/x-ndjson"), "{}", answer.head);
        let mut lines = answer.lines();
        let done = answer.text().lines().last().unwrap().replacen("\"event\":\"done\",", "", 1);
        assert_eq!(done, whole.text(), "bit for bit");
        lines.pop();
        let mut last = BTreeMap::new();
        for line in &lines {
            assert_eq!(line["event"], "step");
            let at = ["item", "candidate", "step"].map(|k| line[k].as_u64().unwrap());
            last.insert(at, (line["span"].clone(), line["value"].clone()));
        }
        let mut expected = BTreeMap::new();
        for (i, item) in list(&response["items"]).iter().enumerate() {
            for (c, candidate) in list(&item["candidates"]).iter().enumerate() {
                for (s, step) in list(&candidate["steps"]).iter().enumerate() {
                    expected.insert([i, c, s].map(|n| n as u64), (step["span"].clone(), step["value"].clone()));
                }
            }
        }
        assert_eq!(last, expected, "{granularity}");
        assert_eq!(lines.len(), last.len(), "no step is said twice where nothing changed");
        // Server-Sent Events say the same.
        let answer = server.request("POST", "/score", &format!("{JSON}Accept: text/event-stream\r\n"), streamed.to_string().as_bytes());
        assert!(answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
        let data: Vec<Value> =
            answer.text().lines().filter_map(|l| l.strip_prefix("data: ")).map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(data.len(), lines.len() + 1);
        assert!(answer.text().ends_with("\n\n") && answer.text().contains("event: done\ndata: {"));
        // Each problem alone.
        for (i, item) in list(&items).iter().enumerate() {
            let mut alone = body.clone();
            alone["items"] = json!([item]);
            assert_eq!(server.score(&alone)["items"][0], response["items"][i], "{granularity}");
        }
    }
    assert_eq!(server.score(&json!({"items": []}))["items"], json!([]));
}

#[test]
fn steps_come_while_the_rest_is_read() {
    let gate = Gate::default();
    let server = Running::start(bytes(&gate), None, Limits::default());
    server.until(|| server.get("/health").status == 200);
    // Two pieces: the second is not read before the first event is here.
    let text = format!("{}\n{}\nlast", "a".repeat(700), "b".repeat(700));
    let body = json!({"problem": "p", "completion": text, "segmentation": "line", "stream": true}).to_string();
    let mut stream = server.connect();
    use std::io::{BufRead, BufReader, Write};
    write!(stream, "POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    server.until(|| gate.came() == 1);
    gate.open();
    let mut reader = BufReader::new(stream);
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "{seen:?}");
        if let Ok(event) = serde_json::from_str::<Value>(&line)
            && event.is_object()
        {
            seen.push(event);
        }
    }
    assert_eq!(seen.iter().map(|e| e["step"].clone()).collect::<Vec<_>>(), [json!(0), json!(1), json!(2), Value::Null]);
}

#[test]
fn the_first_deviation_is_found_as_asked() {
    let server = Running::start(bytes(&open()), None, Limits::default());
    let ask = |more: Value| {
        let mut body = json!({"problem": "p", "completion": "good\nbad?? here\nworse????\nend", "segmentation": "line"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let response = server.score(&body);
        let candidate = response["items"][0]["candidates"][0].clone();
        (response, candidate)
    };
    let (response, candidate) = ask(json!({}));
    assert_eq!(candidate["deviation"], json!({"step": 1, "value": -1.0, "threshold": 0.0}));
    let detector = json!({"reading": "reward.min", "rule": "threshold", "threshold": 0.0, "false_alarm_rate": 0.1, "task": "marks"});
    assert_eq!(response["detector"], detector);
    assert_eq!(candidate["value"], json!(0.0), "the mean of 1, -1, -1 and 1");
    // Sums with the line feed before each: 4; 1 + 8 - 2; 1 + 5 - 4; 1 + 3.
    let (response, candidate) = ask(json!({"statistic": "sum", "threshold": 3, "aggregation": "min"}));
    let values: Vec<Value> = candidate["steps"].as_array().unwrap().iter().map(|s| s["value"].clone()).collect();
    assert_eq!(values, [json!(4.0), json!(7.0), json!(2.0), json!(4.0)]);
    assert_eq!((&candidate["value"], &candidate["deviation"]["step"]), (&json!(2.0), &json!(2)));
    assert_eq!(
        response["detector"],
        json!({"reading": "reward.sum", "rule": "threshold", "threshold": 3.0, "false_alarm_rate": null, "task": null})
    );
    let (response, candidate) = ask(json!({"rule": "largest_drop", "statistic": "sum"}));
    assert_eq!(candidate["deviation"], json!({"step": 2, "value": 5.0, "threshold": null}));
    assert_eq!(response["detector"]["threshold"], Value::Null);
    // Nothing is calibrated for the mean, and one reward for the whole marks no step.
    for more in [json!({"statistic": "mean"}), json!({"granularity": "sparse"})] {
        let (_, candidate) = ask(more);
        assert_eq!((&candidate["judged"], &candidate["deviation"]), (&json!(false), &Value::Null));
    }
}

#[test]
fn outside_of_what_the_model_has_learned_nothing_is_marked_unless_it_is_trusted() {
    let server = Running::start(embedded(), None, Limits::default());
    let foreign = "We write f(x) = ax^2 + bx + c, so that f'(0) = b = -1.\nThen a + c = 3, which leaves one degree of freedom.";
    let mut body = json!({"problem": "Determine the discriminant of the quadratic f with f(1) = 2 and f'(0) = -1.", "completion": foreign});
    let of = |body: &Value| server.score(body)["items"][0]["candidates"][0].clone();
    let untrusted = of(&body);
    assert_eq!((&untrusted["outside"], &untrusted["judged"], &untrusted["deviation"]), (&json!(true), &json!(false), &Value::Null));
    assert!(untrusted["domain"]["problem"]["value"].is_number() && untrusted["value"].is_number(), "{untrusted}");
    body["trust"] = true.into();
    let trusted = of(&body);
    assert_eq!((&trusted["outside"], &trusted["judged"]), (&json!(true), &json!(true)));
    assert_eq!((&trusted["steps"], trusted["deviation"].is_object()), (&untrusted["steps"], true));
    let story = stories::story(Split::Validation, 3, 0);
    let own = of(&json!({"problem": story.problem, "completion": story.solution()}));
    assert_eq!((&own["outside"], &own["judged"]), (&json!(false), &json!(true)), "{own}");
    // A model that keeps nothing of its text does not know.
    let open_ended = Running::start(bytes(&open()), None, Limits::default());
    assert!(open_ended.score(&json!({"problem": "p", "completion": "x"}))["items"][0]["candidates"][0].get("outside").is_none());
}

#[test]
fn a_candidate_that_cannot_be_read_says_why_and_the_others_are_read() {
    let server = Running::start(bytes(&open()), None, Limits::default());
    let response = server.score(
        &json!({"items": [{"problem": "p", "candidates": ["good", "NO good", "fine?"]}, {"problem": "unreadable", "completion": "x"}]}),
    );
    let first = &response["items"][0]["candidates"];
    assert_eq!((&first[0]["value"], &first[2]["value"]), (&json!(1.0), &json!(-1.0)));
    assert_eq!((&first[1]["value"], &first[1]["error"]), (&Value::Null, &json!("7 bytes do not fit")));
    assert!(first[0].get("error").is_none());
    assert!(response["items"][1]["candidates"][0]["error"].as_str().unwrap().contains("does not fit the context"));
    let answer = server.post("/score", &json!({"problem": "unreadable", "completion": "x"}));
    assert_eq!(answer.status, 422);
    assert!(answer.error().contains("does not fit the context"));
    let answer = server.post("/score", &json!({"problem": "panic", "completion": "x"}));
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("it dislikes this"), "{}", answer.error());
    let lines = server.post("/score", &json!({"problem": "unreadable", "completion": "x", "stream": true})).lines();
    assert_eq!((&lines.last().unwrap()["event"], &lines.last().unwrap()["error"]["status"]), (&json!("error"), &json!(422)));
    assert_eq!(server.score(&json!({"problem": "p", "completion": "x"}))["items"][0]["candidates"][0]["value"], 1.0, "it goes on");
}

#[test]
fn health_says_what_the_model_is_at() {
    let gate = Gate::default();
    let way = gate.clone();
    let loader = Loader::new("slow", move |progress| {
        progress.unwrap()(0.25);
        way.pass();
        Err("slow/config.json: is damaged; fetch it again".into())
    });
    let server = Running::start(vec![("slow".into(), Models { policy: None, rewards: vec![loader] })], None, Limits::default());
    server.until(|| server.get("/health").text().contains("25 %"));
    let answer = server.get("/health");
    assert_eq!((answer.status, &answer.json()["status"]), (503, &json!("loading")));
    assert_eq!(server.get("/v1/models").json()["data"][0]["status"], "loading");
    gate.open();
    server.until(|| server.get("/health").json()["status"] == "failed");
    let answer = server.get("/health");
    assert_eq!(answer.status, 503);
    assert!(answer.json()["reason"].as_str().unwrap().contains("fetch it again"));
    let answer = server.post("/score", &json!({"problem": "p", "completion": "x"}));
    assert_eq!(answer.status, 503);
    assert!(answer.error().contains("fetch it again"));
    server.until(|| server.news.lock().unwrap().iter().any(|n| matches!(n, News::Failed(why) if why.contains("fetch it again"))));

    let server = Running::start(bytes(&open()), None, Limits::default());
    server.until(|| server.get("/health").status == 200);
    assert_eq!(server.get("/health").json(), json!({"status": "ready"}));
    let head = server.request("HEAD", "/health", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn the_models_are_described() {
    let mut rewards = bytes(&open());
    rewards.extend(embedded());
    let server = Running::start(rewards, None, Limits::default());
    server.until(|| server.get("/health").status == 200);
    let models = server.get("/v1/models").json();
    let first = &models["data"][0];
    assert_eq!(
        (&models["object"], &first["id"], &first["unit"], &first["level"]),
        (&json!("list"), &json!("bytes"), &json!("logit"), &json!("token"))
    );
    assert_eq!(first["calibration"]["threshold"], 0.0);
    assert_eq!((&first["calibration"]["task"], &first["calibration"]["reading"]), (&json!("marks"), &json!("reward.min")));
    assert_eq!(models["data"][1]["calibration"]["task"], "stories");
    // Each is asked by its name.
    let ask = |reward: &str| server.post("/score", &json!({"problem": STORY, "completion": "Ben has 12 - 5 = 7 pears.", "reward": reward}));
    assert_eq!(ask("bytes").json()["items"][0]["candidates"][0]["value"], 1.0);
    assert_eq!(ask("embedded").json()["reward"], "embedded");
    let answer = ask("other");
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("'other' is not served here; give one of bytes, embedded"), "{}", answer.error());
}

#[test]
fn what_is_done_is_counted() {
    let server = Running::start(bytes(&open()), None, Limits::default());
    server.score(&json!({"problem": "p", "candidates": ["four", "five!"]}));
    server.score(&json!({"items": [{"problem": "p", "completion": "x"}, {"problem": "p", "completion": "y"}]}));
    server.post("/score", &json!({"problem": "p", "completion": "x", "stream": true}));
    server.post("/score", &json!({}));
    server.get("/nowhere");
    // A request is counted when its connection is through with it.
    server.until_metric("requests_total{route=\"/score\",status=\"200\"}", "3");
    server.until_metric("requests_total{route=\"/score\",status=\"400\"}", "1");
    server.until_metric("requests_total{route=\"other\",status=\"404\"}", "1");
    server.until_metric("tokens_total", "12");
    server.until_metric("text_bytes_total", "12");
    server.until_metric("problems_total", "4");
    server.until_metric("cancelled_total", "0");
    server.until_metric("queue_depth{reward=\"bytes\"}", "0");
    server.until_metric("ready{reward=\"bytes\"}", "1");
    server.until_metric("request_seconds_count{route=\"/score\"}", "4");
    let text = server.get("/metrics");
    assert!(text.head.contains("text/plain; version=0.0.4"), "{}", text.head);
    assert!(text.text().lines().all(|l| l.starts_with("# ") || l.starts_with("reasonscope_")), "{}", text.text());
    assert!(text.text().contains("reasonscope_requests_in_flight 1\n"), "this one");
}

#[test]
fn the_descriptions_are_there() {
    let server = Running::start(bytes(&open()), None, Limits::default());
    let document = server.get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(
        document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/ScoreRequest"
    );
    let page = server.get("/");
    assert!(page.head.contains("text/html") && page.head.contains("default-src 'none'"), "{}", page.head);
    assert!(page.text().contains("<code>/score</code>"));
    // What the server answers is what it describes.
    let response = server.score(&json!({"problem": "p", "completion": "x?", "tokens": true}));
    let schemas = &document["components"]["schemas"];
    let fields = |name: &str| schemas[name]["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (name, value) in [
        ("ScoreResponse", &response),
        ("Detector", &response["detector"]),
        ("CandidateScore", &response["items"][0]["candidates"][0]),
        ("Deviation", &response["items"][0]["candidates"][0]["deviation"]),
        ("StepScore", &response["items"][0]["candidates"][0]["steps"][0]),
        ("TokenScore", &response["items"][0]["candidates"][0]["tokens"][0]),
    ] {
        let known = fields(name);
        assert!(!value.as_object().unwrap().is_empty());
        assert!(value.as_object().unwrap().keys().all(|k| known.contains(k)), "{name}: {value} {known:?}");
    }
}

#[test]
fn a_full_queue_says_so_and_waiting_requests_are_answered_in_the_end() {
    let gate = Gate::default();
    let limits = Limits { queue: 2, ..Limits::default() };
    let server = Running::start(bytes(&gate), None, limits);
    server.until(|| server.get("/health").status == 200);
    let body = json!({"problem": "p", "completion": "x"});
    std::thread::scope(|s| {
        // Two are with the model, two wait.
        let asked: Vec<_> = (1..=4)
            .map(|i| {
                let asked = s.spawn(|| server.post("/score", &body));
                server.until_metric("requests_in_flight", &(i + 1).to_string());
                if i > 2 {
                    server.until_metric("queue_depth{reward=\"bytes\"}", &(i - 2).to_string());
                } else {
                    server.until(|| server.get("/metrics").text().contains("queue_depth{reward=\"bytes\"} 0"));
                }
                asked
            })
            .collect();
        let refused = server.post("/score", &body);
        assert_eq!(refused.status, 503);
        assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
        assert!(refused.error().contains("too many requests wait"));
        gate.open();
        for asked in asked {
            assert_eq!(asked.join().unwrap().status, 200);
        }
    });
    assert_eq!(server.post("/score", &body).status, 200);
}

#[test]
fn requests_take_turns() {
    let gate = Gate::default();
    let server = Running::start(bytes(&gate), None, Limits::default());
    server.until(|| server.get("/health").status == 200);
    let items: Vec<Value> = (0..200).map(|i| json!({"problem": format!("p{i}"), "completion": "x"})).collect();
    std::thread::scope(|s| {
        let large = s.spawn(|| server.post("/score", &json!({"items": items, "stream": true})));
        // The large one is in the queue before the small one comes.
        server.until_metric("queue_depth{reward=\"bytes\"}", "1");
        let small = s.spawn(|| server.post("/score", &json!({"problem": "p", "completion": "y"})));
        server.until_metric("queue_depth{reward=\"bytes\"}", "2");
        gate.open();
        assert_eq!(small.join().unwrap().status, 200);
        assert_eq!(large.join().unwrap().lines().len(), 201);
    });
}

#[test]
fn what_takes_too_long_is_told_and_given_up() {
    let gate = Gate::default();
    let limits = Limits { request: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start(bytes(&gate), None, limits);
    let answer = server.post("/score", &json!({"problem": "p", "completion": "x"}));
    assert_eq!(answer.status, 504);
    assert!(answer.error().contains("took more than"), "{}", answer.error());
    let lines = server.post("/score", &json!({"problem": "p", "completion": "x", "stream": true})).lines();
    assert_eq!((&lines[0]["event"], &lines[0]["error"]["status"]), (&json!("error"), &json!(504)));
    server.until_metric("cancelled_total", "2");
    gate.open();
    server.until(|| server.post("/score", &json!({"problem": "p", "completion": "x"})).status == 200);
}

#[test]
fn too_much_is_refused() {
    let limits = Limits { body: 2000, candidates: 3, text: 500, ..Limits::default() };
    let server = Running::start(bytes(&open()), None, limits);
    let refused = |body: &Value| {
        let answer = server.post("/score", body);
        (answer.status, answer.error())
    };
    assert_eq!(refused(&json!({"problem": "p", "completion": "x".repeat(3000)})).0, 413);
    assert!(refused(&json!({"problem": "p", "completion": "x".repeat(3000)})).1.contains("2000 bytes"));
    assert!(refused(&json!({"problem": "p", "completion": "x".repeat(600)})).1.contains("601 bytes of text"));
    assert!(refused(&json!({"problem": "p", "candidates": ["a", "b", "c", "d"]})).1.contains("4 candidates"));
    let plain = server.request("POST", "/score", "Content-Type: text/plain\r\n", b"{}");
    assert_eq!(plain.status, 415);
    let wrong = server.post("/score", &json!({"problem": "p", "completion": "x", "aggregatoin": "min"}));
    assert_eq!(wrong.status, 400);
    assert!(wrong.error().contains("aggregatoin"), "{}", wrong.error());
    let deep = server.post("/score", &json!({"items": [{"problem": "p", "completion": 3}]}));
    assert!(deep.status == 400 && deep.error().contains("items[0].completion"), "{}", deep.error());
}

#[test]
fn only_the_token_opens() {
    let token = "correct-horse-battery";
    let server = Running::start(bytes(&open()), Some(token), Limits::default());
    let body = json!({"problem": "p", "completion": "x"}).to_string();
    let with = |header: &str| server.request("POST", "/score", &format!("{JSON}{header}"), body.as_bytes());
    assert_eq!(with(&format!("Authorization: Bearer {token}\r\n")).status, 200);
    for header in ["", "Authorization: Bearer correct-horse-batterz\r\n", "Authorization: Basic Og==\r\n", "Authorization: \u{e9}\r\n"] {
        let answer = with(header);
        assert_eq!(answer.status, 401, "{header}");
        assert!(answer.head.contains("www-authenticate: bearer") && !answer.text().contains(token));
    }
    for path in ["/", "/metrics", "/openapi.json", "/v1/models", "/nowhere"] {
        assert_eq!(server.get(path).status, 401, "{path}");
    }
    // Whether it is up, and nothing else, is for everybody.
    server.until(|| server.get("/health").status == 200);
    assert_eq!(server.get("/health").json(), json!({"status": "ready"}));
    // A name that is not this machine's is nothing to whoever has the token.
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: models.example\r\nConnection: close\r\nAuthorization: bearer {token}\r\n\r\n");
    assert!(server.raw(head.as_bytes()).starts_with(b"HTTP/1.1 200"));
}

#[test]
fn without_a_token_only_this_machine_is_answered() {
    let server = Running::start(bytes(&open()), None, Limits::default());
    let with = |host: &str| server.raw(format!("GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
    assert!(with("localhost").starts_with(b"HTTP/1.1 200"));
    assert!(with("attacker.example").starts_with(b"HTTP/1.1 403"));
}

#[test]
fn what_was_taken_is_answered_at_the_end() {
    let gate = Gate::default();
    let server = Running::start(bytes(&gate), None, Limits::default());
    server.until(|| server.get("/health").status == 200);
    let ended = std::thread::scope(|s| {
        let asked: Vec<_> = (0..5).map(|_| s.spawn(|| server.post("/score", &json!({"problem": "p", "completion": "x"})))).collect();
        server.until_metric("requests_in_flight", "6");
        server.stop();
        server.until(|| server.news.lock().unwrap().contains(&News::Ending(5)));
        gate.open();
        asked.into_iter().map(|a| a.join().unwrap().status).collect::<Vec<_>>()
    });
    assert_eq!(ended, [200; 5]);
    let address = server.address;
    assert_eq!(server.end().unanswered, 0);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn patience_has_an_end() {
    let gate = Gate::default();
    let server = Running::start(bytes(&gate), None, Limits { patience: Duration::from_millis(100), ..Limits::default() });
    server.until(|| server.get("/health").status == 200);
    let mut asked = server.connect();
    use std::io::Write;
    let body = json!({"problem": "p", "completion": "x"}).to_string();
    write!(asked, "POST /score HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    server.until(|| gate.came() == 1);
    assert_eq!(server.end().unanswered, 1);
    gate.open();
}

#[test]
fn many_clients_get_their_own_numbers() {
    let server = Running::start(embedded(), None, Limits::default());
    let body = |i: usize| json!({"problem": STORY, "candidates": [format!("Ben has 12 - 5 = {i} pears.\n#### {i}"), format!("#### {i}")], "tokens": true});
    let alone: Vec<Value> = (0..8).map(|i| server.score(&body(i))).collect();
    std::thread::scope(|s| {
        for client in 0..40 {
            let (server, alone) = (&server, &alone);
            s.spawn(move || {
                for turn in 0..3 {
                    let i = (client + turn) % 8;
                    assert_eq!(server.score(&body(i)), alone[i], "client {client}");
                }
            });
        }
    });
    server.until_metric("requests_total{route=\"/score\",status=\"200\"}", "128");
}
