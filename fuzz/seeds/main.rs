//! Makes the inputs that the fuzz targets begin with: `seeds FOLDER` writes a folder a target, from `samples/` and `tests/`, and a dictionary.
//!
//! It is run in the repository's own folder.

mod models;
mod texts;

use libfuzzer_sys as _;
use reasonscope_fuzz::BETWEEN;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Where seeds go.
struct Seeds {
    folder: PathBuf,
}

impl Seeds {
    /// One seed of a target, of several parts.
    fn put(&self, target: &str, parts: &[&[u8]]) -> io::Result<()> {
        let folder = self.folder.join(target);
        std::fs::create_dir_all(&folder)?;
        let number = std::fs::read_dir(&folder)?.count();
        std::fs::write(folder.join(format!("seed-{number:03}")), parts.join(BETWEEN))
    }

    /// The same with a byte before it that says how the target reads it.
    fn put_how(&self, target: &str, how: u8, bytes: &[u8]) -> io::Result<()> {
        self.put(target, &[&[&[how], bytes].concat()])
    }
}

/// The files of a folder, by name.
fn files(folder: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
    paths.sort();
    let read = |path: PathBuf| Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), std::fs::read(path)?));
    paths.into_iter().map(read).collect()
}

/// The first lines of a file.
fn first_lines(path: &str, n: usize) -> io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.split_inclusive(|b| *b == b'\n').take(n).flatten().copied().collect())
}

/// Words in quotes and keys of the samples, which the fuzzer puts into inputs.
fn dictionary(path: &Path) -> io::Result<()> {
    let mut words = BTreeSet::new();
    for folder in ["samples", "samples/recipes", "samples/evaluations", "tests/fixtures/llama-tied", "assets/reward", "themes"] {
        for (_, bytes) in files(folder)? {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(20_000)]).into_owned();
            let quoted = text.split('"').skip(1).step_by(2).map(|w| format!("\"{w}\""));
            let keys = text.lines().filter_map(|l| l.split_once('=')).map(|(key, _)| format!("{} = ", key.trim()));
            words.extend(quoted.chain(keys).filter(|w| w.len() < 40 && w.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\')));
        }
    }
    for word in [
        "\u{1b}[",
        "\u{1b}]0;",
        "\u{202e}",
        "```",
        "<think>",
        "\\boxed{",
        "\\frac{",
        "#### ",
        "data: ",
        "\r\n\r\n",
        "1e999",
        "-0.0",
        "null",
    ] {
        words.insert(word.to_owned());
    }
    words.insert(String::from_utf8_lossy(BETWEEN).into_owned());
    let hex = |word: &String| format!("\"{}\"\n", word.bytes().map(|b| format!("\\x{b:02x}")).collect::<String>());
    std::fs::write(path, words.iter().map(hex).collect::<String>())
}

fn main() -> io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or_else(|| io::Error::other("name the folder that the seeds go to"))?);
    std::fs::create_dir_all(&folder)?;
    dictionary(&folder.join("words.dict"))?;
    let seeds = Seeds { folder };
    texts::put(&seeds)?;
    models::put(&seeds).map_err(io::Error::other)
}
