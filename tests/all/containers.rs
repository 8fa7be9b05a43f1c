//! What trace files come in: packed, in archives and folders, as tables, inside other objects; whatever is inside of what.

use crate::formats::gz;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use reasonscope::format::{FormatError, Options, TraceList};
use reasonscope::trace::{FinishReason, Trace};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn write(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A zip archive of files that are stored (0), deflated (8) or packed with Zstandard (93).
fn zip(files: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, method, bytes) in files {
        let packed = match method {
            8 => deflate(bytes),
            93 => zst(bytes),
            _ => bytes.to_vec(),
        };
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        let mut head = Vec::new();
        for short in [20, 0, *method, 0, 0x21] {
            head.extend(short.to_le_bytes());
        }
        for long in [sum.sum(), packed.len() as u32, bytes.len() as u32] {
            head.extend(long.to_le_bytes());
        }
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        let at = out.len() as u32;
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(name.bytes());
        out.extend(packed);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.bytes());
    }
    let at = out.len() as u32;
    let len = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((files.len() as u16).to_le_bytes());
    out.extend((files.len() as u16).to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn utf16(text: &[u8], big: bool, marked: bool) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let units = marked.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
}

fn load(path: &str) -> (Vec<Trace>, Vec<String>) {
    let list = TraceList::open(&[path], Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let traces: Vec<Trace> = list.iter().filter_map(Result::ok).collect();
    // What is read later is what was read first.
    for (i, trace) in traces.iter().enumerate() {
        assert_eq!(format!("{:?}", list.read(i).unwrap()), format!("{trace:?}"));
    }
    (traces, list.errors().iter().map(ToString::to_string).collect())
}

fn fails(path: &str) -> String {
    match TraceList::open(&[path], Options::default()) {
        Err(e) => e.to_string(),
        Ok(list) => {
            let (count, errors) = (list.iter().filter(Result::is_ok).count(), list.errors());
            assert!(count == 0 && errors.len() == 1, "{path}: {count} traces, {errors:?}");
            errors[0].to_string()
        }
    }
}

/// Without the place of the source, which is another.
fn bare(mut traces: Vec<Trace>) -> Vec<Trace> {
    traces.iter_mut().for_each(|t| t.source.as_mut().unwrap().path.clear());
    traces
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("samples/{name}")).unwrap()
}

fn same(path: &str, plain: &[Trace]) {
    let (traces, errors) = load(path);
    assert!(errors.is_empty(), "{path}: {errors:?}");
    // NaN is not equal to itself.
    assert_eq!(format!("{:?}", bare(traces)), format!("{plain:?}"), "{path}");
}

#[test]
fn whatever_it_is_packed_in_a_file_holds_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["processbench.jsonl", "processbench.json", "native.jsonl", "prm800k.jsonl"] {
        let bytes = sample(name);
        let (plain, _) = load(&format!("samples/{name}"));
        let plain = bare(plain);
        assert!(plain.len() > 1);
        let packed: Vec<(&str, Vec<u8>)> = vec![
            ("gzip", gz(&bytes)),
            ("Zstandard", zst(&bytes)),
            ("zip, stored", zip(&[("a", 0, &bytes)])),
            ("zip, deflated", zip(&[("a", 8, &bytes)])),
            ("zip, Zstandard", zip(&[("dir/", 0, b""), ("dir/a", 93, &bytes), ("__MACOSX/a", 0, b"x"), (".b", 0, b"x")])),
            ("gzip in Zstandard", zst(&gz(&bytes))),
            ("zip in zip in gzip", gz(&zip(&[("inner", 8, &zip(&[("a", 0, &zst(&bytes))]))]))),
            ("UTF-16 with a mark", utf16(&bytes, false, true)),
            ("UTF-16", utf16(&bytes, false, false)),
            ("UTF-16, big-endian, with a mark", utf16(&bytes, true, true)),
            ("UTF-16, big-endian, in gzip", gz(&utf16(&bytes, true, false))),
            ("a mark", [&b"\xef\xbb\xbf"[..], &bytes].concat()),
        ];
        for (how, packed) in packed {
            same(&write(dir.path(), &format!("{name} in {how}"), &packed), &plain);
        }
    }
}

