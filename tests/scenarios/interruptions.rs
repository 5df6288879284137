//! Killed in the middle, and two at once.

use crate::account::{Account, After};
use crate::world::{Running, kubelet, until};

/// Kills a rotation as soon as `has` holds, and lets the same command go on.
fn killed_when(name: &str, after: After, has: impl Fn(&Account) -> bool) {
    let account = Account::new(after, name);
    // Long enough in the restart to be met there.
    account.pods_from_now(kubelet::TERMINATE, "1500ms");
    let before = account.value(&account.primary(), "latest").expect("enabled");
    let mut run = account.spawn("rotate", &["--yes"]);
    // Not with `until`: the moment is short.
    while !has(&account) && run.child.try_wait().expect("a child").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(run.child.try_wait().expect("a child").is_none(), "it came to its end before");
    run.child.kill().expect("it can be killed");
    run.child.wait().expect("it ends");
    // Nothing is lost: the old value can be read by its number, or as back-compat.
    let readable = [account.value(&account.primary(), "3"), account.value(&account.back_compat(), "latest")];
    assert!(readable.contains(&Some(before)));
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn killed_after_the_back_compat_was_stored() {
    killed_when("killed-preserved", After::Acme, |account| account.value(&account.back_compat(), "latest").is_some());
}

#[needs(kubectl)]
#[test]
fn killed_after_the_new_version_was_added() {
    killed_when("killed-introduced", After::Globex, |account| account.value(&account.primary(), "4").is_some());
}

#[needs(kubectl)]
#[test]
fn killed_in_the_restart() {
    killed_when("killed-restarting", After::Initech, |account| {
        let deployment = account.get("deployment", "worker");
        deployment["spec"]["template"]["metadata"]["annotations"]["deepdesk.com/primary-version"].is_string()
    });
}

#[needs(kubectl)]
#[test]
fn two_operators_at_once_make_one_new_version() {
    let account = Account::new(After::Globex, "two-operators");
    let children = [account.spawn("rotate", &["--yes"]), account.spawn("rotate", &["--yes"])];
    let mut ended = children.map(Running::end);
    ended.sort_by_key(|ran| ran.code);
    assert_eq!(ended.each_ref().map(|ran| ran.code), [0, 4], "{ended:#?}");
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn asked_to_stop_it_stops_at_a_safe_point() {
    let account = Account::new(After::Globex, "asked-to-stop");
    account.pods_from_now(kubelet::TERMINATE, "1500ms");
    let run = account.spawn("rotate", &["--yes"]);
    until("the new version", || account.value(&account.primary(), "4").is_some());
    let sent =
        std::process::Command::new("kill").args(["-INT", &run.child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    run.end().code(130).says("stopping at the next safe point");
    assert_eq!(account.lock_holder(), None);
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
}
