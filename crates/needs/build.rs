//! Looks which tools are there. A PATH is the whole question, so a changed one asks again.

#[path = "src/tools.rs"]
mod tools;

use std::path::PathBuf;

fn main() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = tools::missing(&path);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/tools.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    if let Some(why) = tools::refusal(&missing) {
        // Where nothing is missing CI changes nothing, and setting it must not build the tests anew.
        println!("cargo::rerun-if-env-changed=CI");
        // What is installed goes into a folder that was on PATH before.
        let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
        for folder in tools::watched(&path, &out) {
            println!("cargo::rerun-if-changed={}", folder.display());
        }
        if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
            println!("cargo::error={why}");
        }
    }
    let names: Vec<&str> = missing.iter().map(|tool| tool.name).collect();
    println!("cargo::rustc-env=NEEDS_MISSING={}", names.join(","));
}
