//! The formats that others write, a file each: what a record must have, and how it is read.

pub(super) mod best_of_n;
pub(super) mod gsm8k;
pub(super) mod gsm8k_pool;
pub(super) mod humaneval;
pub(super) mod inspect;
pub(super) mod mmlu_pro;
pub(super) mod prm800k;
pub(super) mod prmbench;
pub(super) mod problems;
pub(super) mod processbench;
pub(super) mod stepwise;
