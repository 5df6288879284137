//! The four commands on accounts that are well.

use crate::account::{Account, After, CONSUMERS, FIRST, value};

#[needs(kubectl)]
#[test]
fn rotate_makes_the_back_compat_and_replaces_every_pod() {
    let account = Account::new(After::Acme, "first-rotation");
    let before: Vec<String> = account.pods().into_iter().filter(|pod| pod.owner != "web").map(|pod| pod.name).collect();
    let result = account.run("rotate", &["--yes", "-o", "json"]).code(0).json();
    assert_eq!((&result["previous"], &result["version"]), (&"3".into(), &"4".into()));
    account.rotated(4);
    let after = account.pods();
    assert!(before.len() >= 5 && !after.iter().any(|pod| before.contains(&pod.name)), "{before:?} {after:?}");
    account.run("verify", &[]).code(0);
    // A third key would make data unreadable.
    account.run("rotate", &["--yes"]).code(4).says("the last rotation is complete: from v3 to v4");
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn rotate_where_the_back_compat_is_mapped_by_name() {
    let account = Account::new(After::Globex, "by-name");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn rotate_through_a_cluster_secret_store_and_a_template() {
    let account = Account::new(After::Initech, "templated");
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn a_value_of_the_operators_own_arrives_byte_for_byte() {
    let account = Account::new(After::Globex, "own-value");
    let given = "a value with ünicode, spaces and 'quotes' \"of both kinds\" $HOME `id`";
    let path = account.world.file("own-value", given);
    account.run("rotate", &["--yes", "--value-from", path.to_str().expect("text")]).code(0);
    account.rotated(4);
}

#[needs(kubectl)]
#[test]
fn sync_brings_what_was_added_by_hand() {
    let account = Account::new(After::Globex, "by-hand");
    account.add(&account.primary(), &value("added by hand"));
    let drifted = account.run("verify", &["-o", "json"]).code(3).json();
    assert_ne!(drifted["state"], "Stable");
    account.run("sync", &[]).code(0);
    let holdings = account.holdings();
    for target in ["admin-secrets", "backend-secrets"] {
        assert_eq!(holdings[&format!("{target}/SECRET_KEY")], "primary v4", "{holdings:?}");
    }
    // The pods still hold the old value, and that is seen.
    account.every_pod_holds("backend", "SECRET_KEY", "primary v3");
    account.run("verify", &[]).code(3).says("DD-PODS-CURRENT");
    account.run("restart", &["--yes"]).code(0);
    account.every_pod_holds("backend", "SECRET_KEY", "primary v4");
}

#[needs(kubectl)]
#[test]
fn restart_replaces_every_pod_that_reads_the_secret_and_no_other() {
    let account = Account::new(After::Globex, "restarted");
    let names = || account.pods().into_iter().map(|pod| (pod.owner, pod.name)).collect::<Vec<_>>();
    let web = account.world.kubectl(&["get", "pods", "-n", &account.name, "-l", "app=web", "-o", "name"]);
    let before = names();
    account.run("restart", &["--yes"]).code(0);
    let after = names();
    for consumer in CONSUMERS {
        assert!(after.iter().any(|(owner, _)| owner == consumer), "{after:?}");
        assert!(!after.iter().any(|pod| pod.0 == consumer && before.contains(pod)), "{before:?} {after:?}");
    }
    assert_eq!(account.world.kubectl(&["get", "pods", "-n", &account.name, "-l", "app=web", "-o", "name"]), web);
    account.untouched();
}

#[needs(kubectl)]
#[test]
fn a_dry_run_changes_nothing() {
    let account = Account::new(After::Globex, "dry");
    let pods: Vec<String> = account.pods().into_iter().map(|pod| pod.name).collect();
    for kind in ["client", "server"] {
        account.run("rotate", &[&format!("--dry-run={kind}")]).code(0);
    }
    assert_eq!(account.pods().into_iter().map(|pod| pod.name).collect::<Vec<_>>(), pods);
    assert_eq!(account.versions(&account.back_compat()), "1:ENABLED");
    assert_eq!(FIRST, 3);
    account.untouched();
}
