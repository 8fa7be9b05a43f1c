//! Untrusted text, a screen cell at a time: what is shown for a grapheme, and how wide it is; wrapping and the colours of code.

mod highlight;
mod wrap;

pub use highlight::highlight;
pub(super) use wrap::wrap_plain;
pub use wrap::{Row as WrappedRow, WrapCache};

use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What the screen shows for one grapheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// The grapheme itself.
    Itself(&'a str),
    /// This character in its place: controls and what could reorder the line are made visible.
    Instead(char),
    /// So many blanks.
    Blanks(usize),
    /// Nothing: it has no width.
    Nothing,
    /// The line ends here.
    Break,
}

const TAB: usize = 4;
/// Bytes of a text's end that are looked at for each cell that they may have.
const TAIL: usize = 64;
/// Characters a grapheme may have at most; stacks of marks beyond it are cut.
const MARKS: usize = 16;

/// What is shown for `grapheme` at display column `column`, and its width in cells.
pub fn shown(grapheme: &str, column: usize, unicode: bool) -> (Shown<'_>, usize) {
    if let [b] = grapheme.as_bytes() {
        return match b {
            b'\n' => (Shown::Break, 0),
            b'\t' => {
                let n = TAB - column % TAB;
                (Shown::Blanks(n), n)
            }
            0..0x20 if unicode => (Shown::Instead(char::from_u32(0x2400 + u32::from(*b)).unwrap_or('?')), 1),
            0x7f if unicode => (Shown::Instead('\u{2421}'), 1),
            0..0x20 | 0x7f => (Shown::Instead('?'), 1),
            _ => (Shown::Itself(grapheme), 1),
        };
    }
    if grapheme == "\r\n" {
        return (Shown::Break, 0);
    }
    if grapheme.chars().any(|c| c.is_control() || reorders(c)) {
        return (Shown::Instead(if unicode { '\u{fffd}' } else { '?' }), 1);
    }
    let width = grapheme.width();
    if !unicode {
        return match (ascii_twin(grapheme), width) {
            (_, 0) => (Shown::Nothing, 0),
            (Some(c), 1) => (Shown::Instead(c), 1),
            _ => (Shown::Instead('?'), 1),
        };
    }
    match width {
        0 if grapheme.chars().all(|c| !is_mark(c)) => (Shown::Nothing, 0),
        // A mark without its letter would join whatever stands before it.
        0 => (Shown::Instead('\u{25cc}'), 1),
        w => {
            let end = grapheme.char_indices().nth(MARKS).map_or(grapheme.len(), |c| c.0);
            (Shown::Itself(&grapheme[..end]), w.min(2))
        }
    }
}

/// Bidirectional controls and separators, which some terminals obey.
fn reorders(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

fn is_mark(c: char) -> bool {
    !matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{ad}' | '\u{034f}' | '\u{180e}')
}

fn ascii_twin(grapheme: &str) -> Option<char> {
    Some(match grapheme.chars().next()? {
        '−' | '–' | '—' | '‐' | '‑' => '-',
        '×' => 'x',
        '÷' => '/',
        '·' | '•' | '∙' | '⋅' => '*',
        '‘' | '’' => '\'',
        '“' | '”' => '"',
        '…' => '.',
        '\u{a0}' => ' ',
        _ => return None,
    })
}

/// The extended grapheme clusters of `text` (UAX #29) with where they begin. An ASCII character before another is one by itself, unless the two are CR LF:
/// most of what is drawn needs no tables.
pub fn graphemes(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let plain =
            bytes.get(at)?.is_ascii() && bytes.get(at + 1).is_none_or(|next| next.is_ascii() && (bytes[at], *next) != (b'\r', b'\n'));
        let length = if plain { 1 } else { text[at..].graphemes(true).next()?.len() };
        at += length;
        Some((start, &text[start..at]))
    })
}

/// Width of `text` on one line, in cells.
pub fn width(text: &str) -> usize {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return text.len();
    }
    graphemes(text).fold(0, |w, (_, g)| w + shown(g, w, true).1)
}

/// `text` in at most `limit` cells: where it is longer, its beginning and its end with `mark` between them, so that what differs at the end still does.
pub fn middle<'a>(text: &'a str, limit: usize, mark: &str) -> Cow<'a, str> {
    if fit(text, limit).0.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let room = limit.saturating_sub(width(mark));
    let (head, used) = fit(text, room / 2);
    // No more of the end is looked at than can be shown.
    let near = text.len().saturating_sub(TAIL * limit.max(1)).max(head.len());
    let near = (near..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let (mut start, mut left) = (text.len(), room - used);
    for (i, g) in graphemes(&text[near..]).collect::<Vec<_>>().into_iter().rev() {
        let w = shown(g, 0, true).1;
        if w > left {
            break;
        }
        (start, left) = (near + i, left - w);
    }
    Cow::Owned(format!("{head}{mark}{}", &text[start..]))
}

/// The longest start of `text` that fits `limit` cells, and its width.
pub fn fit(text: &str, limit: usize) -> (&str, usize) {
    let mut at = 0;
    for (i, g) in graphemes(text) {
        let w = shown(g, at, true).1;
        if at + w > limit {
            return (&text[..i], at);
        }
        at += w;
    }
    (text, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_loses_its_middle() {
        assert_eq!(middle("train-gsm8k-00017", 12, "…"), "train…-00017");
        assert_eq!(
            (middle("1234", 4, "…").as_ref(), middle("12345", 4, "…").as_ref(), middle("12345", 1, "…").as_ref()),
            ("1234", "1…45", "…")
        );
        assert_eq!(middle("日本語日本語", 6, "~"), "日~語");
        assert_eq!(middle("12345", 0, "…"), "…");
    }

    #[test]
    fn clusters_are_those_of_the_standard() {
        let pieces = [
            "a",
            "b",
            " ",
            "\r",
            "\n",
            "\t",
            "é",
            "e\u{301}",
            "\u{301}",
            "日",
            "👨\u{200d}👩\u{200d}👧",
            "🇩🇪",
            "🇩",
            "\u{600}",
            "\u{200d}",
            "नि",
            "1\u{fe0f}\u{20e3}",
            "한",
            "ᄒ",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let text = [a, b, c].concat();
                    assert!(graphemes(&text).eq(text.grapheme_indices(true)), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_a_terminal_would_obey_is_shown_as_it_is() {
        assert_eq!(shown("\x1b", 0, true), (Shown::Instead('␛'), 1));
        assert_eq!(shown("\u{9b}", 0, true), (Shown::Instead('\u{fffd}'), 1), "C1 CSI");
        assert_eq!(shown("\u{202e}", 0, true), (Shown::Instead('\u{fffd}'), 1), "right-to-left override");
        assert_eq!(shown("\x1b", 0, false), (Shown::Instead('?'), 1));
        assert_eq!(shown("\u{200b}", 0, true), (Shown::Nothing, 0));
        assert_eq!(shown("\u{301}", 0, true), (Shown::Instead('◌'), 1));
        let stack = format!("a{}", "\u{301}".repeat(500));
        assert!(matches!(shown(&stack, 0, true), (Shown::Itself(s), 1) if s.chars().count() == MARKS));
    }

    #[test]
    fn widths_are_those_of_the_cells() {
        assert_eq!(width("a日本"), 5);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(shown("\t", 5, true), (Shown::Blanks(3), 3));
        assert_eq!(fit("日本語", 5), ("日本", 4), "a wide character is not cut in two");
    }
}
