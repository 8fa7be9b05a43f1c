//! Fetching from a hub on the loopback: redirects, the token, broken connections, wrong bytes, refusals, and the program itself on top.

use super::fake_server::{FakeServer, Received, Reply};
use reasonscope::hub::{Hub, Kind, Progress, Repo, Settings, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const SMALL: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A file of a repository.
#[derive(Clone)]
struct Stored {
    path: String,
    bytes: Vec<u8>,
    /// Kept elsewhere, with its SHA-256 as tag.
    large: bool,
}

fn stored(path: &str, bytes: impl Into<Vec<u8>>, large: bool) -> Stored {
    Stored { path: path.into(), bytes: bytes.into(), large }
}

/// The bytes of a file from where the request wants them.
fn ranged(request: &Received, bytes: &[u8]) -> Reply {
    let from = request.range.as_ref().map(|r| r.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
    match from {
        None => Reply::Raw(200, vec![], bytes.to_vec(), usize::MAX),
        Some(from) if from >= bytes.len() => Reply::Raw(416, vec![], vec![], usize::MAX),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::Raw(206, vec![("Content-Range", range)], bytes[from..].to_vec(), usize::MAX)
        }
    }
}

/// Answers as the hub does for the repository whose files lie below `prefix` (`datasets/o/n` or `o/n`); large files are at `elsewhere`.
fn answer(request: &Received, api: &str, prefix: &str, files: &[Stored], elsewhere: &str) -> Reply {
    if request.path == format!("/api/{api}/revision/main") {
        let siblings: Vec<Value> = files.iter().map(|f| json!({ "rfilename": f.path })).collect();
        return Reply::Whole(200, json!({ "id": "o/n", "sha": COMMIT, "siblings": siblings }));
    }
    let Some(path) = request.path.strip_prefix(&format!("/{prefix}/resolve/{COMMIT}/")) else {
        return refusal(404, "RepoNotFound", "Repository not found");
    };
    match files.iter().find(|f| f.path == path) {
        None => refusal(404, "EntryNotFound", "Entry not found"),
        Some(f) if f.large => Reply::Raw(
            302,
            vec![
                ("Location", format!("{elsewhere}/{path}?signature=secret")),
                ("X-Linked-Etag", format!("\"{}\"", sha256(&f.bytes))),
                ("X-Linked-Size", f.bytes.len().to_string()),
                ("X-Repo-Commit", COMMIT.into()),
            ],
            vec![],
            usize::MAX,
        ),
        Some(f) if request.method == "HEAD" => {
            Reply::Raw(200, vec![("ETag", format!("\"{SMALL}\"")), ("Content-Length", f.bytes.len().to_string())], vec![], usize::MAX)
        }
        Some(f) => ranged(request, &f.bytes),
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    Reply::Raw(status, vec![("X-Error-Code", code.into()), ("X-Error-Message", message.into())], vec![], usize::MAX)
}

/// The other host that has the large files.
fn elsewhere(files: Vec<Stored>) -> FakeServer {
    FakeServer::start(move |request, _| {
        let path = request.path.split('?').next().unwrap().trim_start_matches('/').to_owned();
        ranged(request, &files.iter().find(|f| f.path == path).unwrap().bytes)
    })
}

fn settings(server: &FakeServer) -> Settings {
    Settings {
        endpoint: server.root(),
        token: Some("hf_secret".into()),
        retries: 3,
        pause: Duration::from_millis(1),
        patience: Duration::from_secs(5),
    }
}

fn dataset() -> Repo {
    Repo::new(Kind::Dataset, "o/n", "main").unwrap()
}

fn fetch(server: &FakeServer, path: &str, store: &Store) -> Result<(PathBuf, Vec<String>), String> {
    let hub = Hub::new(settings(server)).unwrap();
    let mut retries = Vec::new();
    let mut hear = |p: Progress<'_>| {
        if let Progress::Retry { what, .. } = p {
            retries.push(what.to_owned());
        }
    };
    let path = hub.fetch(&dataset(), COMMIT, path, store, &mut hear).map_err(|e| e.to_string())?;
    Ok((path, retries))
}

#[test]
fn small_and_large_files_come_whole_and_the_token_stays_with_the_hub() {
    let dir = tempfile::tempdir().unwrap();
    let files = vec![stored("data/a b.json", "small", false), stored("data/big.bin", vec![7_u8; 300_000], true)];
    let cdn = elsewhere(files.clone());
    let (to, all) = (cdn.root(), files.clone());
    let hub = FakeServer::start(move |r, _| {
        let mut request = r.clone();
        request.path = request.path.replace("%20", " ");
        answer(&request, "datasets/o/n", "datasets/o/n", &all, &to)
    });
    let client = Hub::new(settings(&hub)).unwrap();
    let listing = client.listing(&dataset()).unwrap();
    assert_eq!((listing.commit.as_str(), listing.files.len()), (COMMIT, 2));
    let store = Store::Cache(dir.path().into());
    for f in &files {
        let (path, retries) = fetch(&hub, &f.path, &store).unwrap();
        assert!(retries.is_empty() && std::fs::read(&path).unwrap() == f.bytes);
        assert_eq!(path, dir.path().join("datasets--o--n/snapshots").join(COMMIT).join(&f.path));
    }
    assert!(hub.received().iter().all(|r| r.authorization.as_deref() == Some("Bearer hf_secret")));
    assert!(!cdn.received().is_empty() && cdn.received().iter().all(|r| r.authorization.is_none()), "{:?}", cdn.received());
    let blobs: Vec<String> = std::fs::read_dir(dir.path().join("datasets--o--n/blobs"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(blobs.len(), 2, "{blobs:?}");
    assert!(blobs.contains(&SMALL.to_owned()) && blobs.contains(&sha256(&files[1].bytes)));
    // what is there is not fetched again
    let before = cdn.received().len();
    fetch(&hub, "data/big.bin", &store).unwrap();
    assert_eq!(cdn.received().len(), before);
    client.note(&dataset(), COMMIT, &store).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("datasets--o--n/refs/main")).unwrap(), COMMIT);
}

#[test]
fn a_broken_connection_is_gone_on_from() {
    let bytes: Vec<u8> = (0..400_000_u32).map(|i| (i % 251) as u8).collect();
    for (store_in_cache, honours_ranges) in [(true, true), (false, true), (true, false)] {
        let dir = tempfile::tempdir().unwrap();
        let store = if store_in_cache { Store::Cache(dir.path().into()) } else { Store::Folder(dir.path().into()) };
        let (all, tries) = (bytes.clone(), AtomicUsize::new(0));
        let cdn = FakeServer::start(move |request, _| {
            let whole = Received { range: request.range.clone().filter(|_| honours_ranges), ..request.clone() };
            match (tries.fetch_add(1, Ordering::SeqCst), ranged(&whole, &all)) {
                (n @ 0..3, Reply::Raw(status, headers, body, _)) => Reply::Raw(status, headers, body, 50_000 + n),
                (_, reply) => reply,
            }
        });
        let (files, to) = (vec![stored("x.bin", bytes.clone(), true)], cdn.root());
        let hub = FakeServer::start(move |r, _| answer(r, "datasets/o/n", "datasets/o/n", &files, &to));
        let (path, retries) = fetch(&hub, "x.bin", &store).unwrap();
        assert!(std::fs::read(path).unwrap() == bytes);
        assert_eq!(retries.len(), 3, "{retries:?}");
        let ranges: Vec<bool> = cdn.received().iter().map(|r| r.range.is_some()).collect();
        assert_eq!(ranges, [false, true, true, true]);
        if honours_ranges {
            let last = cdn.received()[3].range.clone().unwrap();
            let from: usize = last.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            assert!(from > 50_000 && from <= 150_003, "{last}");
        }
        let left = walk(dir.path()).into_iter().filter(|p| p.to_string_lossy().contains(".part")).count();
        assert_eq!(left, 0);
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .flat_map(|e| {
            let path = e.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}

#[test]
fn what_an_earlier_call_left_is_gone_on_from_too() {
    let bytes = vec![3_u8; 10_000];
    let dir = tempfile::tempdir().unwrap();
    let blobs = dir.path().join("datasets--o--n/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.part", sha256(&bytes)));
    for (left, range) in [(bytes[..4000].to_vec(), Some("bytes=4000-")), (vec![9; 20_000], None), (bytes.clone(), None)] {
        let complete = left.len() == bytes.len();
        std::fs::write(&part, left).unwrap();
        let cdn = elsewhere(vec![stored("x.bin", bytes.clone(), true)]);
        let (files, to) = (vec![stored("x.bin", bytes.clone(), true)], cdn.root());
        let hub = FakeServer::start(move |r, _| answer(r, "datasets/o/n", "datasets/o/n", &files, &to));
        let (path, _) = fetch(&hub, "x.bin", &Store::Cache(dir.path().into())).unwrap();
        assert!(std::fs::read(path).unwrap() == bytes);
        let asked: Vec<Option<String>> = cdn.received().into_iter().map(|r| r.range).collect();
        assert_eq!(asked, if complete { vec![] } else { vec![range.map(str::to_owned)] });
        std::fs::remove_file(blobs.join(sha256(&bytes))).unwrap();
    }
}

#[test]
fn wrong_bytes_are_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let cdn = elsewhere(vec![stored("x.bin", vec![1_u8; 5000], true)]);
    let (files, to) = (vec![stored("x.bin", vec![2_u8; 5000], true)], cdn.root());
    let hub = FakeServer::start(move |r, _| answer(r, "datasets/o/n", "datasets/o/n", &files, &to));
    let error = fetch(&hub, "x.bin", &Store::Cache(dir.path().into())).unwrap_err();
    assert!(error.contains("SHA-256") && error.contains(&sha256(&[2; 5000])) && error.contains("fetch it again"), "{error}");
    assert!(walk(dir.path()).is_empty(), "{:?}", walk(dir.path()));
    // too many bytes are no file either
    let cdn = elsewhere(vec![stored("x.bin", vec![2_u8; 9000], true)]);
    let (files, to) = (vec![stored("x.bin", vec![2_u8; 5000], true)], cdn.root());
    let hub = FakeServer::start(move |r, _| answer(r, "datasets/o/n", "datasets/o/n", &files, &to));
    let error = fetch(&hub, "x.bin", &Store::Cache(dir.path().into())).unwrap_err();
    assert!(error.contains("more than the 5000 bytes") && !error.contains("secret"), "{error}");
}

fn busy() -> Reply {
    Reply::Raw(429, vec![("Retry-After", "0".into()), ("X-Error-Message", "slow down".into())], vec![], usize::MAX)
}

#[test]
fn passing_troubles_pass() {
    let dir = tempfile::tempdir().unwrap();
    let files = vec![stored("a.json", "small", false)];
    let hub = FakeServer::start(move |r, n| match n {
        0 => busy(),
        1 => Reply::Whole(503, json!("")),
        2 => Reply::Close,
        4 => busy(),
        _ => answer(r, "datasets/o/n", "datasets/o/n", &files, ""),
    });
    let (path, retries) = fetch(&hub, "a.json", &Store::Folder(dir.path().into())).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "small");
    assert_eq!(retries.len(), 4, "{retries:?}");
    assert!(retries[0].contains("429") && retries[0].contains("slow down"), "{retries:?}");
    let hub = FakeServer::start(|_, _| busy());
    let error = fetch(&hub, "a.json", &Store::Folder(dir.path().into())).unwrap_err();
    assert!(error.contains("429") && error.contains("too many requests") && hub.received().len() == 4, "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(u16, &str, Option<&str>, &[&str]); 6] = [
        (401, "", None, &["401", "no such repository, or it is not for everybody", "HF_TOKEN"]),
        (401, "", Some("t"), &["the token in HF_TOKEN is refused"]),
        (403, "GatedRepo", Some("t"), &["403", "not open to this token", "ask for access"]),
        (404, "RepoNotFound", None, &["404", "no such repository, revision or file", "check the names"]),
        (404, "EntryNotFound", None, &["the repository has no such file"]),
        (410, "", None, &["410", "it is refused"]),
    ];
    for (status, code, token, says) in cases {
        let hub = FakeServer::start(move |_, _| refusal(status, code, "because of that"));
        let client = Hub::new(Settings { token: token.map(Into::into), ..settings(&hub) }).unwrap();
        let of_file = client.fetch(&dataset(), COMMIT, "a", &Store::Folder(dir.path().into()), &mut |_| {}).unwrap_err().to_string();
        let of_list = client.listing(&dataset()).unwrap_err().to_string();
        assert_eq!(hub.received().len(), 2, "a refusal is not asked for again");
        for error in [of_file, of_list] {
            assert!(says.iter().chain(&["because of that"]).all(|s| error.contains(s)) && error.starts_with(&hub.root()), "{error}");
        }
    }
}

#[test]
fn rubbish_is_no_listing_and_no_file() {
    let dir = tempfile::tempdir().unwrap();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "<html>",
        "{\"sha\": 1}",
        "{\"sha\": \"../..\", \"siblings\": []}",
        "{\"sha\": \"0123456789\"}",
        "é",
    ] {
        let hub = FakeServer::start(move |_, _| Reply::Raw(200, vec![], body.as_bytes().to_vec(), usize::MAX));
        let client = Hub::new(settings(&hub)).unwrap();
        let error = client.listing(&dataset()).unwrap_err().to_string();
        assert!(error.contains("the answer is not") && error.contains("HF_ENDPOINT"), "{body}: {error}");
        let error = client.fetch(&dataset(), COMMIT, "a", &Store::Folder(dir.path().into()), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("no ETag"), "{body}: {error}");
    }
    // names that lead out of the folder are not listed, and not fetched
    let hub = FakeServer::start(|_, _| {
        Reply::Whole(200, json!({ "sha": COMMIT, "siblings": [{ "rfilename": "../x" }, { "rfilename": 3 }, { "rfilename": "ok" }] }))
    });
    let client = Hub::new(settings(&hub)).unwrap();
    assert_eq!(client.listing(&dataset()).unwrap().files, ["ok"]);
    assert!(
        client
            .fetch(&dataset(), COMMIT, "../x", &Store::Folder(dir.path().into()), &mut |_| {})
            .unwrap_err()
            .to_string()
            .contains("no path")
    );
    for tag in ["../../x", "a/b", ""] {
        let hub = FakeServer::start(move |_, _| Reply::Raw(200, vec![("ETag", format!("\"{tag}\""))], vec![1], usize::MAX));
        assert!(fetch(&hub, "a", &Store::Cache(dir.path().into())).unwrap_err().contains("no ETag"));
    }
    let hub = FakeServer::start(|_, _| Reply::Raw(302, vec![("Location", "/again".into())], vec![], usize::MAX));
    assert!(Hub::new(settings(&hub)).unwrap().listing(&dataset()).unwrap_err().to_string().contains("leads on more than"));
    assert!(walk(dir.path()).is_empty());
    let nobody = Settings { endpoint: "huggingface".into(), ..settings(&hub) };
    assert!(Hub::new(nobody).unwrap().listing(&dataset()).unwrap_err().to_string().contains("no address"));
}

