//! Which room may use which: `src/lib.rs` states it, the sources keep it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The arrows of the text block in `src/lib.rs`: `a, b -> {c, d}`, a few a line.
fn allowed(lib: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows = BTreeMap::new();
    for line in lib.lines().filter_map(|l| l.strip_prefix("//! ")).filter(|l| l.contains("->")) {
        let mut rest = line;
        while let Some((left, right)) = rest.split_once("->") {
            let right = right.trim_start();
            let (to, tail) = match right.strip_prefix('{') {
                Some(set) => set.split_once('}').expect("a closing brace"),
                None => right.split_once(' ').unwrap_or((right, "")),
            };
            for from in left.split(',') {
                let set: &mut BTreeSet<String> = arrows.entry(from.trim().to_owned()).or_default();
                set.extend(to.split(',').map(|t| t.trim().to_owned()));
            }
            rest = tail;
        }
    }
    arrows
}

/// Source without comments and without its `#[cfg(test)]` module, which may build its fixtures from any room.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Rooms named right after `crate::` (or `reasonscope::`), single or in a brace list.
fn used(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in ["crate::", "reasonscope::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                None => vec![rest],
                Some(list) => {
                    let (mut depth, mut names, mut begin) = (0usize, Vec::new(), 0);
                    for (i, c) in list.char_indices() {
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => {
                                names.push(&list[begin..i]);
                                break;
                            }
                            '}' => depth -= 1,
                            ',' if depth == 0 => {
                                names.push(&list[begin..i]);
                                begin = i + 1;
                            }
                            _ => {}
                        }
                    }
                    names
                }
            };
            for name in names {
                let name: String = name.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn rooms_use_only_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed(&std::fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(allowed["tui"].contains("runtime") && !allowed["tui"].contains("model"), "{allowed:?}");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let rooms: BTreeSet<String> =
        std::fs::read_dir(&src).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).map(|p| name(&p)).collect();
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let room = name(Path::new(inside.components().next().unwrap().as_os_str()));
        if inside.components().count() == 1 && !rooms.contains(room.trim_end_matches(".rs")) {
            continue; // lib.rs, main.rs
        }
        let room = room.trim_end_matches(".rs").to_owned();
        let nothing = BTreeSet::new();
        let may = allowed.get(&room).unwrap_or(&nothing);
        for other in used(&code(&std::fs::read_to_string(&file).unwrap())) {
            if rooms.contains(&other) && other != room && other != "util" && !may.contains(&other) {
                wrong.push(format!("{}: {room} must not use {other}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_knows_no_library_but_serde() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let banned = |room: &str, words: &[&str]| {
        let mut files = Vec::new();
        sources(&src.join(room), &mut files);
        for file in files {
            // What every room may use.
            let code = code(&std::fs::read_to_string(&file).unwrap()).replace("crate::util::", "");
            for word in words {
                assert!(!code.contains(word), "{}: {room} must not use {word}", file.display());
            }
        }
    };
    banned("trace", &["candle", "tokio::", "ratatui", "crossterm", "std::fs", "std::io", "std::net"]);
    banned("answer", &["crate::", "candle", "tokio::", "ratatui", "std::fs", "std::io", "std::net", "rand::"]);
    banned("tui", &["candle_", "tokenizers::"]);
    banned("diagnose", &["candle_", "tokio::", "ratatui", "std::fs"]);
    banned("check", &["candle_", "tokio::", "ratatui", "std::fs", "regex::"]);
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn the_reader_of_arrows_and_paths_reads_them() {
    let lib = "//! ```text\n//! a -> {b, c}    d, e -> a   f -> serde\n//! ```";
    let arrows = allowed(lib);
    assert_eq!(arrows["a"], BTreeSet::from(["b".into(), "c".into()]));
    assert_eq!(arrows["e"], BTreeSet::from(["a".into()]));
    assert_eq!(arrows["f"], BTreeSet::from(["serde".into()]));
    let text =
        "use crate::{trace::{Span, Step}, model};\n// crate::tui\nlet x = crate::eval::f();\n#[cfg(test)]\nmod tests { use crate::train; }";
    assert_eq!(used(&code(text)), BTreeSet::from(["trace".into(), "model".into(), "eval".into()]));
}
