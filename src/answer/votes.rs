//! Votes over the answers of a problem's candidates.

use super::question::{Form, Question};
use crate::util::hash::fnv1a;
use crate::util::seed::splitmix64;
use std::collections::HashMap;

/// An answer and who gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// The answer: of the spellings that its candidates gave, the shortest in canonical form.
    pub answer: String,
    /// Candidates that voted for it, ascending.
    pub candidates: Vec<usize>,
    /// Sum of their weights; their number for a plain majority.
    pub weight: f64,
}

/// The answers of a problem's candidates, the equal ones in one class: `18`, `18.0` and `$18` vote together.
///
/// Which candidates share a class does not depend on their order: two do if their answers are the same, or both the same as a third. A tie between
/// classes is broken by chance, reproducibly: by a hash of the problem's identity and the answer, so that neither the place in a file nor the
/// rightness of an answer decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ballot {
    class: Vec<Option<usize>>,
    answers: Vec<String>,
    /// What decides a class's rank in a tie: a hash of the problem's identity and the answer.
    luck: Vec<u64>,
}

impl Ballot {
    /// Sorts answers into classes, one a candidate, `None` or empty where it gave none; `id` is the problem's identity.
    pub fn new<'a>(question: &Question<'_>, id: &str, answers: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut raw: HashMap<&str, Option<usize>> = HashMap::new();
        let mut by_key: HashMap<String, usize> = HashMap::new();
        let mut forms: Vec<Form> = Vec::new();
        let mut place = |answer: &'a str| {
            let form = question.form(answer)?;
            let at = *by_key.entry(form.key.clone()).or_insert(forms.len());
            match forms.get_mut(at) {
                Some(known) if shorter(&form.canonical, &known.canonical) => known.canonical = form.canonical,
                Some(_) => {}
                None => forms.push(form),
            }
            Some(at)
        };
        let mut class: Vec<Option<usize>> =
            answers.into_iter().map(|a| a.and_then(|a| *raw.entry(a).or_insert_with(|| place(a)))).collect();
        let joined = join(&forms);
        let mut answers: Vec<String> = Vec::new();
        let mut known: HashMap<usize, usize> = HashMap::new();
        for (form, &root) in forms.into_iter().zip(&joined) {
            let at = *known.entry(root).or_insert(answers.len());
            match answers.get_mut(at) {
                Some(answer) if shorter(&form.canonical, answer) => *answer = form.canonical,
                Some(_) => {}
                None => answers.push(form.canonical),
            }
        }
        for c in class.iter_mut().flatten() {
            *c = known.get(&joined[*c]).copied().unwrap_or(0);
        }
        Self::with(id, class, answers)
    }

    /// The same for answers of which equal ones are already written alike, as a ballot's own [`answer_of`](Self::answer_of) writes them.
    pub fn alike<'a>(id: &str, answers: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let (mut known, mut names): (HashMap<&str, usize>, Vec<String>) = (HashMap::new(), Vec::new());
        let mut place = |answer: &'a str| {
            *known.entry(answer).or_insert_with(|| {
                names.push(answer.to_owned());
                names.len() - 1
            })
        };
        let class = answers.into_iter().map(|a| a.filter(|a| !a.is_empty()).map(&mut place)).collect();
        Self::with(id, class, names)
    }

    fn with(id: &str, class: Vec<Option<usize>>, answers: Vec<String>) -> Self {
        let luck = answers.iter().map(|answer| fnv1a(id.bytes().chain([0]).chain(answer.bytes()))).collect();
        Self { class, answers, luck }
    }

    /// The answer of a candidate's class, the same text for all of them; `None` where it gave none.
    pub fn answer_of(&self, candidate: usize) -> Option<&str> {
        self.class.get(candidate).copied().flatten().map(|c| self.answers[c].as_str())
    }

    /// Whether two candidates gave the same answer.
    pub fn agree(&self, a: usize, b: usize) -> bool {
        self.class.get(a).copied().flatten().is_some_and(|class| self.class.get(b) == Some(&Some(class)))
    }

    /// Votes of all candidates, most first. `weight` says what a candidate's vote counts, ≥ 0; without one, or with NaN, it does not vote.
    pub fn votes(&self, weight: impl Fn(usize) -> Option<f64>) -> Vec<Vote> {
        let weight = |i: usize| weight(i).filter(|w| !w.is_nan());
        let all: Vec<usize> = (0..self.class.len()).collect();
        let (totals, luck) = (self.totals(&all, weight), self.luck_among(&all));
        let vote = |(class, total): (usize, Option<f64>)| {
            let gave = all.iter().copied().filter(|&i| self.class[i] == Some(class) && weight(i).is_some());
            Some((class, Vote { answer: self.answers[class].clone(), candidates: gave.collect(), weight: total? }))
        };
        let mut out: Vec<(usize, Vote)> = totals.into_iter().enumerate().filter_map(vote).collect();
        out.sort_by(|(i, a), (j, b)| b.weight.total_cmp(&a.weight).then(luck(*j).cmp(&luck(*i))));
        out.into_iter().map(|(_, vote)| vote).collect()
    }

    /// The first of some candidates that gave the answer with the most votes of them; `None` where none of them votes. Weights as in
    /// [`votes`](Self::votes).
    pub fn winner(&self, candidates: &[usize], weight: impl Fn(usize) -> Option<f64>) -> Option<usize> {
        let (totals, luck) = (self.totals(candidates, weight), self.luck_among(candidates));
        let voted = totals.into_iter().enumerate().filter_map(|(class, total)| Some((class, total?)));
        let (best, _) = voted.max_by(|(i, a), (j, b)| a.total_cmp(b).then(luck(*i).cmp(&luck(*j))))?;
        candidates.iter().copied().find(|&i| self.class.get(i) == Some(&Some(best)))
    }

    /// A class's rank in a tie among some candidates: another for each choice of them, so that what a mean over many choices says is not one throw of the dice.
    fn luck_among(&self, candidates: &[usize]) -> impl Fn(usize) -> u64 {
        let choice = candidates.iter().fold(0_u64, |sum, &i| sum.wrapping_add(splitmix64(i as u64)));
        move |class| splitmix64(self.luck[class] ^ choice)
    }

    /// The sum of the weights of each class; `None` where nobody votes for it.
    fn totals(&self, candidates: &[usize], weight: impl Fn(usize) -> Option<f64>) -> Vec<Option<f64>> {
        let mut votes: Vec<(usize, f64)> = Vec::with_capacity(candidates.len());
        for &i in candidates {
            if let Some(class) = self.class.get(i).copied().flatten()
                && let Some(weight) = weight(i).filter(|w| !w.is_nan())
            {
                votes.push((class, weight));
            }
        }
        // Sums of fractions depend on their order, and the order of candidates must not decide.
        votes.sort_unstable_by(|(i, a), (j, b)| i.cmp(j).then(a.total_cmp(b)));
        let mut totals = vec![None; self.answers.len()];
        for (class, weight) in votes {
            *totals[class].get_or_insert(0.0) += weight;
        }
        totals
    }
}

