//! Records of every producer, requests that failed, tokens, trajectories.

use super::streams::{events, pieces};
use super::*;

fn message() -> Value {
    json!({"role": "assistant", "reasoning_content": THOUGHT, "content": ANSWER})
}

/// Answers of servers, each with the format it is known as and whether the record tells the problem.
fn producers() -> Vec<(Value, Format, bool)> {
    let chat = json!({"id": "c", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "message": message(), "logprobs": null, "finish_reason": "stop"}],
        "usage": {"total_tokens": 3}});
    let items = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "instructions": null, "output": [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "14 + 9 = 23."}, {"type": "summary_text", "text": "23 - 5 = 18."}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": ANSWER, "annotations": []}]}
    ]});
    let with_input = |input: Value| {
        let mut record = items.clone();
        record["input"] = input;
        record
    };
    let anthropic = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null,
        "content": [{"type": "thinking", "thinking": THOUGHT, "signature": "s"}, {"type": "text", "text": ANSWER}], "usage": {"output_tokens": 3}});
    let gemini = json!({"responseId": "g", "modelVersion": "m", "candidates": [{"index": 0, "finishReason": "STOP",
        "content": {"role": "model", "parts": [{"thought": true, "text": THOUGHT}, {"text": ANSWER}]}}], "usageMetadata": {"totalTokenCount": 3}});
    let contents = json!([{"role": "user", "parts": [{"text": QUESTION}]}]);
    let request = json!({"model": "m", "messages": [user()], "temperature": 0.5});
    let text = format!("<think>{THOUGHT}</think>{ANSWER}");
    let completion = json!({"id": "cmpl-1", "object": "text_completion", "model": "m", "prompt": QUESTION, "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]});
    let tagged = json!({"role": "assistant", "content": text});
    vec![
        (chat.clone(), Format::OpenAiChat, false),
        (json!({"model": "m", "messages": [user()], "choices": chat["choices"]}), Format::OpenAiChat, true),
        (
            json!({"model": "m", "messages": [user()], "choices": [{"message": {"content": text}, "finish_reason": "eos"}]}),
            Format::OpenAiChat,
            true,
        ),
        (completion, Format::OpenAiCompletions, true),
        (items.clone(), Format::OpenAiResponses, false),
        (with_input(json!(QUESTION)), Format::OpenAiResponses, true),
        (with_input(json!([user()])), Format::OpenAiResponses, true),
        (
            with_input(json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}])),
            Format::OpenAiResponses,
            true,
        ),
        (
            json!({"id": "b1", "custom_id": "q-1", "response": {"status_code": 200, "request_id": "r", "body": chat}, "error": null}),
            Format::BatchOutput,
            false,
        ),
        (
            json!({"id": "b1", "custom_id": "q-1", "response": {"status_code": 200, "body": items}, "error": null}),
            Format::BatchOutput,
            false,
        ),
        (json!({"custom_id": "q-1", "result": {"type": "succeeded", "message": anthropic}}), Format::BatchOutput, false),
        (json!({"key": "q-1", "response": gemini}), Format::BatchOutput, false),
        (json!({"key": "q-1", "request": {"contents": contents}, "response": gemini}), Format::BatchOutput, true),
        (json!({"request": request, "response": chat}), Format::Exchange, true),
        (json!({"request": request.to_string(), "response": chat.to_string()}), Format::Exchange, true),
        (json!({"request": {"model": "m", "messages": [user()]}, "response": tagged}), Format::Exchange, true),
        (json!({"request": {"model": "m", "messages": [user()]}, "response": text}), Format::Exchange, true),
        (json!({"request": {"model": "m", "input": QUESTION}, "response": items}), Format::Exchange, true),
        (json!({"request": {"model": "m", "system": "s", "messages": [user()]}, "response": anthropic}), Format::Exchange, true),
        (
            json!({"request": {"contents": contents, "systemInstruction": {"parts": [{"text": "s"}]}}, "response": gemini}),
            Format::Exchange,
            true,
        ),
        (json!({"messages": [user()], "response": chat, "response_cost": 0.1}), Format::Exchange, true),
        (json!({"request": {"body": request}, "response": {"body": chat}}), Format::Exchange, true),
        (json!({"request": request, "response": events(&pieces("c"))}), Format::Exchange, true),
        (
            json!({"model": "m", "input": {"messages": [user()]}, "output": {"role": "assistant", "reasoning": THOUGHT, "content": ANSWER}}),
            Format::Exchange,
            true,
        ),
        (json!({"model": "m", "input": [user()], "output": {"choices": chat["choices"]}}), Format::Exchange, true),
        (json!({"model": "m", "input": [user()], "output": [message()]}), Format::Exchange, true),
        (anthropic.clone(), Format::Anthropic, false),
        (gemini.clone(), Format::Gemini, false),
        (
            json!({"request_id": "v", "model": "m", "prompt": QUESTION, "prompt_token_ids": [1, 2], "outputs": [{"index": 0, "text": text, "token_ids": [3], "cumulative_logprob": -1.5,
            "logprobs": null, "finish_reason": "stop", "stop_reason": null}], "finished": true}),
            Format::Vllm,
            true,
        ),
        (
            json!({"model": "m", "created_at": "t", "message": {"role": "assistant", "thinking": THOUGHT, "content": ANSWER}, "done": true, "done_reason": "stop"}),
            Format::Ollama,
            false,
        ),
        (
            json!({"model": "m", "created_at": "t", "response": ANSWER, "thinking": THOUGHT, "done": true, "done_reason": "stop", "context": [1, 2]}),
            Format::Ollama,
            false,
        ),
        (
            json!({"model": "m", "conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": text}]}),
            Format::ShareGpt,
            true,
        ),
        (
            json!({"model": "m", "conversations": [{"from": "user", "value": QUESTION}, {"from": "assistant", "value": text}], "system": "s"}),
            Format::ShareGpt,
            true,
        ),
        (json!({"model": "m", "conversations": [{"role": "user", "content": QUESTION}, tagged]}), Format::OpenAiChat, true),
        (
            json!({"model": "m", "messages": [{"type": "human", "content": QUESTION}, {"type": "ai", "content": text}]}),
            Format::OpenAiChat,
            true,
        ),
    ]
}

