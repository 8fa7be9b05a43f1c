use super::*;

/// What a careless writer would lose: unknown values beside NaN, empty lists, commas, quotes, newlines, other scripts.
pub(in crate::eval) fn odd_traces() -> Vec<ScoredTrace> {
    let full = ScoredCandidate {
        correct: true,
        labelled: true,
        first_error: Some(2),
        n_steps: 3,
        n_tokens: 40,
        logprob_sum: Some(-12.345_679),
        step_logprob_min: vec![Some(-0.1), None, Some(f32::MIN_POSITIVE)],
        step_entropy_max: vec![Some(f32::NAN), Some(f32::INFINITY), Some(f32::NEG_INFINITY)],
        critic_logprob_sum: Some(f32::NAN),
        entropy_mean: Some(0.375),
        step_critic_logprob_min: vec![],
        step_rewards: vec![Some(1.0e-7), Some(-0.0), None],
        outcome_reward: Some(f32::NEG_INFINITY),
        step_combined: vec![None, Some(2.5)],
        step_labels: vec![Some(1), None, Some(-1), Some(0)],
        class: Some("step contradiction, \"hard\"".into()),
        answer: Some("1,5".into()),
    };
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
    csv(traces, Some(0.0), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Bits of everything, for NaN is not equal to itself.
pub(in crate::eval) fn bits(traces: &[ScoredTrace]) -> String {
    let list = |v: &[Option<f32>]| format!("{:?}", v.iter().map(|x| x.map(f32::to_bits)).collect::<Vec<_>>());
    let one = |c: &ScoredCandidate| {
        let lists =
            [&c.step_rewards, &c.step_logprob_min, &c.step_entropy_max, &c.step_critic_logprob_min, &c.step_combined].map(|v| list(v));
        let sums = [c.logprob_sum, c.critic_logprob_sum, c.entropy_mean, c.outcome_reward].map(|s| s.map(f32::to_bits));
        format!("{:?}", (c.correct, c.labelled, c.first_error, c.n_steps, c.n_tokens, &c.answer, &c.class, &c.step_labels, sums, lists))
    };
    traces.iter().map(|t| format!("{:?} {:?} {:?}\n", t.id, t.greedy, t.candidates.iter().map(one).collect::<Vec<_>>())).collect()
}

#[test]
fn what_is_read_is_what_was_written() {
    let traces = odd_traces();
    assert_eq!(bits(&read_csv(written(&traces).as_bytes()).unwrap()), bits(&traces));
    assert!(read_csv(written(&[]).as_bytes()).unwrap().is_empty());
}

#[test]
fn derived_columns_are_worked_by_hand() {
    let c = ScoredCandidate {
        n_steps: 2,
        n_tokens: 4,
        logprob_sum: Some(-6.0),
        step_rewards: vec![Some(1.0), Some(-2.0)],
        ..ScoredCandidate::default()
    };
    let text = written(&[ScoredTrace::new("p", vec![c])]);
    let row = text.lines().nth(1).unwrap();
    // ln σ(1) + ln σ(−2) = −0.313262 − 2.126928
    assert!(row.starts_with("p,0,false,false,,2,4,,-6.0,,,,\"[1.0,-2.0]\",[],[],[],[],[],,,-1.5,,-0.5,-2.0,-2.0,-2.44"), "{row}");
    // (0.9 · 1 − 2) / 1.9
    assert!(row.contains(",-1.0,-0.5789") && row.ends_with(",1"), "{row}");
}

#[test]
fn columns_may_be_moved_and_added() {
    let text = written(&odd_traces()[4..5]);
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut moved = Writer::from_writer(Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        let fields: Vec<&str> = (0..NEEDED).rev().map(|i| &record[i]).chain(["extra"]).collect();
        moved.write_record(fields).unwrap();
    }
    assert_eq!(bits(&read_csv(moved.into_inner().unwrap().as_slice()).unwrap()), bits(&odd_traces()[4..5]));
}

#[test]
fn faults_name_line_field_and_remedy() {
    let good = written(&odd_traces()[4..5]);
    let fault = |from: &str, to: &str| read_csv(good.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
    assert_eq!(fault("twice,0,true", "twice,0,yes"), "line 2: correct is `yes`; `true` or `false` is needed");
    assert!(fault("twice,0,true,true,2,3", "twice,0,true,true,2,-3").starts_with("line 2: n_steps is `-3`; a whole number"));
    assert!(fault("twice,0", "twice,1").contains("must start at index 0"));
    assert!(fault("[1e-7", "[x").contains("step_rewards is `[x,-0.0,null]`; a JSON list"), "{}", fault("[1e-7", "[x"));
    assert!(fault("correct", "right").contains("line 1: no column correct"));
    assert!(fault("twice,0,", "twice,0,0,").contains("line 2: 30 fields where the header names 29"));
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
