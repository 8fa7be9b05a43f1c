//! Chats of every producer: what was asked, what was thought, said, called and given back, each in its place; nothing dropped without a word.

use reasonscope::format::{Format, Options, TraceList};
use reasonscope::trace::{Candidate, FinishReason, StepKind, Trace, Values};
use serde_json::{Value, json};

const QUESTION: &str = "A shelf holds 14 jars, 9 come, 5 break. How many are left?";
const THOUGHT: &str = "14 + 9 = 23.\n\n23 - 5 = 18.";
const ANSWER: &str = "There are 18.";

struct Opened {
    traces: Vec<Trace>,
    errors: Vec<String>,
    format: Format,
}

fn open_text(text: &str, options: Options) -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.jsonl");
    std::fs::write(&path, text).unwrap();
    let list = TraceList::open(&[path.to_str().unwrap()], options).unwrap_or_else(|e| panic!("{e}: {text}"));
    let traces = list.iter().filter_map(Result::ok).collect();
    let format = list.files()[0].1;
    Opened { traces, errors: list.errors().iter().map(ToString::to_string).collect(), format }
}

fn lines(records: &[Value]) -> Opened {
    open_text(&records.iter().map(|r| format!("{r}\n")).collect::<String>(), Options::default())
}

/// The one trace of a record, which must be read without a fault.
fn one(record: Value) -> (Trace, Format) {
    let Opened { mut traces, errors, format } = lines(std::slice::from_ref(&record));
    assert!(errors.is_empty() && traces.len() == 1, "{errors:?} {} {record}", traces.len());
    (traces.remove(0), format)
}

fn steps(c: &Candidate) -> Vec<(&str, StepKind)> {
    c.steps.iter().map(|s| (s.span.of(&c.text), s.kind)).collect()
}

use StepKind::{Answer, Reasoning};

fn user() -> Value {
    json!({"role": "user", "content": QUESTION})
}

/// The steps of [`THOUGHT`] and [`ANSWER`].
fn expected() -> Vec<(&'static str, StepKind)> {
    vec![("14 + 9 = 23.", Reasoning), ("23 - 5 = 18.", Reasoning), (ANSWER, Answer)]
}

#[test]
fn reasoning_is_found_in_every_spelling_and_shown_once() {
    let tagged = |open: &str, close: &str| json!({"content": format!("{open}{THOUGHT}{close}{ANSWER}")});
    let details = json!([
        {"type": "reasoning.text", "text": "14 + 9 = 23.", "index": 0},
        {"type": "reasoning.summary", "summary": "23 - 5 = 18.", "index": 1},
        {"type": "reasoning.encrypted", "data": "gAAAA", "index": 2}
    ]);
    let messages = [
        json!({"reasoning": THOUGHT, "content": ANSWER}),
        json!({"reasoning_content": THOUGHT, "content": ANSWER}),
        json!({"reasoning_content": THOUGHT, "reasoning": THOUGHT, "content": ANSWER}),
        json!({"reasoning": THOUGHT, "reasoning_details": details, "content": ANSWER}),
        json!({"reasoning_details": details, "content": ANSWER}),
        json!({"thinking": THOUGHT, "content": ANSWER}),
        json!({"reasoning_text": THOUGHT, "content": ANSWER}),
        json!({"additional_kwargs": {"reasoning_content": THOUGHT}, "content": ANSWER}),
        json!({"thinking_blocks": [{"type": "thinking", "thinking": THOUGHT, "signature": "x"}], "reasoning_content": THOUGHT, "content": ANSWER}),
        json!({"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": ANSWER}]}),
        json!({"content": [{"type": "reasoning", "reasoning": THOUGHT}, {"type": "text", "text": ANSWER}]}),
        json!({"content": [{"type": "reasoning", "text": THOUGHT}, ANSWER]}),
        tagged("<think>\n", "\n</think>\n\n"),
        tagged("", "\n</think>\n\n"),
        tagged("<thinking>", "</thinking>"),
        tagged("<|begin_of_thought|>\n\n", "\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n"),
        tagged("[THINK]", "[/THINK]"),
        tagged("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
        tagged("analysis", "assistantfinal"),
        json!({"reasoning_content": THOUGHT, "content": format!("<think>\n{THOUGHT}\n</think>\n{ANSWER}")}),
        json!({"reasoning": format!("<think>{THOUGHT}</think>"), "content": format!("<think>\n{THOUGHT}\n</think>\n{ANSWER}")}),
        json!({"reasoning_content": format!("{THOUGHT}\n"), "content": format!("{THOUGHT}\n\n{ANSWER}")}),
    ];
    for mut message in messages {
        message["role"] = "assistant".into();
        let (trace, format) = one(json!({"messages": [user(), message.clone()]}));
        assert_eq!((trace.problem.as_str(), format), (QUESTION, Format::OpenAiChat), "{message}");
        assert_eq!(steps(&trace.candidates[0]), expected(), "{message}");
    }
    // Messages of their own for each channel of the harmony format.
    let channel = |name: &str, text: &str| json!({"role": "assistant", "channel": name, "content": text});
    let (trace, _) = one(json!({"messages": [user(), channel("analysis", THOUGHT), channel("final", ANSWER)]}));
    assert_eq!(steps(&trace.candidates[0]), expected());
    // Reasoning that is kept from the reader is said to be there.
    let sealed = json!({"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAA"}], "content": ANSWER});
    let (trace, _) = one(json!({"messages": [user(), sealed]}));
    assert_eq!(steps(&trace.candidates[0]), [("[reasoning that the provider keeps encrypted]", Reasoning), (ANSWER, Answer)]);
}

