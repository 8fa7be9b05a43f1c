//! What writers of JSON write that is none: numbers that are none, and halves of characters.

use memchr::memmem::Finder;
use std::sync::LazyLock;

/// A text in which they have been replaced.
pub(super) struct Mended {
    pub text: String,
    /// Numbers that were NaN, infinite or too large, which are missing now.
    pub numbers: usize,
    /// Halves of characters, which are U+FFFD now.
    pub characters: usize,
}

/// Words that stand for no number, and the beginnings of escapes that may be halves of characters.
static WORDS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| ["NaN", "Infinity", "nan", "inf"].map(|word| Finder::new(word.as_bytes())));
static HALVES: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [r"\ud", r"\uD"].map(|mark| Finder::new(mark.as_bytes())));

/// Whether a record may hold something to mend; found quickly in what holds nothing.
pub(super) fn is_suspect(bytes: &[u8]) -> bool {
    // A word stands where a value does.
    let stands = |at: usize| {
        let before = bytes[..at].trim_ascii_end();
        let before = before.strip_suffix(b"-").unwrap_or(before).trim_ascii_end();
        before.last().is_some_and(|b| matches!(b, b':' | b'[' | b','))
    };
    HALVES.iter().any(|mark| mark.find(bytes).is_some()) || WORDS.iter().any(|word| word.find_iter(bytes).any(stands))
}

/// The text with `null` for NaN, Infinity, -Infinity (however they are spelled) and numbers beyond what can be counted, and with U+FFFD for each lone half of a
/// pair of UTF-16 escapes; `None` where it has none of these.
pub(super) fn mended(text: &str) -> Option<Mended> {
    let bytes = text.as_bytes();
    let mut out = Mended { text: String::with_capacity(text.len()), numbers: 0, characters: 0 };
    let (mut at, mut kept, mut inside) = (0, 0, false);
    while at < bytes.len() {
        let (len, put) = match bytes[at] {
            b'"' => {
                inside = !inside;
                (1, None)
            }
            b'\\' if inside => match half(&bytes[at..]) {
                Half::Lone => {
                    out.characters += 1;
                    (6, Some("\u{FFFD}"))
                }
                Half::Pair => (12, None),
                Half::None => (2, None),
            },
            b'-' | b'+' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if !inside => {
                let end = bytes[at..]
                    .iter()
                    .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
                    .map_or(bytes.len(), |n| at + n);
                let no = is_no_number(&text[at..end]);
                out.numbers += usize::from(no);
                (end - at, no.then_some("null"))
            }
            _ => (1, None),
        };
        if let Some(put) = put {
            out.text.push_str(&text[kept..at]);
            out.text.push_str(put);
            kept = at + len;
        }
        at += len;
    }
    if out.numbers + out.characters == 0 {
        return None;
    }
    out.text.push_str(&text[kept.min(text.len())..]);
    Some(out)
}

fn is_no_number(word: &str) -> bool {
    let bare = word.trim_start_matches(['-', '+']);
    let named = ["NaN", "nan", "Infinity", "infinity", "inf", "Inf", "NAN", "INF"].contains(&bare);
    named || bare.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok_and(f64::is_infinite)
}

enum Half {
    None,
    Pair,
    Lone,
}

/// What an escape is that begins here.
fn half(bytes: &[u8]) -> Half {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => Half::Pair,
        (Some(0xD800..=0xDFFF), _) => Half::Lone,
        _ => Half::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_halves_are_replaced_and_counted() {
        let of = |text: &str| mended(text).map(|m| (m.text, m.numbers, m.characters));
        assert_eq!(
            of(r#"{"a": NaN, "b": [-Infinity,Infinity, 1e999, nan], "c": "NaN", "d": 1}"#).unwrap(),
            (r#"{"a": null, "b": [null,null, null, null], "c": "NaN", "d": 1}"#.to_owned(), 5, 0)
        );
        assert_eq!(
            of(r#"["\ud83d half", "\ud83d\ude00", "\\ud83d", "\udc00\u0041"]"#).unwrap(),
            ("[\"\u{FFFD} half\", \"\\ud83d\\ude00\", \"\\\\ud83d\", \"\u{FFFD}\\u0041\"]".to_owned(), 0, 2)
        );
        for text in [r#"{"a": 1, "nan": "inf", "b": null, "c": true}"#, "", "\"", "\"\\", "\"\\u", "nano", "{\"é\": \"\\ué\"}"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert!(is_suspect(b"[NaN]") && is_suspect(b"[-Infinity]") && is_suspect(br#""\ud83d""#) && !is_suspect(b"{\"a\": 1}"));
    }
}
