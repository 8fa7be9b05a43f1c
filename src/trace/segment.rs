//! Cutting a candidate into steps while its text arrives.

use super::segment_rules::{Match, is_abbreviation, may_open_tag, step_marker, tag_at};
use super::{Span, Step, StepKind};
use crate::util::work::count;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What ends a step. Marks of thoughts and answers (`<think>`, `</think>`, `<thinking>`, `<answer>`, `<|begin_of_thought|>`, `[THINK]`, the harmony format's
/// channels and others) end one under every rule but `Given`, and belong to none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segmentation {
    /// Chosen from the first lines: "Step N:" headings, else paragraphs where a blank line comes first, else lines, else sentences.
    ///
    /// A line that ends in a colon or stands in displayed mathematics or a code fence decides nothing. Sentences are chosen after
    /// 1,200 bytes without a line break, or at the end. No step closes before the choice.
    #[default]
    Auto,
    /// A line of nothing but whitespace.
    BlankLine,
    /// Every line feed.
    Line,
    /// A line (or, with a colon, a sentence) that opens with "Step N"; what stands before the first is a step of its own.
    StepMarker,
    /// The end of a sentence, or a blank line.
    Sentence,
    /// This text, which stays with the step it ends.
    Separator(String),
    /// Nothing: the steps are known.
    Given(Vec<Step>),
}

impl FromStr for Segmentation {
    type Err = String;

    /// Reads `auto`, `blank`, `line`, `step`, `sentence` or `sep:TEXT` (`\n` and `\t` in TEXT stand for a line feed and a tab).
    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "auto" => Self::Auto,
            "blank" => Self::BlankLine,
            "line" => Self::Line,
            "step" => Self::StepMarker,
            "sentence" => Self::Sentence,
            _ => match s.strip_prefix("sep:") {
                Some(text) if !text.is_empty() => Self::Separator(text.replace("\\n", "\n").replace("\\t", "\t")),
                _ => return Err(format!("'{s}' names no way to cut steps; use auto, blank, line, step, sentence or sep:TEXT")),
            },
        })
    }
}

/// The steps of a whole text.
pub fn segment(text: &str, how: &Segmentation) -> Vec<Step> {
    let mut segmenter = Segmenter::new(how.clone());
    let mut steps = segmenter.push(text);
    steps.extend(segmenter.finish(text));
    steps
}

/// Bytes without a line break after which `Auto` settles for sentences.
const SENTENCE_AFTER: usize = 1200;

/// Cuts a growing text into steps; which steps come out depends on the text alone, not on the pieces it came in.
///
/// Work is proportional to the new text (`Auto` reads the text up to its choice twice).
#[derive(Clone, Debug)]
pub struct Segmenter {
    how: Segmentation,
    scan: Scan,
    finished: bool,
}

