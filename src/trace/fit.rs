//! A threshold fitted on the very text that it judges, for a signal that nothing has calibrated.

use super::{Candidate, GoldDeviation, Granularity, Reading, SURPRISAL, Statistic};

/// Texts that a threshold needs at least.
pub const FEWEST_TEXTS: usize = 8;
/// The share of texts that is marked where none has a label.
pub const MARKED_SHARE: f32 = 0.25;

/// One text that a threshold is fitted on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FitText {
    /// One value a step, turned so that high is good; NaN where it is not known.
    pub steps: Vec<f32>,
    /// The labelled first deviation, where there is a label.
    pub gold: Option<GoldDeviation>,
}

impl FitText {
    /// What a candidate says under [`judging_reading`]; `None` where no policy's log-probabilities reach the end of its text.
    pub fn of(candidate: &Candidate) -> Option<Self> {
        let reading = judging_reading();
        let signal = candidate.named(&reading.signal)?;
        let values = candidate.step_values(&signal, &reading, Granularity::Dense);
        values.last().copied().flatten()?;
        let steps = values.into_iter().map(|v| v.map_or(f32::NAN, |v| signal.orientation.turn(v))).collect();
        Some(Self { steps, gold: candidate.gold })
    }

    fn worst(&self) -> f32 {
        self.steps.iter().copied().fold(f32::INFINITY, f32::min)
    }
}

/// What judges text where no reward does: the policy's surprisal, summed over a step.
pub fn judging_reading() -> Reading {
    Reading::new(SURPRISAL, Statistic::Sum)
}

/// A threshold that was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// What it is a threshold of.
    pub reading: Reading,
    /// The value, turned so that high is good; a step below it is marked.
    pub value: f32,
    /// Number of texts that it was fitted on.
    pub texts: usize,
    /// How.
    pub by: FittedBy,
}

/// How a threshold was fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FittedBy {
    /// Without labels, so that this share of the texts has a step below it: it says which texts are the least expected, not that they are wrong.
    Share(f32),
    /// It has the best F1 of ProcessBench (arXiv 2412.06559), 0 to 1, on the labels of these very texts, and is no better on others.
    Labels(f32),
}

impl Fitted {
    /// Fits a threshold of [`judging_reading`]. Where [`FEWEST_TEXTS`] have labels, some right and some wrong ones among them, it is the one with the best F1 on
    /// those; else the one that marks [`MARKED_SHARE`] of all, as nearly as their number allows,
    /// halfway between the two texts that it parts. `None` where there are too few texts, or all alike.
    pub fn on<'a>(texts: impl IntoIterator<Item = &'a FitText>) -> Option<Self> {
        let texts: Vec<&FitText> = texts.into_iter().collect();
        let labelled: Vec<&FitText> = texts.iter().copied().filter(|t| t.gold.is_some()).collect();
        let right = labelled.iter().filter(|t| t.gold == Some(GoldDeviation::None)).count();
        let (n, (value, by)) = if labelled.len() >= FEWEST_TEXTS && right > 0 && right < labelled.len() {
            let (value, f1) = best_f1(&labelled)?;
            (labelled.len(), (value, FittedBy::Labels(f1)))
        } else {
            let (value, share) = marking(&texts, MARKED_SHARE)?;
            (texts.len(), (value, FittedBy::Share(share)))
        };
        Some(Self { reading: judging_reading(), value, texts: n, by })
    }

    /// What the threshold is, for people, the longest form first.
    pub fn words(&self) -> [String; 2] {
        let n = self.texts;
        match self.by {
            FittedBy::Share(share) => {
                [format!("marks the least expected {:.0} % of {n} texts", share * 100.0), format!("least expected {:.0} %", share * 100.0)]
            }
            FittedBy::Labels(f1) => {
                [format!("best F1 on the labels of these {n} texts: {:.0}", f1 * 100.0), format!("best F1 here: {:.0}", f1 * 100.0)]
            }
        }
    }
}

/// The threshold below which `share` of the texts have a step, and the share that it comes to.
fn marking(texts: &[&FitText], share: f32) -> Option<(f32, f32)> {
    let mut worst: Vec<f32> = texts.iter().map(|t| t.worst()).filter(|w| w.is_finite()).collect();
    if worst.len() < FEWEST_TEXTS {
        return None;
    }
    worst.sort_by(f32::total_cmp);
    let marked = ((worst.len() as f32 * share).round() as usize).clamp(1, worst.len() - 1);
    let (below, above) = (worst[marked - 1], worst[marked]);
    let halfway = (below < above).then(|| below + (above - below) / 2.0);
    let value = halfway.or_else(|| worst.iter().copied().find(|w| *w > worst[0]))?;
    Some((value, worst.iter().filter(|w| **w < value).count() as f32 / worst.len() as f32))
}

