//! A report as a folder: the page, Markdown, JSON, every row, every picture. A file gets its name when it is whole.

use crate::eval::draw;
use crate::eval::metrics::localise::combine::COMBINED;
use crate::eval::parts::Report;
use crate::eval::report::html::html;
use crate::eval::report::rows::{self, RowError};
use crate::eval::{EvalError, ScoredTrace};
use crate::trace::{Calibration, Reading};
use crate::util::atomic::{self, AtomicFile};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Files that a report may have beside `charts/`.
const FILES: [&str; 5] = ["report.html", "report.md", "report.json", "rows.csv", "rows.parquet"];
const CHARTS: &str = "charts";

/// Why a report folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system refuses.
    #[error("{path}: {error}")]
    Io {
        /// File or folder.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The folder holds what no report wrote.
    #[error("{folder} holds other things than an earlier report ({names}); name an empty or a new folder, or allow it with --into-foreign")]
    Foreign {
        /// The folder.
        folder: String,
        /// The first of them.
        names: String,
    },
    /// Rows cannot be read.
    #[error("{path}, {error}")]
    Rows {
        /// The file.
        path: String,
        /// Line, field and remedy.
        error: RowError,
    },
    /// A file of the report is not what a report writes.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong and what helps.
        reason: String,
    },
    /// A picture cannot be drawn.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

/// How a report is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteOptions {
    /// The thresholds of the evaluation; the default reward's fills `predicted_first_error`, and all are kept for a comparison.
    pub calibration: Calibration,
    /// Write into a folder that holds other things, too. They stay; files of the same names are replaced.
    pub into_foreign: bool,
}

/// What a report folder says of its run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Title of the report, or the name of the file where only rows are there.
    pub title: String,
    /// The rows.
    pub traces: Vec<ScoredTrace>,
    /// The thresholds of the evaluation.
    pub calibration: Calibration,
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FolderError + '_ {
    move |error| FolderError::Io { path: path.display().to_string(), error }
}

/// The report as JSON with the pictures' data and the thresholds.
fn full_json(report: &Report, rows: &[ScoredTrace], calibration: &Calibration) -> Value {
    let mut value = report.json();
    if let Value::Object(map) = &mut value {
        map.insert("charts".into(), serde_json::to_value(&report.charts).unwrap_or_default());
        map.insert("calibration".into(), serde_json::to_value(calibration).unwrap_or_default());
        let candidates: usize = rows.iter().map(|t| t.candidates.len()).sum();
        map.insert(
            "rows".into(),
            json!({ "problems": rows.len(), "candidates": candidates, "columns": rows::column_names(rows, calibration) }),
        );
    }
    value
}

/// File stems of the charts: their names in letters, digits and `-`, each once.
fn stems(report: &Report) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let stem = |name: &str| {
        let plain: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' }).collect();
        let plain = plain.trim_matches('-');
        if plain.is_empty() { "chart".to_string() } else { plain.chars().take(80).collect() }
    };
    let mut out = Vec::with_capacity(report.charts.len());
    for chart in &report.charts {
        let first = stem(&chart.name);
        let name = (1..).map(|k| if k == 1 { first.clone() } else { format!("{first}-{k}") }).find(|n| taken.insert(n.clone()));
        out.push(name.unwrap_or(first));
    }
    out
}

fn is_chart(name: &str) -> bool {
    name.ends_with(".svg") || name.ends_with(".png")
}

/// Whether a report that broke off has left this.
fn is_unfinished(name: &str) -> bool {
    atomic::unfinished(name).is_some_and(|file| FILES.contains(&file) || is_chart(file))
}

fn names(folder: &Path) -> Result<Vec<(String, bool)>, FolderError> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_at(folder))? {
        let entry = entry.map_err(io_at(folder))?;
        let is_folder = entry.file_type().map_err(io_at(folder))?.is_dir();
        out.push((entry.file_name().to_string_lossy().into_owned(), is_folder));
    }
    out.sort();
    Ok(out)
}

