//! No value leaves the process but to Secret Manager: every command, with every verbosity, output, progress and failure,
//! is looked through for every value there is, in every form that text is put into.

mod evidence;
mod harm;
mod quotes;
mod scanner;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use self::evidence::{Evidence, Watcher};
use self::harm::{Harm, harming};
use self::scanner::{Scanner, WINDOW};
use crate::world::{PROGRAM, Ran, World, finish};

/// What an operator's password manager might hold: each character that one of the forms writes otherwise.
const GIVEN: &str = r#"gI8"vQ\z/e+n&y=%x;h<K>5 Tü'M{4}p:R#w?Zb0@dJ-s_L"#;

/// What makes crates talk.
const TALKATIVE: [(&str, &str); 3] =
    [("GOOGLE_CLOUD_RUST_LOGGING", "true"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")];

const OUTPUTS: [&str; 5] = ["human", "wide", "json", "yaml", "name"];
const PROGRESS: [&str; 4] = ["auto", "plain", "json", "none"];
const VERBOSITY: [&str; 3] = ["-vv", "-v", ""];

/// The bytes of every version of every secret. Enables those that are not: so this is the last thing done to a world.
pub fn every_value(world: &World) -> Vec<Vec<u8>> {
    let base = world.environment()["CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"].trim_end_matches('/').to_owned();
    let mut values = vec![GIVEN.as_bytes().to_vec()];
    for secret in world.ask("secrets")["secretManager"].as_array().expect("a list") {
        let name = format!("{base}/v1/projects/sandbox-project/secrets/{}", secret["secret"].as_str().expect("a name"));
        for version in secret["versions"].as_array().expect("a list") {
            let name = format!("{name}/versions/{}", version["version"]);
            if version["state"] == "DISABLED" {
                ureq::post(format!("{name}:enable")).send("{}").expect("enabled");
            }
            let answer = ureq::get(format!("{name}:access")).call().expect("a value").body_mut().read_to_string();
            let answer: Value = serde_json::from_str(&answer.expect("text")).expect("JSON");
            let data = answer["payload"]["data"].as_str().expect("base64");
            values.push(STANDARD.decode(data).expect("base64"));
        }
    }
    assert!(values.len() > 3 && values.iter().all(|value| value.len() > 2 * WINDOW));
    values
}

/// Runs the program, talkative, with `GIVEN` on its standard input, and collects all that it shows and leaves.
fn observe(evidence: &mut Evidence, command: &mut Command, home: &Path, what: &str) -> Ran {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    command.envs(TALKATIVE).env("TMPDIR", temporary.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let watcher = Watcher::on(child.id());
    // Whoever does not read it has closed it perhaps.
    let _ = child.stdin.take().expect("piped").write_all(GIVEN.as_bytes());
    let ran = finish(child);
    watcher.into_evidence(what, evidence);
    evidence.streams(what, &ran);
    evidence.files(&format!("{what}: HOME"), home);
    evidence.files(&format!("{what}: TMPDIR"), temporary.path());
    ran
}

fn observe_in(evidence: &mut Evidence, world: &World, args: &[&str]) -> Ran {
    let ran = observe(evidence, &mut world.command(args), world.home(), &args.join(" "));
    let kubeconfig = PathBuf::from(&world.environment()["KUBECONFIG"]);
    evidence.files("the sandbox's directory", kubeconfig.parent().expect("a directory"));
    ran
}

/// Has the run leave its report in its home directory, where every file is looked through.
const REPORT: [&str; 2] = ["--report", "report.html"];

/// The flags of the N-th way to show things. Twenty in a row are each output with each progress.
fn manner(n: usize) -> Vec<&'static str> {
    let (output, progress) = (OUTPUTS[n % OUTPUTS.len()], PROGRESS[n % PROGRESS.len()]);
    let flags = ["-o", output, "--progress", progress, VERBOSITY[n % VERBOSITY.len()]];
    flags.into_iter().filter(|flag| !flag.is_empty()).collect()
}

#[test]
fn the_scanner_finds_a_planted_value_in_every_form() {
    let made = b"q3VbZr8mKx1TnYc5HsWd9LpGf2JvRt7QaEu4XoBi6NwMhDzCkSyPgUjAlFeOT0I5";
    let scanner = Scanner::new([GIVEN.as_bytes(), made.as_slice()]);
    for value in [GIVEN.as_bytes(), made.as_slice()] {
        let with = |before: &str, after: &str| [before.as_bytes(), value, after.as_bytes()].concat();
        let text = String::from_utf8(value.to_vec()).expect("text");
        let mut planted: Vec<Vec<u8>> = vec![
            with("error: ", "!"),
            with("", "\n"),
            value[3..20].to_vec(),
            format!("{value:?}").into_bytes(),
            format!("{text:?}").into_bytes(),
            serde_json::to_vec(&text).expect("JSON"),
            serde_json::to_vec(&value).expect("JSON"),
            value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes(),
            value.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes(),
            value.iter().map(|byte| format!("%{byte:02X}")).collect::<String>().into_bytes(),
        ];
        // At any alignment, with anything before and behind.
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "\n", "xyz"] {
                planted.push(STANDARD.encode(with(before, after)).into_bytes());
                planted.push(URL_SAFE.encode(with(before, after)).into_bytes());
                planted.push(STANDARD.encode(STANDARD.encode(with(before, after))).into_bytes());
            }
        }
        for planted in planted {
            let text = [b"some text before ".as_slice(), &planted, b" and behind"].concat();
            assert!(scanner.finds(&text).is_some(), "{}", String::from_utf8_lossy(&planted));
        }
    }
    // As gcloud and curl put it into a URL.
    assert!(scanner.finds(b"?value=gI8%22vQ%5Cz%2Fe%2Bn%26y%3D%25x").is_some());
    assert!(scanner.finds(br#"{"a":"gI8\"vQ\\z/e+n&y=%x;h<K>5 T\u00fc'M"}"#).is_some());
    let other = "Another text, of some length, and TnYc5HsWd9LpGf2 alone, which is one character too short.";
    assert_eq!(scanner.finds(other.as_bytes()), None);
}

#[test]
fn what_is_collected_would_show_a_value() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = home.path().join("a").join("b");
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("cache"), format!("key: {}\n", STANDARD.encode(GIVEN))).expect("written");
    let value = vec![GIVEN.as_bytes().to_vec()];
    let places = |evidence: &Evidence| -> String {
        let scanner = Scanner::new(value.iter().map(Vec::as_slice));
        let found = evidence.0.iter().filter(|(_, text)| scanner.finds(text).is_some());
        found.map(|(place, _)| place.clone()).collect::<Vec<_>>().join("\n")
    };
    let mut evidence = Evidence::default();
    // A child's child, since `sandbox run` starts the program once more.
    let script = format!("printf '%s' '{}'; sleep 0.3 & wait", GIVEN.replace('\'', r"'\''"));
    let mut command = Command::new("sh");
    observe(&mut evidence, command.args(["-c", &script]).env("KEY", GIVEN), home.path(), "sh");
    let places = places(&evidence);
    for place in ["cmdline", "environ", "sh: stdout", "a/b/cache"] {
        assert!(places.contains(place) || !cfg!(target_os = "linux"), "{place} is missing:\n{places}");
    }
    assert!(std::panic::catch_unwind(|| evidence.holds_none_of(&value)).is_err());
}

