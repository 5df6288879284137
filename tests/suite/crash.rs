//! The program dies at a request: before the request has its effect, or after it and before the answer. The same command
//! again leaves what an undisturbed run leaves, and no value is lost in between.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::finalize::finalized;
use crate::rollback::rolled_back;
use crate::world::{World, back_compat, by_the_program, external_secret, finish, lease, primary};

/// A change, and what it starts from.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// A rotation.
    Rotate,
    /// A rotation in two phases.
    TwoPhase,
    /// A rollback of a complete rotation.
    RollBack,
    /// A rollback of a rotation whose pods do not come up.
    RollBackStuck,
    /// A finalization of a complete rotation.
    Finalize,
}

impl Course {
    fn command(self, account: &str) -> Vec<&str> {
        match self {
            Course::Rotate => vec!["secret", "rotate", account, "--yes"],
            Course::TwoPhase => vec!["secret", "rotate", account, "--yes", "--strategy=two-phase"],
            Course::RollBack | Course::RollBackStuck => vec!["secret", "rollback", account, "--yes"],
            Course::Finalize => vec!["secret", "finalize", account, "--yes", "--reencrypted"],
        }
    }

    /// A world at its start.
    fn world(self, account: &str) -> World {
        let world = world(account);
        match self {
            Course::Rotate | Course::TwoPhase => {}
            Course::RollBack | Course::Finalize => {
                world.run(&["secret", "rotate", account, "--yes"]).code(0);
            }
            Course::RollBackStuck => {
                world.fault("rollout-stuck", Some("backend"));
                world.run(&["secret", "rotate", account, "--yes"]).code(5);
                world.heal("rollout-stuck");
            }
        }
        world
    }

    /// Fails the test unless the account is where an undisturbed run leaves it. The values are those at its start.
    #[track_caller]
    fn ended(self, world: &World, account: &str, in_use: &str, kept: Option<&str>) {
        let from = version_in_use(account);
        match self {
            Course::Rotate | Course::TwoPhase => world.rotated(account, from, from + 1),
            Course::RollBack | Course::RollBackStuck => {
                rolled_back(world, account, in_use, kept.expect("the rotation stored it"));
            }
            Course::Finalize => finalized(world, account, in_use),
        }
    }
}

/// Where one run dies.
#[derive(Clone, Debug)]
struct Death {
    course: Course,
    account: &'static str,
    fault: &'static str,
    /// `N`, or `OPERATION:N`.
    request: String,
}

/// What the sandbox says of the request at which a run died.
fn held(fault: &str) -> &'static str {
    if fault == "hold" { "held" } else { "answer held" }
}

/// A world without accounts that the sweep does not use.
fn world(account: &str) -> World {
    World::start(&[if account == "acme" { "--accounts=1" } else { "--accounts=2" }])
}

fn version_in_use(account: &str) -> u64 {
    if account == "acme" { 7 } else { 3 }
}

/// The places worth dying at. What a death leaves differs by the writes before it alone, so these are every write, before
/// its effect and after it, and some of the reads between. With DEEPDESK_EVERY_REQUEST=1 they are every request.
fn deaths(course: Course, account: &'static str) -> Vec<Death> {
    let world = course.world(account);
    let before = world.log().len();
    world.run(&course.command(account)).code(0);
    let requests: Vec<Value> = world.log_after(before).into_iter().filter(by_the_program).collect();
    let death = |fault, request| Death { course, account, fault, request };
    let mut deaths = Vec::new();
    // Requests at the same time arrive in another order each time, and waits ask more or less often: so the writes are
    // counted by operation, and not among all requests.
    let mut writes = BTreeMap::<&str, usize>::new();
    for request in requests.iter().filter(|request| request["class"] == "write") {
        let operation = request["operation"].as_str().expect("text");
        // The lock is the same for every account: one sweep over its renewals is enough.
        if operation == "update/leases" && !(matches!(course, Course::Rotate) && account == "acme") {
            continue;
        }
        let nth = writes.entry(operation).or_default();
        *nth += 1;
        deaths.extend(["hold", "hold-answer"].map(|fault| death(fault, format!("{operation}:{nth}"))));
    }
    let step = if std::env::var_os("DEEPDESK_EVERY_REQUEST").is_some() { 1 } else { 24 };
    // The others die at their writes: their reads are those of a rotation.
    let reads = match course {
        Course::Rotate if step == 1 || account == "acme" => requests.len(),
        Course::Rotate | Course::TwoPhase | Course::RollBack | Course::RollBackStuck | Course::Finalize => 0,
    };
    let reads = (1..=reads).step_by(step);
    deaths.extend(
        reads
            .flat_map(|n| ["hold", "hold-answer"].map(|fault| death(fault, n.to_string())))
            .filter(|death| step == 1 || death.fault == "hold"),
    );
    deaths
}

