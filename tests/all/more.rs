//! Families on candle-transformers against Hugging Face transformers on tiny random models (`tests/make_more_fixtures.py`), and as policies.

use candle_core::Device;
use reasonscope::generate::{MorePolicy, Policy};
use reasonscope::model::{DeviceChoice, MORE_FAMILIES, ModelFiles, More};
use reasonscope::runtime::ModelRef;
use reasonscope::trace::{Candidate, FinishReason, Sampling, TraceEvent};
use serde::Deserialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Largest difference of a logit, in f32.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    rows: Vec<usize>,
    logits: Vec<Vec<f32>>,
}

fn fixture(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/more").join(family)
}

fn expected(family: &str) -> Vec<Expected> {
    serde_json::from_slice(&std::fs::read(fixture(family).join("expected.json")).unwrap()).unwrap()
}

fn model(family: &str) -> More {
    More::open(&ModelFiles::open(&fixture(family)).unwrap(), &Device::Cpu, None).unwrap()
}

fn assert_near(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let far = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, |m: f32, d| if d.is_nan() { f32::NAN } else { m.max(d) });
    assert!(far < TOLERANCE, "{what}: logits differ by {far}");
}

#[test]
fn logits_agree_with_transformers() {
    for family in MORE_FAMILIES {
        let m = model(family);
        assert_eq!((m.family(), m.vocab_size(), m.eos()), (family, 96, &[2][..]));
        for case in expected(family) {
            for (row, want) in case.rows.iter().zip(&case.logits) {
                let what = format!("{family}, token {row} of {}", case.ids.len());
                assert_near(m.begin(&case.ids[..=*row]).unwrap().logits(), want, &what);
            }
        }
    }
}

#[test]
fn token_by_token_is_the_whole_and_sequences_do_not_touch_each_other() {
    for family in MORE_FAMILIES {
        let m = model(family);
        let ids = expected(family).pop().unwrap().ids;
        let prompt = m.begin(&ids[..5]).unwrap();
        let (mut a, mut b) = (m.fork(&prompt).unwrap(), m.fork(&prompt).unwrap());
        for (x, y) in [(7, 80), (8, 81), (9, 82)] {
            m.push(&mut a, x).unwrap();
            m.push(&mut b, y).unwrap();
        }
        for (growing, tail) in [(&a, [7, 8, 9]), (&b, [80, 81, 82])] {
            let whole = m.begin(&[&ids[..5], &tail[..]].concat()).unwrap();
            assert_near(growing.logits(), whole.logits(), &format!("{family}, {tail:?}"));
        }
        assert_near(prompt.logits(), m.begin(&ids[..5]).unwrap().logits(), family);
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let m = model("gemma2");
    // Its sliding window, inside which alone it is right.
    assert_eq!(m.context(), 24);
    let error = |ids: &[u32]| m.begin(ids).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error(&[1; 25]).contains("context of 24"));
    assert!(error(&[96]).contains("outside the vocabulary of 96"));
    assert!(error(&[]).contains("empty"));
}

#[test]
fn neither_trained_nor_a_reward() {
    let path = fixture("phi");
    let error = ModelFiles::open(&path).unwrap().config().unwrap_err().to_string();
    assert!(error.contains("phi is not computed") && error.contains("neither trained nor a --reward"), "{error}");
    let named = ModelRef::parse(path.to_str().unwrap()).unwrap();
    assert!(named.runs_on().unwrap().contains("candle-transformers (phi)"));
    let error = named.reward(DeviceChoice::Cpu).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("--policy"), "{error}");
    let own = ModelRef::parse(fixture("../olmo2").to_str().unwrap()).unwrap();
    assert!(own.runs_on().unwrap().contains("the decoder here (olmo2)"));
}

/// The model with a tokenizer whose 96 tokens are characters.
fn with_tokenizer(family: &str, dir: &Path) {
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture(family).join(file), dir.join(file)).unwrap();
    }
    let tokens = ["Ġ", "Ċ"].into_iter().map(String::from).chain((b'!'..=b'~').map(|b| char::from(b).to_string()));
    let vocab: serde_json::Map<String, serde_json::Value> = tokens.enumerate().map(|(i, t)| (t, i.into())).collect();
    let bytes = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": bytes,
        "post_processor": null, "decoder": bytes,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []},
    });
    std::fs::write(dir.join("tokenizer.json"), json.to_string()).unwrap();
}

fn sample(policy: &mut MorePolicy, n: usize) -> Vec<Candidate> {
    let mut written = vec![Candidate::default(); n];
    let mut sink = |event| {
        match event {
            TraceEvent::Tokens { candidate, text, tokens } => {
                written[candidate].text += &text;
                written[candidate].tokens.extend(tokens);
            }
            TraceEvent::Finished { candidate, reason } => written[candidate].finish = Some(reason),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    policy.sample("2 + 3?", n, &Sampling { max_tokens: 12, seed: 3, ..Sampling::default() }, &mut sink).unwrap();
    written
}

#[test]
fn what_such_a_policy_wrote_is_read_as_it_was_written() {
    // One whose copies share a cache, and one that has its own.
    for family in ["glm4", "starcoder2"] {
        let dir = tempfile::tempdir().unwrap();
        with_tokenizer(family, dir.path());
        let mut policy = MorePolicy::open(&ModelFiles::open(dir.path()).unwrap(), &Device::Cpu, None).unwrap();
        assert!(policy.about().contains("token by token"), "{}", policy.about());
        let written = sample(&mut policy, 3);
        assert!(written.iter().all(|c| c.finish.is_some() && !c.tokens.is_empty()));
        let two = sample(&mut policy, 2);
        assert!((0..2).all(|i| written[i].text == two[i].text), "candidate i depends on the seed and i alone");
        let mut read = written.clone();
        read.push(Candidate { tokens: Vec::new(), ..read[1].clone() });
        policy.read("2 + 3?", &mut read).unwrap();
        assert_eq!(read[3].tokens, read[1].tokens, "a copy says what the first does");
        for (w, r) in written.iter().zip(&read) {
            // An end token that was written is text here, since it is no special one.
            let ids = |c: &Candidate| c.tokens.iter().map(|t| t.id).collect::<Vec<_>>();
            let common = w.tokens.len().min(r.tokens.len());
            assert_eq!(ids(w)[..common], ids(r)[..common], "{family} {:?}", w.text);
            assert!(common + usize::from(w.finish == Some(FinishReason::Stop)) >= w.tokens.len());
            for (a, b) in w.tokens.iter().zip(&r.tokens) {
                let near = |a: Option<f32>, b: Option<f32>| (a.unwrap() - b.unwrap()).abs() < 1e-3;
                assert!(near(a.logprob, b.logprob) && near(a.entropy, b.entropy), "{family}: {a:?} {b:?}");
            }
        }
    }
}
