//! Figures over training seeds.

use crate::eval::EvalError;
use crate::eval::parts::section::{Section, numbers};
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::effect::{MIN_SEEDS, over_seeds};

/// A table of figures over seeds, name and one value a seed in the figure's own unit, and their means as figures.
///
/// # Errors
/// As [`over_seeds`].
pub fn seeds_section(figures: &[(String, Vec<f64>)], level: f64) -> Result<Section, EvalError> {
    let columns = ["figure", "seeds", "mean", "low", "high", "sd"];
    let mut table = Table::new(&format!("Mean over training seeds, with its {:.0} % t-interval", 100.0 * level), &columns);
    let (mut section, mut few) = (Section::default(), false);
    for (name, values) in figures {
        let s = over_seeds(values, level)?;
        few |= s.n < MIN_SEEDS;
        let [mean, low, high] = numbers(s.mean);
        table.rows.push(vec![Cell::Text(name.clone()), Cell::Count(s.n), mean, low, high, Cell::Number(s.sd)]);
        section.figure(name, s.mean.estimate);
    }
    section.tables.push(table);
    if few {
        section.notes.push(format!("Fewer than {MIN_SEEDS} seeds: too few for a claim about training."));
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_seeds_by_hand() {
        let section = seeds_section(&[("pass@1".into(), vec![0.4]), ("F1".into(), vec![0.1, 0.2, 0.3, 0.2, 0.1])], 0.95).unwrap();
        assert_eq!(section.tables[0].rows[0][2], Cell::Number(0.4));
        assert!((section.figures["F1"] - 0.18).abs() < 1e-12);
        assert!(section.notes[0].contains("Fewer than 5 seeds"));
    }
}
