//! What goes over the wire: token ids and rows of numbers.

use super::api::Speaks;
use serde_json::{Value, json};

/// Numbers of a token, or of the whole.
pub(super) type Row = Vec<f32>;

/// A row has no more numbers than this: classes, not a vocabulary.
pub(super) const WIDEST: usize = 64;
/// Bytes of a number in an answer.
const BYTES_A_NUMBER: usize = 32;
/// Bytes of an answer beside its numbers.
const BYTES_BESIDE: usize = 1 << 20;

/// The body of a request for the numbers of several sequences of ids. `whole`: one row for each is wanted. The server is asked for logits: what it gives without
/// activation, in the words of its versions.
pub(super) fn request(speaks: Speaks, model: &str, inputs: &[&[u32]], whole: bool) -> Value {
    let logits = json!({ "use_activation": false, "activation": false, "softmax": false });
    let mut body = match speaks {
        Speaks::Sglang => json!({ "model": model, "input_ids": inputs }),
        _ => json!({ "model": model, "input": inputs, "add_special_tokens": false }),
    };
    if speaks == Speaks::Pooling {
        body["task"] = if whole { "classify" } else { "token_classify" }.into();
        body["encoding_format"] = "float".into();
    }
    if let (Speaks::Pooling | Speaks::Classify, Value::Object(body), Value::Object(logits)) = (speaks, &mut body, logits) {
        body.extend(logits);
    }
    body
}

/// Bytes that the answer to such a request may have.
pub(super) fn most(inputs: &[&[u32]]) -> usize {
    let tokens: usize = inputs.iter().map(|i| i.len()).sum();
    tokens.saturating_mul(WIDEST * BYTES_A_NUMBER).saturating_add(BYTES_BESIDE)
}

/// The rows of each of `n` sequences; `whole`: one for each was asked for. The error says what is wrong with the answer.
pub(super) fn rows(speaks: Speaks, mut answer: Value, n: usize, whole: bool) -> Result<Vec<Vec<Row>>, String> {
    if speaks == Speaks::Sglang {
        let all = match answer {
            Value::Array(all) => all,
            one => vec![one],
        };
        return counted(all, n)?.into_iter().map(|mut one| matrix(one["embedding"].take(), "embedding", whole)).collect();
    }
    let Value::Array(all) = answer["data"].take() else { return Err("the answer has no data".into()) };
    let field = if speaks == Speaks::Pooling { "data" } else { "probs" };
    let mut out = vec![None; n];
    for (at, mut one) in counted(all, n)?.into_iter().enumerate() {
        let index = one["index"].as_u64().map_or(at, |i| usize::try_from(i).unwrap_or(usize::MAX));
        let slot = out.get_mut(index).ok_or_else(|| format!("the answer has an input of number {index}, and {n} were sent"))?;
        *slot = Some(matrix(one[field].take(), field, whole)?);
    }
    let all: Option<Vec<_>> = out.into_iter().collect();
    all.ok_or_else(|| "the answer has two rows for one input and none for another".into())
}

fn counted(all: Vec<Value>, n: usize) -> Result<Vec<Value>, String> {
    if all.len() == n { Ok(all) } else { Err(format!("{n} inputs were sent and {} came back", all.len())) }
}

/// Rows of numbers. Numbers without rows are one row of the whole, or else a row each.
fn matrix(value: Value, field: &str, whole: bool) -> Result<Vec<Row>, String> {
    let number =
        |v: &Value| v.as_f64().map(|v| v as f32).filter(|v| v.is_finite()).ok_or_else(|| format!("{field} has {v} where a number belongs"));
    let row = |values: &[Value]| -> Result<Row, String> {
        if values.len() > WIDEST {
            return Err(format!("{field} has rows of {} numbers: these are states or a vocabulary and no scores", values.len()));
        }
        values.iter().map(number).collect()
    };
    match value {
        Value::Array(all) if all.first().is_some_and(Value::is_array) => {
            all.iter().map(|r| row(r.as_array().map(Vec::as_slice).unwrap_or_default())).collect()
        }
        Value::Array(all) if !all.is_empty() && whole => Ok(vec![row(&all)?]),
        Value::Array(all) if !all.is_empty() => all.iter().map(|v| row(std::slice::from_ref(v))).collect(),
        _ => Err(format!("the answer has no {field}, or an empty one")),
    }
}