/// The threshold with the best F1, halfway between the two values that it parts, and that F1. A wrong text counts where exactly its labelled step is the first
/// below the threshold, a right one where none is.
fn best_f1(texts: &[&FitText]) -> Option<(f32, f32)> {
    // What changes at a threshold just above a value: one more wrong text hit (+1, 0) or marked too early (−1, 0), one more right one marked (0, −1).
    let mut events: Vec<(f32, i32, i32)> = Vec::new();
    let (mut wrong, mut right) = (0, 0);
    for text in texts {
        match text.gold {
            Some(GoldDeviation::Step(gold)) => {
                wrong += 1;
                let before = text.steps.iter().take(gold).copied().fold(f32::INFINITY, f32::min);
                if let Some(value) = text.steps.get(gold).copied().filter(|v| *v < before) {
                    events.extend([(value, 1, 0), (before, -1, 0)]);
                }
            }
            Some(GoldDeviation::None) => {
                right += 1;
                events.push((text.worst(), 0, -1));
            }
            None => {}
        }
    }
    events.retain(|e| e.0.is_finite());
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut hit, mut unmarked) = (0, right);
    let mut best: Option<(f32, f32)> = None;
    for (at, event) in events.iter().enumerate() {
        (hit, unmarked) = (hit + event.1, unmarked + event.2);
        let next = events.get(at + 1).map_or(event.0 + 1.0, |e| e.0);
        if next <= event.0 {
            continue;
        }
        let (a, b) = (hit as f32 / wrong as f32, unmarked as f32 / right as f32);
        let f1 = if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 };
        if best.is_none_or(|(_, f)| f1 > f) {
            best = Some((event.0 + (next - event.0) / 2.0, f1));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, Token, segment};

    fn text(steps: &[f32], gold: Option<GoldDeviation>) -> FitText {
        FitText { steps: steps.to_vec(), gold }
    }

    #[test]
    fn without_labels_a_stated_share_is_marked() {
        // Worst steps −1 … −8: a quarter of eight are two, and the threshold stands between −7 and −6.
        let texts: Vec<FitText> = (1..=8).map(|i| text(&[0.0, -(i as f32)], None)).collect();
        let fitted = Fitted::on(&texts).unwrap();
        assert_eq!((fitted.value, fitted.texts, fitted.by), (-6.5, 8, FittedBy::Share(0.25)));
        assert_eq!(texts.iter().filter(|t| t.worst() < fitted.value).count(), 2);
        assert_eq!(fitted.words()[0], "marks the least expected 25 % of 8 texts");
        assert_eq!(Fitted::on(&texts[1..]), None, "seven are too few");
        let alike = vec![text(&[-1.0], None); 9];
        assert_eq!(Fitted::on(&alike), None, "nothing stands out");
        // Of many alike the few that stand out are parted, and no others.
        let mut few = vec![text(&[-1.0], None); 9];
        few.push(text(&[-2.0], None));
        let fitted = Fitted::on(&few).unwrap();
        assert_eq!((fitted.value, fitted.by), (-1.0, FittedBy::Share(0.1)));
    }

    #[test]
    fn with_labels_it_is_the_best_f1_of_processbench() {
        let (wrong, right) = (|i| Some(GoldDeviation::Step(i)), Some(GoldDeviation::None));
        // Wrong ones are hit for −5 < t ≤ −1, −4 < t ≤ −2, and never (an earlier step is lower); right ones stay unmarked for t ≤ −3, −1, −1, −1, −1.
        let mut texts = vec![text(&[-1.0, -5.0], wrong(1)), text(&[-2.0, -4.0, -9.0], wrong(1)), text(&[-6.0, -5.5], wrong(1))];
        texts.extend([-3.0, -1.0, -1.0, -1.0, -1.0].map(|w| text(&[w, 0.0], right)));
        let fitted = Fitted::on(&texts).unwrap();
        // Between −4 and −3 two of three are hit and five of five unmarked: 2 · ⅔ · 1 / (⅔ + 1) = 0.8.
        assert_eq!((fitted.value, fitted.texts), (-3.5, 8));
        assert!(matches!(fitted.by, FittedBy::Labels(f1) if (f1 - 0.8).abs() < 1e-6), "{fitted:?}");
        assert_eq!(fitted.words()[0], "best F1 on the labels of these 8 texts: 80");
        // Labels of one kind choose nothing.
        let wrong_alone: Vec<FitText> = (1..=8).map(|i| text(&[-(i as f32)], wrong(0))).collect();
        assert!(matches!(Fitted::on(&wrong_alone).unwrap().by, FittedBy::Share(_)));
    }

    #[test]
    fn a_text_counts_once_it_was_read_to_its_end() {
        let text = "a 1\nb 2";
        let token = |start, end, logprob| Token { span: Span::new(start, end), logprob: Some(logprob), ..Token::default() };
        let candidate =
            |tokens| Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), tokens, ..Candidate::default() };
        let half = candidate(vec![token(0, 1, -1.0), token(1, 3, -4.0)]);
        assert_eq!(FitText::of(&half), None);
        let whole = candidate(vec![token(0, 1, -1.0), token(1, 3, -4.0), token(3, 5, -2.0), token(5, 7, -1.0)]);
        let steps = FitText::of(&whole).unwrap().steps;
        assert!((steps[0] + 4.5).abs() < 1e-6 && (steps[1] + 1.3).abs() < 1e-6, "{steps:?}");
        assert_eq!(FitText::of(&candidate(Vec::new())), None);
    }
}
