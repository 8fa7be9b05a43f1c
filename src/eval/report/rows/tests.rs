use super::*;
use crate::eval::ScoredCandidate;
use crate::eval::scored::{Column, Says};
use crate::trace::{Level, Orientation, Unit};
use csv::ReaderBuilder;
use std::io::Read;

/// The column of the test's rewards.
pub(super) const REWARDS: &str = "steps:reward.min (model, tokens, high, logit, main)";

fn column(reading: &str, says: Says, level: Level, orientation: Orientation, unit: Unit) -> Column {
    Column { reading: reading.parse().unwrap(), says, level, orientation, unit, main: reading == "reward.min", beside: false }
}

/// What a careless writer would lose: unknown values beside NaN, empty lists, commas, quotes, newlines, other scripts.
pub(in crate::eval) fn odd_traces() -> Vec<ScoredTrace> {
    let mut full = ScoredCandidate {
        correct: true,
        labelled: true,
        first_error: Some(2),
        n_steps: 3,
        n_tokens: 40,
        step_labels: vec![Some(1), None, Some(-1), Some(0)],
        class: Some("step contradiction, \"hard\"".into()),
        answer: Some("1,5".into()),
        ..ScoredCandidate::default()
    };
    let nan = f32::NAN;
    full.put(column("reward.min", Says::Model, Level::Token, Orientation::High, Unit::Logit), &[1.0e-7, -0.0, nan], nan);
    full.put(
        column("logprob.digits.sum", Says::Policy, Level::Token, Orientation::High, Unit::Nats),
        &[-0.1, nan, f32::MIN_POSITIVE],
        -12.345_679,
    );
    full.put(column("entropy.max", Says::Policy, Level::Token, Orientation::Low, Unit::Nats), &[nan, nan, nan], nan);
    full.put(column("score, (b)", Says::File, Level::Candidate, Orientation::High, Unit::Probability), &[], f32::NEG_INFINITY);
    full.put(column("given.2", Says::File, Level::Candidate, Orientation::Neither, Unit::Unknown), &[], nan);
    full.put(column("check:sums", Says::Check, Level::Step, Orientation::Low, Unit::Count), &[-1.0, 0.0, 2.0], nan);
    let answers = [None, Some(""), Some("\""), Some("a\"b\nc\r\n"), Some("ответ 五 🙂"), Some(" spaced "), Some("\"quoted\"")];
    let candidates = answers.map(|a| ScoredCandidate { answer: a.map(String::from), ..full.clone() });
    vec![
        ScoredTrace { greedy: Some(false), ..ScoredTrace::new("plain", candidates.to_vec()) },
        ScoredTrace::new("a, \"b\"\nc\r", vec![full.clone(), ScoredCandidate::default()]),
        ScoredTrace::new("empty", vec![]),
        ScoredTrace { greedy: Some(true), ..ScoredTrace::new("empty", vec![]) },
        ScoredTrace::new("twice", vec![full.clone()]),
        ScoredTrace::new("twice", vec![full]),
        ScoredTrace::new("", vec![ScoredCandidate::default()]),
        ScoredTrace::new("<script>", vec![ScoredCandidate::default()]),
    ]
}

