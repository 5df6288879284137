//! The binary as a process: what it is started in, how its end is awaited, what it left. For every suite that runs it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;

/// The binary under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_kubectl-deepdesk");

/// What a run of the binary left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the run ended with this code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Ran {
        assert_eq!(self.code, expected, "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The result as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// Fails the test unless standard error contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "not said: {text}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Nothing of the developer's own environment but where programs are.
pub fn bare(command: &mut Command, path: &OsStr, home: &Path) {
    command.env_clear().env("PATH", path).env("HOME", home).env("USER", "tester").env("TERM", "dumb").current_dir(home);
}

/// Waits for a run's end, and kills it when that takes longer than `most`.
pub fn finish(child: Child, most: Duration) -> Ran {
    let id = child.id();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if ended.recv_timeout(most).is_err() {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    });
    let output = child.wait_with_output().expect("the program ends");
    let _ = done.send(());
    let _ = watchdog.join();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
