//! Which server it is, and how it is asked.

use crate::http::{JsonServer, ServerError};
use crate::reward::RewardError;
use serde_json::Value;
use std::fmt;

/// Bytes of a list of models.
const LARGEST_LIST: usize = 16 << 20;
/// Bytes of a model's name.
const LONGEST_NAME: usize = 1024;

/// Where a reward model is served, as a user names it: `http://HOST:PORT[/path]#MODEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedAt {
    /// The address without `#MODEL` and without slash at the end.
    pub url: String,
    /// Which of the server's models; the first that it lists where none is named.
    pub model: Option<String>,
}

impl fmt::Display for ServedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::http::shown(&self.url))?;
        self.model.as_ref().map_or(Ok(()), |m| write!(f, "#{m}"))
    }
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// vLLM's `POST /pooling`, task `token_classify`: a row of numbers a token, or a tag.
    Pooling,
    /// vLLM's `POST /classify`, which SGLang has as `/v1/classify`: a row of numbers for the whole.
    Classify,
    /// SGLang's own `POST /classify`: an embedding, whose numbers are the reward.
    Sglang,
    /// This program's `POST /score`.
    Score,
}

impl Speaks {
    /// Its name and how it is called, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pooling => "vLLM's /pooling",
            Self::Classify => "/classify as vLLM has it",
            Self::Sglang => "SGLang's /classify",
            Self::Score => "/score of reasonscope serve",
        }
    }
}

/// A server that was found.
pub(super) struct Found {
    pub speaks: Speaks,
    /// The address that is posted to.
    pub url: String,
    pub model: String,
    /// What the server lists of the model; null where it lists nothing.
    pub info: Value,
}

/// Finds out what is there: by the end of the address, and by what the server lists under `/v1/models`.
pub(super) async fn find(server: &JsonServer, at: &ServedAt) -> Result<Found, RewardError> {
    let said = |e: ServerError| RewardError::Input(e.to_string());
    let ends =
        [("/pooling", Speaks::Pooling), ("/v1/classify", Speaks::Classify), ("/classify", Speaks::Classify), ("/score", Speaks::Score)];
    let named = ends.into_iter().find_map(|(end, speaks)| at.url.strip_suffix(end).map(|root| (root, speaks)));
    let root = named.map_or(at.url.as_str(), |n| n.0).trim_end_matches('/');
    let root = root.strip_suffix("/v1").unwrap_or(root);
    let list = format!("{root}/v1/models");
    let listed = match server.ask(&list, None, LARGEST_LIST).await {
        Ok(listed) => listed,
        Err(e) if e.missing && named.is_some() => Value::Null,
        Err(e) => return Err(said(e)),
    };
    let all = listed["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |m: &&Value| at.model.as_ref().is_none_or(|name| m["id"].as_str() == Some(name));
    let info = all.iter().find(is).cloned().unwrap_or_default();
    let listed = info["id"].as_str().filter(|id| id.len() <= LONGEST_NAME).map(str::to_owned);
    let model =
        at.model.clone().or(listed).ok_or_else(|| {
            said(ServerError::new(&list, "the server lists no model", "name one behind the address: http://HOST:PORT#MODEL"))
        })?;
    // Of what the server lists, only this program's own says how far a model is loaded.
    let owner = info["owned_by"].as_str().or(info["status"].as_str().map(|_| "reasonscope"));
    let speaks = match (named.map(|n| n.1), owner) {
        (Some(Speaks::Classify), Some("sglang")) if !at.url.ends_with("/v1/classify") => Speaks::Sglang,
        (Some(speaks), _) => speaks,
        (None, Some("vllm")) => Speaks::Pooling,
        (None, Some("sglang")) => Speaks::Sglang,
        (None, Some("reasonscope")) => Speaks::Score,
        (None, _) => {
            let what = "the server does not say what it is";
            let remedy = "end the address in /pooling (vLLM), /classify (vLLM, SGLang) or /score (reasonscope serve)";
            return Err(said(ServerError::new(&list, what, remedy)));
        }
    };
    let end = match speaks {
        Speaks::Pooling => "/pooling",
        Speaks::Classify | Speaks::Sglang => "/classify",
        Speaks::Score => "/score",
    };
    let url = if named.is_some() { at.url.clone() } else { format!("{root}{end}") };
    Ok(Found { speaks, url, model, info })
}
