//! Completion as kubectl asks for it, putting it in place, the generated scripts, the manual pages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{PROGRAM, Ran, World, finish, path};

/// A directory with the plugin and its helper, as `completion install` leaves them.
pub fn plugin(home: &Path) -> PathBuf {
    let bin = home.join("bin");
    if !bin.is_dir() {
        std::fs::create_dir(&bin).expect("made");
        std::os::unix::fs::symlink(PROGRAM, bin.join("kubectl-deepdesk")).expect("linked");
        std::os::unix::fs::symlink("kubectl-deepdesk", bin.join("kubectl_complete-deepdesk")).expect("linked");
    }
    bin
}

/// kubectl as it is on PATH, and the oldest and the newest that gcloud brings along.
fn kubectls() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("kubectl")];
    let told = Command::new("gcloud").args(["info", "--format=value(installation.sdk_root)"]).output();
    let root = told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned()).unwrap_or_default();
    let entries = std::fs::read_dir(Path::new(&root).join("bin")).into_iter().flatten().flatten();
    let minor = |path: &PathBuf| path.to_str().and_then(|path| path.rsplit_once("kubectl.1.")?.1.parse::<u32>().ok());
    let mut versions: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| minor(path).is_some()).collect();
    versions.sort_by_key(minor);
    match versions.as_slice() {
        [] => eprintln!("not tested with other versions of kubectl: gcloud brings none along"),
        [only] => found.push(only.clone()),
        [oldest, .., newest] => found.extend([oldest.clone(), newest.clone()]),
    }
    found
}

/// What `kubectl __complete deepdesk …` answers.
fn asked(world: &World, kubectl: &Path, words: &[&str]) -> String {
    let mut command = Command::new(kubectl);
    let path = std::env::join_paths(std::iter::once(plugin(world.home())).chain(std::env::split_paths(&path())));
    command.arg("__complete").arg("deepdesk").args(words).env_clear().env("PATH", path.expect("joined"));
    command.env("HOME", world.home()).envs(world.environment());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("kubectl starts")).code(0).stdout
}

#[needs(kubectl)]
#[test]
fn kubectl_completes_words_with_descriptions() {
    let world = World::start(&["--seed=7"]);
    for kubectl in kubectls() {
        let cases: [(&[&str], &[&str]); 13] = [
            (
                &["secret", "ro"],
                &[
                    "rotate\tReplace the secret's value by a new one everywhere, and keep the old one readable",
                    "rollback\tGo back to the back-compat value, and keep the abandoned one readable",
                ],
            ),
            (&["secret", "rotate", "a"], &["acme\t2 of 2 ExternalSecrets in sync"]),
            (
                &["secret", "rotate", "acme", ""],
                &["globex\t2 of 2 ExternalSecrets in sync", "initech\t2 of 2 ExternalSecrets in sync"],
            ),
            (&["secret", "rotate", "-n", "glo"], &["globex\tActive"]),
            (&["secret", "rotate", "--namespace=glo"], &["globex\tActive"]),
            (&["secret", "verify", "--context", "sandbox-g"], &["sandbox-globex\tcluster sandbox, namespace globex"]),
            (&["secret", "verify", "--context=sandbox-a"], &["sandbox-acme\tcurrent, cluster sandbox, namespace acme"]),
            (
                &["secret", "verify", "--context", "sandbox-globex", "--workload", "deployment/a"],
                &["deployment/admin\t2 of 2 pods ready"],
            ),
            (
                &["secret", "verify", "acme", "--external-secret="],
                &["admin-secrets\tSecretSynced", "backend-secrets\tSecretSynced"],
            ),
            (&["secret", "verify", "--project", ""], &["sandbox-project\tenvironment variable CLOUDSDK_CORE_PROJECT"]),
            (&["secret", "verify", "--user", ""], &["sandbox\tuser of the kubeconfig"]),
            (&["sandbox", "run", "--fault", "pod-ch"], &["pod-churn\ta random consumer pod is replaced that often"]),
            (&["nonsense", ""], &[]),
        ];
        for (words, expected) in cases {
            let answer = asked(&world, &kubectl, words);
            let lines: Vec<&str> = answer.lines().collect();
            let (directive, found) = lines.split_last().expect("a directive");
            assert_eq!((*directive, found), (":4", expected), "{} {words:?}", kubectl.display());
        }
        assert_eq!(asked(&world, &kubectl, &["secret", "verify", "--kubeconfig", ""]), ":0\n", "files are the shell's");
        // What was typed earlier decides: a kubeconfig with another context and namespace.
        let other = world.home().join("other");
        let server = &world.environment()["DEEPDESK_SANDBOX_URL"];
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
             contexts: [{{name: elsewhere, context: {{cluster: c, namespace: initech}}}}]\ncurrent-context: elsewhere\n"
        );
        std::fs::write(&other, text).expect("written");
        let other = other.display().to_string();
        let contexts = asked(&world, &kubectl, &["secret", "verify", "--kubeconfig", &other, "--context", ""]);
        assert_eq!(contexts, "elsewhere\tcurrent, cluster c, namespace initech\n:4\n");
    }
    // What a command saw is shown from then on.
    world.run(&["secret", "verify", "acme"]).code(0);
    let answer = asked(&world, Path::new("kubectl"), &["secret", "rotate", "a"]);
    assert!(answer.starts_with("acme\tStable, v7 from ") && answer.contains("; seen "), "{answer}");
}

