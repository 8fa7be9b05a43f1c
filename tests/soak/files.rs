//! Random files of traces and of problems: the samples with hostile texts put in, broken lines, bytes that are no text, and lines that are too long.

use crate::random::Random;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Samples that `score` and `inspect` open.
const SAMPLES: [&str; 13] = [
    "native",
    "processbench",
    "prm800k",
    "stepwise",
    "math_shepherd",
    "openai_chat",
    "gsm8k_solutions",
    "gsm8k_pool",
    "mmlu_pro_outputs",
    "best_of_n",
    "prmbench",
    "humaneval_samples",
    "native",
];

/// Puts hostile text into some of the strings and keeps what a format is known by.
fn disturb(r: &mut Random, value: &mut Value) {
    match value {
        Value::String(text) if text.len() > 1 && r.one_in(3) => {
            let at = (0..=text.len()).rev().find(|&i| i <= text.len() / 2 && text.is_char_boundary(i)).unwrap_or(0);
            text.insert_str(at, &r.text(6));
        }
        Value::Array(all) => all.iter_mut().for_each(|v| disturb(r, v)),
        Value::Object(all) => all.values_mut().for_each(|v| disturb(r, v)),
        _ => {}
    }
}

/// A line that is none of the format's.
fn rubbish(r: &mut Random) -> Vec<u8> {
    match r.below(6) {
        0 => b"{\"schema_version\": 1, \"trace_id\": ".to_vec(),
        1 => vec![0xff, 0xfe, b'{', 0x80, 0x1b, b'[', b'2', b'J'],
        2 => serde_json::json!({ "schema_version": 1, "trace_id": r.text(4), "text": r.text(9), "steps": [[5, 1], [-1, 1e9]] })
            .to_string()
            .into_bytes(),
        3 => format!("{{\"x\": \"{}\"}}", "y".repeat(1 << (10 + r.below(11)))).into_bytes(),
        4 => format!("{}1{}", "[".repeat(2000), "]".repeat(2000)).into_bytes(),
        _ => r.text(5).replace('\n', " ").into_bytes(),
    }
}

/// A file of traces in one of the formats, whose first record is sound.
pub fn traces(r: &mut Random, folder: &Path, name: &str) -> PathBuf {
    let sample = r.pick(&SAMPLES);
    let text = std::fs::read_to_string(format!("{}/samples/{sample}.jsonl", env!("CARGO_MANIFEST_DIR"))).expect("a sample");
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let mut out = [lines[0].as_bytes(), b"\n"].concat();
    let problems = 1 + r.below(12);
    for _ in 0..problems {
        // Lines that stand together in the sample may be one record.
        for line in &lines {
            if r.one_in(6) {
                out.extend(rubbish(r));
                out.push(b'\n');
            }
            let mut value: Value = serde_json::from_str(line).expect("a sample's line");
            disturb(r, &mut value);
            out.extend(value.to_string().into_bytes());
            out.push(b'\n');
        }
    }
    if r.one_in(4) {
        // Cut in the middle of the last line.
        out.truncate(out.len() - r.below(lines[lines.len() - 1].len()));
    }
    let path = folder.join(if r.one_in(4) { format!("{name}.jsonl.gz") } else { format!("{name}.jsonl") });
    if path.extension().is_some_and(|e| e == "gz") {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&out).expect("gzip");
        out = packer.finish().expect("gzip");
        if r.one_in(5) {
            out.truncate(out.len() - r.below(out.len() / 4));
        }
    }
    std::fs::write(&path, out).expect("a file of traces");
    path
}

/// A file of problems, a line each, all different.
pub fn problems(r: &mut Random, folder: &Path) -> PathBuf {
    let mut text = String::new();
    for i in 0..3 + r.below(5) {
        let (a, b) = (2 + r.below(40), 2 + r.below(40));
        text += &format!("Problem {i}: Tom has {a} apples and buys {b} more. How many apples does he have now?");
        if r.one_in(4) {
            text += &r.text(4).replace(['\n', '\r', '\u{2028}', '\0'], " ");
        }
        text.push('\n');
    }
    let path = folder.join("problems.txt");
    std::fs::write(&path, text).expect("a file of problems");
    path
}
