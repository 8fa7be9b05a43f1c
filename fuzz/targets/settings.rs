//! What users write: themes, configuration files, keys, and every word of the command line that is more than a number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::cli::check_config;
use reasonscope::diagnose::AlarmKind;
use reasonscope::generate::Endpoint;
use reasonscope::hub::{Kind, Repo};
use reasonscope::model::DeviceChoice;
use reasonscope::trace::{Reading, Segmentation};
use reasonscope::tui::{ASCII, ColorDepth, Field, ROLES, Settings, Theme, UNICODE, parse_keys};
use reasonscope_fuzz::{file, parts};

fn theme(bytes: &[u8]) {
    let path = file("theme.toml", bytes).display().to_string();
    for (depth, glyphs) in [(ColorDepth::TrueColor, UNICODE), (ColorDepth::Ansi16, ASCII), (ColorDepth::None, ASCII)] {
        let Ok(theme) = Theme::load(&path, &[], depth, glyphs) else { return };
        ROLES.iter().for_each(|role| assert!(theme.style(*role) == theme.style(*role)));
        for t in [f32::NAN, f32::INFINITY, -1.0, -0.3, 0.0, 0.7, 1.0] {
            let _ = (theme.reward(t), theme.heat(t));
        }
    }
}

fn word(word: &str) {
    let _ = (parse_keys(word), word.parse::<Segmentation>(), word.parse::<ColorDepth>(), word.parse::<AlarmKind>());
    let _ = (word.parse::<DeviceChoice>(), Repo::new(Kind::Model, word, "main"), Repo::new(Kind::Dataset, "owner/name", word));
    if let Ok(reading) = word.parse::<Reading>() {
        assert_eq!(reading.to_string().parse::<Reading>().as_ref(), Ok(&reading), "{word:?}");
    }
    if let Ok(endpoint) = Endpoint::parse(word) {
        assert_eq!(Endpoint::parse(&endpoint.to_string()).ok(), Some(endpoint), "{word:?}");
    }
    let mut settings = Settings::default();
    for field in Field::ALL {
        if settings.set(field, word).is_ok() {
            let shown = settings.shown(field);
            [1, -1, 1000, i64::MIN].into_iter().for_each(|by| settings.nudge(field, by));
            assert!(
                shown.is_empty() || shown == "nothing" || shown == "its own" || settings.set(field, &shown).is_ok(),
                "{field:?}: {shown:?}"
            );
        }
    }
}

fuzz_target!(|data: &[u8]| {
    for part in parts(data).into_iter().take(4) {
        theme(part);
        let text = String::from_utf8_lossy(part);
        let _ = check_config(&text);
        word(&text);
    }
});
