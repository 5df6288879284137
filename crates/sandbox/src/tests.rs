//! The sandbox over its socket: faults, the log, the control endpoint, and its end.

use super::*;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SECRETS: &str = "/v1/projects/sandbox-project/secrets";

struct Running {
    sandbox: Sandbox,
    address: String,
    /// Removed when the test ends.
    _directory: tempfile::TempDir,
}

async fn start(faults: &[&str]) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        accounts: 1,
        sync_delay: Duration::from_millis(20),
        pod_start: Duration::from_millis(20),
        faults: faults.iter().map(|text| text.parse().unwrap()).collect(),
        seed: Some(1),
        directory: directory.path().to_owned(),
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let address = sandbox.kubernetes_url.strip_prefix("http://").unwrap().to_owned();
    Running { sandbox, address, _directory: directory }
}

impl Running {
    /// Sends a request on a connection of its own. None when the connection closes without an answer.
    async fn ask(&self, verb: &str, place: &str, body: &Value) -> Option<(u16, String, Value)> {
        self.ask_for(verb, place, body, "*/*").await
    }

    /// An object as rows for people.
    async fn table(&self, place: &str, accept: &str) -> Value {
        self.ask_for("GET", place, &Value::Null, accept).await.unwrap().2
    }

    async fn ask_for(&self, verb: &str, place: &str, body: &Value, accept: &str) -> Option<(u16, String, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!(
            "{verb} {place} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: test\r\naccept: {accept}\r\nconnection: close\r\n\
             content-type: application/merge-patch+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    async fn status(&self, verb: &str, place: &str, body: &Value) -> Option<u16> {
        self.ask(verb, place, body).await.map(|(status, _, _)| status)
    }

    /// The outcome and the class of every request of a client, in order.
    async fn log(&self) -> Vec<String> {
        let (_, _, log) = self.ask("GET", "/sandbox/v1/log", &Value::Null).await.unwrap();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let line =
            |entry: &Value| format!("{} {} {}", text(entry, "operation"), text(entry, "class"), text(entry, "outcome"));
        log.as_array().unwrap().iter().filter(|entry| entry["client"] == "test").map(line).collect()
    }

    async fn is_unanswered(&self, verb: &str, place: &str, body: &Value) -> bool {
        tokio::time::timeout(Duration::from_millis(200), self.ask(verb, place, body)).await.is_err()
    }
}

fn new_secret() -> Value {
    json!({ "replication": { "automatic": {} } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_do_to_a_request_what_they_say() {
    let running = start(&["hang", "reset=getSecret", "lost-answer=addSecretVersion"]).await;
    let create = format!("{SECRETS}?secretId=x");
    let get = format!("{SECRETS}/x");
    assert!(running.is_unanswered("POST", &create, &new_secret()).await, "hung");
    assert_eq!(running.status("POST", &create, &new_secret()).await, Some(200), "it had no effect the first time");
    assert_eq!(running.status("GET", &get, &Value::Null).await, None, "reset");
    assert_eq!(running.status("GET", &get, &Value::Null).await, Some(200));
    let payload = json!({ "payload": { "data": "YQ==" } });
    assert_eq!(running.status("POST", &format!("{get}:addVersion"), &payload).await, None, "answer lost");
    assert_eq!(running.status("GET", &format!("{get}/versions/1:access"), &Value::Null).await, Some(200));
    let expected = [
        "createSecret write hung",
        "createSecret write answered",
        "getSecret metadata-read reset",
        "getSecret metadata-read answered",
        "addSecretVersion write answer lost",
        "accessSecretVersion access answered",
    ];
    assert_eq!(running.log().await, expected);
    running.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_count_down_and_speak_the_services_language() {
    let running = start(&["unavailable=1", "internal-error=1", "too-many-requests-retry-after=7", "conflict=1"]).await;
    let list = SECRETS;
    let deployment = "/apis/apps/v1/namespaces/acme/deployments/admin";
    let (status, head, body) = running.ask("GET", list, &Value::Null).await.unwrap();
    assert!(status == 429 && head.contains("retry-after: 7"), "{head}");
    assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
    let (status, head, body) = running.ask("GET", deployment, &Value::Null).await.unwrap();
    assert!(status == 429 && head.contains("retry-after: 7"), "{head}");
    assert_eq!((&body["kind"], &body["details"]["retryAfterSeconds"]), (&json!("Status"), &json!(7)));
    assert_eq!(running.status("GET", list, &Value::Null).await, Some(503));
    assert_eq!(running.status("GET", list, &Value::Null).await, Some(500));
    assert_eq!(running.status("GET", list, &Value::Null).await, Some(200));
    let (status, _, body) = running.ask("PATCH", deployment, &json!({})).await.unwrap();
    assert_eq!((status, &body["reason"]), (409, &json!("Conflict")));
    running.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nth_request_is_held_alone_and_ends_with_the_sandbox() {
    let running = start(&["hold=2", "hold-answer=4"]).await;
    let create = format!("{SECRETS}?secretId=x");
    assert_eq!(running.status("GET", SECRETS, &Value::Null).await, Some(200));
    assert_eq!(running.status("GET", "/sandbox/v1/faults", &Value::Null).await, Some(200), "not counted");
    assert!(running.is_unanswered("POST", &create, &new_secret()).await);
    assert_eq!(running.status("GET", &format!("{SECRETS}/x"), &Value::Null).await, Some(404));
    // Held for ever: this one is still open when the sandbox stops.
    let address = running.address.clone();
    let held = async {
        let body = new_secret().to_string();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head =
            format!("POST {create} HTTP/1.1\r\nhost: h\r\nuser-agent: test\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        stream
    };
    let mut stream = held.await;
    let begun = Instant::now();
    while !running.log().await.contains(&"createSecret write answer held".to_owned()) {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running.status("GET", &format!("{SECRETS}/x"), &Value::Null).await, Some(200), "the effect is there");
    tokio::time::timeout(Duration::from_secs(5), running.sandbox.stop()).await.expect("nothing holds up the end");
    let mut rest = String::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "closed, never answered");
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_come_and_go_at_run_time() {
    let running = start(&[]).await;
    let faults = "/sandbox/v1/faults";
    let cases = [
        ("POST", faults, json!({ "name": "forbidden", "value": "list/deployments" }), 201),
        ("POST", faults, json!({ "name": "conflict", "value": 2 }), 201),
        ("POST", faults, json!({ "name": "conflct", "value": 2 }), 400),
        ("POST", faults, json!({ "value": 2 }), 400),
        ("GET", "/apis/apps/v1/namespaces/acme/deployments", Value::Null, 403),
        ("DELETE", "/sandbox/v1/faults/forbidden", Value::Null, 200),
        ("DELETE", "/sandbox/v1/faults/forbidden", Value::Null, 404),
        ("GET", "/apis/apps/v1/namespaces/acme/deployments", Value::Null, 200),
        ("GET", "/sandbox/v1/secrets", Value::Null, 200),
        ("GET", "/sandbox/v1/pods", Value::Null, 200),
        ("POST", "/sandbox/v1/sync/acme/nothing-of-that-name", Value::Null, 404),
        ("GET", "/sandbox/v1/nothing", Value::Null, 404),
    ];
    for (verb, place, body, expected) in cases {
        assert_eq!(running.status(verb, place, &body).await, Some(expected), "{verb} {place} {body}");
    }
    running.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_no_bodies() {
    let running = start(&[]).await;
    running.status("POST", &format!("{SECRETS}?secretId=x"), &new_secret()).await;
    let payload = json!({ "payload": { "data": "c2VjcmV0LXZhbHVl" } });
    running.status("POST", &format!("{SECRETS}/x:addVersion"), &payload).await;
    let (_, _, log) = running.ask("GET", "/sandbox/v1/log?after=1", &Value::Null).await.unwrap();
    let add = log.as_array().unwrap().iter().find(|entry| entry["operation"] == "addSecretVersion").unwrap();
    assert_eq!((&add["status"], &add["class"], &add["api"]), (&json!(200), &json!("write"), &json!("secret-manager")));
    assert!(!log.to_string().contains("c2VjcmV0"));
    running.sandbox.stop().await;
}

/// By how many seconds the server's clock is ahead of this one, in its header and in an object that it made.
async fn ahead(running: &Running, name: &str) -> [i64; 2] {
    let object = json!({ "metadata": { "name": name } });
    let made = running.ask("POST", "/api/v1/namespaces/acme/secrets", &object).await.unwrap();
    let (_, head, body) = made;
    let date = head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
    let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    let created: jiff::Timestamp = body["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    [date, created].map(|time| time.duration_since(jiff::Timestamp::now()).as_secs())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_worlds_in_one_process_stand_apart() {
    let (early, late) = (start(&["clock-skew=-7200"]).await, start(&["clock-skew=3600", "pod-slow-to-stop=1h"]).await);
    // One after the other and back: nothing that one was asked last is left to the other.
    for name in ["a", "b"] {
        for (running, skew) in [(&early, -7200_i64), (&late, 3600)] {
            let ahead = ahead(running, name).await;
            assert!(ahead.iter().all(|seconds| (seconds - skew).abs() < 60), "{skew}: {ahead:?}");
        }
    }
    // Ages are seen by the same clock: a new object is young in both.
    let accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
    for running in [&early, &late] {
        let table = running.table("/api/v1/namespaces/acme/secrets/b", accept).await;
        let age = table["rows"][0]["cells"][3].as_str().unwrap().to_owned();
        assert!(age.len() < 4 && age.ends_with('s'), "{age}");
    }
    // They are also of different speed: a pod goes at once in one, and stays in the other.
    for (running, stays) in [(&early, false), (&late, true)] {
        let pods = "/api/v1/namespaces/acme/pods";
        let (_, _, list) = running.ask("GET", pods, &Value::Null).await.unwrap();
        let pod = format!("{pods}/{}", list["items"][0]["metadata"]["name"].as_str().unwrap());
        running.status("DELETE", &pod, &Value::Null).await;
        let begun = Instant::now();
        while running.status("GET", &pod, &Value::Null).await == Some(200) && begun.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(running.status("GET", &pod, &Value::Null).await == Some(200), stays);
    }
    // The same text has another hash in each: nobody learns of one world what the other hides.
    let hash = |running: &Running| running.sandbox.world.controllers.private_hash(&"text");
    assert_eq!((hash(&early) == hash(&late), hash(&early) == hash(&early)), (false, true));
    early.sandbox.stop().await;
    late.sandbox.stop().await;
}