#[test]
fn a_thought_that_does_not_end_is_reasoning() {
    let text = "<think>\nSo 14 + 9 = 23.\n\nThen 23 -";
    let (trace, _) = one(json!({"messages": [user(), {"role": "assistant", "content": text}], "finish_reason": "length"}));
    let candidate = &trace.candidates[0];
    assert_eq!(steps(candidate), [("So 14 + 9 = 23.", Reasoning), ("Then 23 -", Reasoning)]);
    assert_eq!((candidate.text.as_str(), &candidate.finish), (text, &Some(FinishReason::Length)));
    // An empty thought.
    let (trace, _) = one(json!({"messages": [user(), {"role": "assistant", "content": format!("<think>\n\n</think>\n\n{ANSWER}")}]}));
    assert_eq!(steps(&trace.candidates[0]), [(ANSWER, Answer)]);
}

#[test]
fn calls_of_tools_and_their_results_are_steps() {
    const CALL: &str = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":14}}\n</tool_call>";
    const RESULT: &str = "<tool_response>\n23\n</tool_response>";
    let call = |arguments: Value| json!({"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}});
    let said = json!({"role": "assistant", "reasoning_content": "Add them.", "content": "I add."});
    let with = |key: &str, value: Value| {
        let mut message = said.clone();
        message[key] = value;
        message
    };
    let last = json!({"role": "assistant", "content": ANSWER});
    let tool = json!({"role": "tool", "tool_call_id": "c1", "content": "23"});
    let conversations = [
        vec![with("tool_calls", json!([call("{\"a\":14}".into())])), tool.clone(), last.clone()],
        vec![with("tool_calls", json!([call(json!({"a": 14}))])), tool.clone(), last.clone()],
        vec![
            with("tool_calls", json!([call(json!({"a": 14})).to_string()])),
            json!({"role": "tool", "content": [{"type": "text", "text": "23"}]}),
            last.clone(),
        ],
        vec![with("tool_calls", json!([{"name": "add", "args": {"a": 14}, "id": "c1"}])), tool.clone(), last.clone()],
        vec![
            with("tool_calls", json!([{"id": "c1", "function": "add", "arguments": {"a": 14}}])),
            json!({"role": "tool", "content": 23}),
            last.clone(),
        ],
        vec![
            with("function_call", json!({"name": "add", "arguments": "{\"a\":14}"})),
            json!({"role": "function", "name": "add", "content": "23"}),
            last.clone(),
        ],
        vec![
            json!({"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Add them."}, {"type": "text", "text": "I add."}, {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 14}}
            ]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "23"}]}]}),
            last.clone(),
        ],
    ];
    for turns in conversations {
        let all: Vec<Value> = [user()].into_iter().chain(turns).collect();
        let (trace, _) = one(json!({"messages": all}));
        let want = [("Add them.", Reasoning), ("I add.", Reasoning), (CALL, Reasoning), (RESULT, Reasoning), (ANSWER, Answer)];
        assert_eq!((trace.problem.as_str(), steps(&trace.candidates[0])), (QUESTION, want.to_vec()), "{all:?}");
    }
    // An agent that never comes to an answer, and a tool that fails.
    let failed =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": "no such tool"}]});
    let (trace, _) = one(json!({"messages": [user(), with("tool_calls", json!([call("{\"a\":14}".into())])), failed]}));
    assert_eq!(steps(&trace.candidates[0])[3], ("<tool_response>\n[error] no such tool\n</tool_response>", Reasoning));
    // Thoughts that go on behind a result.
    let open = json!({"role": "assistant", "content": "<think>Add them.", "tool_calls": [call("{\"a\":14}".into())]});
    let close = json!({"role": "assistant", "content": format!("So 18.</think>{ANSWER}")});
    let (trace, _) = one(json!({"messages": [user(), open, tool, close]}));
    let want = [("Add them.", Reasoning), (CALL, Reasoning), (RESULT, Reasoning), ("So 18.", Reasoning), (ANSWER, Answer)];
    assert_eq!(steps(&trace.candidates[0]), want);
}

