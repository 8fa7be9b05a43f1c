//! Traces written one after another.

use super::report::{Html, Markdown};
use super::survey::Survey;
use super::target::Target;
use super::{Options, records, table};
use crate::format::native::to_lines;
use crate::trace::Trace;
use crate::util::json::escaped;
#[cfg(feature = "parquet")]
use crate::util::table::Parquet;
use crate::util::table::push_cell;
use std::io::{self, Write};

/// Rows, and bytes of their texts, after which a row group of Parquet ends: that bounds the memory.
#[cfg(feature = "parquet")]
const ROWS: usize = 20_000;
#[cfg(feature = "parquet")]
const BYTES: usize = 32 << 20;

/// Writes traces in a format.
pub struct Writer<W: Write + Send> {
    sink: Sink<W>,
    target: Target,
    options: Options,
    signals: Vec<String>,
}

enum Sink<W: Write + Send> {
    Records {
        out: W,
        any: bool,
    },
    Csv(Box<csv::Writer<W>>),
    #[cfg(feature = "parquet")]
    Parquet {
        table: Box<Parquet<W>>,
        held: Vec<Vec<table::Cell>>,
        bytes: usize,
    },
    Markdown(Markdown<W>),
    Html(Html<W>),
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file. `survey`: what was found of the traces that will be written.
    ///
    /// # Errors
    /// The destination fails, or this build has no Parquet.
    pub fn new(out: W, survey: &Survey, target: Target, options: Options) -> io::Result<Self> {
        let signals = survey.signals().to_vec();
        let sink = match target {
            Target::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(table::columns(options.rows, &signals).iter().map(|c| c.name.as_str()))?;
                Sink::Csv(Box::new(writer))
            }
            #[cfg(feature = "parquet")]
            Target::Parquet => {
                let table = Parquet::new(out, "traces", table::columns(options.rows, &signals))?;
                Sink::Parquet { table: Box::new(table), held: Vec::new(), bytes: 0 }
            }
            #[cfg(not(feature = "parquet"))]
            Target::Parquet => {
                return Err(io::Error::other("this build cannot write Parquet (feature `parquet`); write CSV with --to csv"));
            }
            Target::Markdown => Sink::Markdown(Markdown::begin(out, &options)?),
            Target::Html => Sink::Html(Html::begin(out, &options)?),
            _ => Sink::Records { out, any: false },
        };
        Ok(Self { sink, target, options, signals })
    }

    /// Writes a trace.
    ///
    /// # Errors
    /// The destination fails.
    pub fn add(&mut self, trace: &Trace) -> io::Result<()> {
        match &mut self.sink {
            Sink::Records { out, any } => {
                let lines: Vec<String> = match self.target {
                    Target::Native => to_lines(trace, None),
                    target => records(target, trace).records.into_iter().map(|r| r.value.to_string()).collect(),
                };
                for line in lines {
                    if self.options.array {
                        out.write_all(if *any { b",\n" } else { b"[\n" })?;
                    }
                    *any = true;
                    out.write_all(escaped(&line).as_bytes())?;
                    if !self.options.array {
                        out.write_all(b"\n")?;
                    }
                }
            }
            Sink::Csv(writer) => {
                let mut buffer = Vec::new();
                for row in table::rows(trace, &self.options, &self.signals) {
                    for cell in &row {
                        buffer.clear();
                        push_cell(&mut buffer, &cell.value());
                        writer.write_field(&buffer)?;
                    }
                    writer.write_record(None::<&[u8]>)?;
                }
            }
            #[cfg(feature = "parquet")]
            Sink::Parquet { table, held, bytes } => {
                for row in table::rows(trace, &self.options, &self.signals) {
                    *bytes += row.iter().map(|c| if let table::Cell::Text(Some(t)) = c { t.len() } else { 8 }).sum::<usize>();
                    held.push(row);
                    if held.len() >= ROWS || *bytes >= BYTES {
                        table.group(held.len(), |row, column| held[row][column].value())?;
                        held.clear();
                        *bytes = 0;
                    }
                }
            }
            Sink::Markdown(report) => report.add(trace)?,
            Sink::Html(report) => report.add(trace)?,
        }
        Ok(())
    }

    /// Ends the file and gives the destination back.
    ///
    /// # Errors
    /// The destination fails.
    pub fn finish(self) -> io::Result<W> {
        match self.sink {
            Sink::Records { mut out, any } => {
                if self.options.array {
                    out.write_all(if any { b"\n]\n" } else { b"[]\n" })?;
                }
                Ok(out)
            }
            Sink::Csv(writer) => writer.into_inner().map_err(|e| io::Error::other(e.to_string())),
            #[cfg(feature = "parquet")]
            Sink::Parquet { mut table, held, .. } => {
                table.group(held.len(), |row, column| held[row][column].value())?;
                table.finish()
            }
            Sink::Markdown(report) => Ok(report.end()),
            Sink::Html(report) => report.end(),
        }
    }
}
