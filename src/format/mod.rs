//! Trace files in and out.
