//! What is read off the decoder's states, and how it becomes a score.

use super::{HeadKind, Layout, Protocol, Says, Squash};
use crate::model::{Decoder, ModelError, OpenModel, ops};
use candle_core::{D, DType, Tensor};
use std::collections::BTreeMap;

/// A head has no more rows than this, and no hidden layer is wider than the other.
const MOST_ROWS: usize = 1024;
const MOST_WIDTH: usize = 1 << 18;

/// A weight `[rows, width]` and its bias `[rows]`, where it has one.
type Layer = (Tensor, Option<Tensor>);

/// The head of a reward model at work.
pub(super) struct Head {
    /// The head's layers with ReLU between; empty where the language model's logits are read.
    layers: Vec<Layer>,
    rule: RowScores,
}

impl Head {
    /// Takes its weights, whose shapes are `shapes`, from `model`. Fails where a tensor is missing or its shape does not fit `score` and the hidden size.
    pub fn load(
        protocol: &Protocol,
        shapes: &BTreeMap<String, Vec<usize>>,
        model: &OpenModel,
        layout: &Layout,
    ) -> Result<Self, ModelError> {
        let read = &protocol.read;
        let wrong = |name: &str, what: String| ModelError::Tensor { name: name.into(), what };
        let layer = |name: String, width: usize| -> Result<(Layer, usize), ModelError> {
            let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
            let rows = match shapes.get(&weight).map(Vec::as_slice) {
                Some(&[rows, found]) if found == width && (1..=MOST_WIDTH).contains(&rows) => rows,
                Some(found) => return Err(wrong(&weight, format!("has shape {found:?}, {} wants [rows, {width}]", protocol.name))),
                None => return Err(wrong(&weight, format!("not there, but {} is read off it: correct read.tensor", protocol.name))),
            };
            let b = shapes.contains_key(&bias).then(|| model.weights.tensor(&bias, &[rows])).transpose()?;
            Ok(((model.weights.tensor(&weight, &[rows, width])?, b), rows))
        };
        let hidden = model.config.hidden_size;
        let odds = protocol.output.steps == Says::FirstError;
        let ids = |ids: Vec<u32>| ids.into_iter().map(|id| id as usize).collect::<Vec<_>>();
        let (good, bad) = layout.labels(read)?;
        let (good, bad) = (ids(good), ids(bad));
        let (layers, rows) = match read.head {
            HeadKind::Lm => {
                if let Some(both) = good.iter().find(|id| bad.contains(id)) {
                    return Err(ModelError::Input(format!(
                        "token {both} is positive and negative at once: correct read.positive in reward.toml"
                    )));
                }
                return Ok(Self { layers: Vec::new(), rule: RowScores { score: read.score, odds, good, bad } });
            }
            HeadKind::Linear => {
                let (one, rows) = layer(read.tensor.clone(), hidden)?;
                (vec![one], rows)
            }
            HeadKind::Likelihood => {
                return Err(ModelError::Input(format!("{} is read at every token and not at the ends of steps", protocol.name)));
            }
            HeadKind::Mlp => {
                let (one, width) = layer(format!("{}.0", read.tensor), hidden)?;
                let (two, rows) = layer(format!("{}.2", read.tensor), width)?;
                (vec![one, two], rows)
            }
        };
        let single = matches!(read.score, Squash::Sigmoid | Squash::Logit);
        if rows > MOST_ROWS || (single && rows != 1) || (!single && rows < 2) {
            let wants = if single { "one" } else { "two or more" };
            return Err(wrong(
                &read.tensor,
                format!("has {rows} rows; read.score of {} wants {wants}: describe the model in reward.toml", protocol.name),
            ));
        }
        if let Some(row) = good.iter().find(|row| **row >= rows) {
            return Err(wrong(&read.tensor, format!("has {rows} rows, so none of number {row}: correct read.positive")));
        }
        let bad = (0..rows).filter(|row| !good.contains(row)).collect();
        Ok(Self { layers, rule: RowScores { score: read.score, odds, good, bad } })
    }

    /// The scores of states `[n, hidden]`, or the log-odds of the good classes where the first error is asked for. Fails where one is not a finite number.
    pub fn scores(&self, decoder: &Decoder, states: &Tensor) -> Result<Vec<f32>, ModelError> {
        let numbers = match self.layers.as_slice() {
            [] if self.rule.score == Squash::SigmoidOfMean => decoder.logits(states)?.to_dtype(DType::F32)?.mean_keepdim(D::Minus1)?,
            [] => decoder.logits(states)?,
            layers => {
                let mut x = states.clone();
                for (i, (weight, bias)) in layers.iter().enumerate() {
                    if i > 0 {
                        x = x.relu()?;
                    }
                    x = ops::linear(&x, weight)?;
                    if let Some(bias) = bias {
                        x = x.broadcast_add(bias)?;
                    }
                }
                x
            }
        };
        let rows: Vec<Vec<f32>> = numbers.to_dtype(DType::F32)?.to_vec2()?;
        rows.iter().map(|row| self.rule.of(row)).collect()
    }
}

