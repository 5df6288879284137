//! What is shown: help, results and errors as snapshots, the streams, and the questions at a terminal.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;

use crate::world::{PROGRAM, Ran, World, finish, path};

/// Compares with a snapshot, without what differs from run to run.
pub fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, shown) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"[A-Za-z0-9._-]+@[A-Za-z0-9._-]+\b", "[user]@[host]"),
        (r"/tmp/[.A-Za-z0-9_-]+", "[directory]"),
        (r"[a-z]+-[a-z0-9]{8,10}-[a-z0-9]{5}\b", "[pod]"),
        (r"(in|after|for) \d+(\.\d+)? ?m?s\b", "$1 [duration]"),
        (r"\b\d+\.\d+s\b", "[duration]"),
        (r#"([sS]econds"?: )\d+(\.\d+)?"#, "$1[seconds]"),
        (r"(done|failed|skipped|waiting) +\d+\.\d+ +", "$1 [seconds] "),
        (r"STATE +SECONDS +DETAIL", "STATE SECONDS DETAIL"),
    ] {
        settings.add_filter(pattern, shown);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A run's exit code and both its streams.
pub fn shown(ran: &Ran) -> String {
    format!("exit {}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.stdout, ran.stderr)
}

#[test]
fn help_is_as_it_was() {
    let commands: [&[&str]; 32] = [
        &[],
        &["check"],
        &["completion"],
        &["completion", "bash"],
        &["completion", "zsh"],
        &["completion", "fish"],
        &["completion", "powershell"],
        &["completion", "install"],
        &["man"],
        &["version"],
        &["config"],
        &["config", "list"],
        &["secret"],
        &["secret", "rotate"],
        &["secret", "sync"],
        &["secret", "verify"],
        &["secret", "restart"],
        &["secret", "rollback"],
        &["secret", "finalize"],
        &["secret", "status"],
        &["account"],
        &["account", "list"],
        &["account", "use"],
        &["cluster"],
        &["cluster", "list"],
        &["cluster", "use"],
        &["cluster", "get-credentials"],
        &["sandbox"],
        &["sandbox", "run"],
        &["sandbox", "shell"],
        &["sandbox", "start"],
        &["sandbox", "faults"],
    ];
    for (width, flags) in [("80", &["--help", "-h"] as &[&str]), ("100", &["--help"])] {
        for (command, flag) in commands.iter().flat_map(|command| flags.iter().map(move |flag| (command, *flag))) {
            let mut program = Command::new(PROGRAM);
            program.args(*command).arg(flag).env_clear().env("PATH", path()).env("COLUMNS", width).stdin(Stdio::null());
            let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
            let ran = finish(child).code(0);
            assert_eq!(ran.stderr, "");
            let most = width.parse::<usize>().expect("a number");
            // Lines of examples are to be copied whole.
            let prose = ran.stdout.split("Example").next().unwrap_or_default();
            let long: Vec<&str> = prose.lines().filter(|line| line.chars().count() > most).collect();
            assert!(long.is_empty(), "wider than {width}: {long:#?}");
            let name = [&["help"] as &[&str], command].concat().join("-");
            snapshot(&format!("{name}{}-{width}", if flag == "-h" { "-short" } else { "" }), &ran.stdout);
        }
    }
}

#[test]
fn results_are_as_they_were() {
    for output in ["human", "wide", "json", "yaml", "name"] {
        let world = World::start(&["--seed=7"]);
        // A Secret that is written again within the second of its creation looks like one that was written once.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        for command in ["verify", "sync", "restart", "rotate"] {
            let yes: &[&str] = if ["rotate", "restart"].contains(&command) { &["--yes"] } else { &[] };
            let args = ["secret", command, "acme", "-o", output, "--progress", "none"];
            let ran = world.run(&[&args, yes].concat()).code(0);
            snapshot(&format!("{command}-{output}"), &shown(&ran));
        }
        let args = ["secret", "rotate", "acme", "--yes", "-o", output, "--progress", "none"];
        snapshot(&format!("refused-{output}"), &shown(&world.run(&args).code(4)));
        let args = ["secret", "verify", "acme", "globex", "initech", "-o", output];
        snapshot(&format!("several-{output}"), &shown(&world.run(&args).code(0)));
        let args = ["secret", "rotate", "globex", "--dry-run", "-o", output, "--progress", "none"];
        snapshot(&format!("dry-run-{output}"), &shown(&world.run(&args).code(0)));
    }
}

#[test]
fn an_incomplete_rotation_says_what_holds_and_how_to_go_on() {
    for output in ["human", "json"] {
        let world = World::start(&["--seed=7", "--fault=rollout-stuck=backend"]);
        let args = ["secret", "rotate", "acme", "--yes", "--timeout", "1s", "--progress", "none", "-o", output];
        let ran = world.run(&args).code(5);
        assert!(ran.stderr.contains("\nnow: ") && ran.stderr.contains("\nhint: "), "{}", ran.stderr);
        if output == "json" {
            let result = ran.json();
            assert_eq!((&result["exitCode"], &result["account"]), (&Value::from(5), &Value::from("acme")));
            assert!(result["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{result}");
            continue;
        }
        assert!(ran.stdout.starts_with("acme incomplete: "), "{}", ran.stdout);
        assert!(ran.stderr.contains("deployment/backend"), "{}", ran.stderr);
    }
}

#[test]
fn usage_errors_are_as_they_were() {
    let world = World::start(&["--seed=7"]);
    let nonsense = world.home().join("nonsense");
    std::fs::write(&nonsense, "clusters: {{{").expect("written");
    let nonsense = nonsense.display().to_string();
    let cases: [(&str, i32, &[&str]); 14] = [
        ("unknown-flag", 2, &["secret", "rotate", "acme", "--yess"]),
        ("unknown-command", 2, &["secret", "rotat", "acme"]),
        ("no-command", 2, &[]),
        ("bad-account", 2, &["secret", "verify", "Acme_1"]),
        ("bad-duration", 2, &["secret", "verify", "acme", "--timeout", "soon"]),
        ("bad-output", 2, &["secret", "verify", "acme", "-o", "xml"]),
        ("bad-length", 2, &["secret", "rotate", "acme", "--length", "31"]),
        ("value-as-length", 2, &["secret", "rotate", "acme", "--length", "40", "--value-from", "-"]),
        ("namespace-contradicts", 2, &["secret", "verify", "acme", "-n", "globex"]),
        ("default-namespace", 2, &["secret", "verify", "kube-system"]),
        ("not-confirmed", 2, &["secret", "rotate", "acme", "--progress", "none"]),
        ("unknown-fault", 2, &["sandbox", "run", "--fault", "stale-lastest=1s", "--", "version"]),
        ("missing-context", 1, &["secret", "verify", "acme", "--context", "prod"]),
        ("unreadable-kubeconfig", 1, &["secret", "verify", "acme", "--kubeconfig", &nonsense]),
    ];
    for (name, code, args) in cases {
        let ran = world.run(args).code(code);
        if name != "not-confirmed" {
            assert_eq!(ran.stdout, "", "{name}");
        }
        snapshot(&format!("error-{name}"), &shown(&ran));
    }
    assert!(world.versions("acme_account_secret").ends_with("7:ENABLED"));
}

/// The fields that the result of every `secret` command has (docs/output.md).
pub const FIELDS: [&str; 13] = [
    "apiVersion",
    "kind",
    "account",
    "namespace",
    "context",
    "project",
    "state",
    "reason",
    "primary",
    "backCompat",
    "externalSecrets",
    "consumers",
    "checks",
];

#[test]
fn json_is_one_document_with_the_fields_of_the_contract() {
    let world = World::start(&["--seed=7"]);
    for (command, kind, more) in [
        ("verify", "SecretVerification", &[] as &[&str]),
        ("sync", "SecretSync", &["steps"]),
        ("restart", "SecretRestart", &["steps", "interruptionSeconds"]),
        ("rotate", "SecretRotation", &["steps", "interruptionSeconds", "previous", "version"]),
    ] {
        let yes: &[&str] = if ["rotate", "restart"].contains(&command) { &["--yes"] } else { &[] };
        let ran =
            world.run(&[&["secret", command, "acme", "-o", "json", "-v", "--progress", "json"], yes].concat()).code(0);
        let result = ran.json();
        let missing: Vec<&&str> = FIELDS.iter().chain(more).filter(|field| result.get(field).is_none()).collect();
        assert!(missing.is_empty(), "{command}: {missing:?}");
        assert_eq!((&result["apiVersion"], &result["kind"]), (&Value::from("deepdesk.com/v1"), &Value::from(kind)));
        let has = |at: &str, fields: &[&str]| {
            let one = result.pointer(at).unwrap_or_else(|| panic!("{command}: no {at}"));
            let missing: Vec<&&str> = fields.iter().filter(|field| one.get(field).is_none()).collect();
            assert!(missing.is_empty(), "{command}: {at}: {missing:?}");
        };
        has("/primary", &["secret", "latest", "versions"]);
        has("/primary/versions/0", &["version", "state", "created"]);
        has("/backCompat", &["secret", "latest", "holds", "live"]);
        has("/externalSecrets/0", &["name", "ready", "refreshed", "target", "keys"]);
        has("/externalSecrets/0/keys/0", &["key", "source", "holds", "asExpected"]);
        has("/consumers/0", &["kind", "name", "desired", "onLatest", "older"]);
        has("/checks/0", &["name", "result", "message", "hint"]);
        if more.contains(&"steps") {
            has("/steps/0", &["name", "state", "started", "seconds", "detail"]);
        }
        let mut requests = 0;
        for line in ran.stderr.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let keys: Vec<&str> = event.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(keys[..5], ["time", "account", "step", "state", "detail"], "{line}");
            event["time"].as_str().expect("text").parse::<jiff::Timestamp>().expect("RFC 3339");
            let states = ["started", "skipped", "waiting", "done", "failed", "warning", "request"];
            assert!(states.iter().any(|state| event["state"] == *state), "{line}");
            requests += usize::from(event["state"] == "request");
        }
        assert!(requests > 5, "-v told {requests} requests");
    }
    let list = world.run(&["secret", "verify", "acme", "globex", "-o", "json"]).code(0).json();
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&Value::from("List"), Some(2)));
}

