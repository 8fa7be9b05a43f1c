//! Answers of servers: the shapes that vLLM, SGLang, llama.cpp's server, Ollama and others give to completions and chat completions, whole and in pieces.

use crate::generate::Completion;
use crate::trace::{FinishReason, Token};
use serde::Deserialize;
use serde_json::Value;

/// What servers write for a log-probability that they do not have: vLLM this, llama.cpp's server the least number there is.
const UNTOLD: f32 = -9999.0;

/// A whole answer, or one event of a stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub choices: Vec<Choice>,
}

/// One candidate, or a piece of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    /// Which candidate of its request.
    pub index: Option<usize>,
    /// The text of a completion.
    pub text: Option<String>,
    /// A piece of a chat's message.
    pub delta: Option<Said>,
    /// A whole message, of a server that does not stream.
    pub message: Option<Said>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
    token_ids: Option<Vec<u32>>,
    prompt_token_ids: Option<Vec<u32>>,
}

/// What the assistant says, thinks and calls.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    content: Option<Content>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
    pub tool_calls: Option<Vec<Call>>,
    pub function_call: Option<Function>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a content in parts; those of other kinds (pictures) say nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    text: Option<String>,
    thinking: Option<Content>,
}

/// A tool that is called, or a piece of the call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call {
    pub index: Option<usize>,
    pub id: Option<String>,
    pub function: Function,
}

/// Name and arguments of a tool.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub name: Option<String>,
    arguments: Option<Value>,
}

impl Function {
    /// The arguments as they are written; a piece of JSON, or all of it.
    pub(super) fn arguments(&self) -> String {
        match &self.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }
}

impl Said {
    /// What it thinks and what it says, in that order.
    pub(super) fn texts(&self) -> (String, String) {
        let (mut thought, mut said) = (String::new(), String::new());
        // Some servers send both names with one text.
        let own = [&self.reasoning_content, &self.reasoning].into_iter().flatten().find(|t| !t.is_empty());
        thought.extend(own.map(String::as_str));
        self.content.iter().for_each(|c| c.texts(&mut thought, &mut said));
        said.extend(self.refusal.as_deref());
        (thought, said)
    }
}

impl Content {
    fn texts(&self, thought: &mut String, said: &mut String) {
        match self {
            Self::Text(text) => said.push_str(text),
            Self::Parts(parts) => {
                for part in parts {
                    // Parts of a thought are all thought.
                    let mut inner = String::new();
                    part.thinking.iter().for_each(|t| t.flat(&mut inner));
                    thought.push_str(&inner);
                    said.extend(part.text.as_deref());
                }
            }
        }
    }

    fn flat(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Parts(parts) => parts.iter().filter_map(|p| p.text.as_deref()).for_each(|t| out.push_str(t)),
        }
    }
}

/// Log-probabilities in the shape of completions (`tokens`, `token_logprobs`), or of chats and llama.cpp's server (`content`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logprobs {
    tokens: Option<Vec<Option<String>>>,
    token_logprobs: Option<Vec<Option<f32>>>,
    content: Option<Vec<Entry>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: Option<u32>,
    token: Option<String>,
    bytes: Option<Vec<u8>>,
    logprob: Option<f32>,
}

/// A token of an answer, as far as the server tells.
struct Piece<'a> {
    id: Option<u32>,
    bytes: Option<&'a [u8]>,
    logprob: Option<f32>,
}

impl Choice {
    /// Why the candidate ended, where it did.
    pub(super) fn finish(&self) -> Option<FinishReason> {
        let unknown = |reason: &str| FinishReason::Failed(format!("the server ended it: {reason}"));
        self.finish_reason.as_deref().map(|reason| match FinishReason::named(reason) {
            // Nobody here has cancelled it.
            None | Some(FinishReason::Cancelled) => unknown(reason),
            Some(known) => known,
        })
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        // What stands in for the id of a token is not its text.
        let named = |token: &str| token.strip_prefix("token_id:").and_then(|id| id.parse::<u32>().ok());
        let mut pieces: Vec<Piece> = match &self.logprobs {
            None => Vec::new(),
            Some(Logprobs { content: Some(entries), .. }) => {
                let piece = |e: &'_ Entry| (e.id.or_else(|| named(e.token.as_deref()?)), e.logprob);
                entries
                    .iter()
                    .map(|e| {
                        let (id, logprob) = piece(e);
                        let own = e.token.as_deref().filter(|t| named(t).is_none()).map(str::as_bytes);
                        Piece { id, bytes: e.bytes.as_deref().or(own), logprob }
                    })
                    .collect()
            }
            Some(Logprobs { tokens, token_logprobs, .. }) => {
                let (tokens, logprobs) = (tokens.as_deref().unwrap_or_default(), token_logprobs.as_deref().unwrap_or_default());
                (0..tokens.len().max(logprobs.len()))
                    .map(|i| {
                        let token = tokens.get(i).and_then(Option::as_deref);
                        let id = token.and_then(named);
                        Piece { id, bytes: token.filter(|_| id.is_none()).map(str::as_bytes), logprob: logprobs.get(i).copied().flatten() }
                    })
                    .collect()
            }
        };
        if let Some(ids) = &self.token_ids {
            pieces.truncate(ids.len());
            pieces.extend((pieces.len()..ids.len()).map(|_| Piece { id: None, bytes: None, logprob: None }));
            pieces.iter_mut().zip(ids).for_each(|(piece, id)| piece.id = Some(*id));
        }
        pieces.iter_mut().for_each(|p| p.logprob = p.logprob.map(|l| l.min(0.0)));
        pieces
    }

