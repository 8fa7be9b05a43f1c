//! The words of the stories: names, things, containers, and what they mean to the checker.

/// What a word of a solution line says beyond naming a person or a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What remains: `left`, `leaves`.
    Left,
    /// A difference or what is still missing: `more`, `difference`.
    More,
    /// A share: `each`.
    Each,
    /// What is sold or given away: `sells`, `gives`.
    Gone,
}

/// First names, and whether the story says `her` (else `his`).
pub(super) const NAMES: [(&str, bool); 24] = [
    ("Mia", true),
    ("Tom", false),
    ("Ann", true),
    ("Leo", false),
    ("Sara", true),
    ("Ben", false),
    ("Lily", true),
    ("Sam", false),
    ("Nora", true),
    ("Max", false),
    ("Emma", true),
    ("Jack", false),
    ("Rosa", true),
    ("Omar", false),
    ("Ivy", true),
    ("Paul", false),
    ("Zoe", true),
    ("Adam", false),
    ("Kate", true),
    ("Finn", false),
    ("Maya", true),
    ("Luke", false),
    ("Ella", true),
    ("Noah", false),
];

/// Things people have: plural and singular.
pub(super) const THINGS: [(&str, &str); 14] = [
    ("apples", "apple"),
    ("eggs", "egg"),
    ("books", "book"),
    ("pens", "pen"),
    ("stamps", "stamp"),
    ("cards", "card"),
    ("shells", "shell"),
    ("cookies", "cookie"),
    ("flowers", "flower"),
    ("balls", "ball"),
    ("coins", "coin"),
    ("toys", "toy"),
    ("candles", "candle"),
    ("oranges", "orange"),
];

/// What people keep things in.
pub(super) const HOLDERS: [(&str, &str); 4] = [("boxes", "box"), ("bags", "bag"), ("jars", "jar"), ("baskets", "basket")];

/// What things are packed into before they are sold.
pub(super) const PACKS: [(&str, &str); 3] = [("trays", "tray"), ("crates", "crate"), ("packs", "pack")];

/// What can be bought with the money.
pub(super) const GOODS: [(&str, &str); 4] = [("tickets", "ticket"), ("hats", "hat"), ("lamps", "lamp"), ("kites", "kite")];

/// Who receives what is given away.
pub(super) const RECEIVERS: [&str; 4] = ["the school", "the library", "a neighbor", "the market"];

/// What money is saved or spent for.
pub(super) const WANTS: [&str; 4] = ["a bike", "a tent", "a party", "a trip"];

/// Measures and other nouns that name the quantity of a line.
const MEASURES: [&str; 8] = ["dollars", "cents", "pages", "minutes", "hours", "days", "dozens", "work"];

/// Words of solution lines that name neither a person nor a thing.
const PLAIN: [&str; 42] = [
    "a", "after", "all", "and", "are", "away", "buy", "buys", "child", "earn", "earns", "fill", "fills", "for", "get", "gets", "has",
    "have", "hold", "in", "is", "need", "needs", "now", "number", "of", "pays", "read", "reads", "so", "sum", "take", "than", "that",
    "the", "these", "they", "to", "together", "total", "walk", "walks",
];

/// Plain words only the held-out phrasings use.
const PLAIN_UNSEEN: [&str; 6] = ["from", "makes", "them", "then", "with", "there"];

/// What a word of a line is to the checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Name(&'a str),
    Noun(&'a str),
    Role(Role),
    Plain,
    Unknown,
}

/// Classifies a word, without its punctuation. Capitals matter for names only.
pub(super) fn classify(word: &str) -> Word<'_> {
    if NAMES.iter().any(|(n, _)| *n == word) {
        return Word::Name(word);
    }
    let lower = word.to_ascii_lowercase();
    let role = match lower.as_str() {
        "left" | "leaves" | "remain" => Some(Role::Left),
        "more" | "difference" | "missing" => Some(Role::More),
        "each" | "every" => Some(Role::Each),
        "sells" | "sell" | "gives" | "give" => Some(Role::Gone),
        _ => None,
    };
    if let Some(role) = role {
        return Word::Role(role);
    }
    let things = THINGS.iter().chain(&HOLDERS).chain(&PACKS).chain(&GOODS).map(|(many, _)| *many);
    if let Some(noun) = things.chain(MEASURES).find(|n| *n == lower) {
        return Word::Noun(noun);
    }
    if PLAIN.contains(&lower.as_str()) || PLAIN_UNSEEN.contains(&lower.as_str()) { Word::Plain } else { Word::Unknown }
}