#[test]
fn verbose_tells_every_request_that_was_sent_and_nothing_else() {
    let world = World::start(&["--seed=7"]);
    for command in [&["secret", "verify", "globex"] as &[&str], &["secret", "rotate", "acme", "--yes"]] {
        let before = world.log().len();
        let ran = world.run(&[command, &["-v", "--progress", "none"]].concat()).code(0);
        let without_query = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        let mut sent: Vec<String> = world
            .log()
            .iter()
            .skip(before)
            .filter(|entry| entry["client"].as_str().is_some_and(|client| client.contains("kubectl-deepdesk")))
            .map(|entry| {
                let path = without_query(entry["path"].as_str().expect("a path"));
                format!("{} {path} {}", entry["method"].as_str().expect("a method"), entry["status"])
            })
            .collect();
        let mut told: Vec<String> = ran
            .stderr
            .lines()
            .filter_map(|line| {
                let (request, end) = line.split_once(" → ")?;
                let (method, url) = request.split_once(" http://127.0.0.1:")?;
                let path = without_query(&url[url.find('/')?..]);
                let status = end.split(' ').next().filter(|status| *status != "no").unwrap_or("null");
                Some(format!("{method} {path} {status}"))
            })
            .collect();
        assert!(told.len() > 10);
        // A watch may be given up while it is answered: then only the sandbox knows the status.
        told.retain(|told| match told.strip_suffix(" null") {
            Some(given_up) => match sent.iter().position(|sent| sent.starts_with(given_up)) {
                Some(arrived) => sent.remove(arrived).is_empty(),
                None => true,
            },
            None => true,
        });
        sent.sort();
        told.sort();
        assert_eq!(told, sent);
        let quiet = world.run(&["secret", "verify", "globex", "--progress", "none"]).code(0);
        assert_eq!(quiet.stderr, "");
    }
}

