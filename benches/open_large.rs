//! How soon a large file can be looked at, and what it costs: `cargo bench --bench open_large`.
//!
//! `REASONSCOPE_BENCH_MB` sets the size of its text (1024), `REASONSCOPE_BENCH` chooses among `native`, `gsm8k`, `group` (a million lines of one problem, put
//! together), `zst` and `eval` (10,000 samples); all by default. Files are written to the temporary directory first and are warm in the page cache. Rates are
//! of the text: the JSON lines as they are unpacked. `REASONSCOPE_BENCH_FILE` measures one file instead, whatever it is: a Parquet file, say.

use reasonscope::collection::{self, Collection};
use reasonscope::format::{Options, TraceList};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

/// Rows of a tall terminal.
const PAGE: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(path) = std::env::var("REASONSCOPE_BENCH_FILE") {
        println!("{path}");
        return measure(&path);
    }
    let chosen = std::env::var("REASONSCOPE_BENCH").unwrap_or_default();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.split(',').any(|c| c == name);
    let megabytes: usize = std::env::var("REASONSCOPE_BENCH_MB").ok().map_or(Ok(1024), |v| v.parse())?;
    let dir = tempfile::tempdir()?;
    for (key, name, row) in [("native", "native, 8 candidates a trace", native as fn(usize) -> String), ("gsm8k", "GSM8K", gsm8k)] {
        if !is_chosen(key) {
            continue;
        }
        let path = dir.path().join("large.jsonl");
        let mut out = BufWriter::new(std::fs::File::create(&path)?);
        let (mut written, mut rows) = (0, 0);
        while written < megabytes << 20 {
            let row = row(rows);
            out.write_all(row.as_bytes())?;
            written += row.len();
            rows += 1;
        }
        out.flush()?;
        drop(out);
        println!("{name}: {} MB, {rows} lines", written >> 20);
        measure(path.to_str().ok_or("the temporary directory's name is no UTF-8")?)?;
        std::fs::remove_file(&path)?;
    }
    if is_chosen("zst") {
        let text: String = (0..)
            .map(gsm8k)
            .scan(0, |len, row| {
                *len += row.len();
                (*len < megabytes << 20).then_some(row)
            })
            .collect();
        let path = dir.path().join("large.jsonl.zst");
        std::fs::write(&path, ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest))?;
        println!("Zstandard: {} MB of text", text.len() >> 20);
        drop(text);
        measure(path.to_str().ok_or("the temporary directory's name is no UTF-8")?)?;
    }
    if is_chosen("eval") {
        let path = dir.path().join("large.eval");
        std::fs::write(&path, eval(10_000))?;
        println!("a log of Inspect: 10,000 samples");
        measure(path.to_str().ok_or("the temporary directory's name is no UTF-8")?)?;
    }
    if is_chosen("group") {
        let path = dir.path().join("group.jsonl");
        let mut out = BufWriter::new(std::fs::File::create(&path)?);
        for i in 0..1_000_000 {
            writeln!(out, "{{\"question\": \"One problem?\", \"answer\": \"so {i}\\n#### {i}\"}}")?;
        }
        out.flush()?;
        drop(out);
        let start = Instant::now();
        let collection =
            Collection::open(&[path.to_str().ok_or("the temporary directory's name is no UTF-8")?], &collection::Options::default())?;
        collection.wait_all();
        println!("{} problems of 1,000,000 lines    {}  (limit 3 s)", collection.len(), show(start.elapsed()));
    }
    Ok(())
}

