//! What is left in the memory of a process that has done its work: looked for in a core of it.
//!
//! The core is taken by root with gdb's `gcore`, past the guards that keep others out. The process holds still where it
//! writes its result: into a socket that is full.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secrecy::every_value;
use crate::world::World;

/// A value of the operator's own.
const GIVEN: &str = "OperatorsOwnValueNx7Qe2RkZ5WmT8vJ4pLs6HgB9dYcF3aUiK";

/// A socket that takes nothing any more, and its other end.
fn full() -> (OwnedFd, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    theirs.set_nonblocking(true).expect("set");
    let mut filler = &theirs;
    loop {
        match filler.write(&[0; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    theirs.set_nonblocking(false).expect("set");
    (theirs.into(), ours)
}

/// Waits until the process writes its result, and cannot.
fn holds_still(child: &Child) {
    let tasks = format!("/proc/{}/task", child.id());
    let writes = || {
        let tasks = std::fs::read_dir(&tasks).expect("it runs").flatten();
        let calls = tasks.map(|task| std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default());
        // `write` to standard output, by its number on x86-64 and on arm64.
        calls.into_iter().any(|call| call.starts_with("1 0x1 ") || call.starts_with("64 0x1 "))
    };
    let soon = Instant::now() + Duration::from_secs(60);
    while !writes() {
        assert!(Instant::now() < soon, "it never writes its result");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many pieces of values are in the core, by the form that they are in.
fn found(core: &Path, values: &[Vec<u8>]) -> BTreeMap<&'static str, usize> {
    let pieces = |bytes: &[u8]| -> Vec<String> {
        bytes.chunks_exact(16).map(|piece| String::from_utf8(piece.to_vec()).expect("text")).collect()
    };
    let forms: [(&'static str, Vec<String>); 2] = [
        ("as it is", values.iter().flat_map(|value| pieces(value)).collect()),
        ("base64", values.iter().flat_map(|value| pieces(STANDARD.encode(value).as_bytes())).collect()),
    ];
    forms
        .into_iter()
        .map(|(form, patterns)| {
            let list = core.with_extension("patterns");
            std::fs::write(&list, patterns.join("\n")).expect("written");
            let mut grep = Command::new("grep");
            let output =
                grep.args(["-a", "-o", "-F", "-f"]).arg(&list).arg(core).env("LC_ALL", "C").output().expect("grep");
            (form, output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count())
        })
        .collect()
}

#[needs(gcore, root)]
#[test]
fn a_core_taken_at_the_end_holds_no_value_in_buffers_of_ours() {
    let place = tempfile::tempdir().expect("a directory");
    let commands: [&[&str]; 4] = [
        &["secret", "verify", "acme"],
        &["secret", "rotate", "acme", "--yes"],
        &["secret", "rollback", "globex", "--yes"],
        &["secret", "rotate", "initech", "--yes", "--value-from", "-"],
    ];
    for (n, args) in commands.into_iter().enumerate() {
        let world = World::start(&[]);
        if args.contains(&"globex") {
            world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
        }
        let (stdout, _other_end) = full();
        let mut command = world.command(&[args, &["-o", "json", "--progress", "none"]].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(stdout).spawn().expect("the program starts");
        // Whoever does not read it has closed it.
        let _ = child.stdin.take().expect("piped").write_all(GIVEN.as_bytes());
        holds_still(&child);
        let id = child.id().to_string();
        let prefix = place.path().join(format!("core-{n}"));
        let took = Command::new("gcore").arg("-o").arg(&prefix).arg(&id).output().expect("gcore");
        let core = place.path().join(format!("core-{n}.{id}"));
        assert!(core.exists(), "no core: {}", String::from_utf8_lossy(&took.stderr));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let mut values = every_value(&world);
        values.retain(|value| value.is_ascii());
        values.push(GIVEN.as_bytes().to_vec());
        let found = found(&core, &values);
        let line = format!(
            "memory: {}: pieces of 16 bytes in a core of {} MiB: {found:?}\n",
            args.join(" "),
            std::fs::metadata(&core).expect("there").len() >> 20
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        std::fs::remove_file(&core).expect("removed");
        assert_eq!(found["as it is"], 0, "{}", args.join(" "));
    }
}
