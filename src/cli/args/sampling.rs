//! How candidates are sampled: as the user says, else as the model's own files say, else as by default.

use super::{number, positive};
use crate::runtime::{ModelRef, Recommended};
use crate::trace::{Sampling, Unset};
use anyhow::Result;
use clap::Args;

/// How candidates are sampled.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Candidates for each problem
    #[arg(short, long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub n: u16,
    /// Softmax temperature; 0 is greedy [default: as generation_config.json or the .gguf file says, or the server; else 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = number::<0>)]
    pub temperature: Option<f32>,
    /// Sample from the smallest set of tokens whose probability reaches P; 1 is off [default: as for the temperature; else 1]
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = number::<1>)]
    pub top_p: Option<f32>,
    /// Sample from the K likeliest tokens; 0 is off [default: as for the temperature; else 0]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Drop tokens less than P times as likely as the likeliest; 0 is off [default: as for the temperature; else 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = number::<2>)]
    pub min_p: Option<f32>,
    /// Tokens a candidate may have at most
    #[arg(long, value_name = "COUNT", default_value_t = 512, value_parser = positive)]
    pub max_tokens: usize,
    /// Seed; candidate i depends on it and on i alone
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Where the policy is a server: ask for all candidates of a problem in one request (`n`);
    /// the server then divides the seed among them (vLLM and llama.cpp count it up from candidate to candidate)
    #[arg(long)]
    pub one_request: bool,
}

impl SamplingArgs {
    /// As the policy wants it, and what people should know of where that comes from. Fails where the model's files cannot be read.
    pub fn sampling(&self, policy: &ModelRef) -> Result<(Sampling, Option<String>)> {
        let d = Sampling::default();
        let given = [self.temperature.is_some(), self.top_p.is_some(), self.top_k.is_some(), self.min_p.is_some()];
        let mut sampling = Sampling {
            temperature: self.temperature.unwrap_or(d.temperature),
            top_p: self.top_p.unwrap_or(d.top_p),
            top_k: self.top_k.unwrap_or(d.top_k),
            min_p: self.min_p.unwrap_or(d.min_p),
            max_tokens: self.max_tokens,
            seed: self.seed,
            unset: Unset::default(),
        };
        if given == [true; 4] {
            return Ok((sampling, None));
        }
        if policy.is_served() {
            sampling.unset = Unset { temperature: !given[0], top_p: !given[1], top_k: !given[2], min_p: !given[3] };
            let names = ["temperature", "top-p", "top-k", "min-p"];
            let open: Vec<&str> = names.into_iter().zip(given).filter(|(_, given)| !given).map(|(name, _)| name).collect();
            return Ok((sampling, Some(format!("left to the server's own defaults: {}", open.join(", ")))));
        }
        let own = policy.recommended()?;
        let note = self.follow(&own, &mut sampling);
        Ok((sampling, note))
    }

    /// Fills what the user left open by what the model's files say, and tells what was filled.
    fn follow(&self, own: &Recommended, sampling: &mut Sampling) -> Option<String> {
        let mut taken = Vec::new();
        let mut fill = |name: &str, own: Option<f32>, given: bool, to: &mut f32| {
            if let Some(own) = own.filter(|_| !given) {
                *to = own;
                taken.push(format!("{name} {own}"));
            }
        };
        fill("temperature", own.temperature, self.temperature.is_some(), &mut sampling.temperature);
        fill("top-p", own.top_p, self.top_p.is_some(), &mut sampling.top_p);
        fill("min-p", own.min_p, self.min_p.is_some(), &mut sampling.min_p);
        if let Some(k) = own.top_k.filter(|_| self.top_k.is_none()) {
            sampling.top_k = k;
            taken.push(format!("top-k {k}"));
        }
        let unknown = own.unknown.iter().fold(String::new(), |all, what| format!("{all}; {what}"));
        if !taken.is_empty() {
            return Some(format!("sampled as {} says: {}{unknown}", own.path.display(), taken.join(", ")));
        }
        if own.talks && own.temperature.is_none() && self.temperature.is_none() {
            let advice = "the model's files name no temperature, so it is 1; small models that talk often write better at 0.2 to 0.7 (--temperature)";
            return Some(format!("{advice}{unknown}"));
        }
        (!unknown.is_empty()).then(|| format!("{}{unknown}", own.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingArgs,
    }

    fn args(words: &[&str]) -> SamplingArgs {
        Line::try_parse_from([&["x"], words].concat()).unwrap().sampling
    }

    #[test]
    fn the_user_stands_before_the_file_and_the_file_before_the_default() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), "{}").unwrap();
        std::fs::write(dir.path().join("generation_config.json"), r#"{"temperature": 0.6, "top_k": 20}"#).unwrap();
        let policy = ModelRef::Path(dir.path().into());
        let (s, note) = args(&["--top-k", "5"]).sampling(&policy).unwrap();
        assert_eq!((s.temperature, s.top_p, s.top_k, s.min_p), (0.6, 1.0, 5, 0.0));
        let note = note.unwrap();
        assert!(note.contains("generation_config.json says: temperature 0.6") && !note.contains("top-k"), "{note}");
        let (s, note) = args(&["--temperature", "1", "--top-p", "1", "--top-k", "0", "--min-p", "0"]).sampling(&policy).unwrap();
        assert!(s == Sampling::default() && note.is_none());
        assert_eq!(args(&[]).sampling(&ModelRef::Embedded).unwrap(), (Sampling::default(), None));
        std::fs::write(dir.path().join("generation_config.json"), "{}").unwrap();
        assert_eq!(args(&[]).sampling(&policy).unwrap(), (Sampling::default(), None), "a model that nobody taught to talk");
        std::fs::write(dir.path().join("tokenizer_config.json"), "{}").unwrap();
        assert!(args(&[]).sampling(&policy).unwrap().1.unwrap().contains("--temperature"));
        assert!(args(&["--temperature", "1"]).sampling(&policy).unwrap().1.is_none());
    }

    #[test]
    fn a_server_is_told_what_the_user_said_alone() {
        let (s, note) = args(&["--temperature", "0.7"]).sampling(&ModelRef::parse("http://h/v1").unwrap()).unwrap();
        assert_eq!((s.temperature, s.unset), (0.7, Unset { temperature: false, top_p: true, top_k: true, min_p: true }));
        assert_eq!(note.as_deref(), Some("left to the server's own defaults: top-p, top-k, min-p"));
    }
}
