//! The attribute on real tests, as cargo lists them.

use std::process::Command;

use needs::needs;

/// That is what it is: kubectl itself, called.
#[needs(kubectl)]
#[test]
fn with_kubectl_it_runs() {
    assert!(Command::new("kubectl").args(["version", "--client"]).output().is_ok());
}

/// Needs nothing, and is never ignored.
#[needs()]
#[test]
fn with_nothing_it_runs() {}

#[test]
fn it_is_ignored_where_kubectl_is_missing_and_nowhere_else() {
    let itself = std::env::current_exe().expect("it runs");
    let listed = Command::new(itself).args(["--list", "--ignored", "--format=terse"]).output().expect("it runs again");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let ignored: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let there = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    let expected: &[&str] = if there { &[] } else { &["with_kubectl_it_runs"] };
    assert_eq!(ignored, expected);
}
