//! Published reward models: tiny twins of each layout against the scores that its published rule gives (`tests/make_protocol_fixtures.py`).

use candle_core::Device;
use reasonscope::model::{Decoder, ModelFiles, Packed};
use reasonscope::reward::protocol::{Label, Layout, Protocol, ProtocolReward, families, recognise};
use reasonscope::reward::{Piece, RewardModel, Said, Scored};
use reasonscope::trace::{Segmentation, Segmenter, Span, Unit, Values, segment};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Largest difference of a score, in f32.
const TOLERANCE: f32 = 1e-4;

#[derive(Clone, Deserialize)]
struct Twin {
    body: String,
    tokenizer: String,
    config: Value,
    template: Option<String>,
    bos: Option<String>,
    called: Option<String>,
    adapter: Option<Value>,
    swap: Option<Swap>,
    cases: Vec<Case>,
}

/// Ids of the twin's tokenizer in place of the family's.
#[derive(Clone, Deserialize)]
struct Swap {
    tag: Vec<u32>,
    positive: Vec<u32>,
    negative: Vec<u32>,
}

#[derive(Clone, Deserialize)]
struct Case {
    problem: String,
    steps: Vec<String>,
    ids: Vec<u32>,
    at: Vec<usize>,
    scores: Vec<f32>,
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/protocol")
}

fn expected() -> BTreeMap<String, Value> {
    serde_json::from_slice(&fs::read(fixtures().join("expected.json")).unwrap()).unwrap()
}

fn twin(name: &str) -> Twin {
    serde_json::from_value(expected().remove(name).unwrap()).unwrap()
}

/// Problem, steps, ids, positions and scores of a case of a twin.
pub fn case_of(name: &str, index: usize) -> (String, Vec<String>, Vec<u32>, Vec<usize>, Vec<f32>) {
    let case = twin(name).cases.remove(index);
    (case.problem, case.steps, case.ids, case.at, case.scores)
}

/// A twin put together in a directory of the layout of the hub.
pub struct Made {
    _folder: TempDir,
    pub path: PathBuf,
}

/// The twin `name`, with changes to its configuration and its template.
fn make_with(name: &str, change: impl Fn(&mut Twin)) -> Made {
    let mut twin = twin(name);
    change(&mut twin);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(twin.called.as_deref().unwrap_or("twin"));
    let base = if twin.adapter.is_some() { folder.path().join("base") } else { path.clone() };
    fs::create_dir_all(&path).unwrap();
    fs::create_dir_all(&base).unwrap();
    let copy = |from: String, dir: &Path, to: &str| fs::copy(fixtures().join(from), dir.join(to)).map(|_| ()).unwrap();
    fs::write(base.join("config.json"), twin.config.to_string()).unwrap();
    copy(format!("{}/tokenizer.json", twin.tokenizer), &base, "tokenizer.json");
    fs::write(base.join("tokenizer_config.json"), json!({"bos_token": twin.bos, "chat_template": twin.template}).to_string()).unwrap();
    copy(format!("{}.safetensors", twin.body), &base, "body.safetensors");
    let mut shards = json!({"a": "body.safetensors"});
    if let Some(adapter) = &twin.adapter {
        let mut adapter = adapter.clone();
        adapter["base_model_name_or_path"] = "../base".into();
        fs::write(path.join("adapter_config.json"), adapter.to_string()).unwrap();
        copy(format!("adapter-{name}.safetensors"), &path, "adapter_model.safetensors");
    } else {
        copy(format!("head-{name}.safetensors"), &base, "head.safetensors");
        shards["b"] = "head.safetensors".into();
    }
    fs::write(base.join("model.safetensors.index.json"), json!({"weight_map": shards}).to_string()).unwrap();
    if let Some(swap) = &twin.swap {
        let mut own = recognise(&ModelFiles::open(&path).unwrap(), None).unwrap().protocol;
        let ids = |ids: &[u32]| ids.iter().map(|id| Label::Id(*id)).collect();
        own.input.tag_ids.clone_from(&swap.tag);
        (own.read.positive, own.read.negative) = (ids(&swap.positive), ids(&swap.negative));
        fs::write(path.join("reward.toml"), toml::to_string(&own).unwrap()).unwrap();
    }
    Made { _folder: folder, path }
}

pub fn make(name: &str) -> Made {
    make_with(name, |_| {})
}

/// The twin `name` as nothing but a language model with this chat template.
pub fn make_plain(name: &str, template: Option<&str>) -> Made {
    make_with(name, |twin| (twin.template, twin.called, twin.swap) = (template.map(str::to_owned), None, None))
}

