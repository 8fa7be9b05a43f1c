//! HTTP for model servers and for the Hugging Face hub: how clients are made, how much of an answer is read, and what a message may repeat.

mod json;
#[cfg(feature = "https")]
mod tls;

pub(crate) use json::{JsonServer, ServerError};

use crate::util::secret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use std::net::IpAddr;
use std::sync::Once;
use std::time::Duration;

/// Time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an error's answer that are read.
const ERROR_BODY: usize = 64 << 10;
/// Characters of a server's own words that a message repeats.
const REPEATED: usize = 300;
/// Variables that name a proxy, as curl and most programs know them.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Why there is no client, or no request to this address, and what to do.
#[derive(Debug)]
pub(crate) struct ClientError {
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

/// Variables that hold a key.
const KEYS: [&str; 3] = ["OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// From here on no message repeats the keys that the environment holds, nor the passwords of its proxies.
fn keep_secrets() {
    let set = |name: &str| std::env::var(name).ok();
    KEYS.into_iter().filter_map(set).for_each(|key| secret::keep(&key));
    let addresses = PROXIES.into_iter().chain(["HF_ENDPOINT"]).filter_map(set);
    addresses.filter_map(|a| Url::parse(&a).ok()).for_each(|url| keep_password(&url));
}

/// The password of an address, as it is written, as it is meant, and as it goes over the wire beside the name.
fn keep_password(url: &Url) {
    let Some(password) = url.password() else { return };
    let meant = |text| percent_decode_str(text).decode_utf8_lossy();
    secret::keep(password);
    secret::keep(&meant(password));
    secret::keep(&BASE64.encode(format!("{}:{}", meant(url.username()), meant(password))));
}

/// Reads an address: `http` or `https`, with a host.
pub(crate) fn address(text: &str) -> Result<Url, ClientError> {
    static KEPT: Once = Once::new();
    KEPT.call_once(keep_secrets);
    let wrong = |what: String| ClientError { what, remedy: "write it as http://HOST or https://HOST" };
    let url = Url::parse(text).map_err(|e| wrong(format!("no address ({e})")))?;
    // The parser of browsers takes `http:///v1` for the host v1.
    let named = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
    if !matches!(url.scheme(), "http" | "https") || !named {
        return Err(wrong("no address of a server".into()));
    }
    keep_password(&url);
    Ok(url)
}

/// A client for `url` and for where its host leads. It waits `patience` for the head of an answer and for each further part of it, and goes through the
/// proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, unless `NO_PROXY` names the host or the host is this machine.
pub(crate) fn client(url: &Url, patience: Duration, redirects: Policy) -> Result<Client, ClientError> {
    // The first call decides for the process; a later one changes nothing, and that is well.
    #[cfg(feature = "https")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("reasonscope/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(patience)
        .redirect(redirects);
    if is_this_machine(url) {
        builder = builder.no_proxy();
    }
    if url.scheme() == "https" {
        return secure(builder);
    }
    // A machine without certificates can still talk to servers that need none.
    #[cfg(feature = "https")]
    let builder = builder.tls_certs_only([]);
    builder.build().map_err(|e| ClientError { what: format!("no connection can be made: {}", cause(&e)), remedy: "try again" })
}

#[cfg(feature = "https")]
fn secure(builder: reqwest::ClientBuilder) -> Result<Client, ClientError> {
    builder.build().map_err(|e| ClientError {
        what: format!("this machine's certificates cannot be read: {}", cause(&e)),
        remedy: "install ca-certificates, or name a file of them in SSL_CERT_FILE",
    })
}

#[cfg(not(feature = "https"))]
fn secure(_: reqwest::ClientBuilder) -> Result<Client, ClientError> {
    Err(ClientError { what: "this build knows no https".into(), remedy: "build with --features https, or use http" })
}

/// Whether an address is of this machine, which no proxy can reach.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let name = host.trim_end_matches('.');
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    name == "localhost" || name.ends_with(".localhost") || ip.is_some_and(|ip| ip.is_loopback())
}

/// The whole body of an answer, `None` where it has more than `limit` bytes.
pub(crate) async fn whole(mut response: Response, limit: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut all = Vec::new();
    while let Some(part) = response.chunk().await? {
        if all.len() + part.len() > limit {
            return Ok(None);
        }
        all.extend_from_slice(&part);
    }
    Ok(Some(all))
}

/// The beginning of the body of an answer that tells an error, as far as it comes.
pub(crate) async fn error_body(mut response: Response) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = ERROR_BODY - all.len();
        all.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() >= room {
            break;
        }
    }
    all
}

