//! GGUF files: the real SmolLM2-135M-Instruct against transformers (`tests/make_smollm2_reference.py`), tokenizers from metadata, and bad files.

use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{Value, write},
    },
};
use reasonscope::model::{Decoder, GgufFile, GgufSource, ModelError, ModelFiles, WeightSource};
use serde::Deserialize;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// The GGUF that `tests/fetch_smollm2.sh` fetches, or `REASONSCOPE_SMOLLM2`; `None` with a note where it is absent.
fn smollm2() -> Option<PathBuf> {
    let cache = || {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache")))?;
        Some(base.join("reasonscope/SmolLM2-135M-Instruct.Q4_1.gguf"))
    };
    let path = std::env::var_os("REASONSCOPE_SMOLLM2").map(PathBuf::from).or_else(cache)?;
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: no SmolLM2 at {}; tests/fetch_smollm2.sh fetches it", path.display());
    None
}

#[derive(Deserialize)]
struct Reference {
    texts: Vec<Text>,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Greedy {
    problem: String,
    prompt: String,
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
    text: String,
    top_ids: Vec<u32>,
    top_logits: Vec<f32>,
}

fn reference() -> Reference {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smollm2.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn smollm2_ids_spans_and_prompts_are_those_of_transformers() {
    let Some(path) = smollm2() else { return };
    let file = GgufFile::open(&path).unwrap();
    let t = file.tokenizer().unwrap();
    let chat = file.chat_template(&t).unwrap().unwrap();
    assert_eq!(file.config().unwrap().eos_token_ids, [2]);
    assert_eq!((t.bos(), t.eos()), (Some("<|im_start|>"), Some("<|im_end|>")));
    let reference = reference();
    for Text { text, ids } in reference.texts {
        let e = t.encode(&text, true).unwrap();
        assert_eq!(e.ids, ids, "{text:?}");
        assert_eq!(e.spans.iter().map(|s| s.of(&text)).collect::<String>(), text);
        if !text.contains("<|im_start|>") {
            assert_eq!(t.decode(&ids), text);
        }
    }
    for g in reference.greedy {
        assert_eq!(chat.prompt(&g.problem).unwrap(), g.prompt);
        assert_eq!(t.encode(&g.prompt, true).unwrap().ids, g.prompt_ids);
        assert_eq!(t.decode(&g.ids), g.text);
    }
}

/// A source whose linear weights are all dequantised.
struct Dense(GgufSource);

impl WeightSource for Dense {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.0.tensor(name, shape)
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Logits after the prompt, and after each of `ids`.
fn logits(d: &Decoder, prompt: &[u32], ids: &[u32]) -> Vec<Vec<f32>> {
    let mut cache = d.cache();
    let row = cache.add_row(None);
    let all = [prompt, ids].concat();
    let hidden = d.forward_cached(&[(row, &all)], &mut cache).unwrap();
    d.logits(&hidden.narrow(0, prompt.len() - 1, ids.len() + 1).unwrap()).unwrap().to_vec2().unwrap()
}

fn argmax(row: &[f32]) -> u32 {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u32
}

#[test]
fn smollm2_writes_what_transformers_writes() {
    let Some(path) = smollm2() else { return };
    let source = || GgufFile::open(&path).unwrap().source(&Device::Cpu, DType::F32, None);
    let config = GgufFile::open(&path).unwrap().config().unwrap();
    let dense = Decoder::load(&config, &Dense(source()), &mut |_| {}).unwrap();
    let reference = reference();
    for g in &reference.greedy {
        // Greedy: every id is the likeliest one after those before it.
        let (last, before) = g.ids.split_last().unwrap();
        let rows = logits(&dense, &g.prompt_ids, before);
        for (row, id) in rows.iter().zip(before.iter().chain([last])) {
            assert_eq!(argmax(row), *id, "{}", g.problem);
        }
        for (&id, want) in g.top_ids.iter().zip(&g.top_logits) {
            let got = rows[0][id as usize];
            assert!((got - want).abs() < 2e-3, "token {id}: {got}, transformers {want}");
        }
    }
    drop(dense);
    let quantised = Decoder::load(&config, &source(), &mut |_| {}).unwrap();
    let (mut same, mut of) = (0, 0);
    for g in &reference.greedy {
        let rows = logits(&quantised, &g.prompt_ids, &g.ids[..g.ids.len() - 1]);
        same += rows.iter().zip(&g.ids).filter(|(row, id)| argmax(row) == **id).count();
        of += g.ids.len();
    }
    assert!(same * 10 >= of * 9, "{same} of {of} tokens agree");
}

#[test]
fn smollm2_opens_with_everything() {
    let Some(path) = smollm2() else { return };
    let open = ModelFiles::open(&path).unwrap().load(&Device::Cpu, DType::F32, None).unwrap();
    assert_eq!((open.config.num_hidden_layers, open.config.vocab_size, open.stored.as_str()), (30, 49152, "Q4_1"));
    assert!(open.chat.is_some() && open.config.tie_word_embeddings && open.weights.contains("lm_head.weight"));
}

/// The GGUF that `tests/fetch_gemma3.sh` fetches, where `REASONSCOPE_GEMMA3` says; `None` with a note where it is absent.
fn gemma3() -> Option<PathBuf> {
    let path = std::env::var_os("REASONSCOPE_GEMMA3").map(PathBuf::from).filter(|p| p.is_file());
    if path.is_none() {
        eprintln!("skipped: REASONSCOPE_GEMMA3 names no file; tests/fetch_gemma3.sh fetches it");
    }
    path
}

#[derive(Deserialize)]
struct GemmaReference {
    texts: Vec<Text>,
    greedy: Vec<GemmaGreedy>,
}

#[derive(Deserialize)]
struct GemmaGreedy {
    prompt: String,
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
    top_ids: Vec<u32>,
    top_logits: Vec<f32>,
}

/// Against transformers with the same weights in f32 (`tests/make_gemma3_reference.py`).
#[test]
fn gemma3_writes_what_transformers_writes() {
    let Some(path) = gemma3() else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gemma3-270m.json");
    let reference: GemmaReference = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let tokenizer = GgufFile::open(&path).unwrap().tokenizer().unwrap();
    for Text { text, ids } in &reference.texts {
        let e = tokenizer.encode(text, false).unwrap();
        assert_eq!(&e.ids, ids, "{text:?}");
        assert_eq!(&tokenizer.decode(ids), text);
    }
    let config = GgufFile::open(&path).unwrap().config().unwrap();
    assert_eq!((config.model_type.as_str(), config.num_hidden_layers, config.head_dim), ("gemma3", 18, 256));
    let source = || GgufFile::open(&path).unwrap().source(&Device::Cpu, DType::F32, None);
    let dense = Decoder::load(&config, &Dense(source()), &mut |_| {}).unwrap();
    for g in &reference.greedy {
        assert_eq!(tokenizer.encode(&g.prompt, true).unwrap().ids, g.prompt_ids);
        let (last, before) = g.ids.split_last().unwrap();
        let rows = logits(&dense, &g.prompt_ids, before);
        for (row, id) in rows.iter().zip(before.iter().chain([last])) {
            assert_eq!(argmax(row), *id, "{}", g.prompt);
        }
        for (&id, want) in g.top_ids.iter().zip(&g.top_logits) {
            let got = rows[0][id as usize];
            assert!((got - want).abs() < 5e-3, "token {id}: {got}, transformers {want}");
        }
    }
    drop(dense);
    let quantised = Decoder::load(&config, &source(), &mut |_| {}).unwrap();
    let (mut same, mut of) = (0, 0);
    for g in &reference.greedy {
        let rows = logits(&quantised, &g.prompt_ids, &g.ids[..g.ids.len() - 1]);
        same += rows.iter().zip(&g.ids).filter(|(row, id)| argmax(row) == **id).count();
        of += g.ids.len();
    }
    assert!(same * 10 >= of * 8, "{same} of {of} tokens agree");
}

/// A GGUF with this tokenizer metadata and one tensor.
fn file(dir: &Path, metadata: &[(&str, Value)]) -> GgufFile {
    let path = dir.join("t.gguf");
    let tensor = QTensor::quantize(&Tensor::zeros((4, 32), DType::F32, &Device::Cpu).unwrap(), GgmlDType::F32).unwrap();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (*k, v)).collect();
    write(&mut File::create(&path).unwrap(), &metadata, &[("token_embd.weight", &tensor)]).unwrap();
    GgufFile::open(&path).unwrap()
}

fn texts(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|s| Value::String((*s).into())).collect())
}

