//! Drift is found, and the way out that is named leads out.

use crate::account::{Account, After, value};

#[needs(kubectl)]
#[test]
fn a_version_that_nothing_has_copied() {
    let account = Account::new(After::Globex, "not-copied");
    account.add(&account.back_compat(), &value("drifted"));
    account.set(&account.primary(), 3, "disable");
    account.add(&account.primary(), &value("drifted"));
    let found = account.run("verify", &["-o", "json"]).code(3).json();
    // What was in use is in the cluster and in an older version of the back-compat: nothing spreads v4 alone.
    assert_eq!(found["state"], "Blocked");
    for command in ["sync", "restart"] {
        account.run(command, &[]).code(4).says("--adopt");
    }
    account.run("rotate", &["--yes"]).code(4).says("--adopt");
    account.run("rotate", &["--yes", "--adopt"]).code(0);
    account.run("verify", &[]).code(0);
    assert_eq!(account.holdings()["backend-secrets/SECRET_KEY_BACK_COMPAT"], "primary v3");
}

#[needs(kubectl)]
#[test]
fn a_pod_that_started_before_its_secret_changed() {
    let account = Account::new(After::Globex, "old-pods");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    // Somebody takes the restart back: the new pods are as good as the old ones, and their age says nothing.
    let undo = ["rollout", "undo", "deployment/backend", "-n", &account.name];
    account.world.kubectl(&undo);
    account.until_healthy();
    account.every_pod_holds("backend", "SECRET_KEY", "primary v4");
    let ran = account.run("verify", &[]);
    assert!([0, 3].contains(&ran.code), "{}", ran.stderr);
    account.run("restart", &["--yes"]).code(0);
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn a_deleted_target_comes_back() {
    let account = Account::new(After::Globex, "deleted-target");
    account.world.kubectl(&["delete", "secret", "admin-secrets", "-n", &account.name]);
    crate::world::until("it is there again", || account.holdings().contains_key("admin-secrets/SECRET_KEY"));
    account.run("restart", &["--yes"]).code(0);
    account.run("verify", &[]).code(0);
}
