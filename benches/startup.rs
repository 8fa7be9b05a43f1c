//! Time to the first frame of the inspector in a real terminal, and time to load the embedded models.
//!
//! `cargo bench --bench startup`: medians over 15 starts, after one that warms the file cache.

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use reasonscope::runtime::{DeviceChoice, Engine, ModelRef, Models, Slot};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 15;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// From starting the process until a frame with the word `Problems` or a frame's border is in the terminal.
fn first_frame() -> Duration {
    let pair = native_pty_system().openpty(PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 }).expect("a terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    let mut reader = pair.master.try_clone_reader().expect("a reader");
    let mut writer = pair.master.take_writer().expect("a writer");
    let start = Instant::now();
    let mut child = pair.slave.spawn_command(command).expect("the program");
    drop(pair.slave);
    let mut parser = vt100::Parser::new(40, 120, 0);
    let mut buffer = [0; 65536];
    let mut took = None;
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        parser.process(&buffer[..n]);
        let lines = parser.screen().contents().lines().filter(|l| !l.trim().is_empty()).count();
        if took.is_none() && parser.screen().alternate_screen() && lines > 3 {
            took = Some(start.elapsed());
            writer.write_all(b"q").expect("a key");
        }
    }
    child.wait().expect("an end");
    took.expect("a first frame")
}

fn load() -> Duration {
    let start = Instant::now();
    let device = DeviceChoice::Cpu;
    let models = Models {
        policy: ModelRef::Embedded.policy(device).expect("the embedded policy"),
        rewards: Models::rewards(&[ModelRef::Embedded], device).expect("the embedded reward model"),
    };
    let engine = Engine::start(models).expect("threads");
    loop {
        let status = engine.status();
        if status.slots().all(|(_, s)| matches!(s, Slot::Ready { .. })) {
            return start.elapsed();
        }
        engine.wait(Duration::from_millis(50));
    }
}

fn main() {
    let _ = (first_frame(), load());
    let frames: Vec<Duration> = (0..RUNS).map(|_| first_frame()).collect();
    let loads: Vec<Duration> = (0..RUNS).map(|_| load()).collect();
    println!("first frame: {:.1} ms (median of {RUNS}; bar: < 100 ms)", median(frames));
    println!("embedded models loaded: {:.1} ms (median of {RUNS}; bar: < 200 ms)", median(loads));
}
