//! Servers that answer nonsense, steer the terminal, or never end: one clear line, soon, and nothing else.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use deepdesk_protocol::facts::names::acts;
use serde_json::Value;

use crate::http::pass_request;
use crate::proxy::Proxy;
use crate::world::{Ran, World, external_secret, finish, lease, workload};

/// What a server may put into any text: clear the screen, set the title, the same in 8 bits, turn the direction of
/// writing, ring, go back, hide.
const STEERING: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\r\u{8}\u{200b}";

/// Fails the test if anything is written that a terminal acts upon, or the program broke.
#[track_caller]
fn is_tame(what: &str, ran: &Ran) {
    for (stream, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        let found = text.chars().position(|c| acts(c) && c != '\n');
        assert_eq!(found, None, "{what}: {stream}: {text:?}");
    }
    assert!(!ran.stderr.contains("panicked") && (0..=5).contains(&ran.code), "{what}: {}\n{}", ran.code, ran.stderr);
}

/// Puts `STEERING` behind each text that has one of these keys; behind every one that is no name where there are none.
fn steered(value: &mut Value, key: &str, keys: &[&str]) {
    match value {
        Value::String(text) if keys.contains(&key) => text.push_str(STEERING),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::Array(items) => items.iter_mut().for_each(|item| steered(item, key, keys)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| steered(value, key, keys)),
    }
}

const COMMANDS: [&[&str]; 9] = [
    &["secret", "verify", "globex"],
    &["secret", "status", "globex"],
    &["secret", "status", "-A"],
    &["secret", "rotate", "globex", "--dry-run"],
    &["secret", "rotate", "globex", "--yes", "--timeout=2s"],
    &["account", "list"],
    &["check"],
    &["config", "list"],
    &["secret", "sync", "acme", "--timeout=2s"],
];

const MANNERS: [&[&str]; 5] = [
    &["-o", "human", "--progress", "plain", "-vv"],
    &["-o", "wide", "--progress", "none"],
    &["-o", "json", "--progress", "json"],
    &["-o", "yaml"],
    &["-o", "name", "-v"],
];

#[test]
fn what_a_server_says_steers_no_terminal() {
    // What people write and controllers say; then everything that a rollout, a pod or a lock says of itself.
    let words: &[&str] =
        &["message", "reason", "note", "holderIdentity", "deepdesk.com/holder-process", "description", "username"];
    let more: &[&str] = &[&["phase", "image", "etag", "uid", "host", "key"], words].concat();
    let names: &[&str] = &["name", "namespace", "kind", "state", "latest", "projectID", "secretKey", "labels", "role"];
    for (n, keys) in [words, more, names].into_iter().enumerate() {
        let world = World::start(&[]);
        // Something is wrong everywhere, so that there is much to say.
        world.fault("sync-failing", Some("backend-secrets"));
        world.sync("globex", "backend-secrets");
        world.patch(&workload("globex", "deployments/worker"), serde_json::json!({"spec": {"paused": true}}));
        world.sent("POST", "/apis/coordination.k8s.io/v1/namespaces/acme/leases", Some(serde_json::json!({"metadata": {"name": "deepdesk-rotation"},
            "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "renewTime": "2099-01-01T00:00:00.000000Z"}})));
        assert!(world.lock_holder("acme").is_some() && world.send("GET", &lease("acme"), None).0 == 200);
        world.until("the failure shows", |world| {
            world.sent("GET", &external_secret("globex", "backend-secrets"), None)["status"]["conditions"][0]["status"]
                != "True"
        });
        let owned: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let proxy = Proxy::start(&world.environment()["DEEPDESK_SANDBOX_URL"], move |_, head, body| {
            let mut value: Value = serde_json::from_slice(body).ok()?;
            steered(&mut value, "", &owned.iter().map(String::as_str).collect::<Vec<_>>());
            Some((head.to_owned(), value.to_string().into_bytes()))
        });
        let mut told = 0;
        // What was taken out of a text leaves its mark, or its escape in JSON.
        let shows_that =
            |text: &str| text.contains('\u{fffd}') || text.contains("\\u202e") || text.contains("]0;title");
        for (m, command) in COMMANDS.into_iter().enumerate() {
            for manner in [MANNERS[(m + n) % MANNERS.len()], MANNERS[(m + n + 2) % MANNERS.len()]] {
                let args = [command, manner].concat();
                let mut run = world.command(&[&args[..], &["--server", &proxy.url]].concat());
                run.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{}/", proxy.url));
                let ran = finish(run.stdin(Stdio::null()).spawn().expect("the program starts"));
                is_tame(&args.join(" "), &ran);
                told += [&ran.stdout, &ran.stderr].iter().filter(|text| shows_that(text)).count();
                if args.contains(&"json") && !ran.stdout.is_empty() {
                    ran.json();
                }
            }
        }
        // Completion asks the same server.
        for line in
            ["secret rotate ", "secret verify --workload ", "secret verify --external-secret ", "secret rotate -n "]
        {
            for shell in ["bash", "fish"] {
                let words: Vec<&str> = line.split(' ').collect();
                let mut run = world.command(&[&["--", "kubectl-deepdesk"], &words[..]].concat());
                run.args(["--server", &proxy.url])
                    .env("COMPLETE", shell)
                    .env("_DEEPDESK_INDEX", words.len().to_string());
                is_tame(line, &finish(run.stdin(Stdio::null()).spawn().expect("the program starts")));
            }
        }
        // With names that are none there is nothing to say of anything.
        assert!(proxy.changed() > 20 && (told > 0 || n == 2), "{keys:?}: {told}");
    }
}

/// How a server answers everything.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Page(u16),
    Truncated,
    WrongTypes,
    EndlessList,
    Redirects,
    Drips,
    EndlessBody,
    EndlessHead,
    Silent,
    HangsUp,
    NotHttp,
}

fn server(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let own = url.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let own = own.clone();
            std::thread::spawn(move || answer(client, manner, &own));
        }
    });
    url
}