#[test]
fn records_are_found_however_they_are_laid_out() {
    let dir = tempfile::tempdir().unwrap();
    let text = String::from_utf8(sample("processbench.jsonl")).unwrap();
    let (plain, _) = load("samples/processbench.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    let rows = lines.join(",\n  ");
    let broad =
        serde_json::to_string_pretty(&lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<serde_json::Value>>()).unwrap();
    let untied = |traces: &[Trace]| -> Vec<Trace> {
        let mut traces = bare(traces.to_vec());
        traces.iter_mut().for_each(|t| t.source.as_mut().unwrap().line = 0);
        traces
    };
    for (how, text) in [
        ("line ends of Windows", text.replace('\n', "\r\n")),
        ("no line ends", lines.concat()),
        ("blanks for line ends", lines.join(" ")),
        ("a list", format!("[{rows}]")),
        ("a broad list", broad.clone()),
        ("inside", format!("{{\"experiment\": \"e\", \"accuracy\": 0.5, \"samples\": [{rows}], \"more\": [{{\"x\": 1}}]}}")),
        ("inside an object inside", format!("{{\"config\": {{\"steps\": [1, 2]}},\n\"run\": {{\"any\": {broad}}}}}")),
    ] {
        let (traces, errors) = load(&write(dir.path(), how, text.as_bytes()));
        assert!(errors.is_empty(), "{how}: {errors:?}");
        assert_eq!(untied(&traces), untied(&plain), "{how}");
    }
    // What is said beside the list is of each record that does not say it itself.
    let own = lines[0].replacen('{', "{\"generator\": \"own\", ", 1);
    let without = lines[1].replacen("\"generator\"", "\"by\"", 1);
    let text = format!("{{\"generator\": \"outer\", \"results\": [{own}, {without}]}}");
    let (traces, _) = load(&write(dir.path(), "outer", text.as_bytes()));
    let policies: Vec<_> = traces.iter().map(|t| t.candidates[0].policy.as_deref()).collect();
    assert_eq!(policies.len(), 2);
    assert_eq!(policies[1], Some("outer"));
}

#[test]
fn tables_are_records() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, _) = load("samples/gsm8k.jsonl");
    for (name, separator) in [("a.csv", ','), ("a.tsv", '\t'), ("a", ';')] {
        let mut text = format!("question{separator}answer\n");
        for line in String::from_utf8(sample("gsm8k.jsonl")).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let cell = |key: &str| format!("\"{}\"", record[key].as_str().unwrap().replace('"', "\"\""));
            text += &format!("{}{separator}{}\n", cell("question"), cell("answer"));
        }
        for (how, bytes) in [("plain", text.clone().into_bytes()), ("packed", zst(text.as_bytes()))] {
            same(&write(dir.path(), &format!("{how}/{name}"), &bytes), &bare(plain.clone()));
        }
    }
    let broken = "question,answer\n\"q\",\"a\n#### 1\"\nq2,no\nq3,\"b\n#### 3\"\n";
    let (traces, errors) = load(&write(dir.path(), "broken.csv", broken.as_bytes()));
    assert_eq!(traces.len(), 2);
    assert!(errors[0].contains("broken.csv, row 2, field `answer`"), "{errors:?}");
    let error = fails(&write(dir.path(), "other.csv", b"a,b\n1,2\n"));
    assert!(error.contains("they have the fields a (a number), b (a number)"), "{error}");
}

#[test]
fn what_holds_nothing_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, said) in [
        ("empty", b"".to_vec(), "is empty"),
        ("blank", b" \n\n".to_vec(), "is empty"),
        ("list", b"[]\n".to_vec(), "holds an empty list"),
        ("list.zst", zst(b"[ ]"), "holds an empty list"),
        ("empty.gz", gz(b""), "is empty"),
        ("a.zip", zip(&[]), "is an archive without files"),
        ("b.zip", zip(&[("a", 8, b""), ("b", 0, b"[]")]), "holds 2 files and no traces: they are empty"),
        ("c.zip", zip(&[("a.txt", 8, b"words")]), "a.txt (is text, not JSON"),
        ("e.eval", zip(&[("header.json", 8, b"{}")]), "is a log of Inspect without samples"),
        ("p.eval", zip(&[("header.json", 8, b"{}"), ("samples/1_epoch_1/sample.json", 8, b"{}")]), "samples in pieces"),
    ] {
        let error = fails(&write(dir.path(), name, &bytes));
        assert!(error.contains(said) && error.contains(name) && error.contains("; "), "{name}: {error}");
    }
    // Beside a file with records it is a note.
    let empty = dir.path().join("empty").to_str().unwrap().to_owned();
    let list = TraceList::open(&[empty.as_str(), "samples/gsm8k.jsonl"], Options::default()).unwrap();
    assert_eq!((list.iter().count(), list.error_count()), (2, 1));
}

