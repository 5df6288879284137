//! Looks at what reads the secret and is no consumer: a restart does not reach it.

use super::{Finding, Purpose, Seen};
use crate::command;
use crate::facts::copies::Copy;
use crate::facts::names::{ObjectName, listed};
use crate::facts::observation::{ExternalSecretView, KeyView, Observation, OtherReader, Source};
use crate::hint::{Command, FRESH_TOKEN, Hint};
use crate::state::{self, State};

pub(super) fn other_readers(seen: &Seen) -> Vec<Finding> {
    let told = |group: &Vec<&OtherReader>| {
        let (reads, runs, them) = if group.len() > 1 { ("read", "run", "them") } else { ("reads", "runs", "it") };
        let running = if group[0].running { format!(", and {runs} now") } else { String::new() };
        let what = format!("{} {reads} the secret too{running}; a restart does not reach {them}", subject(group));
        Finding(what, vec![afterwards(seen, group)])
    };
    let copied = |reader: &&OtherReader| reader.secrets.iter().all(|secret| copy(seen.now, secret).is_some());
    let mut findings: Vec<Finding> = seen.now.copies.iter().map(|copy| told_copy(seen, copy)).collect();
    let doors = seen.now.doors.iter();
    findings.extend(doors.map(|door| Finding(door.what.clone(), vec![door.what_to_do.as_str().into()])));
    let others = seen.now.other_readers.iter().filter(|reader| reader.secrets.is_empty() || !copied(reader));
    findings.extend(grouped(others).iter().map(told));
    findings
}

/// The copy that this Kubernetes Secret is, if it is one.
fn copy<'a>(now: &'a Observation, secret: &ObjectName) -> Option<&'a Copy> {
    now.copies.iter().find(|copy| copy.secret == *secret)
}

fn told_copy(seen: &Seen, copy: &Copy) -> Finding {
    let (now, account) = (seen.now, &seen.now.account);
    let keys: Vec<String> = copy.keys.iter().map(|key| format!("{} {}", key.key, now.holds(key.found))).collect();
    let by = copy.made_by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    let read_by: Vec<&str> = copy.read_by.iter().map(String::as_str).collect();
    let read = match read_by.as_slice() {
        [] => "nothing reads it now".to_owned(),
        [one] => format!("{one} reads it, and a restart brings it nothing that the copy does not have"),
        several => {
            format!("{} read it, and a restart brings them nothing that the copy does not have", listed(several))
        }
    };
    let what = format!("Kubernetes Secret {} is a copy ({}){by}: {read}", copy.secret, keys.join(", "));
    let first = match &copy.external_secret {
        Some(external) => Hint::to(
            "afterwards have it copied again",
            command![
                "kubectl",
                "annotate",
                "externalsecret",
                external,
                "-n",
                account,
                format!("force-sync={FRESH_TOKEN}"),
                "--overwrite"
            ],
        ),
        None => "afterwards have whatever writes it copy again".into(),
    };
    let mut hints = vec![first];
    if !read_by.is_empty() {
        let them = if read_by.len() > 1 { "them" } else { "it" };
        hints.push(format!("then start {them} afresh, before the back-compat is finalized").into());
    }
    Finding(what, hints)
}

/// What a restart does not reach and is not shown to have started with the newest version. Without a date it counts as
/// older: what it writes would be lost with the value.
pub(super) fn older_readers(seen: &Seen) -> Vec<Finding> {
    // No restart of ours made them, so dates alone tell; their age proves nothing.
    let unfit = seen.now.other_readers.iter().filter(|reader| reader.running && !is_on_newest(seen.now, reader));
    let told = |group: &Vec<&OtherReader>| {
        let (runs, they) = if group.len() > 1 { ("run", "they") } else { ("runs", "it") };
        let what = format!("{} {runs}, and nothing shows that {they} started on the newest version", subject(group));
        Finding(what, vec![way_on(seen.now, group)])
    };
    grouped(unfit).iter().map(told).collect()
}

/// How readers come to the newest version, where that loses nothing: in the middle of a change, or where nothing explains what is
/// seen, such a pod may have the last copy of a value.
fn way_on(now: &Observation, group: &[&OtherReader]) -> Hint {
    let account = &now.account;
    match state::secrets_state(now) {
        State::Stable | State::Drifted | State::AwaitingReencryption => {}
        State::Rotating { .. } | State::Blocked(_) => {
            return Hint::to("see first what is due", Command::secret("status", account));
        }
    }
    let them = if group.len() > 1 { "them" } else { "it" };
    match group[0].ends {
        true => Hint::to(
            format!("let {them} end, or start {them} afresh"),
            command!["kubectl", "get", "pods", "-n", account],
        ),
        false => replace(now, group, ""),
    }
}