/// One request, one answer. None: the other end left.
fn answer(mut client: TcpStream, manner: Manner, own: &str) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    pass_request(&mut reader)?;
    let whole = |status: u16, kind: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let json = "application/json";
    let open = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let text = match manner {
        Manner::Page(status) => whole(status, "text/html", "<html>\u{1b}[2J<h1>Log in</h1></html>"),
        Manner::Truncated => whole(200, json, "{\"metadata\": {\"name\": \"x\"}, \"items\": [{\"met"),
        Manner::WrongTypes => {
            whole(200, json, "{\"metadata\": [], \"items\": 7, \"versions\": \"x\", \"payload\": [], \"name\": {}}")
        }
        Manner::EndlessList => whole(
            200,
            json,
            "{\"metadata\": {\"continue\": \"more\"}, \"items\": [], \"versions\": [], \"nextPageToken\": \"more\"}",
        ),
        Manner::Redirects => {
            format!("HTTP/1.1 307 X\r\nlocation: {own}/again\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        }
        Manner::Drips | Manner::EndlessBody => open.to_owned(),
        Manner::EndlessHead => "HTTP/1.1 200 OK\r\n".to_owned(),
        Manner::Silent => {
            std::thread::sleep(Duration::from_secs(120));
            return None;
        }
        Manner::HangsUp => return None,
        Manner::NotHttp => "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
    };
    client.write_all(text.as_bytes()).ok()?;
    let (piece, pause): (&[u8], u64) = match manner {
        Manner::Drips => (b" ", 200),
        Manner::EndlessBody => (&[b' '; 64 * 1024], 0),
        Manner::EndlessHead => (b"x-more: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 0),
        _ => return Some(()),
    };
    loop {
        client.write_all(piece).ok()?;
        std::thread::sleep(Duration::from_millis(pause));
    }
}

/// The most memory that a process had, in MiB, seen while it ran.
fn watched(child: std::process::Child) -> (Ran, u64) {
    let id = child.id();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut most = 0;
        while stopped.recv_timeout(Duration::from_millis(20)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let peak = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
            most = most.max(peak.unwrap_or(0) / 1024);
        }
        most
    });
    let ran = finish(child);
    drop(stop);
    (ran, watcher.join().expect("it does not panic"))
}

const MANNERS_OF_SERVERS: [Manner; 14] = [
    Manner::Page(200),
    Manner::Page(302),
    Manner::Page(404),
    Manner::Page(500),
    Manner::Truncated,
    Manner::WrongTypes,
    Manner::EndlessList,
    Manner::Redirects,
    Manner::Drips,
    Manner::EndlessBody,
    Manner::EndlessHead,
    Manner::Silent,
    Manner::HangsUp,
    Manner::NotHttp,
];

#[test]
fn a_server_that_is_none_gives_one_clear_line() {
    let world = World::start(&["--accounts=1"]);
    let runs: Vec<_> = MANNERS_OF_SERVERS
        .into_iter()
        .flat_map(|manner| [("the cluster", manner), ("Secret Manager", manner)])
        .map(|(whose, manner)| {
            let url = server(manner);
            let mut run = world.command(&["secret", "verify", "acme", "--progress", "none"]);
            match whose {
                "the cluster" => run.args(["--server", &url]),
                _ => run.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{url}/")),
            };
            (whose, manner, run)
        })
        .collect();
    // Most of them wait for a deadline: some at a time.
    let told: Vec<String> = runs
        .into_iter()
        .collect::<Vec<_>>()
        .chunks_mut(14)
        .flat_map(|some| {
            std::thread::scope(|scope| {
                let started: Vec<_> = some
                    .iter_mut()
                    .map(|(whose, manner, run)| {
                        scope.spawn(move || {
                            let began = Instant::now();
                            let (ran, most) = watched(run.stdin(Stdio::null()).spawn().expect("the program starts"));
                            let what = format!("{whose} {manner:?}");
                            is_tame(&what, &ran);
                            assert!(
                                [1, 3, 4].contains(&ran.code),
                                "{what}: {} {}\n{}",
                                ran.code,
                                ran.stdout,
                                ran.stderr
                            );
                            let errors = ran.stderr.lines().filter(|line| line.starts_with("error: ")).count();
                            let rest = ran
                                .stderr
                                .lines()
                                // A connection that is lost is told while that lasts.
                                .filter(|line| {
                                    !["error: ", "hint: ", "warning: no connection"]
                                        .iter()
                                        .any(|start| line.starts_with(start))
                                })
                                .count();
                            assert_eq!((errors, rest), (1, 0), "{what}: {}", ran.stderr);
                            assert!(began.elapsed() < Duration::from_secs(75), "{what}: {:?}", began.elapsed());
                            // Google's client reads a body to its end: there the process's size is looked at.
                            let bound = if what == "Secret Manager EndlessBody" { 1200 } else { 500 };
                            assert!(most < bound, "{what}: {most} MiB");
                            format!(
                                "{what}: {:.1} s, {most} MiB: {}",
                                began.elapsed().as_secs_f64(),
                                ran.stderr.lines().next().unwrap_or_default()
                            )
                        })
                    })
                    .collect();
                started
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    println!("{}", told.join("\n"));
}
