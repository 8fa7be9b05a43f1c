//! What a report is made of: cells, tables, pictures as data, sections.

pub mod chart;
pub mod section;
pub mod table;

pub use table::{Cell, Report, Table};
