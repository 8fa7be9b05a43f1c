//! Messages by themselves: reasoning, tools, what is the problem, what stands beside.

use super::*;

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
    // What tools give back in the user's name; an agent whose user speaks last.
    let observed = json!({"role": "user", "content": "<tool_response>\n23\n</tool_response>"});
    let act = json!({"role": "assistant", "content": "I add."});
    let (trace, format) =
        one(json!({"task_id": 3, "reward": 1.0, "traj": [user(), act, observed, last, {"role": "user", "content": "###STOP###"}]}));
    assert_eq!((trace.problem.as_str(), trace.id.as_str(), format), (QUESTION, "3", Format::OpenAiChat));
    let want = [("I add.", Reasoning), (RESULT, Reasoning), (ANSWER, Reasoning), ("user: ###STOP###", Reasoning)];
    assert_eq!(steps(&trace.candidates[0]), want);
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
    assert_eq!((opened.traces.len(), opened.errors.len()), (2, 1), "{:?}", opened.errors);
    let (trace, _) = one(json!({"messages": good["messages"].to_string()}));
    assert_eq!((trace.problem.as_str(), trace.candidates[0].text.as_str()), (QUESTION, ANSWER));
}

#[test]
fn small_things_that_producers_do() {
    let said = |record: Value| steps(&one(record).0.candidates[0]).iter().map(|s| s.0.to_owned()).collect::<Vec<_>>();
    let assistant = |content: Value| json!({"messages": [user(), {"role": "assistant", "content": content}]});
    // A refusal, a search, code that a provider ran, reasoning that the text has again.
    assert_eq!(said(assistant(json!([{"type": "text", "text": "18"}, {"type": "refusal", "refusal": "No."}]))), ["18", "No."]);
    let found = json!([{"type": "web_search_tool_result", "content": [{"type": "web_search_result", "title": "T", "url": "u"}]}]);
    assert_eq!(said(assistant(found)), ["<tool_response>\n[web_search_result T u]\n</tool_response>"]);
    let ran = json!({"object": "response", "output": [{"type": "code_interpreter_call", "code": "print(1)", "outputs": [{"type": "logs", "logs": "1"}]}]});
    let call = "<tool_call>\n{\"name\": \"code_interpreter\", \"arguments\": \"print(1)\"}\n</tool_call>";
    assert_eq!(said(ran), [call, "<tool_response>\n1\n</tool_response>"]);
    let again = json!([{"type": "thinking", "thinking": "a b"}, {"type": "text", "text": "<think>a b</think>18"}]);
    assert_eq!(said(assistant(again)), ["a b", "18"]);
    let beside = json!({"messages": [user(), {"role": "assistant", "content": "18"}], "reasoning": "a b"});
    assert_eq!(said(beside), ["a b", "18"]);
    // Numbers that an export wrote as texts; a label that is neither verdict nor answer.
    let (trace, _) =
        one(json!({"messages": [user(), {"role": "assistant", "content": "18"}], "reward": "0.5", "label": "chosen", "correct": "yes"}));
    let c = &trace.candidates[0];
    assert_eq!((c.signal("reward").and_then(|s| s.whole()), c.correct, trace.gold_answer), (Some(0.5), Some(true), None));
    assert_eq!(c.extra.as_deref(), Some(r#"{"label":"chosen"}"#));
}
