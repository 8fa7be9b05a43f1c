//! What goes over the wire: completion requests of the OpenAI protocol with the fields that vLLM and SGLang add, and their answers.

use crate::generate::Completion;
use crate::trace::{FinishReason, Sampling, Span, Token};
use crate::util::seed::mix;
use serde::Deserialize;
use serde_json::{Value, json};

/// The body of a request for candidate `candidate` of a prompt, which is text or token ids.
///
/// A request asks for one candidate, so that it depends on the seed and its index alone whatever server draws it; servers share the prompt's keys and
/// values between requests. Without `stream`, older vLLM servers are asked for ids in place of the tokens' text.
pub(super) fn request(model: &str, adapter: Option<&str>, prompt: Value, sampling: &Sampling, candidate: usize, stream: bool) -> Value {
    let mut body = json!({
        "model": model, "prompt": prompt, "max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
        // Servers differ in how large a seed they take; all take 31 bits.
        "seed": mix(sampling.seed, candidate as u64) >> 33, "logprobs": 1, "return_token_ids": true, "stream": stream,
    });
    if !stream {
        body["return_tokens_as_token_ids"] = true.into();
    }
    if sampling.top_k > 0 {
        body["top_k"] = sampling.top_k.into();
    }
    if sampling.min_p > 0.0 {
        body["min_p"] = sampling.min_p.into();
    }
    if let Some(adapter) = adapter {
        body["lora_path"] = adapter.into();
    }
    body
}

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
    text: Option<String>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
    token_ids: Option<Vec<u32>>,
    prompt_token_ids: Option<Vec<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logprobs {
    tokens: Vec<Option<String>>,
    token_logprobs: Vec<Option<f32>>,
}

impl Choice {
    /// Why the candidate ended, where it did.
    pub(super) fn finish(&self) -> Option<FinishReason> {
        self.finish_reason.as_deref().map(|reason| match reason {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            other => FinishReason::Failed(format!("the server ended it: {other}")),
        })
    }

    fn ids(&self) -> Option<Vec<u32>> {
        let named = |token: &Option<String>| token.as_deref()?.strip_prefix("token_id:")?.parse().ok();
        self.token_ids.clone().or_else(|| {
            let tokens = &self.logprobs.as_ref()?.tokens;
            tokens.iter().map(named).collect::<Option<Vec<u32>>>().filter(|ids| !ids.is_empty())
        })
    }

    fn logprobs(&self) -> Vec<Option<f32>> {
        self.logprobs.as_ref().map(|l| l.token_logprobs.iter().map(|p| p.map(|p| p.min(0.0))).collect()).unwrap_or_default()
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
        let Some(ids) = self.ids() else {
            return wrong(
                "the server returns text without token ids, and tokens are never guessed from text",
                "vLLM 0.10.2 and SGLang of July 2026 or newer know return_token_ids; start an older vLLM with --return-tokens-as-token-ids",
            );
        };
        let Some(logprobs) = self.logprobs().into_iter().collect::<Option<Vec<f32>>>().filter(|l| l.len() == ids.len()) else {
            return wrong("the server does not return one log-probability a token", "start vLLM without --max-logprobs 0");
        };
        Ok(Completion { ids, logprobs, entropies: Vec::new(), stopped })
    }

    /// The piece's text and tokens; `at` is where its text begins in the candidate's.
    pub(super) fn piece(&self, at: usize) -> (String, Vec<Token>) {
        let text = self.text.clone().unwrap_or_default();
        let logprobs = self.logprobs();
        let n = self.token_ids.as_ref().map_or(logprobs.len(), Vec::len);
        let lengths = self.lengths(&text, n);
        let mut start = at;
        let tokens = (0..n).map(|i| {
            let span = Span::new(start, start + lengths[i]);
            start = span.end;
            let id = self.token_ids.as_ref().map(|ids| ids[i]);
            Token { id, span, logprob: logprobs.get(i).copied().flatten(), entropy: None }
        });
        let tokens = tokens.collect();
        (text, tokens)
    }

    /// Bytes of each of `n` tokens. Where the tokens' own text is not the piece's (parts of characters, special tokens), the last owns all of it.
    fn lengths(&self, text: &str, n: usize) -> Vec<usize> {
        let tokens: Option<Vec<&str>> = self.logprobs.as_ref().and_then(|l| l.tokens.iter().map(Option::as_deref).collect());
        if let Some(tokens) = tokens.filter(|t| t.len() == n && t.concat() == text) {
            return tokens.iter().map(|t| t.len()).collect();
        }
        let mut lengths = vec![0; n];
        if let Some(last) = lengths.last_mut() {
            *last = text.len();
        }
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(said(json!({ "text": "", "finish_reason": "abort", "token_ids": [] })).contains("abort"));
    }

    #[test]
    fn pieces_divide_their_text_among_their_tokens() {
        let spans = |value, at| choice(value).piece(at).1.iter().map(|t| [t.span.start, t.span.end]).collect::<Vec<_>>();
        let lp = |tokens: &[&str]| json!({ "tokens": tokens, "token_logprobs": vec![-0.5; tokens.len()] });
        assert_eq!(spans(json!({ "text": "ab c", "token_ids": [1, 2], "logprobs": lp(&["ab", " c"]) }), 10), [[10, 12], [12, 14]]);
        // Two byte tokens of one character: the one that completes it owns it.
        assert_eq!(spans(json!({ "text": "é", "logprobs": lp(&["bytes:\\xc3", "bytes:\\xa9"]) }), 3), [[3, 3], [3, 5]]);
        assert_eq!(spans(json!({ "text": "", "token_ids": [9] }), 3), [[3, 3]]);
        let (text, tokens) = choice(json!({ "text": "bare" })).piece(0);
        assert!(text == "bare" && tokens.is_empty());
    }

    #[test]
    fn a_candidates_request_depends_on_seed_and_index_alone() {
        let sampling = Sampling { seed: 3, top_k: 5, ..Sampling::default() };
        let body = |candidate| request("m", None, json!([1, 2]), &sampling, candidate, false);
        assert_eq!(body(2), body(2));
        assert_ne!(body(2)["seed"], body(3)["seed"]);
        assert!(body(2)["seed"].as_u64().unwrap() < 1 << 31);
        assert_eq!((&body(0)["top_k"], &body(0)["min_p"]), (&json!(5), &Value::Null));
        assert_eq!(request("m", Some("x-3"), json!("p"), &sampling, 0, true)["lora_path"], "x-3");
    }
}