#[test]
fn sentencepiece_metadata_becomes_a_tokenizer() {
    let dir = tempfile::tempdir().unwrap();
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..256).map(|b| format!("<0x{b:02X}>")));
    // By score: "ab" before "▁a", so "▁abc" is ▁, ab, c and then ▁ab, c.
    tokens.extend(["▁", "a", "b", "c", "ab", "▁a", "▁ab", "bc", "<|turn|>"].map(String::from));
    let scores = |i: usize| if i < 263 { 0.0 } else { 263.0 - i as f32 };
    let list: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let types = (0..tokens.len())
        .map(|i| {
            Value::I32([2, 3, 3].get(i).copied().unwrap_or(if i < 259 {
                6
            } else if i + 1 == tokens.len() {
                3
            } else {
                1
            }))
        })
        .collect();
    let f = file(
        dir.path(),
        &[
            ("tokenizer.ggml.model", Value::String("llama".into())),
            ("tokenizer.ggml.tokens", texts(&list)),
            ("tokenizer.ggml.scores", Value::Array((0..tokens.len()).map(|i| Value::F32(scores(i))).collect())),
            ("tokenizer.ggml.token_type", Value::Array(types)),
            ("tokenizer.ggml.bos_token_id", Value::U32(1)),
            ("tokenizer.ggml.eos_token_id", Value::U32(2)),
            ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ],
    );
    let t = f.tokenizer().unwrap();
    let id = |token: &str| tokens.iter().position(|x| x == token).unwrap() as u32;
    let e = t.encode("abc é", true).unwrap();
    assert_eq!(e.ids, [1, id("▁ab"), id("c"), id("▁"), 3 + 0xc3, 3 + 0xa9]);
    // A control token that neither begins nor ends a text is one id too.
    assert_eq!(t.encode("<|turn|>c", false).unwrap().ids[0], id("<|turn|>"));
    assert_eq!(t.encode("bca", false).unwrap().ids, [id("▁"), id("bc"), id("a")]);
    assert_eq!(t.encode_line("bca\n").unwrap().ids, [id("bc"), id("a"), 3 + 10]);
    assert_eq!((t.bos(), t.eos()), (Some("<s>"), Some("</s>")));
}