#[test]
fn damage_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for i in 0..4000 {
        rows += &format!("{{\"question\": \"q{i} {}\", \"answer\": \"a\\n#### {i}\"}}\n", i * 7919 % 1009);
    }
    let rows = rows.as_bytes();
    // Half of it: what came is kept.
    let packed: Vec<u8> = rows.chunks(1 << 14).flat_map(zst).collect();
    let (traces, errors) = load(&write(dir.path(), "half.zst", &packed[..packed.len() / 2]));
    assert!(!traces.is_empty() && traces.len() < 4000 && errors.len() == 1, "{} {errors:?}", traces.len());
    assert!(errors[0].contains(&format!("breaks off after {} records", traces.len())), "{errors:?}");
    for (name, bytes) in [
        ("cut.zst", packed[..7].to_vec()),
        ("cut.zip", zip(&[("a", 8, rows)])[..50].to_vec()),
        ("torn.zip", [&zip(&[("a", 8, rows)])[..900], &zip(&[("a", 8, rows)])[9000..]].concat()),
        ("method.zip", zip(&[("a", 14, rows)])),
        ("deep", (0..6).fold(rows.to_vec(), |b, _| gz(&b))),
        ("deep.zip", (0..6).fold(rows.to_vec(), |b, _| zip(&[("a", 0, &b)]))),
        ("a.parquet", b"PAR1....PAR1".to_vec()),
        ("utf32", b"\xff\xfe\0\0{\0\0\0".to_vec()),
        ("numbers.npy", b"\x93NUMPY\x01\0".to_vec()),
    ] {
        let error = fails(&write(dir.path(), name, &bytes));
        assert!(error.contains(name), "{name}: {error}");
    }
    // A byte is another: the checksum tells.
    let mut bytes = zip(&[("a", 0, rows)]);
    let at = bytes.windows(3).position(|w| w == b"q17").unwrap();
    bytes[at] = b'x';
    let (_, errors) = load(&write(dir.path(), "sum.zip", &bytes));
    assert!(errors.len() == 1 && errors[0].contains("checksum"), "{errors:?}");
}