fn written(traces: &[ScoredTrace]) -> String {
    let mut out = Vec::new();
    csv(traces, &Calibration::at("reward.min".parse().unwrap(), 0.0), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_read_is_what_was_written() {
    let traces = odd_traces();
    assert_eq!(read_csv(written(&traces).as_bytes()).unwrap(), traces);
    assert!(read_csv(written(&[]).as_bytes()).unwrap().is_empty());
}

#[test]
fn derived_columns_are_worked_by_hand() {
    let mut c = ScoredCandidate { n_steps: 2, n_tokens: 4, ..ScoredCandidate::default() };
    c.put(column("reward.min", Says::Model, Level::Token, Orientation::High, Unit::Logit), &[1.0, -2.0], f32::NAN);
    c.put(column("entropy.sum", Says::Policy, Level::Token, Orientation::Low, Unit::Nats), &[-0.5, -1.5], -2.0);
    let text = written(&[ScoredTrace::new("p", vec![c])]);
    let (header, row) = text.split_once('\n').unwrap();
    assert_eq!(
        header,
        format!(
            "problem_id,index,correct,labelled,first_error,n_steps,n_tokens,answer,step_labels,class,greedy,\"{REWARDS}\",\
             \"steps:entropy.sum (policy, tokens, low, nats)\",\"whole:entropy.sum (policy, tokens, low, nats)\",\
             reward_mean,reward_min,reward_last,reward_product,reward_sum,reward_discounted,predicted_first_error"
        )
    );
    // An entropy stands in its own unit. ln σ(1) + ln σ(−2) = −0.313262 − 2.126928
    assert!(row.starts_with("p,0,false,false,,2,4,,[],,,\"[1.0,-2.0]\",\"[0.5,1.5]\",2.0,-0.5,-2.0,-2.0,-2.44"), "{row}");
    // (0.9 · 1 − 2) / 1.9
    assert!(row.contains(",-1.0,-0.5789") && row.trim_end().ends_with(",1"), "{row}");
}

#[test]
fn files_of_older_versions_are_read() {
    let header = "problem_id,index,correct,labelled,first_error,n_steps,n_tokens,answer,logprob_sum,critic_logprob_sum,entropy_mean,outcome_reward,step_rewards,step_logprob_min,step_entropy_max,step_critic_logprob_min,step_combined,step_labels,class,greedy,logprob_mean,predicted_first_error";
    let row = "p,0,true,true,1,2,4,7,-6.0,,0.25,,\"[1.0,null]\",\"[-0.5,\"\"NaN\"\"]\",\"[2.0,1.0]\",[],[],[],,,-1.5,1";
    let read = read_csv(format!("{header}\n{row}\n").as_bytes()).unwrap();
    let c = &read[0].candidates[0];
    let steps = |r: &str| crate::eval::scored::known(c.steps(&r.parse().unwrap()));
    assert_eq!(
        (steps("reward.min"), steps("logprob.min"), steps("entropy.max")),
        (vec![Some(1.0), None], vec![Some(-0.5), None], vec![Some(-2.0), Some(-1.0)])
    );
    let whole = |r: &str| c.whole(&r.parse().unwrap());
    assert_eq!(
        (whole("logprob.sum"), whole("entropy.mean"), whole("likelihood.sum"), whole("outcome")),
        (Some(-6.0), Some(-0.25), None, None)
    );
    assert!(c.columns().iter().all(|c| c.reading.signal != "likelihood" && c.reading.signal != "combined"), "{:?}", c.columns());
}

/// With the readings in the order of their names.
fn columns_sorted(mut traces: Vec<ScoredTrace>) -> Vec<ScoredTrace> {
    for c in traces.iter_mut().flat_map(|t| &mut t.candidates) {
        let mut columns = c.columns().to_vec();
        columns.sort_by_key(|c| c.reading.to_string());
        let of =
            |c: &ScoredCandidate, column: &Column| c.entry(&column.reading).map(|(_, steps, whole)| [steps, &[whole]].concat()).unwrap();
        let values = columns.iter().flat_map(|column| of(c, column)).collect();
        c.set(columns, values);
    }
    traces
}

#[test]
fn columns_may_be_moved_and_added() {
    let text = written(&odd_traces()[4..5]);
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut moved = Writer::from_writer(Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        let fields: Vec<&str> = record.iter().rev().chain(["extra"]).collect();
        moved.write_record(fields).unwrap();
    }
    assert_eq!(columns_sorted(read_csv(moved.into_inner().unwrap().as_slice()).unwrap()), columns_sorted(odd_traces()[4..5].to_vec()));
}

#[test]
fn faults_name_line_field_and_remedy() {
    let good = written(&odd_traces()[4..5]);
    let fault = |from: &str, to: &str| read_csv(good.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
    assert_eq!(fault("twice,0,true", "twice,0,yes"), "line 2: correct is `yes`; `true` or `false` is needed");
    assert!(fault("twice,0,true,true,2,3", "twice,0,true,true,2,-3").starts_with("line 2: n_steps is `-3`; a whole number"));
    assert!(fault("twice,0", "twice,1").contains("must start at index 0"));
    assert!(fault("[1e-7", "[x").contains(&format!("{REWARDS} is `[x,-0.0,null]`; a JSON list")), "{}", fault("[1e-7", "[x"));
    assert!(fault("[1e-7,", "[").contains("2 values, but n_steps is 3"), "{}", fault("[1e-7,", "["));
    assert!(fault("correct", "right").contains("line 1: no column correct"));
    assert!(fault("twice,0,", "twice,0,0,").contains("fields where the header names"));
    assert!(read_csv(&b""[..]).unwrap_err().to_string().contains("no column problem_id"));
    let apart = good.clone() + "other,1," + good.lines().nth(1).unwrap().strip_prefix("twice,0,").unwrap() + "\n";
    assert!(
        read_csv(apart.as_bytes()).unwrap_err().to_string().contains("line 3: index is `1`; the rows of a problem must stand together")
    );
}

#[test]
fn a_source_that_fails_says_so() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    assert!(matches!(read_csv(Broken), Err(RowError::Io(e)) if e.to_string().contains("disk")));
}
