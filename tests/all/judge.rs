//! Language models as judges by prompt and as implicit pairs, against what transformers says by the published rules (`tests/make_judge_fixtures.py`).

use crate::protocol::{Made, fixtures, joined, make_plain, near, piece, scores, values};
use candle_core::Device;
use reasonscope::model::ModelFiles;
use reasonscope::reward::protocol::{Layout, Protocol, ProtocolReward, Shape, WriterReward, as_judge, explain_judge, families};
use reasonscope::reward::{ImplicitOptions, ImplicitReward, Piece, RewardModel, Said, Scored, explain_implicit};
use reasonscope::runtime::ModelRef;
use reasonscope::trace::{Candidate, Granularity, Orientation, REWARD, Reading, Span, Statistic, Step, Token, TokenValue, Unit, Values};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Deserialize)]
struct Expected {
    judges: Vec<Judge>,
    implicit: Implicit,
    writers: Vec<Writer>,
}

#[derive(Deserialize)]
struct Writer {
    twin: String,
    template: Option<String>,
    tokens: usize,
    turns: bool,
    cases: Vec<WriterCase>,
}

#[derive(Deserialize)]
struct WriterCase {
    problem: String,
    steps: Vec<String>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Judge {
    twin: String,
    template: Option<String>,
    markers: [String; 2],
    cases: Vec<JudgeCase>,
}

#[derive(Deserialize)]
struct JudgeCase {
    problem: String,
    steps: Vec<String>,
    ids: Vec<u32>,
    at: Vec<usize>,
    values: Vec<f32>,
    first_error: Option<usize>,
}

#[derive(Deserialize)]
struct Implicit {
    twin: String,
    reference: String,
    template: Option<String>,
    beta: f32,
    cases: Vec<ImplicitCase>,
}

#[derive(Deserialize)]
struct ImplicitCase {
    problem: String,
    steps: Vec<String>,
    text: String,
    ids: Vec<u32>,
    values: Vec<f32>,
}

fn expected() -> Expected {
    serde_json::from_slice(&fs::read(fixtures().join("judge.json")).unwrap()).unwrap()
}

fn open(made: &Made, file: Option<&Path>) -> ProtocolReward {
    ProtocolReward::open_judge(&ModelFiles::open(&made.path).unwrap(), file, &Device::Cpu, None).unwrap_or_else(|e| panic!("{e}"))
}

/// The protocol file with these markers.
fn asked(markers: &[String; 2]) -> (tempfile::TempDir, PathBuf) {
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reward/protocol/families/judge.toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("judge.toml");
    fs::write(&path, own.replace("\" +\"", &format!("{:?}", markers[0])).replace("\" -\"", &format!("{:?}", markers[1]))).unwrap();
    (dir, path)
}

#[test]
fn a_judge_is_fed_and_read_as_published_and_marks_the_likeliest_first_error() {
    for Judge { twin, template, markers, cases } in expected().judges {
        let made = make_plain(&twin, template.as_deref());
        let files = ModelFiles::open(&made.path).unwrap();
        let tokenizer = files.tokenizer().unwrap();
        let chat = files.chat(&tokenizer).unwrap();
        let (_dir, file) = asked(&markers);
        let file = Some(file.as_path()).filter(|_| markers != [" +", " -"]);
        let layout = Layout::new(&as_judge(file).unwrap().protocol, &files, tokenizer, chat).unwrap();
        let mut model = open(&made, file);
        assert!(model.name().starts_with("judge:") && model.about().contains("judge by prompt"), "{} {}", model.name(), model.about());
        let calibration = model.calibration().clone();
        for case in cases {
            let steps: Vec<&str> = case.steps.iter().map(String::as_str).collect();
            assert_eq!(layout.lay_out(&case.problem, &steps, None).unwrap(), (case.ids, case.at), "{twin}");
            let found = scores(&mut model, &case.problem, &[case.steps]).remove(0);
            near(&found, &case.values, &twin);
            let marked = calibration.detector().mark(Orientation::High, &found, calibration.reward());
            assert_eq!(marked.map(|d| d.step), case.first_error, "{twin} {found:?}");
        }
    }
}

#[test]
fn a_judge_says_of_a_batch_and_of_what_grows_what_it_says_of_one_whole() {
    for Judge { twin, template, markers, cases } in expected().judges {
        let (_dir, file) = asked(&markers);
        let mut model = open(&make_plain(&twin, template.as_deref()), Some(&file));
        let problem = &cases[0].problem;
        let candidates: Vec<Vec<String>> = cases.iter().map(|c| c.steps.clone()).collect();
        let together = scores(&mut model, problem, &candidates);
        for (steps, found) in candidates.iter().zip(together) {
            let alone = scores(&mut model, problem, std::slice::from_ref(steps)).remove(0);
            near(&found, &alone.into_iter().map(Option::unwrap).collect::<Vec<_>>(), &twin);
        }
        for case in &cases {
            let (text, spans) = joined(&case.steps);
            model.begin(&case.problem, 1).unwrap();
            let mut last = Vec::new();
            for end in 1..=text.len() {
                let Some(text_so_far) = text.get(..end) else { continue };
                let closed = spans.iter().filter(|s| s.end <= end).count();
                if let Some(said) = model.append(&[piece(0, text_so_far, &spans[..closed], end == text.len())]).unwrap().pop() {
                    last = values(&said);
                    assert_eq!(last.len(), closed, "{twin}");
                }
            }
            near(&last, &case.values, &twin);
        }
    }
}

#[test]
fn steps_that_hold_markers_and_ones_beyond_the_context_move_nothing() {
    let Judge { twin, template, .. } = expected().judges.remove(0);
    let made = make_plain(&twin, template.as_deref());
    let with = ["1 + 2 = 3. +", "x - y +\n\nz -"].map(str::to_owned).to_vec();
    let found = scores(&mut open(&made, None), "How many?", std::slice::from_ref(&with)).remove(0);
    assert!(found.len() == 2 && found.iter().all(Option::is_some), "{found:?}");
    let config = made.path.join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"max_position_embeddings\":2048", "\"max_position_embeddings\":176")).unwrap();
    let long: Vec<String> = (0..4).map(|i| format!("Step {i}: 2 * 3 = 6 apples")).collect();
    let mut model = open(&made, None);
    assert!(model.about().contains("context 176"), "{}", model.about());
    let found = scores(&mut model, "How many?", &[long]).remove(0);
    assert!(found[0].is_some() && found.len() == 4 && found[3].is_none(), "{found:?}");
}

