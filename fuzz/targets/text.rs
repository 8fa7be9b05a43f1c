//! Text of models: what reaches a terminal, its steps, its rows on a screen and its colours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::trace::{SafeText, Segmentation, Segmenter, Span, sanitize, segment};
use reasonscope::tui::{WrapCache, highlight};
use reasonscope_fuzz::{check_span, check_steps, is_raw};

/// The characters of a text in pieces of a few bytes each, as far as each piece reaches.
fn ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    let size = 1 + text.len() % 7;
    (size..text.len()).step_by(size).filter(|&end| text.is_char_boundary(end))
}

fn safe(text: &str) {
    let shown = sanitize(text);
    assert!(!shown.contains(is_raw), "{shown:?}");
    assert_eq!(sanitize(&shown), shown, "what is safe is left alone");
    let (safe, ascii) = (SafeText::new(text, false), SafeText::new(text, true));
    assert_eq!(safe.text, shown);
    assert!(!ascii.text.contains(is_raw));
    let mut before = 0;
    for (at, c) in text.char_indices() {
        let display = safe.to_display(at);
        assert!(display >= before && safe.text.is_char_boundary(display), "byte {at} is shown at {display}, after {before}");
        before = display;
        check_span(safe.display_span(Span::new(at, at + c.len_utf8())), &safe.text);
    }
    let places: Vec<usize> = safe.text.char_indices().map(|(at, _)| safe.to_source(at)).collect();
    assert!(places.is_sorted() && places.iter().all(|&at| text.is_char_boundary(at)));
}

fn steps(text: &str) {
    use Segmentation::{Auto, BlankLine, Line, Sentence, Separator, StepMarker};
    for how in [Auto, BlankLine, Line, Sentence, StepMarker, Separator("\n\n".into()), Separator("ки".into())] {
        let whole = segment(text, &how);
        check_steps(&whole, text);
        let mut segmenter = Segmenter::new(how.clone());
        let mut streamed = Vec::new();
        for end in ends(text) {
            streamed.extend(segmenter.push(&text[..end]));
            segmenter.open().into_iter().for_each(|step| check_span(step.span, &text[..end]));
        }
        streamed.extend(segmenter.push(text));
        streamed.extend(segmenter.finish(text));
        assert_eq!(streamed, whole, "{how:?}");
    }
}

fn rows(text: &str) {
    let how = Segmentation::Line;
    let steps = segment(text, &how);
    for width in [1, 7, 80] {
        let (mut whole, mut grown) = (WrapCache::default(), WrapCache::default());
        whole.update(text, &steps, width);
        for end in ends(text).step_by(3) {
            grown.update(&text[..end], &segment(&text[..end], &how), width);
        }
        grown.update(text, &steps, width);
        assert_eq!(grown.rows(), whole.rows(), "at width {width}");
        whole.rows().iter().for_each(|row| check_span(row.span, text));
        whole.code().iter().for_each(|block| check_span(*block, text));
    }
    let mut cache = WrapCache::default();
    cache.update(text, &steps, 80);
    let colours = highlight(text, cache.code());
    colours.iter().for_each(|(span, _)| check_span(*span, text));
    assert!(colours.is_sorted_by_key(|(span, _)| span.start));
}

fuzz_target!(|text: &str| {
    safe(text);
    steps(text);
    if text.len() <= 2000 {
        rows(text);
    }
});