fn open(made: &Made) -> ProtocolReward {
    ProtocolReward::open(&ModelFiles::open(&made.path).unwrap(), None, &Device::Cpu, None).unwrap_or_else(|e| panic!("{e}"))
}

/// Text of a case and the spans of its steps.
pub fn joined(steps: &[String]) -> (String, Vec<Span>) {
    let mut text = String::new();
    let mut spans = Vec::new();
    for step in steps {
        if !text.is_empty() {
            text.push('\n');
        }
        spans.push(Span::new(text.len(), text.len() + step.len()));
        text.push_str(step);
    }
    (text, spans)
}

pub fn piece<'a>(candidate: usize, text: &'a str, steps: &'a [Span], finished: bool) -> Piece<'a> {
    Piece { candidate, text, tokens: &[], new: 0..text.len(), finished, cut_short: false, steps }
}

pub fn values(scored: &Scored) -> Vec<Option<f32>> {
    match &scored.said {
        Said::Judged { values: Values::Steps(steps), .. } => steps.clone(),
        Said::Judged { values: Values::Candidate(value), .. } => vec![Some(*value)],
        other => panic!("{other:?}"),
    }
}

/// What the model says of each candidate of a problem, read at once.
pub fn scores(model: &mut ProtocolReward, problem: &str, candidates: &[Vec<String>]) -> Vec<Vec<Option<f32>>> {
    let joined: Vec<(String, Vec<Span>)> = candidates.iter().map(|c| joined(c)).collect();
    model.begin(problem, candidates.len()).unwrap();
    let pieces: Vec<Piece> = joined.iter().enumerate().map(|(i, (text, spans))| piece(i, text, spans, true)).collect();
    model.append(&pieces).unwrap().iter().map(values).collect()
}

pub fn near(found: &[Option<f32>], want: &[f32], what: &str) {
    assert_eq!(found.len(), want.len(), "{what}");
    for (f, w) in found.iter().zip(want) {
        assert!((f.unwrap() - w).abs() < TOLERANCE, "{what}: {found:?} instead of {want:?}");
    }
}

