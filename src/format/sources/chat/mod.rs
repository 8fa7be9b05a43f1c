//! Chats: one reader of messages for every producer that writes them, whatever stands around.

mod answers;
mod asked;
mod beside;
mod compose;
pub(in crate::format) mod dialogue;
mod parts;
pub(in crate::format) mod record;
mod tokens;
mod turn;