/// The program at a terminal of 100 columns.
pub struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    keyboard: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    // Dropped last: the terminal is gone with it.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    /// Runs the program with these arguments, and then shows how it ended and how the terminal is.
    pub fn open(world: &World, args: &[&str]) -> Terminal {
        Terminal::piped(world, "", args)
    }

    /// The same for whoever's shell is this one.
    pub fn in_shell(world: &World, shell: &str, args: &[&str]) -> Terminal {
        Terminal::of(world, "", args, Some(shell))
    }

    /// The same, with its standard input from this: `printf x |`.
    pub fn piped(world: &World, from: &str, args: &[&str]) -> Terminal {
        Terminal::of(world, from, args, None)
    }

    fn of(world: &World, from: &str, args: &[&str], shell: Option<&str>) -> Terminal {
        let size = PtySize { rows: 50, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new("sh");
        // What the terminal is like afterwards, for whoever types there next.
        let then = r#"echo "exit $?"; stty -a | tr ';' '\n' | grep -ow -e '-*echo' -e '-*icanon' -e '-*isig' | tr '\n' ' '; echo '[end]'"#;
        command.args(["-c", &format!(r#"trap : INT; {from} "$@"; {then}"#), "sh", PROGRAM]);
        command.args(args);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", world.home());
        command.env("USER", "tester");
        command.env("TERM", "xterm-256color");
        if let Some(shell) = shell {
            command.env("SHELL", shell);
        }
        command.cwd(world.home());
        world.environment().iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let nonzero = |number: u16| std::num::NonZero::new(number).expect("not nothing");
        let (rows, columns) = (nonzero(size.rows), nonzero(size.cols));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 1000)));
        let mut output = pair.master.try_clone_reader().expect("readable");
        let into = screen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                into.lock().expect("nobody panicked").process(&buffer[..read]);
            }
        });
        let keyboard = pair.master.take_writer().expect("writable");
        Terminal { screen, keyboard, child, _master: pair.master }
    }

    fn text(&self) -> String {
        self.screen.lock().expect("nobody panicked").screen().contents()
    }

    /// Waits until the screen shows this.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let shown = self.text();
            if shown.contains(text) {
                return shown;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("never shown: {text}\n{shown}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it listens");
        self.keyboard.flush().expect("it listens");
    }

    /// Waits for the end, and looks that the terminal is as it was. Answers with the screen.
    #[track_caller]
    pub fn ends(mut self, code: i32) -> String {
        let shown = self.until("[end]");
        assert!(shown.contains(&format!("exit {code}\n")), "not exit {code}:\n{shown}");
        assert!(shown.contains("isig icanon echo [end]"), "the terminal is not as it was:\n{shown}");
        let parser = self.screen.lock().expect("nobody panicked");
        let screen = parser.screen();
        assert!(!screen.hide_cursor() && !screen.alternate_screen() && !screen.bracketed_paste(), "modes are left");
        assert_eq!(screen.fgcolor(), vt100::Color::Default, "a colour is left");
        assert!(!screen.bold() && !screen.dim(), "an attribute is left");
        for leftover in ["\u{1b}", "^[", "[0m", "[2K", "⠋", "⠙", "⠹", "⠸"] {
            assert!(!shown.contains(leftover), "{leftover:?} is left:\n{shown}");
        }
        shown
    }
}

