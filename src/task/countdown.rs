//! Countdown: reach a target with given numbers, each exactly once, by + − × ÷.

use super::record::{Record, field};
use crate::answer::is_expression;
use serde_json::Value;

/// `question`, `target` (the thought) and `answer` (an expression), with `reward_model.nums` and `.target`.
///
/// The solution is framed as the question asks: `<think>`, the thought, `</think>`, `<answer>` with the expression, without what is written behind an `=`.
pub(super) fn record(value: &Value) -> Result<Record, String> {
    let text = field(value, "question")?.trim().to_owned();
    let goal = value.get("reward_model").unwrap_or(value);
    let numbers = goal.get("nums").and_then(Value::as_array).and_then(|n| n.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
    let (Some(numbers), Some(target)) = (numbers, goal.get("target").and_then(Value::as_i64)) else {
        return Err("`nums` (a list of whole numbers) and `target` (a whole number) must stand in the record or in `reward_model`".into());
    };
    let solution = || {
        let expression = field(value, "answer")?.split('=').next().unwrap_or_default().trim();
        if !is_expression(expression) {
            return Err(format!("field `answer` is no expression: {expression:?}"));
        }
        Ok(format!("<think>\n{}\n</think>\n<answer> {expression} </answer>", field(value, "target")?.trim()))
    };
    Ok(Record { text, solution: solution(), gold: Some(format!("{numbers:?} = {target}")) })
}
