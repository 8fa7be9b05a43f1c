//! Rollouts from OpenAI-compatible servers: what is asked of them, what their failures lead to, and LoRA adapters.

use crate::fake_server::{FakeServer, Reply, completion, models, not_found};
use reasonscope::generate::{Completion, Fleet, FleetConfig, Prompt};
use reasonscope::trace::Sampling;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

fn prompts(n: u32) -> Vec<Prompt> {
    (0..n).map(|i| Prompt { ids: vec![i + 10, 3], seed: u64::from(i) }).collect()
}

fn config(servers: &[&FakeServer]) -> FleetConfig {
    FleetConfig { timeout: 5.0, retries: 2, requests: 4, ..FleetConfig::new(servers.iter().map(|s| s.url())) }
}

fn sampling() -> Sampling {
    Sampling { temperature: 0.7, max_tokens: 33, ..Sampling::default() }
}

fn sample(fleet: &mut Fleet, n: u32) -> Result<Vec<Vec<Completion>>, String> {
    fleet.sample(&prompts(n), 3, &sampling(), &mut |_| ControlFlow::Continue(())).map_err(|e| e.to_string())
}

fn healthy() -> FakeServer {
    FakeServer::start(|r, _| match r.path.as_str() {
        "/v1/models" => models(),
        "/v1/completions" => completion(&r.body),
        _ => not_found(),
    })
}

#[test]
fn samples_come_in_order_and_do_not_depend_on_the_servers() {
    let (a, b) = (healthy(), healthy());
    let mut heard = Vec::new();
    let mut fleet = Fleet::new(&config(&[&a])).unwrap();
    let listen = &mut |done| {
        heard.push(done);
        ControlFlow::Continue(())
    };
    let alone = fleet.sample(&prompts(9), 3, &sampling(), listen).unwrap();
    assert_eq!((alone.len(), heard.last()), (9, Some(&9)));
    for (group, prompt) in alone.iter().zip(prompts(9)) {
        let seeds: std::collections::BTreeSet<u32> = group.iter().map(|c| c.ids[1]).collect();
        assert_eq!(seeds.len(), 3, "each candidate has a stream of its own");
        for c in group {
            assert_eq!((c.ids[0], c.logprobs.as_slice(), c.stopped), (prompt.ids[0], &[-0.25, -1.5][..], c.ids[1] % 2 == 0));
        }
    }
    let both = sample(&mut Fleet::new(&config(&[&a, &b])).unwrap(), 9).unwrap();
    assert!(both == alone && !b.to("/v1/completions").is_empty());
    let asked = &a.to("/v1/completions")[0];
    for (field, value) in [
        ("model", json!("base")),
        ("max_tokens", json!(33)),
        ("logprobs", json!(1)),
        ("return_token_ids", json!(true)),
        ("return_tokens_as_token_ids", json!(true)),
        ("stream", json!(false)),
        ("lora_path", json!(null)),
    ] {
        assert_eq!(asked[field], value, "{field}");
    }
    assert!((asked["temperature"].as_f64().unwrap() - 0.7).abs() < 1e-6 && asked["prompt"][1] == 3);
    assert!(a.received().iter().all(|r| r.authorization.is_none()) || std::env::var_os("OPENAI_API_KEY").is_some());
}

#[test]
fn another_server_takes_over_what_a_dead_one_had() {
    let dying = FakeServer::start(|r, i| match r.path.as_str() {
        "/v1/models" => models(),
        _ if i < 4 => completion(&r.body),
        _ => Reply::Close,
    });
    let slow = FakeServer::start(|r, _| match r.path.as_str() {
        "/v1/models" => models(),
        _ => Reply::Silence(Duration::from_secs(60)),
    });
    let good = healthy();
    let expected = sample(&mut Fleet::new(&config(&[&good])).unwrap(), 12).unwrap();
    let mut fleet = Fleet::new(&FleetConfig { timeout: 0.3, retries: 0, ..config(&[&dying, &slow, &good]) }).unwrap();
    assert!(sample(&mut fleet, 12).unwrap() == expected);
    let notes = fleet.take_notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().any(|n| n.contains(&dying.url()) && n.contains("connection failed")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains(&slow.url()) && n.contains("no answer within 0.3 s")), "{notes:?}");
    assert!(fleet.take_notes().is_empty());
}

