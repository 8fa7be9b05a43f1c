//! Does every equation in a step hold? `3 × 4 = 12` does, `3 × 4 = 13` does not.
//!
//! Reads the arithmetic of running text and of LaTeX: `×`, `\\times`, `\\frac`, percentages, thousands, units, chains `a = b = c`, rounding, calculator's
//! notes `<<3*4=12>>`. What holds a variable is not judged, and what can be read in more than one way is only ever confirmed: a check that cries wolf is
//! worth nothing. Linear in the text; exact while a value fits 128 bits.

mod chain;
mod judge;
mod latex;
mod lex;
mod number;
mod parse;
mod part;
mod reader;
#[cfg(test)]
mod tests;
mod units;
mod words;

use crate::trace::{Candidate, Signal, SignalSource, Span, Unit, Values};

/// Name of the signal.
pub const EQUATIONS: &str = "check:equations";

/// Two neighbouring sides of an equation, both closed arithmetic: `a = b = c` gives two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Equation {
    /// Its bytes, from the first of the left side to the last of the right side.
    pub span: Span,
    /// What the left side comes to.
    pub left: f64,
    /// What the right side comes to.
    pub right: f64,
    /// Whether they agree, exactly or by rounding.
    pub holds: bool,
}

/// The equations of a text that can be checked, in the order in which they end.
pub fn equations(text: &str) -> Vec<Equation> {
    chain::equations(text, &lex::lex(text))
}

/// Per step the number of equations that do not hold, negated; 0 where all hold, `None` where nothing can be checked.
pub fn step_values(text: &str, steps: impl IntoIterator<Item = Span>) -> Vec<Option<f32>> {
    let value = |step: Span| {
        let found = equations(step.of(text));
        (!found.is_empty()).then(|| 0.0 - found.iter().filter(|e| !e.holds).count() as f32)
    };
    steps.into_iter().map(value).collect()
}

/// False arithmetic.
pub(super) const CHECK: super::Check = super::Check { names: &[EQUATIONS], signals };

/// The signal [`EQUATIONS`] of a candidate; none where no step has an equation that can be checked.
fn signals(candidate: &Candidate) -> Vec<Signal> {
    let values = step_values(&candidate.text, candidate.steps.iter().map(|s| s.span));
    let signal = Signal { unit: Unit::Count, ..Signal::new(EQUATIONS, SignalSource::Check, Values::Steps(values)) };
    Some(signal).filter(Signal::has_values).into_iter().collect()
}
