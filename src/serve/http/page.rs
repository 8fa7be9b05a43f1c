//! The description of the server as a page of its own, without scripts and without anything from elsewhere.

use crate::util::html::escape;
use serde_json::{Map, Value};
use std::fmt::Write;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{background:#f3f3f3;padding:.7rem;overflow-x:auto}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #ddd}\
h2 .verb{color:#b35900}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#262626}td,th{border-color:#444}a{color:#8ab4f8}}";

const EXAMPLE: &str = r#"curl http://127.0.0.1:8350/score -H 'Content-Type: application/json' \
     -d '{"problem": "What is 1 + 2 + 3?", "completion": "1 + 2 = 3.\n3 + 3 = 6."}'"#;

/// The page of an OpenAPI document.
pub(in crate::serve) fn html(document: &Value) -> String {
    let mut out = String::new();
    let (title, about) = (text(&document["info"]["title"]), text(&document["info"]["description"]));
    let version = text(&document["info"]["version"]);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title} {version}</h1><p>{about} The same as <a href=\"openapi.json\">OpenAPI</a>.</p><pre>{}</pre>",
        escape(EXAMPLE)
    );
    for (path, verbs) in entries(&document["paths"]) {
        for (verb, operation) in entries(verbs) {
            let _ = write!(out, "<h2><span class=\"verb\">{}</span> <code>{}</code></h2>", escape(&verb.to_uppercase()), escape(path));
            for part in ["summary", "description"] {
                let _ = write!(out, "<p>{}</p>", text(&operation[part]));
            }
            if operation["requestBody"].is_object() {
                let _ = write!(out, "<p>Body: {}</p>", content(&operation["requestBody"]));
            }
            out.push_str("<table>");
            for (status, response) in entries(&operation["responses"]) {
                let _ = write!(
                    out,
                    "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                    escape(status),
                    text(&response["description"]),
                    content(response)
                );
            }
            out.push_str("</table>");
        }
    }
    out.push_str("<h2>Types</h2>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let _ = write!(out, "<h3 id=\"{0}\">{0}</h3><p>{1}</p>", escape(name), text(&schema["description"]));
        fields(&mut out, schema);
        for choice in ["oneOf", "allOf", "enum"].iter().flat_map(|c| schema[*c].as_array()).flatten() {
            match choice {
                Value::String(word) => drop(write!(out, "<p><code>{}</code></p>", escape(word))),
                choice => {
                    let _ = write!(out, "<p>{} {}</p>", kind(choice), text(&choice["description"]));
                    for part in std::iter::once(choice).chain(choice["allOf"].as_array().into_iter().flatten()) {
                        fields(&mut out, part);
                    }
                }
            }
        }
    }
    out.push_str("</html>\n");
    out
}

/// A table of the fields of an object.
fn fields(out: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    out.push_str("<table>");
    for (field, of) in properties {
        let required = schema["required"].as_array().is_some_and(|r| r.iter().any(|r| r == field));
        let note = if required { "" } else { " (may be left out)" };
        let _ =
            write!(out, "<tr><td><code>{}</code></td><td>{}{note}</td><td>{}</td></tr>", escape(field), kind(of), text(&of["description"]));
    }
    out.push_str("</table>");
}

/// The types of a body.
fn content(of: &Value) -> String {
    entries(&of["content"]).map(|(media, c)| format!("{} <code>{}</code>", kind(&c["schema"]), escape(media))).collect::<Vec<_>>().join(" ")
}

/// What a schema is, in a word; another type by its link.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return format!("<a href=\"#{0}\">{0}</a>", escape(name));
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(kind).filter(|k| !k.is_empty()).collect::<Vec<_>>().join(" or ");
    }
    let named = |t: &Value| match t.as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some(word) => escape(word),
        None => String::new(),
    };
    match &schema["type"] {
        Value::Array(types) => types.iter().map(named).collect::<Vec<_>>().join(" or "),
        one => match (&schema["enum"], named(one)) {
            (Value::Array(words), _) => words.iter().map(|w| format!("<code>{}</code>", text(w))).collect::<Vec<_>>().join(" or "),
            (_, named) => named,
        },
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// Text with what stands between backquotes as code.
fn text(value: &Value) -> String {
    let escaped = escape(value.as_str().unwrap_or_default());
    let mut parts = escaped.split('`');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (i, part) in parts.enumerate() {
        out.push_str(if i % 2 == 0 { "<code>" } else { "</code>" });
        out.push_str(part);
    }
    if escaped.matches('`').count() % 2 == 1 { out + "</code>" } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_every_route_and_every_field() {
        let document = serde_json::to_value(super::super::routes::document()).unwrap();
        let page = html(&document);
        for route in super::super::app::ROUTES {
            assert!(page.contains(&format!("<code>{route}</code>")), "{route}");
            assert!(document["paths"][route].is_object(), "{route}");
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in ["ScoreRequest", "Item", "Candidate", "ScoreResponse", "CandidateScore", "StreamEvent", "ModelInfo", "ErrorBody"] {
            assert!(schemas.contains_key(name), "{name}");
        }
        for (name, schema) in schemas {
            assert!(page.contains(&format!("<h3 id=\"{name}\">")), "{name}");
            for (field, of) in schema["properties"].as_object().into_iter().flatten() {
                assert!(page.contains(&format!("<code>{field}</code>")), "{name}.{field}");
                assert!(
                    of["description"].is_string() || of["$ref"].is_string() || of["oneOf"].is_array(),
                    "{name}.{field} is not explained: {of}"
                );
            }
        }
        assert!(!page.contains("<script") && !page.contains("http://") | page.contains("http://127.0.0.1"), "nothing from elsewhere");
        assert_eq!(page.matches("src=").count() + page.matches("url(").count(), 0);
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(text(&"a `b<c` & `d".into()), "a <code>b&lt;c</code> &amp; <code>d</code>");
    }
}