#[test]
fn what_stands_before_the_candidate_is_the_problem() {
    let say = |role: &str, content: &str| json!({"role": role, "content": content});
    let (trace, _) = one(json!({"messages": [
        say("system", "Be brief."), say("user", "Hi"), say("assistant", "Hello"), say("user", QUESTION), say("assistant", ANSWER)
    ]}));
    assert_eq!(trace.problem, format!("user: Hi\n\nassistant: Hello\n\nuser: {QUESTION}"));
    assert_eq!(trace.candidates[0].text, ANSWER);
    assert_eq!(trace.candidates[0].extra.as_deref(), Some(r#"{"system":"Be brief."}"#));
    // Where tools were used before the user's last message it is an agent at work: all of it is the candidate.
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": "{}"}}]});
    let (trace, _) = one(json!({"messages": [
        say("user", QUESTION), call, say("tool", "23"), say("assistant", "23, I think."), say("user", "And 5 break."), say("assistant", ANSWER)
    ]}));
    assert_eq!(trace.problem, QUESTION);
    let shown: Vec<&str> = steps(&trace.candidates[0]).iter().map(|s| s.0).collect();
    assert_eq!(shown[2..], ["23, I think.", "user: And 5 break.", ANSWER]);
    // Only a system message before the answer; nobody before it.
    let (trace, _) = one(json!({"messages": [say("system", QUESTION), say("assistant", ANSWER)]}));
    assert_eq!((trace.problem.as_str(), trace.candidates[0].extra.as_ref()), (QUESTION, None));
    let (trace, _) = one(json!({"messages": [say("assistant", ANSWER)], "prompt": QUESTION}));
    assert_eq!(trace.problem, QUESTION);
    // A word of the user's behind the answer is not lost.
    let (trace, _) = one(json!({"messages": [say("user", QUESTION), say("assistant", ANSWER), say("user", "Thanks!")]}));
    assert_eq!((trace.problem.as_str(), trace.candidates[0].text.as_str()), (QUESTION, "There are 18.\n\nuser: Thanks!"));
    // A role that nobody knows.
    let (trace, _) = one(json!({"messages": [say("user", QUESTION), say("critic", "Careful."), say("assistant", ANSWER)]}));
    assert_eq!(trace.problem, format!("user: {QUESTION}\n\ncritic: Careful."));
}

/// Every word that a message holds is in the problem, in the candidate or in what is kept beside it.
#[test]
fn nothing_is_dropped_without_a_word() {
    let words = |n: usize| format!("word{n}");
    let parts = json!([
        {"type": "text", "text": words(1)}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, words(2),
        {"type": "input_audio", "input_audio": {"data": "AAAA"}}, {"type": "file", "file": {"filename": "word3.pdf"}}, {"type": "video"},
        {"type": "hologram"}, {"type": "hologram", "text": words(4)}, {"type": "refusal", "refusal": words(5)}, null,
        {"text": words(6)}, {"type": "text", "text": {"value": words(7)}}
    ]);
    let message = json!({"role": "assistant", "content": parts, "refusal": words(8), "audio": {"transcript": words(9)}, "reasoning": words(10),
        "tool_calls": [{"function": {"name": words(11), "arguments": words(12)}}, {"type": "custom", "custom": {"name": words(13), "input": words(14)}}]});
    let (trace, _) =
        one(json!({"messages": [{"role": "system", "content": words(15)}, user(), message], "tools": [{"name": words(16)}], "seed": 17,
        "metadata": {"note": words(18)}}));
    let candidate = &trace.candidates[0];
    let all = format!("{} {} {}", trace.problem, candidate.text, candidate.extra.as_deref().unwrap());
    for n in 1..=18 {
        let word = if n == 17 { "\"seed\":17".to_owned() } else { words(n) };
        assert!(all.contains(&word), "{word} is lost: {all}");
    }
    for sign in ["[image]", "[audio]", "[file word3.pdf]", "[video]", "[hologram]"] {
        assert!(candidate.text.contains(sign), "{sign}: {}", candidate.text);
    }
    let (trace, _) = one(
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}, {"type": "text", "text": QUESTION}]},
        {"role": "assistant", "content": ANSWER}]}),
    );
    assert_eq!(trace.problem, format!("[image]\n\n{QUESTION}"));
}

