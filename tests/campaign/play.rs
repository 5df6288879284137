//! Plays a script: starts the commands, strikes them where the script says, lets the same command finish, and collects
//! what there is to judge.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::Value;

use crate::checks::{self, Violation};
use crate::record::{self, Counts, Event, Span, Success};
use crate::script::{Attempt, Chapter, Goal, How, Script};
use crate::world::{World, nothing, program, signal};

/// The most that one run may take, whatever strikes it.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the same command is run again, undisturbed, before it counts as one that does not finish.
const TRIES: usize = 8;
/// A check that a run is refused by when nothing shows which values a pod started with.
const PODS_CURRENT: &str = "[DD-PODS-CURRENT]";
/// Faults that are part of the world and no reason not to finish.
const STAY: [&str; 9] = [
    "stale-latest",
    "watch-closed",
    "watch-expired",
    "sync-slow",
    "pod-slow-to-stop",
    "reloader",
    "gitops",
    "scheduled-sync",
    "clock-skew",
];

/// How one run of the binary ended.
struct Ended {
    door: usize,
    goal: Goal,
    code: Option<i32>,
    reason: String,
    stderr: String,
    killed: bool,
    done: Option<How>,
    success: Option<Success>,
}

/// What a seed came to.
#[derive(Default)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    /// For the figures: `run`, `fault NAME`, `refused REASON`, …
    pub counts: Counts,
    /// What happened, a line each.
    pub story: Vec<String>,
}

impl Outcome {
    fn count(&mut self, what: impl Into<String>) {
        self.add(what, 1);
    }

    fn add(&mut self, what: impl Into<String>, times: usize) {
        *self.counts.entry(what.into()).or_default() += times;
    }

    fn violates(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.violations.push(Violation { invariant, what: what.into() });
    }
}

/// One seed under way.
struct Stage<'a> {
    script: &'a Script,
    world: World,
    outcome: Outcome,
    runs: Vec<Ended>,
    spans: Vec<Span>,
    /// Every value that was ever seen, in base64.
    values: BTreeSet<String>,
}

/// Plays a seed to its end and judges it.
pub fn play(script: &Script) -> Outcome {
    let accounts = match script.account {
        "acme" => 1,
        "globex" => 2,
        _ => 3,
    };
    let world = World::start(&program(), accounts, script.seed, &script.world);
    let values = world.values(script.account).into_iter().collect();
    let outcome = Outcome::default();
    let mut stage = Stage { script, world, outcome, runs: Vec::new(), spans: Vec::new(), values };
    stage.outcome.story.push(format!("seed {}: {} with {:?}", script.seed, script.account, script.world));
    for fault in &script.world {
        stage.outcome.count(format!("fault {}", fault.split('=').next().unwrap_or_default()));
    }
    for chapter in &script.chapters {
        if !stage.chapter(chapter) {
            break;
        }
    }
    stage.judge()
}

