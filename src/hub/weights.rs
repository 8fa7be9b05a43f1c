//! Which files of a repository make up a model.

/// Small files that a model is read from, where it has them.
const SMALL: [&str; 10] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "adapter_config.json",
    "adapter_model.safetensors",
    "reward.json",
    "reward.toml",
    "training_problems.bin",
];
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The files to fetch for a model, out of all of its repository's: configuration, tokenizer, and the weights as safetensors, whole or in shards with
/// their index. The error says what is there instead.
pub fn model_files(all: &[String]) -> Result<Vec<String>, String> {
    let has = |name: &str| all.iter().any(|f| f == name);
    let mut files: Vec<String> = SMALL.iter().filter(|f| has(f)).map(|f| (*f).to_owned()).collect();
    if has(INDEX) {
        files.push(INDEX.into());
        files.extend(all.iter().filter(|f| is_shard(f)).cloned());
    } else if has(SINGLE) {
        files.push(SINGLE.into());
    }
    let complete = has("adapter_config.json") && has("adapter_model.safetensors") || has("config.json") && (has(SINGLE) || has(INDEX));
    if complete {
        return Ok(files);
    }
    let ggufs: Vec<&str> = all.iter().map(String::as_str).filter(|f| f.ends_with(".gguf")).collect();
    Err(match ggufs[..] {
        [] => {
            let shown: Vec<&str> = all.iter().take(12).map(String::as_str).collect();
            let more = if all.len() > shown.len() { format!(", and {} more", all.len() - shown.len()) } else { String::new() };
            format!(
                "the repository has no config.json with {SINGLE} or {INDEX}; it has {}{more}; choose another repository",
                shown.join(", ")
            )
        }
        _ => format!("the repository has GGUF files only; name one of them with --file: {}", ggufs.join(", ")),
    })
}

/// `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    let middle = name.strip_prefix("model-").and_then(|n| n.strip_suffix(".safetensors"));
    middle
        .and_then(|m| m.split_once("-of-"))
        .is_some_and(|(a, b)| [a, b].iter().all(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Result<Vec<String>, String> {
        model_files(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_model_is_its_configuration_tokenizer_and_weights() {
        let single = files(&["README.md", "config.json", "model.safetensors", "onnx/model.onnx", "tokenizer.json", "pytorch_model.bin"]);
        assert_eq!(single.unwrap(), ["config.json", "tokenizer.json", "model.safetensors"]);
        let shards = files(&[
            "config.json",
            "consolidated.safetensors",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ]);
        assert_eq!(shards.unwrap(), ["config.json", INDEX, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
        assert_eq!(files(&["adapter_config.json", "adapter_model.safetensors"]).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_model_says_what_it_is() {
        assert!(files(&["a.Q4.gguf", "b.Q8.gguf"]).unwrap_err().contains("--file: a.Q4.gguf, b.Q8.gguf"));
        let e = files(&["config.json", "pytorch_model.bin"]).unwrap_err();
        assert!(e.contains("it has config.json, pytorch_model.bin"), "{e}");
        assert!(files(&["model.safetensors"]).is_err());
    }
}
