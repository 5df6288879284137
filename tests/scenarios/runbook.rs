//! The runbook done by hand up to some place, with its slips: what people have in front of them when they reach for this program.
//!
//! Each row is what was done by hand before we came, what `status` says of it (state, and the one command that is due), and the
//! commands that somebody runs who follows only that, up to the end of a rotation. At the end every value that some pod had when
//! we came, in either of its keys, can be read by every pod: nothing that it has encrypted is unreadable.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::account::{Account, After, FIRST, value};
use crate::world::{annotation, until};

/// One thing that somebody does by hand.
#[derive(Clone, Copy, Debug)]
enum Hand {
    /// A new version of the primary.
    Add,
    /// The value that the account began with, once more.
    AddOldAgain,
    /// The version before the newest.
    Disable,
    /// The newest one: a slip that is seen at once.
    DisableNewest,
    Destroy,
    /// The back-compat, without a version.
    Make,
    /// A version of it, with the value before.
    Keep,
    /// The slip: with the new one.
    KeepNew,
    /// Text that is no key, so that the mapping does not fail.
    Placeholder,
    /// A forced sync of an ExternalSecret.
    Sync(&'static str),
    /// A rolling restart of a Deployment.
    Restart(&'static str),
    /// A whole rotation of this program's.
    Rotate,
}

use Hand::{
    Add, AddOldAgain, Destroy, Disable, DisableNewest, Keep, KeepNew, Make, Placeholder, Restart, Rotate, Sync,
};

const ADMIN: &str = "admin-secrets";
const BACKEND: &str = "backend-secrets";

/// The account, and the values by the order in which they came to be.
struct Hands {
    account: Account,
    values: Vec<String>,
    /// The bytes behind each name that a value ever went by: a disabled version cannot be read again.
    names: BTreeMap<String, String>,
}

impl Hands {
    fn at_work(name: &str) -> Hands {
        let account = Account::new(After::Acme, name);
        let first = account.value(&account.primary(), &FIRST.to_string()).expect("it is enabled");
        let mut hands = Hands { account, values: vec![first], names: BTreeMap::new() };
        hands.learn();
        hands
    }

    fn newest(&self) -> u64 {
        let versions = self.account.versions(&self.account.primary());
        versions.split(' ').filter_map(|version| version.split(':').next()?.parse().ok()).max().expect("there are some")
    }

    fn learn(&mut self) {
        for (slot, secret) in [("primary", self.account.primary()), ("back-compat", self.account.back_compat())] {
            for version in 1..=9 {
                let Some(value) = self.account.value(&secret, &version.to_string()) else { continue };
                self.names.entry(format!("{slot} v{version}")).or_insert(value);
            }
        }
    }

    fn keep(&self, value: &str) {
        self.account.add(&self.account.back_compat(), value);
    }

    fn does(&mut self, hand: Hand) {
        let (account, primary) = (&self.account, self.account.primary());
        let newest = self.newest();
        let before = || self.values[self.values.len().saturating_sub(2)].clone();
        match hand {
            Add => {
                let new = value(&format!("{} {}", account.name, self.values.len()));
                account.add(&primary, &new);
                self.values.push(new);
            }
            AddOldAgain => account.add(&primary, &self.values[0]),
            Disable => account.set(&primary, newest - 1, "disable"),
            DisableNewest => account.set(&primary, newest, "disable"),
            Destroy => account.set(&primary, newest - 1, "destroy"),
            Make => account.make_secret(&account.back_compat()),
            Keep => self.keep(&before()),
            KeepNew => self.keep(self.values.last().expect("there is one")),
            Placeholder => self.keep(&value("placeholder")),
            Sync(external) => self.sync(external),
            Restart(deployment) => {
                account.world.kubectl(&["rollout", "restart", "deployment", deployment, "-n", &account.name]);
                // External Secrets or an older value may keep it from coming up; then it stays as it is.
                let _ = account.world.try_kubectl(
                    &["rollout", "status", "deployment", deployment, "-n", &account.name, "--timeout=15s"],
                    None,
                );
            }
            Rotate => drop(account.run("rotate", &["--yes"]).code(0)),
        }
    }

    /// Waits until External Secrets has looked at it: the sync may fail.
    fn sync(&self, external: &str) {
        let seen = || {
            let object = self.account.get("externalsecret", external);
            let ready = object["status"]["conditions"].as_array().and_then(|all| all.first().cloned());
            (object["status"]["refreshTime"].clone(), ready.unwrap_or_default())
        };
        let before = seen();
        // Times are whole seconds: a sync in the one of the last would look as if it had not come.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let token = format!("by-hand-{}", self.values.len());
        self.account.patch("externalsecret", external, &annotation("force-sync", &token));
        until(&format!("{external} was synced, or says why not"), || {
            let now = seen();
            now != before || now.1["status"] == "False"
        });
    }

    /// The values that pods have in either key, by the name that the account knows them by.
    fn readable(&self) -> BTreeSet<String> {
        let held = self.account.pods().into_iter().flat_map(|pod| {
            ["SECRET_KEY", "SECRET_KEY_BACK_COMPAT"].map(|key| pod.holds.get(key).cloned().unwrap_or_default())
        });
        held.filter(|held| !held.is_empty()).collect()
    }
}

/// What `status` says: state, and the first command that is due, as words behind the program's name.
fn due(account: &Account) -> (String, Vec<String>) {
    let status = account.run("status", &["-o", "json"]).code(0).json();
    let command = match &status["due"]["commands"][0] {
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        line => line.as_str().unwrap_or_default().split(' ').map(str::to_owned).collect::<Vec<_>>(),
    };
    (status["state"].as_str().unwrap_or_default().to_owned(), command)
}

/// A command in short: without the account, the project and what leads to this world.
fn short(account: &Account, words: &[String]) -> String {
    let flag = |word: &&String| !["--secret=", "--project=", "--server="].iter().any(|flag| word.starts_with(flag));
    let kept: Vec<&str> = words.iter().filter(flag).map(String::as_str).filter(|word| *word != account.name).collect();
    kept.join(" ").replace("kubectl deepdesk secret ", "").replace("gcloud secrets versions ", "")
}

/// Runs what is due until a rotation has come to its end; returns the commands, in short.
fn follow(hands: &Hands) -> (String, Vec<String>) {
    let account = &hands.account;
    let (first, _) = due(account);
    let mut done = Vec::new();
    for _ in 0..6 {
        let (_, words) = due(account);
        let told = short(account, &words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            // The data is saved again before that: the application's own matter.
            [] | [""] => break,
            ["kubectl", "deepdesk", "secret", "finalize", ..] => break,
            ["kubectl", "deepdesk", "secret", verb, ..] => {
                let mut flags: Vec<&str> = words[5..].to_vec();
                if ["rotate", "rescue", "rollback"].contains(verb) {
                    flags.push("--yes");
                }
                account.run(verb, &flags).code(0);
            }
            ["gcloud", "secrets", "versions", "enable", version, secret, ..] => {
                let secret = secret.trim_start_matches("--secret=");
                account.set(secret, version.parse().expect("a number"), "enable");
            }
            other => panic!("{other:?} after {done:?}"),
        }
        done.push(told);
    }
    (first, done)
}

/// What came of a row: the state, and the commands up to the end; and which values that were readable are not any more.
fn row(name: &str, by_hand: &[Hand]) -> String {
    let mut hands = Hands::at_work(name);
    by_hand.iter().for_each(|hand| {
        hands.does(*hand);
        hands.learn();
    });
    let readable = hands.readable();
    let (said, done) = follow(&hands);
    hands.learn();
    let mut lacking = BTreeSet::new();
    for pod in hands.account.pods().iter().filter(|pod| pod.holds.contains_key("SECRET_KEY")) {
        let held: BTreeSet<String> = pod.holds.values().cloned().collect();
        // A value that two versions have goes by either's name.
        let lacks = readable.iter().filter(|value| !held.contains(*value) && !is_held(&hands, &held, value));
        lacking.extend(lacks.map(|value| format!("{} {value}", pod.owner)));
    }
    let lacking = if lacking.is_empty() { String::new() } else { format!("; unreadable: {lacking:?}") };
    format!("{said}: {}{lacking}", done.join(", "))
}

/// Plays rows side by side, and fails where one came to something else.
fn play(rows: &[(&str, Vec<Hand>, &str)]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let other = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, by_hand, expected)) =
                    rows.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let came = std::panic::catch_unwind(|| row(name, by_hand));
                    let came = came.unwrap_or_else(|_| "panicked, see above".to_owned());
                    if came != *expected {
                        other
                            .lock()
                            .expect("no panic")
                            .push(format!("{name} {by_hand:?}\n  came to   {came}\n  and not   {expected}"));
                    }
                }
            });
        }
    });
    let other = other.into_inner().expect("no panic");
    assert!(other.is_empty(), "{}", other.join("\n"));
}