/// Two files that `pyarrow` wrote, packed with Zstandard, with pages of version 1 and 2: texts by a dictionary, a list, a group with holes.
#[cfg(feature = "parquet")]
const PARQUET: [&str; 2] = [
    "UEFSMRUEFR4VMEwVBhUAEgAAKLUv/SAPeQAAAQAAAGEBAAAAYgEAAABjFQAVFBUmLBUGFRAVBhUGHAAAACi1L/0gClEAAAIAAAAGAQIDJAAVBBUkFTZMFQIVABIAACi1L/0gEpEAAA4A\
     AABXaGF0IGlzIDEgKyAxPxUAFRIVJCwVBhUQFQYVBhwAAAAotS/9IAlJAAACAAAABgEBBgAVBBVSFVhMFQgVABIAACi1L/0gKR0BAOgJAAAAMSArIDEgPSAyBAAAAHNvIDIzAwAAAHR3\
     bwEAkZtMFQAVIBUyLBUIFRAVBhUGHAAAACi1L/0gEIEAAAIAAAADAgIAAAAIAwID5AAVBBUgFTJMFQQVABIAACi1L/0gEIEAAP//////////AAAAAAAAAAAVABUSFSQsFQYVEBUGFQYc\
     AAAAKLUv/SAJSQAAAgAAAAYBAQMCFQAVDhUgLBUGFQAVBhUGHAAAACi1L/0gBzkAAAIAAAAGAQUVBBUQFSJMFQQVABIAACi1L/0gCEEAAAEAAAADAAAAFQAVFBUmLBUGFRAVBhUGHAAA\
     ACi1L/0gClEAAAMAAAADIgABAwIVBBUKFRxMFQIVABIAACi1L/0gBSkAAAEAAAB4FQAVIhU0LBUGFRAVBhUGHAAAACi1L/0gEYkAAAIAAAAGAAQAAAADhAAAAQIAFQQZ3DUAGAZzY2hl\
     bWEVDAAVDCUCGAJpZCUATBwAAAAVDCUCGAdwcm9ibGVtJQBMHAAAADUCGAVzdGVwcxUCFQZMPAAAADUEGARsaXN0FQIAFQwlAhgHZWxlbWVudCUATBwAAAAVBCUCGAVsYWJlbAAVACUC\
     GBRmaW5hbF9hbnN3ZXJfY29ycmVjdAA1AhgEbWV0YRUEABUCJQIYBHNlZWQANQIYBHRhZ3MVAhUGTDwAAAA1BBgEbGlzdBUCABUMJQIYB2VsZW1lbnQlAEwcAAAAFgYZHBl8JgAcFQwZ\
     NQAGEBkYAmlkFQwWBhZ0FpgBJlQmCCksFQQVABUCABUAFRAVAgA8FgYZBhkmAAYAAAAmABwVDBk1AAYQGRgHcHJvYmxlbRUMFgYWeBacASbyASagASksFQQVABUCABUAFRAVAgA8FlQZ\
     BhkmAAYAAAAmABwVDBk1AAYQGTgFc3RlcHMEbGlzdAdlbGVtZW50FQwWCBa0ARbMASawAya8AiksFQQVABUCABUAFRAVAgA8FjIZJgYCGUYAAAAIAAAAJgAcFQQZNQAGEBkYBWxhYmVs\
     FQwWBhZ0FpgBJtYEJogEKSwVBBUAFQIAFQAVEBUCADwpBhkmAAYAAAAmABwVABklBgAZGBRmaW5hbF9hbnN3ZXJfY29ycmVjdBUMFgYWNBZGJqAFSRwVABUAFQIAPCkGGSYABgAAACYA\
     HBUCGTUABhAZKARtZXRhBHNlZWQVDBYGFmYWigEmpAYm5gUpLBUEFQAVAgAVABUQFQIAPCkGGTYCAAQAAAAmABwVDBk1AAYQGUgEbWV0YQR0YWdzBGxpc3QHZWxlbWVudBUMFgYWbhaS\
     ASaoBybwBiksFQQVABUCABUAFRAVAgA8FgIZJgYAGVYCAAIAAgAAABacBhYGJggW+gcAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRl8HAAAHAAAHAAAHAAAHAAAHAAA\
     HAAAAO8CAABQQVIx",
    "UEFSMRUEFR4VMEwVBhUAEgAAKLUv/SAPeQAAAQAAAGEBAAAAYgEAAABjFQYVDBUMXBUGFQAVBhUQFQQVABIcAAAABgECAyQAFQQVJBU2TBUCFQASAAAotS/9IBKRAAAOAAAAV2hhdCBp\
     cyAxICsgMT8VBhUKFQpcFQYVABUGFRAVBBUAEhwAAAAGAQEGABUEFVIVWEwVCBUAEgAAKLUv/SApHQEA6AkAAAAxICsgMSA9IDIEAAAAc28gMjMDAAAAdHdvAQCRm0wVBhUQFRBcFQgV\
     ABUGFRAVBBUEEhwAAAADAggDAgPkABUEFSAVMkwVBBUAEgAAKLUv/SAQgQAA//////////8AAAAAAAAAABUGFQoVClwVBhUAFQYVEBUEFQASHAAAAAYBAQMCFQYVEBUQXBUGFQAVBhUG\
     FQQVABIcAAAABgECAAAAAwUVBBUQFSJMFQQVABIAACi1L/0gCEEAAAEAAAADAAAAFQYVDBUMXBUGFQIVBhUQFQYVABIcAAAAAyIAAQMCFQQVChUcTBUCFQASAAAotS/9IAUpAAABAAAA\
     eBUGFRIVElwVBhUEFQYVEBUIFQQSHAAAAAYAA4QAAAECABUEGdw1ABgGc2NoZW1hFQwAFQwlAhgCaWQlAEwcAAAAFQwlAhgHcHJvYmxlbSUATBwAAAA1AhgFc3RlcHMVAhUGTDwAAAA1\
     BBgEbGlzdBUCABUMJQIYB2VsZW1lbnQlAEwcAAAAFQQlAhgFbGFiZWwAFQAlAhgUZmluYWxfYW5zd2VyX2NvcnJlY3QANQIYBG1ldGEVBAAVAiUCGARzZWVkADUCGAR0YWdzFQIVBkw8\
     AAAANQQYBGxpc3QVAgAVDCUCGAdlbGVtZW50JQBMHAAAABYGGRwZfCYAHBUMGTUABhAZGAJpZBUMFgYWdhaIASZUJggpLBUEFQAVAgAVABUQFQIAPBYGGQYZJgAGAAAAJgAcFQwZNQAG\
     EBkYB3Byb2JsZW0VDBYGFnoWjAEm4gEmkAEpLBUEFQAVAgAVABUQFQIAPBZUGQYZJgAGAAAAJgAcFQwZNQAGEBk4BXN0ZXBzBGxpc3QHZWxlbWVudBUMFggWrgEWtAEmkAMmnAIpLBUE\
     FQAVAgAVABUQFQIAPBYyGSYGAhlGAAAACAAAACYAHBUEGTUABhAZGAVsYWJlbBUMFgYWdhaIASaeBCbQAyksFQQVABUCABUAFRAVAgA8KQYZJgAGAAAAJgAcFQAZFQYZGBRmaW5hbF9h\
     bnN3ZXJfY29ycmVjdBUMFgYWQBZAJtgESRwVABUGFQIAPCkGGSYABgAAACYAHBUCGTUABhAZKARtZXRhBHNlZWQVDBYGFmgWeibWBSaYBSksFQQVABUCABUAFRAVAgA8KQYZNgIABAAA\
     ACYAHBUMGTUABhAZSARtZXRhBHRhZ3MEbGlzdAdlbGVtZW50FQwWBhZoFnomygYmkgYpLBUEFQAVAgAVABUQFQIAPBYCGSYGABlWAgACAAIAAAAWpAYWBiYIFoQHACggcGFycXVldC1j\
     cHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZfBwAABwAABwAABwAABwAABwAABwAAADsAgAAUEFSMQ==",
];

