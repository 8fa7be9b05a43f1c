//! Tables with named columns: the values that a cell may have, how they stand in CSV, and Parquet.

#[cfg(feature = "parquet")]
mod parquet;

#[cfg(feature = "parquet")]
pub use self::parquet::Parquet;

use std::io::Write;

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number, 0 or more.
    Count,
    /// A number.
    Number,
    /// A list of numbers.
    Numbers,
    /// A list of −1, 0 or 1.
    Labels,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, unique within the table.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Every row has a value.
    pub required: bool,
}

/// A value of a cell; `None` where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(Option<&'a str>),
    /// Whether something is so.
    Flag(Option<bool>),
    /// A whole number.
    Count(Option<usize>),
    /// A number.
    Number(Option<f32>),
    /// A list of numbers; `None` inside where one is not known.
    Numbers(Option<Vec<Option<f32>>>),
    /// A list of labels.
    Labels(Option<&'a [Option<i8>]>),
}

/// Appends a value as it stands in a field of CSV: text as it is, lists as JSON, nothing where it is not known. Quoting is left to the writer of CSV.
pub fn push_cell(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(Some(text)) => out.extend_from_slice(text.as_bytes()),
        Value::Flag(Some(flag)) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Count(Some(count)) => out.extend_from_slice(count.to_string().as_bytes()),
        Value::Number(Some(number)) => push_number(out, *number),
        Value::Numbers(Some(list)) => push_list(out, list, push_number),
        Value::Labels(Some(list)) => push_list(out, list, |out, label| out.extend_from_slice(label.to_string().as_bytes())),
        Value::Text(None) | Value::Flag(None) | Value::Count(None) | Value::Number(None) | Value::Numbers(None) | Value::Labels(None) => {}
    }
}

/// A number as Rust and JSON read it back to the bit; `NaN`, `inf` and `-inf` as words.
fn push_number(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, &value);
    } else {
        let _ = write!(out, "{value}");
    }
}

fn push_list<T: Copy>(out: &mut Vec<u8>, values: &[Option<T>], push: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        match value {
            Some(v) => push(out, *v),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
}