impl Stage<'_> {
    fn events(&self) -> Vec<Event> {
        record::events(self.world.ask("history").as_array().expect("a list"), self.script.account)
    }

    /// Plays one chapter; false when the seed cannot go on.
    fn chapter(&mut self, chapter: &Chapter) -> bool {
        let (from, runs) = (self.events().len(), self.runs.len());
        for wave in &chapter.waves {
            self.wave(chapter.goal, wave);
            if chapter.heal_between {
                self.heal();
            }
        }
        let unlocked = self.runs[runs..].iter().any(|run| run.done == Some(How::Unlock));
        let mut finished = false;
        if chapter.finish {
            self.heal();
            finished = self.finish(chapter.goal, runs, unlocked);
        }
        let span = Span { goal: chapter.goal, from, to: self.events().len(), finished, unlocked };
        self.spans.push(span);
        finished || !chapter.finish
    }

    /// Ends what is no part of the world. External Secrets tries again by itself, but seldom: it is not waited for.
    fn heal(&self) {
        self.world.heal(|name| STAY.contains(&name));
        // A kubelet starts a container that crashed again within five minutes, and the sandbox does not.
        self.world.replace_crashed(self.script.account);
        for name in ["admin-secrets", "backend-secrets"] {
            self.world.send("POST", &format!("/sandbox/v1/sync/{}/{name}", self.script.account), None);
        }
    }

    /// The same command, undisturbed, until it has nothing left to do.
    fn finish(&mut self, goal: Goal, first: usize, unlocked: bool) -> bool {
        for _ in 0..TRIES {
            self.wave(goal, &[Attempt::plain()]);
            let run = self.runs.last().expect("it ran");
            let was_done = self.runs[first..].iter().any(|run| run.goal == goal && run.code == Some(0));
            match (run.code, run.reason.as_str()) {
                (Some(0), _) => return true,
                // It was done, and its end was seen or at least recorded: another one is another rotation.
                (Some(4), "AwaitingReencryption") if goal.is_rotation() && (!unlocked || was_done) => {
                    if !was_done && !run.stderr.contains("the last rotation is complete") {
                        self.outcome.violates("finish", format!("refused without its end: {}", run.stderr));
                    }
                    return true;
                }
                // Who deletes a lock lets two at work at once, and takes the record: a rollback looks like a version that somebody
                // enabled, a finalization like a value that somebody displaced. That is told, with the command that keeps all.
                (
                    Some(4),
                    "TwoUncommittedVersions"
                    | "UnexplainedVersion"
                    | "ForeignVersion"
                    | "UnreadableVersion"
                    | "DisplacedBackCompat",
                ) if unlocked => {
                    self.outcome.count("blocked after a deleted lock");
                    return false;
                }
                // What two phases announced is in the lock's record alone: without it the value counts as an old one, which
                // pods that did not restart since cannot read.
                (Some(4), reason)
                    if unlocked
                        && (reason == "AwaitingReencryption"
                            || goal == Goal::TwoPhase && run.stderr.contains(PODS_CURRENT)) =>
                {
                    self.outcome.count("announced in a deleted lock");
                    return false;
                }
                // Pods that GitOps made anew in the very second in which a Secret was written, and took the note from; or pods
                // whose Secret a forced sync wrote again: nothing tells what they started with. The hint says what to do.
                (Some(4), _) if (self.gitops() || self.synced()) && run.stderr.contains(PODS_CURRENT) => {
                    self.outcome.count("restarted as the hint says");
                    self.wave(Goal::Restart, &[Attempt::plain()]);
                }
                // There is nothing to go back to, or to finalize: what came before was never begun.
                (Some(4), reason)
                    if goal == Goal::RollBack
                        && (reason == "NothingToRollBack" || run.stderr.contains("the next rotation creates it")) =>
                {
                    self.outcome.count("nothing to roll back");
                    return true;
                }
                _ => std::thread::sleep(Duration::from_millis(150)),
            }
        }
        let last = self.runs.last().expect("it ran");
        let line = format!("{goal:?} does not finish: {:?} {}\n{}", last.code, last.reason, last.stderr);
        self.outcome.violates("finish", line);
        false
    }

    /// Whether a sync was asked for by itself: it writes Secrets again whose pods nothing restarts.
    fn synced(&self) -> bool {
        self.runs.iter().any(|run| run.goal == Goal::Sync)
    }

    fn gitops(&self) -> bool {
        self.script.world.iter().any(|fault| fault == "gitops")
    }

    /// Runs these at once, and waits for all of them.
    fn wave(&mut self, goal: Goal, attempts: &[Attempt]) {
        let ended: Vec<Ended> = std::thread::scope(|scope| {
            let (script, world, first) = (self.script, &self.world, self.runs.len());
            let running: Vec<_> = attempts
                .iter()
                .enumerate()
                .map(|(at, attempt)| {
                    scope.spawn(move || run(script, world, goal, attempt, &format!("run-{}", first + at)))
                })
                .collect();
            running.into_iter().map(|one| one.join().expect("the driver does not panic")).collect()
        });
        if attempts.len() > 1 {
            self.outcome.count(format!("{} operators at once", attempts.len()));
        }
        self.values.extend(self.world.values(self.script.account));
        for (attempt, run) in attempts.iter().zip(ended) {
            self.tell(attempt, &run);
            self.runs.push(run);
        }
    }

    fn tell(&mut self, attempt: &Attempt, run: &Ended) {
        let ended = match (run.killed, run.code) {
            (true, _) => "killed".to_owned(),
            (false, code) => format!("{} {}", code.unwrap_or(-1), run.reason),
        };
        self.outcome.story.push(format!("  run {} {:?}: {} -> {ended}", run.door, run.goal, attempt.told()));
        self.outcome.story.extend(run.stderr.lines().map(|line| format!("      | {line}")));
        self.outcome.count(format!("run {:?}", run.goal));
        if let Some(how) = run.done {
            self.outcome.count(format!("stop {how:?}"));
        }
        match (run.killed, run.code) {
            (true, _) => self.outcome.count("end killed"),
            (false, Some(code)) if run.reason.is_empty() => self.outcome.count(format!("end {code}")),
            (false, Some(code)) => self.outcome.count(format!("end {code} {}", run.reason)),
            (false, None) => self.outcome.count("end by a signal"),
        }
    }

    fn judge(mut self) -> Outcome {
        let events = self.events();
        let log = self.world.ask("log");
        let log = log.as_array().cloned().unwrap_or_default();
        let finalizes: BTreeSet<usize> =
            self.runs.iter().filter(|run| run.goal.retires()).map(|run| run.door).collect();
        let mut found = checks::nothing_is_lost(&events, &finalizes);
        let (starts, exchanged) = checks::reads_before_writes(&events, &finalizes);
        found.extend(starts);
        let (writes, late) = checks::one_operator(&events);
        found.extend(writes);
        found.extend(checks::one_new_version(&events, &self.spans));
        found.extend(checks::never_three_keys(&events, &finalizes));
        for run in &self.runs {
            found.extend(run.success.iter().flat_map(checks::proof));
            found.extend(checks::ends_as_documented(run.door, run.code, run.killed, &run.stderr, &events));
        }
        found.extend(checks::no_leak(&forms(&self.values), &left(self.world.home())));
        self.outcome.violations.extend(found);
        self.outcome.add("pods between two exchanges", exchanged);
        self.outcome.add("writes on their way when a lock was lost", late);
        self.outcome.add("requests", log.len());
        let added = |event: &&Event| matches!(event, Event::Stored { operation, door, .. } if operation == "addSecretVersion" && *door != 0);
        self.outcome.add("versions added", events.iter().filter(added).count());
        for entry in &log {
            match entry["outcome"].as_str() {
                Some("answered" | "pending" | "stopped") | None => {}
                Some(fault) => self.outcome.count(format!("struck: {fault}")),
            }
        }
        let begun = self.script.chapters.iter().flat_map(|chapter| chapter.waves.iter().flatten());
        for strike in begun.flat_map(|attempt| &attempt.strikes) {
            if let crate::script::Strike::Fault { name, .. } = strike {
                self.outcome.count(format!("fault {name}"));
            }
        }
        let mut requests: Vec<(String, String)> = log.iter().map(|entry| (time(entry), request(entry))).collect();
        let history = self.world.ask("history");
        let happened = history.as_array().into_iter().flatten().filter(|event| event.get("request").is_none());
        requests.extend(happened.map(|event| (time(event), format!("         {} {}", time(event), effect(event)))));
        requests.sort();
        self.outcome.story.extend(requests.into_iter().map(|(_, line)| line));
        self.outcome
    }
}