#[test]
fn every_producer_is_read() {
    for (record, format, tells) in producers() {
        let (trace, found) = one(record.clone());
        assert_eq!(found, format, "{record}");
        assert_eq!(trace.source.as_ref().unwrap().format, format.name());
        assert_eq!(trace.problem, if tells { QUESTION } else { "" }, "{record}");
        assert_eq!(trace.candidates.len(), 1, "{record}");
        let c = &trace.candidates[0];
        assert_eq!(steps(c), expected(), "{record}");
        let has_reason =
            ["finish_reason", "stop_reason", "finishReason", "done_reason", "completed"].iter().any(|k| record.to_string().contains(k));
        assert_eq!(c.finish, has_reason.then_some(FinishReason::Stop), "{record}");
        let named = ["\"m\"", "\\\"m\\\""].iter().any(|m| record.to_string().contains(m));
        assert_eq!(c.policy.as_deref(), named.then_some("m"), "{record}");
        if record.get("custom_id").or(record.get("key")).is_some() {
            assert_eq!(trace.id, "q-1", "{record}");
        }
        if let Some(usage) = record.get("usage") {
            assert!(c.extra.as_deref().unwrap().contains(&usage.to_string()), "{record}");
        }
        assert!(c.signals.iter().all(|s| s.name == "cumulative_logprob" && !s.is_reward()), "{:?}", c.signals);
    }
}

