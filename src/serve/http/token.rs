//! Who may ask: a token for all but this machine, and on this machine nobody whom a web page sends.

use crate::serve::refusal::Refusal;
use crate::util::secret;
use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Shortest token that is taken.
const SHORTEST: usize = 16;

/// A token that clients must send as `Authorization: Bearer TOKEN`. Only its digest is kept, and no message or log repeats it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Takes a token, without whitespace around it. Fails where it could not stand in a header or is easily guessed.
    pub fn new(text: &str) -> Result<Self, String> {
        let token = text.trim();
        secret::keep(token);
        match () {
            () if token.is_empty() => Err("holds no token".into()),
            () if !token.bytes().all(|b| b.is_ascii_graphic()) => {
                Err("holds a token with a blank or a character that is not ASCII; give one line of letters and digits".into())
            }
            () if token.len() < SHORTEST => Err(format!("holds a token of {} characters; give at least {SHORTEST}", token.len())),
            () => Ok(Self(digest(token.as_bytes()))),
        }
    }

    /// Whether it is this token. How long that takes does not depend on where they differ.
    fn is(&self, given: &[u8]) -> bool {
        let given = digest(given);
        self.0.iter().zip(given).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether a request may be served. Without a token the server listens on the loopback alone, and a request to another name for it is one that a web page has
/// made a browser send (DNS rebinding).
pub(in crate::serve) fn admit(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = token else {
        let host = headers.get(header::HOST).map(|h| h.to_str().unwrap_or("?"));
        return match host {
            Some(host) if !is_local(host) => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "this server is for this machine alone; ask it as localhost or 127.0.0.1, or give it a token with --token-file",
            )),
            _ => Ok(()),
        };
    };
    let given = headers.get(header::AUTHORIZATION).map(|v| v.as_bytes());
    let bearer = given.and_then(|v| v.split_at_checked(7)).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
    match bearer {
        Some((_, given)) if token.is(given.trim_ascii()) => Ok(()),
        Some(_) => Err(Refusal::new(StatusCode::UNAUTHORIZED, "the token is wrong")),
        None => Err(Refusal::new(StatusCode::UNAUTHORIZED, "send the server's token: Authorization: Bearer TOKEN")),
    }
}

/// Whether a `Host` names this machine by a name that nobody else can give an address.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        let asks = |value: &str| admit(Some(&token), &with(header::AUTHORIZATION, value)).map_err(|r| r.status.as_u16());
        assert_eq!(asks("Bearer 0123456789abcdef"), Ok(()));
        assert_eq!(asks("bearer  0123456789abcdef"), Ok(()));
        for wrong in ["Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer ", "Bearer", "Basic 0123456789abcdef", ""] {
            assert_eq!(asks(wrong), Err(401), "{wrong}");
        }
        assert_eq!(admit(Some(&token), &HeaderMap::new()).map_err(|r| r.status.as_u16()), Err(401));
        assert_eq!(secret::hide("token 0123456789abcdef"), "token ***");
    }

    #[test]
    fn weak_tokens_are_refused() {
        for (weak, why) in [("", "no token"), ("short", "at least 16"), ("0123456789 abcdef", "blank"), ("0123456789abcdeé", "ASCII")] {
            assert!(Token::new(weak).err().unwrap().contains(why), "{weak}");
        }
    }

    #[test]
    fn this_machine_has_few_names() {
        for host in ["localhost", "LOCALHOST:8350", "a.localhost:1", "127.0.0.1:8350", "127.1.2.3", "[::1]:80", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8350", "10.0.0.1", "[fe80::1]:80", "", "127.0.0.1.evil.example"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
