//! Times of day.

use super::super::answer::Answer;
use super::super::slices::is_words;
use super::super::text::token::{Lexeme, Op, Token};

/// Which half of the day words say.
fn half(all: &[Lexeme]) -> Option<Option<bool>> {
    let words: String = all.iter().filter(|l| !matches!(l.token, Token::Dot)).map(Lexeme::spelling).collect::<Vec<_>>().join(" ");
    match words.as_str() {
        "" => Some(None),
        "am" | "in the morning" => Some(Some(false)),
        "pm" | "in the afternoon" | "in the evening" | "at night" => Some(Some(true)),
        _ => None,
    }
}

/// `6:15 p.m.`
pub(super) fn clock(all: &[Lexeme]) -> Option<Answer> {
    let [Lexeme { token: Token::Number(hours, h), .. }, colon, Lexeme { token: Token::Number(minutes, m), .. }, rest @ ..] = all else {
        return None;
    };
    let digits = |raw: &str, len: std::ops::RangeInclusive<usize>| len.contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_digit());
    if !matches!(colon.token, Token::Op(Op::Colon)) || !digits(h, 1..=2) || !digits(m, 2..=2) || hours.value > 24.0 || minutes.value > 59.0
    {
        return None;
    }
    Some(time(hours.value as u32 * 60 + minutes.value as u32, half(rest)?))
}

/// `6 p.m.`
pub(super) fn hour(all: &[Lexeme]) -> Option<Answer> {
    match all {
        [Lexeme { token: Token::Number(hours, _), .. }, rest @ ..] if (1.0..=12.0).contains(&hours.value) && hours.decimals == Some(0) => {
            half(rest)?.map(|half| time(hours.value as u32 * 60, Some(half)))
        }
        _ if is_words(all, &["noon"]) => Some(Answer::Clock(0, Some(true))),
        _ if is_words(all, &["midnight"]) => Some(Answer::Clock(0, Some(false))),
        _ => None,
    }
}

fn time(minutes: u32, half: Option<bool>) -> Answer {
    let minutes = if half.is_some() && minutes < 13 * 60 { minutes % 720 } else { minutes % 1440 };
    if minutes >= 780 { Answer::Clock(minutes - 720, Some(true)) } else { Answer::Clock(minutes, half) }
}
