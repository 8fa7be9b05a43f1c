//! What a report is made of: cells, tables, the report itself; as plain text, Markdown and JSON.

use crate::eval::parts::chart::Chart;
use crate::eval::stats::Interval;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Between two columns of text.
const GAP: &str = "  ";

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing to say.
    Empty,
    /// A word.
    Text(String),
    /// A count.
    Count(usize),
    /// A plain number, for example a threshold.
    Number(f64),
    /// A share, shown in percent.
    Share(f64),
    /// A share with its interval, shown in percent.
    Interval(Interval),
    /// A p-value.
    P(f64),
}

impl Cell {
    /// For people. Shares in percent with one decimal; `–` for nothing and for what is not a number.
    pub fn text(&self) -> String {
        match self {
            Cell::Text(t) => flat(t).into_owned(),
            Cell::Count(n) => n.to_string(),
            Cell::Number(x) if x.is_finite() => format!("{x:.3}"),
            Cell::Share(x) if x.is_finite() => format!("{:.1}", 100.0 * x),
            Cell::Interval(i) if i.estimate.is_finite() => {
                format!("{:.1} [{:.1}, {:.1}]", 100.0 * i.estimate, 100.0 * i.low, 100.0 * i.high)
            }
            Cell::P(p) if *p < 0.001 => "<0.001".into(),
            Cell::P(p) if p.is_finite() => format!("{p:.3}"),
            _ => "–".into(),
        }
    }

    /// For programs; unrounded, shares in 0..=1.
    pub fn json(&self) -> Value {
        match self {
            Cell::Empty => Value::Null,
            Cell::Text(t) => json!(t),
            Cell::Count(n) => json!(n),
            Cell::Number(x) | Cell::Share(x) | Cell::P(x) => json!(x),
            Cell::Interval(i) => json!({ "estimate": i.estimate, "low": i.low, "high": i.high }),
        }
    }
}

