//! The one way to standard output and standard error. What is printed holds text from outside (names, keys, a server's words), so all of it is made
//! harmless for a terminal here, and secrets are taken out.

use crate::trace::sanitize;
use crate::util::{json, secret};
use anyhow::Result;
use std::io::Write;

/// Prints a message on standard error, as one line whatever it holds. Nothing can be said about a standard error that cannot be written.
pub fn tell(message: &str) {
    let _ = writeln!(std::io::stderr(), "{}", line(message));
}

/// Prints a record on standard error.
pub fn tell_record(record: &serde_json::Value) {
    let _ = writeln!(std::io::stderr(), "{}", record_line(&record.to_string()));
}

/// Prints text for people on standard output.
pub fn print(text: &str) -> Result<()> {
    write(&sanitize(&secret::hide(text)))
}

/// Prints JSON on standard output, and a line feed.
pub fn print_record(record: &serde_json::Value) -> Result<()> {
    write(&format!("{}\n", json::escaped(&record.to_string())))
}

/// Says what is wrong with a command line, or prints the help that it asks for.
pub fn usage(error: &clap::Error) {
    let text = error.to_string();
    // Help and the usual mistakes are printed as they are meant; one that repeats what could act on the terminal, or a line of somebody else's, as a line.
    let harmless = sanitize(&secret::hide(&text)) == text && !std::env::args_os().any(|a| a.to_string_lossy().contains(['\n', '\r']));
    // Help goes to standard output; its reader may have gone.
    let _ = if harmless { error.print() } else { writeln!(std::io::stderr(), "{}", line(&text)) };
}

/// Panics are told as messages are.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        tell(&format!("reasonscope: a fault in this program, please report it: thread {}: {info}", thread.name().unwrap_or("?")));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            let _ = write!(std::io::stderr(), "{}", sanitize(&trace.to_string()));
        }
    }));
}

/// A message as one line that is safe to print.
pub fn line(message: &str) -> String {
    let safe = secret::hide(message);
    let parts: Vec<&str> = safe.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect();
    sanitize(&parts.join(" ")).into_owned()
}

/// JSON text as one line that is safe to print.
fn record_line(record: &str) -> String {
    json::escaped(&secret::hide(record)).into_owned()
}

fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_harmless_line() {
        let hostile = "no \x1b]52;c;UFdORUQ=\x07file \u{9b}31m\u{202e}x\r\nreasonscope: all is well\n";
        let told = line(hostile);
        assert!(!told.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}', '\n', '\r']), "{told:?}");
        assert!(told.starts_with("no file") && told.ends_with("reasonscope: all is well"), "{told}");
    }

    #[test]
    fn a_record_stays_json() {
        let record = serde_json::json!({ "m": "a\u{9b}\u{202e}\x1b http://me:pw@h/" });
        let told = record_line(&record.to_string());
        assert!(told.is_ascii() && !told.contains("pw"), "{told}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap()["m"], "a\u{9b}\u{202e}\x1b http://h/");
    }
}
