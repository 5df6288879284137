//! Contexts and kubeconfig files: what is changed, what is left, beside the real kubectl and gcloud.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::output::{Terminal, shown, snapshot};
use crate::world::{PROGRAM, Ran, World, finish};

const HAND_WRITTEN: &str = "\
# mine
apiVersion: v1
kind: Config
current-context: 'test' # today
contexts:
  # careful here
  - name: prod
    context: {cluster: far, user: me, namespace: acme}
  - name: test
    context:
      user: me   # the same
      cluster: near
clusters:
- {name: far, cluster: {server: \"https://192.0.2.1\"}}
- {name: near, cluster: {server: \"https://192.0.2.2\", x-unknown: kept}}
users:
- name: me
  user: {token: SECRET-TOKEN}
";

/// A home of its own, without a sandbox: these commands send nothing.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn command(&self, program: &str, args: &[&str], kubeconfig: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(args).env_clear().env("PATH", path).env("HOME", self.0.path()).env("KUBECONFIG", kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], kubeconfig: &Path) -> Ran {
        self.run_in(args, &kubeconfig.display().to_string())
    }

    fn run_in(&self, args: &[&str], kubeconfig: &str) -> Ran {
        finish(self.command(PROGRAM, args, kubeconfig).spawn().expect("it starts"))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("readable");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("readable")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("there").permissions().mode() & 0o777
}

fn data(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

#[test]
fn contexts_are_listed_for_people_and_for_pickers() {
    let home = Home::new();
    let file = home.write("config", HAND_WRITTEN);
    for output in ["human", "wide", "json", "yaml", "name"] {
        snapshot(
            &format!("cluster-list-{output}"),
            &shown(&home.run(&["cluster", "list", "-o", output], &file).code(0)),
        );
    }
    let piped = home.run(&["cluster", "list"], &file).code(0);
    assert_eq!((piped.stdout.as_str(), piped.stderr.as_str()), ("prod\ntest\n", ""));
    assert!(!home.run(&["cluster", "list", "-o", "json"], &file).stdout.contains("SECRET-TOKEN"));
    let none = home.run(&["cluster", "list"], &home.path("missing")).code(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "note: the kubeconfig has no contexts\n"));
}

#[test]
fn use_changes_one_word_and_keeps_the_file() {
    let home = Home::new();
    let real = home.write("real", HAND_WRITTEN);
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("set");
    let file = home.path("config");
    symlink("real", &file).expect("linked");
    let ran = home.run(&["cluster", "use", "prod"], &file).code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("Switched to context \"prod\".\n", ""));
    assert_eq!(read(&real), HAND_WRITTEN.replace("'test' #", "'prod' #"));
    assert!(file.is_symlink() && mode(&real) == 0o640);
    let backup = home.path("config.deepdesk-backup");
    assert_eq!((read(&backup).as_str(), mode(&backup)), (HAND_WRITTEN, 0o600));
    // Back and forth; what is as wanted is not written.
    home.run(&["cluster", "use", "-"], &file).code(0);
    assert_eq!(read(&real), HAND_WRITTEN);
    let before = real.metadata().expect("there");
    home.run(&["cluster", "use", "test"], &file).code(0);
    let after = real.metadata().expect("there");
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    home.run(&["cluster", "use", "-"], &file).code(0);
    assert!(read(&real).contains("'prod' #"));
    assert_eq!(home.names(), [".local", "config", "config.deepdesk-backup", "real"]);
    let state = home.path(".local/state/kubectl-deepdesk");
    assert_eq!(mode(&state), 0o700);
    let notes: Vec<PathBuf> = std::fs::read_dir(state).expect("there").map(|one| one.expect("one").path()).collect();
    assert_eq!((notes.len(), mode(&notes[0])), (1, 0o600));
    // Another kubeconfig has a past of its own.
    let other = home.write("other", HAND_WRITTEN);
    snapshot("cluster-use-no-previous", &shown(&home.run(&["cluster", "use", "-"], &other).code(1)));
}

#[needs(kubectl)]
#[test]
fn the_file_that_is_changed_is_the_one_that_kubectl_changes() {
    let one =
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- context: {cluster: c, user: u}\n  name: a\n";
    let none = "apiVersion: v1\nkind: Config\ncontexts:\n- context: {cluster: c, user: u}\n  name: b\n";
    type Files<'a> = &'a [(&'a str, &'a str)];
    let lists: [(&str, Files<'_>, &str); 5] = [
        (
            "both say a current one",
            &[("1", one), ("2", &none.replace("contexts", "current-context: b\ncontexts"))],
            "1:2",
        ),
        ("the first says none", &[("1", none), ("2", one)], "1:2"),
        ("the first does not exist", &[("2", one), ("3", none)], "1:2:3"),
        ("one file", &[("1", &format!("{one}- context: {{cluster: c, user: u}}\n  name: b\n"))], "1"),
        ("twice the same", &[("1", none), ("2", one)], "1:2:1"),
    ];
    for (name, files, list) in lists {
        let changed = |program: &str, args: &[&str]| {
            let home = Home::new();
            files.iter().for_each(|(name, text)| drop(home.write(name, text)));
            let paths: Vec<String> = list.split(':').map(|name| home.path(name).display().to_string()).collect();
            let ran = finish(home.command(program, args, &paths.join(":")).spawn().expect("it starts"));
            assert_eq!(ran.code, 0, "{name}: {program} {args:?}: {}", ran.stderr);
            let now = |name: &str| {
                let config = data(&read(&home.path(name)));
                (config["current-context"].as_str().unwrap_or_default().to_owned(), config["contexts"].clone())
            };
            files.iter().map(|(name, _)| now(name)).collect::<Vec<_>>()
        };
        for context in ["a", "b"] {
            let ours = changed(PROGRAM, &["cluster", "use", context]);
            assert_eq!(ours, changed("kubectl", &["config", "use-context", context]), "{name}: {context}");
        }
        let ours = changed(PROGRAM, &["account", "use", "acme", "--force", "--context", "b"]);
        let theirs = changed("kubectl", &["config", "set-context", "b", "--namespace", "acme"]);
        assert_eq!(ours, theirs, "{name}: namespace");
    }
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let home = Home::new();
    let tricky = HAND_WRITTEN.replace("'test' # today", "&here test\nother: *here");
    let cases: [(&str, &str, &[&str], i32); 7] = [
        ("unknown", HAND_WRITTEN, &["cluster", "use", "tset"], 1),
        ("no-previous", HAND_WRITTEN, &["cluster", "use", "-"], 1),
        ("nobody-to-ask", HAND_WRITTEN, &["cluster", "use"], 2),
        ("not-yaml", "contexts: [{{", &["cluster", "use", "prod"], 1),
        ("shared", &tricky, &["cluster", "use", "prod"], 1),
        ("no-context", "apiVersion: v1\nkind: Config\n", &["account", "use", "acme", "--force"], 1),
        ("bad-namespace", HAND_WRITTEN, &["account", "use", "Acme_1", "--force"], 2),
    ];
    for (name, text, args, code) in cases {
        let file = home.write("config", text);
        let old = SystemTime::now() - Duration::from_secs(1000);
        std::fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(old)).expect("set");
        let ran = home.run(args, &file).code(code);
        snapshot(&format!("cluster-refused-{name}"), &shown(&ran));
        assert_eq!(ran.stdout, "", "{name}");
        assert_eq!(read(&file), text, "{name}");
        assert_eq!(file.metadata().and_then(|data| data.modified()).ok(), Some(old), "{name}");
        assert_eq!(home.names().iter().filter(|name| *name != ".local").collect::<Vec<_>>(), ["config"], "{name}");
    }
    // Nothing is made on the way to a file that is not there.
    let nowhere = home.path("none").join("config");
    let flag = nowhere.display().to_string();
    home.run(&["cluster", "use", "prod", "--kubeconfig", &flag], &nowhere).code(1).says("no such kubeconfig");
    home.run(&["cluster", "use", "prod"], &nowhere).code(1).says("the kubeconfig has no contexts");
    home.run(&["account", "use", "acme", "--force"], &nowhere).code(1).says("the kubeconfig has no contexts");
    assert!(!home.path("none").exists());
    // A lock that nobody gives back, as kubectl leaves it when it is killed.
    let file = home.write("config", HAND_WRITTEN);
    let lock = home.write("config.lock", "");
    let ran = home.run(&["cluster", "use", "prod"], &file).code(1).says("has been locked by another program");
    assert!(ran.stderr.contains(&format!("rm {}", lock.display())), "{}", ran.stderr);
    assert_eq!(read(&file), HAND_WRITTEN);
    assert!(lock.exists(), "somebody else's lock is not ours to take");
    // One that is given back is waited for.
    let waiting =
        home.command(PROGRAM, &["cluster", "use", "prod"], &file.display().to_string()).spawn().expect("it starts");
    std::thread::sleep(Duration::from_millis(300));
    std::fs::remove_file(&lock).expect("removed");
    finish(waiting).code(0);
}

#[test]
fn many_at_once_and_some_killed_leave_a_whole_file() {
    let home = Home::new();
    let file = home.write("config", HAND_WRITTEN);
    let list = file.display().to_string();
    let [test, prod] = [HAND_WRITTEN.to_owned(), HAND_WRITTEN.replace("'test' #", "'prod' #")];
    let start = |name: &str| home.command(PROGRAM, &["cluster", "use", name], &list).spawn().expect("it starts");
    let running: Vec<_> = (0..12).map(|n| start(if n % 2 == 0 { "prod" } else { "test" })).collect();
    for child in running {
        finish(child).code(0);
    }
    let whole = |text: String| assert!(text == test || text == prod, "{text}");
    whole(read(&file));
    assert_eq!(home.names(), [".local", "config", "config.deepdesk-backup"]);
    let mut locked = 0;
    for round in 0..60u64 {
        let mut child = start(if read(&file) == test { "prod" } else { "test" });
        std::thread::sleep(Duration::from_micros(round * 400));
        child.kill().expect("killed or ended");
        child.wait().expect("ended");
        whole(read(&file));
        // The next one says so; whoever is sure removes it.
        locked += usize::from(std::fs::remove_file(home.path("config.lock")).is_ok());
    }
    eprintln!("{locked} of 60 were killed while they held the lock");
    // What they left is taken away once nobody can be writing it any more.
    let leftovers = || home.names().into_iter().filter(|name| name.contains(".deepdesk-") && name.starts_with('.'));
    let old = SystemTime::now() - Duration::from_secs(100);
    for name in leftovers() {
        let file = std::fs::File::options().write(true).open(home.path(&name));
        file.and_then(|file| file.set_modified(old)).expect("set");
    }
    eprintln!("{} files were left half written", leftovers().count());
    finish(start("test")).code(0);
    finish(start("prod")).code(0);
    assert_eq!(home.names(), [".local", "config", "config.deepdesk-backup"]);
    assert_eq!(read(&file), prod);
}

#[test]
fn a_context_is_picked_at_the_terminal() {
    let world = World::start(&["--seed=7"]);
    let mut terminal = Terminal::open(&world, &["cluster", "use"]);
    terminal.until("sandbox-initech");
    std::thread::sleep(Duration::from_millis(500));
    terminal.types("glob");
    std::thread::sleep(Duration::from_millis(200));
    terminal.types("\r");
    let screen = terminal.ends(0);
    assert!(screen.contains("Switched to context \"sandbox-globex\"."), "{screen}");
    let file = world.environment()["KUBECONFIG"].clone();
    assert!(read(Path::new(&file)).contains("current-context: \"sandbox-globex\""));
    for keys in ["\u{3}", "\u{1b}"] {
        let mut terminal = Terminal::open(&world, &["cluster", "use"]);
        terminal.until("sandbox-initech");
        // The list reads a key only after it is drawn; one that comes between is echoed.
        std::thread::sleep(Duration::from_millis(500));
        terminal.types(keys);
        terminal.ends(130);
        assert!(read(Path::new(&file)).contains("current-context: \"sandbox-globex\""));
    }
}

/// What an entry consists of.
fn entry(text: &str) -> [Value; 4] {
    let config = data(text);
    ["clusters", "contexts", "users", "current-context"].map(|key| config[key].clone())
}

#[needs(gcloud)]
#[test]
fn the_entry_is_the_one_that_gcloud_writes() {
    let world = World::start(&["--seed=7"]);
    let run = |program: &str, args: &[&str], more: &[&str], file: &Path| {
        let mut command = world.command(&[]);
        if program != PROGRAM {
            command = Command::new(program);
            let path = std::env::var_os("PATH").unwrap_or_default();
            command.env_clear().env("PATH", path).env("HOME", world.home()).envs(world.environment());
        }
        command.args(args).args(more).env("KUBECONFIG", file).stdin(Stdio::null());
        finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    let west = "--location=europe-west1";
    let written: [&[&str]; 7] = [
        &["sandbox", west],
        &["sandbox", west, "--internal-ip"],
        &["sandbox", west, "--dns-endpoint"],
        &["sandbox", west, "--dns-endpoint", "--internal-ip"],
        &["sandbox", west, "--impersonate-service-account=robot@sandbox-project.iam.gserviceaccount.com"],
        &["dns-only", west],
        &["public", "--region=us-central1"],
    ];
    for args in written {
        if args.iter().any(|arg| arg.starts_with("--impersonate")) {
            // gcloud would ask Google for a token of that account: no answer to compare with.
            continue;
        }
        let (ours, theirs) = (world.home().join("ours"), world.home().join("theirs"));
        let _ = (std::fs::remove_file(&ours), std::fs::remove_file(&theirs));
        run(PROGRAM, &["cluster", "get-credentials"], args, &ours).code(0);
        run("gcloud", &["container", "clusters", "get-credentials"], args, &theirs).code(0);
        assert_eq!(entry(&read(&ours)), entry(&read(&theirs)), "{args:?}");
        assert_eq!(mode(&ours), mode(&theirs));
        // Into a file that is there: everything else of it stays, byte for byte.
        std::fs::write(&ours, HAND_WRITTEN).expect("written");
        std::fs::write(&theirs, HAND_WRITTEN).expect("written");
        run(PROGRAM, &["cluster", "get-credentials"], args, &ours).code(0);
        run("gcloud", &["container", "clusters", "get-credentials"], args, &theirs).code(0);
        assert_eq!(entry(&read(&ours)), entry(&read(&theirs)), "{args:?}");
        let now = read(&ours);
        let kept = HAND_WRITTEN.replace("'test' #", "'gke_sandbox-project_");
        let missing: Vec<&str> =
            kept.lines().filter(|line| !line.starts_with("current-context") && !now.contains(line)).collect();
        assert!(missing.is_empty(), "{missing:?}\n{now}");
        // A second time nothing is left to do.
        run(PROGRAM, &["cluster", "get-credentials"], args, &ours).code(0);
        assert_eq!(read(&ours), now);
    }
    let refused: [(&str, &[&str]); 5] = [
        ("being-made is missing endpoint. Is it still PROVISIONING?", &["being-made", "--zone=europe-west1-b"]),
        ("being-made is missing private endpoint", &["being-made", "--location=europe-west1-b", "--internal-ip"]),
        ("public is not a private cluster", &["public", "--location=us-central1", "--internal-ip"]),
        (
            "allowExternalTraffic is disabled for cluster public",
            &["public", "--location=us-central1", "--dns-endpoint"],
        ),
        ("IP access is disabled for cluster dns-only", &["dns-only", west, "--internal-ip"]),
    ];
    for (why, args) in refused {
        let file = world.home().join("config");
        std::fs::write(&file, HAND_WRITTEN).expect("written");
        run(PROGRAM, &["cluster", "get-credentials"], args, &file).code(1).says(why);
        assert_eq!(read(&file), HAND_WRITTEN, "{args:?}");
        run("gcloud", &["container", "clusters", "get-credentials"], args, &file).code(1).says(why);
    }
    let missing = ["sandbox", "--location=us-central1"];
    let file = world.home().join("config");
    run(PROGRAM, &["cluster", "get-credentials"], &missing, &file).code(1).says("sandbox is in europe-west1");
    run("gcloud", &["container", "clusters", "get-credentials"], &missing, &file).code(1).says("europe-west1");
}

#[test]
fn an_entry_acts_as_whom_the_flag_says_and_empties_the_plugins_cache() {
    let world = World::start(&["--seed=7"]);
    let file = world.home().join("config");
    let cache = world.home().join("gke_gcloud_auth_plugin_cache");
    std::fs::write(&cache, "a token").expect("written");
    let flag = "--impersonate-service-account=robot@p.iam.gserviceaccount.com";
    let args = ["cluster", "get-credentials", "sandbox", "--location=europe-west1", flag, "--kubeconfig"];
    let ran = world.run(&[&args[..], &[&file.display().to_string()]].concat()).code(0);
    assert_eq!(ran.stdout, "kubeconfig entry generated for sandbox.\n");
    let config = data(&read(&file));
    let exec = &config["users"][0]["user"]["exec"];
    assert_eq!(exec["args"], serde_json::json!(["--impersonate_service_account=robot@p.iam.gserviceaccount.com"]));
    assert_eq!((config["apiVersion"].as_str(), config["kind"].as_str()), (Some("v1"), Some("Config")));
    assert_eq!((mode(&file), read(&cache).as_str()), (0o600, ""));
    for (name, args) in [
        ("no-location", &["cluster", "get-credentials", "sandbox"] as &[&str]),
        ("bad-name", &["cluster", "get-credentials", "../x", "--location=l"]),
        ("elsewhere", &["cluster", "get-credentials", "sandbx", "--location=europe-west1"]),
    ] {
        let ran = world.run(args);
        snapshot(&format!("get-credentials-refused-{name}"), &shown(&ran));
    }
}

#[test]
fn secret_commands_never_change_the_kubeconfig() {
    let world = World::start(&["--seed=7"]);
    let file = PathBuf::from(&world.environment()["KUBECONFIG"]);
    let before = (read(&file), file.metadata().expect("there").mtime_nsec(), file.metadata().expect("there").ino());
    for args in [
        &["secret", "verify", "acme"] as &[&str],
        &["secret", "sync", "globex"],
        &["secret", "restart", "globex", "--yes"],
        &["secret", "rotate", "globex", "--dry-run"],
        &["secret", "rotate", "initech", "--yes"],
        &["account", "list", "-o", "human"],
        &["cluster", "list"],
    ] {
        world.run(args).code(0);
        let data = file.metadata().expect("there");
        assert_eq!((read(&file), data.mtime_nsec(), data.ino()), before, "{args:?}");
    }
    assert!(!world.home().join(".local").exists(), "nothing is noted either");
}
