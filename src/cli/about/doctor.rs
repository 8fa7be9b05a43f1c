//! `doctor`: what is found on this machine, and what to do about what is not.

use super::finding::{Finding, State, as_json, as_text};
use super::taken;
use crate::cli::args::{DeviceArgs, OutputArgs, ProtocolArgs, model, own_executable};
use crate::cli::console;
use crate::cli::exit::Exit;
use crate::runtime::{DeviceChoice, ModelRef};
use crate::sandbox::{Guards, Python};
use crate::tui;
use anyhow::Result;
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Environment variables that the program reads, for the manual page.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("REASONSCOPE_DATA", "Directory with public data sets for the tests and recipes that read them; ../shared/data where it is not set."),
    (
        "XDG_CACHE_HOME",
        "Directory for caches; tests/fetch_smollm2.sh puts a model for the tests into reasonscope in it. ~/.cache where it is not set.",
    ),
    (
        "XDG_CONFIG_HOME",
        "Directory for configuration; your own themes go into reasonscope/themes in it, your defaults into reasonscope/config.toml. ~/.config where it is not set.",
    ),
    ("REASONSCOPE_CONFIG", "The configuration file, in place of the one in the directory above."),
    ("REASONSCOPE_TOKEN", "Token that clients of `serve` must send, where --token-file names none."),
    ("OPENAI_API_KEY", "Key that goes along to the server of a policy or a reward model that is named by its address."),
    ("HF_ENDPOINT", "Address of the hub that `data fetch` asks; https://huggingface.co where it is not set."),
    ("HF_TOKEN", "Token for private and gated repositories; it goes to the hub alone."),
    ("HF_HOME", "Where the hub's cache is, in hub in it (HF_HUB_CACHE names the cache itself); ~/.cache/huggingface where it is not set."),
    (
        "HTTPS_PROXY",
        "Proxy for https, `http://NAME:PASSWORD@HOST:PORT` or socks5://…; HTTP_PROXY the one for http, ALL_PROXY the one for both. This machine is never asked through one.",
    ),
    ("NO_PROXY", "Hosts that need no proxy, parted by commas; .example.org stands for all below it."),
    ("SSL_CERT_FILE", "Certificates to trust for https, instead of the system's."),
    ("REASONSCOPE_LOG", "What --log and -v write: a level (error, warn, info, debug, trace) or ROOM=LEVEL, such as info,hub=debug."),
    ("NO_COLOR", "Set and not empty: no colour."),
    ("COLORTERM", "truecolor or 24bit: 24-bit colour."),
    ("TERM", "What the terminal can show; dumb: no colour."),
];

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Models to look at: a directory, a .gguf file, a hub id in the local cache, `judge:MODEL`, `implicit:MODEL,REFERENCE` or `embedded`
    #[arg(value_name = "MODEL", value_parser = model)]
    models: Vec<ModelRef>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

impl Doctor {
    pub(in crate::cli) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let mut findings = program();
        findings.extend(devices(self.device.device));
        let named = self.protocol.of_each(&self.models)?;
        findings.extend(models(&named, self.device.device));
        findings.push(code());
        findings.extend(directories());
        findings.extend(terminal());
        match messages.json {
            true => console::print_record(&as_json(&findings))?,
            false => console::print(&as_text(&findings))?,
        }
        Ok(if findings.iter().any(|f| f.state == State::Broken) { Exit::Failed } else { Exit::Ok })
    }
}

fn program() -> Vec<Finding> {
    let features: Vec<&str> =
        [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))].iter().filter(|f| f.1).map(|f| f.0).collect();
    let kind = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    let with = if features.is_empty() { "no GPU features".to_string() } else { format!("with {}", features.join(", ")) };
    let version = Finding::new("program", "version", State::Fine, format!("{} ({kind}, {with})", env!("CARGO_PKG_VERSION")));
    vec![if cfg!(debug_assertions) { version.remedy("models run several times faster with `cargo build --release`") } else { version }]
}

fn devices(asked: DeviceChoice) -> Vec<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = vec![Finding::new("devices", "cpu", State::Fine, format!("{cores} cores, {}, {}", std::env::consts::ARCH, simd()))];
    for (name, choice) in [("cuda", DeviceChoice::Cuda), ("metal", DeviceChoice::Metal)] {
        let state = if asked == choice { State::Broken } else { State::Absent };
        found.push(match choice.open() {
            Ok(_) => Finding::new("devices", name, State::Fine, "works"),
            Err(e) => {
                let message = e.to_string();
                let (what, remedy) = message.split_once("; ").unwrap_or((&message, "use --device cpu"));
                Finding::new("devices", name, state, what).remedy(remedy)
            }
        });
    }
    found
}

/// The widest vector instructions that this processor has and matrix products use.
fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            "AVX-512"
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            "AVX2"
        } else {
            "no AVX2: models will be slow"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "no vector instructions known"
    }
}

fn models(named: &[ModelRef], device: DeviceChoice) -> Vec<Finding> {
    let embedded =
        [("embedded policy", false), ("embedded reward model", true)].map(|(name, reward)| (name.to_string(), ModelRef::Embedded, reward));
    let mut found: Vec<Finding> = embedded.into_iter().map(|(name, model, reward)| loads(name, &model, reward, device)).collect();
    for model in named.iter().filter(|m| **m != ModelRef::Embedded) {
        let (told, is_reward) = taken::findings(model);
        found.push(loads(model.to_string(), model, is_reward, device));
        found.extend(told);
    }
    found
}

