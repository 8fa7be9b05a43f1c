//! Problems, demonstrations, graders, corruption.
