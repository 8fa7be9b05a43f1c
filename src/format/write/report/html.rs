//! A report as one HTML page: no script, nothing from elsewhere, light and dark as the reader has it.

use super::page::{Page, Part, Shown, safe};
use crate::format::write::Options;
use crate::trace::Trace;
use crate::util::html::escape;
use std::fmt::Write as _;
use std::io::{self, Write};

const STYLE: &str = "
:root{--ink:#1d1d1f;--soft:#5c5c63;--rule:#d9d9de;--page:#fff;--band:#f5f6f8;--mark:#a3260c;--gold:#7a5600;
--b4:#f6b98a;--b3:#f9cdab;--b2:#fbdfc9;--b1:#fdf0e5;--g1:#e9f1fa;--g2:#d3e4f5;--g3:#bbd5ef;--g4:#a0c4e8;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8ea;--soft:#a9a9b2;--rule:#3c3c43;--page:#17181a;--band:#1f2124;--mark:#ff9c82;--gold:#e8c56a;
--b4:#7a3f12;--b3:#633514;--b2:#4d2c15;--b1:#372315;--g1:#1a2733;--g2:#1c3145;--g3:#1e3c58;--g4:#20476c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.5rem;margin:0 0 16px;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:40px 0 8px;overflow-wrap:anywhere}
h3{font-size:1rem;margin:28px 0 8px;overflow-wrap:anywhere}
.text{white-space:pre-wrap;overflow-wrap:anywhere}
.problem{background:var(--band);padding:10px 14px;border-radius:6px}
.soft{color:var(--soft);font-size:.9rem;margin:6px 0}
.step{display:grid;grid-template-columns:minmax(3.2em,max-content) 6.5em 1fr;border-top:1px solid var(--rule);padding:3px 0}
.step>.n,.step>.v{font-variant-numeric:tabular-nums;text-align:right;padding-right:.8em}
.n{color:var(--soft)}
.v{align-self:start;border-radius:4px;white-space:nowrap}
.out{color:var(--soft);padding:3px 0 3px 9.7em}
.mark{color:var(--mark);font-weight:600;padding-left:9.7em}
.gold{color:var(--gold);font-weight:600;padding-left:9.7em}
.b4{background:var(--b4)}.b3{background:var(--b3)}.b2{background:var(--b2)}.b1{background:var(--b1)}
.g1{background:var(--g1)}.g2{background:var(--g2)}.g3{background:var(--g3)}.g4{background:var(--g4)}
.wide{overflow-x:auto;margin-top:8px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left;overflow-wrap:anywhere}
@media print{main{max-width:none;padding:0}h2,h3{break-after:avoid}.step{break-inside:avoid}}
";

/// A report on its way.
pub(in crate::format::write) struct Html<W: Write> {
    out: W,
    options: Options,
}

impl<W: Write> Html<W> {
    pub fn begin(mut out: W, options: &Options) -> io::Result<Self> {
        let title = shown(&options.title);
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n"
        )?;
        Ok(Self { out, options: options.clone() })
    }

    pub fn add(&mut self, trace: &Trace) -> io::Result<()> {
        let page = Page::of(trace, &self.options);
        let mut text = format!("<section>\n<h2>{}</h2>\n<div class=\"text problem\">{}</div>\n", shown(page.name()), shown(&trace.problem));
        if let Some(gold) = &trace.gold_answer {
            let _ = writeln!(text, "<p class=\"soft\">Reference answer: {}</p>", shown(gold));
        }
        if let Some(legend) = page.legend().filter(|_| !page.candidates.is_empty()) {
            let _ = writeln!(text, "<p class=\"soft\">{}</p>", shown(&legend));
        }
        for (i, one) in page.candidates.iter().enumerate() {
            candidate(&mut text, &page, one, i);
        }
        text.push_str("</section>\n");
        self.out.write_all(text.as_bytes())
    }

    pub fn end(mut self) -> io::Result<W> {
        self.out.write_all(b"</main>\n</body>\n</html>\n")?;
        Ok(self.out)
    }
}

