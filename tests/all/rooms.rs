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
    let test = |at: &usize| text[*at..].lines().nth(1).is_some_and(|l| l.starts_with("mod ") && l.trim_end().ends_with(['{', '}']));
    let end = text.match_indices("#[cfg(test)]\n").map(|m| m.0).find(test).unwrap_or(text.len());
    text[..end].lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Names that stand right after `prefix`, single or in a brace list.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
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
            found.insert(name.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

/// Rooms named right after `crate::` (or `reasonscope::`), single or in a brace list.
fn used(code: &str) -> BTreeSet<String> {
    &names_after(code, "crate::") | &names_after(code, "reasonscope::")
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
    banned("answer", &["candle", "tokio::", "ratatui", "std::fs", "std::io", "std::net", "rand::"]);
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

/// For each module of a folder (a file, or a folder below it) the modules of the same folder that it uses, outside of tests.
fn uses_inside(dir: &Path, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut modules: BTreeMap<String, Vec<(PathBuf, usize)>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let at = entry.unwrap().path();
        let module = name(&at).trim_end_matches(".rs").to_owned();
        if at.is_dir() {
            let mut files = Vec::new();
            sources(&at, &mut files);
            let depth = |f: &PathBuf| f.strip_prefix(&at).unwrap().components().count() - usize::from(name(f) == "mod.rs");
            modules.insert(module, files.into_iter().map(|f| (f.clone(), depth(&f))).collect());
        } else if name(&at).ends_with(".rs") && module != "mod" {
            modules.entry(module).or_default().push((at, 0));
        }
    }
    let of = |(file, depth): &(PathBuf, usize)| {
        if name(file) == "tests.rs" {
            return BTreeSet::new();
        }
        let code = code(&std::fs::read_to_string(file).unwrap());
        let mut used = names_after(&code, &"super::".repeat(depth + 1));
        used.extend(names_after(&code, &format!("crate::{path}::")));
        used
    };
    let known: BTreeSet<String> = modules.keys().cloned().collect();
    let own = |(module, files): (&String, &Vec<(PathBuf, usize)>)| {
        let used: BTreeSet<String> = files.iter().flat_map(of).filter(|u| known.contains(u) && u != module).collect();
        (module.clone(), used)
    };
    modules.iter().map(own).collect()
}

/// What can be reached from `from`.
fn reached(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(at) = left.pop() {
        for next in graph.get(&at).into_iter().flatten() {
            if seen.insert(next.clone()) {
                left.push(next.clone());
            }
        }
    }
    seen
}

fn circles(dir: &Path, path: &str, out: &mut Vec<String>) {
    let graph = uses_inside(dir, path);
    let in_circle: Vec<&String> = graph.keys().filter(|m| reached(&graph, m).contains(*m)).collect();
    if !in_circle.is_empty() {
        out.push(format!("{path}: {in_circle:?}"));
    }
    for entry in std::fs::read_dir(dir).unwrap() {
        let at = entry.unwrap().path();
        if at.is_dir() {
            circles(&at, &format!("{path}::{}", name(&at)), out);
        }
    }
}

#[test]
fn no_files_of_a_room_use_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&src).unwrap() {
        let at = entry.unwrap().path();
        if at.is_dir() {
            circles(&at, &name(&at), &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn circles_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("mod.rs", "mod a; mod b; mod c; mod d; mod e;");
    write("a.rs", "use super::{d::{D, E}, b::B, X};");
    write("b.rs", "fn f() { crate::room::c::g(); }");
    write("c/mod.rs", "mod inner;");
    write("c/inner.rs", "use super::super::a::A;");
    write("c/tests.rs", "use super::super::e::E;");
    write("d.rs", "use super::e::E;\n// use super::a\n#[cfg(test)]\nmod tests { use super::super::a::A; }");
    write("e.rs", "#[cfg(test)]\nmod tests;\nuse super::c::C;");
    let mut found = Vec::new();
    circles(dir.path(), "room", &mut found);
    assert_eq!(found, ["room: [\"a\", \"b\", \"c\", \"d\", \"e\"]"]);
    write("c/inner.rs", "use super::other;");
    found.clear();
    circles(dir.path(), "room", &mut found);
    assert_eq!(found, Vec::<String>::new());
}
