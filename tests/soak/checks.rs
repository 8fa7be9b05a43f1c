//! What must hold of everything that the program says and leaves.

use serde_json::Value;
use std::path::Path;

/// Exit codes that are documented; a program that our own SIGKILL ended has none.
pub const DOCUMENTED: [i32; 8] = [0, 1, 2, 3, 129, 130, 131, 143];

/// The controls and direction marks in what was said, but for line feeds and tabs.
pub fn raw(said: &str) -> Option<char> {
    let turns = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{061C}');
    said.chars().find(|&c| turns(c) || c.is_control() && !matches!(c, '\n' | '\t'))
}

/// What a program without a screen said, in which nothing may be raw and nothing may tell of a panic.
pub fn said(what: &str, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    if let Some(c) = raw(&text) {
        return Err(format!("{what} has the raw {c:?}:\n{text:?}"));
    }
    if text.contains("panicked") || text.contains("RUST_BACKTRACE") {
        return Err(format!("{what} tells of a panic:\n{text}"));
    }
    Ok(())
}

/// What a program with a screen sent to it: its own sequences, but no title, no bell, no direction mark and no 8-bit control.
pub fn sent(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let own = |c: char| matches!(c, '\x1b' | '\n' | '\r' | '\t' | '\x08' | '\x0f' | '\x0e');
    let bad = text.chars().find(|&c| !own(c) && raw(c.encode_utf8(&mut [0; 4])).is_some());
    let strings = ["\x1b]", "\x1bP", "\x1bX", "\x1b^", "\x1b_"].into_iter().find(|s| text.contains(s));
    match (bad, strings) {
        (None, None) if !text.contains("panicked") => Ok(()),
        (None, None) => Err("the screen tells of a panic".into()),
        (bad, strings) => Err(format!("the screen got {bad:?} {strings:?}")),
    }
}

/// Names in a folder that nobody expects there.
pub fn litter(folder: &Path, expected: &[&str]) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|name| !expected.contains(&name.as_str())).collect()
}

/// The lines of a file of JSON lines.
pub fn lines(path: &Path) -> Result<Vec<Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| format!("{}: {e}", path.display()))).collect()
}

/// Where two values differ first, and how. Numbers that are no whole ones may differ by `tolerance`, of themselves or of 1.
fn difference(a: &Value, b: &Value, tolerance: f64) -> Option<String> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys = x.keys().chain(y.keys().filter(|k| !x.contains_key(*k)));
            let of = |map: &serde_json::Map<String, Value>, key: &String| map.get(key).cloned().unwrap_or_default();
            keys.into_iter().find_map(|k| Some(format!(".{k}{}", difference(&of(x, k), &of(y, k), tolerance)?)))
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(i, (x, y))| Some(format!("[{i}]{}", difference(x, y, tolerance)?)))
        }
        (Value::Number(x), Value::Number(y)) if x.is_f64() && y.is_f64() => {
            let (p, q) = (x.as_f64()?, y.as_f64()?);
            ((p - q).abs() > tolerance * p.abs().max(1.0)).then(|| format!(" is {p}, then {q}"))
        }
        _ => (a != b).then(|| format!(" is {a}, then {b}")),
    }
}

/// The first difference between what an undisturbed run wrote and another.
pub fn differ(undisturbed: &[Value], other: &[Value], tolerance: f64) -> Result<(), String> {
    let found = undisturbed.iter().zip(other).enumerate().find_map(|(i, (a, b))| Some((i, difference(a, b, tolerance)?)));
    match found {
        Some((i, what)) => Err(format!("line {} differs from the undisturbed run's: {what}", i + 1)),
        None if undisturbed.len() != other.len() => Err(format!("{} lines, {} undisturbed", other.len(), undisturbed.len())),
        None => Ok(()),
    }
}