#[test]
fn commands_that_read_show_no_value() {
    let world = World::start(&[]);
    let mut evidence = Evidence::default();
    for n in 0..20 {
        let all = ["secret", "status", "-A"];
        for command in [&["secret", "verify", "acme"] as &[&str], &["secret", "rotate", "globex", "--dry-run"], &all] {
            observe_in(&mut evidence, &world, &[command, manner(n).as_slice()].concat()).code(0);
        }
    }
    observe_in(&mut evidence, &world, &["secret", "verify", "acme", "globex", "initech", "-o", "json", "-vv"]).code(0);
    observe_in(&mut evidence, &world, &["secret", "rotate", "initech", "--dry-run=server", "-vv"]).code(0);
    for command in ["sync", "restart"] {
        observe_in(&mut evidence, &world, &["secret", command, "initech", "--dry-run=server", "-vv", "-o", "wide"])
            .code(0);
    }
    evidence.cluster(&world);
    assert!(evidence.has("cmdline") || !cfg!(target_os = "linux"), "no process was seen");
    evidence.holds_none_of(&every_value(&world));
}

#[test]
fn commands_that_write_show_no_value() {
    let world = World::start(&["--accounts=10"]);
    let mut evidence = Evidence::default();
    for (n, account) in ["acme", "globex", "initech", "account-004", "account-005", "account-006"].iter().enumerate() {
        for command in ["sync", "restart"] {
            let args = ["secret", command, account, "--yes"];
            observe_in(&mut evidence, &world, &[args.as_slice(), &REPORT, manner(n).as_slice()].concat()).code(0);
        }
        // Every other one with a value of the operator's own.
        let args: &[&str] = match n % 2 {
            0 => &["secret", "rotate", account, "--yes"],
            _ => &["secret", "rotate", account, "--yes", "--value-from", "-"],
        };
        observe_in(&mut evidence, &world, &[args, &REPORT, manner(n).as_slice()].concat()).code(0);
        // The back-compat is live now: refused, or nothing to do.
        observe_in(&mut evidence, &world, &[args, manner(n + 7).as_slice()].concat());
        let args: &[&str] = &["secret", "rollback", account, "--yes"];
        observe_in(&mut evidence, &world, &[args, &REPORT, manner(n + 3).as_slice()].concat()).code(0);
    }
    evidence.cluster(&world);
    assert!(evidence.has("leases") && evidence.has("events"));
    assert!(evidence.has("report.html") && evidence.has("report.json"));
    evidence.holds_none_of(&every_value(&world));
}

