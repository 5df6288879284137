//! Accounts: the list, what it costs, and which of them is the current namespace.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::output::{Terminal, shown, snapshot};
use crate::world::{World, by_the_program};

fn operations(world: &World) -> Vec<String> {
    let log = world.log();
    let own = log.iter().filter(|entry| by_the_program(entry));
    own.map(|entry| entry["operation"].as_str().expect("text").to_owned()).collect()
}

fn namespace(world: &World, context: &str) -> String {
    let text = std::fs::read_to_string(&world.environment()["KUBECONFIG"]).expect("readable");
    let config: Value = serde_saphyr::from_str(&text).expect("YAML");
    let found = config["contexts"].as_array().expect("a list").iter().find(|one| one["name"] == context);
    found.expect("the context")["context"]["namespace"].as_str().expect("text").to_owned()
}

#[test]
fn accounts_are_listed_with_their_states_at_a_small_price() {
    let world = World::start(&["--seed=7"]);
    for output in ["human", "wide", "json", "yaml", "name"] {
        snapshot(&format!("account-list-{output}"), &shown(&world.run(&["account", "list", "-o", output]).code(0)));
    }
    // Both are sent at the same moment.
    let since = |seen: usize| {
        let mut sent = operations(&world).split_off(seen);
        sent.sort();
        sent
    };
    let seen = operations(&world).len();
    assert_eq!(world.run(&["account", "list"]).code(0).stdout, "acme\nglobex\ninitech\n");
    assert_eq!(since(seen), ["discovery", "list/externalsecrets"]);
    let seen = operations(&world).len();
    world.run(&["account", "list", "-o", "human", "--no-state"]).code(0);
    assert_eq!(since(seen), ["discovery", "list/externalsecrets"]);
    let seen = operations(&world).len();
    world.run(&["account", "list", "-o", "wide"]).code(0);
    let sent = operations(&world).split_off(seen);
    assert!(sent.len() <= 2 + 3 * 4, "{sent:?}");
    let count = |name: &str| sent.iter().filter(|one| *one == name).count();
    assert_eq!(
        (count("listSecretVersions"), count("accessSecretVersion"), count("get/secrets")),
        (6, 0, 0),
        "{sent:?}"
    );
}

#[test]
fn a_list_follows_a_rotation() {
    let world = World::start(&["--seed=7"]);
    let state = |world: &World| {
        let list = world.run(&["account", "list", "-o", "json"]).code(0).json();
        assert_eq!((&list["kind"], &list["items"][0]["account"]), (&Value::from("AccountList"), &Value::from("acme")));
        list["items"][0]["state"].as_str().expect("text").to_owned()
    };
    assert_eq!(state(&world), "Stable");
    world.fault("rollout-stuck", Some("backend"));
    world.run(&["secret", "rotate", "acme", "--yes", "--timeout", "1s"]).code(5);
    assert_eq!(state(&world), "Rotating");
    world.heal("rollout-stuck");
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    assert_eq!(state(&world), "AwaitingReencryption");
    world.set("acme_account_secret", 8, "disable");
    assert_eq!(state(&world), "Blocked");
}

#[test]
fn many_accounts_stay_within_the_quota() {
    let world = World::start(&["--accounts=40"]);
    let list = world.run(&["account", "list", "-o", "json"]).code(0).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(40));
}

#[test]
fn what_cannot_be_seen_is_said() {
    let world = World::start(&["--seed=7", "--fault=denied=secretmanager.versions.list"]);
    let ran = world.run(&["account", "list", "-o", "human"]).code(1);
    assert!(ran.stdout.contains("Unknown") && ran.stdout.contains("initech"), "{}", ran.stdout);
    assert!(ran.stderr.contains("secretmanager.versions.list"), "{}", ran.stderr);
    let world = World::with_faults(&["forbidden=list/externalsecrets"]);
    world.run(&["account", "list"]).code(1).says("forbidden");
}

