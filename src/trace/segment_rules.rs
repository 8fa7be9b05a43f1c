//! What the segmenter recognises: tags, step headings, and full stops that end no sentence.

use super::StepKind;
use crate::util::work::count;

/// Whether something stands at the start of a text that may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match<T> {
    Yes(T),
    No,
    /// More text decides.
    Wait,
}

/// Marks that models put around what they think and what they say, and the kind of what follows: `None` where they end something and tell nothing of it.
const TAGS: [(&str, Option<StepKind>); 28] = [
    ("<think>", Some(StepKind::Reasoning)),
    ("</think>", Some(StepKind::Answer)),
    ("<thinking>", Some(StepKind::Reasoning)),
    ("</thinking>", Some(StepKind::Answer)),
    ("<thought>", Some(StepKind::Reasoning)),
    ("</thought>", Some(StepKind::Answer)),
    ("<reasoning>", Some(StepKind::Reasoning)),
    ("</reasoning>", Some(StepKind::Answer)),
    ("<seed:think>", Some(StepKind::Reasoning)),
    ("</seed:think>", Some(StepKind::Answer)),
    ("[THINK]", Some(StepKind::Reasoning)),
    ("[/THINK]", Some(StepKind::Answer)),
    ("<|begin_of_thought|>", Some(StepKind::Reasoning)),
    ("<|end_of_thought|>", Some(StepKind::Answer)),
    ("<|begin_of_solution|>", Some(StepKind::Answer)),
    ("<|end_of_solution|>", Some(StepKind::Answer)),
    ("<|START_THINKING|>", Some(StepKind::Reasoning)),
    ("<|END_THINKING|>", Some(StepKind::Answer)),
    ("<|START_RESPONSE|>", Some(StepKind::Answer)),
    ("<|END_RESPONSE|>", Some(StepKind::Answer)),
    ("<answer>", Some(StepKind::Answer)),
    ("</answer>", Some(StepKind::Answer)),
    ("<|message|>", None),
    ("<|end|>", None),
    ("<|return|>", None),
    ("<|call|>", None),
    ("<|im_end|>", None),
    ("<|endoftext|>", None),
];

/// What opens a message of the harmony format (<https://cookbook.openai.com/articles/openai-harmony>) and ends its header.
const HARMONY: [&str; 2] = ["<|start|>", "<|channel|>"];
const MESSAGE: &str = "<|message|>";
/// Bytes of such a header, at most.
const LONGEST_HEADER: usize = 256;

/// Whether a mark of [`tag_at`] may open with this character.
pub(super) fn may_open_tag(c: char) -> bool {
    matches!(c, '<' | '[')
}

/// The mark that `rest` opens with: its length, and the kind of what follows it, where that changes.
pub(super) fn tag_at(rest: &str, finished: bool) -> Match<(usize, Option<StepKind>)> {
    let mut wait = false;
    for (tag, kind) in TAGS {
        if rest.starts_with(tag) {
            return Match::Yes((tag.len(), kind));
        }
        wait |= !finished && tag.starts_with(rest);
    }
    for opening in HARMONY {
        if rest.starts_with(opening) {
            return harmony_header(rest, finished);
        }
        wait |= !finished && opening.starts_with(rest);
    }
    if wait { Match::Wait } else { Match::No }
}

/// A header such as `<|start|>assistant<|channel|>analysis<|message|>`: what follows is the answer where the channel is `final`.
fn harmony_header(rest: &str, finished: bool) -> Match<(usize, Option<StepKind>)> {
    let end = (0..=rest.len().min(LONGEST_HEADER)).rev().find(|&i| rest.is_char_boundary(i)).unwrap_or_default();
    count(end);
    let Some(at) = rest[..end].find(MESSAGE) else {
        return if !finished && rest.len() < LONGEST_HEADER { Match::Wait } else { Match::No };
    };
    let is_final = rest[..at].rsplit_once(HARMONY[1]).is_some_and(|(_, channel)| channel.trim_start().starts_with("final"));
    Match::Yes((at + MESSAGE.len(), Some(if is_final { StepKind::Answer } else { StepKind::Reasoning })))
}

/// Whether `rest` opens with a heading such as `Step 3:`, `**Step 3.**` or `## Step 3 - …`. `colon`: only a colon will do.
pub(super) fn step_marker(rest: &str, finished: bool, colon: bool) -> Match<()> {
    let bytes = rest.as_bytes();
    let more = |i: usize| i < bytes.len();
    let ended = if finished { Match::No } else { Match::Wait };
    let mut i = 0;
    while more(i) && i < 8 && matches!(bytes[i], b'#' | b'*' | b'_' | b'>' | b'-' | b' ') {
        i += 1;
    }
    for want in *b"step" {
        if !more(i) {
            return ended;
        }
        if bytes[i].to_ascii_lowercase() != want {
            return Match::No;
        }
        i += 1;
    }
    let word = i;
    while more(i) && i < word + 3 && matches!(bytes[i], b' ' | b'\t') {
        i += 1;
    }
    let digits = i;
    while more(i) && i < digits + 4 && bytes[i].is_ascii_digit() {
        i += 1;
    }
    if !more(i) {
        return if finished && i > digits && !colon { Match::Yes(()) } else { ended };
    }
    if i == digits {
        return Match::No;
    }
    let number = i;
    while more(i) && i < number + 4 && matches!(bytes[i], b'*' | b'_' | b' ') {
        i += 1;
    }
    if !more(i) {
        return if finished && !colon { Match::Yes(()) } else { ended };
    }
    let heading = match bytes[i] {
        b':' => true,
        b'.' | b')' | b'-' | b'\n' | b'\r' => !colon,
        // first byte of an en or em dash
        0xE2 => !colon,
        _ => false,
    };
    if heading { Match::Yes(()) } else { Match::No }
}

/// Shortened words, in lower case and without their full stop, that rarely end a sentence before a capital.
const SHORT: [&str; 18] =
    ["mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "eg", "ie", "cf", "eq", "eqs", "fig", "figs", "approx", "viz"];

/// Bytes before a list's number, at most.
const LONGEST_OPENING: usize = 64;

/// Whether a full stop after `line` (the line up to it) belongs to a shortened word, an initial or a list number.
pub(super) fn is_abbreviation(line: &str) -> bool {
    const LONGEST: usize = 12;
    let Some(start) = line.char_indices().rev().take(LONGEST).find(|(_, c)| c.is_whitespace()).map(|(i, c)| i + c.len_utf8()).or(
        // the word is the line's first
        (line.chars().take(LONGEST).count() < LONGEST).then_some(0),
    ) else {
        return false;
    };
    let word = line[start..].trim_start_matches(['(', '[', '"', '\'', '*', '_', '“']);
    let before = &line[..start];
    // What opens a list is short; a longer run of such characters is none, and is not read again for each full stop behind it.
    let opens = |c: char| {
        count(1);
        c.is_whitespace() || matches!(c, '#' | '*' | '-' | '>' | '_')
    };
    let opens_line = || before.len() <= LONGEST_OPENING && before.chars().all(opens);
    let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let letter = word.len() == 1 && word.bytes().all(|b| b.is_ascii_uppercase());
    // "John F. Kennedy", but not "the answer is F. Next"
    let after_name = || before.split_whitespace().next_back().is_some_and(|w| w.chars().next().is_some_and(char::is_uppercase));
    ((number || letter) && opens_line()) || (letter && word != "I" && after_name()) || SHORT.contains(&word.to_lowercase().as_str())
}
