//! Lints that look at one candidate.

use super::repeat::{loop_at_end, repeated_line};
use super::{Code, Lint, Severity};
use crate::trace::{Candidate, FinishReason, Span, sanitize};

/// Marks that begin a sequence.
const BEGIN: [&str; 4] = ["<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>"];
/// Other marks that a tokenizer adds and text should not hold.
const SPECIAL: [&str; 11] = [
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<|end▁of▁sentence|>",
];

/// Findings about one candidate; their `candidate` is `None`.
pub fn lint_candidate(c: &Candidate) -> Vec<Lint> {
    let mut out = Vec::new();
    let mut add = |severity, code, message: String| out.push(Lint { severity, code, message, candidate: None });
    let ended = c.finish.is_some();
    match &c.finish {
        Some(FinishReason::Length) => {
            add(Severity::Warning, Code::Truncated, "ended by the token budget; its answer and last step may be missing".into());
        }
        Some(FinishReason::Failed(why)) => add(Severity::Warning, Code::Unfinished, format!("generation failed: {why}")),
        Some(FinishReason::Cancelled) => add(Severity::Note, Code::Unfinished, "cancelled before its end".into()),
        Some(FinishReason::Stop) | None => {}
    }
    if c.text.trim().is_empty() {
        if ended || !c.rewards().is_empty() {
            add(Severity::Warning, Code::EmptyText, "has no text".into());
        }
    } else {
        text(c, ended, &mut add);
    }
    let bad = c.rewards().iter().filter(|r| !r.value.is_finite()).count();
    if bad > 0 {
        let message = format!("{bad} of {} token rewards are not finite; their steps have no reward", c.rewards().len());
        add(Severity::Error, Code::BadReward, message);
    }
    let lists: [(&str, Vec<Span>); 3] = [
        ("step", c.steps.iter().map(|s| s.span).collect()),
        ("token", c.tokens.iter().map(|t| t.span).collect()),
        ("reward", c.rewards().iter().map(|r| r.span).collect()),
    ];
    for (what, spans) in lists {
        if let Some(message) = bad_span(what, &spans, &c.text) {
            add(Severity::Error, Code::BadSpans, message);
        }
    }
    out
}

fn text(c: &Candidate, ended: bool, add: &mut impl FnMut(Severity, Code, String)) {
    if let Some((unit, times)) = loop_at_end(&c.text) {
        add(Severity::Warning, Code::Repetition, format!("ends in a loop: \"{}\", {times} times", short(&unit)));
    } else if let Some((line, times)) = repeated_line(&c.text) {
        add(Severity::Warning, Code::Repetition, format!("a line comes {times} times: \"{}\"", short(line)));
    }
    let begins: usize = BEGIN.iter().map(|b| c.text.matches(b).count()).sum();
    if begins > 1 {
        add(Severity::Error, Code::DoubleBos, format!("{begins} begin-of-sequence marks; a template and a tokenizer may both add one"));
    }
    let mut found: Vec<&str> = SPECIAL.into_iter().filter(|s| c.text.contains(s)).collect();
    if begins == 1 {
        found.extend(BEGIN.into_iter().filter(|b| c.text.contains(b)));
    }
    if !found.is_empty() {
        add(Severity::Warning, Code::SpecialToken, format!("special tokens as text: {}", found.join(" ")));
    }
    let controls = c.text.chars().filter(|&ch| (ch.is_control() && !matches!(ch, '\n' | '\t' | '\r')) || is_direction(ch)).count();
    if controls > 0 {
        add(Severity::Warning, Code::ControlCharacters, format!("{controls} control or direction characters; they are shown as glyphs"));
    }
    let undecodable = c.text.matches('\u{FFFD}').count();
    if undecodable > 0 {
        add(Severity::Note, Code::Undecodable, format!("{undecodable} characters could not be decoded"));
    }
    for (open, close) in [("<think>", "</think>"), ("<answer>", "</answer>")] {
        if ended && c.text.matches(open).count() > c.text.matches(close).count() {
            add(Severity::Warning, Code::OpenTag, format!("{open} is never closed"));
        }
    }
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn bad_span(what: &str, spans: &[Span], text: &str) -> Option<String> {
    let mut end = 0;
    for (i, s) in spans.iter().enumerate() {
        let fits = text.get(s.start..s.end).is_some();
        if !fits || s.start < end {
            let why = if fits { "starts before the one before it ends" } else { "does not fit the text" };
            return Some(format!("{what} {i} ({}..{}) {why}", s.start, s.end));
        }
        end = s.end;
    }
    None
}

/// At most 40 characters on one line, safe to show.
fn short(text: &str) -> String {
    let line: String = sanitize(text.trim()).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Step, TokenValue};

    fn codes(c: &Candidate) -> Vec<Code> {
        lint_candidate(c).into_iter().map(|l| l.code).collect()
    }

    fn with(text: &str) -> Candidate {
        Candidate { text: text.into(), ..Candidate::default() }
    }

    #[test]
    fn a_sound_candidate_has_no_findings() {
        let mut c = with("<think>\nIt is so.\n</think>\n\t<answer>4</answer>\r\n");
        c.finish = Some(FinishReason::Stop);
        assert_eq!(codes(&c), []);
        assert_eq!(codes(&Candidate::default()), []);
    }

    #[test]
    fn ends_are_judged_once_they_are_there() {
        assert_eq!(codes(&with("<think> still")), []);
        let mut c = with("<think> still");
        c.finish = Some(FinishReason::Length);
        assert_eq!(codes(&c), [Code::Truncated, Code::OpenTag]);
        let mut c = with(" \n");
        c.finish = Some(FinishReason::Failed("gone".into()));
        assert_eq!(codes(&c), [Code::Unfinished, Code::EmptyText]);
    }

    #[test]
    fn marks_and_characters_are_found() {
        assert_eq!(codes(&with("<s><s>a")), [Code::DoubleBos]);
        assert_eq!(codes(&with("<s>a</s>")), [Code::SpecialToken]);
        assert_eq!(codes(&with("a\x1b[0m")), [Code::ControlCharacters]);
        assert_eq!(codes(&with("a\u{202e}b\u{fffd}")), [Code::ControlCharacters, Code::Undecodable]);
    }

    #[test]
    fn loops_are_named_safely() {
        let lints = lint_candidate(&with(&"go \x1b[31mon and on and on\n".repeat(12)));
        let repeat = lints.iter().find(|l| l.code == Code::Repetition).unwrap();
        assert!(!repeat.message.contains('\x1b') && repeat.message.contains("loop"), "{}", repeat.message);
    }

    #[test]
    fn figures_that_cannot_be_trusted_are_errors() {
        let mut c = with("abé");
        c = c.with_rewards(vec![TokenValue { span: Span::new(0, 1), value: f32::NAN }, TokenValue { span: Span::new(1, 3), value: 0.0 }]);
        c.steps = vec![Step { span: Span::new(0, 2), ..Step::default() }, Step { span: Span::new(1, 2), ..Step::default() }];
        let lints = lint_candidate(&c);
        assert!(lints.iter().all(|l| l.severity == Severity::Error));
        assert_eq!(codes(&c), [Code::BadReward, Code::BadSpans, Code::BadSpans]);
        assert!(lints[1].message.contains("step 1 (1..2) starts before"), "{}", lints[1].message);
        assert!(lints[2].message.contains("reward 1 (1..3) does not fit"), "{}", lints[2].message);
    }
}