#[test]
fn each_twin_is_recognised_fed_and_scored_as_published() {
    for (name, family) in [
        ("qwen-prm", "Qwen2.5-Math-PRM"),
        ("reasonflux", "ReasonFlux-PRM"),
        ("qwen-rm", "Qwen2.5-Math-RM"),
        ("skywork", "Skywork-o1-Open-PRM"),
        ("trl", "TRL PRMTrainer"),
        ("pure", "PURE-PRM"),
        ("minos", "MATH-Minos"),
        ("math-shepherd", "Math-Shepherd"),
        ("versaprm", "VersaPRM"),
        ("openr", "OpenR math-psa"),
        ("llemma", "llemma-7b-prm"),
        ("rlhflow", "RLHFlow PRM"),
        ("reasoneval", "ReasonEval"),
        ("outcome", "outcome reward model"),
        ("outcome-padded", "outcome reward model"),
        ("lora", "outcome reward model"),
        ("rslora", "outcome reward model"),
    ] {
        let made = make(name);
        let files = ModelFiles::open(&made.path).unwrap();
        let taken = recognise(&files, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(taken.protocol.name, family, "{name}");
        let tokenizer = files.tokenizer().unwrap();
        let chat = files.chat(&tokenizer).unwrap();
        let layout = Layout::new(&taken.protocol, &files, tokenizer, chat).unwrap();
        let mut model = open(&made);
        assert!(model.about().contains(family), "{}", model.about());
        for case in twin(name).cases {
            let steps: Vec<&str> = case.steps.iter().map(String::as_str).collect();
            let (ids, at) = layout.lay_out(&case.problem, &steps, Some(0)).unwrap();
            // The published code of RLHFlow reads on to the end of the last turn.
            assert_eq!(ids, case.ids[..ids.len()], "{name}");
            assert_eq!(at, case.at, "{name}");
            near(&scores(&mut model, &case.problem, &[case.steps])[0], &case.scores, name);
        }
    }
}

#[test]
fn families_are_read_by_the_files_that_users_can_copy() {
    let folder = tempfile::tempdir().unwrap();
    for family in families() {
        let path = folder.path().join("p.toml");
        fs::write(&path, toml::to_string(family).unwrap()).unwrap();
        assert_eq!(&Protocol::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap(), family);
    }
    // A description that the user names goes before what the files show.
    let made = make("trl");
    let pure = families().iter().find(|f| f.name == "PURE-PRM").unwrap();
    fs::write(folder.path().join("mine.toml"), toml::to_string(pure).unwrap()).unwrap();
    let files = ModelFiles::open(&made.path).unwrap();
    let mut model = ProtocolReward::open(&files, Some(&folder.path().join("mine.toml")), &Device::Cpu, None).unwrap();
    let case = twin("pure").cases.remove(0);
    near(&scores(&mut model, &case.problem, &[case.steps])[0], &case.scores, "pure by --reward-protocol");
}

#[test]
fn a_batch_says_what_its_candidates_alone_say() {
    for name in ["qwen-prm", "rlhflow", "skywork", "math-shepherd", "outcome", "reasoneval"] {
        let made = make(name);
        let mut model = open(&made);
        let cases = twin(name).cases;
        let problem = &cases[0].problem;
        let candidates: Vec<Vec<String>> = cases.iter().map(|c| c.steps.clone()).collect();
        let together = scores(&mut model, problem, &candidates);
        for (candidate, found) in candidates.iter().zip(together) {
            let alone: Vec<f32> = scores(&mut model, problem, std::slice::from_ref(candidate))[0].iter().map(|v| v.unwrap()).collect();
            near(&found, &alone, name);
        }
    }
}

#[test]
fn what_is_streamed_has_the_scores_of_what_is_whole() {
    for name in ["qwen-prm", "rlhflow", "skywork", "math-shepherd", "outcome", "reasoneval", "versaprm"] {
        let made = make(name);
        let mut model = open(&made);
        for case in twin(name).cases {
            let text = case.steps.join("\n");
            let spans: Vec<Span> = segment(&text, &Segmentation::Line).iter().map(|s| s.span).collect();
            model.begin(&case.problem, 1).unwrap();
            let whole = values(&model.append(&[piece(0, &text, &spans, true)]).unwrap()[0]);
            model.begin(&case.problem, 1).unwrap();
            let (mut segmenter, mut closed, mut last) = (Segmenter::new(Segmentation::Line), Vec::new(), None);
            for end in 1..=text.len() {
                closed.extend(segmenter.push(&text[..end]).iter().map(|s| s.span));
                if end == text.len() {
                    closed.extend(segmenter.finish(&text).iter().map(|s| s.span));
                }
                if let Some(said) = model.append(&[piece(0, &text[..end], &closed, end == text.len())]).unwrap().pop() {
                    assert_eq!(values(&said).len(), if name == "outcome" { 1 } else { closed.len() }, "{name}");
                    last = Some(values(&said));
                }
            }
            let whole: Vec<f32> = whole.into_iter().map(Option::unwrap).collect();
            near(&last.unwrap(), &whole, name);
        }
    }
}

#[test]
fn a_tag_in_the_text_moves_no_score() {
    for (name, tag) in [("qwen-prm", "<extra_0>"), ("math-shepherd", " ки"), ("versaprm", " \n\n\n\n")] {
        let mut model = open(&make(name));
        let plain = ["One.", "Two."].map(str::to_owned).to_vec();
        let marked = vec![format!("One.{tag}and"), "Two.".to_owned()];
        let found = scores(&mut model, "How many?", &[plain, marked]);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2], "{name}");
        assert!(found.iter().flatten().all(Option::is_some), "{name}");
    }
}

#[test]
fn a_text_begins_once() {
    // The template writes the token that begins a text, and so does the tokenizer.
    let made = make("rlhflow");
    let path = made.path.join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let id = tokenizer["added_tokens"].as_array().unwrap().iter().find(|t| t["content"] == "<|begin_of_text|>").unwrap()["id"].clone();
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [id], "tokens": ["<|begin_of_text|>"]}}
    });
    fs::write(&path, tokenizer.to_string()).unwrap();
    let case = twin("rlhflow").cases.remove(0);
    near(&scores(&mut open(&made), &case.problem, &[case.steps])[0], &case.scores, "one beginning");
}

#[test]
fn steps_beyond_the_context_have_no_score_and_a_whole_is_not_cut() {
    let short = |t: &mut Twin| t.config["max_position_embeddings"] = 96.into();
    let case = twin("qwen-prm").cases.remove(0);
    let found = scores(&mut open(&make_with("qwen-prm", short)), &case.problem, std::slice::from_ref(&case.steps)).remove(0);
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    near(&found[..2], &case.scores[..2], "those that fit");
    let mut model = open(&make_with("outcome", |t| t.config["max_position_embeddings"] = 64.into()));
    let (text, spans) = joined(&case.steps);
    model.begin(&case.problem, 1).unwrap();
    let error = model.append(&[piece(0, &text, &spans, true)]).unwrap_err().to_string();
    assert!(error.contains("context of 64") && error.contains("not cut"), "{error}");
}