    /// The candidate for training; `prompt` is what was sent. The error says what is missing and which option of the server brings it.
    pub(super) fn completion(&self, prompt: &[u32]) -> Result<Completion, (String, &'static str)> {
        let wrong = |what: &str, remedy| Err((what.to_owned(), remedy));
        if self.prompt_token_ids.as_ref().is_some_and(|p| p != prompt) {
            return wrong("the server read another prompt than was sent", "switch off what adds tokens to prompts there");
        }
        let stopped = match self.finish() {
            Some(FinishReason::Stop) => true,
            Some(FinishReason::Length) => false,
            other => return wrong(&format!("the candidate did not end ({other:?})"), "look at the server's log"),
        };
        let pieces = self.pieces();
        let ids: Option<Vec<u32>> = pieces.iter().map(|p| p.id).collect();
        let Some(ids) = ids.filter(|ids| !ids.is_empty() || self.token_ids.is_some()) else {
            return wrong(
                "the server returns text without token ids, and tokens are never guessed from text",
                "vLLM 0.10.2 and SGLang of July 2026 or newer know return_token_ids; start an older vLLM with --return-tokens-as-token-ids",
            );
        };
        let told = self.logprobs.as_ref().map_or(0, |l| l.content.as_ref().map_or(l.token_logprobs.as_ref().map_or(0, Vec::len), Vec::len));
        let Some(logprobs) = pieces.iter().map(|p| p.logprob).collect::<Option<Vec<f32>>>().filter(|_| told == ids.len()) else {
            return wrong("the server does not return one log-probability a token", "start vLLM without --max-logprobs 0");
        };
        Ok(Completion { ids, logprobs, entropies: Vec::new(), stopped })
    }