#[cfg(feature = "parquet")]
#[test]
fn rows_of_parquet_files_are_records() {
    use base64::Engine;
    let dir = tempfile::tempdir().unwrap();
    for (i, text) in PARQUET.iter().enumerate() {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        for (how, bytes) in [("plain", bytes.clone()), ("gzip", gz(&bytes)), ("zip", zip(&[("part-0.parquet", 0, &bytes)]))] {
            let path = write(dir.path(), &format!("{i}-{how}"), &bytes);
            let (traces, errors) = load(&path);
            assert!(errors.is_empty() && traces.len() == 3, "{errors:?}");
            assert!(traces.iter().all(|t| t.problem == "What is 1 + 1?"));
            assert_eq!(traces.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
            assert_eq!(traces.iter().map(|t| t.candidates[0].steps.len()).collect::<Vec<_>>(), [2, 1, 1]);
            assert_eq!(traces.iter().map(|t| t.candidates[0].correct).collect::<Vec<_>>(), [Some(true), Some(false), Some(true)]);
        }
        for at in (4..bytes.len()).step_by(7) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x55;
            let path = write(dir.path(), "bad.parquet", &bad);
            if let Ok(list) = TraceList::open(&[&path], Options::default()) {
                assert!(list.iter().count() <= 3, "{:?}", list.errors());
            }
        }
    }
}