#[test]
fn passing_trouble_is_waited_for() {
    let busy = FakeServer::start(|r, i| match (r.path.as_str(), i) {
        ("/v1/models", _) => models(),
        (_, 1) => Reply::Later(429, json!({ "error": { "message": "too many" } }), 1),
        (_, 2) => Reply::Whole(503, json!("starting")),
        _ => completion(&r.body),
    });
    let began = Instant::now();
    let mut fleet = Fleet::new(&FleetConfig { requests: 1, ..config(&[&busy]) }).unwrap();
    assert_eq!(sample(&mut fleet, 2).unwrap().len(), 2);
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is kept");
    assert_eq!(busy.to("/v1/completions").len(), 6 + 2);
    assert!(fleet.take_notes().is_empty());
}

#[test]
fn what_cannot_work_is_said_with_address_status_message_and_remedy() {
    let says = |status, body: serde_json::Value| {
        let server = FakeServer::start(move |r, _| match r.path.as_str() {
            "/v1/models" => models(),
            _ => Reply::Whole(status, body.clone()),
        });
        let message = sample(&mut Fleet::new(&config(&[&server])).unwrap(), 3).unwrap_err();
        assert!(message.contains(&format!("{}/completions", server.url())), "{message}");
        (message, server.to("/v1/completions").len())
    };
    let (message, asked) = says(400, json!({ "error": { "message": "max_tokens is too large", "code": 400 } }));
    assert!(message.contains("400") && message.contains("max_tokens is too large") && asked <= 4, "{asked} {message}");
    let (message, _) = says(404, json!({ "object": "error", "message": "The model `x` does not exist." }));
    assert!(message.contains("404") && message.contains("does not exist") && message.contains("/v1/models"), "{message}");
    let (message, _) = says(401, json!({ "error": "Unauthorized" }));
    assert!(message.contains("Unauthorized") && message.contains("OPENAI_API_KEY"), "{message}");
    let (message, asked) = says(500, json!("it burns"));
    assert!(message.contains("500") && message.contains("it burns") && asked > 4, "{asked} {message}");
    let text = json!({ "choices": [{ "text": "x", "finish_reason": "stop", "logprobs": { "tokens": ["x"], "token_logprobs": [-0.5] } }] });
    let (message, _) = says(200, text);
    assert!(message.contains("without token ids") && message.contains("--return-tokens-as-token-ids"), "{message}");
    let (message, _) = says(200, json!("<html>"));
    assert!(message.contains("not JSON") && message.contains("<html>"), "{message}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let message = Fleet::new(&FleetConfig::new([format!("http://{nobody}/v1")])).err().unwrap().to_string();
    assert!(message.contains(&nobody.to_string()) && message.contains("check that the server runs"), "{message}");
}

#[test]
fn an_interruption_does_not_wait_for_a_silent_server() {
    let server = FakeServer::start(|r, i| match r.path.as_str() {
        "/v1/models" => models(),
        _ if i <= 3 => completion(&r.body),
        _ => Reply::Silence(Duration::from_secs(60)),
    });
    let mut fleet = Fleet::new(&FleetConfig { requests: 1, timeout: 60.0, ..config(&[&server]) }).unwrap();
    let began = Instant::now();
    let stop = &mut |through| if through == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let samples = fleet.sample(&prompts(4), 3, &sampling(), stop).unwrap();
    assert_eq!(samples.len(), 1, "the first prompt is through");
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// A server with adapters in the manner of vLLM (`prefix` `/v1`) or SGLang (no prefix); `failing` refuses the load of that adapter.
fn adapters(prefix: &'static str, failing: Option<&'static str>) -> FakeServer {
    let loaded = std::sync::Mutex::new(vec!["left-2".to_owned()]);
    FakeServer::start(move |r, _| {
        let name = r.body["lora_name"].as_str().unwrap_or_default().to_owned();
        let mut loaded = loaded.lock().unwrap();
        match r.path.strip_prefix(prefix) {
            Some("/load_lora_adapter") if failing == Some(&name) => {
                Reply::Whole(404, json!({ "error": { "message": "No adapter found for it" } }))
            }
            Some("/load_lora_adapter") if loaded.contains(&name) => {
                Reply::Whole(400, json!({ "error": { "message": format!("The lora adapter '{name}' has already been loaded.") } }))
            }
            Some("/load_lora_adapter") => {
                loaded.push(name);
                Reply::Whole(200, json!("Success: LoRA adapter added successfully."))
            }
            Some("/unload_lora_adapter") => {
                loaded.retain(|n| *n != name);
                Reply::Whole(200, json!({ "success": true }))
            }
            _ if r.path == "/v1/models" => models(),
            _ if r.path == "/v1/completions" => completion(&r.body),
            _ => not_found(),
        }
    })
}

fn named(name: &str) -> FleetConfig {
    FleetConfig { adapter: name.into(), ..FleetConfig::new(Vec::<String>::new()) }
}

#[test]
fn every_step_samples_from_its_own_adapter() {
    let (vllm, sglang) = (adapters("/v1", None), adapters("", None));
    let mut fleet = Fleet::new(&FleetConfig { servers: vec![vllm.url(), sglang.url()], requests: 2, ..named("run") }).unwrap();
    for step in [1, 2] {
        fleet.publish(step, Path::new("/adapters/now")).unwrap();
        assert_eq!(fleet.adapter(), Some(format!("run-{step}").as_str()));
        sample(&mut fleet, 4).unwrap();
    }
    for (server, prefix) in [(&vllm, "/v1"), (&sglang, "")] {
        let told = |what: &str| server.to(&format!("{prefix}/{what}_lora_adapter"));
        assert_eq!(told("load").iter().map(|b| b["lora_name"].clone()).collect::<Vec<_>>(), ["run-1", "run-2"]);
        assert!(told("load").iter().all(|b| b["lora_path"] == "/adapters/now"));
        assert_eq!(told("unload").iter().map(|b| b["lora_name"].clone()).collect::<Vec<_>>(), ["run-1"]);
        let path = if prefix.is_empty() { "lora_path" } else { "model" };
        let asked: Vec<_> = server.to("/v1/completions").iter().map(|b| b[path].clone()).collect();
        assert!(asked.first() == Some(&json!("run-1")) && asked.last() == Some(&json!("run-2")), "{asked:?}");
    }
    assert!(vllm.to("/v1/completions").iter().all(|b| b["lora_path"].is_null()));
    assert!(sglang.to("/v1/completions").iter().all(|b| b["model"] == "base"));
    assert!(fleet.take_notes().is_empty());
}

#[test]
fn an_adapter_of_an_earlier_run_is_replaced() {
    let server = adapters("/v1", None);
    let mut fleet = Fleet::new(&FleetConfig { servers: vec![server.url()], ..named("left") }).unwrap();
    fleet.publish(2, Path::new("/a")).unwrap();
    assert_eq!(server.to("/v1/unload_lora_adapter"), [json!({ "lora_name": "left-2" })]);
    assert_eq!(server.to("/v1/load_lora_adapter").len(), 2);
}

#[test]
fn a_server_that_cannot_load_an_adapter_is_left_out_until_it_can() {
    let (good, bad, none) = (adapters("/v1", None), adapters("/v1", Some("run-1")), healthy());
    let mut fleet = Fleet::new(&FleetConfig { servers: vec![good.url(), bad.url()], retries: 0, ..named("run") }).unwrap();
    fleet.publish(1, Path::new("/a")).unwrap();
    let notes = fleet.take_notes();
    assert!(notes.len() == 1 && notes[0].contains("No adapter found") && notes[0].contains("must see the folder /a"), "{notes:?}");
    assert_eq!(sample(&mut fleet, 4).unwrap().len(), 4);
    assert!(bad.to("/v1/completions").is_empty());
    fleet.publish(2, Path::new("/a")).unwrap();
    sample(&mut fleet, 8).unwrap();
    assert!(!bad.to("/v1/completions").is_empty());

    let mut fleet = Fleet::new(&FleetConfig { servers: vec![none.url()], ..named("run") }).unwrap();
    let message = fleet.publish(1, Path::new("/a")).unwrap_err().to_string();
    assert!(message.contains("--enable-lora") && message.contains("VLLM_ALLOW_RUNTIME_LORA_UPDATING"), "{message}");
    assert!(sample(&mut fleet, 1).unwrap_err().contains("publish"));
}