#[test]
fn a_yes_at_the_terminal_rotates() {
    let world = World::start(&["--seed=7"]);
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme"]);
    let asked = terminal.until("Rotate acme?");
    assert!(asked.contains("Plan for acme"), "the plan comes before the question:\n{asked}");
    assert_eq!(world.lock_holder("acme"), None, "nothing is written before the answer");
    terminal.types("y\r");
    let shown = terminal.ends(0);
    assert!(shown.contains("acme rotated: primary v7 → v8"), "{shown}");
    assert!(world.versions("acme_account_secret").ends_with("7:DISABLED 8:ENABLED"));
}

#[test]
fn a_no_at_the_terminal_changes_nothing() {
    let world = World::start(&["--seed=7"]);
    // Return alone takes the default, which is no.
    for (keys, code) in [("n\r", 1), ("NO\r", 1), ("\r", 1), ("\u{3}", 130), ("y\u{3}", 130)] {
        let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme"]);
        terminal.until("Rotate acme?");
        terminal.types(keys);
        terminal.ends(code);
        assert!(world.versions("acme_account_secret").ends_with("7:ENABLED"), "{keys:?}");
        assert_eq!(world.lock_holder("acme"), None);
    }
}

#[test]
fn a_question_takes_a_line_and_nothing_that_was_typed_before_it() {
    let world = World::start(&["--seed=7"]);
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme"]);
    terminal.types("y\ry\r");
    terminal.until("Rotate acme?");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(world.lock_holder("acme"), None, "typed ahead is no answer");
    // Neither a key nor another line is one.
    terminal.types("y");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(world.lock_holder("acme"), None, "a key is no answer");
    terminal.types("awn\r");
    terminal.until("Type y or n");
    assert_eq!(world.lock_holder("acme"), None, "another word is no answer");
    terminal.types("yes\r");
    let shown = terminal.ends(0);
    assert!(shown.contains("acme rotated: primary v7 → v8"), "{shown}");
}

