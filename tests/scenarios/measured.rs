//! Not scenarios but figures. They print; run each alone:
//! `cargo test --test scenarios -- --ignored --nocapture how_long` (in the real world with `DEEPDESK_WORLD=control-plane`).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::account::{Account, After, value};

/// From our patch to the bytes in the Kubernetes Secret, fifty times.
#[needs(kubectl)]
#[test]
#[ignore = "a measurement: run it alone, with --ignored --nocapture"]
fn how_long_a_forced_sync_takes() {
    let account = Account::new(After::Globex, "measured");
    // Through one process that stays: none is started between the patch and the bytes.
    let proxy = account.world.proxy();
    let (secret, external) = (
        format!("{proxy}/api/v1/namespaces/measured/secrets/backend-secrets"),
        format!("{proxy}/apis/external-secrets.io/v1/namespaces/measured/externalsecrets/backend-secrets"),
    );
    let held = || account.world.http("GET", &secret, &Value::Null).1["data"]["SECRET_KEY"].clone();
    let mut took = Vec::new();
    for round in 0..50 {
        let new = value(&format!("round {round}"));
        account.add(&account.primary(), &new);
        let begun = Instant::now();
        let patch = crate::world::annotation("force-sync", &format!("{round}"));
        assert_eq!(account.world.http("PATCH", &external, &patch).0, 200);
        while held() != new.as_str() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(1));
        }
        took.push(begun.elapsed());
    }
    took.sort();
    println!("{:?}: forced sync, median {:?}, p95 {:?}, max {:?}", account.world.kind, took[25], took[47], took[49]);
}

/// What is left of a rotation's time without that in which External Secrets copies or pods are replaced, as the API server's
/// audit log and the stand-in for the kubelet have noted it: our requests, our computing, and how late we learn of an end.
#[needs(kubectl)]
#[test]
#[ignore = "a measurement, and needs a real API server: run it alone, with DEEPDESK_WORLD=control-plane --ignored --nocapture"]
fn how_long_a_rotation_takes_beyond_what_it_waits_for() {
    for after in [After::Acme, After::Globex] {
        let mut seen: Vec<(Duration, Duration)> = Vec::new();
        for round in 0..10 {
            let account = Account::new(after, &format!("beyond-{}-{round}", after.name()));
            let begun = Timestamp::now();
            account.run("rotate", &["--yes"]).code(0);
            let ended = Timestamp::now();
            account.rotated(4);
            let whole = ended.duration_since(begun).unsigned_abs();
            let audit = Audit::of(&account);
            let waiting = covered(&[copying(&audit), replacing(&account, &audit)].concat(), begun, ended);
            seen.push((whole.saturating_sub(waiting), whole));
        }
        seen.sort();
        let (ours, whole) = seen[seen.len() / 2];
        println!(
            "a rotation after {after:?}, of {} the middle one: {ours:?} of {whole:?} are ours; the most: {:?}",
            seen.len(),
            seen.last()
        );
    }
}

type Span = (Timestamp, Timestamp);

fn time(of: &Value) -> Option<Timestamp> {
    of.as_str()?.parse().ok()
}

/// What the API server noted of one account, and who is who there.
struct Audit {
    entries: Vec<Value>,
    operator: String,
}

impl Audit {
    fn of(account: &Account) -> Audit {
        let log = std::fs::read_to_string(account.world.plane["audit"].as_str().expect("a path")).expect("readable");
        // A line that is being written has no end yet.
        let mut entries: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        entries.retain(|one| one["objectRef"]["namespace"] == *account.name);
        Audit { entries, operator: format!("system:serviceaccount:{}:deepdesk", account.name) }
    }

    /// The object's name and the time of each patch of this resource by the program.
    fn patches(&self, resource: &str) -> Vec<(&Value, Timestamp)> {
        let own = self.entries.iter().filter(|one| {
            one["user"]["username"] == *self.operator
                && one["verb"] == "patch"
                && one["objectRef"]["resource"] == resource
        });
        own.filter_map(|one| Some((&one["objectRef"]["name"], time(&one["requestReceivedTimestamp"])?))).collect()
    }
}

/// From each patch of an ExternalSecret by the program until the controller wrote its Secret, or its status.
fn copying(audit: &Audit) -> Vec<Span> {
    let spans = audit.patches("externalsecrets").into_iter().filter_map(|(name, begun)| {
        let writes = audit.entries.iter().filter(|one| {
            one["user"]["username"] == "external-secrets"
                && ["update", "patch", "create"].iter().any(|verb| one["verb"] == *verb)
                && ["secrets", "externalsecrets"].iter().any(|kind| one["objectRef"]["resource"] == *kind)
                && one["objectRef"]["name"] == *name
        });
        let written = writes.filter_map(|write| time(&write["stageTimestamp"])).filter(|at| *at > begun);
        Some((begun, written.min()?))
    });
    spans.collect()
}

/// For each workload, from the program's patch until the last old pod has ended and the last new one is Ready.
fn replacing(account: &Account, audit: &Audit) -> Vec<Span> {
    let pods = account.world.control("GET", "pods", &[]);
    let span = |(name, begun): (&Value, Timestamp)| {
        let owner = format!("Deployment/{}", name.as_str()?);
        let own = pods.as_array().expect("a list").iter();
        let own = own.filter(|pod| pod["namespace"] == *account.name && pod["owner"] == *owner);
        let ends = own.flat_map(|pod| [time(&pod["ended"]), time(&pod["ready"])]).flatten();
        Some((begun, ends.max()?))
    };
    audit.patches("deployments").into_iter().filter_map(span).collect()
}

/// How much of the time between these two moments lies in one of the spans or more.
fn covered(spans: &[Span], begun: Timestamp, ended: Timestamp) -> Duration {
    let mut spans = spans.to_vec();
    spans.sort();
    let (mut whole, mut until) = (Duration::ZERO, begun);
    for (from, to) in spans {
        let (from, to) = (from.max(until), to.min(ended));
        if to > from {
            whole += to.duration_since(from).unsigned_abs();
            until = to;
        }
    }
    whole
}
