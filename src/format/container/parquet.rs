//! Parquet files as JSON lines, one a row.

use super::blob::{Blob, BlobReader};
use super::pages::Pages;
use crate::util::{foreign, packed};
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::data_type::Decimal;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// Bytes that are no text are written as a list of numbers up to this many; of more, only how many they are.
const LISTED: usize = 256;

/// Writes every row of a Parquet file as a JSON object on a line of its own; returns how many. What is not finite becomes `null`, bytes that are no
/// text a list of numbers, a time the count of its unit since 1970. Pages may be packed with Snappy, gzip, LZ4 or Zstandard.
///
/// # Errors
/// A file that is no Parquet or is damaged or packed in another way, and an output that cannot be written; the message names the Parquet file.
pub fn to_json_lines(path: &Path, out: &mut (dyn Write + Send)) -> std::result::Result<usize, String> {
    let open = || -> io::Result<(Blob, u64)> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok((Blob::File(Arc::<super::blob::Handles>::default().file(path, Some(file))), len))
    };
    let (blob, len) = open().map_err(|e| format!("{}: {e}", path.display()))?;
    let mut rows = Rows::open(blob, len).map_err(|e| format!("{}: {e}; fetch it again", path.display()))?;
    io::copy(&mut rows, out).map_err(|e| format!("{}: cannot be turned into JSON lines: {e}; fetch it again", path.display()))?;
    Ok(rows.count)
}

/// Reads a file and gives a JSON line a row.
pub(super) struct Rows {
    rows: RowIter<'static>,
    out: Vec<u8>,
    given: usize,
    count: usize,
}

impl Rows {
    /// Opens a file of `len` bytes. The error says what is wrong with it.
    pub fn open(blob: Blob, len: u64) -> std::result::Result<Self, String> {
        let file = Arc::new(Bounded { blob, len });
        let opened = foreign::call(|| -> Result<RowIter<'static>> {
            let reader = SerializedFileReader::new(BoundedRef(Arc::clone(&file)))?;
            let mut columns = reader.metadata().row_groups().iter().flat_map(|g| g.columns());
            if let Some(column) = columns.find(|c| matches!(c.compression(), Compression::BROTLI(_) | Compression::LZO)) {
                return Err(ParquetError::NYI(format!("its columns are packed with {}, which is not unpacked here", column.compression())));
            }
            Ok(RowIter::from_file_into(Box::new(Unpacking { reader, file })))
        });
        let rows = opened.unwrap_or_else(|| Err(ParquetError::General("it is damaged".to_owned())));
        let rows = rows.map_err(|e| format!("not readable as Parquet: {}", said(&e)))?;
        Ok(Self { rows, out: Vec::new(), given: 0, count: 0 })
    }

    /// The same, within the bounds of [`packed`].
    pub fn bounded(blob: Blob, len: u64) -> std::result::Result<impl Read + Send, String> {
        Ok(packed::held(Self::open(blob, len)?, len))
    }
}

/// What the crate says, without the name of its kind of error.
fn said(error: &ParquetError) -> String {
    let text = error.to_string();
    text.split_once(": ").map_or(text.as_str(), |t| t.1).to_owned()
}

