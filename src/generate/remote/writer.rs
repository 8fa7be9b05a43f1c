//! One candidate as its pieces come: what it thinks, says and calls becomes one text.

use super::answer::{Call, Choice};
use crate::trace::{FinishReason, Span, Token};

/// The text of a candidate so far, as far as what follows depends on it.
///
/// A thought that a server keeps apart from the answer stands in `<think>` and `</think>`, where models write it themselves; a call of a tool in
/// `<tool_call>` with its name and arguments in JSON.
#[derive(Debug, Default)]
pub(super) struct Writer {
    section: Section,
    /// Whether the text ends with a line feed, or is empty.
    at_line: bool,
    /// Bytes of the text so far.
    pub written: usize,
    /// Tokens so far.
    pub tokens: usize,
    /// Why it ended, once it has.
    pub finish: Option<FinishReason>,
}

/// What is being written.
#[derive(Debug, Default, PartialEq)]
enum Section {
    #[default]
    Said,
    Thought,
    /// A call of a tool: its place among the calls, its identity, and whether it has arguments yet.
    Called(usize, Option<String>, bool),
}

/// The text of one piece, and where the server's own words stand in it.
#[derive(Default)]
struct Piece {
    text: String,
    /// What tokens are counted along.
    raw: String,
    /// Where parts of `raw` begin, in `raw` and in `text`.
    parts: Vec<(usize, usize)>,
}

impl Piece {
    /// Adds words of the server.
    fn say(&mut self, words: &str) {
        if !words.is_empty() {
            self.parts.push((self.raw.len(), self.text.len()));
            self.raw.push_str(words);
            self.text.push_str(words);
        }
    }

    /// Where the byte `at` of `raw` stands in `text`: as the end of what is before it, or as the beginning of what follows.
    fn place(&self, at: usize, end: bool) -> usize {
        let part = self.parts.iter().rfind(|p| if end { p.0 < at } else { p.0 <= at });
        part.or(self.parts.first()).map_or(self.text.len(), |(raw, text)| text + (at - raw.min(&at)))
    }
}

impl Writer {
    /// The text and the tokens that a piece adds.
    pub(super) fn take(&mut self, choice: &Choice) -> (String, Vec<Token>) {
        let mut piece = Piece::default();
        piece.say(choice.text.as_deref().unwrap_or_default());
        for said in choice.delta.iter().chain(&choice.message) {
            let (thought, words) = said.texts();
            if !thought.is_empty() {
                self.turn(Section::Thought, &mut piece);
                piece.say(&thought);
            }
            if !words.is_empty() {
                self.turn(Section::Said, &mut piece);
                piece.say(&words);
            }
            let legacy = said.function_call.as_ref().map(|f| (0, None, f));
            let calls = said
                .tool_calls
                .iter()
                .flatten()
                .enumerate()
                .map(|(i, Call { index, id, function })| (index.unwrap_or(i), id.clone(), function));
            for (index, id, function) in calls.chain(legacy) {
                self.call(index, id, function.name.as_deref(), &mut piece);
                let arguments = function.arguments();
                if let Section::Called(_, _, argued) = &mut self.section {
                    *argued |= !arguments.is_empty();
                }
                piece.say(&arguments);
            }
        }
        if let Some(finish) = choice.finish() {
            // What is cut is left open.
            if !finish.is_cut() {
                self.close(&mut piece);
            }
            self.finish = Some(finish);
        }
        let tokens = self.tokens_of(choice, &piece);
        self.tokens += tokens.len();
        self.written += piece.text.len();
        self.remember(&piece.text);
        (piece.text, tokens)
    }

    fn remember(&mut self, text: &str) {
        if !text.is_empty() {
            self.at_line = text.ends_with('\n');
        }
    }

    /// Whether a line begins behind what is written and the piece.
    fn begins_line(&self, piece: &Piece) -> bool {
        if piece.text.is_empty() { self.written == 0 || self.at_line } else { piece.text.ends_with('\n') }
    }

    /// Closes what is open and begins something else.
    fn turn(&mut self, to: Section, piece: &mut Piece) {
        if self.section == to {
            return;
        }
        self.close(piece);
        if to == Section::Thought {
            if !self.begins_line(piece) {
                piece.text.push_str("\n\n");
            }
            piece.text.push_str("<think>\n");
        } else if self.written + piece.text.len() > 0 && !self.begins_line(piece) {
            piece.text.push('\n');
        }
        self.section = to;
    }

    fn call(&mut self, index: usize, id: Option<String>, name: Option<&str>, piece: &mut Piece) {
        // A piece of a call that goes on has its place; some servers number all calls 0 and tell them apart by their identity alone.
        if let Section::Called(at, own, _) = &self.section
            && *at == index
            && (id.is_none() || id == *own)
        {
            return;
        }
        self.turn(Section::Called(index, id, false), piece);
        let name = serde_json::Value::from(name.unwrap_or_default());
        piece.text.push_str(&format!("<tool_call>\n{{\"name\": {name}, \"arguments\": "));
    }

    fn close(&mut self, piece: &mut Piece) {
        let line = self.begins_line(piece);
        match std::mem::take(&mut self.section) {
            Section::Said => {}
            Section::Thought => piece.text.push_str(if line { "</think>\n\n" } else { "\n</think>\n\n" }),
            Section::Called(_, _, argued) => piece.text.push_str(if argued { "}\n</tool_call>\n" } else { "{}}\n</tool_call>\n" }),
        }
    }

