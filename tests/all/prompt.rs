//! How a policy is asked, and how it is sampled where nobody says so, through the real binary.

use reasonscope::model::{ModelFiles, embedded_policy};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The embedded policy as a directory with these files besides.
fn model(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ModelFiles::Embedded { files: own, .. } = embedded_policy() else { panic!("it is embedded") };
    own.iter().for_each(|(name, content)| fs::write(dir.path().join(name), content).unwrap());
    files.iter().for_each(|(name, content)| fs::write(dir.path().join(name), content).unwrap());
    dir
}

/// Runs the program on a model; its exit code, the records that it writes and what it says.
fn run(command: &str, model: &TempDir, args: &[&str]) -> (i32, Vec<Value>, String) {
    let own = [command, "--policy", model.path().to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(own).args(args).stdin(Stdio::null()).output().unwrap();
    let records = String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    (output.status.code().unwrap(), records, String::from_utf8(output.stderr).unwrap())
}

const ASK: [&str; 6] = ["--problem", "How many?", "-n", "1", "--max-tokens", "2"];

/// A template that tells what it is told.
const TELLS: &str = "{{ raise_exception(messages | map(attribute='content') | join('/') ~ '|' ~ strftime_now('%d %b %Y') ~ '|' ~ effort ~ '|' ~ (thinking is false)) }}";

#[test]
fn what_the_user_says_reaches_the_template() {
    let tells = model(&[("chat_template.jinja", TELLS)]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("system.txt");
    fs::write(&file, "From a file.\n").unwrap();
    let from_file = format!("@{}", file.display());
    for (args, told) in [
        (&[][..], "|26 Jul 2024||"),
        (&["--system", "Be brief.", "--date", "2026-01-31"], "Be brief./"),
        (&["--system", &from_file], "From a file./"),
        (&["--template-arg", "effort=low", "--template-arg", "thinking=false", "--date", "2026-01-31"], "|31 Jan 2026|low|True"),
    ] {
        let (code, _, err) = run("generate", &tells, &[&ASK[..], args].concat());
        assert!(code == 1 && err.to_lowercase().contains(&told.to_lowercase()) && err.contains("chat_template.jinja"), "{told}: {err}");
    }
    for (args, why) in [
        (["--template-arg", "messages=1"], "conversation's own"),
        (["--template-arg", "thinking"], "NAME=VALUE"),
        (["--date", "31.1.2026"], "2026-01-31"),
    ] {
        let (code, _, err) = run("generate", &tells, &[&ASK[..], &args].concat());
        assert!(code == 2 && err.contains(why), "{why}: {err}");
    }
    let (code, _, err) = run("generate", &tells, &[&ASK[..], &["--system", "@/no/such/file"]].concat());
    assert!(code == 1 && err.contains("--system @/no/such/file"), "{err}");
}

#[test]
fn how_a_policy_was_asked_stands_in_the_records_and_resume_keeps_to_it() {
    let demands = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}{% for m in messages %}{{ m.content }}\n{% endfor %}";
    let demands = model(&[("chat_template.jinja", demands)]);
    let (code, records, err) = run("generate", &demands, &ASK);
    assert!(code == 0 && err.contains("demands a system message") && records[0]["prompt"].is_null(), "{code} {err}");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.jsonl");
    let asked = |args: &[&str]| run("generate", &demands, &[&ASK[..], &["-o", out.to_str().unwrap(), "--resume"], args].concat());
    let own = ["--system", "Be brief.", "--template-arg", "thinking=false"];
    let (code, _, err) = asked(&own);
    assert!(code == 0 && !err.contains("demands") && err.contains("never reads thinking"), "{code} {err}");
    let record: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(record["prompt"], json!({ "system": "Be brief.", "template_args": { "thinking": false } }));
    assert_eq!(asked(&own).0, 0);
    let (code, _, err) = asked(&["--system", "Be long."]);
    assert!(code == 1 && err.contains("asked otherwise") && err.contains("Be brief."), "{code} {err}");
}

#[test]
fn a_models_own_sampling_holds_where_the_user_names_none() {
    let warm = model(&[("generation_config.json", r#"{"temperature": 0.25, "top_k": 7, "repetition_penalty": 1.1}"#)]);
    let (code, records, err) = run("generate", &warm, &ASK);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("generation_config.json says: temperature 0.25, top-k 7; repetition_penalty 1.1 is not known here"), "{err}");
    let sampling = |records: &[Value], field: &str| records[0]["sampling"][field].as_f64().unwrap();
    assert_eq!((sampling(&records, "temperature"), sampling(&records, "top_k"), sampling(&records, "top_p")), (0.25, 7.0, 1.0));
    // It is what was used, to the letter.
    let (_, named, _) =
        run("generate", &warm, &[&ASK[..], &["--temperature", "0.25", "--top-k", "7", "--top-p", "1", "--min-p", "0"]].concat());
    assert_eq!(named, records);
    let (_, records, err) = run("generate", &warm, &[&ASK[..], &["--temperature", "1"]].concat());
    assert_eq!((sampling(&records, "temperature"), sampling(&records, "top_k")), (1.0, 7.0));
    assert!(!err.contains("temperature 0.25"), "{err}");
    // A model of ours names nothing, and nothing is said.
    let (_, records, err) = run("generate", &model(&[]), &ASK);
    assert!(sampling(&records, "temperature") == 1.0 && !err.contains("temperature"), "{err}");
}
