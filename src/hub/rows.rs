//! Parquet files as JSON lines.

use crate::util::foreign;
use parquet::data_type::Decimal;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Writes every row of a Parquet file as a JSON object on a line of its own; returns how many. What is not finite becomes `null`, bytes that are no
/// text a list of numbers, a time the count of its unit since 1970.
///
/// # Errors
/// A file that is no Parquet or is damaged or packed in a way that this build does not know (it knows none and Snappy), and an output that cannot be
/// written; the message names the Parquet file.
pub fn to_json_lines(path: &Path, out: &mut (dyn Write + Send)) -> Result<usize, String> {
    foreign::call(|| rows(path, out))
        .unwrap_or_else(|| Err(format!("{}: not readable as Parquet: it is damaged; fetch it again", path.display())))
}

fn rows(path: &Path, out: &mut dyn Write) -> Result<usize, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: not readable as Parquet: {e}; fetch it again", path.display());
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let reader = SerializedFileReader::new(file).map_err(|e| fail(&e))?;
    let rows = reader.get_row_iter(None).map_err(|e| fail(&e))?;
    let mut count = 0;
    for row in rows {
        let value = object(&row.map_err(|e| fail(&e))?);
        writeln!(out, "{value}").map_err(|e| format!("the JSON lines of {} cannot be written: {e}", path.display()))?;
        count += 1;
    }
    Ok(count)
}

fn object(row: &Row) -> Value {
    Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect::<Map<_, _>>())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(x) => (*x).into(),
        Field::Byte(x) => (*x).into(),
        Field::Short(x) => (*x).into(),
        Field::Int(x) | Field::Date(x) | Field::TimeMillis(x) => (*x).into(),
        Field::Long(x) | Field::TimeMicros(x) | Field::TimestampMillis(x) | Field::TimestampMicros(x) => (*x).into(),
        Field::UByte(x) => (*x).into(),
        Field::UShort(x) => (*x).into(),
        Field::UInt(x) => (*x).into(),
        Field::ULong(x) => (*x).into(),
        Field::Float16(x) => number(f64::from(*x)),
        Field::Float(x) => number(f64::from(*x)),
        Field::Double(x) => number(*x),
        Field::Decimal(x) => decimal(x),
        Field::Str(x) => x.as_str().into(),
        Field::Bytes(x) => match std::str::from_utf8(x.data()) {
            Ok(text) => text.into(),
            Err(_) => x.data().to_vec().into(),
        },
        Field::Group(row) => object(row),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let key = |k: &Field| match value(k) {
                Value::String(s) => s,
                other => other.to_string(),
            };
            Value::Object(map.entries().iter().map(|(k, v)| (key(k), value(v))).collect())
        }
    }
}

fn number(x: f64) -> Value {
    serde_json::Number::from_f64(x).map_or(Value::Null, Value::Number)
}

/// A decimal's unscaled bytes are big-endian, two's complement.
fn decimal(x: &Decimal) -> Value {
    let bytes = x.data();
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let unscaled = bytes.iter().fold(if negative { -1_i128 } else { 0 }, |n, b| (n << 8) | i128::from(*b));
    number(unscaled as f64 / 10_f64.powi(x.scale()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::basic::Compression;
    use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    /// Two rows of a text, an integer, a truth, a number that may be missing, a list of texts, and a group with a list in it.
    fn write(path: &Path) {
        let schema = "message m {
            required binary question (STRING); required int64 id; required boolean ok; optional double score;
            optional group options (LIST) { repeated group list { optional binary element (STRING); } }
            optional group context { optional group contexts (LIST) { repeated group list { optional binary element (STRING); } } }
        }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        let text = |s: &str| ByteArray::from(s);
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[text("Wie groß?"), text("b")], None, None).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[7, 8], None, None).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<BoolType>().write_batch(&[true, false], None, None).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[0.5], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[text("x"), text("y")], Some(&[3, 3, 0]), Some(&[0, 1, 0])).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[text("p"), text("q")], Some(&[4, 4, 0]), Some(&[0, 1, 0])).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn rows_become_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        write(&path);
        let mut out = Vec::new();
        assert_eq!(to_json_lines(&path, &mut out), Ok(2));
        let lines: Vec<Value> = String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let first = serde_json::json!({"question": "Wie groß?", "id": 7, "ok": true, "score": 0.5, "options": ["x", "y"],
            "context": {"contexts": ["p", "q"]}});
        assert_eq!(lines[0], first);
        let second = serde_json::json!({"question": "b", "id": 8, "ok": false, "score": null, "options": null, "context": null});
        assert_eq!(lines[1], second);
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 4, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let e = to_json_lines(&path, &mut Vec::new()).unwrap_err();
            assert!(e.contains("a.parquet") && e.contains("fetch it again"), "{e}");
        }
        for at in (4..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let _ = to_json_lines(&path, &mut Vec::new());
        }
    }
}
