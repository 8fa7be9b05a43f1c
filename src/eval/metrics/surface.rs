//! Does a reward follow the logic of a text or its surface? Win rates against twins by how much of the text they share.

use crate::eval::EvalError;
use crate::eval::metrics::calibrate::equal_mass;
use crate::eval::metrics::pairs::{Inside, MATCHED, Pair, WinRate, table, win_rates};
use crate::eval::parts::chart::{Chart, ChartKind};
use crate::eval::parts::section::{Section, numbers};
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::Bootstrap;
use crate::eval::stats::correlate::Observations;
use std::collections::{BTreeMap, HashMap};

/// Longest n-grams of [`overlap`].
const LONGEST: usize = 4;

/// Bins of the overlap.
const BINS: usize = 5;

/// Words in lower case; numbers, and every mark by itself, are words too.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut inside = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        match out.last_mut() {
            Some(word) if inside && c.is_alphanumeric() => word.push(c),
            _ if !c.is_whitespace() => out.push(c.into()),
            _ => {}
        }
        inside = c.is_alphanumeric();
    }
    out
}

/// How much of their text two traces share, 0 to 1: the mean over n = 1 to 4 of the Jaccard index of their n-grams of words, counted with repeats
/// (Σ min / Σ max of the counts). It counts what is missing on either side, so that a dropped and a repeated step both lower it. 1 for equal texts.
pub fn overlap(first: &str, second: &str) -> f64 {
    let (a, b) = (words(first), words(second));
    let one = |n: usize| {
        let mut counts: HashMap<&[String], [u32; 2]> = HashMap::new();
        for (k, list) in [&a, &b].into_iter().enumerate() {
            list.windows(n).for_each(|gram| counts.entry(gram).or_default()[k] += 1);
        }
        let (least, most) = counts.values().fold((0, 0), |(l, m), c| (l + c[0].min(c[1]), m + c[0].max(c[1])));
        (most > 0).then(|| f64::from(least) / f64::from(most))
    };
    let found: Vec<f64> = (1..=LONGEST).filter_map(one).collect();
    if found.is_empty() { 1.0 } else { found.iter().sum::<f64>() / found.len() as f64 }
}

/// Tables and a picture of the win rate of clean traces by overlap with their corrupted twins, over all pairs and length-matched ones; of the original
/// against its step-shuffled twin; and of how the margin goes with the overlap. A reward that follows the surface wins where little is shared and not
/// where nearly everything is. The figures `length_matched_win_rate` and `shuffled_win_rate` are for gates.
///
/// # Errors
/// As [`win_rates`]; no `pairs`. `shuffled` may be empty.
pub fn section(pairs: &[Pair], shuffled: &[Pair], options: Bootstrap) -> Result<Section, EvalError> {
    let overlaps: Vec<Vec<(f64, bool)>> = pairs.iter().map(|p| vec![(p.overlap, true)]).collect();
    let borders = equal_mass(&overlaps, BINS);
    let bin = |p: &Pair| borders.partition_point(|b| *b < p.overlap);
    let mut groups: Vec<Box<Inside<'_>>> = Vec::new();
    for share in [f64::INFINITY, MATCHED] {
        groups.push(Box::new(move |p| p.matched(share)));
        for b in 0..borders.len() {
            groups.push(Box::new(move |p| p.matched(share) && bin(p) == b));
        }
    }
    let groups: Vec<&Inside<'_>> = groups.iter().map(|g| &**g).collect();
    let rates = win_rates(pairs, &groups, options)?;
    let (all, matched) = rates.split_at(borders.len() + 1);
    let least = |b: usize| if b == 0 { pairs.iter().map(|p| p.overlap).fold(1.0, f64::min) } else { borders[b - 1] };
    let range = |b: usize| format!("{:.3}–{:.3}", least(b), borders[b]);
    let names = || ["all".to_string()].into_iter().chain((0..borders.len()).map(range));
    let mut section = Section::default();
    section.tables.push(table("Clean against corrupted by n-gram overlap: win rate of the clean trace", "overlap", names(), all));
    let title = format!("The same, lengths within {:.0} %", 100.0 * MATCHED);
    section.tables.push(table(&title, "overlap", names(), matched));
    if let Some(Some(m)) = matched.first() {
        section.figure("length_matched_win_rate", 100.0 * m.rate.estimate);
    }
    if !shuffled.is_empty() {
        let rate = win_rates(shuffled, &[&|_| true], options)?;
        if let Some(Some(rate)) = rate.first() {
            section.figure("shuffled_win_rate", 100.0 * rate.rate.estimate);
        }
        let title = "Steps in their order against the same steps shuffled, format intact: win rate of the original";
        section.tables.push(table(title, "pairs", ["steps shuffled".to_string()], &rate));
    }
    section.tables.push(margins(pairs, options)?);
    section
        .notes
        .push(format!("Overlap: mean Jaccard index of the n-grams of words, n = 1 to {LONGEST}, in bins of equal size; ties count half."));
    let value = |r: &Option<WinRate>| r.map(|r| r.rate);
    let series = [("all pairs".to_string(), all), (format!("lengths within {:.0} %", 100.0 * MATCHED), matched)];
    let kind = ChartKind::Bars {
        x: "n-gram overlap of the twins".into(),
        y: "win rate of the clean trace".into(),
        percent: true,
        groups: (0..borders.len()).map(range).collect(),
        series: series.into_iter().map(|(name, rates)| (name, rates[1..].iter().map(value).collect())).collect(),
    };
    section.charts.push(Chart { name: "win-rate-by-overlap".into(), title: "Win rate by overlap with the expert".into(), kind });
    Ok(section)
}