fn program(endpoint: &str, home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reasonscope"))
        .args(args)
        .env("HF_ENDPOINT", endpoint)
        .env("HF_HOME", home)
        .env_remove("HF_HUB_CACHE")
        .env_remove("HF_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn texts(output: &Output) -> (String, String, i32) {
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

#[test]
fn a_model_that_was_fetched_opens_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    let files: Vec<Stored> = std::fs::read_dir("assets/policy")
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| {
            stored(p.file_name().unwrap().to_str().unwrap(), std::fs::read(&p).unwrap(), p.extension().is_some_and(|e| e == "safetensors"))
        })
        .collect();
    let cdn = elsewhere(files.clone());
    let to = cdn.root();
    let hub = FakeServer::start(move |r, _| {
        // every small file has a tag of its own
        match answer(r, "models/o/n", "o/n", &files, &to) {
            Reply::Raw(200, headers, body, sent) if r.method == "HEAD" => {
                let tag = format!("\"{:040x}\"", r.path.bytes().fold(7_u128, |h, b| h.wrapping_mul(31).wrapping_add(u128::from(b))));
                Reply::Raw(200, headers.into_iter().map(|h| if h.0 == "ETag" { ("ETag", tag.clone()) } else { h }).collect(), body, sent)
            }
            reply => reply,
        }
    });
    let generate = ["generate", "--policy", "o/n", "--problems", "samples/problems.txt", "-n", "1", "--max-tokens", "3", "--device", "cpu"];
    let (_, err, code) = texts(&program(&hub.root(), home.path(), &generate));
    assert!(code == 1 && err.contains("reasonscope data fetch --model o/n"), "{err}");
    let (out, err, code) = texts(&program(&hub.root(), home.path(), &["data", "fetch", "--model", "o/n"]));
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("config.json") && out.contains("model.safetensors") && err.contains("open it with --policy o/n"), "{out} {err}");
    let (out, err, code) = texts(&program(&hub.root(), home.path(), &generate));
    assert!(code == 0 && out.contains("\"policy\""), "{out} {err}");
    let plain = home.path().join("plain");
    let (out, err, code) =
        texts(&program(&hub.root(), home.path(), &["data", "fetch", "--model", "o/n", "--output", plain.to_str().unwrap(), "--json"]));
    assert_eq!(code, 0, "{err}");
    assert!(serde_json::from_str::<Value>(&out).unwrap().as_array().unwrap().len() >= 3 && plain.join("config.json").is_file());
}

