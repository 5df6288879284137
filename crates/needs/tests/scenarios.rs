//! What the attribute cannot see: a test that forgot it.

use std::path::{Path, PathBuf};

fn below(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the checkout").to_owned();
    let (mut open, mut found) = (vec![root.join(folder)], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|end| end == "rs") => {
                    found.push((path.clone(), std::fs::read_to_string(&path).expect("readable")));
                }
                false => {}
            }
        }
    }
    found
}

/// Each makes its account with kubectl, in both worlds.
#[test]
fn every_scenario_says_that_it_needs_kubectl() {
    let mut scenarios = 0;
    for (path, text) in below("tests/scenarios") {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for at in (0..lines.len()).filter(|at| lines[*at] == "#[test]") {
            scenarios += 1;
            let said = at > 0 && lines[at - 1].starts_with("#[needs(") && lines[at - 1].contains("kubectl");
            assert!(said, "{}: no #[needs(kubectl)] before {}", path.display(), lines[at + 1]);
        }
    }
    assert!(scenarios > 50, "the scenarios were not found");
}

/// That a test looks for a tool by itself, and then does nothing, is what the attribute is there for.
#[test]
fn no_test_looks_for_its_tool_by_itself() {
    for folder in ["tests/suite", "tests/scenarios", "crates/sandbox/src", "crates/sandbox/tests"] {
        for (path, text) in below(folder) {
            for sign in ["at_hand(&", "is_there(\"", "not on PATH\"", "is not on PATH:"] {
                assert!(!text.contains(sign), "{}: {sign}", path.display());
            }
        }
    }
}