/// The command that ends pods which do not end by themselves, and what becomes of them.
fn replace(now: &Observation, group: &[&OtherReader], first: &str) -> Hint {
    let (them, their) = if group.len() > 1 { ("them", "their") } else { ("it", "its") };
    if let Some(workload) = as_workload(group[0]) {
        let restart = command!["kubectl", "rollout", "restart", workload, "-n", now.account];
        return Hint::to(format!("{first}see that what it reads is copied again, and restart it"), restart);
    }
    let names = group.iter().map(|reader| reader.name.as_str());
    let delete = command!["kubectl", "delete", "pod"].with(names).with(["-n", now.account.as_str()]);
    match group[0].is_made_again() {
        true => Hint::to(format!("{first}have {their} owner replace {them}"), delete),
        false => Hint::to(
            format!("{first}end {them}, since nobody makes {them} again, and start what is to run afresh"),
            delete,
        ),
    }
}

/// A workload that reads a copy: `deployment/mailer`.
fn as_workload(reader: &OtherReader) -> Option<String> {
    let kind = reader.kind.to_lowercase();
    matches!(kind.as_str(), "deployment" | "statefulset" | "daemonset").then(|| format!("{kind}/{}", reader.name))
}

/// Readers of one owner go by one name: a ReplicaSet may have many pods.
fn grouped<'a>(readers: impl Iterator<Item = &'a OtherReader>) -> Vec<Vec<&'a OtherReader>> {
    let mut groups: Vec<Vec<&OtherReader>> = Vec::new();
    for reader in readers {
        let same = |group: &&mut Vec<&OtherReader>| {
            let first = group[0];
            reader.owner.is_some()
                && (&first.kind, &first.owner, first.running, first.ends)
                    == (&reader.kind, &reader.owner, reader.running, reader.ends)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(reader),
            None => groups.push(vec![reader]),
        }
    }
    groups
}

/// `pods a, b of Rollout/payments (ReplicaSet payments-7f9c)`.
fn subject(group: &[&OtherReader]) -> String {
    let first = group[0];
    let names: Vec<&str> = group.iter().map(|reader| reader.name.as_str()).collect();
    let plural = if names.len() > 1 { "s" } else { "" };
    let of = first.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
    format!("{}{plural} {}{of}", first.kind.to_ascii_lowercase(), listed(&names))
}

fn afterwards(seen: &Seen, group: &[&OtherReader]) -> Hint {
    let them = if group.len() > 1 { "them" } else { "it" };
    match (group[0].running && !group[0].ends, seen.purpose) {
        (true, Purpose::Rotate | Purpose::Rollback) => {
            replace(seen.now, group, &format!("nothing ends {them} by itself: afterwards "))
        }
        (_, _) if group.len() > 1 => "see that they start afresh afterwards".into(),
        (_, _) => "see that it starts afresh afterwards".into(),
    }
}

/// The Kubernetes Secrets that it reads, as their ExternalSecrets show them.
fn read<'a>(now: &'a Observation, reader: &'a OtherReader) -> impl Iterator<Item = &'a ExternalSecretView> {
    now.filling(&reader.secrets)
}

/// Judged by dates of the API server's own clock: it began after the last write of every Secret that it reads, and those hold the
/// newest. What it notes itself proves nothing: no restart of ours made it. Without a date it counts as older.
fn is_on_newest(now: &Observation, reader: &OtherReader) -> bool {
    // A back-compat that holds the primary's own value gives a pod nothing.
    let matters = |key: &&KeyView| key.source == Source::Primary || state::back_compat_is_live(now);
    let copies = || reader.secrets.iter().filter_map(|secret| copy(now, secret));
    let copied = copies().flat_map(|copy| &copy.keys);
    let mut keys = read(now, reader).flat_map(|external| &external.keys).chain(copied).filter(matters);
    let mut written = read(now, reader).map(|external| external.written).chain(copies().map(|copy| copy.written));
    let after =
        |written: Option<jiff::Timestamp>| reader.since.zip(written).is_some_and(|(since, written)| since > written);
    let reads = read(now, reader).next().is_some() || copies().next().is_some();
    keys.all(|key| state::as_expected(now, key)) && reads && written.all(after)
}
