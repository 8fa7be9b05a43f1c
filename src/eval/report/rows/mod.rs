//! Every row behind a report's figures, one a candidate, as CSV or Parquet; CSV is read back as it was written.
//!
//! A row has what is known of the candidate, then a column for each reading of each signal that some candidate has (`steps:` a value a step, `whole:` one of
//! the whole, both in the signal's own unit), then what is derived for a reader's convenience: the default reward under each aggregation, and the first step
//! that its calibrated threshold marks; reading passes over those. A value that is not known is an empty field, a number that is none is `NaN`. `greedy` is
//! the problem's, the same in each of its rows. Lists of step values are JSON: `[1.5,null]`. An answer or class that is empty or starts with `"` is a JSON
//! string. A problem without candidates has one row without an index.

mod fields;
#[cfg(feature = "parquet")]
mod parquet;
mod read;

use crate::eval::ScoredTrace;
use crate::trace::Calibration;
use crate::util::table::{Value, push_cell};
use csv::Writer;
use fields::{fields, rows};
use std::io::{self, Write};

#[cfg(feature = "parquet")]
pub use parquet::write_parquet;
pub use read::{RowError, read_csv};

/// How the header of every file begins.
pub fn header_start() -> String {
    fields::fixed().take(4).collect::<Vec<_>>().join(",")
}

/// Names of the columns of rows of these traces, in order.
pub fn column_names(traces: &[ScoredTrace], calibration: &Calibration) -> Vec<String> {
    fields(traces, calibration).into_iter().map(|f| f.name).collect()
}

fn push_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(Some(text)) if text.is_empty() || text.starts_with('"') => {
            out.extend_from_slice(serde_json::Value::from(*text).to_string().as_bytes());
        }
        value => push_cell(out, value),
    }
}

/// Writes the rows as CSV with a header, one row at a time. `calibration`: what marks a first error in `predicted_first_error`.
///
/// # Errors
/// The destination fails.
pub fn csv(traces: &[ScoredTrace], calibration: &Calibration, out: impl Write) -> io::Result<()> {
    let fields = fields(traces, calibration);
    let mut writer = Writer::from_writer(out);
    writer.write_record(fields.iter().map(|f| f.name.as_bytes())).map_err(io::Error::other)?;
    let mut buffer = Vec::new();
    for row in traces.iter().flat_map(rows) {
        for field in &fields {
            buffer.clear();
            match field.part.value(&row) {
                // An identity is what it is: it is never unknown.
                Value::Text(Some(id)) if field.part == fields::Part::Id => buffer.extend_from_slice(id.as_bytes()),
                value => push_value(&mut buffer, &value),
            }
            writer.write_field(&buffer).map_err(io::Error::other)?;
        }
        writer.write_record(None::<&[u8]>).map_err(io::Error::other)?;
    }
    writer.flush()
}

#[cfg(test)]
pub(super) mod tests;
