//! Stands between the program and the sandbox, and changes answers on their way.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Gets a request's head, the head and the body of its answer; returns the two changed, or none to leave them.
type Change = dyn Fn(&str, &str, &[u8]) -> Option<(String, Vec<u8>)> + Send + Sync;

/// Answers a request itself, by its head and its body: then it goes no further.
type Answers = dyn Fn(&str, &[u8]) -> Option<(String, Vec<u8>)> + Send + Sync;

/// A proxy on a port of loopback, for the rest of the test. Watches pass unchanged.
pub struct Proxy {
    pub url: String,
    changed: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn start(
        upstream: &str,
        change: impl Fn(&str, &str, &[u8]) -> Option<(String, Vec<u8>)> + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::with(upstream, |_, _| None, change)
    }

    /// One that answers some requests itself.
    pub fn answering(
        upstream: &str,
        answers: impl Fn(&str, &[u8]) -> Option<(String, Vec<u8>)> + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::with(upstream, answers, |_, _, _| None)
    }

    fn with(
        upstream: &str,
        answers: impl Fn(&str, &[u8]) -> Option<(String, Vec<u8>)> + Send + Sync + 'static,
        change: impl Fn(&str, &str, &[u8]) -> Option<(String, Vec<u8>)> + Send + Sync + 'static,
    ) -> Proxy {
        let answers: Arc<Answers> = Arc::new(answers);
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (changed, change): (Arc<AtomicUsize>, Arc<Change>) = (Arc::default(), Arc::new(change));
        let counter = changed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, counter, change) = (upstream.clone(), counter.clone(), change.clone());
                let answers = answers.clone();
                std::thread::spawn(move || forward(client, &upstream, &*answers, &*change, &counter));
            }
        });
        Proxy { url, changed }
    }

    /// How many answers were changed.
    pub fn changed(&self) -> usize {
        self.changed.load(Ordering::Relaxed)
    }
}

/// One request, one answer, then the connection ends. None: the other end left.
fn forward(client: TcpStream, upstream: &str, answers: &Answers, change: &Change, counter: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let (asked, body) = message(&mut reader)?;
    if let Some((head, body)) = answers(&asked, &body) {
        counter.fetch_add(1, Ordering::Relaxed);
        let head = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let mut client = client;
        client.write_all(head.as_bytes()).ok()?;
        return client.write_all(&body).ok();
    }
    let mut server = TcpStream::connect(upstream).ok()?;
    server.write_all(format!("{}\r\nconnection: close\r\n\r\n", without(&asked, "connection")).as_bytes()).ok()?;
    server.write_all(&body).ok()?;
    let mut client = client;
    if asked.contains("watch=") {
        std::io::copy(&mut server, &mut client).ok()?;
        return Some(());
    }
    let mut answer = BufReader::new(server);
    let (mut head, mut body) = message(&mut answer)?;
    if let Some(changed) = change(&asked, &head, &body) {
        counter.fetch_add(1, Ordering::Relaxed);
        (head, body) = changed;
    }
    let head = without(&without(&without(&head, "content-length"), "transfer-encoding"), "connection");
    let head = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).ok()?;
    client.write_all(&body).ok()
}

/// The head without its end, and the body.
fn message(from: &mut impl std::io::BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.trim_end().to_owned();
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some(length) = lower.lines().find_map(|line| line.strip_prefix("content-length:")) {
        body.resize(length.trim().parse().ok()?, 0);
        from.read_exact(&mut body).ok()?;
    } else if lower.contains("transfer-encoding: chunked") {
        loop {
            let mut size = String::new();
            from.read_line(&mut size).ok()?;
            let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).ok()? + 2];
            from.read_exact(&mut chunk).ok()?;
            chunk.truncate(chunk.len() - 2);
            if chunk.is_empty() {
                break;
            }
            body.extend(chunk);
        }
    }
    Some((head, body))
}

fn without(head: &str, name: &str) -> String {
    let is = |line: &str| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
    head.split("\r\n").filter(|line| !is(line)).collect::<Vec<_>>().join("\r\n")
}