#[test]
fn data_becomes_json_lines() {
    let home = tempfile::tempdir().unwrap();
    let rows = "{\"problem\": \"P\", \"solution\": \"\\\\boxed{1}\", \"answer\": \"1\"}\n\n{\"problem\": \"Q\", \"solution\": \"\\\\boxed{2}\", \"answer\": \"2\"}";
    let files = vec![stored("test.jsonl", rows, true)];
    let cdn = elsewhere(files.clone());
    let to = cdn.root();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let hub = FakeServer::start(move |r, _| {
        count.fetch_add(1, Ordering::SeqCst);
        answer(r, "datasets/HuggingFaceH4/MATH-500", "datasets/HuggingFaceH4/MATH-500", &files, &to)
    });
    let out = home.path().join("out");
    let args = ["data", "fetch", "math", "--split", "math500", "--output", out.to_str().unwrap()];
    let (said, err, code) = texts(&program(&hub.root(), home.path(), &args));
    assert!(code == 0 && err.contains("2 records of HuggingFaceH4/MATH-500 at 01234567"), "{err}");
    let path = PathBuf::from(said.trim());
    assert_eq!(path, out.join("math-math500.jsonl"));
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    assert_eq!(walk(&out).len(), 1, "{:?}", walk(&out));
    let says = |args: &[&str], code: i32, message: &str| {
        let before = asked.load(Ordering::SeqCst);
        let (_, err, found) = texts(&program(&hub.root(), home.path(), args));
        assert!(found == code && err.contains(message), "{args:?}: {found} {err}");
        asked.load(Ordering::SeqCst) - before
    };
    assert_eq!(says(&["data", "fetch", "math", "--split", "dev"], 2, "it has train, test, math500"), 0);
    assert_eq!(says(&["data", "fetch", "stories"], 2, "nothing to fetch"), 0);
    assert_eq!(says(&["data", "fetch", "countdown"], 1, "is not on the hub"), 0);
    assert_eq!(says(&["data", "fetch"], 2, "TASK"), 0);
    assert_eq!(says(&["data", "fetch", "--model", "name"], 2, "OWNER/NAME"), 0);
    assert_eq!(says(&["data", "fetch", "math", "--model", "a/b"], 2, "cannot be used with"), 0);
    assert_eq!(says(&["data", "fetch", "gsm8k"], 1, "404"), 1);
}

