//! What a server of rewards answers, this program's own kind: the same bytes as its list of models and as its scores. The first byte says whether the rest is a
//! whole answer, or the body of a good one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::reward::{Piece, RewardModel, Said, ServedAt, ServedReward};
use reasonscope::trace::{Span, Values};
use reasonscope_fuzz::{check_span, server::Answers};
use std::sync::OnceLock;
use std::time::Duration;

/// Longest wait for the next word of the server.
const PATIENCE: Duration = Duration::from_secs(3);
const JSON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
const TEXT: &str = "One \u{e9}.\nTwo.";

fuzz_target!(|data: &[u8]| {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    let answers = ANSWERS.get_or_init(Answers::start);
    let Some((&how, rest)) = data.split_first() else { return };
    // An answer that asks for another try is waited for; the way there is that of policies, which `server` reads.
    let head: &[u8] = if how % 8 == 0 && rest.starts_with(b"HTTP/1.1 200") { b"" } else { JSON };
    answers.set([head, rest].concat());
    let at = ServedAt { url: format!("{}/score", answers.root()), model: (how % 2 == 1).then(|| "m".into()) };
    let Ok(mut model) = ServedReward::open(&at, None, None, PATIENCE).map_err(|e| e.to_string()) else { return };
    let steps = [Span::new(0, 7), Span::new(8, 12)];
    let piece = |finished| Piece { candidate: 0, text: TEXT, tokens: &[], new: 0..TEXT.len(), finished, cut_short: false, steps: &steps };
    model.begin("How many?", 1).expect("a problem is kept");
    let Ok(scored) = model.append(&[piece(true)]).map_err(|e| e.to_string()) else { return };
    for one in scored {
        assert_eq!(one.candidate, 0);
        match one.said {
            Said::Judged { values: Values::Tokens(tokens), .. } => tokens.iter().for_each(|t| check_span(t.span, TEXT)),
            Said::Judged { values: Values::Steps(values), .. } => assert_eq!(values.len(), steps.len()),
            _ => {}
        }
    }
    let _ = model.domain(0).map(|d| (d.is_outside(), d.why()));
});