fn kill(mut child: Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

/// Dies as told, looks, and runs the same command again. False when the run came to its end before that.
fn die_and_go_on(death: &Death) -> bool {
    let Death { course, account, fault, request } = death;
    let (world, from) = (course.world(account), version_in_use(account));
    let args = course.command(account);
    let in_use = world.value(&primary(account), "latest").expect("enabled");
    let kept = world.value(&back_compat(account), "latest");
    world.fault(fault, Some(request));
    let mut child = world.spawn(&[&args[..], &["--progress=none"]].concat());
    let died = world.request_or_end(&mut child, |entry| entry["outcome"] == held(fault));
    kill(child);
    world.heal(fault);
    if let Some(died) = &died {
        world.nothing_is_lost(account, std::slice::from_ref(&in_use));
        let mut expected = 0;
        if matches!(course, Course::Rotate | Course::TwoPhase) {
            world.every_pod_could_read(account, from + 1);
            // Once its end is recorded a rotation is over, and the same command asks for another one.
            let lease = world.send("GET", &lease(account), None).1;
            let recorded =
                lease["metadata"]["annotations"]["deepdesk.com/last-rotation-to"] == format!("v{}", from + 1);
            expected = if recorded { 4 } else { 0 };
        }
        let again = world.run(&args);
        assert_eq!(again.code, expected, "{death:?} at {}\n{}", died["operation"], again.stderr);
        assert!(expected == 0 || again.stderr.contains("the last rotation is complete: from v"), "{}", again.stderr);
    }
    course.ended(&world, account, &in_use, kept.as_deref());
    // What is finalized was not needed any more: it is only disabled.
    world.nothing_is_lost(account, &[in_use]);
    died.is_some()
}

#[test]
fn whatever_request_it_dies_at_the_same_command_goes_on() {
    let courses = [
        (Course::Rotate, "acme"),
        (Course::Rotate, "globex"),
        (Course::TwoPhase, "globex"),
        (Course::RollBack, "acme"),
        (Course::RollBackStuck, "globex"),
        (Course::Finalize, "acme"),
    ];
    let deaths: Vec<Death> = courses.into_iter().flat_map(|(course, account)| deaths(course, account)).collect();
    let next = AtomicUsize::new(0);
    let (failures, escaped) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        // Most of a run is waiting: more at a time than there are processors.
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(death) = deaths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match std::panic::catch_unwind(|| die_and_go_on(death)) {
                        Ok(true) => {}
                        Ok(false) => escaped.lock().expect("no panic").push(death),
                        Err(_) => failures.lock().expect("no panic").push(death),
                    }
                }
            });
        }
    });
    let (failures, escaped) = (failures.into_inner().expect("no panic"), escaped.into_inner().expect("no panic"));
    assert!(failures.is_empty(), "{} of {}: {failures:#?}", failures.len(), deaths.len());
    // Only what a wait does more or less often may not have come to its turn.
    let certain = |death: &&&Death| {
        death.request.contains(':')
            && !death.request.starts_with("update/leases")
            && !death.request.starts_with("patch/externalsecrets")
    };
    let escaped: Vec<_> = escaped.iter().filter(certain).collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
}

