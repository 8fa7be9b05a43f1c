//! The `stories` benchmark as a whole: experts check clean, corruptions are found, splits are disjoint.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reasonscope::task::stories::{Corruption, Op, Split, check, corrupt, has_unseen_operator_order, problem_key, story};
use std::collections::{HashMap, HashSet};

#[test]
fn every_expert_solution_checks_clean() {
    for split in Split::ALL {
        let count = if split == Split::Train { 4000 } else { 1000 };
        for i in 0..count {
            let s = story(split, 11, i);
            let v = check(&s, &s.solution());
            assert_eq!((v.first_error, v.correct, v.lines), (None, true, s.steps.len() + 1), "{}\n{}\n{}", s.id, s.problem, s.solution());
        }
    }
}

#[test]
fn a_story_is_a_function_of_its_arguments() {
    assert_eq!(story(Split::Train, 1, 7), story(Split::Train, 1, 7));
    assert_ne!(story(Split::Train, 1, 7).problem, story(Split::Train, 1, 8).problem);
    assert_ne!(story(Split::Train, 1, 7).problem, story(Split::Train, 2, 7).problem);
}

#[test]
fn every_corruption_is_found_at_its_line() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for kind in Corruption::ALL {
        for carry in [false, true] {
            let mut made = 0;
            for i in 0..400 {
                let s = story(Split::ALL[i as usize % 7], 3, i);
                let expert = s.solution();
                let Some(c) = corrupt(&s, kind, carry, &mut rng) else { continue };
                made += 1;
                let v = check(&s, &c.text);
                assert_eq!(v.first_error, Some(c.step), "{kind:?}\n{}\n{}", s.problem, c.text);
                assert_eq!(&c.text.as_bytes()[..c.byte], &expert.as_bytes()[..c.byte]);
                assert_ne!(c.text.as_bytes()[c.byte], expert.as_bytes()[c.byte]);
                assert_eq!(c.text[..c.byte].matches('\n').count(), c.step);
                if kind == Corruption::WrongAnswer {
                    assert!(!v.correct);
                }
                if !carry && kind != Corruption::WrongAnswer {
                    assert!(v.correct, "later lines keep the right values\n{}", c.text);
                }
            }
            // A story of one person has nobody to take for another.
            let expected = if kind == Corruption::Person { 300 } else { 360 };
            assert!(made > expected, "{kind:?} carry {carry}: only {made} of 400");
        }
    }
}

#[test]
fn carried_errors_end_in_wrong_answers() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let (mut wrong, mut all) = (0, 0);
    for i in 0..500 {
        let s = story(Split::InDistribution, 4, i);
        if let Some(c) = corrupt(&s, Corruption::Number, true, &mut rng) {
            all += 1;
            wrong += usize::from(!check(&s, &c.text).correct);
        }
    }
    assert!(wrong * 100 >= all * 97, "{wrong} of {all}");
}

#[test]
fn checker_survives_any_text() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let pieces = [
        "####",
        "=",
        "*",
        "/",
        "0",
        "-",
        "99999999999999999999",
        "Mia",
        "é",
        "\n",
        " ",
        "1 / 0 = 0",
        "has",
        ".",
        "\u{0}",
        "\r\n",
        "¼",
        "7",
    ];
    for i in 0..3000 {
        let s = story(Split::Train, 8, i % 50);
        let mut text: Vec<char> = s.solution().chars().collect();
        for _ in 0..rng.random_range(1..8) {
            let at = rng.random_range(0..=text.len());
            let end = rng.random_range(at..=text.len().min(at + 6));
            text.splice(at..end, pieces[rng.random_range(0..pieces.len())].chars());
        }
        let text: String = text.into_iter().collect();
        let v = check(&s, &text);
        assert!(v.first_error.is_none_or(|e| e <= v.lines));
    }
}

#[test]
fn pools_are_disjoint_and_stories_rarely_repeat() {
    let train: Vec<u64> = (0..8000).map(|i| problem_key(&story(Split::Train, i % 3, i).problem)).collect();
    let unique: HashSet<u64> = train.iter().copied().collect();
    assert!(unique.len() * 1000 >= train.len() * 995, "{} of {}", unique.len(), train.len());
    for split in Split::ALL.into_iter().filter(|s| *s != Split::Train) {
        for i in 0..600 {
            let key = problem_key(&story(split, i % 3, i).problem);
            assert!(!unique.contains(&key));
            assert!(key % 8 < 2, "evaluation pools own the classes 0 and 1");
        }
    }
    assert!(train.iter().all(|k| k % 8 >= 2), "training owns the other classes");
}

#[test]
fn distribution_is_as_documented() {
    let stories: Vec<_> = (0..4000).map(|i| story(Split::InDistribution, 21, i)).collect();
    let mut answers: HashMap<i64, usize> = HashMap::new();
    let mut ops: HashMap<Op, usize> = HashMap::new();
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for s in &stories {
        *answers.entry(s.answer).or_default() += 1;
        *lengths.entry(s.steps.len()).or_default() += 1;
        for step in &s.steps {
            *ops.entry(step.op).or_default() += 1;
            assert!(step.result <= 999);
        }
    }
    let most = answers.values().max().copied().unwrap_or(0);
    assert!(most * 100 < stories.len() * 3, "majority answer {most}: {answers:?}");
    let share = |n: &usize| *n as f64 / stories.len() as f64;
    let entropy: f64 = answers.values().map(|n| -share(n) * share(n).log2()).sum();
    assert!(entropy > 6.0, "answers hold {entropy} bits");
    let total: usize = ops.values().sum();
    for op in Op::ALL {
        assert!(ops[&op] * 100 >= total * 8, "{op:?} {ops:?}");
    }
    for n in 2..=5 {
        assert!(lengths[&n] * 100 >= stories.len() * 12, "{lengths:?}");
    }
    assert_eq!(lengths.len(), 4);
    let words: HashSet<String> = stories
        .iter()
        .flat_map(|s| {
            format!("{} {}", s.problem, s.solution()).split(|c: char| !c.is_alphabetic()).map(str::to_lowercase).collect::<Vec<_>>()
        })
        .collect();
    assert!(words.len() <= 250, "{} words", words.len());
}

#[test]
fn held_out_splits_are_what_they_say() {
    for i in 0..300 {
        assert!((6..=8).contains(&story(Split::LongerChains, 2, i).steps.len()));
        let large = story(Split::LargerNumbers, 2, i);
        let values = large.steps.iter().map(|s| s.result);
        assert!((1000..=9999).contains(&values.max().unwrap_or(0)));
        assert!(has_unseen_operator_order(&story(Split::UnseenOperatorOrder, 2, i).steps));
        assert!(!has_unseen_operator_order(&story(Split::Train, 2, i).steps));
    }
    let sentences = |split| -> HashSet<String> {
        (0..1500).flat_map(|i| story(split, 5, i).solution().lines().map(template).collect::<Vec<_>>()).collect()
    };
    let (seen, unseen) = (sentences(Split::Train), sentences(Split::UnseenPhrasing));
    let shared: Vec<_> = unseen.intersection(&seen).collect();
    assert_eq!(shared, ["####"], "lines of held-out phrasing");
}

/// A line without its numbers.
fn template(line: &str) -> String {
    line.replace(|c: char| c.is_ascii_digit(), "").trim().to_string()
}
