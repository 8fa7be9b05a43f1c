//! The same rows as Parquet, with lists as lists.

use super::{AGGREGATIONS, COLUMNS, Derived};
use crate::eval::{ScoredCandidate, ScoredTrace};
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::io::{self, Write};
use std::sync::Arc;

/// A row group ends after this many rows, or step values of one list, whichever comes first: that bounds the memory.
const ROWS: usize = 50_000;
const VALUES: usize = 1_000_000;

struct Row<'a> {
    id: &'a str,
    greedy: Option<bool>,
    /// `None` for a problem without candidates.
    candidate: Option<(usize, &'a ScoredCandidate, Derived)>,
}

fn schema() -> String {
    let field = |name: &&str| match *name {
        "problem_id" => "required binary problem_id (STRING);".to_string(),
        "answer" | "class" => format!("optional binary {name} (STRING);"),
        "step_labels" => "optional group step_labels (LIST) { repeated group list { optional int32 element; } }".into(),
        "correct" | "labelled" | "greedy" => format!("optional boolean {name};"),
        "index" | "first_error" | "n_steps" | "n_tokens" | "predicted_first_error" => format!("optional int64 {name};"),
        list if list.starts_with("step_") => {
            format!("optional group {list} (LIST) {{ repeated group list {{ optional float element; }} }}")
        }
        number => format!("optional float {number};"),
    };
    format!("message rows {{ {} }}", COLUMNS.iter().map(field).collect::<Vec<_>>().join(" "))
}

/// Writes the rows as Parquet, Snappy-compressed, one row group at a time; columns as in CSV, lists as lists, NaN and null apart.
///
/// # Errors
/// The destination fails.
pub fn write_parquet(traces: &[ScoredTrace], threshold: Option<f32>, out: impl Write + Send) -> io::Result<()> {
    let fail = |e: ParquetError| io::Error::other(e);
    let schema = Arc::new(parse_message_type(&schema()).map_err(fail)?);
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut writer = SerializedFileWriter::new(out, schema, properties).map_err(fail)?;
    let (mut rows, mut values) = (Vec::<Row>::new(), 0);
    let rows_of = |trace: &'_ ScoredTrace| trace.candidates.len().max(1);
    for trace in traces {
        for index in 0..rows_of(trace) {
            let candidate = trace.candidates.get(index).map(|c| (index, c, Derived::of(c, threshold)));
            values += candidate.as_ref().map_or(0, |(_, c, _)| c.n_steps.max(c.step_rewards.len()));
            rows.push(Row { id: &trace.id, greedy: trace.greedy, candidate });
            if rows.len() >= ROWS || values >= VALUES {
                group(&mut writer, &rows).map_err(fail)?;
                rows.clear();
                values = 0;
            }
        }
    }
    if !rows.is_empty() {
        group(&mut writer, &rows).map_err(fail)?;
    }
    writer.close().map_err(fail)?;
    Ok(())
}

