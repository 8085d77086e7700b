//! A small HTTP server (RFC 9112, one request for each connection) that guests load from and send to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Most bytes of something sent.
const UPLOAD: u64 = 16 << 20;

/// Serves on a port of 127.0.0.1 until the process ends.
#[derive(Clone)]
pub struct Server {
    port: u16,
    sent: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Server {
    /// Serves `file` as `/file`, and keeps what is sent (PUT) to any path.
    pub fn start(file: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port to serve on");
        let server =
            Self { port: listener.local_addr().expect("a bound socket has an address").port(), sent: Arc::default() };
        let (sent, file) = (Arc::clone(&server.sent), Arc::new(file));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sent, file) = (Arc::clone(&sent), Arc::clone(&file));
                std::thread::spawn(move || {
                    if let Err(error) = answer(stream, &file, &sent) {
                        println!("  server: {error}");
                    }
                });
            }
        });
        server
    }

    /// The address of a path as guests behind user-mode NAT see it.
    pub fn url(&self, path: &str) -> String {
        format!("http://10.0.2.2:{}/{path}", self.port)
    }

    /// What was sent to a path.
    pub fn sent(&self, path: &str) -> Option<String> {
        let sent = self.sent.lock().expect("no thread of the server panics");
        sent.get(&format!("/{path}")).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

fn answer(stream: TcpStream, file: &[u8], sent: &Mutex<BTreeMap<String, Vec<u8>>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut length, mut expects) = (0, false);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "expect" => expects = true,
                _ => {}
            }
        }
    }
    match (method.as_str(), path.as_str()) {
        ("GET", "/file") => {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", file.len())?;
            out.write_all(file)
        }
        ("PUT", _) => {
            if expects {
                out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let mut bytes = Vec::new();
            reader.take(UPLOAD.min(length)).read_to_end(&mut bytes)?;
            sent.lock().expect("no thread of the server panics").insert(path, bytes);
            out.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        }
        _ => out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

/// Bytes that no compression or cache makes up: the same for the same seed (xorshift).
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}