/// A table; every row has as many cells as there are columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// Tables under a title, with notes on how they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What was evaluated.
    pub title: String,
    /// The tables.
    pub tables: Vec<Table>,
    /// Pictures of the same.
    pub charts: Vec<Chart>,
    /// The figures that a gate may ask for, by name; shares in 0..=1 times 100, differences in percentage points.
    pub figures: BTreeMap<String, f64>,
    /// How to read them.
    pub notes: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.into(), columns: columns.iter().map(|c| (*c).to_string()).collect(), rows: Vec::new() }
    }

    /// Column widths in characters, and the cells as text.
    fn layout(&self) -> (Vec<usize>, Vec<Vec<String>>) {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|r| r.iter().map(Cell::text).collect()).collect();
        let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).chain([&self.columns[c]]).map(|t| t.chars().count()).max().unwrap_or(0);
        ((0..self.columns.len()).map(width).collect(), rows)
    }

    /// The columns beside the first, in groups that fit into a width together with it; a group has one at least.
    fn groups(widths: &[usize], width: usize) -> Vec<std::ops::Range<usize>> {
        let first = widths.first().copied().unwrap_or(0);
        let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
        let mut used = usize::MAX;
        for (c, w) in widths.iter().enumerate().skip(1) {
            used = used.saturating_add(GAP.len() + w);
            match groups.last_mut() {
                Some(group) if used <= width => group.end = c + 1,
                _ => {
                    groups.push(c..c + 1);
                    used = first + GAP.len() + w;
                }
            }
        }
        if groups.is_empty() {
            groups.push(1..1);
        }
        groups
    }

    /// Aligned columns; those that do not fit into the width follow below, beside the first one again.
    fn text(&self, width: usize) -> String {
        let (widths, rows) = self.layout();
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        let mut out = format!("{}\n", flat(&self.title));
        for (g, group) in Self::groups(&widths, width).into_iter().enumerate() {
            let line = |cells: &[String]| {
                let padded = cells.iter().zip(&widths).enumerate().filter(|(c, _)| *c == 0 || group.contains(c)).map(|(c, (t, w))| {
                    let fill = " ".repeat(w.saturating_sub(t.chars().count()));
                    if c == 0 { format!("{t}{fill}") } else { format!("{fill}{t}") }
                });
                padded.collect::<Vec<_>>().join(GAP).trim_end().to_string() + "\n"
            };
            out += if g > 0 { "\n" } else { "" };
            out.extend([line(&self.columns), line(&rule)].into_iter().chain(rows.iter().map(|r| line(r))));
        }
        out
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
        let (_, rows) = self.layout();
        let rule: Vec<String> = (0..self.columns.len()).map(|c| if c == 0 { "---".into() } else { "---:".into() }).collect();
        let body: String = rows.iter().map(|r| line(r)).collect();
        format!("### {}\n\n{}{}{body}", flat(&self.title), line(&self.columns), line(&rule))
    }

    fn json(&self) -> Value {
        let row = |r: &Vec<Cell>| -> Value {
            self.columns.iter().cloned().zip(r.iter().map(Cell::json)).collect::<serde_json::Map<_, _>>().into()
        };
        json!({ "title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

impl Report {
    /// Plain text for a terminal of so many columns: wider tables are folded, notes are broken between words.
    pub fn text(&self, width: usize) -> String {
        let mut parts = vec![format!("{}\n", flat(&self.title))];
        parts.extend(self.tables.iter().map(|t| t.text(width)));
        if !self.notes.is_empty() {
            parts.push(self.notes.iter().map(|n| wrapped(&flat(n), width)).collect());
        }
        parts.join("\n")
    }

    /// GitHub Markdown.
    pub fn markdown(&self) -> String {
        let mut parts = vec![format!("## {}\n", flat(&self.title))];
        parts.extend(self.tables.iter().map(Table::markdown));
        if !self.notes.is_empty() {
            parts.push(self.notes.iter().map(|n| format!("- {}\n", flat(n))).collect());
        }
        parts.join("\n")
    }

    /// One JSON object: `title`, `tables` (rows as objects by column name), `figures`, `notes`.
    pub fn json(&self) -> Value {
        json!({ "title": self.title, "tables": self.tables.iter().map(Table::json).collect::<Vec<_>>(), "figures": self.figures, "notes": self.notes })
    }
}

/// Text in one line: names that files bring must not begin one of their own.
fn flat(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ").into() } else { text.into() }
}

/// A note in lines of at most so many characters, the second and further ones indented; a longer word stands alone.
fn wrapped(note: &str, width: usize) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for word in note.split(' ') {
        let n = word.chars().count();
        if used == 0 {
            used = n;
        } else if used + 1 + n <= width {
            out.push(' ');
            used += 1 + n;
        } else {
            out += "\n  ";
            used = 2 + n;
        }
        out += word;
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_well() {
        let i = Interval { estimate: 0.25, low: 0.2, high: 0.3 };
        assert_eq!(Cell::Interval(i).text(), "25.0 [20.0, 30.0]");
        assert_eq!(Cell::P(0.0004).text(), "<0.001");
        assert_eq!(Cell::P(0.0412).text(), "0.041");
        assert_eq!(Cell::Share(f64::NAN).text(), "–");
        assert_eq!(Cell::Number(-1.5).text(), "-1.500");
        assert_eq!(Cell::Share(f64::NAN).json(), Value::Null);
    }

    #[test]
    fn three_forms_of_one_table() {
        let mut table = Table::new("T", &["method", "x"]);
        table.rows.push(vec![Cell::Text("a|b".into()), Cell::Share(0.5)]);
        table.rows.push(vec![Cell::Text("longer name".into()), Cell::Count(3)]);
        let report = Report { title: "R".into(), tables: vec![table], notes: vec!["n".into()], ..Report::default() };
        assert_eq!(report.text(usize::MAX), "R\n\nT\nmethod          x\n-----------  ----\na|b          50.0\nlonger name     3\n\nn\n");
        assert_eq!(report.markdown(), "## R\n\n### T\n\n| method | x |\n| --- | ---: |\n| a\\|b | 50.0 |\n| longer name | 3 |\n\n- n\n");
        assert_eq!(report.json()["tables"][0]["rows"][1], json!({ "method": "longer name", "x": 3 }));
    }

    #[test]
    fn a_wide_table_is_folded() {
        let mut table = Table::new("T", &["method", "one", "two", "three"]);
        table.rows.push(vec![Cell::Text("a".into()), Cell::Count(1), Cell::Count(22), Cell::Count(333)]);
        let report = Report { title: "R".into(), tables: vec![table], notes: vec!["no word is cut here".into()], ..Report::default() };
        // method and two columns are 6 + 2 + 3 + 2 + 3 = 16 wide
        let folded = "R\n\nT\nmethod  one  two\n------  ---  ---\na         1   22\n\nmethod  three\n------  -----\na         333\n";
        assert_eq!(report.text(16), format!("{folded}\nno word is cut\n  here\n"));
        // No column is lost where not even one fits.
        let narrow = report.text(3);
        assert_eq!(narrow.matches("method").count(), 3, "{narrow}");
    }
}