impl Read for Rows {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            self.out.clear();
            self.given = 0;
            let row = foreign::call(|| self.rows.next());
            match row {
                Some(None) => return Ok(0),
                Some(Some(Ok(row))) => {
                    object(&row, &mut self.out);
                    self.out.push(b'\n');
                    self.count += 1;
                }
                Some(Some(Err(e))) => return Err(io::Error::other(format!("not readable as Parquet: {}", said(&e)))),
                None => return Err(io::Error::other("not readable as Parquet: it is damaged")),
            }
        }
        let n = (self.out.len() - self.given).min(into.len());
        into[..n].copy_from_slice(&self.out[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// The file, of which no more is read than there is.
struct Bounded {
    blob: Blob,
    len: u64,
}

#[derive(Clone)]
struct BoundedRef(Arc<Bounded>);

impl Length for BoundedRef {
    fn len(&self) -> u64 {
        self.0.len
    }
}

impl ChunkReader for BoundedRef {
    type T = BlobReader;

    fn get_read(&self, start: u64) -> Result<BlobReader> {
        let mut reader = self.0.blob.reader(self.0.len);
        reader.seek(SeekFrom::Start(start))?;
        Ok(reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not in the file")));
        }
        Ok(self.0.blob.read(start, length)?.into())
    }
}

/// The crate's reader, but for columns that are packed with Zstandard.
struct Unpacking {
    reader: SerializedFileReader<BoundedRef>,
    file: Arc<Bounded>,
}

struct Group<'a> {
    group: Box<dyn RowGroupReader + 'a>,
    file: Arc<Bounded>,
}

impl FileReader for Unpacking {
    fn metadata(&self) -> &ParquetMetaData {
        self.reader.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    fn get_row_group(&self, i: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(Group { group: self.reader.get_row_group(i)?, file: Arc::clone(&self.file) }))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.group.metadata()
    }

    fn num_columns(&self) -> usize {
        self.group.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Result<Box<dyn PageReader>> {
        let column = self.metadata().column(i);
        match column.compression() {
            Compression::ZSTD(_) => Ok(Box::new(Pages::new(Arc::new(BoundedRef(Arc::clone(&self.file))), column)?)),
            _ => self.group.get_column_page_reader(i),
        }
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.group.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

fn object(row: &Row, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, field)) in row.get_column_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        text(name, out);
        out.push(b':');
        value(field, out);
    }
    out.push(b'}');
}

fn text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn list<T>(items: impl IntoIterator<Item = T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn value(field: &Field, out: &mut Vec<u8>) {
    let mut plain = |value: &dyn std::fmt::Display| {
        let _ = write!(out, "{value}");
    };
    match field {
        Field::Null => plain(&"null"),
        Field::Bool(x) => plain(x),
        Field::Byte(x) => plain(x),
        Field::Short(x) => plain(x),
        Field::Int(x) | Field::Date(x) | Field::TimeMillis(x) => plain(x),
        Field::Long(x) | Field::TimeMicros(x) | Field::TimestampMillis(x) | Field::TimestampMicros(x) => plain(x),
        Field::UByte(x) => plain(x),
        Field::UShort(x) => plain(x),
        Field::UInt(x) => plain(x),
        Field::ULong(x) => plain(x),
        Field::Float16(x) => number(f64::from(*x), out),
        // as it is written in short: 0.7 and not 0.699999988
        Field::Float(x) if x.is_finite() => serde_json::to_writer(out, x).unwrap_or_default(),
        Field::Float(_) => plain(&"null"),
        Field::Double(x) => number(*x, out),
        Field::Decimal(x) => number(decimal(x), out),
        Field::Str(x) => text(x, out),
        Field::Bytes(x) => match std::str::from_utf8(x.data()) {
            Ok(x) => text(x, out),
            Err(_) if x.len() > LISTED => text(&format!("({} bytes that are no text)", x.len()), out),
            Err(_) => list(x.data(), out, |byte, out| out.extend(byte.to_string().bytes())),
        },
        Field::Group(row) => object(row, out),
        Field::ListInternal(elements) => list(elements.elements(), out, value),
        Field::MapInternal(map) => {
            out.push(b'{');
            for (i, (key, of)) in map.entries().iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                match key {
                    Field::Str(key) => text(key, out),
                    other => {
                        let mut key = Vec::new();
                        value(other, &mut key);
                        text(&String::from_utf8_lossy(&key), out);
                    }
                }
                out.push(b':');
                value(of, out);
            }
            out.push(b'}');
        }
    }
}

fn number(x: f64, out: &mut Vec<u8>) {
    match serde_json::Number::from_f64(x) {
        Some(x) => out.extend(x.to_string().bytes()),
        None => out.extend(b"null"),
    }
}

/// A decimal's unscaled bytes are big-endian, two's complement.
fn decimal(x: &Decimal) -> f64 {
    let bytes = x.data();
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let unscaled = bytes.iter().fold(if negative { -1_i128 } else { 0 }, |n, b| (n << 8) | i128::from(*b));
    unscaled as f64 / 10_f64.powi(x.scale())
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
        let lines: Vec<serde_json::Value> = String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
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
