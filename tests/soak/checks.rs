//! What must hold of everything that the program says and leaves.

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
pub fn lines(path: &Path) -> Result<Vec<serde_json::Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| format!("{}: {e}", path.display()))).collect()
}

/// The first difference between what an undisturbed run wrote and another.
pub fn differ(undisturbed: &[serde_json::Value], other: &[serde_json::Value]) -> Result<(), String> {
    if let Some(i) = undisturbed.iter().zip(other).position(|(a, b)| a != b) {
        return Err(format!("line {} differs from the undisturbed run's:\n{}\n{}", i + 1, undisturbed[i], other[i]));
    }
    match undisturbed.len() == other.len() {
        true => Ok(()),
        false => Err(format!("{} lines, {} undisturbed", other.len(), undisturbed.len())),
    }
}