#[test]
fn wording_and_markers_can_be_given_and_are_checked() {
    let Judge { twin, template, .. } = expected().judges.remove(0);
    let made = make_plain(&twin, template.as_deref());
    let file = made.path.join("mine.toml");
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reward/protocol/families/judge.toml")).unwrap();
    let says = |text: &str| {
        fs::write(&file, text).unwrap();
        let files = ModelFiles::open(&made.path).unwrap();
        ProtocolReward::open_judge(&files, Some(&file), &Device::Cpu, None).err().map(|e| e.to_string())
    };
    assert_eq!(says(&own.replace("\" +\"", "\" yes\"").replace("\" -\"", "\" no\"")), None);
    let prefix = says(&own.replace("\" +\"", "\" y\"").replace("\" -\"", "\" y\"")).unwrap();
    assert!(prefix.contains("do not part") && prefix.contains("other markers"), "{prefix}");
    let half = says(&own.replace("negative = [\" -\"]", "")).unwrap();
    assert!(half.contains("read.negative") && half.contains("mine.toml"), "{half}");
    // Other words, other chances.
    fs::write(&file, own.replace("step by step", "carefully")).unwrap();
    let steps = ["One.", "Two."].map(str::to_owned).to_vec();
    let of = |file| scores(&mut open(&made, file), "How many?", std::slice::from_ref(&steps)).remove(0);
    assert_ne!(of(Some(file.as_path())), of(None));
    let parsed = Protocol::parse(&own, Path::new("judge.toml")).unwrap();
    assert_eq!(Protocol::parse(&toml::to_string(&parsed).unwrap(), Path::new("again.toml")).unwrap(), parsed);
}

