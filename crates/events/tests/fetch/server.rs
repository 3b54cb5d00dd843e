//! A local server of one file; each test determines its answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use md5::{Digest, Md5};
use tickless_events::fetch::{File, Options, Patience, Source, Then};

/// The request of a client.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub path: String,
    /// The N of `Range: bytes=N-`.
    pub from: Option<usize>,
    pub if_range: Option<String>,
}

/// A server that runs until the test ends.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that answers request number n (from 0) by `answer(n, request, stream)`.
    pub fn new(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { break };
                let (seen, answer) = (seen.clone(), answer.clone());
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let n = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    answer(n, &request, &mut stream);
                });
            }
        });
        Server { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Options that download from this server, with short timeouts.
    pub fn options(&self) -> Options {
        let ms = Duration::from_millis;
        let patience = Patience { connect: ms(2000), stall: ms(300), tries: 4, pause: ms(10) };
        Options { mirror: Some(self.url.clone()), patience, ..Options::default() }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, ..Request::default() };
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (key, value) = line.split_once(':')?;
        match key.to_ascii_lowercase().as_str() {
            "range" => request.from = value.trim().strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            "if-range" => request.if_range = Some(value.trim().into()),
            _ => {}
        }
    }
    Some(request)
}

/// Sends a header and a body; ignores that the client has disconnected.
pub fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
    let _ = stream.flush();
}

/// Answers correctly: 206 from the requested offset, or 200 with the whole file.
pub fn serve(stream: &mut TcpStream, request: &Request, body: &[u8]) {
    match request.from {
        Some(from) if from < body.len() => {
            let (last, total, length) = (body.len() - 1, body.len(), body.len() - from);
            let head = format!(
                "206 Partial Content\r\nContent-Range: bytes {from}-{last}/{total}\r\nContent-Length: {length}"
            );
            send(stream, &head, &body[from..]);
        }
        Some(_) => send(stream, &format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{}", body.len()), b""),
        None => send(stream, &format!("200 OK\r\nETag: \"one\"\r\nContent-Length: {}", body.len()), body),
    }
}

/// Bytes without repetitions.
pub fn body(n: usize) -> Vec<u8> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// A source with one file of these bytes.
pub fn source(name: &'static str, body: &[u8], bytes: bool, then: Then) -> Source {
    let md5: String = Md5::digest(body).iter().map(|b| format!("{b:02x}")).collect();
    let bytes = bytes.then_some(body.len() as u64);
    let file = File { url: "http://127.0.0.1:1/nobody", name, md5: md5.leak(), bytes, then };
    Source { name: "test", page: "", about: "", files: Box::leak(Box::new([file])) }
}
