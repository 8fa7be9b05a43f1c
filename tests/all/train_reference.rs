//! Advantages and losses against PyTorch: `tests/fixtures/train_reference.json`, made by `tests/make_train_reference.py`.

use candle_core::{Device, Var};
use reasonscope::train::{
    Estimator, Micro, PolicyLoss, PolicyTotals, PreferenceLoss, Side, advantages, dense_advantages, kto_baseline, policy_loss,
    preference_loss, returns, tree_advantages,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn reference(part: &str) -> Value {
    let text = std::fs::read_to_string("tests/fixtures/train_reference.json").unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[part].take()
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    T::deserialize(value).unwrap()
}

fn cases(value: &Value) -> &[Value] {
    let all = value.as_array().unwrap();
    assert!(!all.is_empty());
    all
}

fn near(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{what}: {got} against {want}");
}

fn all_near(got: &[f32], want: &Value, what: &str) {
    let want: Vec<f64> = read(want);
    assert_eq!(got.len(), want.len(), "{what}");
    got.iter().zip(want).for_each(|(g, w)| near(f64::from(*g), w, what));
}

fn rows_near(got: &[Vec<f32>], want: &Value, what: &str) {
    assert_eq!(got.len(), cases(want).len(), "{what}");
    got.iter().zip(cases(want)).for_each(|(g, w)| all_near(g, w, what));
}

fn grad(m: &Micro, of: &Var) -> Vec<f32> {
    m.loss.backward().unwrap().get(of.as_tensor()).unwrap().to_vec1().unwrap()
}

fn sum(m: &Micro, name: &str) -> f64 {
    m.sums.iter().find(|s| s.0 == name).unwrap().1
}

#[test]
fn group_advantages() {
    for case in cases(&reference("advantages")) {
        let estimator: Estimator = read(&case["estimator"]);
        all_near(&advantages(estimator, &read::<Vec<f32>>(&case["rewards"])), &case["expected"], &format!("{estimator:?}"));
    }
}

#[test]
fn dense_returns_and_advantages() {
    for case in cases(&reference("dense")) {
        let (gamma, group): (f32, Vec<Vec<f32>>) = (read(&case["gamma"]), read(&case["group"]));
        let got: Vec<Vec<f32>> = group.iter().map(|r| returns(r, gamma)).collect();
        rows_near(&got, &case["returns"], "returns");
        rows_near(&dense_advantages(&group, gamma), &case["expected"], "dense");
    }
}

#[test]
fn credit_from_the_prefix_tree() {
    for case in cases(&reference("tree")) {
        let (group, rewards): (Vec<Vec<u32>>, Vec<Vec<f32>>) = (read(&case["group"]), read(&case["rewards"]));
        let (gamma, tau) = (read::<f32>(&case["gamma"]), read::<Option<f32>>(&case["tau"]).unwrap_or(f32::INFINITY));
        let group: Vec<&[u32]> = group.iter().map(Vec::as_slice).collect();
        rows_near(&tree_advantages(&group, &rewards, gamma, tau), &case["expected"], &format!("γ {gamma}, τ {tau}"));
    }
}

#[test]
fn policy_losses_and_their_gradients() {
    let data = reference("policy");
    let numbers = |name: &str| read::<Vec<f32>>(&data[name]);
    let lens: Vec<usize> = read(&data["lens"]);
    let new = Var::new(numbers("new"), &Device::Cpu).unwrap();
    let totals = PolicyTotals { sequences: lens.len(), tokens: lens.iter().sum() };
    for case in cases(&data["cases"]) {
        let config: PolicyLoss = read(&case["config"]);
        let what = format!("{config:?}");
        let (old, reference, advantages) = (numbers("old"), numbers("reference"), numbers("advantages"));
        let m = policy_loss(new.as_tensor(), &lens, &old, Some(&reference), &advantages, &config, totals).unwrap();
        near(m.loss.to_scalar::<f32>().unwrap().into(), read(&case["loss"]), &what);
        all_near(&grad(&m, &new), &case["grad"], &what);
        for name in ["policy_loss", "kl", "clipped", "ratio"] {
            near(sum(&m, name), read(&case[name]), &format!("{name} of {what}"));
        }
    }
}

#[test]
fn preference_losses_and_their_gradients() {
    let data = reference("preference");
    let numbers = |value: &Value| read::<Vec<f32>>(value);
    let (chosen, rejected) = (&data["chosen"], &data["rejected"]);
    let [chosen, rejected] = [chosen, rejected].map(|v| Var::new(numbers(v), &Device::Cpu).unwrap());
    let [reference_chosen, reference_rejected] = ["reference_chosen", "reference_rejected"].map(|name| numbers(&data[name]));
    let baseline = kto_baseline(&numbers(&data["mismatched"]["policy"]), &numbers(&data["mismatched"]["reference"]));
    for case in cases(&data["cases"]) {
        let config: PreferenceLoss = read(&case["config"]);
        let what = format!("{config:?}");
        near(baseline, read(&case["baseline"]), "baseline");
        let side = |policy, reference| Side { policy, reference };
        let (c, r) = (side(chosen.as_tensor(), &reference_chosen), side(rejected.as_tensor(), &reference_rejected));
        let m = preference_loss(c, r, baseline, &config, reference_chosen.len()).unwrap();
        near(m.loss.to_scalar::<f32>().unwrap().into(), read(&case["loss"]), &what);
        near(sum(&m, "loss"), read(&case["loss"]), &what);
        all_near(&grad(&m, &chosen), &case["grad_chosen"], &what);
        all_near(&grad(&m, &rejected), &case["grad_rejected"], &what);
        near(sum(&m, "rewards/chosen"), read(&case["chosen_reward"]), &what);
        near(sum(&m, "rewards/rejected"), read(&case["rejected_reward"]), &what);
        near(sum(&m, "rewards/margins"), sum(&m, "rewards/chosen") - sum(&m, "rewards/rejected"), &what);
        near(sum(&m, "rewards/accuracies"), read(&case["right"]), &what);
    }
}
