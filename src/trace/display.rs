//! Model text made safe for a terminal, with a map back to its bytes.

use super::Span;
use crate::util::json::is_hidden;
use crate::util::work::count;
use std::borrow::Cow;

/// Text without terminal escapes, control characters shown as glyphs, and where every byte of it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafeText {
    /// What may be shown. Line feeds and tabs are kept.
    pub text: String,
    /// Runs that cover both texts in order; empty where nothing changed.
    runs: Vec<Run>,
}

/// A run of `source` bytes that stands as `display` bytes; equal lengths of an unchanged run map byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    display: Span,
    source: Span,
    verbatim: bool,
}

/// Removes terminal escape sequences (CSI, OSC, DCS and the other string sequences, two-byte escapes; 7-bit and 8-bit forms) and shows what
/// other control and direction-changing characters there are as visible glyphs. Line feeds and tabs stay; the CR of a CR LF goes.
///
/// Text that needs no change is borrowed. A sequence that does not end on its line is not removed: its introducer becomes a glyph and the rest stays readable.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if is_safe(text) { Cow::Borrowed(text) } else { Cow::Owned(SafeText::new(text, false).text) }
}

impl SafeText {
    /// Makes `text` safe as [`sanitize`] does. `ascii`: caret notation (`^[`) in place of Unicode control pictures (`␛`).
    pub fn new(text: &str, ascii: bool) -> Self {
        if is_safe(text) {
            return Self { text: text.to_owned(), runs: Vec::new() };
        }
        let mut out = Self { text: String::with_capacity(text.len()), runs: Vec::new() };
        let (mut at, mut escapes) = (0, Escapes::default());
        while let Some(c) = text[at..].chars().next() {
            let after = at + c.len_utf8();
            if !needs_change(c) {
                out.push(&text[at..after], Span::new(at, after), true);
                at = after;
            } else if let Some(end) = escapes.end(text, at) {
                out.push("", Span::new(at, end), false);
                at = end;
            } else {
                let glyph = if c == '\r' && text[after..].starts_with('\n') { String::new() } else { glyph(c, ascii) };
                out.push(&glyph, Span::new(at, after), false);
                at = after;
            }
        }
        out
    }

    fn push(&mut self, piece: &str, source: Span, verbatim: bool) {
        let start = self.text.len();
        self.text.push_str(piece);
        let display = Span::new(start, self.text.len());
        match self.runs.last_mut() {
            Some(run) if verbatim && run.verbatim => {
                run.display.end = display.end;
                run.source.end = source.end;
            }
            _ => self.runs.push(Run { display, source, verbatim }),
        }
    }

    /// The display byte that stands for a byte of the source; a byte inside something replaced maps to the start of its glyph.
    pub fn to_display(&self, source: usize) -> usize {
        if self.runs.is_empty() {
            return source.min(self.text.len());
        }
        let i = self.runs.partition_point(|r| r.source.end <= source);
        match self.runs.get(i) {
            Some(r) if r.verbatim => r.display.start + (source - r.source.start),
            Some(r) => r.display.start,
            None => self.text.len(),
        }
    }

    /// The source byte that a byte of [`text`](Self::text) stands for; a byte of a glyph maps to the start of what it replaces.
    pub fn to_source(&self, display: usize) -> usize {
        if self.runs.is_empty() {
            return display.min(self.text.len());
        }
        let i = self.runs.partition_point(|r| r.display.end <= display);
        match self.runs.get(i) {
            Some(r) if r.verbatim => r.source.start + (display - r.display.start),
            Some(r) => r.source.start,
            None => self.runs.last().map_or(0, |r| r.source.end),
        }
    }

    /// The display bytes of a source range, glyphs that it touches included.
    pub fn display_span(&self, source: Span) -> Span {
        if source.is_empty() {
            let at = self.to_display(source.start);
            return Span::new(at, at);
        }
        let start = self.to_display(source.start);
        if self.runs.is_empty() {
            return Span::new(start, source.end.min(self.text.len()));
        }
        let i = self.runs.partition_point(|r| r.source.end < source.end);
        let end = match self.runs.get(i) {
            Some(r) if r.verbatim => r.display.start + source.end.saturating_sub(r.source.start),
            Some(r) => r.display.end,
            None => self.text.len(),
        };
        Span::new(start, end.max(start))
    }
}

fn is_safe(text: &str) -> bool {
    !text.chars().any(needs_change)
}

fn needs_change(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c => c.is_control() || is_hidden(c),
    }
}

fn glyph(c: char, ascii: bool) -> String {
    let code = c as u32;
    match (c, ascii) {
        ('\0'..='\x1F', true) => format!("^{}", char::from((code as u8) + b'@')),
        ('\0'..='\x1F', false) => char::from_u32(0x2400 + code).unwrap_or('\u{FFFD}').to_string(),
        ('\x7F', true) => "^?".into(),
        ('\x7F', false) => '\u{2421}'.into(),
        ('\u{2028}' | '\u{2029}', _) => " ".into(),
        (_, true) => "?".into(),
        (_, false) => '\u{FFFD}'.into(),
    }
}

/// Finds escape sequences in a text that is read from its start to its end.
#[derive(Default)]
struct Escapes {
    /// No string sequence that begins before this byte ends on its line: a line of a thousand that do not end is looked through once.
    endless_before: usize,
}

