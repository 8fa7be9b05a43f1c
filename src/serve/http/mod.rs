//! Connections, routes and who may ask.

pub(super) mod app;
pub(super) mod door;
mod page;
pub(super) mod routes;
mod score;
pub(super) mod token;