#[test]
fn folders_and_patterns_are_read_file_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let line = |i: usize| format!("{{\"question\": \"q{i}\", \"answer\": \"a\\n#### {i}\"}}\n");
    write(root, "step_10/a.jsonl", line(10).as_bytes());
    write(root, "step_2/a.jsonl.zst", &zst(line(2).as_bytes()));
    write(root, "step_2/b.zip", &zip(&[("x/11", 8, line(4).as_bytes()), ("x/9", 8, line(3).as_bytes()), ("x/note.txt", 0, b"words")]));
    write(root, "step_2/empty.jsonl", b"");
    write(root, "step_2/.hidden", line(99).as_bytes());
    write(root, "step_2/config.json", b"{\"lr\": 1}");
    let golds = |path: &str| -> (Vec<String>, Vec<String>) {
        let (traces, errors) = load(path);
        (traces.into_iter().map(|t| t.gold_answer.unwrap()).collect(), errors)
    };
    let (found, errors) = golds(root.to_str().unwrap());
    assert_eq!(found, ["2", "3", "4", "10"]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("2 of its 7 files are left out") && errors[0].contains("step_2/config.json"), "{errors:?}");
    let list = TraceList::open(&[root.to_str().unwrap()], Options::default()).unwrap();
    assert!(list.iter().count() == 4 && list.errors().iter().all(|e| !e.skips() && matches!(e, FormatError::LeftOut { .. })));
    assert_eq!(golds(&format!("{}/step_*/*.jsonl", root.display())), (vec!["10".to_owned()], vec![]));
    assert_eq!(golds(&format!("{}/**/*.zst", root.display())).0, ["2"]);
    for (name, said) in [("none*", "fits no file"), ("step_2/conf*", "config.json (its records fit no format")] {
        let error = fails(&format!("{}/{name}", root.display()));
        assert!(error.contains(said), "{error}");
    }
    std::fs::create_dir(root.join("nothing")).unwrap();
    assert!(fails(root.join("nothing").to_str().unwrap()).contains("is a folder without files"));
}

#[cfg(unix)]
#[test]
fn thousands_of_files_need_few_handles() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..1500 {
        let line = format!("{{\"question\": \"q{i}\", \"answer\": \"a\\n#### {i}\"}}\n");
        let bytes = if i % 3 == 0 { gz(line.as_bytes()) } else { line.into_bytes() };
        write(dir.path(), &format!("dumps/{i}.jsonl"), &bytes);
    }
    // As a folder, as a pattern, and as names that a shell has made of one.
    for names in ["dumps", "'dumps/*.jsonl'", "dumps/*.jsonl"] {
        let command = format!("ulimit -n 64; exec \"$0\" data join {names} -o out.jsonl");
        let run = Command::new("sh").args(["-c", &command, env!("CARGO_BIN_EXE_reasonscope")]).current_dir(dir.path()).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let (traces, errors) = load(dir.path().join("out.jsonl").to_str().unwrap());
        assert!(errors.is_empty() && traces.len() == 1500, "{names}: {} {errors:?}", traces.len());
        let counted = traces.iter().enumerate().all(|(i, t)| t.gold_answer == Some(i.to_string()));
        assert_eq!(counted, names != "dumps/*.jsonl", "{names}: a shell does not count");
        std::fs::remove_file(dir.path().join("out.jsonl")).unwrap();
    }
}

const SAMPLE: &str = r#"{"id": ID, "epoch": EPOCH, "input": "How many jars?", "choices": ["17", "18"], "target": ["B", "18"], "messages": [
    {"role": "system", "content": "Think."}, {"role": "user", "content": "How many jars?"},
    {"role": "assistant", "content": [{"type": "reasoning", "reasoning": "14 + 9 = 23.\n\n23 - 5 = 18."}, {"type": "text", "text": "attachment://x1"}]}],
    "output": {"model": "short", "choices": [{"message": {"role": "assistant", "content": "B"}, "stop_reason": "max_tokens"}]},
    "scores": {"match": {"value": "VALUE", "answer": "B", "explanation": "e"}, "parts": {"value": {"clear": 0.5, "kind": true}}, "n": {"value": 3}},
    "metadata": {"level": 2}, "events": [{"event": "model"}], "attachments": {"x1": "The answer is B."}}"#;

fn eval_sample(id: &str, epoch: usize, value: &str) -> String {
    SAMPLE.replace("ID", id).replace("EPOCH", &epoch.to_string()).replace("VALUE", value)
}