#[test]
fn what_is_fed_to_a_judge_and_to_a_pair_is_told() {
    let Judge { twin, template, .. } = expected().judges.remove(0);
    let made = make_plain(&twin, template.as_deref());
    let told = explain_judge(&ModelFiles::open(&made.path).unwrap(), None).unwrap();
    assert!(told.taken.contains("judge:MODEL") && told.read.contains("differ") && told.fed.contains("chat template"), "{told:?}");
    assert_eq!(told.ids.iter().filter(|i| i.2).count(), 2);
    let named = ModelRef::parse(&format!("judge:{}", made.path.display())).unwrap();
    assert_eq!(named.explain_reward().unwrap(), Some(told));
    assert!(!named.is_trained_reward() && named.is_reward_only());
    let files = ModelFiles::open(&made.path).unwrap();
    let pair = explain_implicit([&files, &files], ImplicitOptions::default()).unwrap();
    assert!(pair.read.contains("0.05") && pair.fed.contains("chat template") && pair.ids.iter().any(|i| i.2), "{pair:?}");
}

fn pair(expected: &Implicit, options: ImplicitOptions) -> ImplicitReward {
    let (made, other) = (make_plain(&expected.twin, expected.template.as_deref()), make_plain(&expected.reference, None));
    let [a, b] = [&made, &other].map(|m| ModelFiles::open(&m.path).unwrap());
    ImplicitReward::open([&a, &b], options, &Device::Cpu, None).unwrap_or_else(|e| panic!("{e}"))
}

fn tokens(scored: &Scored) -> Vec<TokenValue> {
    match &scored.said {
        Said::Judged { unit: Unit::Nats, values: Values::Tokens(tokens) } => tokens.clone(),
        other => panic!("{other:?}"),
    }
}

fn close(found: &[TokenValue], want: &[f32]) {
    assert_eq!(found.len(), want.len());
    let far = found.iter().zip(want).map(|(f, w)| (f.value - w).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "{far}: {found:?} instead of {want:?}");
}

#[test]
fn a_pair_gives_every_token_what_transformers_gives_it() {
    let expected = expected().implicit;
    let mut model = pair(&expected, ImplicitOptions { beta: expected.beta, chunk: None });
    assert_eq!(model.calibration().detector().reading, Reading::new(REWARD, Statistic::Sum));
    for case in &expected.cases {
        model.begin(&case.problem, 1).unwrap();
        let found = tokens(&model.append(&[piece(0, &case.text, &[], true)]).unwrap()[0]);
        close(&found, &case.values);
        // A step is the sum of its tokens.
        let (mut steps, mut at) = (Vec::new(), 0);
        for step in &case.steps {
            let start = at + case.text[at..].find(step).unwrap();
            at = start + step.len();
            steps.push(Step { span: Span::new(start, at), ..Step::default() });
        }
        let mut candidate = Candidate { text: case.text.clone(), steps, ..Candidate::default() };
        candidate.judge(REWARD, Unit::Nats, Values::Tokens(found.clone()));
        let sums: f32 = candidate.step_rewards(Statistic::Sum, Granularity::Dense).into_iter().flatten().sum();
        assert!((sums - case.values.iter().sum::<f32>()).abs() < 1e-3);
        assert_eq!(candidate.signal(REWARD).unwrap().unit, Unit::Nats);
    }
}

#[test]
fn a_pair_says_of_a_batch_of_what_grows_and_of_ids_what_it_says_of_one_whole() {
    let expected = expected().implicit;
    let mut model = pair(&expected, ImplicitOptions { beta: expected.beta, chunk: None });
    let case = &expected.cases[0];
    model.begin(&case.problem, 3).unwrap();
    // One as it grows, one by the ids of its tokens, one that was cut short.
    let ids: Vec<Token> = {
        let tokenizer = ModelFiles::open(&make_plain(&expected.twin, None).path).unwrap().tokenizer().unwrap();
        let text = &case.ids[case.ids.len() - case.values.len()..];
        let (_, spans) = tokenizer.decode_spans(text);
        text.iter().zip(spans).map(|(&id, span)| Token { id: Some(id), span, ..Token::default() }).collect()
    };
    let mut grown = Vec::new();
    for end in 1..=case.text.len() {
        if let Some(said) = model.append(&[piece(0, &case.text[..end], &[], end == case.text.len())]).unwrap().pop() {
            let now = tokens(&said);
            assert!(now.len() > grown.len() && now[..grown.len()] == grown[..], "what was said stays");
            grown = now;
        }
    }
    close(&grown, &case.values);
    let by_ids = Piece { tokens: &ids, ..piece(1, &case.text, &[], true) };
    let cut = Piece { cut_short: true, ..piece(2, &case.text, &[], true) };
    let said = model.append(&[by_ids, cut]).unwrap();
    close(&tokens(&said[0]), &case.values);
    close(&tokens(&said[1]), &case.values[..case.values.len() - 1]);
}