fn time(of: &Value) -> String {
    of["time"].as_str().unwrap_or_default().to_owned()
}

/// What a pod did, for the story.
fn effect(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    match event.get("pod") {
        Some(_) => {
            let (primary, back_compat) = record::pair(&event["values"]);
            format!("pod {} started with {primary:?} and {back_compat:?}", text("pod"))
        }
        None => format!("pod {} is gone", text("ended")),
    }
}

/// A request, for the story.
fn request(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    format!(
        "    {:>4} {} run {} {} {} {} {}",
        entry["n"],
        text("time"),
        entry["door"],
        text("operation"),
        text("path"),
        text("outcome"),
        entry["status"]
    )
}

/// One run of the binary, to its end.
fn run(script: &Script, world: &World, goal: Goal, attempt: &Attempt, streams: &str) -> Ended {
    std::thread::sleep(Duration::from_millis(attempt.after as u64));
    let (door, url) = world.open(&attempt.strikes(script.account));
    let mut args = goal.command(script.account);
    args.extend(["-o", "json", "--request-timeout=2s"].map(str::to_owned));
    let limit = if *attempt == Attempt::plain() { "60s" } else { "6s" };
    args.push(format!("--timeout={limit}"));
    if goal == Goal::FinalizeByJob {
        args.push(format!("--reencryption-timeout={limit}"));
    }
    args.extend(attempt.show.iter().map(|flag| (*flag).to_owned()));
    let (mut command, [out, err]) = world.command(&url, &args, streams);
    let mut child = command.spawn().expect("the program starts");
    let done = watch(world, script.account, door, attempt, &mut child);
    let status = child.wait().expect("it ends");
    let read = |file| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
    let (stdout, stderr) = (read(&out), read(&err));
    let result: Value = serde_json::from_str(&stdout).unwrap_or_default();
    let code = status.code();
    let success = (code == Some(0)).then(|| look(world, script.account, goal, door)).flatten();
    // A second Ctrl-C and a plain SIGTERM may end it by the signal itself.
    let killed = code.is_none() && matches!(done, Some(How::Kill));
    let reason = result["reason"].as_str().unwrap_or_default().to_owned();
    Ended { door, goal, code, reason, stderr, killed, done, success }
}