/// How a row of numbers becomes a score.
pub(in crate::reward) struct RowScores {
    pub score: Squash,
    /// Log-odds are asked for in place of the score.
    pub odds: bool,
    /// The good rows, or ids of tokens.
    pub good: Vec<usize>,
    /// The bad tokens' ids; of a head with rows all that are not good.
    pub bad: Vec<usize>,
}

impl RowScores {
    /// The score of a row. Fails where it is not a finite number.
    pub fn of(&self, row: &[f32]) -> Result<f32, ModelError> {
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let score = match self.score {
            Squash::Softmax if self.odds => self.log_odds(row),
            Squash::Sigmoid if self.odds => row[0],
            Squash::Logit => row[0],
            Squash::Sigmoid | Squash::SigmoidOfMean => sigmoid(row[0]),
            Squash::Softmax => self.part(row),
            Squash::Difference => 2.0 * self.part(row) - 1.0,
        };
        if score.is_finite() {
            return Ok(score);
        }
        let what = format!("the reward model's score of a step is {score}: its weights are damaged, or the number format overflows");
        Err(ModelError::NotFinite(what))
    }

    /// The good classes' part of the softmax over good and bad ones.
    fn part(&self, row: &[f32]) -> f32 {
        let most = self.good.iter().chain(&self.bad).map(|&i| row[i]).fold(f32::NEG_INFINITY, f32::max);
        let sum = |classes: &[usize]| classes.iter().map(|&i| f64::from(row[i] - most).exp()).sum::<f64>();
        let (good, bad) = (sum(&self.good), sum(&self.bad));
        (good / (good + bad)) as f32
    }

    /// ln of the good classes' part over the bad ones'.
    fn log_odds(&self, row: &[f32]) -> f32 {
        let part = |classes: &[usize]| {
            let most = classes.iter().map(|&i| f64::from(row[i])).fold(f64::NEG_INFINITY, f64::max);
            most + classes.iter().map(|&i| (f64::from(row[i]) - most).exp()).sum::<f64>().ln()
        };
        (part(&self.good) - part(&self.bad)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(score: Squash, good: &[usize], bad: &[usize]) -> RowScores {
        RowScores { score, odds: false, good: good.to_vec(), bad: bad.to_vec() }
    }

    #[test]
    fn scores_by_hand() {
        let of = |score, row: &[f32]| head(score, &[1], &[0]).of(row).unwrap();
        // ln 3 more: a chance of ¾.
        assert!((of(Squash::Softmax, &[1.0, 1.0 + 3.0_f32.ln()]) - 0.75).abs() < 1e-6);
        assert!((of(Squash::Difference, &[1.0, 1.0 + 3.0_f32.ln()]) - 0.5).abs() < 1e-6);
        assert!((of(Squash::Sigmoid, &[3.0_f32.ln()]) - 0.75).abs() < 1e-6);
        assert_eq!(of(Squash::Logit, &[-2.5]), -2.5);
        let three = head(Squash::Softmax, &[1, 2], &[0]).of(&[0.0, 0.0, 2.0_f32.ln()]).unwrap();
        assert!((three - 0.75).abs() < 1e-6);
    }

    #[test]
    fn log_odds_neither_saturate_nor_underflow() {
        let odds = |row: &[f32]| RowScores { odds: true, ..head(Squash::Softmax, &[1], &[0]) }.of(row).unwrap();
        assert!((odds(&[1.0, 1.0 + 3.0_f32.ln()]) - 3.0_f32.ln()).abs() < 1e-6);
        assert_eq!((odds(&[500.0, -500.0]), odds(&[-50.0, 50.0])), (-1000.0, 100.0));
    }

    #[test]
    fn what_underflows_is_a_chance_of_nothing_and_what_overflows_is_said() {
        let head = head(Squash::Softmax, &[1], &[0]);
        assert_eq!((head.of(&[500.0, -500.0]).unwrap(), head.of(&[-500.0, 500.0]).unwrap()), (0.0, 1.0));
        assert!(head.of(&[f32::NAN, 0.0]).unwrap_err().to_string().contains("damaged"));
    }
}
