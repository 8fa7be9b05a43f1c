//! From a server's row of numbers to a score.

use crate::reward::RewardError;
use crate::reward::protocol::{HeadKind, Label, Protocol, RowScores, Says, Squash};

/// How far a sum of chances in half precision may be from 1.
const SUM: f32 = 0.01;

/// How the rows of a server become scores, by a protocol.
pub(super) struct Scores {
    name: String,
    score: Squash,
    odds: bool,
    /// The good classes' places in a row.
    good: Vec<usize>,
    /// Numbers of a row, where they are known: of a language model the good tokens and then the bad ones.
    width: Option<usize>,
    chances: Option<bool>,
}

impl Scores {
    /// Fails where no server can give what the protocol reads.
    pub fn new(protocol: &Protocol) -> Result<Self, RewardError> {
        let read = &protocol.read;
        if read.score == Squash::SigmoidOfMean || protocol.write.is_some() || protocol.judges_tokens() {
            return Err(RewardError::Input(format!(
                "{} is read off what no server of rewards gives (all next-token logits, every token, what it writes itself): load the model here",
                protocol.name
            )));
        }
        let classes = read.positive.iter().filter_map(|l| if let Label::Id(id) = l { Some(*id as usize) } else { None });
        let lm = read.head == HeadKind::Lm;
        let single = matches!(read.score, Squash::Sigmoid | Squash::Logit);
        Ok(Self {
            name: protocol.name.clone(),
            score: read.score,
            odds: protocol.output.steps == Says::FirstError,
            good: if lm { (0..read.positive.len()).collect() } else { classes.collect() },
            width: if single { Some(1) } else { lm.then_some(read.positive.len() + read.negative.len()) },
            chances: protocol.server.chances,
        })
    }

    /// The score of a row. The error says what is wrong with it.
    pub fn of(&self, row: &[f32]) -> Result<f32, String> {
        let least = self.good.iter().max().map_or(1, |m| (m + 1).max(2));
        let fits = self.width.map_or(row.len() >= least, |w| row.len() == w);
        if !fits {
            let wants = self.width.map_or(format!("{least} or more"), |w| w.to_string());
            let what = if self.width.is_some_and(|w| w > 1) {
                " (the good token and the bad one: returned_token_ids of vLLM's --pooler-config)"
            } else {
                ""
            };
            return Err(format!("a row has {} numbers, and {} is read off {wants}{what}", row.len(), self.name));
        }
        let inside = row.iter().all(|v| (0.0..=1.0).contains(v));
        let sums = row.len() > 1 && inside && (row.iter().sum::<f32>() - 1.0).abs() < SUM;
        let chances = self.chances.unwrap_or(sums);
        if chances && !inside {
            return Err(format!("the row {row:?} holds no chances, though server.chances says so"));
        }
        let logit = |p: f32| p.max(f32::MIN_POSITIVE).ln();
        let logits: Vec<f32> = match (chances, row) {
            (true, [p]) if self.score == Squash::Sigmoid => vec![logit(*p) - logit(1.0 - p)],
            (true, _) if row.len() > 1 => row.iter().map(|p| logit(*p)).collect(),
            _ => row.to_vec(),
        };
        let bad = (0..row.len()).filter(|i| !self.good.contains(i)).collect();
        let rule = RowScores { score: self.score, odds: self.odds, good: self.good.clone(), bad };
        rule.of(&logits).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::protocol::families;

    fn of(name: &str, row: &[f32]) -> Result<f32, String> {
        Scores::new(families().iter().find(|f| f.name == name).unwrap()).unwrap().of(row)
    }

    #[test]
    fn logits_and_chances_give_the_same_by_hand() {
        let near = |a: Result<f32, String>, b: f32| assert!((a.clone().unwrap() - b).abs() < 1e-5, "{a:?} {b}");
        near(of("Qwen2.5-Math-PRM", &[1.0, 1.0 + 3.0_f32.ln()]), 0.75);
        near(of("Qwen2.5-Math-PRM", &[0.25, 0.75]), 0.75);
        near(of("Qwen2.5-Math-PRM", &[1.0, 0.0]), 0.0);
        near(of("PURE-PRM", &[0.25, 0.75]), 0.5);
        near(of("Math-Shepherd", &[3.0_f32.ln(), 0.0]), 0.75);
        near(of("Skywork-o1-Open-PRM", &[3.0_f32.ln()]), 0.75);
        near(of("outcome reward model", &[-2.5]), -2.5);
        let mut skywork = families().iter().find(|f| f.name == "Skywork-o1-Open-PRM").unwrap().clone();
        skywork.server.chances = Some(true);
        near(Scores::new(&skywork).unwrap().of(&[0.75]), 0.75);
        assert!(Scores::new(&skywork).unwrap().of(&[1.5]).unwrap_err().contains("server.chances"));
    }

    #[test]
    fn rows_that_do_not_fit_are_told() {
        assert!(of("Math-Shepherd", &[0.0; 5]).unwrap_err().contains("returned_token_ids"));
        assert!(of("Qwen2.5-Math-PRM", &[0.0]).unwrap_err().contains("2 or more"));
        assert!(of("outcome reward model", &[0.0, 1.0]).unwrap_err().contains("read off 1"));
        let llemma = families().iter().find(|f| f.name == "llemma-7b-prm").unwrap();
        assert!(Scores::new(llemma).err().unwrap().to_string().contains("load the model here"));
    }
}
