//! Models behind OpenAI-compatible servers (vLLM, SGLang and others).

mod answer;
mod endpoint;
mod error;
mod fleet;
mod http;
mod policy;
mod request;
mod server;
mod writer;

pub use endpoint::{Api, Endpoint};
pub use error::EndpointError;
pub use fleet::{Fleet, FleetConfig};
pub use policy::{EndpointPolicy, PATIENCE};
pub use server::KEY_VARIABLE;