/// What an earlier report left: its JSON where it was finished. `Err` where the folder holds anything else.
fn earlier(folder: &Path) -> Result<Option<Value>, FolderError> {
    let present = names(folder)?;
    let mut foreign: Vec<String> = Vec::new();
    for (name, is_folder) in &present {
        if *is_folder && name == CHARTS {
            let of_chart = |n: &str| is_chart(n) || is_unfinished(n);
            let inside = names(&folder.join(CHARTS))?;
            foreign.extend(inside.into_iter().filter(|(n, dir)| *dir || !of_chart(n)).map(|(n, _)| format!("{CHARTS}/{n}")));
        } else if *is_folder || !(FILES.contains(&name.as_str()) || is_unfinished(name)) {
            foreign.push(name.clone());
        }
    }
    let json = finished(folder);
    let begun = || {
        // The rows are written first.
        let header = File::open(folder.join("rows.csv")).ok().and_then(|f| BufReader::new(f).lines().next()).and_then(Result::ok);
        header.is_some_and(|h| h.starts_with(&rows::header_start()))
    };
    let named = |(name, _): &(String, bool)| !is_unfinished(name);
    if foreign.is_empty() && json.is_none() && present.iter().any(named) && !begun() {
        foreign.extend(present.iter().filter(|p| named(p)).map(|p| p.0.clone()));
    }
    if foreign.is_empty() {
        return Ok(json);
    }
    let more = if foreign.len() > 3 { format!(" and {} more", foreign.len() - 3) } else { String::new() };
    let names = foreign.iter().take(3).cloned().collect::<Vec<_>>().join(", ") + &more;
    Err(FolderError::Foreign { folder: folder.display().to_string(), names })
}

/// The JSON of a report that was written to its end.
fn finished(folder: &Path) -> Option<Value> {
    let value: Value = serde_json::from_slice(&fs::read(folder.join("report.json")).ok()?).ok()?;
    (value["tables"].is_array() && value["rows"]["columns"].is_array()).then_some(value)
}

/// Writes `rows.csv` (and `rows.parquet` in a build with that feature), `charts/NAME.svg` and `.png`, `report.html`, `report.md`, and, last,
/// `report.json`; the paths in that order. An earlier report is replaced; its pictures that the new one lacks are removed.
///
/// # Errors
/// The folder holds other things than an earlier report and `into_foreign` is not set, a picture cannot be drawn, or a file cannot be written.
pub fn write(report: &Report, traces: &[ScoredTrace], folder: &Path, options: &WriteOptions) -> Result<Vec<PathBuf>, FolderError> {
    let charts = folder.join(CHARTS);
    let page = html(report)?;
    let old = if folder.exists() {
        match earlier(folder) {
            Err(FolderError::Foreign { .. }) if options.into_foreign => finished(folder),
            other => other?,
        }
    } else {
        None
    };
    fs::create_dir_all(&charts).map_err(io_at(&charts))?;
    for place in [folder, &charts] {
        for (name, _) in names(place)?.into_iter().filter(|n| is_unfinished(&n.0)) {
            let path = place.join(name);
            fs::remove_file(&path).map_err(io_at(&path))?;
        }
    }
    let mut written = Vec::new();
    let mut put = |path: PathBuf, content: &mut dyn FnMut(&mut BufWriter<AtomicFile>) -> io::Result<()>| {
        atomic::write_with(&path, content).map_err(io_at(&path))?;
        written.push(path);
        Ok::<(), FolderError>(())
    };
    // An old report's end must not vouch for a new one's beginning.
    let end = folder.join("report.json");
    if old.is_some() {
        fs::remove_file(&end).map_err(io_at(&end))?;
    }
    let calibration = &options.calibration;
    put(folder.join("rows.csv"), &mut |out| rows::csv(traces, calibration, out))?;
    let parquet = folder.join("rows.parquet");
    #[cfg(feature = "parquet")]
    put(parquet, &mut |out| rows::write_parquet(traces, calibration, out))?;
    #[cfg(not(feature = "parquet"))]
    if old.is_some() && parquet.exists() {
        fs::remove_file(&parquet).map_err(io_at(&parquet))?;
    }
    let stems = stems(report);
    for (chart, stem) in report.charts.iter().zip(&stems) {
        let (svg, png) = (draw::svg(chart)?, draw::png(chart)?);
        put(charts.join(format!("{stem}.svg")), &mut |out| out.write_all(svg.as_bytes()))?;
        put(charts.join(format!("{stem}.png")), &mut |out| out.write_all(&png))?;
    }
    let before = old.as_ref().and_then(|o| o["files"].as_array()).into_iter().flatten().filter_map(Value::as_str);
    for stem in before.filter(|s| !stems.iter().any(|n| n == s) && !s.contains(['/', '\\'])) {
        for ending in ["svg", "png"] {
            // Gone already is as good.
            let _ = fs::remove_file(charts.join(format!("{stem}.{ending}")));
        }
    }
    put(folder.join("report.html"), &mut |out| out.write_all(page.as_bytes()))?;
    put(folder.join("report.md"), &mut |out| out.write_all(report.markdown().as_bytes()))?;
    let mut data = full_json(report, traces, &options.calibration);
    data["files"] = json!(stems);
    put(end, &mut |out| {
        serde_json::to_writer_pretty(&mut *out, &data)?;
        out.write_all(b"\n")
    })?;
    Ok(written)
}

