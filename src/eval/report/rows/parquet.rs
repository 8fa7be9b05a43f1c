//! The same rows as Parquet, with lists as lists.

use super::fields::{Part, Row, fields, rows};
use crate::eval::ScoredTrace;
use crate::trace::Calibration;
use crate::util::table::{Column, Parquet};
use std::io::{self, Write};

/// A row group ends after this many rows, or step values of one list, whichever comes first: that bounds the memory.
const ROWS: usize = 50_000;
const VALUES: usize = 1_000_000;

/// Writes the rows as Parquet, one row group at a time; columns as in CSV, lists as lists, NaN and null apart.
///
/// # Errors
/// The destination fails.
pub fn write_parquet(traces: &[ScoredTrace], calibration: &Calibration, out: impl Write + Send) -> io::Result<()> {
    let fields = fields(traces, calibration);
    let column = |f: &super::fields::Field| Column { name: f.name.clone(), kind: f.part.kind(), required: f.part == Part::Id };
    let mut writer = Parquet::new(out, "rows", fields.iter().map(column).collect())?;
    let (mut held, mut values) = (Vec::<Row>::new(), 0);
    for row in traces.iter().flat_map(rows) {
        values += row.candidate.map_or(0, |(_, c)| c.n_steps.max(c.step_labels.len()));
        held.push(row);
        if held.len() >= ROWS || values >= VALUES {
            writer.group(held.len(), |row, column| fields[column].part.value(&held[row]))?;
            held.clear();
            values = 0;
        }
    }
    writer.group(held.len(), |row, column| fields[column].part.value(&held[row]))?;
    writer.finish().map(drop)
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