#[test]
fn the_hub_and_where_it_leads_are_reached_through_the_proxy_of_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let rows = "{\"problem\": \"P\", \"solution\": \"\\\\boxed{1}\", \"answer\": \"1\"}";
    let files = vec![stored("test.jsonl", rows, true)];
    let proxy =
        FakeServer::start(move |r, _| match (r.path.strip_prefix("http://hub.invalid"), r.path.strip_prefix("http://cdn.invalid/")) {
            (Some(path), _) => {
                let request = Received { path: path.into(), ..r.clone() };
                answer(&request, "datasets/HuggingFaceH4/MATH-500", "datasets/HuggingFaceH4/MATH-500", &files, "http://cdn.invalid")
            }
            (_, Some("test.jsonl?signature=secret")) => ranged(r, &files[0].bytes),
            _ => Reply::Whole(502, json!("not through here")),
        });
    let out = home.path().join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_reasonscope"))
        .args(["data", "fetch", "math", "--split", "math500", "--output", out.to_str().unwrap()])
        .envs([("HF_ENDPOINT", "http://hub.invalid"), ("HF_TOKEN", "hf-secret"), ("HTTP_PROXY", &proxy.root())])
        .env("HF_HOME", home.path())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (_, err, code) = texts(&output);
    assert!(code == 0 && err.contains("1 records") && !err.contains("secret"), "{err}");
    let token = |r: &Received| r.authorization.as_deref() == Some("Bearer hf-secret");
    let asked = proxy.received();
    assert!(asked.iter().all(|r| token(r) == r.path.starts_with("http://hub.invalid/")), "{asked:?}");
    assert!(asked.iter().any(|r| r.path.starts_with("http://cdn.invalid/")));
}
