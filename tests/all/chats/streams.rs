//! Answers that were logged as they came.

use super::*;

/// Server-sent events of some values.
pub fn events(values: &[Value]) -> String {
    values.iter().map(|v| format!("data: {v}\n\n")).collect()
}

fn chunk(id: &str, index: u32, delta: Value, reason: Value) -> Value {
    json!({"id": id, "object": "chat.completion.chunk", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason}]})
}

/// The pieces of an answer: reasoning, what is said, the end.
pub fn pieces(id: &str) -> Vec<Value> {
    let say = |delta: Value| chunk(id, 0, delta, Value::Null);
    vec![
        say(json!({"role": "assistant", "content": null})),
        say(json!({"reasoning_content": "14 + 9 = 23.\n\n"})),
        say(json!({"reasoning_content": "23 - 5 = 18."})),
        say(json!({"content": "There "})),
        say(json!({"content": "are 18."})),
        chunk(id, 0, json!({}), "stop".into()),
        json!({"id": id, "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}}),
    ]
}

#[test]
fn logs_of_streams_are_put_together() {
    let chat = events(&pieces("c1")) + "data: [DONE]\n\n";
    let opened = open_text(&chat, Options::default());
    assert_eq!((opened.format, opened.traces.len(), &opened.errors), (Format::ChatStream, 1, &vec![]));
    let c = &opened.traces[0].candidates[0];
    assert_eq!((steps(c), &c.finish, c.policy.as_deref()), (expected(), &Some(FinishReason::Stop), Some("m")));
    assert!(c.extra.as_deref().unwrap().contains("total_tokens"));

    let prefixed: String = chat.lines().filter(|l| !l.is_empty()).map(|l| format!("12:00:01 DEBUG {l}\n")).collect();
    let thinking = |kind: &str, key: &str, text: &str| json!({"type": "content_block_delta", "index": usize::from(key == "text"), "delta": {"type": kind, key: text}});
    let anthropic = [
        json!({"type": "message_start", "message": {"id": "msg", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        thinking("thinking_delta", "thinking", "14 + 9 = 23.\n\n"),
        thinking("thinking_delta", "thinking", "23 - 5 = 18."),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        thinking("text_delta", "text", ANSWER),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 3}}),
        json!({"type": "message_stop"}),
    ];
    let anthropic: String = anthropic.iter().map(|v| format!("event: {}\ndata: {v}\n\n", v["type"].as_str().unwrap())).collect();
    let responses = [
        json!({"type": "response.created", "response": {"id": "r", "object": "response", "model": "m", "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "14 + 9 = 23.\n\n"}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "23 - 5 = 18."}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "role": "assistant", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": ANSWER}),
        json!({"type": "response.completed", "response": {"id": "r", "object": "response", "model": "m", "status": "completed", "output": []}}),
    ];
    let part = |thought: bool, text: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text, "thought": thought}]}, "index": 0}], "modelVersion": "m", "responseId": "g"});
    let mut last = part(false, "are 18.");
    last["candidates"][0]["finishReason"] = "STOP".into();
    let gemini = [part(true, "14 + 9 = 23.\n\n23 "), part(true, "- 5 = 18."), part(false, "There "), last];
    let jsonl: String = pieces("c1").iter().map(|v| format!("{v}\n")).collect();
    let ollama = |key: &str, text: &str, done: bool| json!({"model": "m", "created_at": "t", "message": {"role": "assistant", "content": "", key: text}, "done": done});
    let mut end = ollama("content", "", true);
    end["done_reason"] = "stop".into();
    let ollama: String = [
        ollama("thinking", "14 + 9 = 23.\n\n", false),
        ollama("thinking", "23 - 5 = 18.", false),
        ollama("content", "There ", false),
        ollama("content", "are 18.", false),
        end,
    ]
    .iter()
    .map(|v| format!("{v}\n"))
    .collect();
    let logs = [
        ("headers", format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: ping\n\n{chat}"), Format::ChatStream),
        ("a logger's prefix", prefixed, Format::ChatStream),
        ("line ends", chat.replace('\n', "\r\n"), Format::ChatStream),
        ("no space", chat.replace("data: ", "data:"), Format::ChatStream),
        ("no prefix", jsonl.clone(), Format::ChatStream),
        ("an array", format!("[{}]", pieces("c1").iter().map(Value::to_string).collect::<Vec<_>>().join(",\n")), Format::ChatStream),
        ("anthropic", anthropic, Format::ChatStream),
        ("responses", events(&responses), Format::ChatStream),
        ("gemini", events(&gemini), Format::ChatStream),
        ("ollama", ollama, Format::Ollama),
    ];
    for (name, log, format) in logs {
        let once = open_text(&log, Options::default());
        assert_eq!((once.format, once.traces.len(), &once.errors), (format, 1, &vec![]), "{name}");
        let c = &once.traces[0].candidates[0];
        assert_eq!((steps(c), &c.finish, c.policy.as_deref()), (expected(), &Some(FinishReason::Stop), Some("m")), "{name}");
        if name != "an array" {
            let twice = open_text(&(log.clone() + &log.replace("\"c1\"", "\"c2\"").replace("\"g\"", "\"h\"")), Options::default());
            assert_eq!((twice.traces.len(), &twice.errors), (2, &vec![]), "{name}: one after another");
            assert!(twice.traces.iter().all(|t| t.candidates.len() == 1 && steps(&t.candidates[0]) == expected()), "{name}");
        }
    }
}