#[test]
fn samples_of_inspect_are_candidates_by_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let header = br#"{"version": 2, "status": "success", "eval": {"model": "maker/model", "task": "t"}}"#;
    let summaries = br#"[{"id": "q/2", "epoch": 2, "input": "How many jars?", "choices": ["17", "18"]}]"#;
    let samples: Vec<String> =
        [("\"q/2\"", 2, "I"), ("\"q/2\"", 1, "C"), ("10", 1, "P"), ("9", 1, "N")].iter().map(|(i, e, v)| eval_sample(i, *e, v)).collect();
    let names = ["samples/q/2_epoch_2.json", "samples/q/2_epoch_1.json", "samples/10_epoch_1.json", "samples/9_epoch_1.json"];
    let mut files: Vec<(&str, u16, &[u8])> = names.iter().zip(&samples).map(|(n, s)| (*n, 93, s.as_bytes())).collect();
    files.push(("summaries.json", 93, summaries));
    files.push(("reductions.json", 8, b"[]"));
    files.push(("header.json", 93, header));
    let log = write(dir.path(), "log.eval", &zip(&files));
    let json = String::from_utf8(header.to_vec()).unwrap();
    let json = format!("{}, \"samples\": [{}], \"reductions\": []}}", json.strip_suffix('}').unwrap(), samples.join(", "));
    let json = write(dir.path(), "log.json", json.as_bytes());
    for (path, ids) in [(&log, ["9", "10", "q/2", "q/2"]), (&json, ["q/2", "q/2", "10", "9"])] {
        let (traces, errors) = load(path);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(traces.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ids, "{path}");
        for trace in &traces {
            assert_eq!((trace.problem.as_str(), trace.gold_answer.as_deref()), ("How many jars?\nA. 17\nB. 18", Some("B")));
            let c = &trace.candidates[0];
            assert!(c.text.contains("23 - 5 = 18.") && c.text.ends_with("The answer is B."), "{}", c.text);
            assert_eq!(
                (c.policy.as_deref(), c.answer.as_deref(), &c.finish),
                (Some("maker/model"), Some("B"), &Some(FinishReason::Length))
            );
            let value = |name: &str| c.signal(name).and_then(|s| s.whole());
            assert_eq!((value("parts.clear"), value("parts.kind"), value("n")), (Some(0.5), Some(1.0), Some(3.0)));
            assert!(c.extra.as_deref().unwrap().contains("\"level\":2"));
        }
        let verdict = |id: &str| traces.iter().filter(|t| t.id == id).map(|t| t.candidates[0].correct).collect::<Vec<_>>();
        assert_eq!(verdict("9"), [Some(false)]);
        let mut both = verdict("q/2");
        both.sort_unstable();
        assert_eq!(both, [Some(false), Some(true)]);
    }
    let options = reasonscope::collection::Options::default();
    for path in [&log, &json] {
        let collection = reasonscope::collection::Collection::open(&[path], &options).unwrap();
        collection.wait_all();
        let counts: Vec<_> = (0..collection.len()).map(|i| collection.read(i).unwrap()).map(|t| (t.id, t.candidates.len())).collect();
        let mut sorted = counts.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [("10".to_owned(), 1), ("9".to_owned(), 1), ("q/2".to_owned(), 2)], "{path}");
    }
}

