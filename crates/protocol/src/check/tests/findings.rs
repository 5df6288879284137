//! What each check says, and to which command: a table of accounts in which one thing is not as it should be.

use super::*;
use crate::facts::named::ReaderName;
use crate::facts::names::ObjectName;
use crate::facts::observation::{
    Consumer, Derivation, ExternalSecretView, Found, GitOps, KeyView, OtherReader, PodView, Ready, Refresh, Rollout,
    Source, ValueTag,
};
use crate::plan::NewValue;
use crate::plan::tests::{has_record, seen};

use Purpose::{Finalize, Rollback, Rotate, Sync, Verify};

/// What fails and what warns, a line each with its hint.
fn told(purpose: Purpose, want: &Want, now: &Observation) -> String {
    let found = run(&Seen { purpose, want, now });
    let lines = found.iter().filter(|check| check.result != Verdict::Pass).map(|check| {
        let hints = crate::hint::in_one_line(&check.hints);
        let word = if check.result == Verdict::Fail { "FAIL" } else { "warn" };
        format!("    {word} {}: {}\n         -> {hints}", check.id, check.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Finalized on v2, with two pods.
fn fit() -> Observation {
    let mut now = seen("D E2", "D E2", (2, Some(2)), 2);
    let consumer = &mut now.consumers[0];
    consumer.desired = 2;
    consumer.pods.push(PodView { name: "backend-2".to_owned(), ..consumer.pods[0].clone() });
    now
}

/// Rotated from v1 to v2, and not finalized.
fn awaiting() -> Observation {
    let mut now = seen("D E2", "E1", (2, Some(1)), 2);
    now.consumers[0].desired = 2;
    now
}

fn external(now: &mut Observation, change: impl Fn(&mut ExternalSecretView)) -> Observation {
    now.external_secrets.iter_mut().for_each(change);
    now.clone()
}

fn consumer(change: impl Fn(&mut Consumer)) -> Observation {
    let mut now = fit();
    now.consumers.iter_mut().for_each(change);
    now
}

fn key(change: impl Fn(&mut KeyView)) -> Observation {
    external(&mut fit(), |external| change(&mut external.keys[0]))
}

fn failing(message: &str) -> impl Fn(&mut ExternalSecretView) + '_ {
    move |external| {
        external.ready = Ready::False { reason: "SecretSyncedError".to_owned(), message: message.to_owned() }
    }
}

fn name(name: &str) -> ObjectName {
    name.parse().expect("a fit name")
}

fn second(second: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(second).ok()
}

fn reader(name: &str, owner: Option<&str>, since: Option<i64>) -> OtherReader {
    OtherReader {
        kind: "Pod".to_owned(),
        name: name.to_owned(),
        owner: owner.map(str::to_owned),
        running: true,
        ends: false,
        since: since.and_then(second),
        reasons: Vec::new(),
        secrets: vec![self::name("backend-secrets")],
        names: [Some(format!("pod/{name}")), owner.map(|owner| owner.split(' ').next().unwrap_or_default().to_owned())]
            .into_iter()
            .flatten()
            .map(|name| name.parse::<ReaderName>().expect("a fit name"))
            .collect(),
        ..OtherReader::default()
    }
}

fn read_by(mut now: Observation, readers: &[OtherReader]) -> Observation {
    now.primary.versions[0].created = second(1_000);
    now.external_secrets[0].written = second(2_000);
    now.other_readers = readers.to_vec();
    now
}

type Case = (&'static str, Purpose, Observation);

fn of_secrets() -> Vec<Case> {
    let asked = |project: &str| Observation { asked_project: Some(project.parse().expect("a fit id")), ..fit() };
    let terraform = |label: &str| {
        let mut now = fit();
        now.primary.labels = vec![(label.to_owned(), "true".to_owned())];
        now
    };
    let elsewhere = external(&mut fit(), |external| {
        external.home =
            Some(crate::facts::names::SecretHome { project: "q".parse().expect("a fit id"), location: None });
    });
    let unmapped = |mut now: Observation| external(&mut now, |external| external.keys.truncate(1));
    vec![
        ("another project is asked for", Rotate, asked("q")),
        ("the project of the store is asked for", Rotate, asked("p")),
        ("an ExternalSecret reads from elsewhere", Rotate, elsewhere),
        ("the newest version is disabled", Sync, seen("E1 D", "E1", (1, Some(1)), 1)),
        ("there is no primary", Verify, seen("", "", (1, None), 1)),
        ("nothing explains the predecessor", Verify, seen("E1 E2", "", (2, None), 2)),
        ("the same, to finalize", Finalize, seen("E1 E2", "", (2, None), 2)),
        ("the same, to verify beside a live back-compat", Verify, seen("E1 E2", "E7", (2, Some(7)), 2)),
        ("the same, while the back-compat is live", Finalize, seen("E1 E2", "E7", (2, Some(7)), 2)),
        ("a rotation is under way", Verify, seen("E1 E2", "E1", (2, Some(1)), 2)),
        ("the same, to rotate", Rotate, seen("E1 E2", "E1", (2, Some(1)), 1)),
        ("the back-compat is disabled", Rotate, seen("D E2", "D", (2, None), 2)),
        ("a value of the back-compat lost its slot", Rotate, has_record(seen("D E2", "E1 E2", (2, Some(2)), 2))),
        ("the same, to sync", Sync, has_record(seen("D E2", "E1 E2", (2, Some(2)), 2))),
        ("pods read a back-compat that no version has", Sync, seen("D E2", "D E2", (2, Some(9)), 2)),
        ("older versions are enabled", Rotate, seen("E0 E3 D E2", "D E2", (2, Some(2)), 4)),
        ("the one before the newest is no older one", Verify, seen("D E1 E2", "E1", (2, Some(1)), 3)),
        ("Terraform's label", Rotate, terraform("goog-terraform-provisioned")),
        ("another label", Rotate, terraform("team")),
        ("nothing maps the back-compat", Rotate, unmapped(fit())),
        ("a consumer does not read it", Rotate, consumer(|consumer| consumer.reads_back_compat = false)),
        ("a Kubernetes Secret holds an older version", Verify, seen("D0 E1 E2", "E1", (1, Some(1)), 3)),
        ("the same, to rotate on", Rotate, seen("D E1 E2", "E1", (1, Some(1)), 3)),
        ("a live back-compat has not arrived", Verify, seen("D E2", "E1", (2, None), 2)),
        ("an equal back-compat has not arrived", Verify, seen("D E2", "D E2", (2, None), 2)),
    ]
}

fn of_external_secrets() -> Vec<Case> {
    let with = |change: &dyn Fn(&mut ExternalSecretView)| external(&mut fit(), change);
    let no_back_compat = || seen("E2", "", (2, None), 1);
    let empty_back_compat = || {
        let mut now = no_back_compat();
        now.back_compat.exists = true;
        now
    };
    let unread = |mut now: Observation| external(&mut now, |external| external.keys.clear());
    let denied = "cannot access acme_account_secret_back_compat: PermissionDenied";
    let missing = Observation { missing_external_secrets: vec![name("admin-secrets")], ..fit() };
    vec![
        ("one is missing", Rotate, missing),
        ("none reads the primary", Rotate, unread(fit())),
        (
            "its store is not ready",
            Rotate,
            with(&|external| external.store_problem = Some("store gsm is not ready".to_owned())),
        ),
        ("it was never synced", Rotate, with(&|external| external.ready = Ready::Unknown)),
        ("it deleted", Rotate, with(&|external| external.ready = Ready::True { reason: "SecretDeleted".to_owned() })),
        ("it fails", Rotate, with(&failing("no such host"))),
        ("it fails, to sync", Sync, with(&failing("no such host"))),
        (
            "it fails while a foreign version is the newest",
            Verify,
            external(&mut seen("E1 E2", "", (1, None), 1), failing("no such host")),
        ),
        ("it fails for a back-compat that is to be made", Rotate, external(&mut no_back_compat(), failing(denied))),
        ("the same without words", Rotate, external(&mut no_back_compat(), failing(UNSPECIFIC))),
        ("the same for another reason", Rotate, external(&mut no_back_compat(), failing("no such host"))),
        ("the same, to verify", Verify, external(&mut no_back_compat(), failing(denied))),
        (
            "a search finds an empty back-compat",
            Rotate,
            external(&mut empty_back_compat(), failing("processing spec.dataFrom[0].find")),
        ),
        (
            "the same, to verify",
            Verify,
            external(&mut empty_back_compat(), failing("processing spec.dataFrom[0].find")),
        ),
        (
            "the same of one that reads the primary alone",
            Rotate,
            external(&mut empty_back_compat(), |external| {
                external.keys.truncate(1);
                failing("processing spec.dataFrom[0].find")(external);
            }),
        ),
        (
            "a search that finds none",
            Rotate,
            external(&mut no_back_compat(), |external| {
                external.needs_back_compat = false;
                failing("processing spec.dataFrom[0].find")(external);
            }),
        ),
        (
            "it fails, and the rotation has to stage",
            Rotate,
            external(&mut seen("E2", "E2", (2, None), 1), failing("no such host")),
        ),
        (
            "the back-compat is destroyed, and is stored again",
            Rotate,
            external(&mut seen("D E2", "E1 X", (2, None), 2), failing("no such host")),
        ),
        ("a version is pinned", Rotate, key(|key| key.pinned = Some("3".to_owned()))),
        ("CreatedOnce", Rotate, with(&|external| external.refresh = Refresh::CreatedOnce)),
        ("OnChange", Rotate, with(&|external| external.refresh = Refresh::OnChange)),
        ("interval 0", Rotate, with(&|external| external.refresh = Refresh::Never)),
        ("an immutable target", Rotate, with(&|external| external.immutable = true)),
        ("an owner", Verify, with(&|external| external.owner = Some("fleet".to_owned()))),
        ("an unusual target", Rotate, with(&|external| external.unusual_target = Some("a manifest".to_owned()))),
        ("an opaque key", Rotate, key(|key| key.derivation = Derivation::Opaque)),
        (
            "opaque keys that nobody knows",
            Rotate,
            external(&mut fit(), |external| {
                external.keys[0] =
                    KeyView { key: "(all)".to_owned(), derivation: Derivation::Opaque, ..external.keys[0].clone() };
                external.not_followed = Some("a template over all keys at once".to_owned());
            }),
        ),
        ("a property of JSON", Rotate, key(|key| key.property = Some("a.b".to_owned()))),
        (
            "a property of the back-compat",
            Rotate,
            external(&mut fit(), |external| external.keys[1].property = Some("a.b".to_owned())),
        ),
    ]
}

fn of_consumers() -> Vec<Case> {
    let older = |mut now: Observation| {
        now.consumers[0].pods[0].version = crate::facts::names::VersionId::new(1);
        now
    };
    let unproven = |mut now: Observation| {
        now.consumers[0].version = None;
        now.consumers[0].pods.iter_mut().for_each(|pod| pod.version = None);
        now
    };
    let gone = Observation { missing_workloads: vec!["deployment/admin".parse().expect("fits")], ..fit() };
    vec![
        ("one is missing", Rotate, gone),
        ("there is none", Rotate, Observation { consumers: Vec::new(), ..fit() }),
        ("paused", Rotate, consumer(|consumer| consumer.paused = true)),
        ("held back", Rotate, consumer(|consumer| consumer.holds_back = Some("OnDelete".to_owned()))),
        (
            "rolling out",
            Rotate,
            consumer(|consumer| consumer.rollout = Rollout::Progressing { available: 1, desired: 2 }),
        ),
        ("stuck", Rotate, consumer(|consumer| consumer.rollout = Rollout::Stuck { reason: "quota".to_owned() })),
        ("a pod of before", Verify, older(fit())),
        ("unproven pods", Verify, unproven(fit())),
        ("unproven pods after stage", Rotate, unproven(fit())),
        ("unproven pods, and the back-compat is live", Rollback, unproven(awaiting())),
        ("Reloader", Rotate, consumer(|consumer| consumer.reloader = Some("Reloader".to_owned()))),
        ("Flux", Rotate, consumer(|consumer| consumer.gitops = Some(GitOps::Flux))),
        ("Argo CD", Rotate, consumer(|consumer| consumer.gitops = Some(GitOps::ArgoCd))),
        ("one pod", Rotate, consumer(|consumer| consumer.desired = 1)),
    ]
}

fn of_other_readers() -> Vec<Case> {
    let rollout = |name| reader(name, Some("Rollout/web (ReplicaSet web-1)"), Some(1_500));
    let job = OtherReader { kind: "Job".to_owned(), ends: true, ..reader("import", None, Some(1_500)) };
    let asleep =
        OtherReader { kind: "CronJob".to_owned(), running: false, since: None, ..reader("nightly", None, None) };
    let new = reader("debug", None, Some(2_001));
    let old = reader("debug", None, Some(100));
    let bare = reader("debug", None, None);
    let gone = reader("web-2", Some("ReplicaSet/web-2 (gone)"), Some(1_500));
    let mounts = |name, owner, since| OtherReader {
        reasons: vec!["volume keys: SecretProviderClass keys".to_owned()],
        secrets: Vec::new(),
        ..reader(name, owner, Some(since))
    };
    let web = |name, since| mounts(name, Some("Deployment/web (ReplicaSet web-1)"), since);
    let mounting = |readers: &[OtherReader]| Observation { mounting: readers.to_vec(), ..read_by(awaiting(), &[]) };
    let wrong =
        |mut now: Observation| external(&mut now, |external| external.keys[0].found = Found::Value(ValueTag(9)));
    vec![
        ("two pods of one owner", Rotate, read_by(fit(), &[rollout("web-1-a"), rollout("web-1-b")])),
        ("the same, to finalize", Finalize, read_by(awaiting(), &[rollout("web-1-a"), rollout("web-1-b")])),
        ("one pod of an owner that is gone", Finalize, read_by(awaiting(), &[gone])),
        ("a pod of nobody without a date, to rotate", Rotate, read_by(fit(), std::slice::from_ref(&bare))),
        ("the same, to verify", Verify, read_by(fit(), &[bare])),
        ("a Job, to rotate", Rotate, read_by(fit(), std::slice::from_ref(&job))),
        (
            "the same, to finalize",
            Finalize,
            read_by(awaiting(), &[job.clone(), OtherReader { name: "export".to_owned(), ..job }]),
        ),
        (
            "two Jobs of one owner",
            Finalize,
            read_by(
                awaiting(),
                &["a", "b"]
                    .map(|name| OtherReader { ends: true, ..reader(name, Some("CronJob/nightly"), Some(1_500)) }),
            ),
        ),
        (
            "one that began in the second of the last write",
            Finalize,
            read_by(awaiting(), &[reader("debug", None, Some(2_000))]),
        ),
        ("a CronJob that sleeps", Rotate, read_by(fit(), std::slice::from_ref(&asleep))),
        ("the same, to finalize", Finalize, read_by(awaiting(), &[asleep])),
        ("one that began after the last write", Finalize, read_by(awaiting(), std::slice::from_ref(&new))),
        ("the same, and the Secret has another value", Finalize, wrong(read_by(fit(), &[new]))),
        ("one that is older than the version", Finalize, read_by(awaiting(), std::slice::from_ref(&old))),
        ("the same in the middle of a rotation", Verify, read_by(seen("E1 E2", "E1", (2, Some(1)), 2), &[old])),
        ("two that mount it, of one Deployment", Finalize, mounting(&[web("web-1-a", 900), web("web-1-b", 1_200)])),
        ("one that mounts it, of nobody", Verify, mounting(&[mounts("debug", None, 500)])),
        ("one that began long after the version", Finalize, mounting(&[web("web-1-c", 1_301)])),
    ]
}

#[test]
fn each_finding_has_its_words_its_weight_and_its_way_on() {
    let mut text = String::new();
    for (title, cases) in [
        ("secrets", of_secrets()),
        ("external secrets", of_external_secrets()),
        ("consumers", of_consumers()),
        ("other readers", of_other_readers()),
    ] {
        text.push_str(&format!("## {title}\n"));
        for (name, purpose, now) in cases {
            text.push_str(&format!("{name}, {}:\n{}\n", purpose.as_str(), told(purpose, &Want::default(), &now)));
        }
    }
    insta::assert_snapshot!(text);
}

/// What the operator asked for decides whether some of it is a finding at all.
#[test]
fn what_is_wanted_decides() {
    let with = |property: bool| if property { key(|key| key.property = Some("a.b".to_owned())) } else { fit() };
    let given = Want { new_value: NewValue::Given(None), ..Want::default() };
    let unmapped = external(&mut fit(), |external| external.keys.truncate(1));
    let reads_it_itself = Want { back_compat_unmapped: true, ..Want::default() };
    let adopt = Want { adopt: true, ..Want::default() };
    let disabled = seen("E1 D", "", (1, None), 1);
    let retired =
        Want { retired: vec![(Source::BackCompat, crate::facts::names::VersionId::FIRST)], ..Want::default() };
    let displaced = has_record(seen("D E2", "E1 E2", (2, Some(2)), 2));
    for (name, purpose, want, now, id) in [
        ("the new value is given", Rotate, given, with(true), "DD-ES-PROPERTY"),
        ("the application reads the back-compat itself", Rotate, reads_it_itself, unmapped, "DD-BACK-COMPAT-MAPPED"),
        ("what is found is adopted", Rotate, adopt, disabled, "DD-LATEST"),
        ("the value is given up by name", Finalize, retired, displaced, "DD-BACK-COMPAT"),
    ] {
        assert!(told(purpose, &Want::default(), &now).contains(id), "{name}: without it");
        assert!(!told(purpose, &want, &now).contains(&format!("{id}:")), "{name}");
    }
}

#[test]
fn a_check_concerns_some_commands() {
    let cases = [
        ("DD-OLD-READERS", Verify, true),
        ("DD-OLD-READERS", Rotate, false),
        (catalogue::PLAN_ID, Rotate, true),
        (catalogue::PLAN_ID, Rollback, true),
        (catalogue::PLAN_ID, Finalize, true),
        (catalogue::PLAN_ID, Purpose::Rescue, true),
        (catalogue::PLAN_ID, Sync, false),
        (catalogue::LOCK_ID, Sync, false),
        (catalogue::LOCK_ID, Verify, false),
        (catalogue::LOCK_ID, Purpose::Restart, true),
        (catalogue::KUBECONFIG_ID, Verify, true),
    ];
    for (id, purpose, concerned) in cases {
        assert_eq!(concerns(id, purpose), concerned, "{id} {purpose:?}");
    }
}

/// With External Secrets' own constant for every error of a provider.
const UNSPECIFIC: &str = "could not get secret data from provider";

/// What stands in the way of judging values at all is told before what the planner says of them.
#[test]
fn what_brings_no_value_at_all_comes_first() {
    for id in ["DD-PROJECT", "DD-ES-STORE", "DD-ES-OPAQUE", "DD-K8S-ACCESS", "DD-SM-ACCESS"] {
        assert!(comes_first(id), "{id}");
    }
    for id in ["DD-ES-READY", "DD-PREDECESSOR", "DD-PODS-CURRENT", "DD-LATEST"] {
        assert!(!comes_first(id), "{id}");
    }
}

/// What a rotation or a finalization that goes on will put right itself is no finding for it.
#[test]
fn what_is_put_right_anyway_is_no_finding() {
    let pods = "DD-PODS-CURRENT";
    let unproven = |mut now: Observation| {
        now.external_secrets[0].written = second(9_000);
        now.consumers[0].version = None;
        now.consumers[0].pods.iter_mut().for_each(|pod| pod.version = None);
        now
    };
    let begun = |now: Observation| Observation { finalizing: crate::facts::names::VersionId::new(1), ..now };
    let blocked = || unproven(seen("E1 E2", "", (2, None), 2));
    let adopt = Want { adopt: true, ..Want::default() };
    for (name, purpose, want, now, is_told) in [
        ("a rotation goes on", Rotate, Want::default(), unproven(seen("E1 E2", "E1", (2, Some(1)), 1)), false),
        ("it is to be verified", Verify, Want::default(), unproven(seen("E1 E2", "E1", (2, Some(1)), 1)), true),
        ("what is found is adopted", Rotate, adopt.clone(), blocked(), false),
        ("it is not", Rotate, Want::default(), blocked(), true),
        ("nothing has to be adopted", Rotate, adopt, unproven(seen("D E2", "", (2, None), 2)), true),
        (
            "a finalization goes on",
            Finalize,
            Want::default(),
            begun(unproven(seen("D E2", "E1 E2", (2, Some(2)), 2))),
            false,
        ),
        ("a finalization begins", Finalize, Want::default(), unproven(awaiting()), true),
        ("a finalization has nothing to do", Finalize, Want::default(), unproven(fit()), true),
        ("a rollback", Rollback, Want::default(), unproven(awaiting()), true),
    ] {
        assert_eq!(told(purpose, &want, &now).contains(pods), is_told, "{name}: {}", told(purpose, &want, &now));
    }
}