/// Whether one spelling is to be shown rather than another.
fn shorter(a: &str, b: &str) -> bool {
    (a.len(), a) < (b.len(), b)
}

/// For each form the first of the forms that it is joined with, over however many steps. Forms that are equal only by their keys stay apart.
fn join(forms: &[Form]) -> Vec<usize> {
    let mut root: Vec<usize> = (0..forms.len()).collect();
    for i in 0..forms.len() {
        for j in 0..i {
            if root[i] != root[j] && (forms[i].deep || forms[j].deep) && forms[i].same(&forms[j]) {
                let (keep, drop) = (root[i].min(root[j]), root[i].max(root[j]));
                root.iter_mut().filter(|r| **r == drop).for_each(|r| *r = keep);
            }
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn ballot(kind: Kind, answers: &[&str]) -> Ballot {
        Ballot::new(&Question::new(kind, "", None), "p", answers.iter().map(|a| Some(*a).filter(|a| *a != "-")))
    }

    fn plain(b: &Ballot) -> Vec<(String, Vec<usize>)> {
        b.votes(|_| Some(1.0)).into_iter().map(|v| (v.answer, v.candidates)).collect()
    }

    #[test]
    fn equal_answers_vote_together() {
        let b = ballot(Kind::Number, &["7", "18", "7", "18.0", "$18", "-"]);
        assert_eq!(plain(&b), [("18".into(), vec![1, 3, 4]), ("7".into(), vec![0, 2])]);
        assert_eq!((b.answer_of(4), b.answer_of(5), b.answer_of(9)), (Some("18"), None, None));
        assert!(b.agree(1, 4) && !b.agree(0, 1) && !b.agree(5, 5));
        let b = ballot(Kind::Number, &["$1,800.00", "7", "-", "07.", "1800", "\\boxed{-0}"]);
        let mut votes = plain(&b);
        votes.sort();
        assert_eq!(votes, [("0".into(), vec![5]), ("1800".into(), vec![0, 4]), ("7".into(), vec![1, 3])]);
        let weights = [Some(0.1), Some(0.2), Some(9.0), Some(0.4), None, Some(f64::NAN)];
        let weighted = b.votes(|i| weights[i]);
        assert_eq!((weighted.len(), weighted[0].answer.as_str(), weighted[0].candidates.as_slice()), (2, "7", &[1, 3][..]));
        assert!((weighted[0].weight - 0.6).abs() < 1e-12);
        assert_eq!(weighted[1].candidates, [0], "who has no weight does not vote");
        assert_eq!(ballot(Kind::Text, &["", " ", "-"]).votes(|_| Some(1.0)), []);
        let formulas = ["\\frac{\\sqrt2}{2}", "x+1", "\\frac1{\\sqrt2}", "1 + x", "\\sqrt{1/2}", "(1,2)", "(2,1)"];
        let b = ballot(Kind::Formula, &formulas);
        assert_eq!(plain(&b)[..2], [("\\sqrt{1/2}".into(), vec![0, 2, 4]), ("x+1".into(), vec![1, 3])]);
        assert_eq!(plain(&b).len(), 4);
        let b = ballot(Kind::Number, &["1/2", "\\frac{\\sqrt4}{4}", "0.50"]);
        assert_eq!(plain(&b), [("0.5".into(), vec![0, 1, 2])]);
        let b = ballot(Kind::Expression, &["74 - 33 + 18/18", "18/18 - (33 - 74)", "33 + 9"]);
        assert_eq!(plain(&b)[0].1, [0, 1]);
    }

    #[test]
    fn a_class_is_closed_and_knows_no_order() {
        // The second lies as near to the first as to the third, which are too far from each other to be called equal.
        let near = ["1.00000000000\\sqrt{x}", "1.000000000009\\sqrt{x}", "1.000000000018\\sqrt{x}", "2"];
        let pair = |a: &str, b: &str| Question::new(Kind::Formula, "", None).same(a, b);
        assert!(pair(near[0], near[1]) && pair(near[1], near[2]) && !pair(near[0], near[2]));
        for order in [[0, 1, 2, 3], [3, 2, 0, 1], [1, 3, 2, 0], [2, 3, 0, 1]] {
            let b = ballot(Kind::Formula, &order.map(|i| near[i]));
            let votes = b.votes(|_| Some(1.0));
            assert_eq!((votes.len(), votes[0].candidates.len(), votes[0].answer.as_str()), (2, 3, near[0]), "{order:?}");
        }
    }

    #[test]
    fn chance_breaks_ties_the_same_way_every_time() {
        let winner = |id: String, answers: [&str; 2]| {
            let b = Ballot::new(&Question::new(Kind::Number, "", None), &id, answers.map(Some));
            let votes = b.votes(|_| Some(1.0));
            assert_eq!(b.winner(&[0, 1], |_| Some(1.0)), Some(votes[0].candidates[0]), "one door as the other");
            votes[0].answer.clone()
        };
        let mut first = 0;
        for i in 0..400 {
            let (one, two) = (winner(format!("p{i}"), ["18", "7"]), winner(format!("p{i}"), ["7.0", "$18"]));
            assert_eq!(one, two, "neither the order nor the spelling decides");
            first += usize::from(one == "18");
        }
        // Binomial with n = 400: five standard deviations are 50.
        assert!((150..=250).contains(&first), "{first}");
    }

    #[test]
    fn winners_are_of_those_asked() {
        let b = ballot(Kind::Number, &["7", "18", "7", "18.0", "$18"]);
        let one = |_: usize| Some(1.0);
        assert_eq!((b.winner(&[4, 0, 1], one), b.winner(&[2, 0, 3], one), b.winner(&[], one)), (Some(4), Some(2), None));
        assert_eq!(b.winner(&[0, 1], |_| None), None);
        let many = ballot(Kind::Number, &["7", "18"].repeat(200));
        let won = (0..200).filter(|i| many.winner(&[2 * i, 2 * i + 1], one) == Some(2 * i)).count();
        // Binomial with n = 200: five standard deviations are 35.
        assert!((65..=135).contains(&won), "chance is drawn anew for each pair: {won}");
        assert_eq!(many.winner(&[0, 1], one).map(|i| i % 2), many.winner(&[1, 0], one).map(|i| i % 2), "the order decides nothing");
        assert_eq!(b.winner(&[0, 1, 3], |i| Some(if i == 0 { 3.0 } else { 1.0 })), Some(0));
        let alike = Ballot::alike("p", (0..5).map(|i| b.answer_of(i)));
        assert_eq!(alike.votes(one), b.votes(one), "answers written by a ballot make the same one");
    }
}