#[test]
fn dying_again_and_again_still_makes_one_new_version() {
    let world = world("acme");
    for operation in [
        "createSecret",
        "setIamPolicy",
        "addSecretVersion",
        "patch/externalsecrets",
        "patch/deployments",
        "disableSecretVersion",
    ] {
        // Another log line for each: the one before stays in it.
        let seen = world.log().iter().filter(|entry| entry["outcome"] == "hung").count();
        world.fault("hang", Some(operation));
        let child = world.spawn(&["secret", "rotate", "acme", "--yes", "--progress=none"]);
        world.until(operation, |world| world.log().iter().filter(|entry| entry["outcome"] == "hung").count() > seen);
        kill(child);
        world.heal("hang");
    }
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn a_sync_that_finds_the_back_compat_before_its_first_version_does_not_stop_it() {
    // Found by the campaign (its seed 27): a search finds a secret that has nothing to read yet, and fails with it.
    for operation in ["createSecret:1", "setIamPolicy:1"] {
        let world = world("acme");
        world.fault("hold-answer", Some(operation));
        let mut child = world.spawn(&["secret", "rotate", "acme", "--yes", "--progress=none"]);
        world.request_or_end(&mut child, |entry| entry["outcome"] == "answer held").expect("it comes");
        kill(child);
        world.heal("hold-answer");
        for name in ["admin-secrets", "backend-secrets"] {
            world.sync("acme", name);
            world.until("the sync fails", |world| {
                let (_, object) = world.send("GET", &external_secret("acme", name), None);
                object["status"]["conditions"][0]["status"] == "False"
            });
        }
        world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
        world.rotated("acme", 7, 8);
    }
}

#[test]
fn another_command_line_goes_on_too() {
    // The value was given, and the version with it is there: the one who goes on need not have the value.
    let world = world("acme");
    world.fault("hang", Some("patch/deployments"));
    std::fs::write(world.home().join("value"), "Qw3-Er5-Ty7-Ui9-Op1-As2-Df4-Gh6-Jk8-Lz0").expect("writable");
    let child = world.spawn(&["secret", "rotate", "acme", "--yes", "--value-from", "value"]);
    world.until("the restart", |world| world.log().iter().any(|entry| entry["outcome"] == "hung"));
    kill(child);
    world.heal("hang");
    let verified = world.run(&["secret", "verify", "acme", "-o", "json"]).code(3).json();
    assert_eq!(verified["state"], "Rotating");
    // Another value now would be a third key.
    std::fs::write(world.home().join("other"), "Zq8-vT2-Lw5-Xr9-Kd3-Hy7-Bn4-Mp6-Js1-Gf0").expect("writable");
    world
        .run(&["secret", "rotate", "acme", "--yes", "--value-from", "other"])
        .code(4)
        .says("under way with another value");
    world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
    world.rotated("acme", 7, 8);
}

#[test]
fn a_restart_that_died_goes_on() {
    let world = world("acme");
    world.fault("hold-answer", Some("patch/deployments:1"));
    let mut child = world.spawn(&["secret", "restart", "acme", "--yes"]);
    world.until("the death", |world| {
        world.log().iter().any(|entry| entry["outcome"] == "answer held")
            || child.try_wait().expect("a child").is_some()
    });
    assert!(child.try_wait().expect("a child").is_none(), "it died in the restart, and did not end before");
    kill(child);
    world.heal("hold-answer");
    world.run(&["secret", "restart", "acme", "--yes"]).code(0);
    assert_eq!(world.lock_holder("acme"), None);
    world.run(&["secret", "verify", "acme"]).code(0);
}

#[test]
fn what_was_asked_to_stop_stops_at_a_safe_point_and_goes_on() {
    for operation in ["patch/externalsecrets", "patch/deployments"] {
        let world = world("acme");
        world.fault("sync-slow", Some("300ms"));
        let child = world.spawn(&["secret", "rotate", "acme", "--yes"]);
        world.until(operation, |world| world.writes().iter().any(|write| write == operation));
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        finish(child).code(130).says("stopping at the next safe point");
        assert_eq!(world.lock_holder("acme"), None, "{operation}: the lock was not released");
        world.heal("sync-slow");
        world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
        world.rotated("acme", 7, 8);
    }
}