/// The helper itself, with something on its standard input that it must leave alone.
fn helper(world: &World, kubeconfig: &Path, words: &[&str]) -> (Ran, Duration) {
    let mut command = Command::new(plugin(world.home()).join("kubectl_complete-deepdesk"));
    command.args(words).env_clear().env("HOME", world.home()).env("PATH", path()).env("KUBECONFIG", kubeconfig);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("it starts");
    // Open until it has ended: whoever waits for its end waits for ever.
    let stdin = child.stdin.take();
    let ran = finish(child);
    drop(stdin);
    (ran, begun.elapsed())
}

#[test]
fn a_cluster_that_does_not_answer_costs_the_budget_once() {
    let world = World::start(&[]);
    // Accepts, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = silent.local_addr().expect("bound").port();
    let plugin = |name: &str, mode: &str, script: &str| {
        format!(
            "- name: {name}\n  user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, \
             args: ['-c', '{script}'], interactiveMode: {mode}}}}}\n"
        )
    };
    let home = world.home().display();
    let users = [
        "- name: nobody\n  user: {}\n".to_owned(),
        plugin("slow", "Never", "sleep 5"),
        plugin("asks", "Always", &format!("touch {home}/asked")),
        plugin("reads", "IfAvailable", &format!("read line && touch {home}/read")),
    ];
    for user in ["nobody", "slow", "asks", "reads"] {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}'}}}}]\n\
             contexts: [{{name: here, context: {{cluster: c, namespace: hooli, user: {user}}}}}]\nusers:\n{}",
            users.concat()
        );
        let kubeconfig = world.home().join(user);
        std::fs::write(&kubeconfig, text).expect("written");
        let words = ["secret", "rotate", ""];
        let (first, took) = helper(&world, &kubeconfig, &words);
        let expected = "hooli\tnamespace of context here\n:4\n";
        assert_eq!((first.code, first.stdout.as_str(), first.stderr.as_str()), (0, expected, ""), "{user}");
        assert!(took < Duration::from_secs(2), "{user}: {took:?}");
        let (second, again) = helper(&world, &kubeconfig, &words);
        assert_eq!(second.stdout, expected, "{user}");
        assert!(again < Duration::from_millis(250), "{user}: the failure was not remembered: {again:?}");
    }
    for mark in ["asked", "read"] {
        assert!(!world.home().join(mark).exists(), "a plugin was {mark}");
    }
    let none = world.home().join("nowhere");
    let (answer, _) = helper(&world, &none, &["secret", "rotate", ""]);
    assert_eq!((answer.code, answer.stdout.as_str(), answer.stderr.as_str()), (0, ":4\n", ""));
    std::fs::write(&none, "clusters: {{{").expect("written");
    let (answer, _) = helper(&world, &none, &["secret", "rotate", "--context", ""]);
    assert_eq!((answer.code, answer.stdout.as_str(), answer.stderr.as_str()), (0, ":4\n", ""));
}