/// Where the reading stands.
#[derive(Clone, Debug, Default)]
struct Scan {
    /// Bytes judged so far; what follows waits for more text.
    pos: usize,
    /// First byte of the open step that is not whitespace, and the end of the last one so far.
    open: Option<Span>,
    kind: StepKind,
    line_start: usize,
    line_blank: bool,
    /// Line feeds since the last byte that was not whitespace.
    breaks: usize,
    fence: Option<Fence>,
    sentence: Sentence,
    /// `Given`: steps reported.
    given: usize,
    /// `Auto`: what was seen.
    hints: Hints,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Fence {
    mark: char,
    line: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Sentence {
    #[default]
    Inside,
    /// Just after closing punctuation; quotes and brackets may follow. `spaced`: whitespace must follow.
    Closing { spaced: bool },
    /// Whitespace after it.
    Space,
}

#[derive(Clone, Copy, Debug, Default)]
struct Hints {
    first_text: Option<usize>,
    any_break: bool,
    /// A line ended that may decide.
    line_ended: bool,
    in_display: bool,
}

impl Segmenter {
    /// A segmenter that has seen nothing.
    pub fn new(how: Segmentation) -> Self {
        Self { how, scan: Scan { line_blank: true, ..Scan::default() }, finished: false }
    }

    /// The rule in force; for `Auto` what it chose, once it has.
    pub fn segmentation(&self) -> &Segmentation {
        &self.how
    }

    /// Reads what was appended and returns the steps it closed. `text` is the whole text so far, an extension of what was pushed before.
    pub fn push(&mut self, text: &str) -> Vec<Step> {
        let mut closed = Vec::new();
        if !self.finished {
            self.run(text, &mut closed);
        }
        closed
    }

    /// Closes what is open: nothing follows `text`. Returns the steps that closed since the last `push`.
    pub fn finish(&mut self, text: &str) -> Vec<Step> {
        let mut closed = Vec::new();
        if !self.finished {
            self.finished = true;
            self.run(text, &mut closed);
            self.close(&mut closed);
        }
        closed
    }

    /// The step that is being written, `None` where it has no text yet. Bytes that could still become a tag or a heading are left out.
    pub fn open(&self) -> Option<Step> {
        if let Segmentation::Given(steps) = &self.how {
            let step = steps.get(self.scan.given)?;
            let span = Span::new(step.span.start, step.span.end.min(self.scan.pos));
            return (!span.is_empty()).then_some(Step { span, ..*step });
        }
        self.scan.open.map(|span| Step { span, kind: self.scan.kind, ..Step::default() })
    }

    fn run(&mut self, text: &str, closed: &mut Vec<Step>) {
        if matches!(self.how, Segmentation::Given(_)) {
            return self.run_given(text, closed);
        }
        if self.how == Segmentation::Auto {
            let Some(choice) = self.choose(text) else { return };
            *self = Self { finished: self.finished, ..Self::new(choice) };
        }
        while self.judge(text, closed) {}
    }

    fn run_given(&mut self, text: &str, closed: &mut Vec<Step>) {
        let Segmentation::Given(steps) = &self.how else { return };
        while let Some(step) = steps.get(self.scan.given).filter(|s| s.span.end <= text.len()) {
            closed.push(*step);
            self.scan.given += 1;
        }
        if self.finished
            && let Some(step) = steps.get(self.scan.given).filter(|s| s.span.start < text.len())
        {
            closed.push(Step { span: Span::new(step.span.start, text.len()), ..*step });
            self.scan.given = steps.len();
        }
        self.scan.pos = text.len();
    }

    fn close(&mut self, closed: &mut Vec<Step>) {
        if let Some(span) = self.scan.open.take() {
            closed.push(Step { span, kind: self.scan.kind, ..Step::default() });
        }
        self.scan.sentence = Sentence::Inside;
    }

    /// Judges one character, tag or separator at `pos`; false where the text has ended or more of it is needed.
    fn judge(&mut self, text: &str, closed: &mut Vec<Step>) -> bool {
        count(1);
        let at = self.scan.pos;
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else { return false };

        if let Segmentation::Separator(token) = &self.how
            && !token.is_empty()
        {
            if rest.starts_with(token.as_str()) {
                let len = token.len();
                let mark = Span::new(at + len - token.trim_start().len(), at + token.trim_end().len());
                if !mark.is_empty() {
                    self.scan.open.get_or_insert(mark).end = mark.end;
                }
                self.close(closed);
                self.scan.pos = at + len;
                return true;
            }
            if !self.finished && token.starts_with(rest) {
                return false;
            }
        }
        if may_open_tag(c) {
            match tag_at(rest, self.finished) {
                Match::Yes((len, kind)) => {
                    self.close(closed);
                    self.scan.kind = kind.unwrap_or(self.scan.kind);
                    self.scan.pos = at + len;
                    self.scan.line_start = at + len;
                    self.scan.line_blank = true;
                    self.scan.breaks = 0;
                    self.scan.fence = None;
                    return true;
                }
                Match::Wait => return false,
                Match::No => {}
            }
        }
        if c == '\n' {
            self.line_feed(text, closed);
            return true;
        }
        let after = at + c.len_utf8();
        if c.is_whitespace() {
            if let Sentence::Closing { .. } = self.scan.sentence {
                self.scan.sentence = Sentence::Space;
            }
            self.scan.pos = after;
            return true;
        }

        if self.scan.fence.is_none() {
            if self.scan.line_blank {
                match opens_fence(rest, self.finished) {
                    Match::Yes(()) => self.scan.fence = Some(Fence { mark: c, line: self.scan.line_start }),
                    Match::Wait => return false,
                    Match::No => {}
                }
            }
            if self.how == Segmentation::StepMarker && (self.scan.line_blank || self.scan.sentence == Sentence::Space) {
                match step_marker(rest, self.finished, !self.scan.line_blank) {
                    Match::Yes(()) => self.close(closed),
                    Match::Wait => return false,
                    Match::No => {}
                }
            }
            self.sentence(text, c, closed);
        }
        self.scan.line_blank = false;
        self.scan.breaks = 0;
        self.scan.open.get_or_insert(Span::new(at, after)).end = after;
        self.scan.pos = after;
        true
    }

    fn line_feed(&mut self, text: &str, closed: &mut Vec<Step>) {
        let at = self.scan.pos;
        let line = &text[self.scan.line_start..at];
        let mut fenced = false;
        if let Some(fence) = self.scan.fence {
            fenced = true;
            if fence.line != self.scan.line_start && closes_fence(line, fence.mark) {
                self.scan.fence = None;
            }
        }
        if self.scan.fence.is_none() {
            let blank = self.scan.line_blank && self.scan.breaks > 0;
            match self.how {
                Segmentation::Line => self.close(closed),
                Segmentation::BlankLine | Segmentation::Sentence if blank && !fenced => self.close(closed),
                _ => {}
            }
        }
        if let Sentence::Closing { .. } = self.scan.sentence {
            self.scan.sentence = Sentence::Space;
        }
        self.scan.breaks += 1;
        self.scan.line_blank = true;
        self.scan.line_start = at + 1;
        self.scan.pos = at + 1;
    }

    /// Follows sentence ends; in `Sentence` closes the step before a character that opens the next one.
    fn sentence(&mut self, text: &str, c: char, closed: &mut Vec<Step>) {
        let cuts = self.how == Segmentation::Sentence;
        if !cuts && self.how != Segmentation::StepMarker {
            return;
        }
        let ends = match self.scan.sentence {
            Sentence::Space => !c.is_lowercase(),
            Sentence::Closing { spaced: false } => !is_closer(c) && !is_wide_stop(c),
            _ => false,
        };
        if ends && cuts {
            self.close(closed);
        }
        self.scan.sentence = match (self.scan.sentence, c) {
            (_, c) if is_wide_stop(c) => Sentence::Closing { spaced: false },
            (_, '!' | '?') => Sentence::Closing { spaced: true },
            (_, '.') => {
                let line = &text[self.scan.line_start..self.scan.pos];
                if is_abbreviation(line) { Sentence::Inside } else { Sentence::Closing { spaced: true } }
            }
            (before @ Sentence::Closing { .. }, c) if is_closer(c) => before,
            _ => Sentence::Inside,
        };
    }

    /// What `Auto` settles for, once the text says.
    fn choose(&mut self, text: &str) -> Option<Segmentation> {
        loop {
            let at = self.scan.pos;
            let rest = &text[at..];
            let Some(c) = rest.chars().next() else {
                return self.finished.then_some(if self.scan.hints.any_break { Segmentation::Line } else { Segmentation::Sentence });
            };
            if may_open_tag(c) {
                match tag_at(rest, self.finished) {
                    Match::Yes((len, kind)) => {
                        let kind = kind.unwrap_or(self.scan.kind);
                        // the finest steps that could still come out end here: what is open is of the new kind
                        self.scan = Scan { pos: at + len, line_start: at + len, line_blank: true, kind, ..Scan::default() };
                        continue;
                    }
                    Match::Wait => return None,
                    Match::No => {}
                }
            }
            let after = at + c.len_utf8();
            if c == '\n' {
                if let Some(choice) = self.choose_at_line_feed(&text[self.scan.line_start..at]) {
                    return Some(choice);
                }
                self.scan.line_start = after;
                self.scan.line_blank = true;
                self.scan.breaks += 1;
                self.scan.pos = after;
                continue;
            }
            if !c.is_whitespace() {
                if self.scan.line_blank && self.scan.fence.is_none() {
                    match step_marker(rest, self.finished, false) {
                        Match::Yes(()) => return Some(Segmentation::StepMarker),
                        Match::Wait => return None,
                        Match::No => {}
                    }
                    match opens_fence(rest, self.finished) {
                        Match::Yes(()) => self.scan.fence = Some(Fence { mark: c, line: self.scan.line_start }),
                        Match::Wait => return None,
                        Match::No => {}
                    }
                    if self.scan.hints.line_ended {
                        return Some(Segmentation::Line);
                    }
                    self.scan.hints.any_break |= self.scan.open.is_some();
                }
                let first = *self.scan.hints.first_text.get_or_insert(at);
                if !self.scan.hints.any_break && self.scan.fence.is_none() && at - first >= SENTENCE_AFTER {
                    return Some(Segmentation::Sentence);
                }
                self.scan.line_blank = false;
                self.scan.breaks = 0;
                self.scan.open.get_or_insert(Span::new(at, after)).end = after;
            }
            self.scan.pos = after;
        }
    }

    fn choose_at_line_feed(&mut self, line: &str) -> Option<Segmentation> {
        if let Some(fence) = self.scan.fence {
            if fence.line != self.scan.line_start && closes_fence(line, fence.mark) {
                self.scan.fence = None;
            }
            return None;
        }
        if self.scan.line_blank {
            return (self.scan.breaks > 0 && self.scan.open.is_some()).then_some(Segmentation::BlankLine);
        }
        let line = line.trim();
        let hints = &mut self.scan.hints;
        for (i, _) in line.match_indices(['$', '\\']) {
            let opens = line[i..].starts_with("\\[") || line[i..].starts_with("\\begin{");
            let closes = line[i..].starts_with("\\]") || line[i..].starts_with("\\end{");
            if line[i..].starts_with("$$") && !line[..i].ends_with('$') {
                hints.in_display = !hints.in_display;
            } else if opens || closes {
                hints.in_display = opens;
            }
        }
        hints.line_ended |= !hints.in_display && !line.ends_with(':') && !line.ends_with("\\]") && !line.ends_with("$$");
        None
    }
}

fn opens_fence(rest: &str, finished: bool) -> Match<()> {
    for mark in ["```", "~~~"] {
        if rest.starts_with(mark) {
            return Match::Yes(());
        }
        if !finished && mark.starts_with(rest) {
            return Match::Wait;
        }
    }
    Match::No
}

fn closes_fence(line: &str, mark: char) -> bool {
    let line = line.trim();
    line.len() >= 3 && line.chars().all(|c| c == mark)
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '}' | '*' | '_' | '$' | '”' | '’' | '»' | '」' | '』' | '）')
}

fn is_wide_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::work::grows_with_the_text;

