//! A report as one HTML page that needs nothing else: no script to read it, no file, no network.

use crate::eval::EvalError;
use crate::eval::draw::svg_untitled;
use crate::eval::parts::{Cell, Report, Table};
use crate::util::html::escape;
use std::fmt::Write as _;

const STYLE: &str = "
:root{--ink:#1d1d1f;--soft:#55555c;--rule:#d9d9de;--page:#ffffff;--band:#f5f6f8;--link:#005a8f;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8ea;--soft:#a9a9b2;--rule:#3c3c43;--page:#17181a;--band:#1f2124;--link:#7cc0ee}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.5rem;line-height:1.3;margin:0 0 16px;overflow-wrap:anywhere}
h2{font-size:1.1rem;line-height:1.35;margin:36px 0 10px;overflow-wrap:anywhere}
a{color:var(--link)}
.notes{margin:0 0 20px;padding:12px 16px 12px 34px;background:var(--band);border-radius:6px;overflow-wrap:anywhere}
.notes li{margin:3px 0}
nav ol{margin:4px 0 0;padding-left:28px}
nav p{margin:0;font-weight:600}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:5px 14px 5px 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
thead th{border-bottom:2px solid var(--soft);vertical-align:bottom}
tbody tr:nth-child(even){background:var(--band)}
th:first-child,td:first-child{padding-left:8px}
.l{text-align:left}
tbody th{font-weight:400;white-space:normal;min-width:9em;overflow-wrap:anywhere}
th:first-child{position:sticky;left:0;background:var(--page)}
tbody tr:nth-child(even) th{background:var(--band)}
.i{color:var(--soft);font-size:.92em}
figure{margin:36px 0 0}
figcaption{margin:0 0 8px;font-size:1.1rem;font-weight:600;line-height:1.35;overflow-wrap:anywhere}
.card{background:
linear-gradient(90deg,#fff 30%,#fff0) 0 0/40px 100% local,
linear-gradient(270deg,#fff 30%,#fff0) 100% 0/40px 100% local,
linear-gradient(90deg,#0003,#0000) 0 0/14px 100% scroll,
linear-gradient(270deg,#0003,#0000) 100% 0/14px 100% scroll,#fff;
background-repeat:no-repeat;border:1px solid var(--rule);border-radius:6px;padding:8px;overflow-x:auto}
.card svg{display:block;mix-blend-mode:multiply;width:100%;min-width:620px;max-width:900px;height:auto;margin:0 auto}
details{margin-top:36px}
summary{cursor:pointer;font-weight:600}
@media print{
body{font-size:10pt}main{max-width:none;padding:0}nav{display:none}
figure,tr,.notes{break-inside:avoid}h2,figcaption{break-after:avoid}
.wide,.card{overflow:visible}.card{border:0;padding:0}.card svg{min-width:0}
table{font-size:8pt}th,td{padding-right:8px;white-space:normal}
}
";

fn cell(cell: &Cell) -> String {
    let text = cell.text();
    match (cell, text.split_once(" [")) {
        (Cell::Interval(_), Some((estimate, interval))) => {
            format!("<td>{} <span class=\"i\">[{}</span></td>", escape(estimate), escape(interval))
        }
        (Cell::Text(_), _) => format!("<td class=\"l\">{}</td>", escape(&text)),
        _ => format!("<td>{}</td>", escape(&text)),
    }
}

fn table(table: &Table, id: usize) -> String {
    let mut out =
        format!("<section id=\"table-{id}\">\n<h2>{}</h2>\n<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>", escape(&table.title));
    for (c, name) in table.columns.iter().enumerate() {
        let words = table.rows.iter().filter_map(|r| r.get(c)).all(|x| matches!(x, Cell::Text(_) | Cell::Empty)) && !table.rows.is_empty();
        let class = if c == 0 || words { " class=\"l\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (c, x) in row.iter().enumerate() {
            if c == 0 {
                let _ = write!(out, "<th scope=\"row\" class=\"l\">{}</th>", escape(&x.text()));
            } else {
                out.push_str(&cell(x));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
    out
}

/// JSON that can stand inside a `script` element: no character that HTML reads.
fn embedded_json(report: &Report) -> String {
    report.json().to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The page: title, notes, contents, tables, pictures as inline SVG, figures by name; the report as JSON in `script#report-data`.
///
/// # Errors
/// A chart cannot be drawn.
pub fn html(report: &Report) -> Result<String, EvalError> {
    let title = escape(&report.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n"
    );
    if !report.notes.is_empty() {
        let items: String = report.notes.iter().map(|n| format!("<li>{}</li>\n", escape(n))).collect();
        let _ = write!(out, "<ul class=\"notes\">\n{items}</ul>\n");
    }
    if report.tables.len() + report.charts.len() > 1 {
        out.push_str("<nav aria-label=\"Contents\">\n<p>Contents</p>\n<ol>\n");
        for (i, t) in report.tables.iter().enumerate() {
            let _ = writeln!(out, "<li><a href=\"#table-{}\">{}</a></li>", i + 1, escape(&t.title));
        }
        for (i, c) in report.charts.iter().enumerate() {
            let _ = writeln!(out, "<li><a href=\"#chart-{}\">Picture: {}</a></li>", i + 1, escape(&c.title));
        }
        out.push_str("</ol>\n</nav>\n");
    }
    for (i, t) in report.tables.iter().enumerate() {
        out.push_str(&table(t, i + 1));
    }
    for (i, chart) in report.charts.iter().enumerate() {
        let id = i + 1;
        let _ = write!(
            out,
            "<figure id=\"chart-{id}\">\n<figcaption>{}</figcaption>\n<div class=\"card\" tabindex=\"0\">\n{}</div>\n</figure>\n",
            escape(&chart.title),
            svg_untitled(chart)?
        );
    }
    if !report.figures.is_empty() {
        out.push_str("<details>\n<summary>Figures by name</summary>\n<div class=\"wide\" tabindex=\"0\"><table>\n<tbody>\n");
        for (name, value) in &report.figures {
            let value = if value.is_finite() { format!("{value:.3}") } else { "–".into() };
            let _ = writeln!(out, "<tr><th scope=\"row\" class=\"l\">{}</th><td>{value}</td></tr>", escape(name));
        }
        out.push_str("</tbody>\n</table></div>\n</details>\n");
    }
    let _ =
        write!(out, "</main>\n<script type=\"application/json\" id=\"report-data\">{}</script>\n</body>\n</html>\n", embedded_json(report));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::parts::chart::{Chart, ChartKind, Line};
    use crate::eval::stats::Interval;
    use crate::util::html::tests::balanced;

    fn hostile() -> Report {
        let evil = "<script>alert('x')</script>\"&\u{1b}[31m";
        let interval = Interval { estimate: 0.5, low: 0.4, high: 0.6 };
        let mut t = Table::new(evil, &["method", evil, "note"]);
        t.rows.push(vec![Cell::Text(evil.into()), Cell::Interval(interval), Cell::Text("a < b".into())]);
        t.rows.push(vec![Cell::Text("plain".into()), Cell::P(0.0001), Cell::Empty]);
        let line = Line { name: evil.into(), points: vec![(1.0, interval), (2.0, interval)] };
        let kind = ChartKind::Lines { x: evil.into(), y: evil.into(), log_x: true, percent: true, series: vec![line] };
        let chart = Chart { name: "evil".into(), title: evil.into(), kind };
        let figures = [(evil.to_string(), 1.5), ("nan".into(), f64::NAN)].into();
        Report { title: evil.into(), tables: vec![t], charts: vec![chart], figures, notes: vec![evil.into()] }
    }

    #[test]
    fn everything_is_escaped_and_balanced() {
        let page = html(&hostile()).unwrap();
        let text = balanced(&page).unwrap();
        assert!(!page.contains("<script>") && !page.contains("alert('x')<") && !page.contains('\u{1b}'));
        assert!(text.contains("&lt;script&gt;alert"));
        assert!(page.contains("<td>50.0 <span class=\"i\">[40.0, 60.0]</span></td>") && page.contains("<td>&lt;0.001</td>"));
        assert!(
            !page.contains("http://") || page.matches("http://").count() == page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
        );
    }

    #[test]
    fn the_data_in_the_page_is_the_report() {
        let report = hostile();
        let page = html(&report).unwrap();
        let start = page.find("id=\"report-data\">").unwrap() + "id=\"report-data\">".len();
        let data = &page[start..start + page[start..].find("</script>").unwrap()];
        assert_eq!(serde_json::from_str::<serde_json::Value>(data).unwrap(), report.json());
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let page = html(&Report { title: "Nothing".into(), ..Report::default() }).unwrap();
        balanced(&page).unwrap();
        assert!(page.contains("<h1>Nothing</h1>") && !page.contains("<nav"));
    }
}
