//! Text to token ids and back, with the bytes that each token stands for.

use crate::model::{Config, ModelError};
use crate::trace::Span;
use crate::util::{
    foreign,
    hash::{fnv1a, fnv1a_on},
};
use std::{collections::HashSet, path::Path, sync::Arc};
use tokenizers::{
    AddedToken, Tokenizer,
    models::{
        ModelWrapper, TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
    tokenizer::SplitDelimiterBehavior,
};

/// Padding token of tokenizers that [`TextTokenizer::train_bpe`] makes; id 0.
pub const PAD_TOKEN: &str = "<|pad|>";
/// End-of-sequence token of tokenizers that [`TextTokenizer::train_bpe`] makes; id 1.
pub const END_TOKEN: &str = "<|end|>";

/// Ids lie below this. The largest vocabularies have a quarter of a million tokens; an id is a claim by which memory is set aside.
const MOST_TOKENS: u32 = 1 << 22;

/// Bytes that a token has at most on the average of most texts, and bytes of a text that are not cut.
const USUAL: usize = 8;
const LEAST: usize = 1 << 12;
/// Tokens before a cut that may be others than in the whole text.
const SEAM: usize = 64;

/// Tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Vocabulary ids.
    pub ids: Vec<u32>,
    /// One a token: its bytes in the text, in order and without gaps. A token that ends inside a character owns none of it; the token that completes
    /// the character owns all its bytes. Tokens that are not in the text (BOS) own nothing.
    pub spans: Vec<Span>,
}

/// A tokenizer (byte-level BPE or SentencePiece-like) that knows the bytes of every token.
#[derive(Clone)]
pub struct TextTokenizer {
    inner: Tokenizer,
    table: Arc<ByteTable>,
    /// Ids that a lone newline becomes, where the tokenizer puts a space before every text; dropped when a line is encoded by itself.
    newline_prefix: Option<Vec<u32>>,
    bos: Option<String>,
    eos: Option<String>,
    fingerprint: String,
}