    fn tokens_of(&self, choice: &Choice, piece: &Piece) -> Vec<Token> {
        let mut raw = 0;
        let place = |(token, length): (Token, usize)| {
            let begin = raw;
            raw += length;
            let end = piece.place(raw, true);
            let start = if length == 0 { end } else { piece.place(begin, false) };
            Token { span: Span::new(self.written + start, self.written + end), ..token }
        };
        choice.tokens(&piece.raw).into_iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The text, and what each token owns of it.
    fn written(pieces: &[Value]) -> (String, Vec<String>, Option<FinishReason>) {
        let (mut writer, mut text, mut tokens) = (Writer::default(), String::new(), Vec::new());
        for piece in pieces {
            let (new, more) = writer.take(&serde_json::from_value(piece.clone()).unwrap());
            text.push_str(&new);
            tokens.extend(more);
        }
        assert_eq!((writer.written, writer.tokens), (text.len(), tokens.len()));
        let own = tokens.iter().map(|t| t.span.of(&text).to_owned()).collect();
        (text, own, writer.finish)
    }

    fn delta(said: Value) -> Value {
        let text = ["reasoning_content", "content"].iter().find_map(|k| said[*k].as_str()).unwrap_or_default().to_owned();
        json!({ "index": 0, "delta": said, "logprobs": { "content": [{ "token": text, "bytes": null, "logprob": -0.5 }] } })
    }

    #[test]
    fn completions_are_taken_as_they_are() {
        let lp = |tokens: &[&str]| json!({ "tokens": tokens, "token_logprobs": vec![-0.5; tokens.len()] });
        let (text, tokens, finish) = written(&[
            json!({ "text": "ab c", "logprobs": lp(&["ab", " c"]) }),
            json!({ "text": "", "logprobs": lp(&[""]) }),
            json!({ "text": "é", "finish_reason": "length", "logprobs": lp(&["é"]) }),
        ]);
        assert_eq!((text.as_str(), finish), ("ab cé", Some(FinishReason::Length)));
        assert_eq!(tokens, ["ab", " c", "", "é"]);
    }

    #[test]
    fn a_thought_stands_in_its_tags_and_no_token_owns_them() {
        let (text, tokens, finish) = written(&[
            json!({ "delta": { "role": "assistant", "content": null } }),
            delta(json!({ "reasoning_content": "2 and 3" })),
            delta(json!({ "reasoning_content": " are 5.\n" })),
            delta(json!({ "content": "A: 5" })),
            json!({ "delta": {}, "finish_reason": "stop" }),
        ]);
        assert_eq!(text, "<think>\n2 and 3 are 5.\n</think>\n\nA: 5");
        assert_eq!((tokens, finish), (vec!["2 and 3".into(), " are 5.\n".into(), "A: 5".into()], Some(FinishReason::Stop)));
        // Both in one piece, as a server that does not stream gives them.
        let entry = |token: &str| json!({ "token": token, "logprob": -0.5 });
        let whole = json!({
            "message": { "content": "A: 5", "reasoning": "2 + 3" }, "finish_reason": "stop",
            "logprobs": { "content": [entry("2 +"), entry(" 3"), entry("A:"), entry(" 5")] },
        });
        let (text, tokens, _) = written(&[whole]);
        assert_eq!(text, "<think>\n2 + 3\n</think>\n\nA: 5");
        assert_eq!(tokens, ["2 +", " 3", "A:", " 5"]);
        // Cut in the midst of it, it stays open.
        let (text, ..) = written(&[delta(json!({ "reasoning_content": "so" })), json!({ "delta": {}, "finish_reason": "length" })]);
        assert_eq!(text, "<think>\nso");
        let (text, ..) = written(&[delta(json!({ "reasoning_content": "so" })), json!({ "delta": {}, "finish_reason": "stop" })]);
        assert_eq!(text, "<think>\nso\n</think>\n\n");
    }

    #[test]
    fn calls_of_tools_are_kept_as_text() {
        let call = |index: usize, more: Value| json!({ "delta": { "tool_calls": [{ "index": index, "function": more }] } });
        let (text, _, finish) = written(&[
            json!({ "delta": { "content": "I look." } }),
            call(0, json!({ "name": "add", "arguments": "" })),
            call(0, json!({ "arguments": "{\"a\": 2," })),
            call(0, json!({ "arguments": " \"b\": 3}" })),
            call(1, json!({ "name": "say \"hi\"" })),
            json!({ "delta": {}, "finish_reason": "tool_calls" }),
        ]);
        let expected = concat!(
            "I look.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2, \"b\": 3}}\n</tool_call>\n",
            "<tool_call>\n{\"name\": \"say \\\"hi\\\"\", \"arguments\": {}}\n</tool_call>\n"
        );
        assert_eq!((text.as_str(), finish), (expected, Some(FinishReason::Stop)));
        // All numbered 0, and arguments that are no text.
        let same = |id: &str| json!({ "index": 0, "id": id, "function": { "name": id, "arguments": { "x": 1 } } });
        let (text, ..) = written(&[json!({ "message": { "tool_calls": [same("a"), same("b")] }, "finish_reason": "tool_calls" })]);
        assert_eq!(text.matches("<tool_call>").count(), 2, "{text}");
        assert_eq!(text.matches("\"arguments\": {\"x\":1}}").count(), 2, "{text}");
    }
}