    const TEXTS: &[&str] = &[
        "",
        " \n\t ",
        "one",
        "Natalia sold 48/2 = 24 clips in May.\nNatalia sold 48+24 = 72 clips.\n#### 72",
        "First, see.\n\nThen é π 漢字.\n \t\n\nLast\r\n\r\nCRLF",
        "We have:\n1. two\n2. three\n\nSo 5.",
        "<think>\nOkay, so\nit goes.\n\nWait. </think>\nThe answer is <answer> 42 </answer> done",
        "<think></think>x<answer></answer>",
        "<|channel|>analysis<|message|>So. 2<|end|><|start|>assistant<|channel|>final<|message|>It is 2.<|return|>",
        "<|start|> no header\n<|channel|>fin",
        "<|begin_of_thought|>\n\na\n\nb\n<|end_of_thought|>\n<|begin_of_solution|> c <|end_of_solution|>",
        "[THINK]a\nb[/THINK]c [TH",
        "a < b and </thin air <thi",
        "Step 1: add. Step 2: no\nstep 3 - do\n**Step 4:** end\nStepping 5: no\nStep",
        "Let us see.\nStep 1: a\nb\n\nc\nStep 2 is wrong\n## Step 2. d",
        "Code:\n```py\na = 1.\n\nb = 2. C\n```\nDone. Ok\n\nEnd",
        "~~~\nopen fence\n\n never closes",
        "Mr. Fox has 3.5 kg, e.g. Apples. He eats 2! Really?\" she said. \"Yes (i.e. no).\" So e.g. this. 1. A",
        "二つあります。「はい。」三つ！終わり",
        "1. First item here. 2 more. A. b. The answer is B. Next. John F. Kennedy.",
        "x ки\ny kи z ки\n к",
        "\\[\n1+1\n\\]\nso 2\nend",
        "$$\nx\n$$ \n\nthen",
        "``` a\n``",
        "word…. Then... and ...Then ..",
    ];

