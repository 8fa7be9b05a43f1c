//! How soon a large JSON-lines file can be looked at, and what it costs: `cargo bench --bench open_large`.
//!
//! `REASONSCOPE_BENCH_MB` sets the file's size (1024). The file is written to the temporary directory first and is warm in the page cache.

use reasonscope::format::{Options, TraceList};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

/// Rows of a tall terminal.
const PAGE: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let megabytes: usize = std::env::var("REASONSCOPE_BENCH_MB").ok().map_or(Ok(1024), |v| v.parse())?;
    let dir = tempfile::tempdir()?;
    for (name, row) in [("native, 8 candidates a trace", native as fn(usize) -> String), ("GSM8K", gsm8k)] {
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
    Ok(())
}

fn measure(path: &str) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let list = TraceList::open(&[path], Options::default())?;
    println!("  open                     {}", show(start.elapsed()));
    list.wait(PAGE - 1);
    for i in 0..PAGE {
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
    println!("  indexed {} traces       {}", list.len(), show(start.elapsed()));
    let mut worst = Duration::ZERO;
    for k in 0..200 {
        let page = Instant::now();
        let first = (list.len() - PAGE) * (k * 7919 % 200) / 200;
        for i in first..first + PAGE {
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