#[test]
fn numbers_beside_messages_find_their_places() {
    let messages = json!([user(), {"role": "assistant", "content": ANSWER}]);
    let of = |fields: Value| {
        let mut record = fields;
        record["messages"] = messages.clone();
        one(record).0
    };
    let trace = of(
        json!({"reward": 0.5, "score": 1, "advantages": -0.25, "rewards": {"format": 1.0}, "metrics": {"acc": 0.75}, "usage": {"total_tokens": 7}, "cost": 0.1}),
    );
    let c = &trace.candidates[0];
    let value = |name: &str| c.signal(name).and_then(|s| s.whole());
    assert_eq!([value("reward"), value("score"), value("advantages")], [Some(0.5), Some(1.0), Some(-0.25)]);
    assert_eq!([value("rewards.format"), value("metrics.acc")], [Some(1.0), Some(0.75)]);
    assert_eq!(c.signals.len(), 5, "{:?}", c.signals);
    assert_eq!(c.extra.as_deref(), Some(r#"{"usage":{"total_tokens":7},"cost":0.1}"#));
    for right in [json!(true), json!(1), json!("true"), json!("Correct"), json!("1"), json!(1.0)] {
        for name in ["correct", "is_correct", "label", "passed"] {
            assert_eq!(of(json!({name: right})).candidates[0].correct, Some(true), "{name} {right}");
        }
    }
    for wrong in [json!(false), json!(0), json!("false"), json!("incorrect"), json!("0")] {
        assert_eq!(of(json!({"label": wrong})).candidates[0].correct, Some(false), "{wrong}");
    }
    for (name, gold) in
        [("answer", json!("18")), ("ground_truth", json!(18)), ("gold", json!(["18"])), ("label", json!("18")), ("target", json!("18"))]
    {
        let trace = of(json!({name: gold}));
        assert_eq!((trace.gold_answer.as_deref(), trace.candidates[0].correct), (Some("18"), None), "{name}");
    }
    let trace = of(json!({"answer": "17", "ground_truth": "18", "correct": false}));
    assert_eq!((trace.gold_answer.as_deref(), trace.candidates[0].answer.as_deref()), (Some("18"), Some("17")));
    // One a candidate.
    let choice = |text: &str| json!({"message": {"role": "assistant", "content": text}});
    let trace = of(json!({"choices": [choice("a"), choice("b")], "rewards": [0.25, null], "correct": [true, false]}));
    let got: Vec<_> = trace.candidates.iter().map(|c| (c.correct, c.signal("rewards").and_then(|s| s.whole()))).collect();
    assert_eq!(got, [(Some(true), Some(0.25)), (Some(false), None)]);
    // One a step.
    let record = json!({"messages": [user(), {"role": "assistant", "content": THOUGHT}], "step_scores": [0.5, null]});
    assert_eq!(one(record).0.candidates[0].signal("step_scores").unwrap().values, Values::Steps(vec![Some(0.5), None]));
}

#[test]
fn odd_messages_are_read_or_told_in_one_sentence() {
    let good = json!({"messages": [user(), {"role": "assistant", "content": ANSWER}]});
    let faults = [
        (json!({"messages": [{"content": "x"}, {"role": "assistant", "content": "y"}]}), "field `messages[0].role`: is missing; add it"),
        (
            json!({"messages": [{"role": 3, "content": "x"}, {"role": "assistant", "content": "y"}]}),
            "field `messages[0].role`: is a number; give a string",
        ),
        (json!({"messages": [user()]}), "field `messages`: has no assistant message; add one, or pass the file as --problems"),
        (json!({"messages": []}), "has no assistant message"),
        (json!({"messages": ["x"]}), "field `messages[0]`: is a string; give an object"),
        (json!({"messages": "x"}), "field `messages`: is a string; give an array"),
        (
            json!({"messages": [user(), {"role": "assistant", "content": "y", "tool_calls": 3}]}),
            "field `messages[1].tool_calls`: is a number; give a list of calls",
        ),
    ];
    for (fault, message) in faults {
        let Opened { traces, errors, .. } = lines(&[good.clone(), fault.clone(), good.clone()]);
        assert_eq!((traces.len(), errors.len()), (2, 1), "{fault} {errors:?}");
        assert!(errors[0].contains("line 2") && errors[0].contains(message), "{} / {message}", errors[0]);
    }
    for (content, want) in [
        (json!(18), "18"),
        (json!(true), "true"),
        (json!({"type": "text", "text": "a"}), "a"),
        (Value::Null, ""),
        (json!([]), ""),
        (json!([null, "b"]), "b"),
    ] {
        let (trace, _) = one(json!({"messages": [user(), {"role": "assistant", "content": content}]}));
        assert_eq!(trace.candidates[0].text, want, "{content}");
    }
    // Halves of characters, and messages that an export wrote as a string.
    let text = r#"{"messages": [{"role": "user", "content": "bad \ud83d half"}, {"role": "assistant", "content": "so \udc00 it is"}]}"#;
    let opened = open_text(&format!("{text}\n{good}\n"), Options::default());
    assert_eq!(opened.traces.len() + opened.errors.len(), 2, "{:?}", opened.errors);
    let (trace, _) = one(json!({"messages": good["messages"].to_string()}));
    assert_eq!((trace.problem.as_str(), trace.candidates[0].text.as_str()), (QUESTION, ANSWER));
}

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

/// Server-sent events of some values.
fn events(values: &[Value]) -> String {
    values.iter().map(|v| format!("data: {v}\n\n")).collect()
}

fn chunk(id: &str, index: u32, delta: Value, reason: Value) -> Value {
    json!({"id": id, "object": "chat.completion.chunk", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason}]})
}

/// The pieces of an answer: reasoning, what is said, the end.
fn pieces(id: &str) -> Vec<Value> {
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
    let opened = open_text(&chat.repeat(1), Options::default());
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
    let format = TraceList::open(&[path.to_str().unwrap()], Options::default()).map(|list| list.files()[0].1);
    assert!(!matches!(format, Ok(Format::OpenAiChat | Format::ShareGpt)), "{format:?}");
}
