//! Between the program and a server that is well: cuts, resets, stalls, drips, answers rubbish.

use crate::random::Random;
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What becomes of an answer.
#[derive(Clone, Debug)]
enum Fate {
    Passes,
    /// A few bytes at a time.
    Drips,
    /// Closed after so many bytes.
    Cut(usize),
    /// Reset after so many bytes.
    Reset(usize),
    /// Silent after so many bytes, for longer than anybody waits here.
    Stalls(usize),
    Rubbish(Vec<u8>),
}

/// A proxy that is calm until it is told otherwise.
pub struct Proxy {
    address: SocketAddr,
    wild: Arc<AtomicBool>,
}

fn fate(r: &mut Random) -> Fate {
    let after = r.below(900);
    match r.below(10) {
        0..=3 => Fate::Passes,
        4 => Fate::Drips,
        5 | 6 => Fate::Cut(after),
        7 => Fate::Reset(after),
        8 => Fate::Stalls(after),
        _ => Fate::Rubbish(match r.below(4) {
            0 => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9\r\n\r\n\x1b[31mred\n".to_vec(),
            1 => b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".to_vec(),
            2 => b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"error\": \"\\u001b]0;x\\u0007\\u202e\"}\n\n".to_vec(),
            _ => [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", r.text(9).as_bytes(), b"\n\n"].concat(),
        }),
    }
}

/// Passes on what comes, as far as the fate lets it.
fn answer(mut from: TcpStream, mut to: TcpStream, fate: &Fate) -> std::io::Result<()> {
    let (limit, size) = match fate {
        Fate::Cut(n) | Fate::Reset(n) | Fate::Stalls(n) => (*n, 512),
        Fate::Drips => (usize::MAX, 3),
        Fate::Passes | Fate::Rubbish(_) => (usize::MAX, 4096),
    };
    let (mut sent, mut buffer) = (0, vec![0; size]);
    while sent < limit {
        let n = from.read(&mut buffer)?.min(limit - sent);
        if n == 0 {
            break;
        }
        to.write_all(&buffer[..n])?;
        sent += n;
        if matches!(fate, Fate::Drips) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    match fate {
        Fate::Reset(_) => set_socket_linger(&to, Some(Duration::ZERO))?,
        Fate::Stalls(_) => {
            // Until the program gives up, or is gone.
            to.set_read_timeout(Some(Duration::from_secs(60)))?;
            let _ = to.read(&mut buffer);
        }
        _ => to.shutdown(Shutdown::Write)?,
    }
    Ok(())
}

fn serve(mut client: TcpStream, server: SocketAddr, fate: &Fate) -> std::io::Result<()> {
    if let Fate::Rubbish(bytes) = fate {
        let _ = client.read(&mut [0; 4096]);
        return client.write_all(bytes);
    }
    let upstream = TcpStream::connect(server)?;
    let (mut from, mut to) = (client.try_clone()?, upstream.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)));
    let ended = answer(upstream.try_clone()?, client.try_clone()?, fate);
    let _ = upstream.shutdown(Shutdown::Both);
    if !matches!(fate, Fate::Reset(_)) {
        let _ = client.shutdown(Shutdown::Both);
    }
    ended
}

impl Proxy {
    /// Stands before the server at `address`.
    pub fn start(address: &str, seed: u64) -> Self {
        let server: SocketAddr = address.parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let wild = Arc::<AtomicBool>::default();
        let (is_wild, random) = (wild.clone(), Mutex::new(Random::new(seed)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let fate = match is_wild.load(Ordering::SeqCst) {
                    true => fate(&mut random.lock().unwrap_or_else(PoisonError::into_inner)),
                    false => Fate::Passes,
                };
                std::thread::spawn(move || drop(serve(client, server, &fate)));
            }
        });
        Self { address, wild }
    }

    /// From now on answers meet what they meet, or pass.
    pub fn set_wild(&self, wild: bool) {
        self.wild.store(wild, Ordering::SeqCst);
    }

    /// Its address as a policy is named.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}