#[test]
fn the_generated_scripts_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, file) in [
        ("bash", "kubectl-deepdesk.bash"),
        ("zsh", "_kubectl-deepdesk"),
        ("fish", "kubectl-deepdesk.fish"),
        ("powershell", "kubectl-deepdesk.ps1"),
    ] {
        let ran = Command::new(PROGRAM).args(["completion", shell]).output().expect("it runs");
        let printed = String::from_utf8(ran.stdout).expect("text");
        let kept = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(
            kept == printed,
            "completions/{file} is stale: cargo run --quiet -- completion {shell} > completions/{file}"
        );
        let asked = Command::new(PROGRAM).env("COMPLETE", shell).output().expect("it runs");
        assert_eq!(String::from_utf8(asked.stdout).expect("text"), printed, "COMPLETE={shell}");
    }
}

/// Everything below a directory: files with their text, links with their targets.
fn tree(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![home.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            let name = path.strip_prefix(home).expect("below").display().to_string();
            match std::fs::read_link(&path) {
                Ok(to) => found.push(format!("{name} -> {}", to.display())),
                Err(_) if path.is_dir() => open.push(path),
                Err(_) => found.push(format!("{name} {}", std::fs::read_to_string(&path).expect("text").len())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn completion_is_put_in_place_and_taken_away() {
    let home = tempfile::tempdir().expect("a directory");
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).expect("made");
    std::os::unix::fs::symlink(PROGRAM, bin.join("kubectl-deepdesk")).expect("linked");
    std::fs::write(home.path().join(".bashrc"), "alias k=kubectl").expect("written");
    let run = |args: &[&str]| {
        let mut command = Command::new(bin.join("kubectl-deepdesk"));
        command.args(["completion", "install"]).args(args).env_clear();
        // Without /usr/local and the like, of which zsh might offer a directory for everybody.
        command.env("PATH", &bin).env("HOME", home.path()).env("SHELL", "/bin/bash").env("TERM", "dumb");
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    let shells = ["--shell", "bash", "--shell", "zsh", "--shell", "fish", "--shell", "powershell"];
    let before = tree(home.path());
    let planned = run(&[&shells as &[&str], &["--dry-run"]].concat()).code(0);
    assert_eq!(tree(home.path()), before, "a dry run wrote something");
    assert!(planned.stdout.contains("would link ") && planned.stdout.contains("would write "), "{}", planned.stdout);

    let done = run(&shells).code(0);
    assert_eq!(done.stderr, "");
    assert!(done.stdout.contains("add to $PROFILE"), "{}", done.stdout);
    let after = tree(home.path());
    for name in [
        "bin/kubectl_complete-deepdesk -> kubectl-deepdesk",
        ".local/share/bash-completion/completions/kubectl-deepdesk ",
        ".local/share/zsh/site-functions/_kubectl-deepdesk ",
        ".config/fish/completions/kubectl-deepdesk.fish ",
        ".bashrc 15",
    ] {
        assert!(after.iter().any(|one| one.starts_with(name)), "no {name}: {after:#?}");
    }
    assert!(run(&shells).code(0).stdout.contains("unchanged: "));
    assert_eq!(tree(home.path()), after, "a second time changed something");

    run(&["--edit-profile"]).code(0);
    let profile = || std::fs::read_to_string(home.path().join(".bashrc")).expect("there");
    let line = "source <(kubectl-deepdesk completion bash) # kubectl-deepdesk completion\n";
    assert_eq!(profile(), format!("alias k=kubectl\n{line}"));
    run(&["--edit-profile"]).code(0);
    assert_eq!(profile(), format!("alias k=kubectl\n{line}"), "it is there once");

    let gone = run(&["--uninstall"]).code(0);
    assert!(gone.stdout.contains("removed "), "{}", gone.stdout);
    assert!(profile().contains(line), "a dotfile was edited without being told to");
    run(&["--uninstall", "--edit-profile"]).code(0);
    assert_eq!(profile(), "alias k=kubectl\n");
    let left = tree(home.path());
    assert!(!left.iter().any(|one| one.contains("complete") && !one.starts_with("bin/kubectl-")), "{left:#?}");
    assert_eq!(run(&["--uninstall"]).code(0).stdout, "nothing to remove\n");
}

#[test]
fn what_is_somebody_elses_is_refused_and_left() {
    let home = tempfile::tempdir().expect("a directory");
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).expect("made");
    let theirs = bin.join("kubectl_complete-deepdesk");
    std::fs::write(&theirs, "#!/bin/sh\n").expect("written");
    let run = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["completion", "install"]).args(args).env_clear().env("PATH", &bin).env("HOME", home.path());
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    let before = tree(home.path());
    let refused = run(&["--shell", "fish"]).code(4).says("did not write it").says("\nhint: ");
    assert_eq!(refused.stdout, "");
    assert_eq!(tree(home.path()), before, "something was written before the refusal");
    let left = run(&["--uninstall"]).code(0);
    assert!(left.stdout.starts_with("left "), "{}", left.stdout);
    assert_eq!(tree(home.path()), before);
    // What can be done is done, and said, before what cannot.
    std::fs::write(home.path().join(".config"), "a file").expect("written");
    let own = home.path().join("own").display().to_string();
    let stopped = run(&["--shell", "fish", "--bin-dir", &own]).code(5);
    assert!(stopped.stderr.contains("\nnow: linked "), "{}", stopped.stderr);
    run(&[]).code(2).says("--shell bash");
    run(&["--shell", "tcsh"]).code(2).says("possible values: bash, zsh, fish, powershell");
}

#[test]
fn every_command_has_an_example_and_a_page() {
    use clap::CommandFactory as _;
    fn walk(command: &clap::Command, wrong: &mut Vec<String>, pages: &mut usize) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if !help.contains("  kubectl deepdesk ") && !help.contains("  source ") && !help.contains("  kubectl-deepdesk ")
        {
            wrong.push(command.get_name().to_owned());
        }
        *pages += usize::from(!command.is_hide_set());
        command.get_subcommands().for_each(|below| walk(below, wrong, pages));
    }
    let (mut wrong, mut pages) = (Vec::new(), 0);
    walk(&kubectl_deepdesk::cli::Cli::command(), &mut wrong, &mut pages);
    assert!(wrong.is_empty(), "without an example: {wrong:?}");

    let home = tempfile::tempdir().expect("a directory");
    let out = home.path().join("share").join("man1");
    let ran = Command::new(PROGRAM).arg("man").arg("--out").arg(&out).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let written: Vec<PathBuf> =
        std::fs::read_dir(&out).expect("made").map(|entry| entry.expect("there").path()).collect();
    assert_eq!(written.len(), pages);
    let page = std::fs::read_to_string(out.join("kubectl-deepdesk-secret-rotate.1")).expect("written");
    for part in [".TH kubectl-deepdesk-secret-rotate 1", "\\-\\-value\\-from", "pass show acme/key"] {
        assert!(page.contains(part), "no {part} in the page:\n{page}");
    }
}

#[test]
fn usage_lines_say_how_the_program_was_called() {
    let world = World::start(&[]);
    let bin = plugin(world.home());
    let usage = |program: &str, path: &Path| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {program} secret rotat")]).env_clear();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let list = std::iter::once(path.to_owned()).chain(std::env::split_paths(&others));
        command.env("PATH", std::env::join_paths(list).expect("joined")).current_dir(world.home());
        let ran = command.stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(ran.status.code(), Some(2));
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let elsewhere = tempfile::tempdir().expect("a directory");
    let direct = bin.join("kubectl-deepdesk").display().to_string();
    let cases = [
        ("kubectl deepdesk", bin.as_path(), "kubectl deepdesk"),
        ("kubectl-deepdesk", bin.as_path(), "kubectl-deepdesk"),
        ("./bin/kubectl-deepdesk", bin.as_path(), "kubectl-deepdesk"),
        (direct.as_str(), elsewhere.path(), "kubectl-deepdesk"),
    ];
    for (program, path, expected) in cases {
        let said = usage(program, path);
        assert!(said.contains(&format!("\nUsage: {expected} secret ")), "{program}: {said}");
        assert!(said.contains("tip: ") && said.contains("secret rotate`"), "{program}: {said}");
    }
}