/// Loads a model, to say that it can be.
fn loads(name: String, model: &ModelRef, reward: bool, device: DeviceChoice) -> Finding {
    let start = Instant::now();
    let about = if reward {
        model.reward(device).map_err(|e| e.to_string()).and_then(|l| l.map(|l| (l.load)(None).map(|l| l.about)).transpose())
    } else {
        model.policy(device).map_err(|e| e.to_string()).and_then(|l| l.map(|l| (l.load)(None).map(|l| l.about)).transpose())
    };
    match about {
        Ok(about) => {
            let about = about.unwrap_or_else(|| "no model".into());
            Finding::new("models", name, State::Fine, format!("{about}, loaded in {:.0} ms", start.elapsed().as_secs_f32() * 1e3))
        }
        Err(error) => Finding::new("models", name, State::Broken, error).remedy("see the message; `embedded` is always there"),
    }
}

/// Whether programs of a model can be run to grade them, and what guards the machine against them.
fn code() -> Finding {
    let python = match Python::find() {
        Ok(python) => python,
        Err(e) => return absent_code(&e.to_string()),
    };
    let probed = own_executable().map_err(|e| e.to_string()).and_then(|own| Guards::probe(&own, &python).map_err(|e| e.to_string()));
    let guards = match probed {
        Ok(guards) => guards,
        Err(e) => return absent_code(&e),
    };
    let (present, missing) = (guards.present().join(", "), guards.missing().join(", "));
    let found = format!(
        "Python {} ({}), guarded: {}; {}",
        python.version,
        python.executable.display(),
        if present.is_empty() { "nothing" } else { &present },
        guards.wall()
    );
    match guards.warning() {
        None => Finding::new("code", "sandbox", State::Fine, found),
        Some(warning) => Finding::new("code", "sandbox", State::Absent, format!("{found}; not guarded: {missing}")).remedy(warning),
    }
}

fn absent_code(why: &str) -> Finding {
    Finding::new("code", "sandbox", State::Absent, why).remedy("only grading HumanEval and MBPP needs it")
}

fn directories() -> Vec<Finding> {
    let data = PathBuf::from(std::env::var_os("REASONSCOPE_DATA").unwrap_or_else(|| "../shared/data".into()));
    let cache = cache_directory();
    vec![
        directory("data sets", &data)
            .remedy_if_absent("only tests and some recipes read it; set REASONSCOPE_DATA to a directory with the public data sets"),
        match &cache {
            Some(cache) => directory("model cache", cache).remedy_if_absent("only a test uses it; tests/fetch_smollm2.sh fills it"),
            None => Finding::new("directories", "model cache", State::Absent, "no home directory").remedy("set XDG_CACHE_HOME"),
        },
    ]
}

fn directory(name: &str, path: &Path) -> Finding {
    match std::fs::read_dir(path) {
        Ok(entries) => Finding::new("directories", name, State::Fine, format!("{} ({} entries)", path.display(), entries.count())),
        Err(e) => Finding::new("directories", name, State::Absent, format!("{}: {e}", path.display())),
    }
}

/// `reasonscope` in the user's cache directory.
fn cache_directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v: &std::ffi::OsString| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").map(|d| d.join("reasonscope")).or_else(|| set("HOME").map(|d| d.join(".cache").join("reasonscope")))
}

fn terminal() -> Vec<Finding> {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let tty = if std::io::stdout().is_terminal() {
        let size = crossterm::terminal::size().map_or("size unknown".into(), |(w, h)| format!("{w}×{h}"));
        Finding::new("terminal", "screen", State::Fine, size)
    } else {
        Finding::new("terminal", "screen", State::Absent, "standard output is not a terminal")
            .remedy("the inspector needs one; score and generate do not")
    };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().map(var).find(|v| !v.is_empty()).unwrap_or_else(|| "no locale is set".into());
    let characters = if tui::Glyphs::locale_is_utf8(crate::cli::env) {
        Finding::new("terminal", "characters", State::Fine, format!("UTF-8 ({locale})"))
    } else {
        Finding::new("terminal", "characters", State::Absent, format!("not UTF-8 ({locale})"))
            .remedy("set LANG to a UTF-8 locale; until then the inspector draws with ASCII")
    };
    let (colours, remedy) = match tui::ColorDepth::from_env(crate::cli::env) {
        tui::ColorDepth::TrueColor => ("24 bits", None),
        tui::ColorDepth::Ansi256 => ("256", Some("where the terminal has 24 bits, set COLORTERM=truecolor or use --color truecolor")),
        tui::ColorDepth::Ansi16 => ("16", Some("where the terminal has more, set TERM to what it is, or use --color")),
        tui::ColorDepth::None => ("none", Some("NO_COLOR is set or TERM names a terminal without colour; --color overrides both")),
    };
    let term = format!("{colours} (TERM={}, COLORTERM={}, NO_COLOR={})", var("TERM"), var("COLORTERM"), var("NO_COLOR"));
    let mut colours = Finding::new("terminal", "colours", State::Fine, term);
    colours.remedy = remedy.map(String::from);
    vec![tty, characters, colours]
}
