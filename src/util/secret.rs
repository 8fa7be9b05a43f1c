//! Keys and passwords that no message, record or log repeats.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

/// What stands in place of a secret.
const HIDDEN: &str = "***";
/// Shorter ones are words such as `none` or `key`, which say nothing.
const SHORTEST: usize = 4;
/// A secret of at least so many bytes is known by its first ones, for whoever repeats it may have cut it; a shorter one counts as a whole word only.
const BEGINNING: usize = 8;

static KEPT: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From here on [`hide`] knows this secret, however long the process lives.
pub fn keep(secret: &str) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    if !kept.iter().any(|k| k == secret) {
        kept.push(secret.to_owned());
        // One that begins as another does must not leave the other's end.
        kept.sort_by_key(|k| std::cmp::Reverse(k.len()));
    }
}

/// `text` without the secrets that were kept, and without name and password before the host of an address.
pub fn hide(text: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(text);
    for secret in KEPT.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(hidden) = without(&out, secret) {
            out = Cow::Owned(hidden);
        }
    }
    if out.contains("://")
        && let Some(hidden) = without_userinfo(&out)
    {
        out = Cow::Owned(hidden);
    }
    out
}

/// `None` where the secret is not in the text.
fn without(text: &str, secret: &str) -> Option<String> {
    let long = secret.len() >= BEGINNING;
    let begins = (1..=BEGINNING.min(secret.len())).rev().find(|&i| secret.is_char_boundary(i)).filter(|_| long).unwrap_or(secret.len());
    let (mut out, mut done) = (None::<String>, 0);
    while let Some(at) = text[done..].find(&secret[..begins]) {
        let start = done + at;
        let same = text[start..].bytes().zip(secret.bytes()).take_while(|(a, b)| a == b).count();
        let end = start + (begins..=same).rev().find(|&n| text.is_char_boundary(start + n)).unwrap_or(begins);
        let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let out = out.get_or_insert_default();
        out.push_str(&text[done..start]);
        let word = in_word(text[..start].chars().next_back()) || in_word(text[end..].chars().next());
        out.push_str(if long || !word { HIDDEN } else { &text[start..end] });
        done = end;
    }
    out.map(|out| out + &text[done..])
}

/// `None` where no address in the text has a name before its host.
fn without_userinfo(text: &str) -> Option<String> {
    let (mut out, mut done, mut at) = (None::<String>, 0, 0);
    while let Some(found) = text[at..].find("://") {
        let start = at + found + 3;
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\' | '`');
        let authority = &text[start..start + text[start..].find(ends).unwrap_or(text.len() - start)];
        at = start;
        if let Some(name) = authority.rfind('@') {
            out.get_or_insert_default().push_str(&text[done..start]);
            (done, at) = (start + name + 1, start + name + 1);
        }
    }
    out.map(|out| out + &text[done..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_whole_and_cut() {
        keep(" sk-test-0123456789abcdef\n");
        keep("abc");
        keep("pass");
        assert_eq!(hide("key sk-test-0123456789abcdef!"), "key ***!");
        assert_eq!(hide("Bearer sk-test-01234"), "Bearer ***");
        assert_eq!(hide("sk-test-, sk-test"), "***, sk-test");
        assert_eq!(hide("sk-test-0123é"), "***é");
        assert_eq!(hide("password pass abc"), "password *** abc");
        assert!(matches!(hide("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn addresses_lose_their_names() {
        assert_eq!(hide("http://me:pw@h:8/v1 and https://x@y/z, b@c"), "http://h:8/v1 and https://y/z, b@c");
        assert_eq!(hide("http://a/ then http://p:q@b"), "http://a/ then http://b");
        assert_eq!(hide("http://a@b@h/x@y"), "http://h/x@y");
        assert_eq!(hide("\"socks5://u:p@h\": http://h/x@y"), "\"socks5://h\": http://h/x@y");
        assert!(matches!(hide("see https://h/a@b"), Cow::Borrowed(_)));
    }
}