#[test]
fn chunks_have_the_mean_of_their_tokens_however_the_text_comes() {
    let expected = expected().implicit;
    let mut model = pair(&expected, ImplicitOptions { beta: expected.beta, chunk: Some(4) });
    assert_eq!(model.calibration().detector().reading, Reading::new(REWARD, Statistic::Min));
    let case = &expected.cases[1];
    let means: Vec<f32> = case.values.chunks(4).flat_map(|c| vec![c.iter().sum::<f32>() / c.len() as f32; c.len()]).collect();
    model.begin(&case.problem, 2).unwrap();
    close(&tokens(&model.append(&[piece(0, &case.text, &[], true)]).unwrap()[0]), &means);
    let mut last = Vec::new();
    for end in 1..=case.text.len() {
        if let Some(said) = model.append(&[piece(1, &case.text[..end], &[], end == case.text.len())]).unwrap().pop() {
            last = tokens(&said);
        }
    }
    close(&last, &means);
}

#[test]
fn a_pair_of_two_tokenizers_is_refused() {
    let (bytes, words) = (make_plain("openr", None), make_plain("math-shepherd", None));
    let [a, b] = [&bytes, &words].map(|m| ModelFiles::open(&m.path).unwrap());
    let error = ImplicitReward::open([&a, &b], ImplicitOptions::default(), &Device::Cpu, None).err().unwrap().to_string();
    assert!(error.contains("tokenizer") && error.contains("of one family"), "{error}");
    assert_eq!(explain_implicit([&a, &b], ImplicitOptions::default()).unwrap_err().to_string(), error);
}

/// A writer that is asked as GenPRM is, or of each step in a conversation of its own.
fn writer(expected: &Writer, change: impl Fn(&mut Protocol)) -> (Made, Protocol) {
    let mut own = families().iter().find(|f| f.name == "GenPRM").unwrap().clone();
    own.write.as_mut().unwrap().tokens = expected.tokens;
    if !expected.turns {
        (own.input.layout, own.input.system) = (Shape::Chat, None);
        own.input.problem = "Q: {problem}\nBefore: {previous}\nStep {number}: {step}".into();
    }
    change(&mut own);
    (make_plain(&expected.twin, expected.template.as_deref()), own)
}

