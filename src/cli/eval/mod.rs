//! `eval`: what a reward is worth, beside the baselines.

mod finish;
mod recorded;
mod stories;

pub use stories::Eval;
