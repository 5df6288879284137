//! The chores that every change goes through, and the long ones that look at the same sources.

use crate::literals;
use crate::{Done, bash, command, is_there, pinned, root, run, run_with, said_by, target};

/// The shells whose completion is tried, and gdb for a core of the program: as root, from Debian.
pub(crate) fn tools() -> Done {
    run(&["cargo", "--version"])?;
    for (component, name) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if said_by(&["cargo", component, "--version"]).is_err() {
            run(&["rustup", "component", "add", name])?;
        }
    }
    let mut missing: Vec<&str> =
        ["zsh", "fish", "openssl", "python3"].into_iter().filter(|shell| !is_there(shell)).collect();
    if !std::path::Path::new("/usr/share/bash-completion/bash_completion").exists() {
        missing.push("bash-completion");
    }
    if !is_there("gcore") {
        missing.push("gdb");
    }
    install(&missing)
}

/// Debian packages.
pub(crate) fn install(packages: &[&str]) -> Done {
    if packages.is_empty() {
        return Ok(());
    }
    if said_by(&["id", "-u"])? != "0" || !is_there("apt-get") {
        return Err(format!("these packages are missing: {}", packages.join(" ")));
    }
    run(&["apt-get", "update", "-qq"])?;
    let mut words = vec!["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    words.extend(packages);
    run_with(&words, &[("DEBIAN_FRONTEND", "noninteractive")])
}

pub(crate) fn format() -> Done {
    run(&["cargo", "fmt", "--all", "--check"])
}

pub(crate) fn lint() -> Done {
    run(&["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

pub(crate) fn docs() -> Done {
    run_with(&["cargo", "doc", "--locked", "--no-deps", "--quiet"], &[("RUSTDOCFLAGS", "-D warnings")])
}

pub(crate) fn breaks() -> Done {
    run(&["tests/campaign/breaks/run", "--check"])
}

/// Half of what a test does is to wait, so more of them than cores run at once.
pub(crate) fn test() -> Done {
    let threads = 2 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    readme("cargo test", &[("RUST_TEST_THREADS", &threads.to_string())])
}

/// Those that a plain `cargo test` ignores on a machine without the tools. With CI=true one that is still missing is an error.
pub(crate) fn with_tools() -> Done {
    tools()?;
    let mut names = Vec::new();
    for folder in ["src", "tests/suite", "tests/scenarios", "crates/sandbox/src"] {
        for file in literals::files(&root(), folder)?.into_iter().filter(|file| file.ends_with(".rs")) {
            let text = std::fs::read_to_string(root().join(&file)).map_err(|error| format!("{file}: {error}"))?;
            names.extend(tests_with_tools(&text));
        }
    }
    if names.is_empty() {
        return Err("no test says that it needs a tool: were the sources moved?".to_owned());
    }
    let mut words = vec!["cargo", "test", "--locked", "-p", "kubectl-deepdesk", "-p", "deepdesk-sandbox"];
    words.extend(["--lib", "--test", "suite", "--test", "scenarios", "--"]);
    words.extend(names.iter().map(String::as_str));
    run_with(&words, &[("CI", "true")])
}

/// The names of the tests behind `#[needs(…)]`.
fn tests_with_tools(text: &str) -> Vec<String> {
    let behind = text
        .split("needs(")
        .skip(1)
        .filter(|rest| rest.split_once(")]\n").is_some_and(|(_, rest)| rest.trim_start().starts_with("#[")));
    let names = behind.filter_map(|rest| rest.split_once("fn ")?.1.split_once('(').map(|(name, _)| name.to_owned()));
    names.collect()
}

pub(crate) fn quick_start() -> Done {
    readme("cargo run", &[])
}

/// The first line of the README's quick start that begins so, as a reader would paste it.
fn readme(begins: &str, variables: &[(&str, &str)]) -> Done {
    let text = std::fs::read_to_string(root().join("README.md")).map_err(|error| format!("README.md: {error}"))?;
    let quick_start = text.split("\n## ").find(|section| section.starts_with("Quick start")).unwrap_or_default();
    let line = quick_start.lines().find(|line| line.starts_with(begins));
    let line = line.ok_or(format!("README.md has no `{begins}` under Quick start"))?;
    run_with(&["bash", "-c", line], variables)
}

/// Built into a cache (minutes on a new machine), up in seconds.
pub(crate) fn control_plane() -> Done {
    if !is_there("go") {
        return Err("no go on PATH and none in /usr/local/go: install Go 1.26 or newer".to_owned());
    }
    // -trimpath as in the build, so that Kubernetes is compiled once for both.
    bash(
        r#"cd tests/control-plane
        unformatted=$(gofmt -l .)
        [ -z "$unformatted" ] || { echo "error: not formatted by gofmt: $unformatted"; exit 1; }
        go vet -trimpath ./...
        go test -trimpath ./..."#,
    )?;
    run(&["tests/control-plane/run", "build"])?;
    let logs = target().join("control-plane-logs");
    let _ = std::fs::remove_dir_all(&logs);
    let logs = logs.display().to_string();
    let ended = run_with(&["tests/control-plane/run", "test"], &[("CONTROL_PLANE_LOGS", &logs)]);
    if ended.is_err() {
        // The audit log is thousands of lines, and of use only beside a question.
        let _ = run(&[
            "find",
            &logs,
            "-name",
            "*.log",
            "!",
            "-name",
            "audit.log",
            "-size",
            "+0",
            "-print",
            "-exec",
            "tail",
            "-n",
            "40",
            "{}",
            ";",
        ]);
        println!("the scenarios failed in the real control plane; logs: {logs}");
    }
    ended
}

/// What comes in from outside (deny.toml). cargo-deny takes four minutes to build, once.
pub(crate) fn dependencies() -> Done {
    if !is_there("cargo-deny") {
        run(&["cargo", "install", "--locked", &format!("cargo-deny@{}", pinned("DENY")?)])?;
    }
    run(&["cargo", "deny", "--locked", "check", "licenses", "bans", "sources"])?;
    // RustSec's database is on GitHub, which not every builder can reach.
    if command(&["timeout", "60", "cargo", "deny", "fetch", "db"]).output().is_ok_and(|ended| ended.status.success()) {
        run(&["cargo", "deny", "--locked", "check", "advisories"])
    } else {
        println!("note: no advisories were looked at: RustSec's database cannot be fetched from here");
        Ok(())
    }
}

/// Does our code compile for Windows without a warning, and do the parts that make releases hold together? Nothing is linked for them here.
pub(crate) fn platforms() -> Done {
    let windows = "x86_64-pc-windows-gnu";
    if is_there("rustup") {
        run(&["rustup", "-q", "target", "add", windows])?;
    }
    if std::path::Path::new(&said_by(&["rustc", "--print", "target-libdir", "--target", windows])?).is_dir() {
        // ring has C, which nobody links here: its compiler and archiver need only say that they are done.
        let silent =
            [("CC_x86_64_pc_windows_gnu", "true"), ("AR_x86_64_pc_windows_gnu", "true"), ("RUSTFLAGS", "-D warnings")];
        run_with(&["cargo", "check", "--locked", "--target", windows, "--lib", "--bins"], &silent)?;
    } else {
        println!("note: this Rust toolchain has no library for Windows, and no rustup to get it with: not looked at");
    }
    println!("macOS: the linker's stubs name what krew/macos-symbols says, and nothing else");
    bash(
        r#"stubs=$(mktemp -d)
        krew/build --stubs "$stubs"
        for framework in Security CoreFoundation; do
          diff <(sed -n "s/^$framework //p" krew/macos-symbols | sort) \
            <(sed -n 's/^ *symbols: \[ \(.*\) \]$/\1/p' "$stubs/System/Library/Frameworks/$framework.framework/$framework.tbd" | tr -d ' ' | tr , '\n' | sort)
        done
        rm -r "$stubs""#,
    )?;
    let go = said_by(&["go", "env", "GOPATH"])?;
    let actionlint = format!("{go}/bin/actionlint");
    if !std::path::Path::new(&actionlint).exists() {
        run(&["go", "install", &format!("github.com/rhysd/actionlint/cmd/actionlint@v{}", pinned("ACTIONLINT")?)])?;
    }
    run(&[&actionlint])?;
    println!("Linux: what krew/exercise does, with a debug build of this machine's own");
    run(&["cargo", "build", "--locked", "--bin", "kubectl-deepdesk"])?;
    let program = target().join("debug/kubectl-deepdesk").display().to_string();
    run(&["krew/exercise", "linux/amd64", &program])?;
    // It is not for publishing, and what looks at releases has to see that.
    match said_by(&["krew/inspect", "linux/amd64", &program]) {
        Err(said) if said.contains("so it is not static") => Ok(()),
        Err(said) => Err(format!("krew/inspect did not see that it is not static: {said}")),
        Ok(_) => Err("krew/inspect took this machine's own build for a release".to_owned()),
    }
}

pub(crate) fn waits() -> Done {
    run(&["cargo", "test", "--locked", "--test", "suite", "--", "--ignored", "used_up"])
}

pub(crate) fn deaths() -> Done {
    run_with(&["cargo", "test", "--locked", "--test", "suite", "--", "crash"], &[("DEEPDESK_EVERY_REQUEST", "1")])
}

/// More runs, and three acts of people anywhere between their requests (tests/model/README.md). Unoptimized it would take hours.
pub(crate) fn model() -> Done {
    run_with(
        &["cargo", "test", "--locked", "--test", "model", "--", "--nocapture", "every_interleaving", "hands"],
        &[("DEEPDESK_MODEL", "large"), ("CARGO_PROFILE_DEV_OPT_LEVEL", "3")],
    )
}

/// 1,300 changes. Ends badly where one is not found (.cargo/mutants.toml).
pub(crate) fn mutants() -> Done {
    if !is_there("cargo-mutants") {
        run(&["cargo", "install", "--locked", &format!("cargo-mutants@{}", pinned("MUTANTS")?)])?;
    }
    let out = target().display().to_string();
    run_with(
        &[
            "cargo",
            "mutants",
            "-p",
            "deepdesk-protocol",
            "--jobs",
            "2",
            "--timeout",
            "60",
            "--output",
            &out,
            "--",
            "--lib",
        ],
        &[("CARGO_PROFILE_DEV_DEBUG", "0")],
    )
}

pub(crate) fn pictures() -> Done {
    run(&["tests/picture/make"])
}

/// Figures, not a gate: machines are noisy (`tests/bench/run --check` is the gate).
pub(crate) fn speed() -> Done {
    run(&["tests/bench/run", "--runs", "1"])?;
    run(&["tests/bench/completion", "--runs", "10"])
}