/// What every id stands for.
#[derive(Debug, Default)]
struct ByteTable {
    /// The token's bytes, special tokens too.
    bytes: Vec<Box<[u8]>>,
    /// Special tokens, which are no text.
    special: Vec<bool>,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`. `path` is only named in errors.
    pub fn from_bytes(json: &[u8], path: &Path) -> Result<Self, ModelError> {
        let bad = |what: String| ModelError::File { path: path.into(), what, remedy: "fetch the file again".into() };
        let made = foreign::call(|| Tokenizer::from_bytes(json)).ok_or_else(|| bad("not a valid tokenizer.json: it is damaged".into()))?;
        let inner = made.map_err(|e| bad(format!("not a valid tokenizer.json: {e}")))?;
        foreign::call(|| Self::new(inner, path)).ok_or_else(|| bad("its tokenizer cannot be used: the file is damaged".into()))?
    }

    /// Wraps a tokenizer; truncation and padding that its file asks for are switched off, because text must never be lost here.
    pub fn new(mut inner: Tokenizer, path: &Path) -> Result<Self, ModelError> {
        let error = |what: String| ModelError::File {
            path: path.into(),
            what,
            remedy: "supported: byte-level BPE and SentencePiece-like tokenizers".into(),
        };
        inner.with_truncation(None).map_err(|e| error(e.to_string()))?;
        inner.with_padding(None);
        let decoder = serde_json::to_string(&inner.get_decoder()).map_err(|e| error(e.to_string()))?;
        let byte_level = decoder.contains("\"ByteLevel\"");
        // The model that makes such tokens says so even where the decoder does not know them.
        let falls_back = match inner.get_model() {
            ModelWrapper::BPE(model) => model.byte_fallback,
            ModelWrapper::Unigram(model) => model.byte_fallback(),
            _ => false,
        };
        let byte_fallback = decoder.contains("\"ByteFallback\"") || (falls_back && !byte_level);
        if !byte_level && !byte_fallback && !decoder.contains("\"Metaspace\"") && !decoder.contains('▁') {
            return Err(error(format!("the tokenizer's decoder {decoder} is not supported")));
        }
        // Two tokens of one id are a damaged file's; sorted, the same one is taken every time.
        let mut vocab: Vec<(u32, String)> = inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
        vocab.sort_unstable();
        if let Some((id, token)) = vocab.last().filter(|v| v.0 >= MOST_TOKENS) {
            let what = format!("token {token:?} has the id {id}, more than any vocabulary has tokens ({MOST_TOKENS})");
            return Err(ModelError::File { path: path.into(), what, remedy: "the file is damaged: fetch it again".into() });
        }
        let size = vocab.last().map_or(0, |v| v.0 as usize + 1);
        let mut table = ByteTable { bytes: vec![Box::default(); size], special: vec![false; size] };
        for (id, token) in &vocab {
            let bytes = if byte_level { byte_level_bytes(token) } else { piece_bytes(token, byte_fallback) };
            table.bytes[*id as usize] = bytes.into();
        }
        for (id, added) in inner.get_added_tokens_decoder() {
            if added.special {
                table.special[id as usize] = true;
                table.bytes[id as usize] = added.content.as_bytes().into();
            }
        }
        let fingerprint = fingerprint(&inner, &vocab);
        let mut this = Self { inner, table: Arc::new(table), newline_prefix: None, bos: None, eos: None, fingerprint };
        let newline = this.ids("\n", false)?;
        let text: Vec<u8> = newline.iter().flat_map(|&id| this.table.bytes[id as usize].iter().copied()).collect();
        if text == b" \n" {
            this.newline_prefix = Some(newline);
        }
        Ok(this)
    }

    /// Takes the BOS and EOS tokens from a `tokenizer_config.json`; the chat template reads them.
    pub fn apply_config(&mut self, json: &[u8], path: &Path) -> Result<(), ModelError> {
        let value: serde_json::Value = serde_json::from_slice(json).map_err(|e| ModelError::File {
            path: path.into(),
            what: format!("not valid JSON: {e}"),
            remedy: "fetch the file again".into(),
        })?;
        let token = |name: &str| match &value[name] {
            serde_json::Value::String(s) => Some(s.clone()),
            other => other["content"].as_str().map(str::to_owned),
        };
        self.set_special(token("bos_token"), token("eos_token"));
        Ok(())
    }

    /// Names the tokens that begin and end a text.
    pub fn set_special(&mut self, bos: Option<String>, eos: Option<String>) {
        (self.bos, self.eos) = (bos, eos);
    }

    /// The token that begins a text, where the files name one.
    pub fn bos(&self) -> Option<&str> {
        self.bos.as_deref()
    }

    /// The token that ends a text, where the files name one.
    pub fn eos(&self) -> Option<&str> {
        self.eos.as_deref()
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.table.bytes.len()
    }

    /// Id of the token that is written so in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// How the token `id` is written in text; bytes that are no characters become U+FFFD.
    pub fn token(&self, id: u32) -> Option<String> {
        self.table.bytes.get(id as usize).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Whether `id` is a special token, which is no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.table.special.get(id as usize).copied().unwrap_or(false)
    }

    /// Hash of vocabulary and merges, 16 hex digits: equal for tokenizers that read the same ids, whatever file they come from.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The `tokenizer.json` of this tokenizer.
    pub fn to_json(&self) -> Result<String, ModelError> {
        self.inner.to_string(true).map_err(|e| ModelError::Input(format!("the tokenizer cannot be written: {e}")))
    }

    /// Checks that the model has an embedding for every id. `path` is the tokenizer's file.
    pub fn check_fits(&self, config: &Config, path: &Path) -> Result<(), ModelError> {
        if self.vocab_size() <= config.vocab_size {
            return Ok(());
        }
        Err(ModelError::File {
            path: path.into(),
            what: format!("the tokenizer has ids up to {}, the model only {} embeddings", self.vocab_size() - 1, config.vocab_size),
            remedy: "take the tokenizer that belongs to the model".into(),
        })
    }

    /// Token ids of `text` as a whole. With `add_special` the tokenizer's own BOS or EOS are added, but no second BOS where `text` begins with one
    /// (a rendered chat template does). Special tokens written out in `text` become their ids.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Encoded, ModelError> {
        let encoding = guarded(|| self.inner.encode_fast(text, add_special))?;
        let mut ids = encoding.get_ids().to_vec();
        let mut added: Vec<bool> = encoding.get_special_tokens_mask().iter().map(|&m| m == 1).collect();
        if ids.len() > 1 && ids[0] == ids[1] && added[0] && self.bos.as_deref().and_then(|b| self.id(b)).is_none_or(|b| b == ids[0]) {
            ids.remove(0);
            added.remove(0);
        }
        let spans = match self.spans(&ids, &added, text) {
            Some(spans) => spans,
            None => self.spans_by_offsets(&ids, text, add_special)?,
        };
        Ok(Encoded { ids, spans })
    }

    /// Token ids of one line, with its newline where it has one, encoded by itself: no BOS, and no space before the text that the text does not have.
    pub fn encode_line(&self, line: &str) -> Result<Encoded, ModelError> {
        if let Some(prefix) = &self.newline_prefix {
            let ids = self.ids(&format!("\n{line}"), false)?;
            if let Some(rest) = ids.strip_prefix(&prefix[..])
                && let Some(spans) = self.spans(rest, &vec![false; rest.len()], line)
            {
                return Ok(Encoded { ids: rest.to_vec(), spans });
            }
        }
        self.encode(line, false)
    }

    /// What `encode` makes of `text`, or of a beginning of it that has more than `room` tokens; the first `room` are those of the whole text. So what does not
    /// fit a context is not tokenised.
    pub fn within(&self, text: &str, room: usize, encode: impl Fn(&str) -> Result<Encoded, ModelError>) -> Result<Encoded, ModelError> {
        let mut bytes = room.saturating_mul(USUAL).saturating_add(LEAST);
        while bytes < text.len() {
            let end = (0..=bytes).rev().find(|&i| text.is_char_boundary(i)).unwrap_or_default();
            let encoded = encode(&text[..end])?;
            if encoded.ids.len() > room.saturating_add(SEAM) {
                return Ok(encoded);
            }
            bytes = bytes.saturating_mul(2);
        }
        encode(text)
    }

    /// Token ids of `text` where it follows `before`, whose ids are `ids`: those that a tokenizer gives to both in one, so that `.` and a blank line after
    /// it are one token where the model has one for them. Where a token would reach over the seam, those of `text` by itself.
    pub fn encode_after(&self, before: &str, ids: &[u32], text: &str) -> Result<Encoded, ModelError> {
        for add_special in [true, false] {
            let both = self.encode(&format!("{before}{text}"), add_special)?;
            let Some(rest) = both.ids.strip_prefix(ids) else { continue };
            let spans = &both.spans[ids.len()..];
            if spans.first().is_none_or(|s| s.start == before.len()) && rest.is_empty() == text.is_empty() {
                let spans = spans.iter().map(|s| Span::new(s.start - before.len(), s.end - before.len())).collect();
                return Ok(Encoded { ids: rest.to_vec(), spans });
            }
        }
        self.encode_line(text)
    }

    /// The canonical tokens of a candidate's text, for scoring: every line by itself, so that text tokenised as it grows has the same ids as text
    /// tokenised whole.
    pub fn encode_lines(&self, text: &str) -> Result<Encoded, ModelError> {
        let mut all = Encoded::default();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let Encoded { ids, spans } = self.encode_line(line)?;
            all.ids.extend(ids);
            all.spans.extend(spans.into_iter().map(|s| Span::new(s.start + start, s.end + start)));
            start += line.len();
        }
        Ok(all)
    }

    /// The one framing of a problem for models without chat template: the problem and a newline, its lines encoded one by one.
    pub fn frame_problem(&self, problem: &str) -> Result<Encoded, ModelError> {
        self.encode_lines(&crate::model::prompt(None, problem)?)
    }

    /// The one framing of a completion, whoever wrote it: its lines encoded one by one, and the end token.
    pub fn frame_completion(&self, end: u32, text: &str) -> Result<Vec<u32>, ModelError> {
        let mut ids = self.encode_lines(text)?.ids;
        ids.push(end);
        Ok(ids)
    }

    /// The text of `ids` as it streams, and the bytes of each in it; a special token owns none.
    pub fn decode_spans(&self, ids: &[u32]) -> (String, Vec<Span>) {
        let (mut stream, mut text) = (self.stream(), String::new());
        let mut push = |&id: &u32| {
            let piece = stream.push(id);
            text.push_str(&piece.text);
            piece.span
        };
        let spans = ids.iter().map(&mut push).collect();
        text.push_str(&stream.finish());
        (text, spans)
    }

    /// The text of `ids`, special tokens left out; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = self.stream();
        let mut text: String = ids.iter().map(|&id| stream.push(id).text).collect();
        text.push_str(&stream.finish());
        text
    }

    /// A decoder for ids that come one by one.
    pub fn stream(&self) -> StreamDecoder {
        StreamDecoder { table: self.table.clone(), pending: Vec::new(), written: 0 }
    }

    fn ids(&self, text: &str, add_special: bool) -> Result<Vec<u32>, ModelError> {
        Ok(guarded(|| self.inner.encode_fast(text, add_special))?.get_ids().to_vec())
    }

    /// Spans from the tokens' bytes; `None` where these do not give the text (a normalizer changed it). `added`: the token is not in the text.
    fn spans(&self, ids: &[u32], added: &[bool], text: &str) -> Option<Vec<Span>> {
        let first = ids.iter().zip(added).find(|(_, a)| !**a).map_or(0, |(&id, _)| id);
        let skip = usize::from(!text.starts_with(' ') && self.table.bytes.get(first as usize)?.starts_with(b" "));
        let (mut spans, mut seen, mut whole) = (Vec::with_capacity(ids.len()), 0, 0);
        let mut at = 0;
        let bytes = text.as_bytes();
        for (&id, &added) in ids.iter().zip(added) {
            if !added {
                let mut token = &self.table.bytes.get(id as usize)?[..];
                if seen == 0 && skip == 1 && !token.is_empty() {
                    token = &token[1..];
                    seen = 1;
                } else if !token.is_empty() {
                    seen = 1;
                }
                if bytes.get(at..at + token.len())? != token {
                    return None;
                }
                at += token.len();
            }
            let start = whole;
            whole = (start..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(start);
            spans.push(Span::new(start, whole));
        }
        (at == bytes.len()).then_some(spans)
    }

    /// Spans from the tokenizer's own offsets, made to be in order and not to overlap.
    fn spans_by_offsets(&self, ids: &[u32], text: &str, add_special: bool) -> Result<Vec<Span>, ModelError> {
        let encoding = guarded(|| self.inner.encode(text, add_special))?;
        let offsets = encoding.get_offsets();
        let offsets = &offsets[offsets.len().saturating_sub(ids.len())..];
        let mut end = 0;
        let mut spans = Vec::with_capacity(ids.len());
        for (i, o) in offsets.iter().enumerate() {
            let start = end;
            if offsets.get(i + 1) != Some(o) || i + 1 == offsets.len() {
                end = o.1.clamp(start, text.len());
            }
            spans.push(Span::new(start, end));
        }
        if let Some(last) = spans.last_mut() {
            last.end = text.len();
        }
        Ok(spans)
    }

    /// Trains a byte-level BPE tokenizer of `vocab_size` ids on `corpus`: [`PAD_TOKEN`] 0, [`END_TOKEN`] 1, the 256 bytes, then merges.
    ///
    /// Every digit and every newline is a token of its own. Errors where `vocab_size` is below 258. The same corpus gives the same tokenizer.
    pub fn train_bpe<S: AsRef<str> + Send>(corpus: impl Iterator<Item = S> + Send, vocab_size: usize) -> Result<Self, ModelError> {
        if vocab_size < 258 {
            return Err(ModelError::Input(format!("a vocabulary of {vocab_size} is too small: 256 bytes and 2 special tokens need 258")));
        }
        let fail = |e: tokenizers::Error| ModelError::Input(format!("the tokenizer cannot be trained: {e}"));
        let newline = Split::new(SplitPattern::String("\n".into()), SplitDelimiterBehavior::Isolated, false).map_err(fail)?;
        let parts: Vec<PreTokenizerWrapper> = vec![newline.into(), Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
        let mut inner = Tokenizer::new(BPE::default());
        inner.with_pre_tokenizer(Some(Sequence::new(parts)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        let alphabet: HashSet<char> = ByteLevel::alphabet().into_iter().collect();
        let special = vec![AddedToken::from(PAD_TOKEN, true), AddedToken::from(END_TOKEN, true)];
        let trainer = BpeTrainer::builder().vocab_size(vocab_size).min_frequency(2).show_progress(false);
        let trainer = trainer.initial_alphabet(alphabet).special_tokens(special).build();
        inner.train(&mut TrainerWrapper::from(trainer), corpus).map_err(fail)?;
        let mut this = Self::new(inner, Path::new("tokenizer.json"))?;
        this.set_special(None, Some(END_TOKEN.into()));
        Ok(this)
    }
}

/// Turns ids into text as they come, whole characters only.
#[derive(Clone, Debug)]
pub struct StreamDecoder {
    table: Arc<ByteTable>,
    /// Bytes of a character that is not whole yet.
    pending: Vec<u8>,
    /// Bytes given out.
    written: usize,
}

/// What a token added to the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The new text, empty while a character is not whole.
    pub text: String,
    /// Its bytes in all the text of the stream, empty while a character is not whole.
    pub span: Span,
}

impl StreamDecoder {
    /// Takes the next id. Bytes that can no longer become a character turn into U+FFFD; special tokens and unknown ids are no text.
    pub fn push(&mut self, id: u32) -> Decoded {
        if let Some(bytes) = self.table.bytes.get(id as usize)
            && !self.table.special[id as usize]
        {
            self.pending.extend_from_slice(bytes);
        }
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.pending.clear();
                    break;
                }
                Err(e) => {
                    let whole = e.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[..whole]));
                    let Some(bad) = e.error_len() else {
                        self.pending.drain(..whole);
                        break;
                    };
                    text.push('\u{fffd}');
                    self.pending.drain(..whole + bad);
                }
            }
        }
        self.take(text)
    }

    /// Ends the stream: what was pending becomes U+FFFD. Nothing where the text ended with a whole character.
    pub fn finish(&mut self) -> String {
        let left = std::mem::take(&mut self.pending);
        self.take(String::from_utf8_lossy(&left).into_owned()).text
    }

    fn take(&mut self, text: String) -> Decoded {
        let start = self.written;
        self.written += text.len();
        Decoded { text, span: Span::new(start, self.written) }
    }
}

/// Encodes; a tokenizer that panics on a text, as one does whose normalizer makes more of it than it counts, is a damaged file's.
fn guarded<T>(encode: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, ModelError> {
    let damaged = || ModelError::Input("the model's tokenizer.json is damaged: it fails on this text; fetch the file again".into());
    foreign::call(encode).ok_or_else(damaged)?.map_err(cannot)
}

fn cannot(e: tokenizers::Error) -> ModelError {
    ModelError::Input(format!("the text cannot be tokenised: {e}"))
}

/// Bytes of a token of byte-level BPE, whose vocabulary writes each byte as a character of its own; other characters stand for themselves.
fn byte_level_bytes(token: &str) -> Vec<u8> {
    let byte = |c: char| match c as u32 {
        n @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(n as u8),
        n @ 0x100..=0x120 => Some((n - 0x100) as u8),
        n @ 0x121..=0x142 => Some((n - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    };
    token.chars().map(byte).collect::<Option<Vec<u8>>>().unwrap_or_else(|| token.as_bytes().to_vec())
}

/// Bytes of a SentencePiece piece: `▁` is a space, `<0x0A>` a byte where the decoder falls back to bytes.
fn piece_bytes(token: &str, byte_fallback: bool) -> Vec<u8> {
    let hex = token.strip_prefix("<0x").and_then(|t| t.strip_suffix('>')).filter(|h| byte_fallback && h.len() == 2);
    match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
        Some(b) => vec![b],
        None => token.replace('▁', " ").into_bytes(),
    }
}

/// FNV-1a over the vocabulary, which is sorted by id, then the merges by rank.
fn fingerprint(inner: &Tokenizer, vocab: &[(u32, String)]) -> String {
    let mut hash = fnv1a([]);
    let mut feed = |bytes: &[u8]| hash = fnv1a_on(hash, bytes.iter().chain(&[0xff]).copied());
    for (id, token) in vocab {
        feed(&id.to_le_bytes());
        feed(token.as_bytes());
    }
    let model = serde_json::to_value(inner.get_model()).unwrap_or_default();
    for merge in model["merges"].as_array().into_iter().flatten() {
        match merge {
            serde_json::Value::Array(pair) => pair.iter().filter_map(|p| p.as_str()).for_each(|p| feed(p.as_bytes())),
            other => other.as_str().into_iter().flat_map(|m| m.split(' ')).for_each(|p| feed(p.as_bytes())),
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<String> {
        (0..200).map(|i| format!("Ada has {i} apples and buys {} more.\n\nSo {i} + 12 = {}\n#### 7\n", i * 3, i + 12)).collect()
    }

    fn trained() -> TextTokenizer {
        TextTokenizer::train_bpe(corpus().into_iter(), 280).unwrap()
    }

    #[test]
    fn trained_tokens_keep_digits_and_newlines_apart() {
        let t = trained();
        assert_eq!((t.vocab_size(), t.id(PAD_TOKEN), t.id(END_TOKEN)), (280, Some(0), Some(1)));
        for id in 2..280 {
            let bytes = &t.table.bytes[id];
            assert!(bytes.len() == 1 || !bytes.iter().any(|b| b.is_ascii_digit() || *b == b'\n'), "{:?}", String::from_utf8_lossy(bytes));
        }
        let again = TextTokenizer::from_bytes(t.to_json().unwrap().as_bytes(), Path::new("t")).unwrap();
        assert_eq!(again.fingerprint(), t.fingerprint());
        assert_eq!(again.fingerprint(), trained().fingerprint());
        let other = TextTokenizer::train_bpe(corpus().into_iter(), 279).unwrap();
        assert_ne!(other.fingerprint(), t.fingerprint());
        assert!(TextTokenizer::train_bpe(corpus().into_iter(), 100).err().unwrap().to_string().contains("258"));
    }

    #[test]
    fn spans_tile_the_text_and_wait_for_whole_characters() {
        let t = trained();
        let text = "Ada 🦀 buys 日本 12\n\n é";
        let e = t.encode(text, false).unwrap();
        assert_eq!(e.spans.iter().map(|s| s.of(text)).collect::<String>(), text);
        assert!(e.spans.windows(2).all(|w| w[0].end == w[1].start));
        let crab: Vec<usize> = e.spans.iter().filter(|s| (4..8).contains(&s.start)).map(|s| s.len()).collect();
        assert_eq!(crab[crab.len() - 1], 4);
        assert!(crab[..crab.len() - 1].iter().all(|&n| n == 0), "{crab:?}");
    }

    #[test]
    fn streamed_text_equals_decoded_text_for_any_ids() {
        let t = trained();
        let mut state = 9u64;
        for round in 0..300 {
            let ids: Vec<u32> = (0..40)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let n = (state >> 33) as u32;
                    if round % 2 == 0 { n % 290 } else { 2 + n % 256 }
                })
                .collect();
            let mut s = t.stream();
            let (mut text, mut end) = (String::new(), 0);
            for &id in &ids {
                let d = s.push(id);
                assert_eq!((d.span.start, d.span.len()), (end, d.text.len()));
                end = d.span.end;
                text.push_str(&d.text);
            }
            text.push_str(&s.finish());
            assert_eq!(text, t.inner.decode(&ids, true).unwrap());
            assert_eq!(text, t.decode(&ids));
        }
    }

    #[test]
    fn lines_give_the_same_ids_whole_or_growing() {
        let t = trained();
        let text = "Ada has 12\n\n  So 3 + 4 = 7\nend";
        let whole = t.encode_lines(text).unwrap();
        let mut ids = Vec::new();
        for line in text.split_inclusive('\n') {
            ids.extend(t.encode_line(line).unwrap().ids);
        }
        assert_eq!(whole.ids, ids);
        assert_eq!(whole.spans.iter().map(|s| s.of(text)).collect::<String>(), text);
        assert_eq!(t.decode(&whole.ids), text);
    }

    #[test]
    fn no_more_is_tokenised_than_there_is_room_for() {
        let t = TextTokenizer::train_bpe(["how many apples are there"; 40].into_iter(), 300).unwrap();
        for text in ["how many apples are there ".repeat(20_000), "x".repeat(400_000), "é\n".repeat(100_000)] {
            let whole = t.encode_lines(&text).unwrap();
            for room in [0, 1, 700] {
                let longest = std::cell::Cell::new(0);
                let part = t.within(&text, room, |part| {
                    longest.set(longest.get().max(part.len()));
                    t.encode_lines(part)
                });
                let part = part.unwrap();
                assert!(part.ids.len() > room && part.ids[..room] == whole.ids[..room] && part.spans[..room] == whole.spans[..room]);
                assert!(longest.get() < text.len() / 4, "{room} {}", longest.get());
            }
            assert_eq!(t.within(&text, whole.ids.len(), |part| t.encode_lines(part)).unwrap(), whole);
        }
    }

    #[test]
    fn a_tokenizer_that_panics_on_a_text_is_damaged() {
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "post_processor": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "aaaa"},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "vocab": {"a": 0, "b": 1}, "merges": []}
        });
        let tokenizer = TextTokenizer::from_bytes(json.to_string().as_bytes(), Path::new("tokenizer.json")).unwrap();
        let error = tokenizer.encode("bbb!", true).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    }

    /// A SentencePiece-like tokenizer with byte fallback and a space put before every text, as Llama 2 has it.
    fn pieces() -> TextTokenizer {
        let special = ["<unk>", "<s>", "</s>"];
        let mut vocab = serde_json::json!({"<unk>": 0, "<s>": 1, "</s>": 2});
        for b in 0..256 {
            vocab[format!("<0x{b:02X}>")] = (3 + b).into();
        }
        for (i, p) in ["▁", "a", "b", "c", "ab", "▁c", "▁ab"].iter().enumerate() {
            vocab[*p] = (259 + i).into();
        }
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": (0..3).map(|i| serde_json::json!({"id": i, "content": special[i], "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false, "special": true})).collect::<Vec<_>>(),
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
            "pre_tokenizer": null,
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": [["a", "b"], ["▁", "c"], ["▁", "ab"]]}
        });
        TextTokenizer::from_bytes(json.to_string().as_bytes(), Path::new("tokenizer.json")).unwrap()
    }

    #[test]
    fn byte_fallback_and_the_space_before_the_text() {
        let t = pieces();
        let text = "ab c🦀\nc";
        let e = t.encode(text, true).unwrap();
        assert_eq!(e.ids[..3], [1, 265, 264]);
        assert_eq!(e.spans[..3], [Span::new(0, 0), Span::new(0, 2), Span::new(2, 4)]);
        assert_eq!(e.spans.iter().map(|s| s.of(text)).collect::<String>(), text);
        assert_eq!(t.decode(&e.ids), format!(" {text}"));
        let line = t.encode_line("c\n").unwrap();
        assert_eq!(line.ids, [262, 3 + 10]);
        assert_eq!(t.decode(&t.encode_lines(text).unwrap().ids), text);
    }

    #[test]
    fn what_follows_a_prompt_is_read_as_one_text_with_it() {
        // One piece for a full stop and a blank line, as Qwen has it, and one for a line's end with what follows it.
        let vocab = serde_json::json!({"a": 0, "b": 1, ".": 2, "Ċ": 3, ".Ċ": 4, ".ĊĊ": 5, "Ġ": 6, "Ċb": 7});
        let bytes =
            |regex: bool| serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "post_processor": null,
            "pre_tokenizer": bytes(false), "decoder": bytes(true),
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [[".", "Ċ"], [".Ċ", "Ċ"], ["Ċ", "b"]]}
        });
        let t = TextTokenizer::from_bytes(json.to_string().as_bytes(), Path::new("tokenizer.json")).unwrap();
        let after = |before: &str, text: &str| {
            let prompt = t.encode(before, true).unwrap().ids;
            t.encode_after(before, &prompt, text).unwrap()
        };
        let e = after("a ", "a.\n\na");
        assert_eq!(e.ids, [0, 5, 0]);
        assert_eq!(e.spans, [Span::new(0, 1), Span::new(1, 4), Span::new(4, 5)]);
        assert_eq!(t.encode_lines("a.\n\na").unwrap().ids, [0, 4, 3, 0], "line by line, as rewards are trained");
        // A token over the seam: the text by itself.
        assert_eq!(after("a\n", "b").ids, [1]);
        assert_eq!(after("a\n", "").ids, [0; 0]);
        // A space before every text, also where the text goes on.
        let p = pieces();
        let prompt = p.encode("ab\n", true).unwrap().ids;
        let e = p.encode_after("ab\n", &prompt, "c ab\nc").unwrap();
        assert_eq!((e.ids, e.spans.len()), (vec![262, 265, 3 + 10, 262], 4));
    }

    #[test]
    fn bytes_are_bytes_though_the_decoder_does_not_know_them() {
        let metaspace = serde_json::json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "post_processor": null,
            "pre_tokenizer": metaspace, "decoder": metaspace,
            "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
                "byte_fallback": true, "vocab": {"<unk>": 0, "▁": 1, "a": 2, "b": 3, "▁a": 4, "<0x0A>": 5}, "merges": [["▁", "a"]]}
        });
        let t = TextTokenizer::from_bytes(json.to_string().as_bytes(), Path::new("tokenizer.json")).unwrap();
        assert_eq!(t.decode(&[4, 5, 3]), " a\nb");
        // Without it the second line began with a space that it does not have.
        assert_eq!(t.encode_lines("a\nb").unwrap().ids, [2, 5, 3]);
    }

    #[test]
    fn no_second_bos() {
        let t = pieces();
        let once = t.encode("ab", true).unwrap().ids;
        let e = t.encode("<s>ab", true).unwrap();
        assert_eq!(e.ids.iter().filter(|&&i| i == 1).count(), 1, "{:?} {once:?}", e.ids);
        assert_eq!(e.spans[0], Span::new(0, 3));
    }

    #[test]
    fn a_tokenizer_that_does_not_fit_or_is_no_tokenizer_is_refused() {
        let t = trained();
        let config = Config { vocab_size: 279, ..crate::model::parse_config(
            br#"{"model_type":"llama","vocab_size":1,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1}"#,
            None, Path::new("c")).unwrap() };
        let e = t.check_fits(&config, Path::new("tokenizer.json")).unwrap_err().to_string();
        assert!(e.contains("ids up to 279") && e.contains("279 embeddings"), "{e}");
        let e = TextTokenizer::from_bytes(b"{}", Path::new("m/tokenizer.json")).err().unwrap().to_string();
        assert!(e.contains("m/tokenizer.json") && e.contains("not a valid"), "{e}");
    }

    #[test]
    fn a_damaged_tokenizer_is_told_as_one() {
        let good = |z: u64| {
            serde_json::json!({
                "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
                "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
                "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
                "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "\u{10a}": 2, "z": z }, "merges": [] },
            })
            .to_string()
        };
        let read = |json: &str| TextTokenizer::from_bytes(json.as_bytes(), Path::new("t.json")).map_err(|e| e.to_string());
        assert!(read(&good(3)).is_ok());
        for id in [u64::from(u32::MAX), 200_000_000] {
            let error = read(&good(id)).err().unwrap_or_default();
            assert!(error.contains("\"z\" has the id") && error.contains("t.json"), "{error}");
        }
        // Upstream's reader panics on this one.
        let error = read("{\"decoder\": {\"type\" \"ByteLevel\"}}").err().unwrap_or_default();
        assert!(error.contains("not a valid tokenizer.json"), "{error}");
    }

    #[test]
    fn of_two_tokens_with_one_id_the_same_is_taken_every_time() {
        let json = r#"{"version":"1.0","model":{"type":"BPE","vocab":{"a":0,"b":0,"c":0,"d":0},"merges":[]},
            "decoder":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}}"#;
        for _ in 0..20 {
            assert_eq!(TextTokenizer::from_bytes(json.as_bytes(), Path::new("t")).unwrap().decode(&[0]), "d");
        }
    }
}
