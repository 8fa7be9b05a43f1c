//! What the fuzz targets share: files to read from, inputs of several parts, and what must hold of everything that was read.
//!
//! A target that meets something wrong panics, and the fuzzer keeps the input.

pub mod server;

use reasonscope::format::to_lines;
use reasonscope::trace::{Span, Step, Trace};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What parts the files of an input that stands for several.
pub const BETWEEN: &[u8] = b"\n%%\n";

/// A folder of this process, where `TMPDIR` says; `fuzz/run` puts it into memory and removes it afterwards.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for the inputs")).path()
}

/// Writes a file of this process's folder; folders on the way are made.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// The parts of an input, at least one.
pub fn parts(data: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at + BETWEEN.len() <= data.len() {
        if data[at..].starts_with(BETWEEN) {
            parts.push(&data[start..at]);
            at += BETWEEN.len();
            start = at;
        } else {
            at += 1;
        }
    }
    parts.push(&data[start..]);
    parts
}

/// The parts of an input as text, with what is no UTF-8 replaced, and empty ones where there are fewer.
pub fn texts<const N: usize>(data: &[u8]) -> [String; N] {
    let parts = parts(data);
    std::array::from_fn(|i| parts.get(i).map(|p| String::from_utf8_lossy(p).into_owned()).unwrap_or_default())
}

/// Whether a terminal would obey it, or show it where it does not stand: controls but for line feeds and tabs, and what turns the direction of writing.
pub fn is_raw(c: char) -> bool {
    let turns = matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{061C}');
    turns || c.is_control() && !matches!(c, '\n' | '\t')
}

/// A span lies in its text and cuts no character.
pub fn check_span(span: Span, text: &str) {
    assert!(span.start <= span.end && span.end <= text.len(), "{span:?} of {} bytes", text.len());
    assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{span:?} cuts a character");
}

/// Steps lie in their text one after another.
pub fn check_steps(steps: &[Step], text: &str) {
    let mut end = 0;
    for step in steps {
        check_span(step.span, text);
        assert!(step.span.start >= end, "{step:?} begins before byte {end}");
        end = step.span.end;
    }
}

/// What must hold of a trace, whatever its file says.
pub fn check_trace(trace: &Trace) {
    for candidate in &trace.candidates {
        check_steps(&candidate.steps, &candidate.text);
        candidate.tokens.iter().for_each(|t| check_span(t.span, &candidate.text));
        for signal in reasonscope::check::all_signals(candidate) {
            signal.tokens().iter().for_each(|t| check_span(t.span, &candidate.text));
        }
    }
}

/// The trace as native lines, each with its end.
pub fn lines(trace: &Trace) -> String {
    to_lines(trace, None).into_iter().flat_map(|line| [line, "\n".into()]).collect()
}
