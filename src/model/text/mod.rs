//! Text as a model reads it: tokens, and turns of a chat.

mod chat;
mod tokenizer;

pub use chat::{ChatOptions, ChatTemplate, Dialogue, Message, Moment, prompt};
pub use tokenizer::{Decoded, END_TOKEN, Encoded, PAD_TOKEN, StreamDecoder, TextTokenizer};
