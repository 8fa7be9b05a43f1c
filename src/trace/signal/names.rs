//! What the signals of reward models are called where several are at work.

use super::{REWARD, Reading};

/// A reward model at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtWork {
    /// The signal that it gives.
    pub signal: String,
    /// Its name, which is the signal's source.
    pub model: String,
}

impl AtWork {
    /// Reward models by their names: the signal of the first is [`REWARD`], a further one's `reward:NAME` with the last part of its name. One that is called as
    /// another before it gets `#2`, so that no two signals have one name.
    pub fn all<S: Into<String>>(models: impl IntoIterator<Item = S>) -> Vec<Self> {
        let mut short: Vec<String> = Vec::new();
        let mut out: Vec<Self> = Vec::new();
        for model in models.into_iter().map(Into::into) {
            let own = shortened(&model);
            let alike = short.iter().filter(|s| **s == own).count();
            let mut signal = match (out.len(), alike) {
                (0, _) => REWARD.to_owned(),
                (_, 0) => format!("{REWARD}:{own}"),
                (_, n) => format!("{REWARD}:{own}#{}", n + 1),
            };
            while out.iter().any(|o| o.signal == signal) {
                signal.push('_');
            }
            short.push(own);
            out.push(Self { signal, model });
        }
        out
    }
}

/// The last part of each path of a model's name, without the ending of a file: what a reading can name.
fn shortened(model: &str) -> String {
    let last = |path: &str| {
        let path = path.trim_end_matches(['/', '\\']);
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        name.strip_suffix(".gguf").unwrap_or(name).to_owned()
    };
    // `judge:MODEL` and `implicit:MODEL,REFERENCE` say how models are read; `http://…` does not.
    let kind = |k: &str| k.len() > 1 && k.bytes().all(|b| b.is_ascii_lowercase());
    let name = match model.split_once(':') {
        Some((k, rest)) if kind(k) && !rest.starts_with("//") => {
            format!("{k}:{}", rest.split(',').map(last).collect::<Vec<_>>().join(","))
        }
        _ => last(model),
    };
    let name = name.trim();
    // `reward:x.min` would be the least of `reward:x`, and `reward:drop` a largest drop.
    let whole = format!("{REWARD}:{name}");
    let plain = whole.parse::<Reading>().is_ok_and(|r| r == Reading::of(whole.as_str())) && !whole.ends_with(":drop");
    if plain && !name.is_empty() { name.to_owned() } else { format!("{}_", name.replace('.', "-")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Detector;

    fn signals(models: &[&str]) -> Vec<String> {
        AtWork::all(models.iter().copied()).into_iter().map(|a| a.signal).collect()
    }

    #[test]
    fn the_first_is_the_reward_and_the_others_have_short_names() {
        assert_eq!(signals(&["runs/a/reward"]), ["reward"]);
        assert_eq!(
            signals(&["embedded", "/m/Qwen2.5-Math-PRM-7B/", "x/y.Q4_K.gguf"]),
            ["reward", "reward:Qwen2.5-Math-PRM-7B", "reward:y.Q4_K"]
        );
        assert_eq!(signals(&["a", "judge:org/m", "implicit:x/p.gguf,y/q"]), ["reward", "reward:judge:m", "reward:implicit:p,q"]);
        assert_eq!(AtWork::all(["a", "x/b"])[1], AtWork { signal: "reward:b".into(), model: "x/b".into() });
    }

    #[test]
    fn two_of_one_name_are_told_apart() {
        assert_eq!(signals(&["x/m", "y/m", "z/m", "n"]), ["reward", "reward:m#2", "reward:m#3", "reward:n"]);
        assert_eq!(signals(&["a", "m", "m", "m#2"]), ["reward", "reward:m", "reward:m#2", "reward:m#2_"]);
    }

    #[test]
    fn every_name_can_be_asked_for() {
        for model in ["m.min", "m.digits", "m.digits.sum", "drop", "judge:drop", ".", "/", "", "a b", "m.sum.gguf"] {
            let signal = &signals(&["first", model])[1];
            let reading: Reading = signal.parse().unwrap();
            assert_eq!((&reading.signal, reading.statistic), (signal, None), "{model}");
            assert!(!signal.ends_with(":drop"), "{model}");
            assert_eq!(Detector::below(reading).reading.signal, *signal);
        }
    }
}
