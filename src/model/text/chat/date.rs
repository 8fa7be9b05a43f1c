//! The day that a template takes for today, written as Python's `strftime` writes it.

use super::methods::within;
use chrono::{Datelike, Local, NaiveDate, NaiveDateTime, NaiveTime};
use minijinja::{Error, ErrorKind};
use std::fmt::{self, Write};
use std::str::FromStr;

/// Bytes that one directive makes at most.
const WIDEST: usize = 32;

/// A day and a time of day, without time zone.
///
/// The default is midnight of 26 July 2024, the day that Llama 3's own template falls back to, so that a prompt is the same every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(NaiveDateTime);

impl Default for Moment {
    fn default() -> Self {
        Self(NaiveDate::from_ymd_opt(2024, 7, 26).unwrap_or_default().and_time(NaiveTime::MIN))
    }
}

impl Moment {
    /// This machine's day and time.
    pub fn now() -> Self {
        Self(Local::now().naive_local())
    }

    /// The moment as Python's `datetime.strftime` writes it in its C locale, a time without zone: `%z` and `%Z` write nothing, `%f` six digits, and what is
    /// no directive stays. The flags `-`, `_`, `0`, `^` and `#` of glibc are known.
    pub(super) fn strftime(&self, format: &str) -> Result<String, Error> {
        within(format.len().saturating_mul(WIDEST))?;
        let mut out = String::with_capacity(format.len() * 2);
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let flags = rest[1..].bytes().take_while(|b| b"-_0^#".contains(b)).count();
            let modifier = usize::from(matches!(rest.as_bytes().get(1 + flags), Some(b'E' | b'O')));
            let Some(letter) = rest[1 + flags + modifier..].chars().next() else { break };
            let whole = 1 + flags + modifier + letter.len_utf8();
            if !self.directive(&rest[1..1 + flags], letter, &mut out)? {
                out.push_str(&rest[..whole]);
            }
            rest = &rest[whole..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Writes one directive; `false` where there is none of this letter.
    fn directive(&self, flags: &str, letter: char, out: &mut String) -> Result<bool, Error> {
        let padding = flags.chars().rfind(|c| matches!(c, '-' | '_' | '0')).map_or_else(String::new, |c| c.to_string());
        let text = match letter {
            'z' | 'Z' => String::new(),
            'f' => format!("{:06}", self.0.and_utc().timestamp_subsec_micros()),
            // Python pads the year with nothing on Linux, chrono with zeros: they differ before the year 1000 alone.
            'Y' if self.0.year() >= 1000 && padding.is_empty() => self.0.year().to_string(),
            'a' | 'A' | 'w' | 'd' | 'b' | 'B' | 'm' | 'y' | 'Y' | 'H' | 'I' | 'p' | 'M' | 'S' | 'j' | 'U' | 'W' | 'c' | 'x' | 'X' | 'G'
            | 'u' | 'V' | 'e' | 'D' | 'F' | 'T' | 'R' | 'n' | 't' | 'h' | 'C' | 'k' | 'l' | 's' | 'P' | 'r' | 'g' | '%' => {
                let mut text = String::new();
                let format = format!("%{padding}{letter}");
                write!(text, "{}", self.0.format(&format))
                    .or_else(|_| {
                        text.clear();
                        write!(text, "{}", self.0.format(&format!("%{letter}")))
                    })
                    .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: %{letter} is no date")))?;
                text
            }
            _ => return Ok(false),
        };
        match flags.contains('^') {
            true => out.push_str(&text.to_uppercase()),
            false => out.push_str(&text),
        }
        Ok(true)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.0.time() == NaiveTime::MIN { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%S" };
        write!(f, "{}", self.0.format(format))
    }
}

impl FromStr for Moment {
    type Err = String;

    /// Reads `2026-01-31`, `2026-01-31T09:30`, `2026-01-31T09:30:00`, or `today`, which is the day and time on this machine.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "today" {
            return Ok(Self::now());
        }
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN));
        let times = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"].iter().find_map(|f| NaiveDateTime::parse_from_str(text, f).ok());
        times
            .or(day.ok())
            .filter(|m| (1..=9999).contains(&m.year()))
            .map(Self)
            .ok_or_else(|| "write a day as 2026-01-31, a day and a time as 2026-01-31T09:30, or today".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_written_as_python_writes_them() {
        let moment: Moment = "2026-02-03T15:04:05".parse().unwrap();
        let written = |format: &str| moment.strftime(format).unwrap();
        // What `datetime(2026, 2, 3, 15, 4, 5).strftime` gives, one by one.
        for (format, python) in [
            ("%d %b %Y", "03 Feb 2026"),
            ("%B %d, %Y", "February 03, 2026"),
            ("%A, %-d %B %y", "Tuesday, 3 February 26"),
            ("%Y-%m-%d", "2026-02-03"),
            ("%H:%M:%S.%f", "15:04:05.000000"),
            ("%I:%M %p", "03:04 PM"),
            ("%j %U %W %w %u", "034 05 05 2 2"),
            ("%c|%x|%X", "Tue Feb  3 15:04:05 2026|02/03/26|15:04:05"),
            ("%G-W%V", "2026-W06"),
            ("%D %F %T %R %e", "02/03/26 2026-02-03 15:04:05 15:04  3"),
            ("[%z%Z]", "[]"),
            ("100%% %^b %", "100% FEB %"),
            ("%Q %é", "%Q %é"),
            ("%-I %_d", "3  3"),
        ] {
            assert_eq!(written(format), python, "{format}");
        }
        assert!(moment.strftime(&"%c".repeat(2 << 20)).is_err(), "as long a text as a template may make");
    }

    #[test]
    fn moments_are_read_and_shown() {
        let shown = |text: &str| text.parse::<Moment>().map(|m| m.to_string());
        assert_eq!(shown("2026-01-31").as_deref(), Ok("2026-01-31"));
        assert_eq!(shown("2026-01-31T09:30").as_deref(), Ok("2026-01-31T09:30:00"));
        assert_eq!(Moment::default().to_string(), "2024-07-26");
        assert_eq!(Moment::default().strftime("%A %d %b %Y").unwrap(), "Friday 26 Jul 2024");
        for wrong in ["", "31.1.2026", "2026-02-30", "tomorrow", "2026-01-31T25:00", "99999-01-01"] {
            assert!(shown(wrong).unwrap_err().contains("2026-01-31"), "{wrong}");
        }
        assert_eq!(shown("today").unwrap().len(), "2026-01-31T09:30:00".len());
    }
}
