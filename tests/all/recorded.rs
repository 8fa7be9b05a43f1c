//! Recorded text read by a policy, against transformers: log-probabilities of the text after its chat prompt, both tokenised as one.

use candle_core::Device;
use reasonscope::generate::LocalPolicy;
use reasonscope::model::ModelFiles;
use reasonscope::trace::Candidate;
use std::path::PathBuf;
use std::process::Command;

const TEXT: &str = "We add 2 and 3.\n\nSo it is 5.\nThe answer is 5.";

/// A model of the failing inputs, unpacked into `dir`; `None` with a note where they are not.
fn case(name: &str, dir: &std::path::Path) -> Option<PathBuf> {
    let data = PathBuf::from(std::env::var_os("REASONSCOPE_DATA").unwrap_or_else(|| "../shared/data".into()));
    let archive = data.join("cases").join(format!("{name}.tar.gz"));
    if !archive.is_file() {
        eprintln!("skipped: no {}; REASONSCOPE_DATA names the public data", archive.display());
        return None;
    }
    let done = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(dir).status().is_ok_and(|s| s.success());
    assert!(done, "{}", archive.display());
    Some(dir.join(name))
}

#[test]
fn a_text_is_read_as_its_writer_tokenises_it() {
    // Tokens, the sum of their log-probabilities, the first, the last, and that of the end: transformers 5.24 in f32, with the ids of
    // tokenizer.json. In the second the rotary embedding of
    // pictures (mrope) is the plain one, as it is for text.
    for (name, tokens, sum, first, last, end) in [
        ("93e-metaspace-always", 27, -167.531998, -6.166776, -6.163557, -6.382754),
        ("91b-rope-mrope", 26, -161.347113, -6.238412, -6.307617, -6.376843),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let Some(path) = case(name, dir.path()) else { return };
        let policy = LocalPolicy::open(&ModelFiles::open(&path).unwrap(), &Device::Cpu, None).unwrap();
        let mut candidates = vec![Candidate { text: TEXT.into(), ..Candidate::default() }];
        policy.read("Two and 3?", &mut candidates).unwrap();
        let read: Vec<f64> = candidates[0].tokens.iter().map(|t| f64::from(t.logprob.unwrap())).collect();
        assert_eq!(read.len(), tokens + 1, "{name}: and the end");
        let near = |got: f64, want: f64, within: f64| assert!((got - want).abs() < within, "{name}: {got}, transformers {want}");
        near(read[..tokens].iter().sum(), sum, 1e-3);
        near(read[0], first, 1e-4);
        near(read[tokens - 1], last, 1e-4);
        near(read[tokens], end, 1e-4);
        assert_eq!(candidates[0].tokens.iter().map(|t| t.span.of(TEXT)).collect::<String>(), TEXT);
    }
}