/// How the margin of the clean trace goes with the overlap and with the difference in length.
fn margins(pairs: &[Pair], options: Bootstrap) -> Result<Table, EvalError> {
    let mut problems: BTreeMap<&str, Vec<[f64; 3]>> = BTreeMap::new();
    for p in pairs {
        let margin = f64::from(p.clean) - f64::from(p.corrupted);
        problems.entry(&p.problem).or_default().push([margin, p.overlap, p.clean_tokens as f64 - p.corrupted_tokens as f64]);
    }
    let problems: Vec<Vec<[f64; 3]>> = problems.into_values().collect();
    let swapped: Vec<Vec<[f64; 2]>> = problems.iter().map(|p| p.iter().map(|x| [x[0], x[2]]).collect()).collect();
    let (overlap, length) = (Observations::new(&problems), Observations::new(&swapped));
    let title = "Margin of the clean trace against the surface: Spearman's correlation";
    let mut table = Table::new(title, &["margin against", "pairs", "rho", "low", "high"]);
    let against = overlap.partial_spearman(&[&[], &[2]], options)?;
    let rows = [
        ("overlap", against[0]),
        ("overlap, given the difference in length", against[1]),
        ("difference in length", length.spearman(options)?),
    ];
    for (name, rho) in rows {
        table.rows.push([Cell::Text(name.into()), Cell::Count(overlap.len())].into_iter().chain(numbers(rho)).collect());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    #[test]
    fn overlap_by_hand() {
        assert_eq!(words("Ann's 3+4 = 7.5"), ["ann", "'", "s", "3", "+", "4", "=", "7", ".", "5"]);
        assert_eq!((overlap("a b c d", "A b  c\nd"), overlap("a", "b"), overlap("", "")), (1.0, 0.0, 1.0));
        // Words 3 of 5, pairs 2 of 4, triples 1 of 3, fours 0 of 2.
        assert!((overlap("a b c d", "a b c e") - (0.6 + 0.5 + 1.0 / 3.0 + 0.0) / 4.0).abs() < 1e-12);
        // A word said twice: 1 of 2; the pair is there only once.
        assert_eq!(overlap("a", "a a"), 0.25);
    }

    fn pair(i: usize, overlap: f64, clean: f32, tokens: usize) -> Pair {
        Pair { problem: format!("p{i}"), kind: String::new(), clean, corrupted: 0.0, clean_tokens: 100, corrupted_tokens: tokens, overlap }
    }

    #[test]
    fn a_reward_of_the_surface_shows() {
        // The clean trace wins only where less than half is shared.
        let pairs: Vec<Pair> = (0..50)
            .map(|i| {
                let shared = i as f64 / 50.0;
                pair(i, shared, if shared < 0.5 { 1.0 } else { -1.0 }, if i % 2 == 0 { 100 } else { 50 })
            })
            .collect();
        let section = section(&pairs, &[pair(0, 1.0, 1.0, 100), pair(1, 1.0, 0.0, 100)], OPTIONS).unwrap();
        let rate = |t: usize, r: usize| if let Cell::Interval(i) = section.tables[t].rows[r][2] { i.estimate } else { panic!() };
        assert_eq!((rate(0, 0), rate(0, 1), rate(0, 5)), (0.5, 1.0, 0.0));
        assert_eq!(section.tables[1].rows[0][1], Cell::Count(25));
        // 0, 2, … 48: thirteen of 25 are below 25.
        assert_eq!(section.figures["length_matched_win_rate"], 52.0);
        assert_eq!(section.figures["shuffled_win_rate"], 75.0);
        let Cell::Number(rho) = section.tables[3].rows[0][2] else { panic!() };
        assert!(rho < -0.8, "{rho}");
        let ChartKind::Bars { groups, series, .. } = &section.charts[0].kind else { panic!() };
        assert_eq!((groups.len(), series.len(), series[0].1.len()), (5, 2, 5));
    }
}
