//! External Secrets at work and in trouble: what it says, what it copies, and when.

use std::time::Duration;

use serde_json::json;

use crate::account::{Account, After, value};
use crate::refusals::refused;
use crate::world::until;

#[needs(kubectl)]
#[test]
fn an_immutable_target_says_ready_and_keeps_the_old_bytes() {
    let account = Account::with(After::Globex, "keeps-bytes", |object| {
        if object["kind"] == "ExternalSecret" && object["metadata"]["name"] == "backend-secrets" {
            object["spec"]["target"]["immutable"] = true.into();
        }
    });
    account.add(&account.primary(), &value("not copied"));
    let before = account.get("externalsecret", "backend-secrets")["status"]["refreshTime"].clone();
    // Times are whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let force = |token: &str| {
        account.patch("externalsecret", "backend-secrets", &crate::world::annotation("force-sync", token))
    };
    force("1");
    until("the sync", || account.get("externalsecret", "backend-secrets")["status"]["refreshTime"] != before);
    let external = account.get("externalsecret", "backend-secrets");
    assert_eq!(external["status"]["conditions"][0]["status"], "True", "{external}");
    assert_eq!(account.holdings()["backend-secrets/SECRET_KEY"], "primary v3");
    // So Ready proves nothing, and neither command believes it.
    account.run("verify", &[]).code(3).says("DD-ES-IMMUTABLE");
    account.run("sync", &["--timeout", "5s"]);
    assert_eq!(account.holdings()["backend-secrets/SECRET_KEY"], "primary v3");
}

#[needs(kubectl)]
#[test]
fn created_once_ignores_a_forced_sync_in_silence() {
    let account = Account::with(After::Globex, "silent", |object| {
        if object["kind"] == "ExternalSecret" {
            let policy = if object["metadata"]["name"] == "admin-secrets" {
                ("refreshPolicy", "CreatedOnce")
            } else {
                ("refreshInterval", "0")
            };
            object["spec"][policy.0] = policy.1.into();
        }
    });
    account.add(&account.primary(), &value("ignored"));
    for name in ["admin-secrets", "backend-secrets"] {
        account.patch("externalsecret", name, &crate::world::annotation("force-sync", "1"));
    }
    std::thread::sleep(Duration::from_secs(2));
    let holdings = account.holdings();
    for name in ["admin-secrets", "backend-secrets"] {
        assert_eq!(holdings[&format!("{name}/SECRET_KEY")], "primary v3", "{holdings:?}");
        assert_eq!(account.get("externalsecret", name)["status"]["conditions"][0]["status"], "True");
    }
    account.run("verify", &[]).code(3).says("DD-ES-CREATED-ONCE").says("DD-ES-INTERVAL-ZERO");
}

#[needs(kubectl)]
#[test]
fn a_store_that_fails() {
    let account = Account::new(After::Globex, "failing-store");
    account.world.kubectl(&["delete", "secretstore", "secret-manager", "-n", &account.name]);
    refused(&account, "DD-ES-STORE", "secret-manager");
}

/// The back-compat has no version any more: what External Secrets does depends on the deletion policy. (Where rights are
/// given secret by secret, as here, Google answers for a secret that is gone as a whole that it is forbidden.)
fn missing_remote_key(name: &str, policy: &str, ready: &str) {
    let account = Account::new(After::Globex, name);
    for external in ["admin-secrets", "backend-secrets"] {
        account.patch("externalsecret", external, &json!({"spec": {"target": {"deletionPolicy": policy}}}));
    }
    let path = format!("secrets/{}", account.back_compat());
    assert_eq!(account.world.secret_manager("DELETE", &path, &json!(null)).0, 200);
    account.make_secret(&account.back_compat());
    for external in ["admin-secrets", "backend-secrets"] {
        account.patch("externalsecret", external, &crate::world::annotation("force-sync", "1"));
    }
    until(&format!("{policy}: Ready={ready}"), || {
        account.get("externalsecret", "backend-secrets")["status"]["conditions"][0]["status"] == ready
            && (policy == "Retain") == account.holdings().contains_key("backend-secrets/SECRET_KEY_BACK_COMPAT")
    });
    // Whatever it says: the back-compat is gone, and no rotation begins without looking.
    let ran = account.run("verify", &[]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(account.holdings()["backend-secrets/SECRET_KEY"], "primary v3");
}

#[needs(kubectl)]
#[test]
fn a_missing_remote_key_under_retain() {
    missing_remote_key("missing-retain", "Retain", "False");
}

#[needs(kubectl)]
#[test]
fn a_missing_remote_key_under_merge() {
    missing_remote_key("missing-merge", "Merge", "True");
}

#[needs(kubectl)]
#[test]
fn a_missing_remote_key_under_delete() {
    missing_remote_key("missing-delete", "Delete", "True");
}

#[needs(kubectl)]
#[test]
fn a_scheduled_sync_races_the_rotation() {
    let account = Account::with(After::Globex, "racing", |object| {
        if object["kind"] == "ExternalSecret" {
            object["spec"]["refreshInterval"] = "1s".into();
        }
    });
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
    account.run("verify", &[]).code(0);
}

#[needs(kubectl)]
#[test]
fn a_changed_target_is_put_right() {
    let account = Account::new(After::Globex, "put-right");
    let changed = json!({"data": {"SECRET_KEY": value("written by hand")}});
    account.patch("secret", "backend-secrets", &changed);
    until("it is put right", || account.holdings()["backend-secrets/SECRET_KEY"] == "primary v3");
    // Every pod started before that write, and none says what it read.
    account.run("verify", &[]).code(3);
    account.run("restart", &["--yes"]).code(0);
    account.run("verify", &[]).code(0);
}
