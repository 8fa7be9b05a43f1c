//! `generate` with a model server that misbehaves: what comes out in the end is what a server that is well gives.

#[allow(dead_code)]
#[path = "../all/fake_server.rs"]
mod fake_server;

use crate::files;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::resumed::Work;
use fake_server::{FakeServer, Received, Reply, models, not_found};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Longest time until a run with a server that misbehaves is ended: it may have to wait for ever.
const BEFORE_KILL: Duration = Duration::from_secs(4);

/// The completion of a prompt under a seed, always the same, in the pieces of a stream.
fn completion(body: &Value) -> Vec<Vec<u8>> {
    let seed = body["seed"].as_u64().unwrap_or_default();
    let prompt = body["prompt"].as_str().or(body["messages"][0]["content"].as_str()).unwrap_or_default();
    let mut r = Random::new(prompt.bytes().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(b.into())));
    let tells = r.one_in(2);
    let mut events = Vec::new();
    for i in 0..3 + r.below(12) {
        let text = r.text(4);
        let mut choice = json!({ "index": 0, "text": text, "finish_reason": null });
        if tells && !text.is_empty() {
            choice["token_ids"] = json!([i]);
            choice["logprobs"] = json!({ "tokens": [text], "token_logprobs": [-0.25 * i as f64] });
        }
        events.extend(format!("data: {}\r\n\r\n", json!({ "choices": [choice] })).into_bytes());
    }
    let end = json!({ "choices": [{ "index": 0, "text": "\n#### 7", "finish_reason": if r.one_in(3) { "length" } else { "stop" } }] });
    events.extend(format!(": ping\n\ndata: {end}\n\ndata: [DONE]\n\n").into_bytes());
    events.chunks(97).map(<[u8]>::to_vec).collect()
}

fn reply(request: &Received) -> Reply {
    match request.path.as_str() {
        "/v1/models" => models(),
        "/v1/completions" | "/v1/chat/completions" => Reply::Stream(completion(&request.body)),
        _ => not_found(),
    }
}

/// One file of problems through a server that is well, and through one that is not.
pub fn generate(r: &mut Random, folder: &Path) -> Result<String, String> {
    files::problems(r, folder);
    let server = FakeServer::start(|request, _| reply(request));
    let proxy = Proxy::start(server.host(), r.next());
    let (url, n, seed) = (proxy.url(), (1 + r.below(6)).to_string(), r.below(1000).to_string());
    let url = if r.one_in(2) { format!("{url}/completions") } else { url };
    let args = ["generate", "--problems", "problems.txt", "--policy", &url, "-n", &n, "--seed", &seed].map(str::to_owned).to_vec();
    let work = Work { folder, args, inputs: vec!["problems.txt"], kills: 3, tolerance: 0.0, reordered: true };
    let (Some(whole), took) = work.undisturbed()? else { return Err("it does not generate with a server that is well".into()) };
    proxy.set_wild(true);
    let story = work.disturb(r, BEFORE_KILL)?;
    proxy.set_wild(false);
    work.settle(r, &whole, took, &story)?;
    Ok(format!("{} lines; {story}", whole.len()))
}