/// For each position that is read the row that belongs to it: there is a row a token, a row a position, or a row for every place where the tag stands (`tags`).
pub(super) fn lay(rows: usize, tokens: usize, reads: &[usize], tags: &[usize]) -> Option<Vec<usize>> {
    if rows == tokens {
        Some(reads.to_vec())
    } else if rows == reads.len() {
        Some((0..rows).collect())
    } else if rows == tags.len() {
        reads.iter().map(|at| tags.iter().position(|t| t == at)).collect()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_each_kind_are_read() {
        let pooling = json!({ "object": "list", "data": [
            { "index": 1, "object": "pooling", "data": [[0.5, 0.25]] },
            { "index": 0, "object": "pooling", "data": [[1.0, -1.0], [2.0, 0.0]] },
        ]});
        assert_eq!(rows(Speaks::Pooling, pooling, 2, false).unwrap(), [vec![vec![1.0, -1.0], vec![2.0, 0.0]], vec![vec![0.5, 0.25]]]);
        let classify = json!({ "data": [{ "index": 0, "label": "A", "probs": [0.75, 0.25], "num_classes": 2 }] });
        assert_eq!(rows(Speaks::Classify, classify, 1, true).unwrap(), [vec![vec![0.75, 0.25]]]);
        for one in [json!({ "embedding": [1.5], "meta_info": {} }), json!([{ "embedding": [1.5] }])] {
            assert_eq!(rows(Speaks::Sglang, one, 1, true).unwrap(), [vec![vec![1.5]]]);
        }
    }

    #[test]
    fn answers_that_do_not_fit_are_told() {
        let says = |value, n, word: &str| {
            let said = rows(Speaks::Pooling, value, n, false).unwrap_err();
            assert!(said.contains(word), "{said}");
        };
        says(json!({ "detail": "x" }), 1, "no data");
        says(json!({ "data": [{ "index": 0, "data": [[1.0]] }] }), 2, "2 inputs were sent and 1 came back");
        says(json!({ "data": [{ "index": 7, "data": [[1.0]] }] }), 1, "number 7");
        says(json!({ "data": [{ "index": 0, "data": [[1.0]] }, { "index": 0, "data": [[1.0]] }] }), 2, "two rows");
        says(json!({ "data": [{ "index": 0, "data": [[null]] }] }), 1, "null");
        says(json!({ "data": [{ "index": 0, "data": [] }] }), 1, "empty");
        says(json!({ "data": [{ "index": 0, "data": [vec![0.0; 100]] }] }), 1, "no scores");
    }

    #[test]
    fn rows_are_laid_on_positions() {
        assert_eq!(lay(9, 9, &[3, 7], &[7]), Some(vec![3, 7]));
        assert_eq!(lay(2, 9, &[3, 7], &[3, 7]), Some(vec![0, 1]));
        // The tag stands once in the text, too.
        assert_eq!(lay(3, 9, &[3, 7], &[3, 5, 7]), Some(vec![0, 2]));
        assert_eq!(lay(4, 9, &[3, 7], &[3, 5, 7]), None);
    }

    #[test]
    fn logits_are_asked_for() {
        let body = request(Speaks::Pooling, "m", &[&[1, 2]], false);
        assert_eq!((&body["task"], &body["input"], &body["use_activation"]), (&json!("token_classify"), &json!([[1, 2]]), &json!(false)));
        assert_eq!(request(Speaks::Sglang, "m", &[&[1, 2]], true)["input_ids"], json!([[1, 2]]));
    }
}