fn candidate(out: &mut String, page: &Page<'_>, one: &Shown<'_>, at: usize) {
    let title: Vec<String> = one.title(at, page.candidates.len(), page.trace).iter().map(|part| shown(part)).collect();
    let _ = writeln!(out, "<article>\n<h3>{}</h3>", title.join(" · "));
    for part in one.parts() {
        match part {
            Part::Outside(gap) => {
                let _ = writeln!(out, "<div class=\"text out\">{}</div>", shown(gap.trim()));
            }
            Part::Step(i, step) => {
                for mark in one.marks(i) {
                    let class = if mark.starts_with(super::page::GOLD) { "gold" } else { "mark" };
                    let _ = writeln!(out, "<div class=\"{class}\">{mark}</div>");
                }
                let value = one.values.get(i).copied().flatten();
                let (amount, side) = page.value(value);
                let _ = writeln!(
                    out,
                    "<div class=\"step\"><span class=\"n\">{}</span><span class=\"v{}\">{side} {amount}</span><div class=\"text\">{}</div></div>",
                    i + 1,
                    bucket(value.map_or(f32::NAN, |v| page.scale.place(v))),
                    shown(step)
                );
            }
        }
    }
    if !one.said.is_empty() {
        out.push_str(
            "<div class=\"wide\"><table>\n<tr><th>signal</th><th>by</th><th>value</th><th>threshold</th><th>first step beyond</th></tr>\n",
        );
        for s in &one.said {
            let cells = [&s.name, &s.source, &s.value, &s.threshold, &s.first].map(|cell| format!("<td>{}</td>", shown(cell)));
            let _ = writeln!(out, "<tr>{}</tr>", cells.concat());
        }
        out.push_str("</table></div>\n");
    }
    out.push_str("</article>\n");
}

/// The class of a place on the scale, −1 to 1; none for what has none.
fn bucket(place: f32) -> String {
    if place.is_nan() {
        return String::new();
    }
    let size = ((place.abs() * 4.0).ceil() as usize).clamp(1, 4);
    format!(" {}{size}", if place < 0.0 { 'b' } else { 'g' })
}

/// Text of others in HTML.
fn shown(text: &str) -> String {
    escape(&safe(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Candidate, FinishReason, Segmentation, Signal, segment};
    use crate::util::html::tests::balanced;

    #[test]
    fn a_page_is_whole_whatever_the_texts_are() {
        let evil = "</div><script src=\"http://x\">\"'&\u{1b}[31m\n<b>two";
        let steps = segment(evil, &Segmentation::Line);
        let signals = vec![Signal::given_steps(evil, vec![Some(0.9), Some(0.1)])];
        let c =
            Candidate { text: evil.into(), steps, signals, policy: Some(evil.into()), answer: Some(evil.into()), ..Candidate::default() };
        let c = Candidate { finish: Some(FinishReason::Failed(evil.into())), ..c };
        let trace =
            Trace { id: evil.into(), problem: evil.into(), gold_answer: Some(evil.into()), candidates: vec![c], ..Trace::default() };
        let mut page = Html::begin(Vec::new(), &Options { title: evil.into(), ..Options::default() }).unwrap();
        page.add(&trace).unwrap();
        page.add(&Trace::default()).unwrap();
        let page = String::from_utf8(page.end().unwrap()).unwrap();
        let text = balanced(&page).unwrap();
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\u{1b}') && !page.contains("url("));
        assert!(
            text.contains("✗ first deviation") && page.contains("class=\"v b4\">▼ 0.10") && page.contains("class=\"v g4\">▲ 0.90"),
            "{page}"
        );
    }

    #[test]
    fn places_have_classes() {
        assert_eq!([-1.0, -0.1, 0.0, 0.6, f32::NAN].map(bucket), [" b4", " b1", " g1", " g3", ""]);
    }
}