#[test]
fn failures_show_no_value() {
    // Two minutes of retries would show nothing that two seconds do not.
    const FAULTS: [&[&str]; 12] = [
        &["sync-failing"],
        &["sync-failing=admin-secrets"],
        &["rollout-stuck"],
        &["lost-answer=addSecretVersion"],
        &["reset=addSecretVersion"],
        &["internal-error=3"],
        &["too-many-requests=3"],
        &["etag-mismatch", "stale-latest=300ms"],
        &["denied=secretmanager.versions.access"],
        &["denied=secretmanager.versions.add"],
        &["forbidden=get/secrets"],
        &["old-value-pod", "watch-expired"],
    ];
    for (n, faults) in FAULTS.into_iter().enumerate() {
        let world = World::with_faults(faults);
        let mut evidence = Evidence::default();
        for (m, command) in [
            &["secret", "rotate", "acme", "--yes", "--value-from", "-"] as &[&str],
            &["secret", "rotate", "globex", "--yes"],
            &["secret", "sync", "initech"],
            &["secret", "restart", "initech", "--yes"],
            &["secret", "verify", "acme", "globex", "initech"],
            &["secret", "status", "-A"],
        ]
        .into_iter()
        .enumerate()
        {
            let manner = manner(n + 3 * m);
            let report = REPORT.as_slice();
            let report = if command.contains(&"status") { &[] } else { report };
            observe_in(&mut evidence, &world, &[command, &["--timeout", "2s"], report, manner.as_slice()].concat());
        }
        evidence.cluster(&world);
        FAULTS[n].iter().for_each(|fault| world.heal(fault.split('=').next().expect("a name")));
        evidence.holds_none_of(&every_value(&world));
    }
}

#[test]
fn a_value_that_is_refused_is_not_shown() {
    let world = World::start(&[]);
    let mut evidence = Evidence::default();
    let values: [String; 4] =
        [format!("{GIVEN}\n"), format!(" {GIVEN}"), format!("{GIVEN}\u{1b}[31m{GIVEN}"), GIVEN[..24].to_owned()];
    for (n, value) in values.iter().enumerate() {
        let file = world.home().parent().expect("a parent").join(format!("deepdesk-value-{}-{n}", std::process::id()));
        std::fs::write(&file, value).expect("written");
        let path = file.display().to_string();
        let mut args = vec!["secret", "rotate", "acme", "--yes", "--value-from", &path, "-vv"];
        args.extend(manner(n));
        observe_in(&mut evidence, &world, &args).code(4);
        std::fs::remove_file(&file).expect("removed");
    }
    evidence.holds_none_of(&every_value(&world));
}

#[test]
fn answers_that_are_not_what_they_should_be_show_no_value() {
    let world = World::start(&[]);
    let upstream = world.environment()["DEEPDESK_SANDBOX_URL"].clone();
    let mut evidence = Evidence::default();
    for (n, harm) in [
        Harm::CutOff,
        Harm::WrongType,
        Harm::NotBase64,
        Harm::OtherChecksum,
        Harm::PageInstead(500),
        Harm::PageInstead(400),
        Harm::PageInstead(200),
        Harm::Tail,
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = harming(&upstream, harm);
        for (m, command) in
            [&["secret", "rotate", "acme", "--yes"] as &[&str], &["secret", "verify", "globex"]].into_iter().enumerate()
        {
            // Secret Manager's answers, then the cluster's.
            let args = [command, &["--timeout", "2s"], manner(n + m).as_slice()].concat();
            let mut run = world.command(&args);
            run.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{}/", proxy.url));
            let ran = observe(&mut evidence, &mut run, world.home(), &format!("{harm:?} {}", args.join(" ")));
            assert_ne!(ran.code, 0, "{harm:?} was not noticed: {}", ran.stderr);
            let args = [args.as_slice(), &["--server", &proxy.url]].concat();
            observe_in(&mut evidence, &world, &args);
        }
        assert!(proxy.changed() > 1, "{harm:?} never happened");
    }
    evidence.cluster(&world);
    evidence.holds_none_of(&every_value(&world));
}

