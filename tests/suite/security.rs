//! What SECURITY.md promises, where no other test holds it: TLS, files, programs that are started; and that each test it
//! names is there.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::world::{PROGRAM, World, finish};

/// Made for these tests and of no use elsewhere: an authority that nobody trusts, and a server for 127.0.0.1.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/tls/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");

/// An https server that answers 403, and what it was sent.
fn https() -> (String, Arc<Mutex<Vec<String>>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they fit");
    let (config, heard) = (Arc::new(config), Arc::<Mutex<Vec<String>>>::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let into = heard.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (config, into) = (config.clone(), into.clone());
            std::thread::spawn(move || {
                let mut tls = rustls::ServerConnection::new(config).expect("a connection");
                let mut stream = rustls::Stream::new(&mut tls, &mut client);
                let mut head = [0; 8192];
                // An error is a client that did not like the certificate.
                let Ok(read @ 1..) = stream.read(&mut head) else { return };
                into.lock().expect("nobody panicked").push(String::from_utf8_lossy(&head[..read]).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 403 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            });
        }
    });
    (url, heard)
}

#[test]
fn a_server_is_believed_by_its_certificate_alone() {
    let world = World::start(&["--accounts=1"]);
    let run = |more: &[&str], environment: &[(&str, &str)]| {
        let mut command = world.command(&[&["secret", "verify", "acme", "--timeout=2s"], more].concat());
        environment.iter().for_each(|(name, value)| {
            command.env(name, value);
        });
        finish(command.stdin(Stdio::null()).spawn().expect("the program starts"))
    };
    let token = world.home().join("token");
    std::fs::write(&token, "MARKER-token").expect("written");
    let token = token.to_str().expect("text");

    let (url, heard) = https();
    let flags = ["--server", url.as_str(), "--token", "MARKER-token"];
    run(&flags, &[]).code(1).says("cannot connect").says("certificate");
    let elsewhere = format!("{url}/");
    let google = [
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", elsewhere.as_str()),
        ("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", token),
        ("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "false"),
    ];
    run(&[], &google).code(1).says("certificate");
    assert_eq!(*heard.lock().expect("nobody panicked"), Vec::<String>::new(), "something was sent to a stranger");

    // With its authority the server is who it says, and no other name of it is.
    let trusting = [&flags[..], &["--certificate-authority", AUTHORITY]].concat();
    run(&[&trusting[..], &["--tls-server-name", "another.example"]].concat(), &[]).code(1).says("certificate");
    assert_eq!(heard.lock().expect("nobody panicked").len(), 0);
    run(&trusting, &[]);
    let heard = heard.lock().expect("nobody panicked");
    assert!(heard.iter().any(|head| head.contains("authorization: Bearer MARKER-token")), "{heard:?}");
}

/// Every file below, with its mode.
fn files(directory: &Path, into: &mut Vec<(PathBuf, u32)>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            files(&entry.path(), into);
        } else if kind.is_file() {
            into.push((entry.path(), entry.metadata().expect("there").permissions().mode() & 0o7777));
        }
    }
}

#[test]
fn what_is_written_is_its_owners_and_whole() {
    let world = World::start(&["--accounts=2"]);
    // In the worst of surroundings: a umask that takes nothing away.
    let run = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0; exec \"$@\"", "sh", PROGRAM]).args(args).env_clear().current_dir(world.home());
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("USER", "tester")
            .envs(world.environment());
        command
            .env("HOME", world.home())
            .env("KUBECONFIG", world.home().join(".kube/config"))
            .env_remove("KUBECACHEDIR");
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    let kubeconfig = world.home().join(".kube/config");
    std::fs::create_dir(world.home().join(".kube")).expect("made");
    std::fs::copy(&world.environment()["KUBECONFIG"], &kubeconfig).expect("copied");
    std::fs::set_permissions(&kubeconfig, std::fs::Permissions::from_mode(0o600)).expect("set");
    run(&["secret", "verify", "acme"]).code(0);
    run(&["account", "use", "globex"]).code(0);
    run(&["completion", "install", "--shell=bash", "--shell=zsh", "--shell=fish", "--edit-profile", "--bin-dir=bin"])
        .code(0);
    let mut found = Vec::new();
    files(world.home(), &mut found);
    assert!(found.len() > 6, "{found:?}");
    for (path, mode) in &found {
        let place = path.strip_prefix(world.home()).expect("below it").to_string_lossy().into_owned();
        let is_private = [".kube/", ".cache/", ".local/state/"].iter().any(|private| place.starts_with(private));
        let most = if is_private { 0o600 } else { 0o644 };
        assert_eq!(mode & !most, 0, "{place}: {mode:o}");
        assert!(!place.contains(".new-") && !place.contains(".lock") && !place.contains(".tmp"), "{place} is left");
    }
    let of = |part: &str| found.iter().any(|(path, _)| path.to_string_lossy().contains(part));
    assert!(
        of(".kube/config") && of(".cache/") && of(".local/state/") && of(".bashrc") && of("_kubectl-deepdesk"),
        "{found:?}"
    );
}

