//! I7 by what the (stand-in) kubelet knows, and not by what the program says: a run that ended well leaves no pod with an older value, but
//! those that it names.
//!
//! Every run of the program comes through here when it ends (`Running::end`). Also looked at after runs that did not end well: what
//! their versions hold is learned, since a disabled one cannot be read later.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::account::Account;
use crate::world::{Kind, Ran, World};

/// The commands whose good end means that every pod is on the newest value.
const PROMISE_IT: [&str; 5] = ["rotate", "rollback", "restart", "finalize", "verify"];

/// Fails the test where a run promises what is not so.
#[track_caller]
pub fn judge(world: &'static World, words: &[String], ran: &Ran) {
    for account in accounts(words) {
        let account = Account::at(world, account);
        let newest = account.newest();
        if ran.code != 0 || !is_promised(words) || newest.is_none() {
            continue;
        }
        let newest = format!("primary v{}", newest.unwrap_or_default());
        let older = older(&account, &newest);
        let silent: Vec<&String> =
            older.iter().filter(|life| !named(world, ran, life)).map(|life| &life.told).collect();
        assert!(
            silent.is_empty(),
            "I7: {words:?} ended with 0, and these pods run on an older value than {newest} without being named: {silent:?}\n{}{}",
            ran.stdout,
            ran.stderr
        );
    }
}

/// The accounts that `secret COMMAND ACCOUNT...` names.
fn accounts(words: &[String]) -> impl Iterator<Item = &str> {
    let is_secret = words.first().is_some_and(|word| word == "secret");
    let named = words.iter().skip(2).filter(move |_| is_secret).map(String::as_str);
    named.take_while(|word| !word.starts_with('-'))
}

fn is_promised(words: &[String]) -> bool {
    let only_shown = words.iter().any(|word| word.starts_with("--dry-run"));
    // Of one workload alone nothing follows for the others.
    let in_part = words.iter().any(|word| word.starts_with("--only"));
    !only_shown && !in_part && words.get(1).is_some_and(|word| PROMISE_IT.contains(&word.as_str()))
}

/// A pod that runs on an older value.
struct Life {
    name: String,
    owner: String,
    told: String,
}

/// The pods that have not ended, and that hold a value of the primary other than the newest under a key that is not the back-compat's.
fn older(account: &Account, newest: &str) -> Vec<Life> {
    let is_older = |key: &str, held: &str| {
        held.starts_with("primary v") && held != newest && !key.to_ascii_lowercase().contains("compat")
    };
    let pods = account.pods().into_iter();
    let pods = pods.filter_map(|pod| {
        let held: BTreeMap<&String, &String> = pod.holds.iter().filter(|(key, held)| is_older(key, held)).collect();
        (!held.is_empty()).then(|| Life {
            told: format!("{} {held:?}", pod.name),
            owner: pod.owner.clone(),
            name: pod.name.clone(),
        })
    });
    pods.collect()
}

/// Whether the result names it, and not as one of the newest. A Job's pods are told together.
fn named(world: &World, ran: &Ran, life: &Life) -> bool {
    let Ok(result) = serde_json::from_str::<Value>(&ran.stdout) else {
        let text = format!("{}{}", ran.stdout, ran.stderr);
        let has = |name: &str| {
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').any(|word| word == name)
        };
        // The table of what was restarted has a row for each workload, whatever its pods have: that names nobody as left behind.
        // On the real control plane this was not played yet, so there a row still counts as a name.
        let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
        let is_row = |line: &str| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|kind| kinds.contains(&kind)) && words.next() == Some(&life.owner)
        };
        let was_restarted = world.kind == Kind::Sandbox && text.lines().any(is_row);
        return has(&life.name) || (!life.owner.is_empty() && !was_restarted && has(&life.owner));
    };
    let list = |field: &str| result[field].as_array().cloned().unwrap_or_default();
    let is_it = |reader: &Value| match reader["pod"].as_str() {
        Some(pod) => pod == life.name,
        None => {
            reader["name"].as_str().is_some_and(|name| name == life.owner || life.name.starts_with(&format!("{name}-")))
        }
    };
    list("readers").iter().any(|reader| is_it(reader) && reader["standing"] != "new")
        || list("lostPods").iter().any(|lost| lost["pod"] == *life.name)
}
