//! Servers with certificates that this machine does not trust, and with one that it was told to trust.

use base64::Engine;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)).unwrap()
}

/// A server of a model with a certificate of the fixtures; its address.
fn serve(certificate: &str) -> String {
    let chain = vec![CertificateDer::from(fixture(&format!("{certificate}.der")))];
    let key = PrivateKeyDer::Pkcs8(fixture("server.key.der").into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket);
            // Who does not trust it says so and goes away.
            let _ = answer(&mut stream);
        }
    });
    address
}

/// Whether a request is there with the body that it says it has.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    body.len() >= length
}

fn answer(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    while !is_whole(&request) {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&part[..n]),
        }
    }
    let (kind, body) = match request.starts_with(b"GET") {
        true => ("application/json", r#"{"data":[{"id":"m"}]}"#),
        false => {
            ("text/event-stream", "data: {\"choices\":[{\"index\":0,\"text\":\"42\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
        }
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes())?;
    stream.flush()
}

/// `generate` on one problem, on a machine that trusts whom `trusted` names.
fn generate(address: &str, trusted: &Path) -> Output {
    let problems = trusted.with_file_name("problem.txt");
    std::fs::write(&problems, "6 * 7?\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_reasonscope"))
        .args(["generate", "-q", "-n", "1", "--policy", &format!("{address}/v1"), "--problems"])
        .arg(&problems)
        .env("SSL_CERT_FILE", trusted)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap()
}

/// A file of certificates in PEM form.
fn pem(dir: &Path, name: &str) -> PathBuf {
    let text = base64::prelude::BASE64_STANDARD.encode(fixture(&format!("{name}.der")));
    let lines: String = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    let path = dir.join(format!("{name}.pem"));
    std::fs::write(&path, format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")).unwrap();
    path
}

#[test]
fn a_bad_certificate_is_told_with_its_host_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (trusted, another) = (pem(dir.path(), "ca"), pem(dir.path(), "expired"));
    for (certificate, trusted, why, remedy) in [
        ("server", &another, "nobody whom this machine trusts has signed the certificate of 127.0.0.1:", "SSL_CERT_FILE"),
        ("expired", &trusted, "has expired", "clock"),
        ("early", &trusted, "not valid yet", "clock"),
        ("other", &trusted, "is for others: elsewhere.example;", "write the address as"),
    ] {
        let address = serve(certificate);
        let output = generate(&address, trusted);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{certificate}: {said}");
        assert!(said.contains(&address["https://".len()..]) && said.contains(why) && said.contains(remedy), "{certificate}: {said}");
    }
    // A server without TLS, which has no certificate at all.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut socket in plain.incoming().flatten() {
            let _ = socket.read(&mut [0; 4096]).and_then(|_| socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let output = generate(&address, &trusted);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("does not answer with TLS") && said.contains("http://"), "{said}");
}

#[test]
fn the_remedy_for_a_certificate_that_nobody_signed_helps() {
    let dir = tempfile::tempdir().unwrap();
    let output = generate(&serve("server"), &pem(dir.path(), "ca"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("42"));
}
