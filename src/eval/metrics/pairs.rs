//! Pairs of a clean trace and its corrupted twin: how often the clean one has the higher reward.

use crate::eval::EvalError;
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval};
use std::collections::BTreeMap;

/// A clean trace and its corrupted twin, both scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The problem of both.
    pub problem: String,
    /// How the twin was spoiled.
    pub kind: String,
    /// Aggregated reward of the clean trace.
    pub clean: f32,
    /// Aggregated reward of the twin.
    pub corrupted: f32,
    /// Tokens of the clean trace.
    pub clean_tokens: usize,
    /// Tokens of the twin.
    pub corrupted_tokens: usize,
    /// How much of the text the two share, 0 to 1; see [`crate::eval::metrics::surface::overlap`].
    pub overlap: f64,
}

impl Pair {
    /// 1 where the clean trace has the higher reward, ½ for a tie, else 0; `None` where one of the rewards is not a number.
    pub fn win(&self) -> Option<f64> {
        Some(match self.clean.partial_cmp(&self.corrupted)? {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
    }

    /// Whether the lengths differ by at most `share` of the longer one.
    pub fn matched(&self, share: f64) -> bool {
        let (short, long) = (self.clean_tokens.min(self.corrupted_tokens), self.clean_tokens.max(self.corrupted_tokens));
        (long - short) as f64 <= share * long as f64
    }
}

/// Share of pairs in which the clean twin wins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WinRate {
    /// Pairs with both rewards.
    pub pairs: usize,
    /// The share, with its interval over problems.
    pub rate: Interval,
}

/// Whether a pair belongs to a group.
pub type Inside<'a> = dyn Fn(&Pair) -> bool + 'a;

/// Win rates of several groups of the same pairs, `None` for a group without pairs. All resample the same problems.
///
/// # Errors
/// As [`Resampled::of`]; no pairs.
pub fn win_rates(pairs: &[Pair], groups: &[&Inside<'_>], options: Bootstrap) -> Result<Vec<Option<WinRate>>, EvalError> {
    let mut problems: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in pairs {
        let next = problems.len();
        problems.entry(&pair.problem).or_insert(next);
    }
    if problems.is_empty() {
        return Err(EvalError::Empty("no pairs of a clean and a corrupted trace".into()));
    }
    let mut columns = vec![vec![0.0; problems.len()]; 2 * groups.len()];
    for pair in pairs {
        let Some(win) = pair.win() else { continue };
        let at = problems[pair.problem.as_str()];
        for (g, _) in groups.iter().enumerate().filter(|(_, inside)| inside(pair)) {
            columns[2 * g][at] += win;
            columns[2 * g + 1][at] += 1.0;
        }
    }
    let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
    let rate = |g: usize| {
        let pairs = drawn.data()[2 * g + 1] as usize;
        (pairs > 0).then(|| WinRate { pairs, rate: drawn.interval(|s| s[2 * g] / s[2 * g + 1]) })
    };
    Ok((0..groups.len()).map(rate).collect())
}

/// A table of the win rate over all pairs, over length-matched ones and by kind of corruption. The figure `pair_win_rate` is that of all.
///
/// # Errors
/// As [`win_rates`].
pub fn section(pairs: &[Pair], options: Bootstrap) -> Result<Section, EvalError> {
    let mut kinds: Vec<&str> = pairs.iter().map(|p| p.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let of = |kind: &str| -> Box<Inside<'_>> {
        let kind = kind.to_string();
        Box::new(move |p| p.kind == kind)
    };
    let mut inside: Vec<Box<Inside<'_>>> = vec![Box::new(|_| true), Box::new(|p| p.matched(MATCHED))];
    inside.extend(kinds.iter().map(|kind| of(kind)));
    let groups: Vec<&Inside<'_>> = inside.iter().map(|f| &**f).collect();
    let names =
        ["all".to_string(), format!("lengths within {:.0} %", 100.0 * MATCHED)].into_iter().chain(kinds.iter().map(ToString::to_string));
    let rates = win_rates(pairs, &groups, options)?;
    let mut section = Section::default();
    if let Some(Some(all)) = rates.first() {
        section.figure("pair_win_rate", 100.0 * all.rate.estimate);
    }
    section.tables.push(table(
        "Clean against corrupted: share of pairs in which the clean trace has the higher reward",
        "pairs",
        names,
        &rates,
    ));
    section.notes.push("Ties count half; a reward without content wins half of the pairs.".into());
    Ok(section)
}

/// Lengths closer than this share are called matched.
pub const MATCHED: f64 = 0.02;

/// A table of win rates by name.
pub(super) fn table(title: &str, first: &str, names: impl IntoIterator<Item = String>, rates: &[Option<WinRate>]) -> Table {
    let mut table = Table::new(title, &[first, "number", "win rate"]);
    for (name, rate) in names.into_iter().zip(rates) {
        let rate = rate.map_or([Cell::Count(0), Cell::Empty], |r| [Cell::Count(r.pairs), Cell::Interval(r.rate)]);
        table.rows.push([Cell::Text(name)].into_iter().chain(rate).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn pair(problem: &str, kind: &str, clean: f32, corrupted: f32, tokens: usize) -> Pair {
        Pair { problem: problem.into(), kind: kind.into(), clean, corrupted, clean_tokens: 100, corrupted_tokens: tokens, overlap: 0.5 }
    }

    #[test]
    fn wins_by_hand() {
        let pairs = [
            pair("a", "number", 2.0, 1.0, 100),
            pair("a", "drop", 2.0, 3.0, 80),
            pair("b", "number", 1.0, 1.0, 102),
            pair("b", "number", 1.0, f32::NAN, 100),
        ];
        assert_eq!(pairs.iter().map(Pair::win).collect::<Vec<_>>(), [Some(1.0), Some(0.0), Some(0.5), None]);
        assert!(pairs[2].matched(0.02) && !pairs[1].matched(0.02) && pair("", "", 0.0, 0.0, 98).matched(0.02));
        let section = section(&pairs, OPTIONS).unwrap();
        assert_eq!(section.figures["pair_win_rate"], 50.0);
        let rows = &section.tables[0].rows;
        let read = |r: usize| match &rows[r][..] {
            [Cell::Text(name), Cell::Count(n), Cell::Interval(i)] => (name.as_str(), *n, i.estimate),
            other => panic!("{other:?}"),
        };
        assert_eq!(read(0), ("all", 3, 0.5));
        assert_eq!(read(1), ("lengths within 2 %", 2, 0.75));
        assert_eq!((read(2), read(3)), (("drop", 1, 0.0), ("number", 2, 0.75)));
        // Problem a alone scores ½, b alone ½ as well: no spread over problems.
        assert!(win_rates(&pairs, &[&|_| true, &|_| false], OPTIONS).unwrap()[1].is_none());
        assert!(win_rates(&[], &[&|_| true], OPTIONS).is_err());
    }
}