#[test]
fn a_question_is_asked_beside_a_value_that_comes_by_a_pipe() {
    let world = World::start(&["--seed=7"]);
    let value = "a-value-of-our-own-a-value-of-our-own-a-value-of-our-own";
    let args = ["secret", "rotate", "acme", "--value-from", "-"];
    let mut terminal = Terminal::piped(&world, &format!("printf {value} |"), &args);
    terminal.types("y\r");
    terminal.until("Rotate acme?");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(world.lock_holder("acme"), None, "typed ahead is no answer");
    terminal.types("y\r");
    terminal.ends(0);
    let kept = world.value("acme_account_secret", "8").expect("enabled");
    assert_eq!(STANDARD.decode(kept).expect("base64"), value.as_bytes());
}

#[test]
fn a_yes_is_for_the_versions_that_the_plan_named() {
    let world = World::start(&["--seed=7"]);
    world.set("acme_account_secret", 6, "enable");
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme", "--abandon-older"]);
    terminal.until("to rotate it");
    // It was disabled, and so it is not in the plan.
    world.set("acme_account_secret", 5, "enable");
    terminal.types("acme\r");
    let shown = terminal.ends(4);
    assert!(shown.contains("changed before it was confirmed"), "{shown}");
    assert!(world.versions("acme_account_secret").ends_with("5:ENABLED 6:ENABLED 7:ENABLED"), "nothing is disabled");
}

#[test]
fn a_protected_context_wants_the_name_typed() {
    let world = World::start(&["--seed=7"]);
    let directory = world.home().join(".config").join("kubectl-deepdesk");
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("settings.yaml"), "protectedContexts: ['sandbox-*']\n").expect("written");
    for typed in ["y\r", "globex\r", "\r"] {
        let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme"]);
        terminal.until("Type the account's name");
        terminal.types(typed);
        terminal.ends(1);
        assert!(world.versions("acme_account_secret").ends_with("7:ENABLED"), "{typed:?}");
    }
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme"]);
    terminal.until("Type the account's name");
    terminal.types("acme\r");
    terminal.ends(0);
    assert!(world.versions("acme_account_secret").ends_with("7:DISABLED 8:ENABLED"));
}

#[test]
fn without_an_account_one_is_picked() {
    let world = World::start(&["--seed=7"]);
    let copy = world.home().join("kubeconfig");
    let text = std::fs::read_to_string(&world.environment()["KUBECONFIG"]).expect("readable");
    std::fs::write(&copy, text.replace("namespace: acme", "namespace: default")).expect("written");
    let copy = copy.display().to_string();
    let args = ["secret", "verify", "--kubeconfig", &copy];
    let mut terminal = Terminal::open(&world, &args);
    let asked = terminal.until("initech");
    assert!(asked.contains("Namespace default is no account"), "{asked}");
    terminal.types("\u{1b}[B");
    std::thread::sleep(Duration::from_millis(100));
    terminal.types("\r");
    let shown = terminal.ends(0);
    assert!(shown.contains("globex: all on primary v3"), "{shown}");
    let mut terminal = Terminal::open(&world, &args);
    terminal.until("initech");
    terminal.types("\u{3}");
    terminal.ends(130);
    // What was typed before picks nothing, and what changes something is asked about by name.
    for (args, deed) in [
        (vec!["secret", "restart", "--kubeconfig", &copy], "Restart globex?"),
        (vec!["secret", "sync", "--kubeconfig", &copy], "Sync globex?"),
        (vec!["secret", "rotate", "--yes", "--kubeconfig", &copy], "Rotate globex?"),
    ] {
        let before = world.writes();
        let mut terminal = Terminal::open(&world, &args);
        terminal.types("\r");
        terminal.until("initech");
        std::thread::sleep(Duration::from_millis(300));
        terminal.types("\u{1b}[B");
        std::thread::sleep(Duration::from_millis(100));
        terminal.types("\r");
        terminal.until(deed);
        terminal.types("n\r");
        terminal.ends(1);
        assert_eq!(world.writes(), before, "{deed}");
    }
    // With nobody to ask it is an error.
    world.run(&args).code(2).says("namespace default is never an account");
}

#[test]
fn ctrl_c_in_the_middle_stops_at_a_safe_point_and_leaves_the_terminal_as_it_was() {
    let world = World::start(&["--seed=7", "--fault=pod-slow-to-stop=60s"]);
    let mut terminal = Terminal::open(&world, &["secret", "rotate", "acme", "--yes"]);
    terminal.until("✓ acme  sync");
    terminal.types("\u{3}");
    terminal.ends(130);
    world.heal("pod-slow-to-stop");
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    assert!(world.versions("acme_account_secret").ends_with("7:DISABLED 8:ENABLED"));
}
