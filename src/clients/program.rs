//! Where a program is that a file names without its place, on Windows: as Go's `exec.LookPath` finds it for kubectl.
//!
//! Rust's own search tries `.exe` alone, and what npm, pip and gcloud install there are `.cmd` files.

use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// The program's file; none elsewhere than on Windows, and none where nothing is found: then the system says so.
pub(super) fn on_windows(name: &str, env: &Environment) -> Option<PathBuf> {
    if !env.is_windows() {
        return None;
    }
    let endings = endings(env);
    if name.contains([':', '\\', '/']) {
        return with_ending(Path::new(name), &endings);
    }
    // Not the current directory, which cmd asks first: kubectl refuses what is found there.
    let directories = env.get("PATH").map(std::env::split_paths).into_iter().flatten();
    directories
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| with_ending(&directory.join(name), &endings))
}

/// What makes a file a program, in the order of `PATHEXT`.
fn endings(env: &Environment) -> Vec<String> {
    let listed = env.get("PATHEXT").unwrap_or(".COM;.EXE;.BAT;.CMD");
    let dotted = |ending: &str| if ending.starts_with('.') { ending.to_owned() } else { format!(".{ending}") };
    listed.split(';').filter(|ending| !ending.is_empty()).map(|ending| dotted(&ending.to_ascii_lowercase())).collect()
}

/// The file itself where its name has an ending, else with the first ending that makes it one.
fn with_ending(path: &Path, endings: &[String]) -> Option<PathBuf> {
    if path.extension().is_some() && path.is_file() {
        return Some(path.to_owned());
    }
    let with = |ending: &String| {
        let mut whole = path.as_os_str().to_owned();
        whole.push(ending);
        PathBuf::from(whole)
    };
    endings.iter().map(with).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_found_by_the_endings_of_pathext_as_kubectl_finds_it() {
        let place = tempfile::tempdir().expect("a directory");
        let file = |name: &str| {
            std::fs::write(place.path().join(name), "").expect("a file");
            place.path().join(name)
        };
        let (script, both, dotted) = (file("login.cmd"), file("both.exe"), file("aws.v2.bat"));
        file("both.cmd");
        file("plain");
        let path = place.path().to_str().expect("text");
        let env = |more: &[(&str, &str)]| Environment::of_windows(&[&[("Path", path)], more].concat());
        let usual = env(&[]);
        let whole = place.path().join("login");
        let cases = [
            ("without an ending", "login", &usual, Some(&script)),
            ("with its ending", "login.cmd", &usual, Some(&script)),
            ("the first ending wins", "both", &usual, Some(&both)),
            ("a dot that is no ending", "aws.v2", &usual, Some(&dotted)),
            ("no program by its ending", "plain", &usual, None),
            ("not there", "nothing", &usual, None),
            ("by its path", whole.to_str().expect("text"), &usual, Some(&script)),
            ("not in PATHEXT", "login", &env(&[("PathExt", ".EXE;com")]), None),
        ];
        for (case, name, env, found) in cases {
            assert_eq!(on_windows(name, env).as_ref(), found, "{case}");
        }
        let elsewhere: Environment = [("PATH", path)].into_iter().collect();
        assert!(cfg!(windows) || on_windows("login", &elsewhere).is_none());
    }
}