fn write_load(made: &Made, own: Protocol) -> WriterReward {
    WriterReward::load(&ModelFiles::open(&made.path).unwrap(), own, &Device::Cpu, None).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_model_that_writes_is_read_at_its_verdict() {
    for expected in expected().writers {
        let (made, own) = writer(&expected, |_| {});
        let mut model = write_load(&made, own);
        assert!(model.about().contains("writes up to 6 tokens"), "{}", model.about());
        for case in &expected.cases {
            let (text, spans) = joined(&case.steps);
            model.begin(&case.problem, 2).unwrap();
            let said = model.append(&[piece(0, &text, &spans, true)]).unwrap();
            let whole = values(&said[0]);
            near(&whole[..case.values.len()], &case.values, "by transformers");
            assert_eq!(whole.len(), case.steps.len());
            // Step by step.
            let mut last = Vec::new();
            for (n, span) in spans.iter().enumerate() {
                let said = model.append(&[piece(1, &text[..span.end], &spans[..=n], n + 1 == spans.len())]).unwrap();
                last = values(&said[0]);
                assert_eq!(last.len(), n + 1);
            }
            near(&last, &whole.into_iter().map(Option::unwrap).collect::<Vec<_>>(), "streamed");
        }
    }
}

#[test]
fn what_was_said_of_a_step_counts_for_the_next_in_one_conversation_alone() {
    let second = |turns: bool| {
        let expected = expected().writers.remove(usize::from(turns));
        let (made, own) = writer(&expected, |p| p.input.problem = p.input.problem.replace("{previous}", "-"));
        let mut model = write_load(&made, own);
        let mut of = |first: &str| {
            let (text, spans) = joined(&[first.to_owned(), "3 + 3 = 6.".to_owned()]);
            model.begin("How many?", 1).unwrap();
            values(&model.append(&[piece(0, &text, &spans, true)]).unwrap()[0])[1].unwrap()
        };
        (of("1 + 2 = 3."), of("x - y"))
    };
    let (a, b) = second(false);
    assert!((a - b).abs() < 1e-6, "{a} {b}");
    let (a, b) = second(true);
    assert!((a - b).abs() > 1e-6, "{a} {b}");
}

#[test]
fn writers_that_do_not_fit_are_told_and_a_full_context_leaves_steps_without_score() {
    let expected = expected().writers.remove(1);
    let (made, own) = writer(&expected, |_| {});
    let path = made.path.join("reward.toml");
    fs::write(&path, toml::to_string(&own).unwrap()).unwrap();
    let told = ModelRef::Path(made.path.clone()).explain_reward().unwrap().unwrap();
    assert!(told.taken.contains("GenPRM") && told.read.contains("Yes") && told.fed.contains("6 tokens"), "{told:?}");
    let says = |change: fn(&mut Protocol), word: &str| {
        let mut own = own.clone();
        change(&mut own);
        fs::write(&path, toml::to_string(&own).unwrap()).unwrap();
        let said = Protocol::read(&path).unwrap_err().to_string();
        assert!(said.contains(word) && said.contains("reward.toml"), "{said}");
    };
    says(|p| p.input.layout = Shape::Chat, "{step}");
    says(|p| p.write.as_mut().unwrap().tokens = 0, "write.tokens");
    says(|p| p.write = None, "[write]");
    let same = WriterReward::load(
        &ModelFiles::open(&made.path).unwrap(),
        writer(&expected, |p| p.read.negative.clone_from(&p.read.positive)).1,
        &Device::Cpu,
        None,
    );
    assert!(same.err().unwrap().to_string().contains("begins a good verdict and a bad one"));
    let config = made.path.join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"max_position_embeddings\":2048", "\"max_position_embeddings\":400")).unwrap();
    let mut model = write_load(&made, own.clone());
    let (text, spans) = joined(&["One.".to_owned(), "Two.".to_owned(), "Three.".to_owned()]);
    model.begin("How many?", 1).unwrap();
    let found = values(&model.append(&[piece(0, &text, &spans, true)]).unwrap()[0]);
    assert!(found.len() == 3 && found[0].is_some() && found[2].is_none(), "{found:?}");
}

#[test]
fn files_are_scored_by_a_judge_and_by_a_pair() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.jsonl").display().to_string(), dir.path().join("out.jsonl").display().to_string());
    let trace = json!({"id": "gsm8k-0", "generator": "g", "problem": "What is 1 + 2 + 3?", "steps": ["1 + 2 = 3.", "3 + 3 = 6."], "final_answer_correct": true, "label": -1});
    fs::write(&input, format!("{trace}\n")).unwrap();
    let (made, other) = (make_plain("openr", None), make_plain("versaprm", None));
    let (a, b) = (made.path.display(), other.path.display());
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).stdin(Stdio::null()).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
    };
    let reward = |model: &str| -> Value {
        let (code, said) = run(&["score", &input, "--reward", model, "--device", "cpu", "-o", &output]);
        assert_eq!(code, 0, "{said}");
        let record: Value = serde_json::from_str(fs::read_to_string(&output).unwrap().lines().next().unwrap()).unwrap();
        fs::remove_file(&output).unwrap();
        record["signals"].as_array().unwrap().iter().find(|s| s["name"] == "reward").unwrap().clone()
    };
    for model in [format!("judge:{a}"), "judge:embedded".to_owned()] {
        let judged = reward(&model);
        assert_eq!((&judged["unit"], judged["step_values"].as_array().unwrap().len()), (&json!("probability"), 2), "{judged}");
    }
    let pair = reward(&format!("implicit:{a},{b},beta=0.5"));
    assert_eq!((&pair["unit"], &pair["source"]["model"]), (&json!("nats"), &json!(format!("implicit:{a},{b},beta=0.5"))), "{pair}");
    let (code, said) = run(&["doctor", &format!("judge:{a}"), &format!("implicit:{a},{b}"), "--device", "cpu"]);
    assert!(code == 0 && said.contains("judge by prompt, because") && said.contains("an implicit reward, because"), "{said}");
    let (code, said) = run(&["generate", "--problem", "x", "--policy", "judge:embedded"]);
    assert!(code != 0 && said.contains("writes nothing"), "{said}");
    let (code, said) = run(&["score", &input, "--reward", &format!("implicit:{a}"), "-o", &output]);
    assert!(code == 2 && said.contains("MODEL,REFERENCE"), "{said}");
}
