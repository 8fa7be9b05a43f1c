//! Alarms over runs: what is likely wrong with training.

mod alarm;
mod run;

pub use alarm::{Alarm, AlarmKind};
pub use run::RunWatch;