    fn rules(text: &str) -> Vec<Segmentation> {
        let line = segment(text, &Segmentation::Line);
        let sep = |s: &str| Segmentation::Separator(s.to_owned());
        vec![
            Segmentation::Auto,
            Segmentation::BlankLine,
            Segmentation::Line,
            Segmentation::StepMarker,
            Segmentation::Sentence,
            sep("ки"),
            sep(" ки"),
            sep("\n\n"),
            sep("aab"),
            Segmentation::Given(line),
        ]
    }

    /// Texts of four pieces, drawn so that tags, fences, headings and breaks meet.
    fn mixed() -> Vec<String> {
        let pieces = ["\n", "\n\n", "```", "Step 1:", "a.", " B", "<think>", "</think>", "Step", "é:", "\\[", " "];
        let n = pieces.len();
        (0..n.pow(4)).map(|code| (0..4u32).map(|k| pieces[code / n.pow(k) % n]).collect()).collect()
    }

    fn check(text: &str, how: &Segmentation, every_split: bool) {
        let whole = segment(text, how);
        let mut end = 0;
        for s in &whole {
            assert!(s.span.start >= end && !s.span.is_empty(), "{how:?} {text:?} {whole:?}");
            assert_eq!(s.span.of(text).trim(), s.span.of(text), "{how:?} {text:?}");
            assert!(!s.span.of(text).is_empty());
            end = s.span.end;
        }
        let cuts: Vec<usize> = text.char_indices().map(|c| c.0).chain([text.len()]).collect();
        let mut by_char = Segmenter::new(how.clone());
        let mut steps = Vec::new();
        for &cut in &cuts {
            let new = by_char.push(&text[..cut]);
            assert!(new.iter().all(|s| s.span.end <= cut));
            steps.extend(new);
            if let Some(open) = by_char.open() {
                assert!(open.span.end <= cut && steps.iter().all(|s: &Step| s.span.end <= open.span.start), "{how:?} {text:?}");
            }
            // what closed so far is the same however it came
            let mut at_once = Segmenter::new(how.clone());
            assert_eq!(at_once.push(&text[..cut]), steps, "{how:?} {:?}", &text[..cut]);
            if every_split {
                let mut split = steps.clone();
                let mut rest = at_once;
                split.extend(rest.push(text));
                split.extend(rest.finish(text));
                assert_eq!(split, whole, "{how:?} {text:?} cut at {cut}");
            }
        }
        steps.extend(by_char.finish(text));
        assert_eq!(steps, whole, "{how:?} {text:?} char by char");
        assert!(by_char.finish(text).is_empty() && by_char.push(text).is_empty() && by_char.open().is_none());
    }