/// Waits until the run has ended, does what the script says where one of its requests waits, and ends a run that takes too
/// long. Returns what was done.
fn watch(world: &World, account: &str, door: usize, attempt: &Attempt, child: &mut Child) -> Option<How> {
    let deadline = Instant::now() + LIMIT;
    let over = || Instant::now() > deadline;
    let Some((_, _, how)) = &attempt.stop else {
        wait(child, deadline);
        return None;
    };
    // The request is waited for here; the end of the run by another thread, which then closes the door.
    let done = std::thread::scope(|scope| {
        let id = child.id();
        let waiting = scope.spawn(move || {
            let mut reached = 0;
            while reached == 0 && !over() {
                let now = world.ask(&format!("doors/{door}"));
                reached = now["reached"].as_u64().unwrap_or_default();
                if now["closed"] == true {
                    break;
                }
            }
            (reached > 0).then(|| strike(world, account, door, id, *how))
        });
        wait(child, deadline);
        world.send("DELETE", &format!("/sandbox/v1/doors/{door}"), None);
        waiting.join().expect("the driver does not panic")
    });
    done.map(|()| *how)
}

/// Waits for the end, without taking its status: nobody else can get its number until it is waited for.
fn wait(child: &mut Child, deadline: Instant) {
    let mut pause = Duration::from_millis(4);
    loop {
        let options = rustix::process::WaitIdOptions::EXITED
            | rustix::process::WaitIdOptions::NOHANG
            | rustix::process::WaitIdOptions::NOWAIT;
        let id = rustix::process::WaitId::Pid(rustix::process::Pid::from_child(child));
        if rustix::process::waitid(id, options).is_ok_and(|ended| ended.is_some()) {
            return;
        }
        if Instant::now() > deadline {
            signal(child, Signal::KILL);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(30));
    }
}

/// Does it. The child is not waited for while this runs, so its number is its own.
fn strike(world: &World, account: &str, door: usize, id: u32, how: How) {
    let send = |signal| {
        let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
        let _ = rustix::process::kill_process(pid.expect("a process has a number"), signal);
    };
    let go = || world.send("POST", &format!("/sandbox/v1/doors/{door}/go"), nothing());
    let moment = || std::thread::sleep(Duration::from_millis(20));
    match how {
        How::Kill => send(Signal::KILL),
        How::Interrupt | How::Terminate => {
            send(if how == How::Interrupt { Signal::INT } else { Signal::TERM });
            moment();
            go();
        }
        How::InterruptTwice => {
            send(Signal::INT);
            std::thread::sleep(Duration::from_millis(80));
            send(Signal::INT);
            moment();
            go();
        }
        How::Pause => {
            send(Signal::STOP);
            go();
            std::thread::sleep(Duration::from_millis(400));
            send(Signal::CONT);
        }
        How::Unlock => {
            let path = format!("/apis/coordination.k8s.io/v1/namespaces/{account}/leases/deepdesk-rotation");
            // Whatever strikes this request, too.
            let gone = (0..10).any(|_| matches!(world.send("DELETE", &path, None).0, 200 | 404));
            assert!(gone, "the lock cannot be deleted");
            go();
        }
    }
}

/// What is there when a run says that all is done; none when somebody else went on meanwhile.
fn look(world: &World, account: &str, goal: Goal, door: usize) -> Option<Success> {
    let (secrets, mut pods) = (world.ask("secrets"), world.ask("pods"));
    let there = (0..8).find_map(|_| world.pods(account))?;
    for pod in pods.as_array_mut().into_iter().flatten() {
        if !there.iter().any(|name| pod["name"] == **name) {
            pod["ended"] = "gone".into();
        }
    }
    let history = world.ask("history");
    let writes = history.as_array().into_iter().flatten().filter(|event| event.get("door").is_some());
    let mut since = writes.rev().take_while(|event| event["door"] != door);
    let others = since.any(|event| event["door"] != 0);
    (!others).then(|| record::success(goal, &secrets, &pods, account))
}

/// Each value as it is, and as base64 writes it wherever it stands in what is encoded.
fn forms(values: &BTreeSet<String>) -> BTreeSet<String> {
    let decoded = values.iter().map(|value| STANDARD.decode(value).expect("base64"));
    decoded
        .flat_map(|raw| {
            let shifted = (0..3).map(|shift| {
                let encoded = STANDARD.encode([vec![b'.'; shift], raw.clone()].concat());
                // What the bytes before and after have no part in.
                encoded[4..encoded.len() - 4].to_owned()
            });
            shifted.chain([String::from_utf8_lossy(&raw).into_owned()]).collect::<Vec<_>>()
        })
        .collect()
}

/// Every file below.
fn left(directory: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(left(&path)),
            false => found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default())),
        }
    }
    found
}

/// Adds up.
pub fn add(to: &mut BTreeMap<String, usize>, more: &Counts) {
    more.iter().for_each(|(what, times)| *to.entry(what.clone()).or_default() += times);
}