#[test]
fn the_sandbox_shows_no_value() {
    // The same seed makes the same values: those of this world are those of the runs below.
    let twin = World::start(&["--seed=7"]);
    let mut evidence = Evidence::default();
    let home = tempfile::tempdir().expect("a temporary directory");
    let sandbox = |evidence: &mut Evidence, args: &[&str]| -> Ran {
        let mut command = Command::new(PROGRAM);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(args).env_clear().env("PATH", path).env("HOME", home.path()).env("USER", "tester");
        observe(evidence, &mut command, home.path(), &args.join(" "))
    };
    let quick = ["--seed=7", "--sync-delay=20ms", "--pod-start=60ms"];
    let run = |command: &[&'static str]| [&["sandbox", "run"] as &[&str], &quick, &["--"], command].concat();
    sandbox(&mut evidence, &run(&["secret", "rotate", "acme", "--yes", "--value-from", "-", "-vv", "-o", "json"]))
        .code(0);
    sandbox(&mut evidence, &run(&["secret", "verify", "globex", "-vv", "--progress", "json"])).code(0);
    let script = "kubectl-deepdesk secret rotate acme --yes --value-from - -vv -o yaml && \
                  kubectl-deepdesk secret verify acme -o wide && kubectl-deepdesk secret sync globex -v && \
                  find \"$HOME\" \"$(dirname \"$KUBECONFIG\")\" -type f -exec cat {} +";
    let shell = [&["sandbox", "shell"] as &[&str], &quick, &["--", "sh", "-c", script]].concat();
    let ran = sandbox(&mut evidence, &shell).code(0);
    assert!(ran.stdout.contains("SecretRotation"), "{}", ran.stdout);
    let failing = [&["sandbox", "run"] as &[&str], &quick, &["--fault=rollout-stuck", "--"]].concat();
    let failing =
        [&failing[..], &["secret", "rotate", "acme", "--yes", "--value-from", "-", "-vv", "--timeout=2s"]].concat();
    sandbox(&mut evidence, &failing).code(5);
    evidence.holds_none_of(&every_value(&twin));
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_is_dumped_and_no_other_process_looks_in() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;

    let owner = |process: &Child| std::fs::metadata(format!("/proc/{}/environ", process.id())).expect("it runs").uid();
    let world = World::start(&[]);
    // It waits for its value: there it holds still.
    let mut child = world.command(&["secret", "rotate", "acme", "--yes", "--value-from", "-"]);
    let mut child = child.stdin(Stdio::piped()).spawn().expect("the program starts");
    let guarded = |child: &Child| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("it runs");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit").to_owned();
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>() == ["0", "0"]
    };
    let soon = Instant::now() + Duration::from_secs(10);
    while !guarded(&child) {
        assert!(Instant::now() < soon, "a core may be dumped");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");

    // A process that is not dumpable belongs to root in /proc, whoever runs it. To see that as root, become another.
    let root = std::fs::metadata("/proc/self").expect("there").uid() == 0;
    let (place, program) = (tempfile::tempdir().expect("a directory"), "program");
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    let copy = place.path().join(program);
    std::fs::copy(PROGRAM, &copy).expect("copied");
    let run = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir("/").stdin(Stdio::piped()).stderr(Stdio::null());
        if root {
            command.uid(65534).gid(65534);
        }
        command.spawn().expect("it starts")
    };
    let mut open = run(Path::new("/bin/cat"), &[]);
    let mut shut = run(&copy, &["secret", "rotate", "acme", "--yes", "--value-from", "-"]);
    let soon = Instant::now() + Duration::from_secs(10);
    while owner(&shut) != 0 {
        assert!(Instant::now() < soon, "other processes of the same user can look into it");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Long after `exec`: what it is now it stays.
    assert_ne!(owner(&open), 0, "this system does not tell the two apart");
    for child in [&mut open, &mut shut] {
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}
