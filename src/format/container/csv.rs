//! A table with a header line as JSON lines, one a row.

use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a beginning in which the header line must end.
const HEADER: usize = 1 << 16;
/// The most bytes of one row.
const LONGEST: u64 = 256 << 20;
/// Rows, and bytes of them, by which it is told whether a column holds numbers.
const LOOKED: (usize, usize) = (200, 1 << 20);

/// Columns that are text whatever stands in them: an answer of `007` is no 7.
const TEXTS: [&str; 30] = [
    "answer",
    "chosen",
    "completion",
    "content",
    "expected_answer",
    "generated_text",
    "generation",
    "gold",
    "gold_answer",
    "ground_truth",
    "gt",
    "gts",
    "id",
    "input",
    "instruction",
    "output",
    "prediction",
    "problem",
    "prompt",
    "query",
    "question",
    "reasoning",
    "reference",
    "rejected",
    "response",
    "solution",
    "target",
    "text",
    "thinking",
    "trace",
];

/// What stands between the cells of a table that begins so; `None` where it is no table, or where its first line is not whole yet.
pub(in crate::format) fn separator(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let end = memchr::memchr(b'\n', &head[..head.len().min(HEADER)])?;
    let line = std::str::from_utf8(&head[..end]).ok()?.trim_end_matches('\r');
    [b'\t', b',', b';'].into_iter().find(|&separator| {
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(line.as_bytes());
        let mut row = csv::StringRecord::new();
        reader.read_record(&mut row).unwrap_or(false) && row.len() > 1 && is_header(&row)
    })
}

/// Whether these are names of columns and not, say, the beginning of a sentence with a comma.
fn is_header(row: &csv::StringRecord) -> bool {
    // pandas leaves the name of its index out
    let name = |(i, cell): (usize, &str)| {
        let cell = cell.trim();
        let plain = |c: char| c.is_alphanumeric() || "_-./:#@()[] ".contains(c);
        i == 0 && cell.is_empty()
            || !cell.is_empty()
                && cell.len() <= 64
                && cell.chars().all(plain)
                && cell.chars().filter(|c| *c == ' ').count() <= 3
                && cell.parse::<f64>().is_err()
    };
    let mut names: Vec<&str> = row.iter().map(str::trim).collect();
    names.sort_unstable();
    row.iter().enumerate().all(name) && names.windows(2).all(|w| w[0] != w[1])
}

/// Reads a table and gives JSON lines: an empty cell is null, JSON and Python's lists and dictionaries are read as such, and a column of numbers or of
/// true and false holds those.
pub(in crate::format) struct Rows {
    reader: csv::Reader<Guarded>,
    since: Arc<AtomicU64>,
    columns: Option<Vec<Column>>,
    ahead: VecDeque<csv::ByteRecord>,
    out: Vec<u8>,
    given: usize,
}

struct Column {
    name: String,
    typed: bool,
}

/// Fails where a row does not end.
struct Guarded {
    raw: Box<dyn Read + Send>,
    since: Arc<AtomicU64>,
}

impl Read for Guarded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(into)?;
        if self.since.fetch_add(n as u64, Ordering::Relaxed) > LONGEST {
            return Err(io::Error::other(format!("a row is longer than {} MiB; close the quote that it opens", LONGEST >> 20)));
        }
        Ok(n)
    }
}

impl Rows {
    pub fn new(raw: Box<dyn Read + Send>, separator: u8) -> Self {
        let since = Arc::<AtomicU64>::default();
        let guarded = Guarded { raw, since: Arc::clone(&since) };
        let reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(guarded);
        Self { reader, since, columns: None, ahead: VecDeque::new(), out: Vec::new(), given: 0 }
    }

    fn row(&mut self) -> io::Result<Option<csv::ByteRecord>> {
        let mut row = csv::ByteRecord::new();
        self.since.store(0, Ordering::Relaxed);
        Ok(self.reader.read_byte_record(&mut row)?.then_some(row))
    }

    fn next(&mut self) -> io::Result<Option<csv::ByteRecord>> {
        if self.columns.is_none() {
            let header = self.row()?.unwrap_or_default();
            let mut bytes = 0;
            while self.ahead.len() < LOOKED.0 && bytes < LOOKED.1 {
                let Some(row) = self.row()? else { break };
                bytes += row.as_slice().len();
                self.ahead.push_back(row);
            }
            let name = |i: usize, cell: &[u8]| {
                let cell = String::from_utf8_lossy(cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell)).trim().to_owned();
                if cell.is_empty() { format!("column_{i}") } else { cell }
            };
            let typed = |i: usize, name: &str| {
                let short = name.to_lowercase();
                let mut cells = self.ahead.iter().filter_map(|r| r.get(i)).filter(|c| !c.is_empty());
                !TEXTS.contains(&short.as_str()) && cells.all(|c| scalar(c).is_some())
            };
            let column = |(i, cell)| {
                let name = name(i, cell);
                Column { typed: typed(i, &name), name }
            };
            self.columns = Some(header.iter().enumerate().map(column).collect());
        }
        match self.ahead.pop_front() {
            Some(row) => Ok(Some(row)),
            None => self.row(),
        }
    }
}

