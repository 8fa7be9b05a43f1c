//! The metrics: what is computed of scored candidates, each with the table of its figures.

pub mod agreement;
pub mod calibrate;
pub mod localise;
pub mod methods;
pub mod pairs;
pub mod passk;
pub mod rerank;
pub mod roc;
pub mod score;
pub mod steplabels;
pub mod surface;
pub mod transfer;
