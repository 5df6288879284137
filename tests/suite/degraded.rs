//! Rights and set-ups that are less than whole: what is not needed is done without, and said; what a promise hangs on is not.

use crate::process::Ran;
use crate::world::{World, primary};

/// What one command does where something is refused.
struct Case {
    /// The fault, as `NAME=VALUE`.
    fault: &'static str,
    command: &'static [&'static str],
    code: i32,
    /// What it says of it.
    says: &'static str,
}

const VERIFY: &[&str] = &["secret", "verify", "globex"];
const STATUS: &[&str] = &["secret", "status", "globex"];
const SYNC: &[&str] = &["secret", "sync", "globex"];
const RESTART: &[&str] = &["secret", "restart", "globex", "--yes"];
const ROTATE: &[&str] = &["secret", "rotate", "globex", "--yes"];
const ROLLBACK: &[&str] = &["secret", "rollback", "globex", "--yes"];
const FINALIZE: &[&str] = &["secret", "finalize", "globex", "--yes", "--reencrypted"];

const fn case(fault: &'static str, command: &'static [&'static str], code: i32, says: &'static str) -> Case {
    Case { fault, command, code, says }
}

const LIST: &str = "denied=secretmanager.versions.list";
const GET: &str = "denied=secretmanager.versions.get";
const LEASE: &str = "forbidden=get/leases";
const PODS: &str = "forbidden=list/pods";
const REVIEWS: &str = "forbidden=create/selfsubjectaccessreviews";
const PERMISSIONS: &str = "test-permissions-denied";

/// From a complete rotation, each with the refusal in force.
const CASES: &[Case] = &[
    // Dates and older versions: what is in use is known by access.
    case(LIST, VERIFY, 0, "were not checked"),
    case(LIST, STATUS, 0, "AwaitingReencryption"),
    case(LIST, SYNC, 0, "were not checked"),
    case(LIST, RESTART, 0, "were not checked"),
    case(LIST, ROLLBACK, 0, "were not checked"),
    // What is to be retired is what the list tells.
    case(LIST, FINALIZE, 1, "'secretmanager.versions.list' denied"),
    case(GET, VERIFY, 0, ""),
    case(GET, SYNC, 0, ""),
    case(GET, RESTART, 0, ""),
    // The commit mark is set under an etag.
    case(GET, ROLLBACK, 1, "secretmanager.versions.get is missing"),
    // The lock's record tells of what cannot be seen. Who only reads says less without it.
    case(LEASE, VERIFY, 0, "the record in the Lease was not read"),
    case(LEASE, STATUS, 0, "AwaitingReencryption"),
    case(LEASE, SYNC, 0, "the record in the Lease was not read"),
    case(LEASE, RESTART, 1, "not allowed to get leases"),
    case(LEASE, ROLLBACK, 1, "not allowed to get leases"),
    // Nothing proves anything of pods then.
    case(PODS, VERIFY, 1, "cannot list resource \"pods\""),
    case(PODS, SYNC, 1, "not allowed to list pods"),
    case(PODS, RESTART, 1, "not allowed to list pods"),
    case(PODS, ROLLBACK, 1, "not allowed to list pods"),
    // Every step finds out for itself, and is safe to stop at.
    case(REVIEWS, VERIFY, 0, ""),
    case(REVIEWS, SYNC, 0, "permissions could not be checked"),
    case(REVIEWS, RESTART, 0, "permissions could not be checked"),
    case(REVIEWS, ROLLBACK, 0, "permissions could not be checked"),
    case(PERMISSIONS, VERIFY, 0, ""),
    case(PERMISSIONS, ROLLBACK, 0, "permissions could not be checked"),
    case(PERMISSIONS, FINALIZE, 0, "permissions could not be checked"),
];

fn set(world: &World, fault: &str) {
    let (name, value) = fault.split_once('=').map_or((fault, None), |(name, value)| (name, Some(value)));
    world.fault(name, value);
}

#[test]
fn each_refusal_is_done_without_or_named() {
    let kept = World::start(&["--accounts=2"]);
    kept.run(ROTATE).code(0);
    for Case { fault, command, code, says } in CASES {
        // What writes starts from the same each time.
        let own = (*code == 0 && [ROLLBACK, FINALIZE].contains(command)).then(|| {
            let world = World::start(&["--accounts=2"]);
            world.run(ROTATE).code(0);
            world
        });
        let world = own.as_ref().unwrap_or(&kept);
        set(world, fault);
        let before = world.writes().len();
        let ran: Ran = world.run(command);
        println!("{fault}: {command:?} {}", ran.code);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, *code, "{fault}: {command:?}\n{told}");
        assert!(told.contains(says), "{fault}: {command:?} does not say `{says}`\n{told}");
        if *code != 0 {
            assert_eq!(world.writes().len(), before, "{fault}: {command:?} wrote something");
            assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{told}");
        }
        world.heal(fault.split('=').next().expect("a name"));
    }
}

/// A right that may not be asked about is missing: it shows at its step, and the same command goes on once it is there.
#[test]
fn what_could_not_be_asked_for_shows_at_its_step() {
    let world = World::start(&["--accounts=2"]);
    set(&world, REVIEWS);
    world.fault("forbidden", Some("patch/deployments"));
    // What is written to the cluster is tried by a dry run before the first write.
    let before = world.writes();
    world.run(ROTATE).code(1).says("cannot patch resource \"deployments\"");
    assert_eq!(world.writes(), before);
    world.heal("forbidden");
    set(&world, PERMISSIONS);
    world.fault("denied", Some("secretmanager.versions.disable"));
    world.run(ROTATE).code(5).says("secretmanager.versions.disable");
    world.heal("denied");
    world.run(ROTATE).code(0);
    world.rotated("globex", 3, 4);
}

/// Which older versions there are is what the operator wants to have disabled.
#[test]
fn what_is_older_is_not_abandoned_unseen() {
    let world = World::start(&["--accounts=1"]);
    // Somebody added a version by hand, and disabled nothing.
    world.add(&primary("acme"), "bmV3IHZhbHVlIG5ldyB2YWx1ZSBuZXcgdmFsdWUgbmV3IHZhbHVl");
    world.copied_by_hand("acme");
    set(&world, LIST);
    let abandon = ["secret", "rotate", "acme", "--yes=acme", "--abandon-older"];
    let refused = world.run(&abandon).code(4).says("may not be looked at");
    assert!(refused.stderr.contains("secretmanager.versions.list"), "{}", refused.stderr);
    world.heal("denied");
    world.run(&abandon).code(0);
}

/// Without any of the watches each wait looks again and again instead.
#[test]
fn without_watches_it_looks_again_and_again() {
    let world = World::start(&["--accounts=2"]);
    for kind in ["externalsecrets", "secrets", "pods", "deployments", "statefulsets", "daemonsets"] {
        world.fault("forbidden", Some(&format!("watch/{kind}")));
    }
    world.fault("sync-slow", Some("500ms"));
    world.run(ROTATE).code(0);
    world.heal("sync-slow");
    world.rotated("globex", 3, 4);
    world.run(ROLLBACK).code(0);
    world.run(FINALIZE).code(0);
}
