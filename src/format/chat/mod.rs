//! Chats: one reader of messages for every producer that writes them, whatever stands around.

mod answers;
mod asked;
pub(in crate::format) mod atif;
mod beside;
mod compose;
pub(in crate::format) mod dialogue;
mod finish;
mod parts;
pub(in crate::format) mod record;
pub(in crate::format) mod stream;
mod tokens;
mod turn;
