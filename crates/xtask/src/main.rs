//! The chores of this repository under one name: `cargo xtask` lists them, `cargo xtask NAME...` does them.
//! `.ci/run` and `.ci/nightly` call the same, so what passes here passes there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

mod chores;
mod literals;
mod messages;
mod releases;

/// What went wrong, in one line.
type Done = Result<(), String>;

struct Chore {
    name: &'static str,
    /// On two cores, with everything built that can be.
    minutes: &'static str,
    what: &'static str,
    run: fn() -> Done,
}

const fn chore(name: &'static str, minutes: &'static str, what: &'static str, run: fn() -> Done) -> Chore {
    Chore { name, minutes, what, run }
}

/// What a plain run of CI does, in this order: cheap before dear, and nothing that builds the program a second time.
const CI: [&str; 9] = ["tools", "format", "lint", "docs", "pages", "breaks", "test", "control-plane", "quick-start"];

/// What is too long for that. The model and the mutants come last, since they build everything anew.
const NIGHTLY: [&str; 15] = [
    "tools",
    "dependencies",
    "size",
    "krew",
    "speed",
    "platforms",
    "release-tools",
    "archives",
    "exercise",
    "rehearse",
    "again",
    "deaths",
    "waits",
    "model",
    "mutants",
];

fn all() -> Vec<Chore> {
    vec![
        chore("ci", "45", "what has to hold before anything lands (.ci/run)", || in_order(&CI)),
        chore("nightly", "120", "what is too long for that (.ci/nightly)", || in_order(&NIGHTLY)),
        chore("tools", "0", "install what the tests need and this machine lacks (as root, from Debian)", chores::tools),
        chore("format", "0", "is all of it formatted?", chores::format),
        chore("lint", "1", "clippy, no warnings", chores::lint),
        chore("docs", "1", "the documentation of the code, no warnings", chores::docs),
        chore("breaks", "0", "the campaign's deliberate breaks still apply", chores::breaks),
        chore("test", "20", "the README's test command", chores::test),
        chore("control-plane", "8", "the scenarios in the real Kubernetes and External Secrets", chores::control_plane),
        chore(
            "with-tools",
            "10",
            "the tests that need a tool, none left out; what is missing is installed",
            chores::with_tools,
        ),
        chore("quick-start", "0", "the README's first command", chores::quick_start),
        chore("dependencies", "1", "what comes in from outside: licences, sources, duplicates", chores::dependencies),
        chore("platforms", "2", "what is cheap of the other platforms", chores::platforms),
        chore("deaths", "5", "a run that dies at every request in turn", chores::deaths),
        chore("waits", "2", "the tests that wait for minutes", chores::waits),
        chore("model", "20", "the model with three acts of people, optimized", chores::model),
        chore(
            "mutants",
            "20",
            "every change of the protocol's sources that a tool can think of is found",
            chores::mutants,
        ),
        chore("pages", "0", "docs/messages.md has every message of the sources", messages::check),
        chore("messages", "20", "play the suite, and write docs/messages.md anew", messages::make),
        chore("messages-again", "0", "the same from the suite's last run", messages::write),
        chore("pictures", "2", "make the pictures of README.md and docs/ anew", chores::pictures),
        chore("speed", "8", "size and speed, side by side with the same requests (tests/bench)", chores::speed),
        chore("size", "7", "the release of this machine, and its size", releases::size),
        chore("krew", "8", "the release of this machine, and what krew's user does with it", releases::krew),
        chore("release-tools", "1", "install what releases of all platforms are made with", releases::tools),
        chore("archives", "60", "the releases of all platforms; TARGETS names fewer", releases::archives),
        chore("exercise", "2", "run those that this machine can run", releases::exercise),
        chore("rehearse", "2", "krew's user's ways, with all of them", releases::rehearse),
        chore("again", "15", "the first of them once more in another folder: the same bytes", releases::again),
    ]
}

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    let all = all();
    if names.is_empty() || matches!(names[0].as_str(), "-h" | "--help" | "help") {
        println!("usage: cargo xtask NAME...\n");
        for each in &all {
            println!("  {:<14} {:>3} min  {}", each.name, each.minutes, each.what);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|each| each.name == name.as_str())) {
        eprintln!("error: no chore is named '{unknown}'\nhint: cargo xtask lists them");
        return ExitCode::from(2);
    }
    match in_order(&names.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn in_order(names: &[&str]) -> Done {
    let all = all();
    let begun = std::time::Instant::now();
    for name in names {
        let each = all.iter().find(|each| each.name == *name).ok_or(format!("no chore is named '{name}'"))?;
        println!("\n== {}: {} ({} s so far)", each.name, each.what, begun.elapsed().as_secs());
        (each.run)()?;
    }
    Ok(())
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .filter(|set| !set.is_empty())
        .map_or_else(|| root().join("target"), |set| root().join(set))
}

/// A command in the checkout. Go's own place and cargo's count as on PATH.
fn command(words: &[&str]) -> Command {
    let mut made = Command::new(words[0]);
    made.args(&words[1..]).current_dir(root());
    let home =
        env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo"))).unwrap_or_default();
    let path = env::var("PATH").unwrap_or_default();
    // What cargo says of this package is nobody else's: ring would be built anew for it.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
            .iter()
            .any(|of| text.starts_with(of))
        {
            made.env_remove(&name);
        }
    }
    // Each once: for another PATH than a developer's own, cargo would build the tests anew (crates/needs).
    let more = ["/usr/local/go/bin".to_owned(), format!("{home}/bin")];
    let more = more.into_iter().filter(|folder| !path.split(':').any(|one| one == folder));
    made.env("PATH", std::iter::once(path.clone()).chain(more).collect::<Vec<_>>().join(":"));
    made
}

fn run(words: &[&str]) -> Done {
    run_with(words, &[])
}

fn run_with(words: &[&str], variables: &[(&str, &str)]) -> Done {
    println!("+ {}", words.join(" "));
    let ended =
        command(words).envs(variables.iter().copied()).status().map_err(|error| format!("{}: {error}", words[0]))?;
    if ended.success() { Ok(()) } else { Err(format!("{} failed: {ended}", words.join(" "))) }
}

/// A few lines of bash, where pipes are what is meant.
fn bash(lines: &str) -> Done {
    let ended =
        command(&["bash", "-euo", "pipefail", "-c", lines]).status().map_err(|error| format!("bash: {error}"))?;
    if ended.success() { Ok(()) } else { Err(format!("a step failed: {ended}")) }
}

/// What a command prints, without the line's end.
fn said_by(words: &[&str]) -> Result<String, String> {
    let ended = command(words).output().map_err(|error| format!("{}: {error}", words[0]))?;
    if !ended.status.success() {
        return Err(format!("{} failed: {}", words.join(" "), String::from_utf8_lossy(&ended.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).trim().to_owned())
}

fn is_there(program: &str) -> bool {
    command(&["bash", "-c", "command -v \"$0\" >/dev/null", program]).status().is_ok_and(|ended| ended.success())
}

/// Versions are written once, for the scripts and for this.
fn pinned(tool: &str) -> Result<String, String> {
    let tools = std::fs::read_to_string(root().join("krew/tools")).map_err(|error| format!("krew/tools: {error}"))?;
    let pin = tools.lines().find_map(|line| line.strip_prefix(&format!("{tool}=")).map(str::to_owned));
    pin.ok_or(format!("krew/tools pins no {tool}"))
}
