//! The lock in bad times: stolen, expired while its holder hangs, left by one who died, under clocks that disagree. Nobody
//! writes after it was lost but for the one request that was sent while it was held, and who comes second learns who holds
//! it, since when, and what to do.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::{Ran, World, finish, lease, primary};

const ROTATE: [&str; 4] = ["secret", "rotate", "globex", "--yes"];
/// How long a lock lives that nobody renews, and a little more.
const EXPIRY: Duration = Duration::from_secs(24);

/// The rotation through a door of its own, which stops it at a request; returns the door's number and the run.
fn through_a_door(world: &World, stop: Value) -> (u64, Child) {
    let door = world.sent("POST", "/sandbox/v1/doors", Some(json!({ "strikes": [stop] })));
    let url = door["url"].as_str().expect("text").to_owned();
    let mut command = world.command(&[&ROTATE[..], &["--server", &url, "--progress=none"]].concat());
    command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{url}/"));
    let child = command.stdin(Stdio::null()).spawn().expect("the program starts");
    let number = door["door"].as_u64().expect("a number");
    world.until("the stop", |world| world.ask(&format!("doors/{number}"))["reached"] == 1);
    (number, child)
}

fn go_on(world: &World, door: u64) {
    world.sent("POST", &format!("/sandbox/v1/doors/{door}/go"), Some(json!({})));
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

/// What a door's client changed in Secret Manager after the event with this number.
fn writes_after(world: &World, door: u64, seq: usize) -> usize {
    let history = world.ask(&format!("history?after={seq}"));
    let own = history.as_array().expect("a list").iter().filter(|event| event["door"] == door);
    own.filter(|event| event.get("secrets").is_some()).count()
}

fn events(world: &World) -> usize {
    world.ask("history").as_array().expect("a list").len()
}

/// The refusal says who, since when, how fresh, and what to do.
#[track_caller]
fn refused(ran: Ran, holder: &str) -> Ran {
    ran.code(4)
        .says(holder)
        .says("is at work on this account since 20")
        .says("last sign of life")
        .says("the same command goes on from wherever they stop")
        .says("its lock ends by itself in")
}

#[test]
fn whoever_hangs_until_the_lock_expired_writes_at_most_once_more() {
    // Stopped when its addition is on its way, and when it has just asked for the lock before it.
    let stops = [
        json!({"at": 1, "operation": "addSecretVersion", "stop": "before"}),
        json!({"at": 1, "operation": "patch/externalsecrets", "stop": "after"}),
    ];
    for stop in stops {
        let world = World::start(&["--accounts=2"]);
        let (door, child) = through_a_door(&world, stop.clone());
        signal(&child, Signal::STOP);
        refused(world.run(&ROTATE), " is at work on this account");
        let deadline = Instant::now() + EXPIRY;
        // One who is only stopped is not dead: his time has to run out.
        while world.run(&["secret", "rotate", "globex", "--yes", "--progress=none"]).code != 0 {
            assert!(Instant::now() < deadline, "{stop}: the lock never expired");
            std::thread::sleep(Duration::from_secs(2));
        }
        world.settled("globex", 3, 4);
        let taken = events(&world);
        signal(&child, Signal::CONT);
        go_on(&world, door);
        let ended = finish(child);
        assert!([1, 5].contains(&ended.code), "{stop}: {} {}", ended.code, ended.stderr);
        let late = writes_after(&world, door, taken);
        assert!(late <= 1, "{stop}: {late} writes after the lock was lost");
    }
}

#[test]
fn whoever_has_it_stolen_stops_and_names_the_thief() {
    let world = World::start(&["--accounts=2"]);
    let stop = json!({"at": 1, "operation": "patch/externalsecrets", "stop": "after"});
    let (door, child) = through_a_door(&world, stop);
    world.patch(&lease("globex"), json!({"spec": {"holderIdentity": "ann@laptop (00000001)"}}));
    let stolen = events(&world);
    go_on(&world, door);
    let ended = finish(child);
    assert!([1, 5].contains(&ended.code), "{} {}", ended.code, ended.stderr);
    ended.says("the lock on this account was lost").says("ann@laptop").says("find out who is changing it");
    assert_eq!(writes_after(&world, door, stolen), 0);
    refused(world.run(&ROTATE), "ann@laptop");
}

#[test]
fn whoever_cannot_record_what_it_sets_out_for_begins_nothing() {
    for strategy in ["rolling", "two-phase"] {
        let world = World::start(&["--accounts=2"]);
        let args = [&ROTATE[..], &["--strategy", strategy]].concat();
        // The right is taken away while the lock is being taken: it stays ours for as long as it lives.
        let strike = json!({
            "at": 1, "operation": "create/leases", "begin": "forbidden", "value": "update/leases",
        });
        let door = world.sent("POST", "/sandbox/v1/doors", Some(json!({ "strikes": [strike] })));
        let mut command = world.command(&[&args[..], &["--server", door["url"].as_str().expect("text")]].concat());
        let before = world.writes().len();
        let ended = finish(command.stdin(Stdio::null()).spawn().expect("the program starts"));
        ended
            .code(1)
            .says("could not record the planned versions in the Lease")
            .says("update")
            .says("nothing was changed: primary v3 is in use");
        let writes = world.writes();
        assert!(writes[before..].iter().all(|write| write.contains("leases")), "{writes:?}");
        world.heal("forbidden");
        world.run(&args).code(0);
        world.settled("globex", 3, 4);
    }
}

#[test]
fn clocks_that_disagree_by_minutes_neither_break_a_lock_nor_keep_it() {
    for skew in ["600", "-600"] {
        let world = World::start(&["--accounts=2", &format!("--fault=clock-skew={skew}")]);
        let date = world.sent("GET", &lease("globex").replace("/leases/deepdesk-rotation", "/leases"), None);
        assert_eq!(date["items"], json!([]));
        // Held by somebody elsewhere, who died: fresh it is respected, and then it is over.
        let now: jiff::Timestamp = jiff::Timestamp::now();
        let held = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "deepdesk-rotation"},
            "spec": {
                "holderIdentity": "bob@elsewhere (00000002)", "leaseDurationSeconds": 20, "leaseTransitions": 1,
                "acquireTime": format!("{now:.6}"), "renewTime": format!("{now:.6}"),
            },
        });
        let path = lease("globex").replace("/deepdesk-rotation", "");
        let made = world.sent("POST", &path, Some(held));
        let written: jiff::Timestamp =
            made["metadata"]["creationTimestamp"].as_str().expect("text").parse().expect("a time");
        let ahead: i64 = skew.parse().expect("a number");
        assert!(
            (written.duration_since(now).as_secs() - ahead).abs() < 10,
            "the server's clock is not skewed: {written}"
        );
        refused(world.run(&ROTATE), "bob@elsewhere");
        let deadline = Instant::now() + EXPIRY;
        while world.run(&ROTATE).code == 4 {
            assert!(Instant::now() < deadline, "{skew}: the lock never expired");
            std::thread::sleep(Duration::from_secs(2));
        }
        world.rotated("globex", 3, 4);
    }
}

