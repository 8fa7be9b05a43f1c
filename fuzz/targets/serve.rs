//! What a client sends to `serve`. The first byte says whether the rest is all that it sends, or the body of a good request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::reward::{Piece, RewardError, RewardModel, Said, Scored};
use reasonscope::runtime::{Loaded, Loader, Models};
use reasonscope::serve::{Limits, Server};
use reasonscope::trace::{Calibration, REWARD, Reading, Span, Statistic, TokenValue};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A reward of ±1 a character: −1 for a `?`.
struct Marks(Calibration);

impl RewardModel for Marks {
    fn name(&self) -> &str {
        "marks"
    }
    fn calibration(&self) -> &Calibration {
        &self.0
    }
    fn shares_tokenizer(&self, _: &str) -> bool {
        false
    }
    fn begin(&mut self, _: &str, _: usize) -> Result<(), RewardError> {
        Ok(())
    }
    fn append(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Scored>, RewardError> {
        let rewards = |p: &Piece| {
            let new = p.text.char_indices().filter(|(at, _)| p.new.contains(at));
            new.map(|(at, c)| TokenValue { span: Span::new(at, at + c.len_utf8()), value: if c == '?' { -1.0 } else { 1.0 } }).collect()
        };
        Ok(pieces.iter().map(|p| Scored { candidate: p.candidate, said: Said::Tokens { from: p.new.start, rewards: rewards(p) } }).collect())
    }
}

/// A server that lives as long as the process.
fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let limits = Limits { request: Duration::from_secs(5), head: Duration::from_secs(1), upload: Duration::from_secs(1), ..Limits::default() };
        let server = Server::bind("127.0.0.1", 0, None, limits).expect("a port");
        let address = server.address();
        let load = |_| {
            let model = Marks(Calibration::at(Reading::new(REWARD, Statistic::Min), 0.0));
            Ok(Loaded { model: Box::new(model) as Box<dyn RewardModel>, about: "marks".into() })
        };
        let models = vec![("marks".to_owned(), Models { policy: None, rewards: vec![Loader::new("marks", load)] })];
        std::thread::spawn(move || server.run(models, &AtomicBool::new(false), &mut |_| {}));
        address
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    let mut stream = TcpStream::connect(address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    let head = format!(
        "POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        rest.len()
    );
    let whole = how % 4 != 0;
    let _ = stream.write_all(if whole { head.as_bytes() } else { b"" }).and_then(|()| stream.write_all(rest));
    if !whole {
        // Who sends no more gives up; a server need not answer.
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(e) => panic!("no end after {} bytes: {e}", answer.len()),
    }
    if whole {
        let text = String::from_utf8_lossy(&answer);
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|t| t.get(..3)).and_then(|s| s.parse::<u16>().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {text:?}"));
        assert!(status == 200 || (400..500).contains(&status), "{text}");
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(status == 200 || body.contains("\"error\":{\"status\":"), "{text}");
    }
});