    #[test]
    fn steps_do_not_depend_on_the_pieces() {
        let long = format!("{} End\n\nNew. Ok", "It is so. ".repeat(150));
        for text in TEXTS.iter().copied().chain([long.as_str()]) {
            for how in rules(text) {
                check(text, &how, text.len() < 300);
            }
        }
        for text in mixed() {
            for how in &rules("")[..5] {
                check(&text, how, false);
            }
        }
    }

    fn shown(text: &str, how: Segmentation) -> Vec<&str> {
        segment(text, &how).iter().map(|s| s.span.of(text)).collect()
    }

    #[test]
    fn auto_reads_the_first_lines() {
        let auto = |text: &str| {
            let mut s = Segmenter::new(Segmentation::Auto);
            s.push(text);
            s.finish(text);
            s.segmentation().clone()
        };
        assert_eq!(auto(TEXTS[3]), Segmentation::Line);
        assert_eq!(auto(TEXTS[4]), Segmentation::BlankLine);
        assert_eq!(auto("We see:\n\nx\ny"), Segmentation::BlankLine);
        assert_eq!(auto("We see:\n- a\n- b\n\nc"), Segmentation::Line);
        assert_eq!(auto("Thus\n\\[\nx\n\\]\n\ny"), Segmentation::Line);
        assert_eq!(auto("\\[\nx\n\\]\n\ny"), Segmentation::BlankLine);
        assert_eq!(auto(TEXTS[13]), Segmentation::StepMarker);
        assert_eq!(auto(TEXTS[14]), Segmentation::StepMarker);
        assert_eq!(auto("It is so. It is not."), Segmentation::Sentence);
        assert_eq!(auto(&"It is so. ".repeat(200)), Segmentation::Sentence);
        assert_eq!(auto("<think>\na\n\nb</think>\nc"), Segmentation::BlankLine);
    }

