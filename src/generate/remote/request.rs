//! What is asked of a server: the fields of the OpenAI protocol, and those that vLLM, SGLang and llama.cpp's server add.

use super::endpoint::Api;
use super::error::{EndpointError, Trouble};
use crate::generate::PolicyOptions;
use crate::model::{Dialogue, Message, ModelError};
use crate::trace::Sampling;
use crate::util::seed::mix;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a request may do without, where a server refuses it by name: the numbers of the tokens, their log-probabilities, a seed.
const SPARE: [&str; 4] = ["return_token_ids", "top_logprobs", "logprobs", "seed"];
/// The name of `max_tokens` where that one is refused.
const NEW_MAX_TOKENS: &str = "max_completion_tokens";

/// What candidates are asked for.
#[derive(Clone, Debug)]
pub(super) enum Question<'a> {
    /// Ids of tokens, for training.
    Ids(&'a [u32]),
    /// Plain text.
    Text(String),
    /// A conversation that the server puts into its own template, with the template's variables.
    Chat(Vec<Message>, Map<String, Value>),
}

impl Question<'_> {
    /// A problem as the user wants it to be asked.
    pub(super) fn of(problem: &str, api: Api, options: &PolicyOptions) -> Result<Self, ModelError> {
        let chat = &options.chat;
        Ok(match api {
            Api::Completions => Self::Text(Dialogue::new(None, chat)?.prompt(problem)?),
            Api::Chat => {
                let system = chat.system.iter().map(|text| Message::new("system", text));
                Self::Chat(system.chain([Message::new("user", problem)]).collect(), chat.args.clone())
            }
        })
    }
}

/// Which of the candidates of a question are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The first of them; the request's seed is its own.
    pub candidate: usize,
    /// How many.
    pub n: usize,
    /// Whether they come piece by piece.
    pub stream: bool,
    /// Whether seeds count up from the first candidate's, as vLLM and llama.cpp's server count them for `n` candidates of one request. A candidate that is
    /// then asked for alone is the same.
    pub counted: bool,
}

impl Wanted {
    /// The seed of the request. Servers differ in how large a seed they take; all take 31 bits.
    fn seed(&self, seed: u64) -> u64 {
        match self.counted {
            true => ((mix(seed, 0) >> 33) + self.candidate as u64) % (1 << 31),
            false => mix(seed, self.candidate as u64) >> 33,
        }
    }
}

/// What a server has refused, so that it is not asked for again.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    spare: BTreeSet<&'static str>,
    max_tokens: bool,
}

impl Refused {
    /// Learns from an error about `body`; whether there is something to try again without, and what people should know of it.
    pub(super) fn learn(&mut self, error: &EndpointError, body: &Value) -> Option<Option<String>> {
        if error.trouble() != Trouble::Request {
            return None;
        }
        if error.what().contains(NEW_MAX_TOKENS) && !self.max_tokens {
            self.max_tokens = true;
            return Some(None);
        }
        let named = SPARE.into_iter().find(|name| !body[*name].is_null() && error.what().contains(name))?;
        self.spare.insert(named);
        if named == "logprobs" {
            self.spare.insert("top_logprobs");
        }
        let note = match named {
            "logprobs" => "the server gives no log-probabilities",
            "seed" => "the server takes no seed: the same command writes other candidates the next time",
            _ => return Some(None),
        };
        Some(Some(note.into()))
    }

    /// Takes out of a request what was refused.
    pub(super) fn apply(&self, body: &mut Value) {
        let Some(fields) = body.as_object_mut() else { return };
        self.spare.iter().for_each(|name| drop(fields.remove(*name)));
        if self.max_tokens
            && let Some(most) = fields.remove("max_tokens")
        {
            fields.insert(NEW_MAX_TOKENS.into(), most);
        }
    }
}

