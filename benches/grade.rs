//! Time of a grader's call, extraction included: median and worst, over texts of every kind and over nested and repeated ones.
//!
//! `cargo bench --bench grade`; bars: 50 µs median, 50 ms worst.

use reasonscope::answer::{Kind, Question};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 200;

/// Kind, reference and answer.
const TEXTS: [(Kind, &str, &str); 16] = [
    (Kind::Number, "18", "So she has 3 * 6 = 18 apples.\n#### 18"),
    (Kind::Number, "1200", "The answer is $1,200 per year."),
    (Kind::Number, "5000", "The answer is 5 thousand dollars."),
    (Kind::Formula, "\\frac{14}{3}", "\\boxed{14/3}"),
    (Kind::Formula, "\\frac{\\sqrt{2}}{2}", "\\boxed{\\frac{1}{\\sqrt{2}}}"),
    (Kind::Formula, "x^2-y^2", "\\boxed{(x-y)(x+y)}"),
    (Kind::Formula, "\\sin 2x", "\\boxed{2\\sin x\\cos x}"),
    (Kind::Formula, "(x-3)^{1/2}", "\\boxed{\\sqrt{x-3}}"),
    (Kind::Formula, "(-\\infty,2)\\cup(2,\\infty)", "\\boxed{\\mathbb{R}\\setminus\\{2\\}}"),
    (Kind::Formula, "1 \\pm \\sqrt{17}", "\\boxed{1+\\sqrt{17}, 1-\\sqrt{17}}"),
    (Kind::Formula, "y=2x+3", "\\boxed{2x-y+3=0}"),
    (Kind::Formula, "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\boxed{\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}}"),
    (Kind::Formula, "18 \\text{ cm}", "\\boxed{0.18 \\text{ m}}"),
    (Kind::Choice, "C", "So the correct option is (C)."),
    (Kind::Choice, "B", "The answer is not (A) but (B)."),
    (Kind::Text, "a blue car", "The answer is a blue car."),
];

fn time(kind: Kind, reference: &str, text: &str) -> Duration {
    let start = Instant::now();
    std::hint::black_box(Question::new(kind, "Find it.", Some(reference)).judge(text, false));
    start.elapsed()
}

fn main() {
    let filler = "We add what is given and find that 3 + 4 = 7, so that $x$ is larger than before.\n".repeat(12);
    let mut all = Vec::new();
    for (kind, reference, text) in TEXTS {
        let text = format!("{filler}{text}");
        let mut times: Vec<Duration> = (0..RUNS).map(|_| time(kind, reference, &text)).collect();
        times.sort();
        println!("{:8.1} µs  {reference}", times[RUNS / 2].as_secs_f64() * 1e6);
        all.extend(times);
    }
    all.sort();
    println!("median {:.1} µs (bar: 50 µs)", all[all.len() / 2].as_secs_f64() * 1e6);
    let mut worst = (Duration::ZERO, "");
    for part in [
        "(",
        "(1,",
        "\\{",
        "\\frac",
        "|",
        "x^",
        "\\pm1",
        "1 and ",
        "\\sqrt",
        "x+",
        "(x+1)",
        "\\sin x",
        "1=",
        "x!+",
        "\\binom{x}{900}+",
        "[1,2]\\cup",
        "\\text{",
        "\\boxed{",
        "\\boxed{}",
        "#### 1\n",
        "Answer: x\n",
        "the answer is ",
        "**1**",
        "not \\boxed{1}",
        "one hundred and ",
        "1,000",
        "x\\\\",
        "\\begin{cases}x\\\\",
    ] {
        for n in [30, 100, 300, 1000, 10_000] {
            let answer = part.repeat(n);
            for (kind, text) in [
                (Kind::Formula, format!("\\boxed{{{answer}1}}")),
                (Kind::Formula, answer.clone()),
                (Kind::Number, answer.clone()),
                (Kind::Choice, answer.clone()),
            ] {
                // Of three, the best: others use the machine, too.
                let took = (0..3).map(|_| time(kind, &answer, &text)).min().unwrap_or_default();
                worst = worst.max((took, part));
            }
        }
    }
    println!("worst {:.1} ms, of {:?} (bar: 50 ms)", worst.0.as_secs_f64() * 1e3, worst.1);
}