    /// The tokens of a piece whose text is `text`, each with the number of its bytes. A token that ends inside a character owns none of it. Where the
    /// tokens' own bytes are not the text (special tokens, what a server holds back), the last owns all of it.
    pub(super) fn tokens(&self, text: &str) -> Vec<(Token, usize)> {
        let pieces = self.pieces();
        let bytes: Option<Vec<&[u8]>> = pieces.iter().map(|p| p.bytes).collect();
        let mut lengths = vec![0; pieces.len()];
        match bytes.filter(|all| all.concat() == text.as_bytes()) {
            Some(all) => {
                let (mut at, mut owned) = (0, 0);
                for (length, bytes) in lengths.iter_mut().zip(all) {
                    at += bytes.len();
                    let end = (owned..=at).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(owned);
                    (*length, owned) = (end - owned, end);
                }
            }
            None => lengths.last_mut().into_iter().for_each(|last| *last = text.len()),
        }
        let token = |p: &Piece| Token { id: p.id, logprob: p.logprob.filter(|l| *l > UNTOLD), ..Token::default() };
        pieces.iter().map(token).zip(lengths).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn choice(value: Value) -> Choice {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn ids_come_from_either_field() {
        let new = choice(json!({
            "text": "ab", "finish_reason": "stop", "token_ids": [5, 1], "prompt_token_ids": [7],
            "logprobs": { "tokens": ["token_id:5", "token_id:1"], "token_logprobs": [-0.5, 0.0001] },
        }));
        let c = new.completion(&[7]).unwrap();
        assert_eq!((c.ids, c.logprobs, c.stopped), (vec![5, 1], vec![-0.5, 0.0], true));
        let old = choice(json!({
            "text": "ab", "finish_reason": "length",
            "logprobs": { "tokens": ["token_id:5", "token_id:9"], "token_logprobs": [-0.5, -1.0] },
        }));
        let c = old.completion(&[7]).unwrap();
        assert_eq!((c.ids, c.stopped), (vec![5, 9], false));
        assert!(new.completion(&[7, 8]).unwrap_err().0.contains("another prompt"));
    }

    #[test]
    fn what_is_missing_is_said_with_the_servers_option() {
        let said = |value| {
            let (what, remedy) = choice(value).completion(&[7]).unwrap_err();
            format!("{what}; {remedy}")
        };
        let text =
            said(json!({ "text": "ab", "finish_reason": "stop", "logprobs": { "tokens": ["a", "b"], "token_logprobs": [-0.5, -0.1] } }));
        assert!(text.contains("without token ids") && text.contains("--return-tokens-as-token-ids"), "{text}");
        assert!(said(json!({ "text": "ab", "finish_reason": "stop", "token_ids": [1, 2] })).contains("log-probability"));
        let short = json!({ "text": "ab", "finish_reason": "stop", "token_ids": [1, 2], "logprobs": { "token_logprobs": [-0.5] } });
        assert!(said(short).contains("log-probability"));
        let long = json!({ "text": "ab", "finish_reason": "stop", "token_ids": [1], "logprobs": { "token_logprobs": [-0.5, -0.5] } });
        assert!(said(long).contains("log-probability"));
        assert!(said(json!({ "text": "", "finish_reason": "abort", "token_ids": [] })).contains("abort"));
    }

    #[test]
    fn tokens_divide_their_text_in_both_shapes() {
        let lengths = |value, text: &str| choice(value).tokens(text).iter().map(|t| t.1).collect::<Vec<_>>();
        let lp = |tokens: &[&str]| json!({ "tokens": tokens, "token_logprobs": vec![-0.5; tokens.len()] });
        assert_eq!(lengths(json!({ "token_ids": [1, 2], "logprobs": lp(&["ab", " c"]) }), "ab c"), [2, 2]);
        // Two byte tokens of one character: the one that completes it owns it.
        assert_eq!(lengths(json!({ "logprobs": lp(&["bytes:\\xc3", "bytes:\\xa9"]) }), "é"), [0, 2]);
        assert_eq!(lengths(json!({ "token_ids": [9] }), ""), [0]);
        assert!(choice(json!({})).tokens("bare").is_empty());
        let entry = |token: &str, bytes: &[u8]| json!({ "token": token, "bytes": bytes, "logprob": -0.25, "top_logprobs": [] });
        let chat = json!({ "logprobs": { "content": [entry("a", b"a"), entry("\u{fffd}", &[0xc3]), entry("\u{fffd}", &[0xa9]), entry("b", b"b")] } });
        let tokens = choice(chat.clone()).tokens("aéb");
        assert_eq!(tokens.iter().map(|t| t.1).collect::<Vec<_>>(), [1, 0, 2, 1]);
        assert!(tokens.iter().all(|t| t.0.logprob == Some(-0.25) && t.0.id.is_none()));
        assert_eq!(lengths(chat, "other"), [0, 0, 0, 5]);
        // llama.cpp's server numbers its tokens, and gives bytes or none.
        let tokens = choice(json!({ "logprobs": { "content": [{ "id": 7, "token": " 7", "logprob": -0.2 }] } })).tokens(" 7");
        assert_eq!((tokens[0].0.id, tokens[0].0.logprob, tokens[0].1), (Some(7), Some(-0.2), 2));
        for untold in [-9999.0, -3.4028234663852886e38] {
            let tokens = choice(json!({ "logprobs": { "content": [{ "token": "7", "logprob": untold }] } })).tokens("7");
            assert_eq!((tokens[0].0.logprob, tokens[0].1), (None, 1));
        }
        assert_eq!(lengths(json!({ "logprobs": { "tokens": null, "token_logprobs": null, "content": null } }), "x"), Vec::<usize>::new());
    }

    #[test]
    fn thoughts_and_words_are_told_apart() {
        let said = |value: Value| serde_json::from_value::<Said>(value).unwrap().texts();
        assert_eq!(said(json!({ "content": "a", "reasoning_content": "b" })), ("b".into(), "a".into()));
        assert_eq!(said(json!({ "content": null, "reasoning": "b", "reasoning_content": "b" })), ("b".into(), String::new()));
        let parts = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "b" }] }, { "type": "text", "text": "a" }, { "type": "image" }]);
        assert_eq!(said(json!({ "content": parts })), ("b".into(), "a".into()));
        assert_eq!(said(json!({ "role": "assistant", "refusal": "no" })), (String::new(), "no".into()));
        assert!(serde_json::from_value::<Said>(json!({ "content": 5 })).is_err());
    }
}
