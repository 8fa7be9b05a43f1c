//! The same rows as Parquet, with lists as lists.

use super::fields::{Field, Kind, Part, Row, Value, fields, rows};
use crate::eval::ScoredTrace;
use crate::trace::Calibration;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use std::io::{self, Write};
use std::sync::Arc;

/// A row group ends after this many rows, or step values of one list, whichever comes first: that bounds the memory.
const ROWS: usize = 50_000;
const VALUES: usize = 1_000_000;

/// A column that holds a value a row; `required`: in every row.
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

fn column(field: &Field) -> Result<TypePtr, ParquetError> {
    let kind = field.part.kind();
    if !matches!(kind, Kind::Numbers | Kind::Labels) {
        return scalar(&field.name, kind, field.part == Part::Id);
    }
    let element = scalar("element", kind, false)?;
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]).build()?;
    let group = Type::group_type_builder(&field.name).with_repetition(Repetition::OPTIONAL).with_logical_type(Some(LogicalType::List));
    Ok(Arc::new(group.with_fields(vec![Arc::new(list)]).build()?))
}

/// Writes the rows as Parquet, Snappy-compressed, one row group at a time; columns as in CSV, lists as lists, NaN and null apart.
///
/// # Errors
/// The destination fails.
pub fn write_parquet(traces: &[ScoredTrace], calibration: &Calibration, out: impl Write + Send) -> io::Result<()> {
    let fail = |e: ParquetError| io::Error::other(e);
    let fields = fields(traces, calibration);
    let columns = fields.iter().map(column).collect::<Result<_, _>>().map_err(fail)?;
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(columns).build().map_err(fail)?);
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut writer = SerializedFileWriter::new(out, schema, properties).map_err(fail)?;
    let (mut held, mut values) = (Vec::<Row>::new(), 0);
    for row in traces.iter().flat_map(rows) {
        values += row.candidate.map_or(0, |(_, c)| c.n_steps.max(c.step_labels.len()));
        held.push(row);
        if held.len() >= ROWS || values >= VALUES {
            group(&mut writer, &fields, &held).map_err(fail)?;
            held.clear();
            values = 0;
        }
    }
    if !held.is_empty() {
        group(&mut writer, &fields, &held).map_err(fail)?;
    }
    writer.close().map_err(fail)?;
    Ok(())
}

fn group<W: Write + Send>(writer: &mut SerializedFileWriter<W>, fields: &[Field], rows: &[Row<'_>]) -> Result<(), ParquetError> {
    let mut group: SerializedRowGroupWriter<W> = writer.next_row_group()?;
    for field in fields {
        let Some(mut open) = group.next_column()? else { break };
        match open.untyped() {
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let text = |r: &Row<'_>| if let Value::Text(v) = field.part.value(r) { v.map(ByteArray::from) } else { None };
                let (values, levels) = scalars(rows, text);
                // What every row has needs no levels.
                w.write_batch(&values, (field.part != Part::Id).then_some(&levels), None)?;
            }
            ColumnWriter::BoolColumnWriter(w) => {
                let (values, levels) = scalars(rows, |r| if let Value::Flag(v) = field.part.value(r) { v } else { None });
                w.write_batch(&values, Some(&levels), None)?;
            }
            ColumnWriter::Int64ColumnWriter(w) => {
                let (values, levels) =
                    scalars(rows, |r| if let Value::Count(v) = field.part.value(r) { i64::try_from(v?).ok() } else { None });
                w.write_batch(&values, Some(&levels), None)?;
            }
            ColumnWriter::Int32ColumnWriter(w) => {
                let label = |l: &Option<i8>| l.map(i32::from);
                let list =
                    |r: &Row<'_>| if let Value::Labels(v) = field.part.value(r) { Some(v?.iter().map(label).collect()) } else { None };
                let (values, definitions, repetitions) = lists(rows, list);
                w.write_batch(&values, Some(&definitions), Some(&repetitions))?;
            }
            ColumnWriter::FloatColumnWriter(w) if field.part.kind() == Kind::Numbers => {
                let (values, definitions, repetitions) =
                    lists(rows, |r| if let Value::Numbers(v) = field.part.value(r) { v } else { None });
                w.write_batch(&values, Some(&definitions), Some(&repetitions))?;
            }
            ColumnWriter::FloatColumnWriter(w) => {
                let (values, levels) = scalars(rows, |r| if let Value::Number(v) = field.part.value(r) { v } else { None });
                w.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(ParquetError::General(format!("no writer for column {}", field.name))),
        }
        open.close()?;
    }
    group.close()?;
    Ok(())
}

/// The known values of a column, and 1 for every row that has one.
fn scalars<'a, T>(rows: &[Row<'a>], value: impl Fn(&Row<'a>) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let value = value(row);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    (values, levels)
}

/// Definition levels: 0 no list, 1 an empty list, 2 a null in it, 3 a value. Repetition: 0 starts a row, 1 goes on with its list.
fn lists<'a, T>(rows: &[Row<'a>], list: impl Fn(&Row<'a>) -> Option<Vec<Option<T>>>) -> (Vec<T>, Vec<i16>, Vec<i16>) {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{REWARDS, odd_traces};
    use super::*;
    use crate::eval::ScoredCandidate;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    #[test]
    fn rows_are_read_by_any_reader_of_parquet() {
        let traces = odd_traces();
        let file = tempfile::tempfile().unwrap();
        write_parquet(&traces, &Calibration::default(), file.try_clone().unwrap()).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let candidates: Vec<(&ScoredTrace, Option<&ScoredCandidate>)> =
            traces.iter().flat_map(|t| (0..t.candidates.len().max(1)).map(move |i| (t, t.candidates.get(i)))).collect();
        assert_eq!(rows.len(), candidates.len());
        for (row, (trace, candidate)) in rows.iter().zip(candidates) {
            let field = |name: &str| row.get_column_iter().find(|c| c.0 == name).unwrap().1.clone();
            assert_eq!(field("problem_id"), Field::Str(trace.id.clone()));
            assert_eq!(field("greedy"), trace.greedy.map_or(Field::Null, Field::Bool));
            let Some(c) = candidate else {
                assert_eq!((field("index"), field(REWARDS)), (Field::Null, Field::Null));
                continue;
            };
            assert_eq!(field("correct"), Field::Bool(c.correct));
            assert_eq!(field("n_tokens"), Field::Long(c.n_tokens as i64));
            assert_eq!(field("first_error"), c.first_error.map_or(Field::Null, |e| Field::Long(e as i64)));
            assert_eq!(field("class"), c.class.clone().map_or(Field::Null, Field::Str));
            assert_eq!(field("answer"), c.answer.clone().map_or(Field::Null, Field::Str));
            if c.columns().is_empty() {
                assert_eq!(field(REWARDS), Field::Null);
                continue;
            }
            let Field::ListInternal(list) = field(REWARDS) else { panic!("{:?}", field(REWARDS)) };
            let expected = crate::eval::scored::known(c.steps(&"reward.min".parse().unwrap()));
            assert_eq!(list.len(), expected.len());
            for (got, expected) in list.elements().iter().zip(&expected) {
                match (got, expected) {
                    (Field::Null, None) => {}
                    (Field::Float(a), Some(b)) => assert_eq!(a.to_bits(), b.to_bits()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