/// A log whose entries are stored, with samples of 2 kB.
fn eval(samples: usize) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    let mut put = |name: &str, bytes: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        let short = [20_u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
        let long = [sum.sum(), bytes.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        let head = [&short[..], &long, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        let at = (out.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &head[..], &[0; 10], &at, name.as_bytes()].concat());
        out.extend([b"PK\x03\x04", &head[..], name.as_bytes(), bytes].concat());
        count += 1;
    };
    put("header.json", br#"{"eval": {"model": "maker/model"}}"#);
    let mut summaries = Vec::with_capacity(samples);
    for i in 0..samples {
        let start = format!("{{\"id\": {i}, \"epoch\": 1, \"input\": \"How many are {i} and 1?\"");
        let text = format!("{i} + 1 = {}. ", i + 1).repeat(100);
        let rest = format!(", \"target\": \"{}\", \"messages\": [{{\"role\": \"assistant\", \"content\": \"{text}\"}}]}}", i + 1);
        put(&format!("samples/{i}_epoch_1.json"), format!("{start}{rest}").as_bytes());
        summaries.push(format!("{start}}}"));
    }
    put("summaries.json", format!("[{}]", summaries.join(",")).as_bytes());
    let (at, len, count) = (out.len() as u32, directory.len() as u32, count.to_le_bytes());
    out.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &len.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat());
    out
}

fn measure(path: &str) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let list = TraceList::open(&[path], Options::default())?;
    println!("  open                     {}", show(start.elapsed()));
    list.wait(PAGE - 1);
    for i in 0..PAGE.min(list.len()) {
        list.get(i)?;
    }
    println!("  first page ({PAGE} traces)  {}  (limit 0.5 s)", show(start.elapsed()));
    // scrolling while the rest is still being indexed
    let mut worst = Duration::ZERO;
    let (mut pages, mut at) = (0, PAGE);
    while !list.is_complete() {
        let end = (at + PAGE).min(list.len());
        let page = Instant::now();
        for i in at..end {
            list.get(i)?;
        }
        worst = worst.max(page.elapsed());
        (pages, at) = (pages + 1, if end == at { 0 } else { end });
        std::thread::sleep(Duration::from_millis(16));
    }
    println!("  slowest of {pages} pages while indexing  {}", show(worst));
    let rate = list.bytes_read() as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("  indexed {} traces       {}, {rate:.0} MB/s", list.len(), show(start.elapsed()));
    let mut worst = Duration::ZERO;
    for k in 0..200 {
        let page = Instant::now();
        let first = list.len().saturating_sub(PAGE) * (k * 7919 % 200) / 200;
        for i in first..(first + PAGE).min(list.len()) {
            list.get(i)?;
        }
        worst = worst.max(page.elapsed());
    }
    println!("  slowest of 200 jumps     {}", show(worst));
    println!(
        "  peak memory              {}  (limit 300 MB)",
        peak().map_or("not known on this system".into(), |kb| format!("{} MB", kb >> 10))
    );
    assert_eq!(list.error_count(), 0);
    Ok(())
}

fn show(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Highest resident size of this process so far, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

fn gsm8k(i: usize) -> String {
    format!(
        "{{\"question\": \"Tom reads {i} pages a day for 5 days. How many pages is that?\", \"answer\": \"He reads {i} * 5 = {}.\\n#### {}\"}}\n",
        i * 5,
        i * 5
    )
}

/// A candidate of four steps with its tokens, log-probabilities and rewards.
fn native(i: usize) -> String {
    let (trace, candidate) = (i / 8, i % 8);
    let mut text = String::new();
    let (mut steps, mut spans, mut values) = (String::new(), String::new(), String::new());
    for step in 0..4 {
        let start = text.len();
        for word in 0..12 {
            let from = text.len();
            let _ = write!(text, "{}{}", if word > 0 { " " } else { "" }, (i * 31 + step * 17 + word) % 9973);
            let comma = if spans.is_empty() { "" } else { "," };
            let _ = write!(spans, "{comma}[{from},{}]", text.len());
            let _ = write!(values, "{comma}{:.3}", ((i + word * 7) % 97) as f32 / 31.0 - 2.0);
        }
        let _ = write!(steps, "{}[{start},{}]", if step > 0 { "," } else { "" }, text.len());
        text.push_str("  ");
    }

    format!(
        "{{\"schema_version\":1,\"trace_id\":\"t{trace}\",\"candidate\":{candidate},\"problem\":\"Problem {trace}\",\"text\":\"{text}\",\"steps\":[{steps}],\
         \"token_spans\":[{spans}],\"logprobs\":[{values}],\"token_rewards\":[{values}],\"answer\":\"{}\"}}\n",
        i % 5
    )
}
