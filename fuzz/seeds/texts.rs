//! Seeds of what is text: traces, recipes, answers, and what servers say.

use crate::{Seeds, files, first_lines};
use flate2::{Compression, write::GzEncoder};
use reasonscope::collection::{Collection, Options};
use reasonscope::eval::{ScoredTrace, report::rows};
use reasonscope::trace::{Calibration, Granularity};
use std::io::{self, Write};

const ANSWERS: [[&str; 4]; 7] = [
    ["12 * 3 = 36.\nSo #### 36", "36", "How many?", "36.0 apples"],
    ["Thus \\boxed{\\frac{1}{2}}.", "0.5", "$x$?", "\\frac12"],
    ["The answer is (B).", "B", "Which?\nA. one\nB. two\nC. three", "two"],
    ["So the answer is yes.", "yes", "Is it?", "No"],
    ["(1 + 2) * 3", "[1, 2, 3] = 9", "Use [1, 2, 3] to make 9", "1 + 2 * 3"],
    ["\\boxed{(-\\infty, 2] \\cup \\{3\\}}", "(-\\infty,2]\\cup\\{3\\}", "Solve", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"],
    ["\\boxed{2^{10} \\sqrt{3} \\cdot 10\\%}", "1{,}024\\sqrt3", "", "x^2 + 2x + 1"],
];

const RECORDS: [&str; 8] = [
    r#"{"question": "Tom has 3 and gets 4.", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"}"#,
    r#"{"problem": "What is $1+1$?", "solution": "It is \\boxed{2}.", "answer": "2", "unique_id": "a/1"}"#,
    r#"{"question_id": 1, "question": "Which?", "options": ["a", "b"], "answer": "B", "answer_index": 1, "cot_content": "A: So. The answer is (B)."}"#,
    r#"{"question": "Which?", "options": "A. a\nB. b", "answer": "b", "reasoning": "So b."}"#,
    r#"{"pubid": 7, "QUESTION": "Does it?", "CONTEXTS": ["It does."], "LONG_ANSWER": "It does.", "final_decision": "yes"}"#,
    r#"{"question": "Make 9.", "target": "so", "answer": "(1+2)*3", "reward_model": {"nums": [1, 2, 3], "target": 9}}"#,
    r#"{"task_id": "HumanEval/0", "prompt": "def f(x):\n", "canonical_solution": "    return x\n", "test": "def check(f):\n    assert f(1) == 1\n", "entry_point": "f"}"#,
    r#"{"task_id": 2, "text": "Write f.", "code": "def f(x):\n    return x\n", "test_list": ["assert f(1) == 1"], "test_setup_code": ""}"#,
];

const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"text\":\"H\u{e9}\",\"finish_reason\":null,\"token_ids\":[5],\"logprobs\":{\"tokens\":[\"H\u{e9}\"],\
    \"token_logprobs\":[-0.5]}}]}\r\n\r\n: ping\n\ndata: {\"choices\":[{\"index\":0,\"text\":\"llo\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

const TEXTS: [&str; 5] = [
    "First, 3 * 4 = 12.\nThen 12 + 1 = 14.\n\nSo it is. 日本語。そう！ e\u{301} 👩‍👩‍👧",
    "<think>\nStep 1: one.\n</think>\n\nStep 2: two. **Step 3:** three.",
    "So:\n```python\ndef f(x):\n    return x # c\n```\n~~~rust\nlet a = \"b\";\n~~~\n$$\nx\n$$\n",
    "\u{1b}[31mred\u{1b}[0m \u{1b}]0;t\u{7} \u{9b}1m \u{202e}abc\u{202c} \u{1b}P1\u{1b}\\ \r\n lone\r \0 \u{feff}\u{2028}",
    "A sentence. Another, e.g. this! \"And?\" (Yes.)  ки end ки",
];

fn http(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A zip archive whose entries are stored.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        let short = [20_u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
        let long = [sum.sum(), bytes.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        let head = [&short[..], &long, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        let at = (out.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &head[..], &[0; 10], &at, name.as_bytes()].concat());
        out.extend([b"PK\x03\x04", &head[..], name.as_bytes(), bytes].concat());
    }
    let (at, len, count) = (out.len() as u32, directory.len() as u32, (files.len() as u16).to_le_bytes());
    out.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &len.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat());
    out
}

pub fn put(seeds: &Seeds) -> io::Result<()> {
    let log: &[u8] = br#"{"id": 1, "epoch": 1, "input": "q", "target": "4", "messages": [{"role": "assistant", "content": [{"type": "reasoning", "reasoning": "r"}]}]}"#;
    let header: &[u8] = br#"{"eval": {"model": "m"}}"#;
    seeds.put_how("containers", 0, &archive(&[("header.json", header), ("samples/1_epoch_1.json", log), ("summaries.json", b"[]")]))?;
    let samples = files("samples")?;
    for (i, (name, bytes)) in samples.iter().enumerate() {
        for how in [0, 2, 4, 8 | (i as u8 % 9) << 4] {
            seeds.put_how("traces", how, bytes)?;
        }
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes)?;
        let packed = packer.finish()?;
        seeds.put_how("traces", 0, &packed)?;
        seeds.put_how("containers", 0, &packed)?;
        seeds.put_how("containers", 1, bytes)?;
        let text = String::from_utf8_lossy(bytes);
        seeds.put_how("containers", 0, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())?;
        seeds.put_how("containers", 0, format!("{{\"model\": \"m\", \"rows\": [{}]}}", text.trim().replace('\n', ",")).as_bytes())?;
        seeds.put_how("containers", 0, &archive(&[("a.jsonl", bytes)]))?;
        seeds.put("several", &[bytes, bytes])?;
        seeds.put("labels", &[bytes])?;
        seeds.put("text", &[&bytes[..bytes.len().min(600)]])?;
        if !name.starts_with("problems") {
            seeds.put("screen", &[b"\njlvtci?/mG", bytes])?;
        }
    }
    let named = |name: &str| samples.iter().find(|s| s.0 == name).map(|s| s.1.as_slice()).unwrap_or_default();
    seeds.put("several", &[named("humaneval_samples.jsonl"), named("humaneval_verdicts.jsonl")])?;
    seeds.put("several", &[named("mmlu_pro_outputs.jsonl"), named("mmlu_pro_questions.jsonl")])?;
    TEXTS.iter().try_for_each(|text| seeds.put("text", &[text.as_bytes()]))?;
    ANSWERS.iter().try_for_each(|parts| seeds.put("answers", &parts.map(str::as_bytes)))?;
    RECORDS.iter().try_for_each(|record| seeds.put("records", &[record.as_bytes(), b""]))?;
    for (_, bytes) in files("samples/recipes")? {
        seeds.put("recipe", &[&bytes])?;
        seeds.put("recipe", &[&bytes, b"seed=7", b"data.problems=10", b"rl.steps=5"])?;
    }
    files("samples/evaluations")?.iter().try_for_each(|(_, bytes)| seeds.put("evaluation_recipe", &[bytes]))?;
    files("themes")?.iter().try_for_each(|(_, bytes)| seeds.put("settings", &[bytes]))?;
    for text in
        ["theme = \"tarn\"\ncandidates = 4\n", "sep:\\n", "reward.min", "http://h:1/v1#m", "<C-d>]e", "owner/name", "0.7", "interval"]
    {
        seeds.put("settings", &[text.as_bytes()])?;
    }
    let run = |name: &str, n| first_lines(&format!("tests/old_run/{name}"), n);
    let outcome = br#"{"id":"a","n":2,"correct":1,"greedy":true,"length":9.5}"#;
    seeds.put("run_folder", &[&run("metrics.jsonl", 3)?, named("native.jsonl"), named("native.jsonl"), &run("run.json", 99)?, outcome])?;
    let alarm = br#"{"stage":"rl","step":3,"steps":9,"time":1.5,"reward":null,"alarm":"flat_rewards","since":2,"message":"flat"}"#;
    let sample =
        br#"{"stage":"rl","step":3,"problem":"Luke has 50.","gold":"50","candidates":[{"text":"so 50","reward":-0.5,"correct":true}]}"#;
    seeds.put("run_folder", &[&[&alarm[..], b"\n"].concat(), sample, b"\"a digest\"\n"])?;
    for (how, bytes) in [
        (2, STREAM.as_bytes().to_vec()),
        (0, http("200 OK", r#"{"object":"list","data":[{"id":"base"}]}"#)),
        (0, http("404 Not Found", r#"{"detail":"Not Found"}"#)),
        (0, http("307 Temporary Redirect\r\nLocation: /v1", "")),
        (0, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n0\r\n\r\n".to_vec()),
        (1, br#"{"data":[{"id":"base"}]}"#.to_vec()),
        (3, b"data: {\"error\":{\"message\":\"out of memory\"}}\n\n".to_vec()),
    ] {
        seeds.put_how("server", how, &bytes)?;
    }
    let scores = br#"{"data":[{"id":"m","level":"token","unit":"logit","calibration":{"reading":"reward.min","threshold":-1}}],"unit":"logit","items":[{"candidates":[{"value":1.5,"tokens":[{"span":[0,8],"value":-1.5},{"span":[8,12],"value":null}],"steps":[{"span":[0,7],"value":1},{"span":[8,12],"value":2}],"domain":{"task":"t","problem":{"value":-9,"limit":-4},"text":{"limit":-4},"vocabulary":{"limit":0.5}}}]}]}"#;
    let text = String::from_utf8_lossy(scores);
    for level in ["token", "step", "candidate"] {
        seeds.put_how("served", 1, text.replacen("\"token\"", &format!("\"{level}\""), 1).as_bytes())?;
    }
    seeds.put_how("served", 0, &http("200 OK", &text))?;
    for body in [
        r#"{"problem":"1 + 2?","completion":"1 + 2 = 3.\nSo 3?","tokens":true,"granularity":"interval:5","statistic":"sum"}"#,
        r#"{"items":[{"id":"a","problem":"p","candidates":["x",{"steps":["a","b?"],"finished":false}]}],"segmentation":"line","stream":true}"#,
        r#"{"problem":"p","steps":["a"],"rule":"largest_drop","threshold":0.5,"aggregation":"discounted","reward":"marks","trust":true}"#,
    ] {
        seeds.put_how("serve", 1, body.as_bytes())?;
        let head = format!("POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        seeds.put_how("serve", 0, format!("{head}{body}").as_bytes())?;
    }
    seeds.put_how("serve", 0, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")?;
    let listing =
        br#"{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}"#;
    seeds.put_how("hub", 1, listing)?;
    seeds.put_how("hub", 0, &http("302 Found\r\nLocation: /x\r\nETag: \"a\"\r\nX-Linked-Size: 3", ""))?;
    seeds.put_how("hub", 0, &http("200 OK\r\nETag: \"a\"\r\nContent-Range: bytes 0-1/2", "{}"))?;
    reports(seeds)
}

/// Rows of reports on the samples, as CSV and as Parquet.
fn reports(seeds: &Seeds) -> io::Result<()> {
    for name in ["native", "best_of_n", "processbench", "gsm8k_pool"] {
        let collection = Collection::open(&[format!("samples/{name}.jsonl")], &Options::default()).map_err(io::Error::other)?;
        collection.wait_all();
        let read = (0..collection.len()).filter_map(|i| collection.read(i).ok());
        let traces: Vec<ScoredTrace> = read.map(|t| ScoredTrace::from_trace(&t, Granularity::Dense, None)).collect();
        let (mut csv, mut parquet) = (Vec::new(), Vec::new());
        rows::csv(&traces, &Calibration::default(), &mut csv)?;
        rows::write_parquet(&traces, &Calibration::default(), &mut parquet)?;
        seeds.put("report", &[&csv])?;
        seeds.put(
            "report",
            &[&csv, br#"{"title":"T","figures":{"a":1.5},"calibration":{"reading":"reward.min","thresholds":{"reward.min":-0.5}}}"#],
        )?;
        seeds.put("parquet", &[&parquet])?;
        seeds.put_how("containers", 0, &parquet)?;
        seeds.put_how("containers", 0, &csv)?;
    }
    Ok(())
}
