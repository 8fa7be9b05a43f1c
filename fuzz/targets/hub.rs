//! What the Hugging Face hub answers: a listing, and a file. The first byte says whether the rest is a whole answer, or the body of a good one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::hub::{Hub, Kind, Repo, Settings, Store, model_files};
use reasonscope_fuzz::{folder, server::Answers};
use std::sync::OnceLock;
use std::time::Duration;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"0123456789abcdef0123456789abcdef01234567\"\r\n\
    X-Repo-Commit: 0123456789abcdef0123456789abcdef01234567\r\nConnection: close\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    let answers = ANSWERS.get_or_init(Answers::start);
    let Some((&how, rest)) = data.split_first() else { return };
    answers.set(if how & 1 == 0 { rest.to_vec() } else { [GOOD, rest].concat() });
    let settings =
        Settings { endpoint: answers.root(), token: None, retries: 0, pause: Duration::ZERO, patience: Duration::from_millis(500) };
    let hub = Hub::new(settings).expect("a hub");
    let repo = Repo::new(Kind::Model, "owner/name", "main").expect("a name");
    if let Ok(listing) = hub.listing(&repo) {
        let _ = model_files(&listing.files);
    }
    let store = folder().join("hub");
    let fetched = hub.fetch(&repo, &"0".repeat(40), "config.json", &Store::Folder(store.clone()), &mut |_| {});
    if let Ok(path) = fetched {
        assert!(path.starts_with(&store), "{} is outside of {}", path.display(), store.display());
    }
    let _ = std::fs::remove_dir_all(store);
});