impl Escapes {
    /// End of the escape sequence that starts at `at`, `None` where none starts or it does not end before its line does.
    fn end(&mut self, text: &str, at: usize) -> Option<usize> {
        let mut rest = text[at..].char_indices().map(|(i, c)| (at + i, c)).inspect(|_| count(1));
        let (_, first) = rest.next()?;
        let second = match first {
            '\u{1B}' => rest.next()?.1,
            '\u{90}' => 'P',
            '\u{98}' => 'X',
            '\u{9B}' => '[',
            '\u{9D}' => ']',
            '\u{9E}' => '^',
            '\u{9F}' => '_',
            _ => return None,
        };
        if matches!(second, 'P' | 'X' | ']' | '^' | '_') {
            if at < self.endless_before {
                return None;
            }
            let (end, looked) = string_end(rest);
            if end.is_none() {
                self.endless_before = looked.unwrap_or(text.len());
            }
            return end;
        }
        control_end(rest, second, at)
    }
}

/// End of a string sequence after its introducer, or the line feed before which there is none; neither where the text ends.
fn string_end(rest: impl Iterator<Item = (usize, char)>) -> (Option<usize>, Option<usize>) {
    let mut escaped = false;
    for (i, c) in rest {
        match c {
            '\u{07}' | '\u{9C}' => return (Some(i + c.len_utf8()), None),
            '\\' if escaped => return (Some(i + 1), None),
            '\n' => return (None, Some(i)),
            _ => {}
        }
        escaped = c == '\u{1B}';
    }
    (None, None)
}

/// End of a control sequence, of one with intermediate bytes, or of two bytes. `second`: what follows the escape character at `at`.
fn control_end(rest: impl Iterator<Item = (usize, char)>, second: char, at: usize) -> Option<usize> {
    match second {
        '[' => {
            for (i, c) in rest {
                match c {
                    '\u{20}'..='\u{3F}' => {}
                    '\u{40}'..='\u{7E}' => return Some(i + 1),
                    _ => return None,
                }
            }
            None
        }
        // charset and other sequences with intermediate bytes
        '\u{20}'..='\u{2F}' => {
            for (i, c) in rest {
                match c {
                    '\u{20}'..='\u{2F}' => {}
                    '\u{30}'..='\u{7E}' => return Some(i + 1),
                    _ => return None,
                }
            }
            None
        }
        '\u{30}'..='\u{7E}' => Some(at + 2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::work::grows_with_the_text;

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(sanitize("a\tb\nπ 👩‍🔬"), Cow::Borrowed(_)));
    }

    #[test]
    fn sequences_go_and_controls_show() {
        assert_eq!(sanitize("\x1b[31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;u\x1b\\y\x1b(Bz\x1bcq"), "red xyzq");
        assert_eq!(sanitize("\u{9b}2Ja\u{9d}52;c;!\u{9c}b"), "ab");
        assert_eq!(sanitize("a\0b\x07c\r\nd\re\x7f"), "a␀b␇c\nd␍e␡");
        assert_eq!(SafeText::new("a\x1b", true).text, "a^[");
        assert_eq!(sanitize("x\u{202e}y\u{feff}"), "x\u{fffd}y\u{fffd}");
    }

    #[test]
    fn an_open_sequence_hides_nothing() {
        assert_eq!(sanitize("\x1b]0;evil\nkept"), "␛]0;evil\nkept");
        assert_eq!(sanitize("\x1b[12"), "␛[12");
        assert_eq!(sanitize("\x1b[1é2m"), "␛[1é2m");
    }

    #[test]
    fn nothing_unsafe_survives_any_string_of_controls() {
        let alphabet: Vec<char> = "\x1b[]Pm0;\x07\\\n\u{9b}\u{9c}é\rA".chars().collect();
        let n = alphabet.len();
        for code in 0..n.pow(4) {
            let s: String = (0..4u32).map(|k| alphabet[code / n.pow(k) % n]).collect();
            let safe = SafeText::new(&s, false);
            assert!(is_safe(&safe.text), "{s:?} -> {:?}", safe.text);
            assert_eq!(safe.text.matches('\n').count(), s.matches('\n').count(), "{s:?}");
        }
    }

    #[test]
    fn work_grows_no_faster_than_a_hostile_text() {
        for unit in ["\x1b]", "\u{9d}", "\x1bP1", "\x1b", "\x1b[", "\x1b[1;", "\x1b(", "\x1b]\n", "\x1b]\x1b\\", "\0", "\u{202e}"] {
            grows_with_the_text(
                &format!("{unit:?}"),
                |n| format!("\0{}", unit.repeat(n)),
                |text| {
                    count(1);
                    drop(SafeText::new(text, false));
                },
            );
        }
        assert_eq!(sanitize("\x1b]a\x1b]b\n\x1b]c\x07d"), "␛]a␛]b\nd", "the next line's sequences are looked for anew");
    }

    #[test]
    fn spans_map_both_ways() {
        let source = "ab\x1b[31mcé\x1b[0md\0e";
        let safe = SafeText::new(source, false);
        assert_eq!(safe.text, "abcéd␀e");
        for (piece, shown) in [("ab", "ab"), ("cé", "cé"), ("d\0", "d␀"), ("\x1b[31mcé\x1b[0m", "cé"), ("e", "e")] {
            let start = source.find(piece).unwrap();
            let span = safe.display_span(Span::new(start, start + piece.len()));
            assert_eq!(span.of(&safe.text), shown);
        }
        for (i, c) in safe.text.char_indices() {
            let back = safe.to_source(i);
            assert!(source.is_char_boundary(back));
            if c != '␀' {
                assert_eq!(source[back..].chars().next(), Some(c));
                assert_eq!(safe.to_display(back), i);
            }
        }
        let plain = SafeText::new("abc", false);
        assert_eq!(plain.display_span(Span::new(1, 3)), Span::new(1, 3));
        assert_eq!((plain.to_display(9), plain.to_source(2)), (3, 2));
    }
}