#[test]
fn the_lock_of_one_who_was_killed_on_this_machine_is_free_at_once() {
    let world = World::start(&["--accounts=2"]);
    let stop = json!({"at": 1, "operation": "addSecretVersion", "stop": "after"});
    let (_, mut child) = through_a_door(&world, stop);
    refused(world.run(&ROTATE), " is at work on this account");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let start = Instant::now();
    world.run(&ROTATE).code(0);
    assert!(start.elapsed() < Duration::from_secs(15), "it waited for the lock to expire");
    world.rotated("globex", 3, 4);
}

/// Holds the n-th addition back by a 429 that has it come again after 12 seconds. Nobody but it sees the fault.
fn told_to_wait(world: &World, account: &str, nth: u64) -> (u64, Child) {
    let strike = json!({
        "at": nth, "operation": "addSecretVersion", "begin": "too-many-requests-retry-after", "value": "12",
    });
    let door = world.sent("POST", "/sandbox/v1/doors", Some(json!({ "strikes": [strike] })));
    let url = door["url"].as_str().expect("text").to_owned();
    let mut command = world.command(&["secret", "rotate", account, "--yes", "--progress=none"]);
    command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{url}/"));
    let child = command.stdin(Stdio::null()).spawn().expect("the program starts");
    let number = door["door"].as_u64().expect("a number");
    let refused = |entry: &Value| entry["door"] == number && entry["outcome"] == "too many requests";
    world.until("the refusal", |world| world.log().iter().any(refused));
    world.heal("too-many-requests-retry-after");
    (number, child)
}