/// Stands before the sandbox, and forbids one path.
pub fn guarded(world: &World, forbidden: &'static str) -> String {
    let sandbox =
        world.environment()["DEEPDESK_SANDBOX_URL"].trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let sandbox = sandbox.clone();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
                if path == forbidden {
                    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;
                    let length = body.len();
                    let _ = write!(
                        client,
                        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    );
                    return;
                }
                let Ok(mut server) = TcpStream::connect(&sandbox) else { return };
                let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                let _ = server.write_all(head.as_bytes());
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn who_may_not_look_everywhere_sees_the_namespace_at_hand() {
    let world = World::start(&["--seed=7"]);
    let server = guarded(&world, "/apis/external-secrets.io/v1/externalsecrets");
    let ran = world.run(&["account", "list", "--server", &server, "--context", "sandbox-globex"]).code(0);
    assert_eq!(ran.stdout, "globex\n");
    assert!(ran.stderr.contains("only globex was looked at"), "{}", ran.stderr);
}

#[test]
fn an_account_becomes_the_namespace_of_the_context() {
    let world = World::start(&["--seed=7"]);
    let ran = world.run(&["account", "use", "initech"]).code(0);
    assert_eq!(ran.stdout, "Context \"sandbox-acme\" now has namespace \"initech\".\n");
    assert_eq!(
        (namespace(&world, "sandbox-acme").as_str(), namespace(&world, "sandbox-globex").as_str()),
        ("initech", "globex")
    );
    // `-` is kept for each context.
    world.run(&["account", "use", "acme", "--context", "sandbox-globex"]).code(0);
    world.run(&["account", "use", "-"]).code(0);
    world.run(&["account", "use", "-", "--context", "sandbox-globex"]).code(0);
    assert_eq!(
        (namespace(&world, "sandbox-acme").as_str(), namespace(&world, "sandbox-globex").as_str()),
        ("acme", "globex")
    );
    // The account is what the other commands then take.
    world.run(&["account", "use", "globex"]).code(0);
    let verified = world.run(&["secret", "verify", "-o", "json"]).code(0).json();
    assert_eq!(verified["account"], "globex");
    for (name, code, args) in [
        ("unknown", 1, &["account", "use", "acmee"] as &[&str]),
        ("unknown-by-flag", 1, &["account", "use", "-n", "acmee"]),
        ("contradiction", 2, &["account", "use", "acme", "-n", "globex"]),
        ("nobody-to-ask", 2, &["account", "use"]),
        ("no-server", 1, &["account", "use", "acme", "--server", "http://127.0.0.1:1"]),
        ("no-context", 1, &["account", "use", "acme", "--force", "--context", "sandbox-acm"]),
    ] {
        let ran = world.run(args).code(code);
        snapshot(&format!("account-use-refused-{name}"), &shown(&ran));
        assert_eq!(namespace(&world, "sandbox-acme"), "globex", "{name}");
    }
    let seen = operations(&world).len();
    world.run(&["account", "use", "nowhere", "--force"]).code(0);
    assert_eq!((namespace(&world, "sandbox-acme").as_str(), operations(&world).len()), ("nowhere", seen));
    world.fault("forbidden", Some("get/namespaces"));
    world.run(&["account", "use", "acme"]).code(0).says("not allowed to see whether namespace acme exists");
}

#[test]
fn an_account_is_picked_at_the_terminal() {
    let world = World::start(&["--seed=7"]);
    let mut terminal = Terminal::open(&world, &["account", "use"]);
    terminal.until("initech");
    terminal.types("init");
    std::thread::sleep(Duration::from_millis(200));
    terminal.types("\r");
    let screen = terminal.ends(0);
    assert!(screen.contains("now has namespace \"initech\""), "{screen}");
    assert!(Path::new(&world.environment()["KUBECONFIG"]).exists());
    assert_eq!(namespace(&world, "sandbox-acme"), "initech");
}