#[test]
fn answers_of_one_stream_are_told_apart() {
    // Two choices of one request; two requests at a time; calls of tools in pieces.
    let say = |id: &str, index: u32, text: &str| chunk(id, index, json!({"content": text}), Value::Null);
    let end = |id: &str, index: u32| chunk(id, index, json!({}), "stop".into());
    let texts = |log: &str| {
        let opened = open_text(log, Options::default());
        assert!(opened.errors.is_empty(), "{:?}", opened.errors);
        opened.traces.iter().map(|t| t.candidates.iter().map(|c| c.text.clone()).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(
        texts(&events(&[say("a", 0, "one"), say("a", 1, "two"), say("a", 0, "!"), end("a", 0), say("a", 1, "?"), end("a", 1)])),
        [["one!", "two?"]]
    );
    assert_eq!(
        texts(&events(&[say("a", 0, "one"), say("b", 0, "two"), say("a", 0, "!"), end("a", 0), say("b", 0, "?"), end("b", 0)])),
        [["one!", "two?"]]
    );
    assert_eq!(texts(&events(&[say("a", 0, "one"), end("a", 0), say("b", 0, "two"), end("b", 0)])), [["one"], ["two"]]);
    let call = |id: Value, name: Value, arguments: &str| {
        chunk("a", 0, json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]}), Value::Null)
    };
    let log = events(&[
        call("c".into(), "add".into(), ""),
        call(Value::Null, Value::Null, "{\"a\""),
        call(Value::Null, Value::Null, ": 1}"),
        chunk("a", 0, json!({}), "tool_calls".into()),
    ]);
    assert_eq!(texts(&log), [["<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>"]]);
    let text = |text: &str, reason: Value| {
        json!({"id": "a", "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": reason,
        "logprobs": {"tokens": [text], "token_logprobs": [-0.5]}}]})
    };
    let opened = open_text(&events(&[text("so", Value::Null), text(" 2", "stop".into())]), Options::default());
    assert_eq!(opened.traces[0].candidates[0].tokens.len(), 2);
    assert_eq!(opened.traces[0].candidates[0].text, "so 2");
}

#[test]
fn a_log_that_breaks_off_is_a_candidate_that_is_cut() {
    let all = events(&pieces("c1"));
    let cut: String = all.lines().take(6).map(|l| format!("{l}\n")).collect::<String>() + "data: {\"id\": \"c1\", \"cho";
    let opened = open_text(&cut, Options::default());
    let c = &opened.traces[0].candidates[0];
    assert!(c.is_cut() && c.text.starts_with("14 + 9 = 23."), "{c:?}");
    assert!(opened.errors.len() == 1 && opened.errors[0].contains("line 7: is cut short"), "{:?}", opened.errors);
    // Its end is there, only the reason is not.
    let silent: Vec<Value> = pieces("c1").into_iter().take(5).collect();
    let opened = open_text(&(events(&silent) + "data: [DONE]\n"), Options::default());
    assert_eq!(opened.traces[0].candidates[0].finish, None);
    // The server fails on the way, or at once.
    let mut fails = silent[..4].to_vec();
    fails.push(json!({"error": {"message": "out of memory"}}));
    let opened = open_text(&events(&fails), Options::default());
    assert_eq!(opened.traces[0].candidates[0].finish, Some(FinishReason::Failed("out of memory".into())));
    let opened = open_text(&format!("{}not of it\n{all}", events(&pieces("c0"))), Options::default());
    assert_eq!((opened.traces.len(), opened.errors.len()), (2, 1), "{:?}", opened.errors);
    assert!(opened.errors[0].contains("is no event of a stream"), "{:?}", opened.errors);
}