#[test]
fn what_waits_for_its_turn_asks_for_the_lock_again() {
    // Before the first write, and in the middle.
    for (account, nth, code) in [("globex", 1, 1), ("acme", 2, 5)] {
        let world = World::start(&["--accounts=2"]);
        let (door, child) = told_to_wait(&world, account, nth);
        world.sent("DELETE", &lease(account), None);
        // Somebody else, who has no idea of locks.
        let before = world.versions(&primary(account));
        world.add(&primary(account), "c29tZWJvZHktZWxzZS1zLXZhbHVlLXNvbWVib2R5LWVsc2Utcw==");
        let lost = events(&world);
        let ended = finish(child);
        let ended = ended.code(code).says("the lock on this account was lost: it was deleted");
        assert_eq!(writes_after(&world, door, lost), 0, "{account}");
        // What is told is what is there, not what was.
        let ended = ended.says("and this run did not add it").says("is the newest version of");
        let all = format!("{}{}", ended.stdout, ended.stderr);
        for untrue in ["still the only value in use", "is in use", "goes on from here"] {
            assert!(!all.contains(untrue), "{account}: {untrue}: {all}");
        }
        let now = world.versions(&primary(account));
        assert_eq!(now.split(' ').count(), before.split(' ').count() + 1, "{account}: {now}");
    }
}

#[test]
fn a_run_that_slept_through_its_lock_sends_nothing_late() {
    let world = World::start(&["--accounts=2"]);
    let (door, child) = told_to_wait(&world, "acme", 2);
    signal(&child, Signal::STOP);
    let deadline = Instant::now() + EXPIRY;
    while world.run(&["secret", "rotate", "acme", "--yes", "--progress=none"]).code != 0 {
        assert!(Instant::now() < deadline, "the lock never expired");
        std::thread::sleep(Duration::from_secs(2));
    }
    world.settled("acme", 7, 8);
    let taken = events(&world);
    signal(&child, Signal::CONT);
    let ended = finish(child).code(5);
    assert_eq!(writes_after(&world, door, taken), 0);
    ended.says("the lock on this account was lost").says("v8 is the newest version of acme_account_secret");
    world.settled("acme", 7, 8);
}

#[test]
fn a_lock_without_an_age_is_not_said_to_end_by_itself() {
    let world = World::start(&["--accounts=2"]);
    world.run(&ROTATE).code(0);
    world.patch(
        &lease("globex"),
        json!({"spec": {"holderIdentity": "gone@else (deadbeef)", "leaseDurationSeconds": 20}}),
    );
    // Nothing else is changed by this, or the server would note it anew.
    let mut held = world.sent("GET", &lease("globex"), None);
    held["metadata"]["managedFields"] = json!([{}]);
    world.sent("PUT", &lease("globex"), Some(held));
    let refused = world.run(&["secret", "finalize", "globex", "--yes", "--reencrypted"]).code(4);
    let refused = refused.says("gone@else").says("kubectl delete lease deepdesk-rotation -n globex");
    assert!(!refused.stderr.contains("ends by itself in"), "{}", refused.stderr);
    world.sent("DELETE", &lease("globex"), None);
    world.run(&["secret", "finalize", "globex", "--yes", "--reencrypted"]).code(0);
}
