//! What a model server answers: HTTP and server-sent events. The first byte says whether the rest is a whole answer, or the body of a good one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::generate::{Endpoint, EndpointPolicy, Policy};
use reasonscope::trace::{Candidate, Sampling, Trace, TraceEvent, TraceStore};
use reasonscope_fuzz::{check_trace, server::Answers};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What is asked for again after a while is not waited for.
const PATIENCE: Duration = Duration::from_millis(20);
/// Longest time in which a policy must let go once it was told to.
const BOUND: Duration = Duration::from_secs(3);

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const JSON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    let answers = ANSWERS.get_or_init(Answers::start);
    let Some((&how, rest)) = data.split_first() else { return };
    let head: &[u8] = match how % 8 {
        0 => b"",
        1 => JSON,
        _ => STREAM,
    };
    answers.set([head, rest].concat());
    let endpoint = Endpoint { base_url: format!("{}/v1", answers.root()), model: None, api: None };
    if how % 8 < 2 {
        // The list of models, which names the one that is asked for.
        let _ = EndpointPolicy::open(&endpoint, BOUND).map_err(|e| e.to_string());
    }
    if how % 8 == 1 {
        return;
    }
    let mut policy =
        EndpointPolicy::open(&Endpoint { model: Some("m".into()), ..endpoint }, BOUND).expect("a named model is not asked for");
    let began = Instant::now();
    let trace = Trace { candidates: vec![Candidate::default()], ..Trace::default() };
    let mut store = TraceStore::new(trace, Default::default());
    let mut finished = false;
    let result = policy.sample("1 + 1?", 1, &Sampling::default(), &mut |event| {
        assert!(!finished || matches!(&event, TraceEvent::Tokens { text, .. } if text.is_empty()), "{event:?} after the end");
        finished |= matches!(event, TraceEvent::Finished { .. });
        store.apply(&event);
        if began.elapsed() > PATIENCE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let _ = result.map_err(|e| e.to_string());
    assert!(began.elapsed() < PATIENCE + BOUND, "it held on for {:?}", began.elapsed());
    check_trace(store.trace());
});
