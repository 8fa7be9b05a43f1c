//! JSON that does no harm on a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// JSON text in which DEL, the C1 control characters, and what changes the direction of text or cannot be seen are escaped. Such characters stand in
/// strings only, where an escape means the same; what lies below U+0020 is escaped by every writer of JSON.
pub fn escaped(json: &str) -> Cow<'_, str> {
    if json.is_ascii() && !json.contains('\x7F') || !json.chars().any(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a character that is no C0 control character acts on a terminal or on the order of text instead of being seen.
pub fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{7F}'..='\u{9F}' | '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_escaped_and_means_the_same() {
        let text = "a\u{7F}\u{9B}31m é 日 \u{202E}x\u{2066}\u{FEFF}\u{E0041}\u{2028}\u{061C}";
        let json = serde_json::to_string(&[text]).unwrap();
        let safe = escaped(&json);
        assert!(!safe.chars().any(is_hidden), "{safe}");
        assert!(safe.contains("\\u009b31m é 日 \\u202e") && safe.contains("\\udb40\\udc41"), "{safe}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), [text]);
        assert!(matches!(escaped("{\"a\":\"é日\"}"), Cow::Borrowed(_)));
    }
}
