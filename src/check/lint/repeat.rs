//! Text that goes round in circles.

use std::collections::HashMap;

/// The non-blank line of at least `MIN_LINE` bytes that occurs most often, where it occurs at least three times.
pub(super) fn repeated_line(text: &str) -> Option<(&str, usize)> {
    const MIN_LINE: usize = 12;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut best: Option<(&str, usize)> = None;
    for line in text.lines().map(str::trim).filter(|l| l.len() >= MIN_LINE) {
        let n = counts.entry(line).or_default();
        *n += 1;
        if *n >= 3 && best.is_none_or(|(_, most)| *n > most) {
            best = Some((line, *n));
        }
    }
    best
}

/// The shortest unit that the end of the text repeats at least four times and over at least 60 bytes, with the number of times.
///
/// Looks at the last 4,096 bytes. Runs of one character (rules, dots) count only from 200 bytes on.
pub(super) fn loop_at_end(text: &str) -> Option<(String, usize)> {
    const WINDOW: usize = 4096;
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(WINDOW);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let tail = &text.as_bytes()[start..];
    // prefix function of the reversed tail: borders of every suffix, and so their periods
    let n = tail.len();
    let at = |i: usize| tail[n - 1 - i];
    let mut border = vec![0usize; n];
    let mut best: Option<(usize, usize)> = None;
    for i in 1..n {
        let mut k = border[i - 1];
        while k > 0 && at(i) != at(k) {
            k = border[k - 1];
        }
        border[i] = k + usize::from(at(i) == at(k));
        let (len, period) = (i + 1, i + 1 - border[i]);
        let enough = len >= 4 * period && len >= if period == 1 { 200 } else { 60 };
        if enough && best.is_none_or(|(l, p)| period == p || len > 2 * l) {
            best = Some((len, period));
        }
    }
    let (len, period) = best?;
    let unit = String::from_utf8_lossy(&tail[n - period..]).trim_matches('\u{FFFD}').to_owned();
    Some((unit, len / period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_with_their_unit() {
        let text = format!("A good start.\n{}", "I must check this. ".repeat(9));
        let (unit, times) = loop_at_end(&text).unwrap();
        assert!(times >= 8 && unit.len() == 19, "{unit:?} {times}");
        assert!(loop_at_end(&format!("x{}", "é 12, ".repeat(400))).is_some());
        assert!(loop_at_end(&"=".repeat(80)).is_none());
        assert!(loop_at_end(&"=".repeat(300)).is_some());
        assert!(
            loop_at_end("Natalia sold 48/2 = 24 clips in May. In total she sold 48 + 24 = 72. So 72 it is, as was to be shown here.")
                .is_none()
        );
        assert!(loop_at_end("").is_none());
    }

    #[test]
    fn lines_that_come_again_are_counted() {
        let text = "So the answer is 4.\na\nSo the answer is 4.\na\nSo the answer is 4. \na\n";
        assert_eq!(repeated_line(text), Some(("So the answer is 4.", 3)));
        assert_eq!(repeated_line("yes\nyes\nyes\nyes"), None);
    }
}
