//! Every reward objective, its loss and its gradients, against PyTorch (tests/make_objective_reference.py).

use candle_core::{Device, Tensor, Var};
use reasonscope::reward::{Outputs, Sequence};
use reasonscope::train::{Group, Labelled, Loss, Objective, Totals, loss_of};
use serde_json::Value;
use std::ops::Range;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn losses_and_gradients_are_pytorchs() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/objectives.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let number = |key: &str| fixture[key].as_f64().unwrap() as f32;
    for case in fixture["cases"].as_array().unwrap() {
        let log_policy: Vec<f32> = numbers(&case["log_policy"]).iter().map(|&x| x as f32).collect();
        let mut at = 0;
        let mut member = |m: &Value| {
            let n = m["length"].as_u64().unwrap() as usize;
            let range = |s: &Value| -> Range<usize> { s[0].as_u64().unwrap() as usize..s[1].as_u64().unwrap() as usize };
            let expert = m["expert"].as_bool().unwrap();
            at += n;
            Labelled {
                sequence: Sequence::new(&[1], &vec![2; n]),
                expert,
                segments: m["segments"].as_array().unwrap().iter().map(range).collect(),
                lm: expert,
                log_policy: log_policy[at - n..at].to_vec(),
                ..Labelled::default()
            }
        };
        let groups: Vec<Group> =
            fixture["groups"].as_array().unwrap().iter().map(|g| g.as_array().unwrap().iter().map(&mut member).collect()).collect();
        let objective: Objective = serde_json::from_value(case["objective"].clone()).unwrap();
        let config =
            Loss { objective, smoothing: number("smoothing"), lm_weight: number("lm_weight"), regularisation: number("regularisation") };
        let vars = ["reward", "log_prob", "before", "after"].map(|k| {
            let v = numbers(&case[k]);
            (k, Var::from_tensor(&Tensor::from_vec(v.clone(), v.len(), &Device::Cpu).unwrap()).unwrap())
        });
        let shaped = objective == Objective::Airl;
        let t = |i: usize, from: usize, n: usize| vars[i].1.as_tensor().narrow(0, from, n).unwrap();
        let totals = Totals::of(&groups);
        // in one micro-batch, and in one a group: the sum is the batch's loss
        for parts in [vec![groups.iter().collect::<Vec<_>>()], groups.iter().map(|g| vec![g]).collect()] {
            let (mut sum, mut grads, mut from) = (0.0, vec![vec![0.0; log_policy.len()]; 4], 0);
            for part in parts {
                let n = part.iter().flat_map(|g| g.iter()).map(|l| l.sequence.completion().len()).sum();
                let out = Outputs {
                    reward: t(0, from, n),
                    log_prob: t(1, from, n),
                    potential: shaped.then(|| (number("gamma"), t(2, from, n), t(3, from, n))),
                    scales: None,
                };
                from += n;
                let micro = loss_of(&out, &part, &totals, &config).unwrap();
                sum += micro.loss.to_scalar::<f64>().unwrap();
                let store = micro.loss.backward().unwrap();
                for ((_, v), g) in vars.iter().zip(&mut grads) {
                    if let Some(d) = store.get(v.as_tensor()) {
                        g.iter_mut().zip(d.to_vec1::<f64>().unwrap()).for_each(|(g, d)| *g += d);
                    }
                }
            }
            let wanted = case["loss"].as_f64().unwrap();
            assert!((sum - wanted).abs() < 1e-5, "{objective:?}: {sum} against {wanted}");
            for ((name, _), g) in vars.iter().zip(&grads) {
                let want = numbers(&case["grads"][name]);
                let worst = g.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-5, "{objective:?} {name}: {worst}");
                let moves = match *name {
                    "before" | "after" => shaped,
                    _ => true,
                };
                assert_eq!(g.iter().any(|x| x.abs() > 1e-4), moves, "{objective:?} {name}");
            }
        }
    }
}
