//! A table as Parquet, one group of rows at a time.

use super::{Column, Kind, Value};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use std::io::{self, Write};
use std::sync::Arc;

/// A Parquet file on its way, Snappy-compressed; lists are lists, NaN and null are told apart.
pub struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Column>,
}

fn fail(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl<W: Write + Send> Parquet<W> {
    /// Begins a file with these columns; `name` is that of the schema.
    ///
    /// # Errors
    /// The destination fails, or two columns have one name.
    pub fn new(out: W, name: &str, columns: Vec<Column>) -> io::Result<Self> {
        let types = columns.iter().map(column).collect::<Result<_, _>>().map_err(fail)?;
        let schema = Arc::new(Type::group_type_builder(name).with_fields(types).build().map_err(fail)?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let writer = SerializedFileWriter::new(out, schema, properties).map_err(fail)?;
        Ok(Self { writer, columns })
    }

    /// Writes a group of rows; `value` says what stands in a row and a column, both from 0.
    ///
    /// # Errors
    /// The destination fails.
    pub fn group<'a>(&mut self, rows: usize, value: impl Fn(usize, usize) -> Value<'a>) -> io::Result<()> {
        if rows == 0 { Ok(()) } else { self.write(rows, value).map_err(fail) }
    }

    /// Ends the file and gives the destination back.
    ///
    /// # Errors
    /// The destination fails.
    pub fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(fail)
    }

    fn write<'a>(&mut self, rows: usize, value: impl Fn(usize, usize) -> Value<'a>) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (at, column) in self.columns.iter().enumerate() {
            let Some(mut open) = group.next_column()? else { break };
            match open.untyped() {
                ColumnWriter::ByteArrayColumnWriter(w) => {
                    let text = |r| if let Value::Text(v) = value(r, at) { v.map(ByteArray::from) } else { None };
                    let (values, levels) = scalars(rows, text);
                    // What every row has needs no levels.
                    w.write_batch(&values, (!column.required).then_some(&levels), None)?;
                }
                ColumnWriter::BoolColumnWriter(w) => {
                    let (values, levels) = scalars(rows, |r| if let Value::Flag(v) = value(r, at) { v } else { None });
                    w.write_batch(&values, (!column.required).then_some(&levels), None)?;
                }
                ColumnWriter::Int64ColumnWriter(w) => {
                    let count = |r| if let Value::Count(v) = value(r, at) { i64::try_from(v?).ok() } else { None };
                    let (values, levels) = scalars(rows, count);
                    w.write_batch(&values, (!column.required).then_some(&levels), None)?;
                }
                ColumnWriter::Int32ColumnWriter(w) => {
                    let label = |l: &Option<i8>| l.map(i32::from);
                    let list = |r| if let Value::Labels(v) = value(r, at) { Some(v?.iter().map(label).collect()) } else { None };
                    let (values, definitions, repetitions) = lists(rows, list);
                    w.write_batch(&values, Some(&definitions), Some(&repetitions))?;
                }
                ColumnWriter::FloatColumnWriter(w) if column.kind == Kind::Numbers => {
                    let (values, definitions, repetitions) = lists(rows, |r| if let Value::Numbers(v) = value(r, at) { v } else { None });
                    w.write_batch(&values, Some(&definitions), Some(&repetitions))?;
                }
                ColumnWriter::FloatColumnWriter(w) => {
                    let (values, levels) = scalars(rows, |r| if let Value::Number(v) = value(r, at) { v } else { None });
                    w.write_batch(&values, (!column.required).then_some(&levels), None)?;
                }
                _ => return Err(ParquetError::General(format!("no writer for column {}", column.name))),
            }
            open.close()?;
        }
        group.close()?;
        Ok(())
    }
}

fn column(column: &Column) -> Result<TypePtr, ParquetError> {
    let Column { name, kind, required } = column;
    if !matches!(kind, Kind::Numbers | Kind::Labels) {
        return scalar(name, *kind, *required);
    }
    let element = scalar("element", *kind, false)?;
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]).build()?;
    let group = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL).with_logical_type(Some(LogicalType::List));
    Ok(Arc::new(group.with_fields(vec![Arc::new(list)]).build()?))
}

/// A column that holds a value a row.
fn scalar(name: &str, kind: Kind, required: bool) -> Result<TypePtr, ParquetError> {
    let physical = match kind {
        Kind::Text => Physical::BYTE_ARRAY,
        Kind::Flag => Physical::BOOLEAN,
        Kind::Count => Physical::INT64,
        Kind::Number | Kind::Numbers => Physical::FLOAT,
        Kind::Labels => Physical::INT32,
    };
    let repetition = if required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    let logical = (kind == Kind::Text).then_some(LogicalType::String);
    Ok(Arc::new(Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical).build()?))
}

/// The known values of a column, and 1 for every row that has one.
fn scalars<T>(rows: usize, value: impl Fn(usize) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(rows));
    for row in 0..rows {
        let value = value(row);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    (values, levels)
}

/// Definition levels: 0 no list, 1 an empty list, 2 a null in it, 3 a value. Repetition: 0 starts a row, 1 goes on with its list.
fn lists<T>(rows: usize, list: impl Fn(usize) -> Option<Vec<Option<T>>>) -> (Vec<T>, Vec<i16>, Vec<i16>) {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        match list(row) {
            None => definitions.push(0),
            Some(steps) if steps.is_empty() => definitions.push(1),
            Some(steps) => {
                for step in steps {
                    definitions.push(if step.is_some() { 3 } else { 2 });
                    values.extend(step);
                }
            }
        }
        repetitions.push(0);
        repetitions.resize(definitions.len(), 1);
    }
    (values, definitions, repetitions)
}