    #[test]
    fn a_line_closes_as_soon_as_the_next_begins() {
        let mut s = Segmenter::new(Segmentation::Auto);
        assert!(s.push("a = 1\n").is_empty());
        assert_eq!(s.push("a = 1\nb").len(), 1);
        assert_eq!(s.push("a = 1\nb = 2\n").len(), 1);
        assert_eq!(s.open(), None);
        s.push("a = 1\nb = 2\n  c");
        assert_eq!(s.open().unwrap().span, Span::new(14, 15));
    }

    #[test]
    fn tags_end_steps_and_set_their_kind() {
        let text = TEXTS[6];
        let steps = segment(text, &Segmentation::Auto);
        let parts: Vec<_> = steps.iter().map(|s| (s.span.of(text), s.kind)).collect();
        assert_eq!(
            parts,
            [
                ("Okay, so", StepKind::Reasoning),
                ("it goes.", StepKind::Reasoning),
                ("Wait.", StepKind::Reasoning),
                ("The answer is", StepKind::Answer),
                ("42", StepKind::Answer),
                ("done", StepKind::Answer)
            ]
        );
    }

    #[test]
    fn marks_of_other_models_end_steps_too() {
        use StepKind::{Answer, Reasoning};
        let parts = |text: &'static str| -> Vec<(&str, StepKind)> {
            segment(text, &Segmentation::Line).iter().map(|s| (s.span.of(text), s.kind)).collect()
        };
        assert_eq!(parts(TEXTS[8]), [("So. 2", Reasoning), ("It is 2.", Answer)]);
        assert_eq!(parts(TEXTS[9]), [("<|start|> no header", Reasoning), ("<|channel|>fin", Reasoning)]);
        assert_eq!(parts(TEXTS[10]), [("a", Reasoning), ("b", Reasoning), ("c", Answer)]);
        assert_eq!(parts(TEXTS[11]), [("a", Reasoning), ("b", Reasoning), ("c [TH", Answer)]);
        assert_eq!(parts("<thinking>a</thinking>b<|im_end|>"), [("a", Reasoning), ("b", Answer)]);
        assert_eq!(
            parts("<|channel|>commentary to=functions.add <|constrain|>json<|message|>{}<|call|>x"),
            [("{}", Reasoning), ("x", Reasoning)]
        );
    }

    #[test]
    fn every_rule_cuts_where_it_says() {
        assert_eq!(shown("a\n\n\nb\nc\n \nd", Segmentation::BlankLine), ["a", "b\nc", "d"]);
        assert_eq!(shown("a\n\n b \nc", Segmentation::Line), ["a", "b", "c"]);
        assert_eq!(
            shown(TEXTS[13], Segmentation::StepMarker),
            ["Step 1: add.", "Step 2: no", "step 3 - do", "**Step 4:** end\nStepping 5: no\nStep"]
        );
        assert_eq!(shown(TEXTS[14], Segmentation::StepMarker), ["Let us see.", "Step 1: a\nb\n\nc\nStep 2 is wrong", "## Step 2. d"]);
        assert_eq!(
            shown(TEXTS[17], Segmentation::Sentence),
            ["Mr. Fox has 3.5 kg, e.g. Apples.", "He eats 2!", "Really?\" she said.", "\"Yes (i.e. no).\"", "So e.g. this.", "1.", "A"]
        );
        assert_eq!(shown(TEXTS[18], Segmentation::Sentence), ["二つあります。", "「はい。」", "三つ！", "終わり"]);
        assert_eq!(shown(TEXTS[20], Segmentation::Separator("ки".into())), ["x ки", "y kи z ки", "к"]);
        assert_eq!(shown("a\n\nb", Segmentation::Separator("\n\n".into())), ["a", "b"]);
    }

    #[test]
    fn a_code_fence_stays_whole() {
        let fence = "```py\na = 1.\n\nb = 2. C\n```";
        for how in [Segmentation::Line, Segmentation::BlankLine, Segmentation::Sentence] {
            let steps = shown(TEXTS[15], how.clone());
            assert!(steps.iter().any(|s| s.contains(fence)), "{how:?} {steps:?}");
            assert!(steps.len() > 1);
        }
        assert_eq!(shown(TEXTS[16], Segmentation::BlankLine).len(), 1);
    }

    #[test]
    fn names_of_rules_are_read() {
        assert_eq!("blank".parse(), Ok(Segmentation::BlankLine));
        assert_eq!("sep:\\n\\n".parse(), Ok(Segmentation::Separator("\n\n".into())));
        assert!("sep:".parse::<Segmentation>().unwrap_err().contains("sep:TEXT"));
    }

    #[test]
    fn work_grows_no_faster_than_a_hostile_text() {
        let units = [
            "- ",
            "- 1. ",
            "A. ",
            ". ",
            "$$",
            "\\[",
            "<think",
            "<|start|>",
            "[T",
            "`",
            "``` ",
            "Step ",
            "# Step 1",
            "1) ",
            "\n",
            "\n\n",
            " \n-",
            "e.g. ",
        ];
        for unit in units {
            for how in ["auto", "blank", "line", "step", "sentence", "sep:ab"] {
                let how: Segmentation = how.parse().unwrap();
                let both = |n: usize| format!("{}{}", "- ".repeat(n), unit.repeat(n));
                grows_with_the_text(&format!("{unit:?} {how:?}"), both, |text| drop(segment(text, &how)));
            }
        }
    }
}