impl Read for Rows {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            let Some(row) = self.next()? else { return Ok(0) };
            let mut record = Map::new();
            for (i, cell) in row.iter().enumerate() {
                match self.columns.as_deref().unwrap_or_default().get(i) {
                    Some(column) => record.insert(column.name.clone(), value(cell, column.typed)),
                    None => record.insert(format!("column_{i}"), value(cell, false)),
                };
            }
            self.out.clear();
            self.given = 0;
            serde_json::to_writer(&mut self.out, &record)?;
            self.out.push(b'\n');
        }
        let n = (self.out.len() - self.given).min(into.len());
        into[..n].copy_from_slice(&self.out[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

fn value(cell: &[u8], typed: bool) -> Value {
    let text = String::from_utf8_lossy(cell);
    let inner = text.trim();
    if inner.is_empty() {
        return Value::Null;
    }
    if let (true, Some(value)) = (typed, scalar(cell)) {
        return value;
    }
    if matches!((inner.as_bytes().first(), inner.as_bytes().last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']'))) {
        if let Ok(value) = serde_json::from_str(inner) {
            return value;
        }
        if let Some(value) = python(inner) {
            return value;
        }
    }
    Value::String(text.into_owned())
}

/// A number or a truth value; NaN is missing.
fn scalar(cell: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    match text {
        "true" | "True" | "TRUE" => return Some(true.into()),
        "false" | "False" | "FALSE" => return Some(false.into()),
        "nan" | "NaN" | "NA" | "null" | "None" | "inf" | "-inf" => return Some(Value::Null),
        _ => {}
    }
    if let Ok(n) = text.parse::<i64>() {
        return (n == 0 && text.len() == 1 || !text.trim_start_matches(['-', '+']).starts_with('0')).then(|| n.into());
    }
    let number = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let value = text.parse::<f64>().ok().filter(|x| number && x.is_finite())?;
    serde_json::Number::from_f64(value).map(Value::Number)
}

/// What Python prints of lists and dictionaries of texts, numbers and truth values, as JSON; `None` where it is something else.
fn python(text: &str) -> Option<Value> {
    let mut json = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => {
                let mut inner = String::new();
                loop {
                    match rest.next()? {
                        end if end == c => break,
                        '\\' => match rest.next()? {
                            'n' => inner.push('\n'),
                            't' => inner.push('\t'),
                            'r' => inner.push('\r'),
                            x @ ('x' | 'u' | 'U') => {
                                let digits = match x {
                                    'x' => 2,
                                    'u' => 4,
                                    _ => 8,
                                };
                                let hex: String = rest.by_ref().take(digits).collect();
                                inner.push(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)?);
                            }
                            other @ ('\\' | '\'' | '"') => inner.push(other),
                            other => inner.extend(['\\', other]),
                        },
                        other => inner.push(other),
                    }
                }
                json.push_str(&serde_json::to_string(&inner).ok()?);
            }
            c if c.is_ascii_alphabetic() => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(char::is_ascii_alphanumeric) {
                    word.push(c);
                }
                json.push_str(match word.as_str() {
                    "True" | "true" => "true",
                    "False" | "false" => "false",
                    "None" | "null" | "nan" | "inf" => "null",
                    _ => return None,
                });
            }
            c if c.is_ascii_digit() || c == '-' => {
                let mut number = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_ascii_digit() || ".eE+-".contains(*c)) {
                    number.push(c);
                }
                let value: f64 = number.parse().ok()?;
                match number.parse::<i64>() {
                    Ok(n) => json.push_str(&n.to_string()),
                    Err(_) => json.push_str(&serde_json::Number::from_f64(value)?.to_string()),
                }
            }
            '(' => json.push('['),
            ')' => json.push(']'),
            c => json.push(c),
        }
    }
    serde_json::from_str(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(text: &str) -> Vec<Value> {
        let separator = separator(text.as_bytes()).expect("a table");
        let mut out = String::new();
        Rows::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())), separator).read_to_string(&mut out).unwrap();
        out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn cells_are_what_their_column_holds() {
        let text = "\u{FEFF},prompt,answer,score,ok,info\r\n0,\"a, \"\"b\"\"\nc\",007,0.5,True,\"{\"\"x\"\": 1}\"\r\n1,2,18,,False,x\r\n2,q,1.0,nan,,\r\n";
        assert_eq!(
            rows(text),
            [
                json!({"column_0": 0, "prompt": "a, \"b\"\nc", "answer": "007", "score": 0.5, "ok": true, "info": {"x": 1}}),
                json!({"column_0": 1, "prompt": "2", "answer": "18", "score": null, "ok": false, "info": "x"}),
                json!({"column_0": 2, "prompt": "q", "answer": "1.0", "score": null, "ok": null, "info": null}),
            ]
        );
        assert_eq!(rows("name\tzip code\nx\t0123\ny\t9\tz\n")[1], json!({"name": "y", "zip code": "9", "column_2": "z"}));
    }

    #[test]
    fn what_python_prints_is_read() {
        let text = r#"[{'role': 'user', 'content': "it's 3\n\x41é", 'n': -1.5, 'k': None, 'ok': True, 't': (1, 2)}]"#;
        let read = json!([{"role": "user", "content": "it's 3\nAé", "n": -1.5, "k": null, "ok": true, "t": [1, 2]}]);
        assert_eq!(python(text), Some(read));
        for text in ["[array([1])]", "['a", "[1 2]", "{'a'", "[--1]", "['\\U00110000']"] {
            assert_eq!(python(text), None, "{text}");
        }
    }

    #[test]
    fn sentences_and_numbers_are_no_header() {
        for text in ["Hello, world!\nx", "What is 3, or 4?\n", "1,2\n3,4\n", "one column\nx\n", "a,b", "a,a\n", "{\"a\":1,\"b\":2}\n"] {
            assert_eq!(separator(text.as_bytes()), None, "{text}");
        }
        assert_eq!(separator(b"a;b\n1;2\n"), Some(b';'));
    }
}