/// Title and figures of the report in a folder.
///
/// # Errors
/// There is no report that was written to its end.
pub fn figures(folder: &Path) -> Result<(String, BTreeMap<String, f64>), FolderError> {
    let reason = || "no report that was written to its end is in it (report.json); name a folder that --report wrote".to_owned();
    let value = finished(folder).ok_or_else(|| FolderError::Content { path: folder.display().to_string(), reason: reason() })?;
    let figures = value["figures"].as_object().into_iter().flatten().filter_map(|(name, x)| Some((name.clone(), x.as_f64()?)));
    Ok((value["title"].as_str().unwrap_or_default().to_owned(), figures.collect()))
}

/// Loads the rows of a report folder, or of a `rows.csv` that stands alone.
///
/// # Errors
/// There are no rows, they cannot be read (line and field are named), or the report was not written to its end.
pub fn read(path: &Path) -> Result<Run, FolderError> {
    let alone = path.is_file();
    let file = if alone { path.to_path_buf() } else { path.join("rows.csv") };
    let content = |reason: &str| FolderError::Content { path: path.display().to_string(), reason: reason.into() };
    let report = if alone { None } else { finished(path) };
    if !alone && report.is_none() && file.is_file() {
        return Err(content(
            "the report was not written to its end (no report.json); evaluate again, or name its rows.csv to use what is there",
        ));
    }
    if path.is_dir() && !file.is_file() {
        return Err(content("no rows.csv in it; name the folder that `--report` wrote"));
    }
    let source = File::open(&file).map_err(io_at(&file))?;
    let traces = rows::read_csv(BufReader::with_capacity(1 << 18, source))
        .map_err(|error| FolderError::Rows { path: file.display().to_string(), error })?;
    let report = report.unwrap_or_default();
    let name = path.file_stem().map_or_else(|| path.display().to_string(), |s| s.to_string_lossy().into_owned());
    let mut calibration: Calibration = serde_json::from_value(report["calibration"].clone()).unwrap_or_default();
    // Older reports keep the fitted detector's apart.
    if let Some(threshold) = report["combined_threshold"].as_f64() {
        calibration.thresholds.insert(Reading::of(COMBINED), threshold as f32);
    }
    Ok(Run { title: report["title"].as_str().map_or(name, str::to_string), traces, calibration })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::parts::chart::{Chart, ChartKind};
    use crate::eval::report::rows::tests::odd_traces;

    fn report(charts: &[&str]) -> Report {
        let chart = |name: &&str| Chart { name: (*name).into(), title: "T".into(), kind: ChartKind::Reliability { bins: vec![] } };
        Report { title: "A run".into(), charts: charts.iter().map(chart).collect(), ..Report::default() }
    }

    fn options() -> WriteOptions {
        WriteOptions { calibration: Calibration::at(crate::trace::Detector::default().reading, -0.5), into_foreign: false }
    }

    fn listing(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> = names(folder).unwrap().into_iter().map(|n| n.0).collect();
        all.extend(names(&folder.join(CHARTS)).unwrap().into_iter().map(|n| format!("{CHARTS}/{}", n.0)));
        all.retain(|n| n != "rows.parquet");
        all.sort();
        all
    }

    #[test]
    fn a_report_is_written_replaced_and_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("deep/run");
        let written = write(&report(&["best-of-n", "best-of-n", "../Evil"]), &odd_traces(), &folder, &options()).unwrap();
        let charts = |names: &[&str]| names.iter().flat_map(|n| [format!("charts/{n}.png"), format!("charts/{n}.svg")]).collect::<Vec<_>>();
        let files = ["charts", "report.html", "report.json", "report.md", "rows.csv"].map(String::from).to_vec();
        let mut expected = [files.clone(), charts(&["best-of-n", "best-of-n-2", "evil"])].concat();
        expected.sort();
        assert_eq!(listing(&folder), expected);
        assert!(written.len() >= 10 && written.iter().all(|p| p.is_file()) && written.last().unwrap().ends_with("report.json"));
        let run = read(&folder).unwrap();
        assert_eq!((run.title.as_str(), run.calibration.reward()), ("A run", Some(-0.5)));
        assert_eq!(run.traces, odd_traces());
        fs::write(folder.join(".rows.csv.x1.tmp"), "half").unwrap();
        write(&report(&["reward"]), &odd_traces()[..1], &folder, &options()).unwrap();
        let mut expected = [files, charts(&["reward"])].concat();
        expected.sort();
        assert_eq!(listing(&folder), expected);
        assert_eq!(read(&folder.join("rows.csv")).unwrap().title, "rows");
    }

    #[test]
    fn other_peoples_files_are_safe() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        fs::write(folder.join("thesis.tex"), "precious").unwrap();
        let error = write(&report(&[]), &[], folder, &options()).unwrap_err().to_string();
        assert!(error.contains("thesis.tex") && error.contains("other things"), "{error}");
        assert_eq!(names(folder).unwrap().len(), 1, "nothing was written");
        write(&report(&["a"]), &[], folder, &WriteOptions { into_foreign: true, ..options() }).unwrap();
        assert_eq!(fs::read_to_string(folder.join("thesis.tex")).unwrap(), "precious");
        assert!(write(&report(&[]), &[], folder, &options()).is_err(), "still foreign");
        // A report.md alone is somebody's, too.
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("report.md"), "mine").unwrap();
        assert!(matches!(write(&report(&[]), &[], place.path(), &options()), Err(FolderError::Foreign { .. })));
        assert!(write(&report(&[]), &[], &place.path().join("report.md"), &options()).is_err(), "a file is no folder");
    }

    #[test]
    fn an_interrupted_report_is_told_apart_and_begun_again() {
        let place = tempfile::tempdir().unwrap();
        write(&report(&["a"]), &odd_traces(), place.path(), &options()).unwrap();
        fs::remove_file(place.path().join("report.json")).unwrap();
        let error = read(place.path()).unwrap_err().to_string();
        assert!(error.contains("not written to its end"), "{error}");
        write(&report(&["a"]), &odd_traces(), place.path(), &options()).unwrap();
        read(place.path()).unwrap();
    }

    #[test]
    fn reading_names_what_is_wrong() {
        let place = tempfile::tempdir().unwrap();
        assert!(read(place.path()).unwrap_err().to_string().contains("no rows.csv in it"));
        assert!(matches!(read(&place.path().join("missing")), Err(FolderError::Io { .. })));
        fs::write(place.path().join("x.csv"), "a,b\n1,2\n").unwrap();
        let error = read(&place.path().join("x.csv")).unwrap_err().to_string();
        assert!(error.contains("x.csv, line 1: no column problem_id"), "{error}");
    }
}
