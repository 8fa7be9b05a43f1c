//! Lints over traces.
