//! The files that a folder or a pattern stands for.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Folders inside each other that are looked into.
const DEEP: usize = 32;
/// Files that are listed at most.
const MANY: usize = 1_000_000;

/// The files of a folder and of those in it, in natural order of their names. What is hidden is left out, and links to folders are not followed.
pub(in crate::format) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    walk(folder, 0, &mut out)?;
    Ok(out)
}

fn walk(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<(String, PathBuf, bool)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_hidden(&name) {
            continue;
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => entries.push((name, path, true)),
            // A pipe or a socket would be waited for.
            Ok(_) if fs::metadata(&path).is_ok_and(|m| m.is_file()) => entries.push((name, path, false)),
            _ => {}
        }
    }
    entries.sort_by(|a, b| natural(&a.0, &b.0));
    for (_, path, is_folder) in entries {
        if out.len() >= MANY {
            return Err(io::Error::other(format!("has more than {MANY} files")));
        }
        if !is_folder {
            out.push(path);
        } else if depth < DEEP {
            // One that may not be looked into is as good as empty.
            let _ = walk(&path, depth + 1, out);
        }
    }
    Ok(())
}

/// Whether a name is of a file that nobody wants to see: `.lock`, `__MACOSX`.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Whether a name is a pattern, with `*`, `?` or `[…]`.
pub(in crate::format) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[']) && !Path::new(name).exists()
}

/// The files and folders that a pattern fits, in natural order: `*` and `?` stand for characters of one name, `**` for folders, `[a-c]` and `[!a-c]` for one
/// character.
pub(in crate::format) fn matches(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    let parts: Vec<Component<'_>> = Path::new(pattern).components().collect();
    for part in parts {
        let name = match part {
            Component::Normal(name) => name.to_string_lossy().into_owned(),
            other => {
                found.iter_mut().for_each(|f| f.push(other));
                continue;
            }
        };
        if !name.contains(['*', '?', '[']) {
            found = found.into_iter().map(|f| f.join(&name)).filter(|f| f.exists()).collect();
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            if name == "**" {
                next.push(folder.clone());
                folders(folder, 0, &mut next);
            } else {
                let fits = |n: &str| fits(&name, n) && (!is_hidden(n) || name.starts_with('.'));
                next.extend(names(folder).into_iter().filter(|n| fits(n)).map(|n| folder.join(n)));
            }
        }
        found = next;
    }
    found.retain(|f| !f.as_os_str().is_empty());
    found
}

/// The names in a folder, in natural order; `""` is the folder that the program is in.
fn names(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort_by(|a, b| natural(a, b));
    names
}

fn folders(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    for name in names(folder).into_iter().filter(|n| !is_hidden(n)) {
        let path = folder.join(name);
        if depth < DEEP && out.len() < MANY && fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
            out.push(path.clone());
            folders(&path, depth + 1, out);
        }
    }
}

/// Whether a name fits a pattern; takes time in proportion to the product of their lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(next) = one(&pattern, p, name[n]) {
                    (p, n) = (next, n + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((at, from)) = star else { return false };
        star = Some((at, from + 1));
        (p, n) = (at + 1, from + 1);
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on after it took `c`; `None` where it does not take it.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern[at] {
        '?' => Some(at + 1),
        '[' => {
            let end = pattern[at + 1..].iter().skip(1).position(|c| *c == ']').map(|e| at + 2 + e);
            let Some(end) = end else { return (c == '[').then_some(at + 1) };
            let (set, not) = match pattern[at + 1..end] {
                ['!' | '^', ref set @ ..] => (set, true),
                ref set => (set, false),
            };
            let mut i = 0;
            let mut inside = false;
            while i < set.len() {
                if let [from, '-', to, ..] = set[i..] {
                    inside |= (from..=to).contains(&c);
                    i += 3;
                } else {
                    inside |= set[i] == c;
                    i += 1;
                }
            }
            (inside != not).then_some(end + 1)
        }
        p => (p == c).then_some(at + 1),
    }
}

/// Names in the order in which people count: `step_2` before `step_10`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        match (x.first(), y.first()) {
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (n, m) = (digits(&mut x), digits(&mut y));
                let order = n.len().cmp(&m.len()).then_with(|| n.cmp(m));
                if order.is_ne() {
                    return order;
                }
            }
            (Some(p), Some(q)) if p == q => (x, y) = (&x[1..], &y[1..]),
            // Numbers that are written in two ways are told apart by that.
            (p, q) => return p.cmp(&q).then_with(|| a.cmp(b)),
        }
    }
}

/// Takes a number off the front; its digits without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = text.split_at(end);
    *text = rest;
    &number[number.iter().take_while(|b| **b == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted() {
        let mut names = ["step_10", "step_2", "b", "step_2_b", "a10", "a9", "step_02", "step_"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a9", "a10", "b", "step_", "step_02", "step_2", "step_2_b", "step_10"]);
    }

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, fit) in [
            ("*.jsonl", "a.jsonl", true),
            ("*.jsonl", "a.json", false),
            ("step_?", "step_1", true),
            ("step_?", "step_10", false),
            ("[a-c]*", "b9", true),
            ("[!a-c]*", "b9", false),
            ("a[]x]", "a]", true),
            ("a[", "a[", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn folders_and_patterns_name_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["b/step_10/x.jsonl", "b/step_2/x.jsonl", "a.jsonl", ".hidden/x.jsonl", "b/.x", "__MACOSX/x"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        let shown = |files: Vec<PathBuf>| -> Vec<String> {
            files.iter().map(|f| f.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/")).collect()
        };
        assert_eq!(shown(files(root).unwrap()), ["a.jsonl", "b/step_2/x.jsonl", "b/step_10/x.jsonl"]);
        let pattern = |p: &str| shown(matches(&format!("{}/{p}", root.display())));
        assert_eq!(pattern("b/*/x.jsonl"), ["b/step_2/x.jsonl", "b/step_10/x.jsonl"]);
        assert_eq!(pattern("**/*.jsonl"), ["a.jsonl", "b/step_2/x.jsonl", "b/step_10/x.jsonl"]);
        assert_eq!(pattern("c*"), [""; 0]);
        assert!(is_pattern("no*") && !is_pattern("no") && !is_pattern(root.join("a.jsonl").to_str().unwrap()));
    }
}
