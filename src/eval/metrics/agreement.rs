//! How far two signals agree: rank correlation of what they say of steps and of candidates, and the first deviations that they mark.

use super::localise::Marker;
use super::score::Score;
use crate::eval::parts::chart::{Chart, ChartKind};
use crate::eval::parts::section::{Section, by_problem, numbers};
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::correlate::Observations;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, holm, mcnemar};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::Reading;

/// A signal as it is held against others.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// What it says of steps.
    pub reading: Reading,
    /// What it says of a candidate.
    pub score: Score,
    /// How it marks the first deviation; `None` where no threshold is known.
    pub marker: Option<Marker>,
}

/// A candidate that two signals judge, and what each marks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Marked {
    problem: usize,
    candidate: usize,
    marks: [Option<usize>; 2],
    /// The labelled first wrong step; the outer `None` is no label.
    gold: Option<Option<usize>>,
}

impl Marked {
    fn agrees(&self) -> bool {
        self.marks[0] == self.marks[1]
    }

    fn is_near(&self) -> bool {
        match self.marks {
            [Some(a), Some(b)] => a.abs_diff(b) <= 1,
            [a, b] => a == b,
        }
    }

    /// Which of the two says what the label says; `None` without a label.
    fn right(&self) -> Option<[bool; 2]> {
        self.gold.map(|gold| self.marks.map(|mark| mark == gold))
    }

    /// What is counted of it, see [`COUNTED`].
    fn counts(&self) -> [f64; COUNTED] {
        let is = |b: bool| f64::from(u8::from(b));
        let [a, b] = self.marks.map(|m| m.is_some());
        let right = self.right();
        let of = |x: bool, y: bool| is(right == Some([x, y]));
        [
            1.0,
            is(self.agrees()),
            is(self.is_near()),
            is(a && b),
            is(a && !b),
            is(!a && b),
            is(!a && !b),
            is(right.is_some()),
            of(true, true),
            of(true, false),
            of(false, true),
            of(false, false),
        ]
    }
}

/// All, the same mark, within a step, both mark, the first alone, the second alone, neither; labelled ones, both right, the first alone, the second alone, neither.
const COUNTED: usize = 12;

/// What two judges of a pair make of the candidates.
struct Pair<'a> {
    judges: [&'a Judge; 2],
    marked: Vec<Marked>,
    sums: Option<Resampled>,
}