#[test]
fn templates_that_demand_a_system_message_get_one() {
    let refuses = |t: &mut Twin| {
        let own = t.template.clone().unwrap();
        t.template = Some(format!(
            "{{%- if messages[0]['role'] != 'system' %}}{{{{ raise_exception('a system message first') }}}}{{%- endif %}}{own}"
        ));
    };
    let case = twin("qwen-prm").cases.remove(0);
    near(&scores(&mut open(&make_with("qwen-prm", refuses)), &case.problem, &[case.steps])[0], &case.scores, "with its system message");
    let made = make_with("reasonflux", refuses);
    let mut model = open(&made);
    let error = model.begin("How many?", 1).unwrap_err().to_string();
    assert!(error.contains("a system message first") && error.contains("tokenizer_config.json"), "{error}");
}

#[test]
fn a_layout_that_the_model_cannot_have_is_said() {
    let says = |made: &Made, words: &[&str]| {
        let error = ProtocolReward::open(&ModelFiles::open(&made.path).unwrap(), None, &Device::Cpu, None).err().unwrap().to_string();
        words.iter().for_each(|w| assert!(error.contains(w), "{error:?} lacks {w:?}"));
    };
    says(&make_with("qwen-prm", |t| t.template = None), &["no chat template", "Qwen2.5-Math-PRM", "reward.toml"]);
    let uneven = "{% for m in messages %}{{ m.role }}: {% if loop.last %}!{% endif %}{{ m.content }}\n{% endfor %}";
    says(&make_with("rlhflow", |t| t.template = Some(uneven.into())), &["every turn alike", "reward.toml"]);
    let made = make("versaprm");
    let mut own = families().iter().find(|f| f.name == "OpenR math-psa").unwrap().clone();
    fs::write(made.path.join("reward.toml"), toml::to_string(&own).unwrap()).unwrap();
    says(&made, &["76325", "belongs to another model"]);
    (own.input.tag_ids, own.read.positive) = (vec![7], vec![Label::Text("+".into())]);
    own.read.negative = own.read.positive.clone();
    fs::write(made.path.join("reward.toml"), toml::to_string(&own).unwrap()).unwrap();
    says(&made, &["positive and negative at once"]);
    let made = make("trl");
    let qwen = families().iter().find(|f| f.name == "Qwen2.5-Math-PRM").unwrap();
    fs::write(made.path.join("reward.toml"), toml::to_string(qwen).unwrap().replace("\"chat\"", "\"plain\"").replace("system", "#"))
        .unwrap();
    says(&made, &["score.0.weight", "read.tensor"]);
}

#[test]
fn names_of_compiled_models_and_heads_of_their_own_are_understood() {
    let made = make("trl");
    for shard in ["body.safetensors", "head.safetensors"] {
        let bytes = fs::read(made.path.join(shard)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let wrapped: Vec<(String, safetensors::tensor::TensorView)> =
            tensors.tensors().into_iter().map(|(name, view)| (format!("_orig_mod.{name}"), view)).collect();
        fs::write(made.path.join(shard), safetensors::serialize(wrapped, None).unwrap()).unwrap();
    }
    let case = twin("trl").cases.remove(0);
    near(&scores(&mut open(&made), &case.problem, &[case.steps])[0], &case.scores, "_orig_mod.");
    // A configuration that ties a head which the weights have: the weights' own counts, as in transformers.
    let made = make_with("versaprm", |t| t.config["tie_word_embeddings"] = true.into());
    let open = ModelFiles::open(&made.path).unwrap().load(&Device::Cpu, candle_core::DType::F32, None).unwrap();
    let decoder = Decoder::load(&open.config, open.weights.as_ref(), &mut |_| {}).unwrap();
    let want = &expected()["tied"];
    let mut batch = Packed::default();
    batch.push(&serde_json::from_value::<Vec<u32>>(want["ids"].clone()).unwrap());
    let found: Vec<Vec<f32>> = decoder.logits(&decoder.forward(&batch).unwrap()).unwrap().to_vec2().unwrap();
    let logits: Vec<f32> = serde_json::from_value(want["logits"].clone()).unwrap();
    let far = found.last().unwrap().iter().zip(&logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < TOLERANCE, "{far}");
}

#[test]
fn units_follow_the_rule() {
    for (name, unit) in [("qwen-prm", Unit::Probability), ("pure", Unit::Unknown), ("outcome", Unit::Logit)] {
        let mut model = open(&make(name));
        model.begin("How many?", 1).unwrap();
        let said = model.append(&[piece(0, "One.", &[Span::new(0, 4)], true)]).unwrap().remove(0).said;
        assert!(matches!(said, Said::Judged { unit: found, .. } if found == unit), "{name} {said:?}");
    }
}