/// As much of a server's own words as a message repeats, without what we told it in confidence.
pub(crate) fn repeated(text: &str) -> String {
    let text = secret::hide(text.trim());
    match text.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// An address as messages show it: without name and password before the host, and without its query, which may hold a signature.
pub(crate) fn shown(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// What went wrong with a request that was made.
pub(crate) struct Failure {
    /// Nothing came for as long as the client waits.
    pub(crate) silent: bool,
    /// For people; where a proxy is named in the environment, that is said.
    pub(crate) what: String,
    /// What to do, where trying again will not help: the server is not trusted, or has no TLS.
    pub(crate) remedy: Option<&'static str>,
}

/// Reads an error of a request or of the body of its answer.
pub(crate) fn failure(error: &reqwest::Error, patience: Duration) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure { silent: true, what: format!("no answer within {} s", patience.as_secs_f32()), remedy: None };
    }
    let proxy = PROXIES.iter().find(|name| error.is_connect() && std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    let proxy = proxy.map(|name| format!(" ({name} names a proxy, and NO_PROXY the hosts that need none)")).unwrap_or_default();
    #[cfg(feature = "https")]
    if let Some((what, remedy)) = tls::told(error, &host(error)) {
        return Failure { silent: false, what: format!("{what}{proxy}"), remedy: Some(remedy) };
    }
    let what = if error.is_timeout() { format!("nobody there within {} s", CONNECT.as_secs()) } else { cause(error).to_string() };
    Failure { silent: false, what: format!("the connection failed: {what}{proxy}"), remedy: None }
}

/// The host that a request went to, which a redirect may have led to.
#[cfg(feature = "https")]
fn host(error: &reqwest::Error) -> String {
    let named = error.url().and_then(|url| Some((url.host_str()?, url.port())));
    named.map_or_else(|| "the server".into(), |(host, port)| port.map_or(host.to_owned(), |port| format!("{host}:{port}")))
}

/// The last cause of an error: the client's own message names the stage and the address only.
pub(crate) fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_signatures_are_not_shown() {
        assert_eq!(shown("https://me:pw@h:8/v1?key=1"), "https://h:8/v1");
        assert_eq!(shown("http://a@b@h/x@y"), "http://h/x@y");
        assert_eq!(shown("http://h/x@y"), "http://h/x@y");
        assert_eq!(shown("/data/a@b.part"), "/data/a@b.part");
    }

    #[test]
    fn what_goes_along_in_confidence_is_not_repeated() {
        address("http://me:sec%20ret99@h:8/v1").unwrap();
        let echoed = repeated("401: me:sec ret99, sec%20ret99, Basic bWU6c2VjIHJldDk5, at http://me:other@h/");
        assert_eq!(echoed, "401: me:***, ***, Basic ***, at http://h/");
    }

    #[test]
    fn no_proxy_stands_between_a_machine_and_itself() {
        for (url, own) in [
            ("http://localhost:8000/v1", true),
            ("http://gpu.localhost./v1", true),
            ("http://127.3.0.1/v1", true),
            ("http://[::1]:8000/v1", true),
            ("http://localhost.example/v1", false),
            ("http://10.0.0.7:8000/v1", false),
        ] {
            assert_eq!(is_this_machine(&address(url).unwrap()), own, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_said() {
        for bad in ["", "huggingface", "ftp://h", "http://", "http:///v1", "gpu1:8000/v1"] {
            assert!(address(bad).unwrap_err().what.contains("no address"), "{bad}");
        }
    }

    #[test]
    fn a_servers_words_are_cut() {
        assert_eq!(repeated("  é "), "é");
        let long = repeated(&"é".repeat(400));
        assert!(long.chars().count() == REPEATED + 1 && long.ends_with('…'));
    }
}
