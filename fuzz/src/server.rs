//! A server on the loopback that answers every request with the same bytes, whatever they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers for as long as the process lives, one connection after another.
pub struct Answers {
    address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Answers {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let answer = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // In two writes, so that an event or a header may come in two parts.
                let (first, second) = answer.split_at(answer.len() / 2);
                let _ = stream.write_all(first).and_then(|()| stream.flush()).and_then(|()| stream.write_all(second));
            }
        });
        Self { address, bytes }
    }

    /// What is answered from now on.
    pub fn set(&self, bytes: Vec<u8>) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// Its address without a path.
    pub fn root(&self) -> String {
        format!("http://{}", self.address)
    }
}