#[test]
fn requests_that_failed_are_reported_and_counted() {
    let good = producers().swap_remove(8).0;
    let faults = [
        (
            json!({"id": "b", "custom_id": "q", "response": null, "error": {"code": "batch_expired", "message": "gone"}}),
            "field `error`: says that the request failed: gone; send it again",
        ),
        (
            json!({"id": "b", "custom_id": "q", "response": {"status_code": 400, "body": {"error": {"message": "too long", "type": "x"}}}, "error": null}),
            "field `response.body.error`: says that the request failed: too long",
        ),
        (
            json!({"custom_id": "q", "result": {"type": "errored", "error": {"type": "error", "error": {"type": "x", "message": "overloaded"}}}}),
            "says that the request failed: overloaded",
        ),
        (json!({"custom_id": "q", "result": {"type": "expired"}}), "field `result.type`: says that the request is expired"),
        (json!({"custom_id": "q", "response": {"status_code": 500, "body": null}, "error": null}), "field `response.status_code`: is 500"),
        (
            json!({"request": {"messages": [user()]}, "response": null, "error": "timeout"}),
            "field `error`: says that the request failed: timeout",
        ),
        (json!({"request": {"messages": [user()]}, "response": null}), "field `response`: is missing or null"),
        (
            json!({"custom_id": "q", "response": {"status_code": 429, "body": ""}, "error": {"message": "too many"}}),
            "field `error`: says that the request failed: too many",
        ),
        (
            json!({"custom_id": "q", "response": {"status_code": 200, "body": {"object": "list", "data": []}}}),
            "field `response.body`: holds no answer that is known; it has the fields object, data",
        ),
        (json!({"custom_id": "q", "response": {"status_code": 200, "body": {"choices": []}}}), "field `response.body.choices`: is empty"),
        (
            json!({"key": "q", "response": {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": []}}),
            "says that the request failed: SAFETY",
        ),
    ];
    for (fault, message) in faults {
        let Opened { traces, errors, .. } = lines(&[good.clone(), fault.clone(), good.clone()]);
        assert_eq!((traces.len(), errors.len()), (2, 1), "{fault} {errors:?}");
        assert!(errors[0].contains("line 2") && errors[0].contains(message), "{} / {message}", errors[0]);
    }
}

#[test]
fn requests_without_answers_are_problems() {
    let requests = [
        json!({"custom_id": "q-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": [{"role": "system", "content": "s"}, user()]}}),
        json!({"custom_id": "q-1", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": QUESTION}}),
        json!({"custom_id": "q-1", "params": {"model": "m", "system": "s", "messages": [user()]}}),
        json!({"key": "q-1", "request": {"contents": [{"parts": [{"text": QUESTION}]}]}}),
        json!({"id": "q-1", "messages": [user()], "answer": "18"}),
    ];
    for request in requests {
        let opened = open_text(&format!("{request}\n"), Options { problems: true, ..Options::default() });
        assert_eq!(opened.traces.len(), 1, "{request} {:?}", opened.errors);
        let trace = &opened.traces[0];
        assert_eq!((trace.problem.as_str(), trace.id.as_str()), (QUESTION, "q-1"), "{request}");
        assert_eq!(trace.gold_answer.is_some(), request.get("answer").is_some());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.jsonl");
        std::fs::write(&path, format!("{request}\n")).unwrap();
        let error = TraceList::open(&[path.to_str().unwrap()], Options::default()).err().unwrap().to_string();
        assert!(error.contains("holds problems without reasoning; pass it as --problems"), "{error}");
    }
}

#[test]
fn tokens_are_laid_along_the_text_in_every_shape() {
    let owned = |c: &Candidate| c.tokens.iter().map(|t| (t.span.of(&c.text).to_owned(), t.logprob, t.id)).collect::<Vec<_>>();
    let two = |first: Option<u32>, second: Option<u32>| vec![("so".to_owned(), Some(-0.5), first), (" 2".to_owned(), Some(-0.25), second)];
    let entries = json!([{"token": "so", "logprob": -0.5, "top_logprobs": [{"token": "as", "logprob": -2.0}]}, {"token": " 2", "logprob": -0.25, "top_logprobs": []}]);
    let records = [
        (
            json!({"messages": [user()], "choices": [{"message": {"role": "assistant", "content": "so 2"}, "logprobs": {"content": entries}}]}),
            None,
        ),
        (json!({"messages": [user(), {"role": "assistant", "content": "so 2", "logprobs": {"content": entries}}]}), None),
        (json!({"messages": [user(), {"role": "assistant", "content": "so 2"}], "logprobs": {"content": entries}}), None),
        (
            json!({"prompt": QUESTION, "object": "text_completion", "choices": [{"text": "so 2", "logprobs": {"tokens": ["so", " 2"], "token_logprobs": [-0.5, -0.25], "text_offset": [0, 2]}}]}),
            None,
        ),
        (
            json!({"prompt": QUESTION, "outputs": [{"text": "so 2", "token_ids": [7, 8], "logprobs": [{"7": {"logprob": -0.5, "decoded_token": "so"}}, {"8": {"logprob": -0.25, "decoded_token": " 2"}}]}]}),
            Some((7, 8)),
        ),
        (json!({"model": "m", "message": {"role": "assistant", "content": "so 2"}, "done": true, "logprobs": entries}), None),
        (
            json!({"candidates": [{"content": {"parts": [{"text": "so 2"}]}, "logprobsResult": {"chosenCandidates": [
            {"token": "so", "tokenId": 7, "logProbability": -0.5}, {"token": " 2", "tokenId": 8, "logProbability": -0.25}]}}]}),
            Some((7, 8)),
        ),
        (
            json!({"object": "response", "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so 2", "logprobs": entries}]}]}),
            None,
        ),
    ];
    for (record, ids) in records {
        let (trace, _) = one(record.clone());
        assert_eq!(owned(&trace.candidates[0]), two(ids.map(|i| i.0), ids.map(|i| i.1)), "{record}");
    }
    // The likeliest others are kept beside the candidate.
    let (trace, _) = one(
        json!({"messages": [user()], "choices": [{"message": {"role": "assistant", "content": "so 2"}, "logprobs": {"content": entries}}]}),
    );
    assert!(trace.candidates[0].extra.as_deref().unwrap().contains(r#""top_logprobs":[[{"token":"as","logprob":-2.0}],[]]"#));
}

#[test]
fn why_an_answer_ended_is_known_in_every_dialect() {
    let reason = |name: Value| {
        let record = json!({"messages": [user()], "choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": name}]});
        one(record).0.candidates.remove(0).finish
    };
    for name in ["stop", "eos", "end_turn", "tool_calls", "STOP", "stop_sequence", "function_call", "completed"] {
        assert_eq!(reason(name.into()), Some(FinishReason::Stop), "{name}");
    }
    for name in ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_context_window_exceeded"] {
        assert_eq!(reason(name.into()), Some(FinishReason::Length), "{name}");
    }
    assert_eq!(reason("abort".into()), Some(FinishReason::Cancelled));
    for name in ["content_filter", "SAFETY", "refusal"] {
        assert!(matches!(reason(name.into()), Some(FinishReason::Failed(why)) if why.contains(name)), "{name}");
    }
    assert_eq!((reason(Value::Null), reason(json!({"type": "length", "length": 9}))), (None, Some(FinishReason::Length)));
    let incomplete = json!({"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}]});
    assert_eq!(one(incomplete).0.candidates[0].finish, Some(FinishReason::Length));
}

#[test]
fn trajectories_of_agents_are_read() {
    let record = json!({"schema_version": "ATIF-v1.7", "session_id": "s-1", "agent": {"name": "agent", "version": "1", "model_name": "m"}, "steps": [
        {"step_id": 1, "source": "system", "message": "Be brief."},
        {"step_id": 2, "source": "user", "message": QUESTION},
        {"step_id": 3, "source": "agent", "message": "I add.", "reasoning_content": "Add them.",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "add", "arguments": {"a": 14}}],
            "observation": {"results": [{"source_call_id": "c1", "content": "23"}]},
            "metrics": {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.5, "logprobs": [-1.0, -2.0]}},
        {"step_id": 4, "source": "agent", "message": [{"type": "text", "text": ANSWER}, {"type": "image", "source": {"path": "a.png"}}], "metrics": {"completion_tokens": 3}}
    ], "final_metrics": {"total_cost_usd": 0.5}, "notes": "n"});
    for text in [format!("{record}\n"), serde_json::to_string_pretty(&record).unwrap()] {
        let opened = open_text(&text, Options::default());
        assert_eq!((opened.format, opened.errors.len()), (Format::Atif, 0));
        let trace = &opened.traces[0];
        assert_eq!((trace.id.as_str(), trace.problem.as_str()), ("s-1", QUESTION));
        let c = &trace.candidates[0];
        let shown: Vec<&str> = steps(c).iter().map(|s| s.0).collect();
        let call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":14}}\n</tool_call>";
        assert_eq!(shown, ["Add them.", "I add.", call, "<tool_response>\n23\n</tool_response>", ANSWER, "[image]"]);
        assert_eq!(c.policy.as_deref(), Some("m"));
        let values = |name: &str| c.signal(name).unwrap().values.clone();
        assert_eq!(values("completion_tokens"), Values::Steps(vec![None, None, Some(5.0), None, None, Some(3.0)]));
        assert_eq!(values("mean_logprob"), Values::Steps(vec![None, None, Some(-1.5), None, None, None]));
        assert!(c.signals.iter().all(|s| !s.is_reward()));
        let extra = c.extra.as_deref().unwrap();
        assert!(extra.contains("Be brief.") && extra.contains("total_cost_usd") && extra.contains("\"notes\":\"n\""), "{extra}");
    }
}

#[test]
fn labels_of_steps_as_turns_are_no_chat() {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let record = json!({"conversations": [turn("user", "Q Step 1: a."), turn("assistant", "+"), turn("user", "Step 2: b."), turn("assistant", "-")]});
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.jsonl");
    std::fs::write(&path, format!("{record}\n")).unwrap();
    let format = TraceList::open(&[path.to_str().unwrap()], Options::default()).map(|list| format_of(&list));
    assert!(!matches!(format, Ok(Format::OpenAiChat | Format::ShareGpt)), "{format:?}");
}
