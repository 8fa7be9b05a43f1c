//! A report as Markdown: texts stand in fences that nothing in them can close.

use super::page::{Page, Part, Shown, safe};
use crate::format::write::Options;
use crate::trace::Trace;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A report on its way.
pub(in crate::format::write) struct Markdown<W: Write> {
    out: W,
    options: Options,
}

impl<W: Write> Markdown<W> {
    pub fn begin(mut out: W, options: &Options) -> io::Result<Self> {
        writeln!(out, "# {}", line(&options.title))?;
        Ok(Self { out, options: options.clone() })
    }

    pub fn add(&mut self, trace: &Trace) -> io::Result<()> {
        let page = Page::of(trace, &self.options);
        let mut text = format!("\n## {}\n\n", line(page.name()));
        fenced(&mut text, &safe(&trace.problem));
        if let Some(gold) = &trace.gold_answer {
            let _ = writeln!(text, "\nReference answer: {}", line(gold));
        }
        if let Some(legend) = page.legend().filter(|_| !page.candidates.is_empty()) {
            let _ = writeln!(text, "\n{}", line(&legend));
        }
        for (i, shown) in page.candidates.iter().enumerate() {
            candidate(&mut text, &page, shown, i);
        }
        self.out.write_all(text.as_bytes())
    }

    pub fn end(self) -> W {
        self.out
    }
}

fn candidate(out: &mut String, page: &Page<'_>, shown: &Shown<'_>, at: usize) {
    let title: Vec<String> = shown.title(at, page.candidates.len(), page.trace).iter().map(|part| line(part)).collect();
    let _ = write!(out, "\n### {}\n\n", title.join(" · "));
    let number = shown.candidate.steps.len().max(1).to_string().len();
    let values: Vec<(String, &str)> = shown.values.iter().map(|v| page.value(*v)).collect();
    let wide = values.iter().map(|v| v.0.chars().count()).max().unwrap_or(0);
    let margin = number + 2 + wide + 3;
    let mut text = String::new();
    for part in shown.parts() {
        match part {
            Part::Outside(gap) => indented(&mut text, &" ".repeat(margin), margin, gap.trim()),
            Part::Step(i, step) => {
                for mark in shown.marks(i) {
                    let _ = writeln!(text, "{}{mark}", " ".repeat(margin));
                }
                let (value, side) = values.get(i).map_or(("", "·"), |v| (v.0.as_str(), v.1));
                let head = format!("{:>number$} {side} {value:>wide$}  ", i + 1);
                indented(&mut text, &head, margin, step);
            }
        }
    }
    fenced(out, text.trim_end_matches('\n'));
    if !shown.said.is_empty() {
        out.push_str("\n| signal | by | value | threshold | first step beyond |\n|---|---|---:|---:|---:|\n");
        for s in &shown.said {
            let _ = writeln!(out, "| {} | {} | {} | {} | {} |", line(&s.name), line(&s.source), s.value, s.threshold, s.first);
        }
    }
}

/// A text behind a head; its further lines stand below its first one.
fn indented(out: &mut String, head: &str, margin: usize, text: &str) {
    let text = safe(text);
    for (i, line) in text.split('\n').enumerate() {
        let before = if i == 0 { head.to_owned() } else { " ".repeat(margin) };
        out.push_str(format!("{before}{line}").trim_end());
        out.push('\n');
    }
}

/// A text in a fence that is longer than any run of backquotes in it.
fn fenced(out: &mut String, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let _ = writeln!(out, "{fence}text\n{text}\n{fence}");
}

/// Text of others within a line: on one line, and without anything that Markdown or HTML reads.
fn line(text: &str) -> String {
    let text = safe(text);
    let mut out = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | '.' | ':' | ';' | '-' | '+' | '/' | '?' | '%' | '\'' | '"') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Candidate, GoldDeviation, Segmentation, Signal, segment};

    fn trace(text: &str) -> Trace {
        let steps = segment(text, &Segmentation::Line);
        let values = (0..steps.len()).map(|i| Some(1.0 - i as f32 / 4.0)).collect();
        let c = Candidate { text: text.into(), steps, gold: Some(GoldDeviation::Step(1)), ..Candidate::default() };
        let c = Candidate { signals: vec![Signal::given_steps("score|x", values)], answer: Some("*3*".into()), correct: Some(false), ..c };
        Trace { id: "t_1".into(), problem: "What?".into(), gold_answer: Some("4".into()), candidates: vec![c], ..Trace::default() }
    }

    fn report(trace: &Trace) -> String {
        let mut m = Markdown::begin(Vec::new(), &Options { title: "a.jsonl".into(), ..Options::default() }).unwrap();
        m.add(trace).unwrap();
        String::from_utf8(m.end()).unwrap()
    }

    #[test]
    fn a_report_shows_values_marks_and_signals() {
        let said = report(&trace("one\ntwo\nthree\nfour"));
        let want = "\
# a.jsonl

## t\\_1

```text
What?
```

Reference answer: 4

values: score\\|x; pivot 0.50

### Candidate · score\\|x 0.62 · answer \\*3\\* ✗ wrong

```text
1 ▲ 1.00  one
          ◆ labelled first wrong step
2 ▲ 0.75  two
3 ▲ 0.50  three
          ✗ first deviation
4 ▼ 0.25  four
```

| signal | by | value | threshold | first step beyond |
|---|---|---:|---:|---:|
| score\\|x | file | 0.62 |  |  |
";
        assert_eq!(said, want);
    }

    #[test]
    fn nothing_in_a_text_gets_out_of_its_fence() {
        let said = report(&trace("```\n# heading\n````\x1b[31m<script>"));
        assert!(said.contains("`````text\n") && !said.contains('\x1b'), "{said}");
        assert_eq!(said.lines().filter(|l| *l == "`````").count(), 1);
        assert_eq!(said.lines().filter(|l| l.starts_with('#')).count(), 3);
    }
}
