//! Text in HTML.

/// Text for HTML and XML, also inside a quoted attribute. Control characters, which XML cannot hold but for line feeds and tabs, become spaces.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Checks that every tag that opens closes in order, and gives the text outside of tags.
    pub(crate) fn balanced(page: &str) -> Result<String, String> {
        const VOID: [&str; 3] = ["meta", "br", "!DOCTYPE"];
        let (mut open, mut text, mut rest) = (Vec::<String>::new(), String::new(), page);
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            // A `>` inside a quoted attribute would be escaped by this crate, so the next one ends the tag.
            let end = rest[start..].find('>').ok_or_else(|| format!("a tag without end: {}", &rest[start..]))? + start;
            let tag = &rest[start + 1..end];
            if tag.contains('<') || tag.matches('"').count() % 2 == 1 {
                return Err(format!("a broken tag: {tag}"));
            }
            let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default().to_string();
            rest = &rest[end + 1..];
            if tag.starts_with('/') {
                let last = open.pop();
                if last.as_ref() != Some(&name) {
                    return Err(format!("</{name}> closes {last:?}"));
                }
            } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
                open.push(name);
            }
        }
        text.push_str(rest);
        if open.is_empty() { Ok(text) } else { Err(format!("left open: {open:?}")) }
    }

    #[test]
    fn what_html_reads_is_escaped() {
        assert_eq!(escape("<a\nb='\"&\u{1b}"), "&lt;a\nb=&#39;&quot;&amp; ");
    }

    #[test]
    fn the_checker_finds_faults() {
        assert!(balanced("<p><b>x</p></b>").is_err());
        assert!(balanced("<p>x").is_err());
        assert!(balanced("<p title=\"x>y</p>").is_err());
        assert_eq!(balanced("<p>x<br>y</p>").unwrap(), "xy");
    }
}
