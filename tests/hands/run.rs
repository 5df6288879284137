//! A run of the binary that is played: to its end, or killed at a request.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::script::Own;
use crate::world::{World, signal};

/// The most that one run may take.
const LIMIT: Duration = Duration::from_secs(90);

/// How a run ended.
pub struct Ran {
    pub code: Option<i32>,
    pub result: Value,
    pub stderr: String,
}

impl Ran {
    /// Its reason in one word; empty where it has none.
    pub fn reason(&self) -> String {
        self.result["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// What it says to do next.
    pub fn hints(&self) -> Vec<String> {
        let marked = self.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("hint: "));
        marked.map(str::to_owned).collect()
    }

    /// What is wrong, in its own words.
    pub fn error(&self) -> String {
        let mut lines = self.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
        lines.next().unwrap_or_default().to_owned()
    }
}

/// The flags of every run.
fn flags() -> [String; 3] {
    ["--request-timeout=8s", "--timeout=20s", "--progress=none"].map(str::to_owned)
}

/// Runs a command of the binary that is played, to its end.
pub fn run(world: &World, args: &[String], streams: &str) -> Ran {
    let (_, url) = world.open(&json!({ "strikes": [] }));
    let (child, files) = start(world, &url, args, streams);
    end(child, files, || {})
}

/// A rotation that is killed at a request, if it gets there.
pub fn run_killed(world: &World, args: &[String], streams: &str, at: &Own) -> Ran {
    let Own::Killed { n, operation, after } = at else { return run(world, args, streams) };
    let mut strike = json!({ "at": n, "stop": if *after { "after" } else { "before" } });
    if let Some(operation) = operation {
        strike["operation"] = json!(operation);
    }
    let (door, url) = world.open(&json!({ "strikes": [strike] }));
    let (child, files) = start(world, &url, args, streams);
    let id = child.id();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            loop {
                let now = world.ask(&format!("doors/{door}"));
                if now["reached"].as_u64().unwrap_or_default() > 0 {
                    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
                    let _ = rustix::process::kill_process(pid.expect("a process has a number"), Signal::KILL);
                    return;
                }
                if now["closed"] == true {
                    return;
                }
            }
        });
        let ran = end(child, files, || drop(world.send("DELETE", &format!("/sandbox/v1/doors/{door}"), None)));
        waiting.join().expect("the driver does not panic");
        ran
    })
}

/// Runs a command to its end. At each of these requests, should it get there, it waits until `act` is over, which is told which
/// one it is.
pub fn run_met(world: &World, args: &[String], streams: &str, at: &[usize], mut act: impl FnMut(usize)) -> Ran {
    if at.is_empty() {
        return run(world, args, streams);
    }
    let strikes: Vec<Value> = at.iter().map(|at| json!({ "at": at, "stop": "before" })).collect();
    let (door, url) = world.open(&json!({ "strikes": strikes }));
    let (child, files) = start(world, &url, args, streams);
    std::thread::scope(|scope| {
        let path = format!("/sandbox/v1/doors/{door}");
        let close = path.clone();
        let running = scope.spawn(move || end(child, files, || drop(world.send("DELETE", &close, None))));
        let mut met = 0;
        loop {
            let now = world.ask(&format!("doors/{door}?after={met}"));
            if now["closed"] == true {
                break;
            }
            if now["reached"].as_u64().is_some_and(|reached| reached > met) {
                act(usize::try_from(met).unwrap_or_default());
                met += 1;
                world.send("POST", &format!("{path}/go"), None);
            }
        }
        running.join().expect("the driver does not panic")
    })
}

fn start(world: &World, url: &str, args: &[String], streams: &str) -> (Child, [std::path::PathBuf; 2]) {
    let args: Vec<String> = args.iter().cloned().chain(flags()).collect();
    let (mut command, files) = world.command(url, &args, streams);
    (command.spawn().expect("the program starts"), files)
}

/// Waits for its end without taking its number, which nobody else can get before; `over` is called then.
fn end(mut child: Child, [out, err]: [std::path::PathBuf; 2], over: impl FnOnce()) -> Ran {
    let deadline = Instant::now() + LIMIT;
    let options = rustix::process::WaitIdOptions::EXITED
        | rustix::process::WaitIdOptions::NOHANG
        | rustix::process::WaitIdOptions::NOWAIT;
    let id = || rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child));
    while !rustix::process::waitid(id(), options).is_ok_and(|ended| ended.is_some()) {
        if Instant::now() > deadline {
            signal(&child, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(15));
    }
    over();
    let code = child.wait().expect("it ends").code();
    let read = |file| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
    Ran { code, result: serde_json::from_str(&read(&out)).unwrap_or_default(), stderr: read(&err) }
}
