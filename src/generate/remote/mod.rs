//! Models behind OpenAI-compatible servers (vLLM, SGLang and others).

mod error;
mod fleet;
mod http;
mod policy;
mod server;
mod wire;

pub use error::EndpointError;
pub use fleet::{Fleet, FleetConfig};
pub use policy::{EndpointPolicy, PATIENCE};
pub use server::{Endpoint, KEY_VARIABLE};