fn sources(directory: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).expect("there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push((path.display().to_string().replace('\\', "/"), std::fs::read_to_string(&path).expect("text")));
        }
    }
}

#[test]
fn programs_are_started_without_a_shell_and_in_few_places() {
    let mut found = Vec::new();
    for place in ["src", "crates/protocol/src", "crates/sandbox/src"] {
        sources(Path::new(place), &mut found);
    }
    // What the sandbox runs is the user's own command line, given as words.
    let known = [
        ("src/clients/credentials/providers.rs", "Command::new(self.program)"),
        // The kubeconfig's word as it stands, or the file that it names on Windows (clients/program.rs).
        ("src/clients/kubeconfig/exec.rs", "Command::new(program)"),
        ("src/commands/cluster/credentials.rs", "Command::new(program)"),
        // `id` or `whoami`: who the system says is at work.
        ("src/commands/operator.rs", "Command::new(program)"),
        ("src/commands/sandbox.rs", "Command::new(&program)"),
        ("src/completion/install/places.rs", "Command::new(program)"),
        ("src/completion/install/places.rs", "Command::new(\"zsh\")"),
    ];
    for (path, text) in found.iter().filter(|(path, _)| !path.contains("/tests")) {
        let text = text.split("#[cfg(test)]\nmod tests {").next().expect("a beginning");
        let started: Vec<&str> = text.match_indices("process::Command::new(").map(|(at, _)| &text[at + 9..]).collect();
        let expected: Vec<&str> =
            known.iter().filter(|(place, _)| path.ends_with(place)).map(|(_, start)| *start).collect();
        assert_eq!(started.len(), expected.len(), "{path} starts programs: look at what, and name it here");
        assert!(started.iter().zip(&expected).all(|(started, expected)| started.starts_with(expected)), "{path}");
        for shell in ["\"sh\"", "\"/bin/sh\"", "\"bash\", \"-c\"", "\"cmd\"", "\"powershell\", \"-"] {
            // `sandbox shell` starts the user's own, with nothing to do.
            let is_known = ["kubeconfig/exec.rs", "commands/sandbox.rs"].iter().any(|known| path.ends_with(known));
            assert!(is_known || !text.contains(shell), "{path}: {shell}");
        }
    }
    let (_, places) = found.iter().find(|(path, _)| path.ends_with("install/places.rs")).expect("there");
    assert!(places.contains("[\"-c\", \"print -rl -- $fpath\"]"), "zsh is told nothing but this");
    let question =
        "let question = \"[Console]::OutputEncoding = [Text.Encoding]::UTF8; $PROFILE.CurrentUserCurrentHost\";";
    let told = "[\"-NoLogo\", \"-NoProfile\", \"-NonInteractive\", \"-Command\", question]";
    assert!(places.contains(question) && places.contains(told), "PowerShell is told nothing but this");
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let text = std::fs::read_to_string("SECURITY.md").expect("SECURITY.md");
    let promises = text.split("## What is promised").nth(1).expect("a section").split("\n## ").next().expect("it");
    let lines: Vec<&str> = promises.split("\n- ").skip(1).collect();
    assert!(lines.len() > 10, "{} promises", lines.len());
    for line in lines {
        let named: Vec<&str> = line.split('`').filter(|part| part.contains(".rs::")).collect();
        assert!(!named.is_empty(), "nothing holds: {line}");
    }
    for named in text.split('`').filter(|part| part.contains(".rs::")) {
        let (path, test) = named.split_once("::").expect("a test");
        let source = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let at = source.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{named} is not there"));
        let before: String = source[..at].lines().rev().take(4).collect();
        assert!(before.contains("test]"), "{named} is no test");
    }
}
