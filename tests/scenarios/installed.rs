//! A cluster whose External Secrets is too old, or not there: every command says so before it changes anything. Each has a
//! world of its own, since all accounts of a cluster share what it serves.

use serde_json::Value;

use crate::account::{Account, After};
use crate::world::World;

/// Every command ends with `DD-ES-API`, says this, and has changed nothing.
fn refused(api: &str, made: &str, reason: &str, says: &str, hint: &str) {
    let account = Account::prepared(World::serving(api), After::Globex, "not-served");
    account.make(After::Globex, made);
    let (get, group) = (|args: &[&str]| account.world.try_kubectl(args, None), "/apis/external-secrets.io");
    let as_v1 = get(&["get", "--raw", &format!("{group}/v1/namespaces/{}/externalsecrets", account.name)]);
    assert!(as_v1.is_err_and(|said| said.contains("could not find the requested resource")));
    let discovered = get(&["get", "--raw", group]).map(|text| text.contains(r#""version":"v1beta1""#));
    assert_eq!(discovered.ok(), (api == "v1beta1").then_some(true));
    if api == "v1beta1" {
        assert_eq!(account.get("externalsecret", "backend-secrets")["apiVersion"], "external-secrets.io/v1beta1");
    }
    let versions = || [account.primary(), account.back_compat()].map(|secret| account.versions(&secret));
    let generations = || {
        let all = account.world.get(&["deployments", "-n", &account.name]);
        let all = all["items"].as_array().expect("a list").iter();
        all.map(|one| one["metadata"]["generation"].clone()).collect::<Vec<Value>>()
    };
    let before = (versions(), generations());
    for (command, flags) in [("rotate", &["--yes"][..]), ("sync", &[]), ("restart", &["--yes"]), ("verify", &[])] {
        let flags = [flags, &["-o", "json"]].concat();
        let ran = account.run(command, &flags).code(1).says(says).says("[DD-ES-API]").says("hint:").says(hint);
        let result = ran.json();
        assert_eq!((&result["reason"], &result["exitCode"]), (&reason.into(), &1.into()), "{command}");
        let failed: Vec<&Value> =
            result["checks"].as_array().expect("checks").iter().filter(|check| check["result"] == "fail").collect();
        assert_eq!(failed.len(), 1, "{command}: {failed:?}");
        assert_eq!(failed[0]["id"], "DD-ES-API", "{command}");
        assert!(failed[0]["hint"].as_str().is_some_and(|said| said.contains(hint)), "{command}: {failed:?}");
    }
    let checked = account.world.run(&["check", &account.name, "--only", "DD-ES-API"], &[]).code(3);
    assert!(checked.stdout.contains(says) && checked.stdout.contains(hint), "{}", checked.stdout);
    account.world.run(&["account", "list"], &[]).code(1).says(says).says(hint);
    assert_eq!((versions(), generations()), before);
    account.untouched();
    account.world.end();
}

#[needs(kubectl)]
#[test]
fn a_cluster_that_serves_v1beta1_alone_is_refused() {
    refused(
        "v1beta1",
        "secretstores,externalsecrets,deployments",
        "OldExternalSecrets",
        "serves the API of External Secrets only as v1beta1",
        "upgrade External Secrets to 0.16 or newer",
    );
}

#[needs(kubectl)]
#[test]
fn a_cluster_without_external_secrets_is_refused() {
    refused("none", "deployments", "NoExternalSecrets", "this cluster has no External Secrets", "the right context?");
}