#[test]
fn samples_that_were_stopped_say_why_and_what_they_had() {
    let dir = tempfile::tempdir().unwrap();
    let line = r#"{"id": 1, "epoch": 1, "input": [{"role": "user", "content": "p"}], "target": "", "messages": [], "output": {"choices": []},
        "events": [{"event": "model", "input": [], "input_refs": [[0, 1]], "output": {"choices": [{"message": {"role": "assistant", "content": "so far"}}]}}],
        "events_data": {"messages": [{"role": "user", "content": "p"}]}, "error": {"message": "the server hung up", "traceback": ""}}"#;
    let (traces, errors) = load(&write(dir.path(), "a.json", line.replace('\n', " ").as_bytes()));
    assert!(errors.is_empty(), "{errors:?}");
    let c = &traces[0].candidates[0];
    assert_eq!((c.text.as_str(), &c.finish), ("so far", &Some(FinishReason::Failed("the server hung up".into()))), "{:?}", traces[0]);
    assert_eq!((traces[0].problem.as_str(), &traces[0].gold_answer), ("p", &None));
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_grows_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let line = |i: usize| format!("{{\"question\": \"q{i}\", \"answer\": \"a\\n#### {i}\"}}");
    let append = |name: &str, text: &str| {
        let mut file = std::fs::File::options().append(true).create(true).open(dir.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("2.jsonl", &line(0));
    append("list.json", &format!("[{}", line(1)));
    append("empty.jsonl", "");
    let list = TraceList::open(&[dir.path().to_str().unwrap()], Options { follow: true, ..Options::default() }).unwrap();
    let golds = || (0..list.len()).map(|i| list.read(i).unwrap().gold_answer.unwrap()).collect::<Vec<_>>();
    until("two", || list.is_complete() && list.len() == 2);
    // The rest of a line, a line in two pieces, more of a list, a new file, one that held nothing.
    append("2.jsonl", &format!("\n{}", &line(2)[..20]));
    append("list.json", &format!(", {}", line(3)));
    append("10.jsonl", &format!("{}\n", line(4)));
    append("empty.jsonl", &format!("{}\n", line(5)));
    until("five", || list.len() == 5);
    append("2.jsonl", &line(2)[20..]);
    append("list.json", "]\n");
    until("six", || list.len() == 6);
    let mut all = golds();
    assert_eq!((all[0].as_str(), all[5].as_str()), ("0", "2"), "what was there keeps its place");
    all.sort_unstable();
    assert_eq!(all, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(list.error_count(), 0, "{:?}", list.errors());
    assert_eq!(list.read(5).unwrap().source.unwrap().line, 2);
    // Another file under the name of one that was read is said.
    std::fs::write(dir.path().join("10.jsonl"), format!("{}\n{}\n", line(70), line(71))).unwrap();
    until("replaced", || list.error_count() == 1);
    assert!(list.errors()[0].to_string().contains("was replaced by another file"), "{:?}", list.errors());
    std::fs::write(dir.path().join("2.jsonl"), "").unwrap();
    until("cut", || list.error_count() == 2);
    assert!(list.errors()[1].to_string().contains("is shorter than before"), "{:?}", list.errors());
}

#[test]
fn a_log_that_grows_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let samples = ["1", "2", "3"].map(|id| eval_sample(id, 1, "C"));
    let mut files: Vec<(&str, u16, &[u8])> = vec![
        ("_journal/start.json", 93, br#"{"eval": {"model": "m"}}"#),
        ("samples/1_epoch_1.json", 93, samples[0].as_bytes()),
        ("samples/3_epoch_1.json", 93, samples[2].as_bytes()),
    ];
    let path = write(dir.path(), "log.eval", &zip(&files));
    let list = TraceList::open(&[&path], Options { follow: true, ..Options::default() }).unwrap();
    until("two", || list.is_complete() && list.len() == 2);
    files.push(("samples/2_epoch_1.json", 93, samples[1].as_bytes()));
    std::fs::write(&path, zip(&files)).unwrap();
    until("three", || list.len() == 3);
    let ids: Vec<_> = (0..3).map(|i| list.read(i).unwrap().id).collect();
    assert_eq!((ids, list.error_count()), (vec!["1".to_owned(), "3".to_owned(), "2".to_owned()], 0));
}

/// The inputs that the maintainers keep, where they are there.
#[test]
fn cases_open() {
    for (name, problems, candidates) in [("05c-processbench.jsonl.zst", 2, 2), ("05d-inspect.eval", 2, 4)] {
        let Some(path) = super::formats::data(&format!("cases/{name}")) else { continue };
        let collection = reasonscope::collection::Collection::open(&[&path], &reasonscope::collection::Options::default()).unwrap();
        collection.wait_all();
        let traces: Vec<Trace> = (0..collection.len()).map(|i| collection.read(i).unwrap()).collect();
        let count = traces.iter().map(|t| t.candidates.len()).sum::<usize>();
        assert_eq!((traces.len(), count, collection.error_count()), (problems, candidates, 0), "{name}: {:?}", collection.errors());
    }
}
