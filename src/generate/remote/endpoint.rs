//! Where an OpenAI-compatible server is, as a user names it.

use super::error::{EndpointError, Trouble};
use crate::http;
use std::fmt;

/// What a server is asked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// `POST /v1/chat/completions`: the server puts the problem into its own chat template.
    #[default]
    Chat,
    /// `POST /v1/completions`: the problem's text and a newline.
    Completions,
}

impl Api {
    /// What stands behind `/v1`.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
        }
    }
}

/// Where an OpenAI-compatible server is, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address up to and with `/v1`, without slash at the end.
    pub base_url: String,
    /// Which of its models; the first that it lists where none is named.
    pub model: Option<String>,
    /// What it is asked through, where the address says so.
    pub api: Option<Api>,
}

impl Endpoint {
    /// Whether `text` is meant as an address: it begins with `http://` or `https://`.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    /// Reads `http://HOST:PORT/v1#MODEL`; `#MODEL` may be left out, and `/completions` or `/chat/completions` may stand behind `/v1`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let wrong = |what: &str| {
            Err(EndpointError::new(text, Trouble::Request, what).remedy("write it as http://HOST:PORT/v1 or http://HOST:PORT/v1#MODEL"))
        };
        let (url, model) = text.split_once('#').map_or((text, None), |(url, model)| (url, Some(model)));
        let url = url.trim_end_matches('/');
        let named = [Api::Chat, Api::Completions].into_iter().find_map(|api| {
            let base = url.strip_suffix(api.path()).map(|base| base.trim_end_matches('/'))?;
            http::address(base).is_ok().then_some((base, Some(api)))
        });
        let (base_url, api) = named.unwrap_or((url, None));
        match http::address(base_url) {
            Err(e) => wrong(&e.what),
            Ok(address) if address.query().is_some() => wrong("the address has a query"),
            Ok(_) if model == Some("") => wrong("the model's name is empty"),
            Ok(_) => Ok(Self { base_url: base_url.to_owned(), model: model.map(str::to_owned), api }),
        }
    }
}

/// The address without name and password, and the model.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&http::shown(&self.base_url))?;
        f.write_str(self.api.map_or("", Api::path))?;
        match &self.model {
            Some(model) => write!(f, "#{model}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let e = Endpoint::parse("http://gpu1:8000/v1/#Qwen/Qwen3-4B").unwrap();
        assert_eq!((e.base_url.as_str(), e.model.as_deref(), e.api), ("http://gpu1:8000/v1", Some("Qwen/Qwen3-4B"), None));
        assert_eq!(e.to_string(), "http://gpu1:8000/v1#Qwen/Qwen3-4B");
        assert_eq!(Endpoint::parse("https://[::1]:8000/v1").unwrap().model, None);
        for (text, api) in [("http://h/v1/completions", Api::Completions), ("http://h/v1/chat/completions/", Api::Chat)] {
            let e = Endpoint::parse(&format!("{text}#m")).unwrap();
            assert_eq!((e.base_url.as_str(), e.api), ("http://h/v1", Some(api)));
            assert_eq!(e.to_string(), format!("{}#m", text.trim_end_matches('/')));
        }
        assert_eq!(Endpoint::parse("http://completions").unwrap().base_url, "http://completions");
        for bad in ["http://", "http:///v1", "http://a b/v1", "gpu1:8000/v1", "http://h/v1#", "http://h/v1?x=1"] {
            let message = Endpoint::parse(bad).unwrap_err().to_string();
            assert!(message.starts_with(bad.split('?').next().unwrap()) && message.contains("http://HOST:PORT/v1"), "{message}");
        }
    }
}