impl<'a> Pair<'a> {
    fn new(judges: [&'a Judge; 2], traces: &[ScoredTrace], options: Bootstrap) -> Result<Self, EvalError> {
        let marked = marked(judges, traces);
        let mut columns = vec![vec![0.0; traces.len()]; COUNTED];
        for m in &marked {
            columns.iter_mut().zip(m.counts()).for_each(|(column, count)| column[m.problem] += count);
        }
        let sums =
            if marked.is_empty() { None } else { Some(Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?) };
        Ok(Self { judges, marked, sums })
    }

    fn name(&self) -> String {
        format!("{} and {}", self.judges[0].reading, self.judges[1].reading)
    }
}

/// The candidates of which both say something of a step, with their marks; none where one of them has no threshold.
fn marked(judges: [&Judge; 2], traces: &[ScoredTrace]) -> Vec<Marked> {
    let [Some(a), Some(b)] = judges.map(|j| j.marker.as_ref()) else { return Vec::new() };
    let mut out = Vec::new();
    for (problem, trace) in traces.iter().enumerate() {
        for (candidate, c) in trace.candidates.iter().enumerate() {
            if judges.iter().all(|j| c.has_steps(&j.reading)) {
                let gold = c.labelled.then_some(c.first_error);
                out.push(Marked { problem, candidate, marks: [a.mark(c), b.mark(c)], gold });
            }
        }
    }
    out
}

/// Values of both judges by problem: of each step, or of each candidate.
fn observed(judges: [&Judge; 2], traces: &[ScoredTrace], steps: bool) -> Observations {
    let of_steps = |c: &ScoredCandidate| {
        let [a, b] = judges.map(|j| c.steps(&j.reading));
        Some(a.iter().zip(b).map(|(a, b)| [f64::from(*a), f64::from(*b)]).collect::<Vec<_>>())
    };
    let of_whole = |c: &ScoredCandidate| Some(vec![[f64::from(judges[0].score.of(c)?), f64::from(judges[1].score.of(c)?)]]);
    let problems = if steps { by_problem(traces, of_steps) } else { by_problem(traces, of_whole) };
    Observations::new(&problems.into_iter().map(|p| p.into_iter().flatten().collect::<Vec<_>>()).collect::<Vec<_>>())
}

/// How far every two of the judges agree. `listed`: so many candidates on whose first deviation two disagree are listed. The figures are those of the first two.
///
/// # Errors
/// As [`Resampled::of`].
pub fn section(judges: &[Judge], traces: &[ScoredTrace], listed: usize, options: Bootstrap) -> Result<Section, EvalError> {
    let mut section = Section::default();
    let mut pairs = Vec::new();
    for (i, a) in judges.iter().enumerate() {
        for b in &judges[i + 1..] {
            pairs.push(Pair::new([a, b], traces, options)?);
        }
    }
    correlations(&pairs, judges, traces, options)?.add(&mut section);
    if pairs.iter().any(|p| p.sums.is_some()) {
        marks(&pairs, &mut section);
    }
    if pairs.iter().any(|p| p.marked.iter().any(|m| m.gold.is_some())) {
        rights(&pairs, &mut section);
    }
    for pair in pairs.iter().filter(|p| p.sums.is_some()) {
        list(pair, traces, listed, &mut section);
    }
    let silent: Vec<String> = judges.iter().filter(|j| j.marker.is_none()).map(|j| j.reading.to_string()).collect();
    if !silent.is_empty() {
        section.notes.push(format!("No threshold is known of {}, so that nothing is marked by it.", silent.join(", ")));
    }
    section.notes.push(
        "Agreement: values are turned so that high is good, and correlated over all steps, and over all candidates, of which both say something. Steps count from 0; a first \
         deviation is the first step below the signal's threshold (its model's, the file's, else the middle of its unit), and `none` agrees with `none`."
            .into(),
    );
    Ok(section)
}

/// The table of correlations, and their picture.
struct Correlations {
    table: Table,
    chart: Chart,
    figures: Vec<(&'static str, f64)>,
}

impl Correlations {
    fn add(self, section: &mut Section) {
        section.tables.push(self.table);
        section.charts.push(self.chart);
        self.figures.into_iter().for_each(|(name, value)| section.figure(name, value));
    }
}

fn correlations(pairs: &[Pair<'_>], judges: &[Judge], traces: &[ScoredTrace], options: Bootstrap) -> Result<Correlations, EvalError> {
    let heads = ["signals", "values of", "number", "Spearman", "low", "high", "Kendall", "low ", "high "];
    let mut table = Table::new("Agreement of signals: rank correlation", &heads);
    let mut figures = Vec::new();
    let n = judges.len();
    let mut values: Vec<Vec<Option<f64>>> = (0..n).map(|i| (0..n).map(|j| (i == j).then_some(1.0)).collect()).collect();
    let place = |judge: &Judge| judges.iter().position(|j| std::ptr::eq(j, judge)).unwrap_or_default();
    for (i, pair) in pairs.iter().enumerate() {
        let [a, b] = pair.judges.map(place);
        for (what, steps) in [("steps", true), ("candidates", false)] {
            let observed = observed(pair.judges, traces, steps);
            if observed.is_empty() {
                continue;
            }
            let (rho, tau) = (observed.spearman(options)?, observed.kendall(options)?);
            let row = [Cell::Text(pair.name()), Cell::Text(what.into()), Cell::Count(observed.len())];
            table.rows.push(row.into_iter().chain(numbers(rho)).chain(numbers(tau)).collect());
            if values[a][b].is_none() {
                let known = Some(rho.estimate).filter(|r| r.is_finite());
                (values[a][b], values[b][a]) = (known, known);
            }
            if i == 0 && steps {
                figures.extend([("agreement_spearman", rho.estimate), ("agreement_kendall", tau.estimate)]);
            } else if i == 0 {
                figures.push(("agreement_candidates", rho.estimate));
            }
        }
    }
    let names: Vec<String> = judges.iter().map(|j| j.reading.to_string()).collect();
    let kind = ChartKind::Heat {
        value: "Spearman's correlation".into(),
        y: "signal".into(),
        x: "signal".into(),
        rows: names.clone(),
        columns: names,
        values,
    };
    Ok(Correlations { table, chart: Chart { name: "agreement".into(), title: "Agreement of signals".into(), kind }, figures })
}

/// The pairs with their sums over problems.
fn summed<'a>(pairs: &'a [Pair<'_>]) -> impl Iterator<Item = (&'a Pair<'a>, &'a Resampled)> {
    pairs.iter().filter_map(|p| Some((p, p.sums.as_ref()?)))
}

/// Whether two mark the same.
fn marks(pairs: &[Pair<'_>], section: &mut Section) {
    let heads = ["signals", "candidates", "the same", "within ±1", "both mark", "the first alone", "the second alone", "neither"];
    let mut table = Table::new("Agreement of signals: first deviation", &heads);
    for (i, (pair, sums)) in summed(pairs).enumerate() {
        let count = |k: usize| Cell::Count(sums.data()[k] as usize);
        let same = sums.interval(|s| s[1] / s[0]);
        if i == 0 {
            section.figure("agreement_first", 100.0 * same.estimate);
        }
        let shares = [Cell::Interval(same), Cell::Interval(sums.interval(|s| s[2] / s[0]))];
        table.rows.push([Cell::Text(pair.name()), count(0)].into_iter().chain(shares).chain([3, 4, 5, 6].map(count)).collect());
    }
    section.tables.push(table);
}

/// Who is right where the first deviation is labelled.
fn rights(pairs: &[Pair<'_>], section: &mut Section) {
    let heads = [
        "signals",
        "labelled",
        "both right",
        "the first alone",
        "the second alone",
        "neither",
        "first right",
        "second right",
        "first minus second",
        "p (McNemar)",
        "p (Holm)",
    ];
    let mut table = Table::new("Agreement of signals: who marks the labelled first deviation", &heads);
    let labelled: Vec<_> = summed(pairs).filter(|(_, sums)| sums.data()[7] > 0.0).collect();
    let tested = |sums: &Resampled| mcnemar(sums.data()[9] as usize, sums.data()[10] as usize);
    let adjusted = holm(&labelled.iter().map(|(_, sums)| tested(sums)).collect::<Vec<_>>());
    for ((pair, sums), p) in labelled.into_iter().zip(adjusted) {
        let count = |k: usize| Cell::Count(sums.data()[k] as usize);
        let counts = [7, 8, 9, 10, 11].map(count);
        let shares =
            [sums.interval(|s| (s[8] + s[9]) / s[7]), sums.interval(|s| (s[8] + s[10]) / s[7]), sums.interval(|s| (s[9] - s[10]) / s[7])];
        let row = [Cell::Text(pair.name())].into_iter().chain(counts).chain(shares.map(Cell::Interval));
        table.rows.push(row.chain([Cell::P(tested(sums)), Cell::P(p)]).collect());
    }
    section.tables.push(table);
    section.notes.push(
        "Who is right: a mark is right where it is the labelled first wrong step, and no mark where every step is right. McNemar's exact test is over candidates, the intervals over \
         problems."
            .into(),
    );
}

/// The candidates on whose first deviation two disagree.
fn list(pair: &Pair<'_>, traces: &[ScoredTrace], listed: usize, section: &mut Section) {
    let apart: Vec<&Marked> = pair.marked.iter().filter(|m| !m.agrees()).collect();
    if apart.is_empty() || listed == 0 {
        return;
    }
    let names = pair.judges.map(|j| j.reading.to_string());
    let shown = apart.len().min(listed);
    let of = if shown < apart.len() { format!("the first {shown} of {}", apart.len()) } else { format!("all {shown}") };
    let mut table = Table::new(
        &format!("Where {} disagree on the first deviation: {of}", pair.name()),
        &["problem", "candidate", &names[0], &names[1], "labelled", "right"],
    );
    let step = |step: Option<usize>| step.map_or_else(|| Cell::Text("none".into()), Cell::Count);
    for m in apart.into_iter().take(listed) {
        let right = match m.right() {
            None => Cell::Empty,
            Some([true, _]) => Cell::Text(names[0].clone()),
            Some([_, true]) => Cell::Text(names[1].clone()),
            Some(_) => Cell::Text("neither".into()),
        };
        let id = Cell::Text(traces[m.problem].id.clone());
        table.rows.push(vec![id, Cell::Count(m.candidate), step(m.marks[0]), step(m.marks[1]), m.gold.map_or(Cell::Empty, step), right]);
    }
    section.tables.push(table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scored::{Column, Says};
    use crate::eval::stats::Interval;
    use crate::trace::Aggregation;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn judge(name: &str, threshold: Option<f32>) -> Judge {
        let reading = Reading::of(name);
        Judge {
            score: Score::steps(reading.clone(), Aggregation::Mean),
            marker: threshold.map(|t| Marker::Below(reading.clone(), t)),
            reading,
        }
    }

    /// A labelled candidate (`gold` of −1: all right, −2: not labelled) with what signals say of its steps.
    fn candidate(gold: i32, said: &[(&str, &[f32])]) -> ScoredCandidate {
        let mut c = ScoredCandidate {
            labelled: gold > -2,
            first_error: usize::try_from(gold).ok(),
            n_steps: said[0].1.len(),
            ..ScoredCandidate::default()
        };
        said.iter().for_each(|(name, steps)| c.put(Column::steps(Reading::of(*name), Says::Model), steps, f32::NAN));
        c
    }

    fn traces() -> Vec<ScoredTrace> {
        let of = |id: &str, candidates| ScoredTrace::new(id, candidates);
        vec![
            // Marks by a below 0, by b below 0.5: 1 and 1; none and 0.
            of(
                "p",
                vec![candidate(1, &[("a", &[2.0, -1.0]), ("b", &[0.9, 0.2])]), candidate(-1, &[("a", &[1.0, 3.0]), ("b", &[0.25, 1.0])])],
            ),
            // 0 and 1, labelled 1; none and none, not labelled.
            of("q", vec![candidate(1, &[("a", &[-2.0, -3.0]), ("b", &[0.7, 0.1])]), candidate(-2, &[("a", &[4.0]), ("b", &[0.625])])]),
            // 2 and none, labelled 0; b says nothing of the last.
            of("r", vec![candidate(0, &[("a", &[0.5, 1.5, -0.5]), ("b", &[0.95, 0.85, 0.75])]), candidate(0, &[("a", &[-9.0])])]),
        ]
    }

    fn estimate(cell: &Cell) -> f64 {
        match cell {
            Cell::Interval(Interval { estimate, low, high }) => {
                assert!(low <= estimate && estimate <= high, "{cell:?}");
                *estimate
            }
            Cell::Number(x) | Cell::P(x) => *x,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_number_by_hand() {
        let judges = [judge("a", Some(0.0)), judge("b", Some(0.5))];
        let section = section(&judges, &traces(), 10, OPTIONS).unwrap();
        let [correlation, marks, rights, list] = &section.tables[..] else { panic!("{:?}", section.tables) };
        // Steps: a 2 −1 1 3 −2 −3 4 .5 1.5 −.5, b .9 .2 .25 1 .7 .1 .625 .95 .85 .75. Ranks of a 8 3 6 9 2 1 10 5 7 4, of b 8 2 3 10 5 1 4 9 7 6:
        // differences 0 1 3 −1 −3 0 6 −4 0 −2, squares 76: ρ = 1 − 6 · 76 / (10 · 99).
        assert_eq!(correlation.rows[0][..3], [Cell::Text("a and b".into()), Cell::Text("steps".into()), Cell::Count(10)]);
        assert!((estimate(&correlation.rows[0][3]) - (1.0 - 456.0 / 990.0)).abs() < 1e-12);
        // In the order of a, b's ranks are 1 5 2 6 9 3 7 8 10 4: 3 + 2 + 4 + 1 + 1 + 1 = 12 of 45 pairs go the other way.
        assert!((estimate(&correlation.rows[0][6]) - 21.0 / 45.0).abs() < 1e-12);
        // Candidates: means of a .5 2 −2.5 4 .5, of b .55 .625 .4 .625 .85: ranks 2.5 4 1 5 2.5 and 2 3.5 1 3.5 5.
        assert_eq!(correlation.rows[1][1..3], [Cell::Text("candidates".into()), Cell::Count(5)]);
        let (x, y) = ([2.5, 4.0, 1.0, 5.0, 2.5_f64], [2.0, 3.5, 1.0, 3.5, 5.0_f64]);
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - 3.0) * (b - 3.0)).sum::<f64>();
        let rho = sum(&x, &y) / (sum(&x, &x) * sum(&y, &y)).sqrt();
        assert!((estimate(&correlation.rows[1][3]) - rho).abs() < 1e-6, "{:?} {rho}", correlation.rows[1]);
        // Five candidates: the same in two, within a step in three (0 and 1); both mark in two, a alone in one, b alone in one, neither in one.
        assert_eq!(marks.rows[0][1], Cell::Count(5));
        assert_eq!((estimate(&marks.rows[0][2]), estimate(&marks.rows[0][3])), (0.4, 0.6));
        assert_eq!(marks.rows[0][4..], [2, 1, 1, 1].map(Cell::Count));
        // Four are labelled: both right, a alone (none is right), b alone, neither.
        assert_eq!(rights.rows[0][1..6], [4, 1, 1, 1, 1].map(Cell::Count));
        assert_eq!([6, 7, 8].map(|k| estimate(&rights.rows[0][k])), [0.5, 0.5, 0.0]);
        assert_eq!((estimate(&rights.rows[0][9]), estimate(&rights.rows[0][10])), (1.0, 1.0));
        let text = |row: &[Cell]| row.iter().map(Cell::text).collect::<Vec<_>>().join(" ");
        assert_eq!(list.rows.iter().map(|r| text(r)).collect::<Vec<_>>(), ["p 1 none 0 none a", "q 0 0 1 1 b", "r 0 2 none 0 neither"]);
        assert!(list.title.contains("all 3"), "{}", list.title);
        assert!((section.figures["agreement_first"] - 40.0).abs() < 1e-12);
        assert!((section.figures["agreement_spearman"] - (1.0 - 456.0 / 990.0)).abs() < 1e-12);
    }

    #[test]
    fn mcnemar_is_over_those_that_one_alone_gets_right() {
        // Ten candidates in ten problems: a alone is right in eight, b alone in one, both in one.
        let right = |a: bool, b: bool| {
            let of = |right: bool| if right { [1.0, -1.0] } else { [-1.0, 1.0] };
            ScoredTrace::new("", vec![candidate(1, &[("a", &of(a)), ("b", &of(b))])])
        };
        let mut traces: Vec<ScoredTrace> = (0..8).map(|_| right(true, false)).collect();
        traces.extend([right(false, true), right(true, true)]);
        let section = section(&[judge("a", Some(0.0)), judge("b", Some(0.0))], &traces, 4, OPTIONS).unwrap();
        let row = &section.tables[2].rows[0];
        assert_eq!(row[1..6], [10, 1, 8, 1, 0].map(Cell::Count));
        assert!((estimate(&row[9]) - 2.0 * 10.0 / 512.0).abs() < 1e-12, "twice the chance of at most one of nine: (1 + 9) / 2⁹");
        assert!((estimate(&row[8]) - 0.7).abs() < 1e-12);
        assert!(section.tables[3].title.contains("the first 4 of 9") && section.tables[3].rows.len() == 4);
    }

    #[test]
    fn three_make_three_pairs_and_one_without_a_threshold_marks_nothing() {
        let mut traces = traces();
        traces[0].candidates[0].put(Column::steps(Reading::of("c"), Says::File), &[1.0, 2.0], f32::NAN);
        traces[1].candidates[0].put(Column::steps(Reading::of("c"), Says::File), &[3.0, 1.5], f32::NAN);
        let judges = [judge("a", Some(0.0)), judge("b", Some(0.5)), judge("c", None)];
        let section = section(&judges, &traces, 0, OPTIONS).unwrap();
        let pairs: Vec<String> = section.tables[0].rows.iter().step_by(2).map(|r| r[0].text()).collect();
        assert_eq!(pairs, ["a and b", "a and c", "b and c"]);
        assert_eq!((section.tables.len(), section.tables[1].rows.len()), (3, 1), "no list is asked for");
        assert!(section.notes.iter().any(|n| n.contains("No threshold is known of c,")), "{:?}", section.notes);
        let ChartKind::Heat { values, .. } = &section.charts[0].kind else { panic!() };
        assert!(values[0][1] == values[1][0] && values[2][2] == Some(1.0) && values[0][2].is_some());
        // A signal and itself agree in everything.
        let own = super::section(&[judge("a", Some(0.0)), judge("a", Some(0.0))], &traces, 10, OPTIONS).unwrap();
        let row = &own.tables[0].rows[0];
        assert!(
            (estimate(&row[3]) - 1.0).abs() < 1e-12 && (estimate(&row[6]) - 1.0).abs() < 1e-12 && own.figures["agreement_first"] == 100.0
        );
    }
}
