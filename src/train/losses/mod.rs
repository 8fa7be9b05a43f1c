//! What training minimises, and the credit that policy losses are weighted with.

pub mod advantage;
pub mod likelihood;
pub mod objective;
pub mod policy_loss;
pub mod preference;
pub mod tree;
