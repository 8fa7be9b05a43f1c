//! The HTTP face of reward models: `POST /score` and what belongs to it.
//!
//! One thread owns each reward model, as everywhere ([`Engine`](crate::runtime::Engine)); before it stands a queue of bounded length. The candidates of a problem are
//! read as one batch, exactly as `reasonscope score` reads those of a trace, so that both give the same numbers, whatever else the server does meanwhile.

mod asked;
mod http;
mod judged;
mod limits;
mod metrics;
mod queue;
mod refusal;
mod server;
pub mod wire;

pub use http::routes::document;
pub use http::token::Token;
pub use limits::Limits;
pub use server::{Ended, News, ServeError, Server};