#[test]
fn words_are_split_as_the_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let alphabet = ["a", "B", "1", "2", "3", "4", ".", "Ċ", ".Ċ", ".ĊĊ", "ĊĊ", "aB", "12", "123", "1234", "<end>"];
    let merges = [". Ċ", ".Ċ Ċ", "Ċ Ċ", "a B", "1 2", "12 3", "123 4"];
    let pieces = |pre: Option<&str>| {
        let mut metadata = vec![
            ("tokenizer.ggml.model", Value::String("gpt2".into())),
            ("tokenizer.ggml.tokens", texts(&alphabet)),
            ("tokenizer.ggml.merges", texts(&merges)),
            ("tokenizer.ggml.eos_token_id", Value::U32(15)),
        ];
        metadata.extend(pre.map(|pre| ("tokenizer.ggml.pre", Value::String(pre.into()))));
        let t = file(dir.path(), &metadata).tokenizer().unwrap();
        let ids = t.encode("aB1234.\n\n", false).unwrap().ids;
        ids.iter().map(|&id| alphabet[id as usize]).collect::<Vec<_>>().join("|")
    };
    for pre in ["llama-bpe", "smaug-bpe", "dbrx", "deepseek-v3"] {
        assert_eq!(pieces(Some(pre)), "aB|123|4|.ĊĊ", "{pre}");
    }
    for pre in ["qwen2", "qwen35"] {
        assert_eq!(pieces(Some(pre)), "aB|1|2|3|4|.ĊĊ", "{pre}");
    }
    assert_eq!(pieces(Some("gpt-4o")), "a|B|123|4|.ĊĊ");
    assert_eq!(pieces(Some("tekken")), "a|B|1|2|3|4|.ĊĊ");
    for pre in ["gpt-2", "olmo"] {
        assert_eq!(pieces(Some(pre)), "aB|1234|.|ĊĊ", "{pre}");
    }
    for pre in [Some("default"), None] {
        assert_eq!(pieces(pre), "aB|123|4|.|ĊĊ", "{pre:?}");
    }
}

#[test]
fn what_cannot_be_rebuilt_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let says = |metadata: &[(&str, Value)], words: &[&str]| {
        let e = file(dir.path(), metadata).tokenizer().err().unwrap().to_string();
        for w in words.iter().chain(&["t.gguf", "tokenizer.json beside"]) {
            assert!(e.contains(w), "{e:?} lacks {w:?}");
        }
    };
    let text = |s: &str| Value::String(s.into());
    says(&[], &["tokenizer.ggml.model is missing"]);
    says(&[("tokenizer.ggml.model", text("t5")), ("tokenizer.ggml.tokens", texts(&["a"]))], &["t5"]);
    says(
        &[("tokenizer.ggml.model", text("gpt2")), ("tokenizer.ggml.tokens", texts(&["a"])), ("tokenizer.ggml.pre", text("odd"))],
        &["odd", "smollm"],
    );
    says(&[("tokenizer.ggml.model", text("gpt2")), ("tokenizer.ggml.pre", text("smollm"))], &["tokenizer.ggml.tokens"]);
}

#[test]
fn damaged_and_foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let architecture = [("general.architecture", Value::String("gemma2".into()))];
    let e = file(dir.path(), &architecture).config().unwrap_err().to_string();
    assert!(e.contains("gemma2") && e.contains("llama, mistral, qwen2, qwen2vl, qwen3, qwen3moe, gemma3"), "{e}");
    let e = file(dir.path(), &[("general.architecture", Value::String("llama".into()))]).config().unwrap_err().to_string();
    assert!(e.contains("llama.embedding_length"), "{e}");
    let path = dir.path().join("t.gguf");
    let all = std::fs::read(&path).unwrap();
    for cut in [0, 3, 20, 60, all.len() - 1] {
        std::fs::write(&path, &all[..cut]).unwrap();
        let e = GgufFile::open(&path).err().unwrap_or_else(|| panic!("opened {cut} bytes")).to_string();
        assert!(e.contains("t.gguf") && !e.contains('\n'), "{e}");
    }
    std::fs::write(&path, "PK\u{3}\u{4} something else entirely").unwrap();
    let e = GgufFile::open(&path).err().unwrap().to_string();
    assert!(e.contains("not a GGUF file"), "{e}");
}
