//! Problems, demonstrations, graders, corruption.

pub mod stories;
