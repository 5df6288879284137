//! The tools that tests need beyond Rust and a C compiler, and whether this machine has them. The build script asks, and the
//! attribute answers by what it found.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What a test may need.
pub struct Tool {
    /// As it stands in `#[needs(…)]`.
    pub name: &'static str,
    pub at: At,
    /// Why a test is ignored, where it is missing.
    pub without: &'static str,
}

/// Where it would be.
pub enum At {
    /// A program on PATH.
    Path(&'static str),
    /// One of these files.
    Files(&'static [&'static str]),
    /// With the user who builds the tests. No installation gives that, so CI does not insist on it.
    Root,
}

const fn program(name: &'static str, without: &'static str) -> Tool {
    Tool { name, at: At::Path(name), without }
}

pub const TOOLS: [Tool; 9] = [
    program("bash", "bash is not on PATH"),
    program("fish", "fish is not on PATH"),
    program("gcloud", "gcloud is not on PATH"),
    program("gcore", "gcore (of gdb) is not on PATH"),
    program("kubectl", "kubectl is not on PATH"),
    program("openssl", "openssl is not on PATH"),
    program("python3", "python3 is not on PATH"),
    program("zsh", "zsh is not on PATH"),
    Tool {
        name: "bash_completion",
        at: At::Files(&[
            "/usr/share/bash-completion/bash_completion",
            "/usr/local/share/bash-completion/bash_completion",
            "/opt/homebrew/share/bash-completion/bash_completion",
        ]),
        without: "bash-completion is not installed",
    },
];

/// Beside the tools: gcore is refused where somebody else takes a core.
pub const ROOT: Tool = Tool { name: "root", at: At::Root, without: "the tests were not built by root" };

/// All that `#[needs(…)]` may name.
pub fn all() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().chain([&ROOT])
}

/// What of that is not there.
pub fn missing(path: &OsStr) -> Vec<&'static Tool> {
    all().filter(|tool| !is_there(tool, path)).collect()
}

fn is_there(tool: &Tool, path: &OsStr) -> bool {
    match &tool.at {
        At::Path(name) => std::env::split_paths(path).any(|folder| runs(&folder.join(name))),
        At::Files(files) => files.iter().any(|file| Path::new(file).is_file()),
        At::Root => is_root(),
    }
}

#[cfg(unix)]
fn runs(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn runs(file: &Path) -> bool {
    file.with_extension("exe").is_file()
}

/// Without a call into the C library, which would be a dependency: Linux says it in `/proc`.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// What CI says where it lacks a tool; none where it has all.
pub fn refusal(missing: &[&Tool]) -> Option<String> {
    let lacking: Vec<&str> =
        missing.iter().filter(|tool| !matches!(tool.at, At::Root)).map(|tool| tool.without).collect();
    (!lacking.is_empty()).then(|| {
        format!(
            "with CI=true every test has to run, but {}: install what is missing (`cargo xtask tools` does on Debian, but for kubectl and gcloud)",
            lacking.join(", ")
        )
    })
}

/// The folders in which a tool that is missing may appear. Not those around what cargo builds, which change all the time.
pub fn watched(path: &OsStr, out: &Path) -> Vec<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute() && folder.is_dir() && !out.starts_with(folder))
        .collect()
}