/// The body of a request for candidates of a question.
///
/// Unless the user wants otherwise a request asks for one candidate, so that it depends on the seed and its index alone whatever server draws it; servers
/// share the prompt's keys and values between requests. Older vLLM servers are asked for ids in place of the tokens' text where training needs them.
pub(super) fn request(model: &str, adapter: Option<&str>, question: &Question, sampling: &Sampling, wanted: Wanted) -> Value {
    let mut body = json!({
        "model": model, "max_tokens": sampling.max_tokens, "seed": wanted.seed(sampling.seed), "return_token_ids": true, "stream": wanted.stream,
    });
    match question {
        Question::Ids(ids) => {
            body["prompt"] = json!(ids);
            body["logprobs"] = 1.into();
            body["return_tokens_as_token_ids"] = true.into();
        }
        Question::Text(text) => {
            body["prompt"] = text.as_str().into();
            body["logprobs"] = 1.into();
        }
        Question::Chat(messages, args) => {
            body["messages"] = json!(messages);
            body["logprobs"] = true.into();
            // Of the likeliest tokens beside the one that was drawn none is wanted; without a word llama.cpp's server sends 20, and for 0 nothing at all.
            body["top_logprobs"] = 1.into();
            if !args.is_empty() {
                body["chat_template_kwargs"] = args.clone().into();
            }
        }
    }
    if wanted.n > 1 {
        body["n"] = wanted.n.into();
    }
    // What the user left open is the server's. Training leaves nothing open, and need not say that something is off.
    let (unset, training) = (sampling.unset, matches!(question, Question::Ids(_)));
    let fields = [
        ("temperature", json!(sampling.temperature), !unset.temperature),
        ("top_p", json!(sampling.top_p), !unset.top_p),
        ("top_k", json!(sampling.top_k), if training { sampling.top_k > 0 } else { !unset.top_k }),
        ("min_p", json!(sampling.min_p), if training { sampling.min_p > 0.0 } else { !unset.min_p }),
    ];
    for (name, value, _) in fields.into_iter().filter(|f| f.2) {
        body[name] = value;
    }
    if let Some(adapter) = adapter {
        body["lora_path"] = adapter.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChatOptions;
    use crate::trace::Unset;

    const ONE: Wanted = Wanted { candidate: 0, n: 1, stream: true, counted: false };

    #[test]
    fn a_candidates_request_depends_on_seed_and_index_alone() {
        let sampling = Sampling { seed: 3, top_k: 5, ..Sampling::default() };
        let body = |candidate| request("m", None, &Question::Ids(&[1, 2]), &sampling, Wanted { candidate, stream: false, ..ONE });
        assert_eq!(body(2), body(2));
        assert_ne!(body(2)["seed"], body(3)["seed"]);
        assert!(body(2)["seed"].as_u64().unwrap() < 1 << 31);
        assert_eq!((&body(0)["top_k"], &body(0)["min_p"], &body(0)["n"]), (&json!(5), &Value::Null, &Value::Null));
        assert_eq!(request("m", Some("x-3"), &Question::Text("p".into()), &sampling, ONE)["lora_path"], "x-3");
    }

    #[test]
    fn what_is_left_to_the_server_is_not_said() {
        let unset = Unset { temperature: true, top_p: true, top_k: true, min_p: false };
        let body = |sampling: &Sampling| request("m", None, &Question::Text("p".into()), sampling, ONE);
        let asked = body(&Sampling { min_p: 0.25, unset, ..Sampling::default() });
        assert!(asked["temperature"].is_null() && asked["top_p"].is_null() && asked["top_k"].is_null());
        assert_eq!((&asked["min_p"], &asked["max_tokens"]), (&json!(0.25), &json!(512)));
        let asked = body(&Sampling { temperature: 0.5, ..Sampling::default() });
        assert_eq!((&asked["temperature"], &asked["top_p"], &asked["top_k"]), (&json!(0.5), &json!(1.0), &json!(0)), "off is said too");
    }

    #[test]
    fn a_problem_is_asked_as_a_chat_or_plainly() {
        let chat = ChatOptions {
            system: Some("Be brief.".into()),
            args: [ChatOptions::arg("enable_thinking=false").unwrap()].into_iter().collect(),
            date: None,
        };
        let options = PolicyOptions { chat, ..PolicyOptions::default() };
        let body = |api, options: &PolicyOptions| request("m", None, &Question::of("2?", api, options).unwrap(), &Sampling::default(), ONE);
        let asked = body(Api::Chat, &options);
        assert_eq!(asked["messages"], json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "2?" }]));
        assert_eq!((&asked["chat_template_kwargs"], &asked["logprobs"]), (&json!({ "enable_thinking": false }), &json!(true)));
        assert!(asked["prompt"].is_null() && asked["top_logprobs"] == 1);
        let bare = body(Api::Chat, &PolicyOptions::default());
        assert!(bare["messages"] == json!([{ "role": "user", "content": "2?" }]) && bare["chat_template_kwargs"].is_null());
        let plain = body(Api::Completions, &options);
        assert!(plain["prompt"] == "Be brief.\n\n2?\n" && plain["logprobs"] == 1 && plain["messages"].is_null());
        let many = request("m", None, &Question::Text("p".into()), &Sampling::default(), Wanted { n: 4, ..ONE });
        assert_eq!(many["n"], 4);
        let seed = |candidate, counted| {
            request("m", None, &Question::Ids(&[1]), &Sampling { seed: 3, ..Sampling::default() }, Wanted { candidate, counted, ..ONE })["seed"].as_u64().unwrap()
        };
        assert_eq!((seed(0, true), seed(3, true) - seed(0, true)), (seed(0, false), 3));
        assert_ne!(seed(3, false), seed(3, true));
    }

    #[test]
    fn what_a_server_refuses_by_name_is_left_out() {
        let mut refused = Refused::default();
        let error = |what: &str| EndpointError::new("u", Trouble::Request, what);
        let mut body = request("m", None, &Question::Text("p".into()), &Sampling::default(), ONE);
        assert!(refused.learn(&error("400 Bad Request: the prompt is too long"), &body).is_none());
        assert!(refused.learn(&EndpointError::new("u", Trouble::Server, "404: logprobs"), &body).is_none());
        assert_eq!(refused.learn(&error("400: Unrecognized request argument supplied: return_token_ids"), &body), Some(None));
        assert!(refused.learn(&error("400: logprobs are not supported"), &body).unwrap().unwrap().contains("log-probabilities"));
        assert_eq!(refused.learn(&error("400: Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."), &body), Some(None));
        let chat = Question::of("2?", Api::Chat, &PolicyOptions::default()).unwrap();
        let mut chat = request("m", None, &chat, &Sampling::default(), ONE);
        refused.apply(&mut chat);
        assert!(chat["top_logprobs"].is_null(), "one is nothing without the other");
        refused.apply(&mut body);
        assert!(["return_token_ids", "logprobs", "max_tokens"].iter().all(|name| body[*name].is_null()));
        assert_eq!(body["max_completion_tokens"], 512);
        assert!(refused.learn(&error("400: logprobs are not supported"), &body).is_none(), "it was not asked for");
    }
}
