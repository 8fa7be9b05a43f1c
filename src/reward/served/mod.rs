//! Rewards from a server: vLLM's `/pooling` and `/classify`, SGLang's `/classify`, and this program's own `serve`.
//!
//! vLLM and SGLang are sent token ids, laid out here by a [protocol](super::protocol), because a text that is tokenised there has its tags where the
//! tokenizer puts them. What comes back for the ids is laid on the steps by the positions of the layout. This program's own server is sent text.

mod api;
mod own;
mod scorer;
mod scores;
mod wire;

pub use api::ServedAt;
pub use scorer::ServedReward;