fn group<W: Write + Send>(writer: &mut SerializedFileWriter<W>, rows: &[Row]) -> Result<(), ParquetError> {
    let mut group: SerializedRowGroupWriter<W> = writer.next_row_group()?;
    let mut column = 0;
    while let Some(mut open) = group.next_column()? {
        let name = COLUMNS[column];
        match open.untyped() {
            ColumnWriter::ByteArrayColumnWriter(w) if name == "problem_id" => {
                let ids: Vec<ByteArray> = rows.iter().map(|r| ByteArray::from(r.id)).collect();
                w.write_batch(&ids, None, None)?;
            }
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let (values, levels) = scalars(rows, |_, c, _| {
                    let text = if name == "answer" { &c.answer } else { &c.class };
                    text.as_deref().map(ByteArray::from)
                });
                w.write_batch(&values, Some(&levels), None)?;
            }
            ColumnWriter::BoolColumnWriter(w) if name == "greedy" => {
                let values: Vec<bool> = rows.iter().filter_map(|r| r.greedy).collect();
                let levels: Vec<i16> = rows.iter().map(|r| i16::from(r.greedy.is_some())).collect();
                w.write_batch(&values, Some(&levels), None)?;
            }
            ColumnWriter::BoolColumnWriter(w) => {
                let (values, levels) = scalars(rows, |_, c, _| Some(if name == "correct" { c.correct } else { c.labelled }));
                w.write_batch(&values, Some(&levels), None)?;
            }
            ColumnWriter::Int64ColumnWriter(w) => {
                let (values, levels) = scalars(rows, |index, c, d| {
                    let value = match name {
                        "index" => Some(index),
                        "first_error" => c.first_error,
                        "n_steps" => Some(c.n_steps),
                        "n_tokens" => Some(c.n_tokens),
                        _ => d.predicted,
                    };
                    value.and_then(|v| i64::try_from(v).ok())
                });
                w.write_batch(&values, Some(&levels), None)?;
            }
            ColumnWriter::Int32ColumnWriter(w) => {
                let (values, definitions, repetitions) = lists(rows, |c| &c.step_labels);
                let values: Vec<i32> = values.into_iter().map(i32::from).collect();
                w.write_batch(&values, Some(&definitions), Some(&repetitions))?;
            }
            ColumnWriter::FloatColumnWriter(w) if name.starts_with("step_") => {
                let (values, definitions, repetitions) = lists(rows, |c| match name {
                    "step_rewards" => &c.step_rewards,
                    "step_logprob_min" => &c.step_logprob_min,
                    "step_entropy_max" => &c.step_entropy_max,
                    "step_critic_logprob_min" => &c.step_critic_logprob_min,
                    _ => &c.step_combined,
                });
                w.write_batch(&values, Some(&definitions), Some(&repetitions))?;
            }
            ColumnWriter::FloatColumnWriter(w) => {
                let (values, levels) = scalars(rows, |_, c, d| match name {
                    "logprob_sum" => c.logprob_sum,
                    "critic_logprob_sum" => c.critic_logprob_sum,
                    "entropy_mean" => c.entropy_mean,
                    "outcome_reward" => c.outcome_reward,
                    "logprob_mean" => d.logprob_mean,
                    "critic_logprob_mean" => d.critic_logprob_mean,
                    reward => AGGREGATIONS.iter().position(|a| a.0 == reward).and_then(|k| d.rewards[k]),
                });
                w.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(ParquetError::General(format!("no writer for column {name}"))),
        }
        open.close()?;
        column += 1;
    }
    group.close()?;
    Ok(())
}

/// The known values of a column, and 1 for every row that has one.
fn scalars<T>(rows: &[Row], value: impl Fn(usize, &ScoredCandidate, &Derived) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let value = row.candidate.as_ref().and_then(|(i, c, d)| value(*i, c, d));
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    (values, levels)
}

/// Definition levels: 0 no list, 1 an empty list, 2 a null in it, 3 a value. Repetition: 0 starts a row, 1 goes on with its list.
fn lists<'a, T: Copy + 'a>(rows: &[Row<'a>], list: impl Fn(&'a ScoredCandidate) -> &'a Vec<Option<T>>) -> (Vec<T>, Vec<i16>, Vec<i16>) {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let steps = row.candidate.as_ref().map(|(_, c, _)| list(c));
        match steps {
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
    use super::super::tests::odd_traces;
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    #[test]
    fn rows_are_read_by_any_reader_of_parquet() {
        let traces = odd_traces();
        let file = tempfile::tempfile().unwrap();
        write_parquet(&traces, Some(0.0), file.try_clone().unwrap()).unwrap();
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
                assert_eq!((field("index"), field("step_rewards")), (Field::Null, Field::Null));
                continue;
            };
            assert_eq!(field("correct"), Field::Bool(c.correct));
            assert_eq!(field("n_tokens"), Field::Long(c.n_tokens as i64));
            assert_eq!(field("first_error"), c.first_error.map_or(Field::Null, |e| Field::Long(e as i64)));
            assert_eq!(field("class"), c.class.clone().map_or(Field::Null, Field::Str));
            assert_eq!(field("answer"), c.answer.clone().map_or(Field::Null, Field::Str));
            let Field::ListInternal(list) = field("step_rewards") else { panic!("{:?}", field("step_rewards")) };
            assert_eq!(list.len(), c.step_rewards.len());
            for (got, expected) in list.elements().iter().zip(&c.step_rewards) {
                match (got, expected) {
                    (Field::Null, None) => {}
                    (Field::Float(a), Some(b)) => assert_eq!(a.to_bits(), b.to_bits()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