/// Whether some name in `held` is of the same value.
fn is_held(hands: &Hands, held: &BTreeSet<String>, name: &str) -> bool {
    let wanted = hands.names.get(name);
    wanted.is_some() && held.iter().any(|other| hands.names.get(other) == wanted)
}

#[needs(kubectl)]
#[test]
fn each_place_where_the_runbook_stopped_has_its_way_on() {
    let whole = [Add, Disable, Make, Keep, Sync(ADMIN), Sync(BACKEND), Restart("admin"), Restart("backend")];
    let names: [&str; 8] =
        ["runbook-1", "runbook-2", "runbook-3", "runbook-4", "runbook-5", "runbook-6", "runbook-7", "runbook-8"];
    let (adopt, goes_on) = ("Blocked: rotate --adopt", "AwaitingReencryption: rotate");
    let expected = [adopt, adopt, adopt, goes_on, goes_on, adopt, adopt, adopt];
    let rows: Vec<(&str, Vec<Hand>, &str)> = names
        .into_iter()
        .zip(1..)
        .zip(expected)
        .map(|((name, written), expected)| (name, whole[..written].to_vec(), expected))
        .collect();
    play(&rows);
}

#[needs(kubectl)]
#[test]
fn each_slip_of_the_runbook_has_its_way_on() {
    play(&[
        ("disable-first", vec![DisableNewest], "Blocked: enable 3"),
        ("new-value-kept", vec![Add, Make, KeepNew], "Blocked: rotate --adopt"),
        (
            "new-value-kept-and-synced",
            vec![Add, Disable, Make, KeepNew, Sync(ADMIN), Sync(BACKEND)],
            "Blocked: rotate --adopt",
        ),
        ("empty", vec![Add, Make, Sync(ADMIN)], "Blocked: rotate --adopt"),
        ("placeholder", vec![Make, Placeholder, Add, Disable], "Blocked: rotate --adopt"),
        ("one-of-two", vec![Add, Disable, Make, Keep, Sync(ADMIN)], "AwaitingReencryption: rotate"),
        (
            "restart-before-sync",
            vec![Add, Disable, Make, Keep, Restart("admin"), Restart("backend")],
            "AwaitingReencryption: rotate",
        ),
        ("destroyed", vec![Add, Destroy], "Blocked: rotate --adopt"),
        ("slip-disabled", vec![Add, DisableNewest, Add], "Blocked: rotate --adopt"),
        (
            "twice",
            vec![Add, Make, Keep, Sync(ADMIN), Sync(BACKEND), Restart("admin"), Add, Keep],
            "Blocked: rotate --adopt",
        ),
        ("sync-between", vec![Add, Sync(ADMIN), Sync(BACKEND), Disable], "Blocked: rotate --adopt"),
        ("sync-between-and-kept", vec![Add, Sync(ADMIN), Sync(BACKEND), Make, Keep], "Rotating: rotate"),
        ("terraform", vec![Rotate, AddOldAgain], "Blocked: rotate --adopt"),
    ]);
}
