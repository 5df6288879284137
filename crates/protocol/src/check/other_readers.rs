//! Looks at what reads the secret and is no consumer: a restart does not reach it.

use super::{Finding, Purpose, Seen};
use crate::command;
use crate::facts::copies::Copy;
use crate::facts::named::{self, ReaderName, Word};
use crate::facts::names::listed;
use crate::facts::observation::{Observation, OtherReader};
use crate::hint::{Command, FRESH_TOKEN, Hint};
use crate::state::{self, Standing, State};

pub(super) fn other_readers(seen: &Seen) -> Vec<Finding> {
    // Those that stop the command are told with the ways on by another check; that nothing is there this one must not say.
    let stops = |reader: &OtherReader| is_unmoved(seen.now, reader) && stops_for_unmoved(seen.purpose);
    // What reads a copy alone is told with it.
    let told_with_copy = |reader: &&OtherReader| reads_copies_alone(seen.now, reader);
    let readers = seen.now.other_readers.iter().filter(|reader| !told_with_copy(reader));
    let told = |group: &Vec<&OtherReader>| {
        let first = group[0];
        let (reads, runs, them) = if group.len() > 1 { ("read", "run", "them") } else { ("reads", "runs", "it") };
        let running = if first.running { format!(", and {runs} now") } else { String::new() };
        let (moved, hint) = match first.word {
            Word::Evict if first.stays() => (
                if group.len() > 1 { "they are evicted".to_owned() } else { "it is evicted".to_owned() },
                format!("nothing: what owns {them} makes {them} again on the newest version").into(),
            ),
            Word::Leave if first.running => (
                if group.len() > 1 {
                    "they are left with what they have".to_owned()
                } else {
                    "it is left with what it has".to_owned()
                },
                Hint::from(format!("see that nothing needs {them} before finalize: it asks for the name")),
            ),
            Word::None if stops(first) => {
                (format!("a restart does not reach {them}"), "see DD-UNMOVED-READERS for the ways on".into())
            }
            Word::None | Word::Evict | Word::Leave => {
                (format!("a restart does not reach {them}"), afterwards(seen, group))
            }
        };
        Finding(format!("{} {reads} the secret too{running}; {moved}", subject(group)), vec![hint])
    };
    let lost = seen.now.lost_pods.iter().map(|lost| {
        let of = lost.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
        let what = format!("pod {}{of} reads the secret and does not count as running: {}", lost.pod, lost.why);
        let node = command!["kubectl", "describe", "node", lost.node];
        Finding(
            what,
            vec![Hint::to("if that node comes back, the pod still has the previous value: check the node", node)],
        )
    });
    let copies = seen.now.copies.iter().map(|copy| told_copy(seen, copy));
    let doors = seen.now.doors.iter().map(|door| Finding(door.what.clone(), vec![door.what_to_do.as_str().into()]));
    copies.chain(doors).chain(grouped(readers).iter().map(told)).chain(lost).collect()
}

/// Whether all that it reads is a copy: a restart brings it what the copy has, and no way of moving its pods more than that.
fn reads_copies_alone(now: &Observation, reader: &OtherReader) -> bool {
    !reader.secrets.is_empty() && reader.secrets.iter().all(|secret| now.copy(secret).is_some())
}

fn told_copy(seen: &Seen, copy: &Copy) -> Finding {
    let (now, account) = (seen.now, &seen.now.account);
    let keys: Vec<String> = copy.keys.iter().map(|key| format!("{} {}", key.key, now.holds(key.found))).collect();
    let by = copy.made_by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    let read_by: Vec<&str> = copy.read_by.iter().map(String::as_str).collect();
    let read = match read_by.as_slice() {
        [] => "nothing reads it now".to_owned(),
        [one] => format!("{one} reads it, and a restart gives it only what the copy has"),
        several => {
            format!("{} read it, and a restart gives them only what the copy has", listed(several))
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
        hints.push(format!("then restart {them} before the back-compat is finalized").into());
    }
    Finding(what, hints)
}

/// Whether a command is stopped by readers that nothing moves.
fn stops_for_unmoved(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Rotate | Purpose::Rollback)
}

/// Whether it runs on, nothing moves it, and nobody said what becomes of it.
fn is_unmoved(now: &Observation, reader: &OtherReader) -> bool {
    reader.stays() && reader.word == Word::None && !reads_copies_alone(now, reader)
}

/// What would go on with the older value for ever: it does not end, nothing moves it, and nobody said that it may be left. In the
/// middle of a change what began since the sync is on the newest already.
pub fn unmoved(now: &Observation) -> impl Iterator<Item = &OtherReader> {
    let under_way = matches!(state::secrets_state(now), State::Rotating { .. });
    now.other_readers.iter().filter(move |reader| is_unmoved(now, reader) && !(under_way && is_on_newest(now, reader)))
}

/// The same in words, each with the ways on.
pub(super) fn unmoved_readers(seen: &Seen) -> Vec<Finding> {
    told_of_unmoved(seen.now, seen.purpose.as_str(), unmoved(seen.now))
        .into_iter()
        .map(|(what, hints)| Finding(what, hints))
        .collect()
}

/// What is said of readers that nothing moves, and what a person may say to this command.
pub fn told_of_unmoved<'a>(
    now: &Observation,
    verb: &str,
    readers: impl Iterator<Item = &'a OtherReader>,
) -> Vec<(String, Vec<Hint>)> {
    let told = |group: &Vec<&OtherReader>| {
        let (reads, runs, them) = if group.len() > 1 { ("read", "run", "them") } else { ("reads", "runs", "it") };
        let kept = group[0].kept.as_ref().map(|kept| format!(" ({kept})")).unwrap_or_default();
        let what = format!(
            "{} {reads} the secret, {runs} on, and nothing moves {them} to another value{kept}",
            subject(group)
        );
        let names = by_owner(group);
        let with = |flag: &str| Command::secret(verb, &now.account).with(named::flags(flag, &names));
        let leave = Hint::to(
            format!(
                "or leave {them} with the value that {} ({} is asked for by finalize)",
                if group.len() > 1 { "they have" } else { "it has" },
                listed(&names)
            ),
            with("--leave"),
        );
        let first = match (group[0].is_made_again(), group[0].kept.is_some()) {
            (_, true) => {
                Hint::to("see what keeps it", command!["kubectl", "describe", "pod", group[0].name, "-n", now.account])
            }
            (true, false) => Hint::to(
                format!("have {them} evicted one after the other, and made again by what owns {them}"),
                with("--evict"),
            ),
            (false, false) => {
                Hint::to(format!("have {them} evicted, which ends {them}: nobody makes {them} again"), with("--evict"))
            }
        };
        (what, vec![first, leave])
    };
    grouped(readers).iter().map(told).collect()
}

/// The name that stands for a group: what owns it, where that makes its pods again; else their own.
fn by_owner(group: &[&OtherReader]) -> Vec<ReaderName> {
    match group[0].is_made_again() {
        true => group[0].names.last().cloned().into_iter().collect(),
        false => group.iter().filter_map(|reader| reader.names.first().cloned()).collect(),
    }
}

/// What a restart does not reach and is not shown to have started with the newest version. Without a date it counts as
/// older: what it writes would be lost with the value.
pub(super) fn older_readers(seen: &Seen) -> Vec<Finding> {
    // No restart of ours made them, so dates alone tell; their age proves nothing. One that is named to a finalization is agreed to.
    let agreed = |reader: &&OtherReader| seen.purpose == Purpose::Finalize && reader.word == Word::Leave;
    let unfit = seen.now.other_readers.iter().filter(|reader| reader.running && !is_on_newest(seen.now, reader));
    let told = |group: &Vec<&OtherReader>| {
        let (runs, they) = if group.len() > 1 { ("run", "they") } else { ("runs", "it") };
        let left = group[0].names.iter().any(|name| seen.now.left.contains(name));
        let left = if left {
            format!("; {they} {} left by name", if group.len() > 1 { "were" } else { "was" })
        } else {
            String::new()
        };
        let what =
            format!("{} {runs}, and nothing shows that {they} started on the newest version{left}", subject(group));
        let mut hints = vec![way_on(seen.now, group)];
        if seen.purpose == Purpose::Finalize && !group[0].ends {
            hints.push(leave(seen.now, group));
        }
        Finding(what, hints)
    };
    let unfit = unfit.filter(|reader| !agreed(reader));
    let mounting = seen.now.mounting.iter().filter(|reader| !agreed(reader));
    let mounting = mounting.filter(|reader| state::standing_of_mounting(seen.now, reader) != Standing::OnNewest);
    let mounting: Vec<Finding> = grouped(mounting).iter().map(|group| told_mounting(seen, group)).collect();
    grouped(unfit).iter().map(told).chain(mounting).collect()
}

/// What has the primary from Secret Manager itself: pods that are made afresh read it again there.
fn told_mounting(seen: &Seen, group: &[&OtherReader]) -> Finding {
    let (mounts, they, them) = if group.len() > 1 { ("mount", "they", "them") } else { ("mounts", "it", "it") };
    let what = format!(
        "{} {mounts} the primary from Secret Manager itself ({}), and nothing shows that {they} started on the newest version",
        subject(group),
        group[0].reasons.join("; ")
    );
    let (account, names) = (&seen.now.account, by_owner(group));
    let afresh = match names.as_slice() {
        [owner] if matches!(owner.kind(), "deployment" | "statefulset" | "daemonset") => {
            command!["kubectl", "rollout", "restart", owner, "-n", account]
        }
        _ => delete_pods(seen.now, group),
    };
    let mut hints = vec![Hint::to(format!("start {them} afresh"), afresh)];
    if seen.purpose == Purpose::Finalize {
        hints.push(leave(seen.now, group));
    }
    Finding(what, hints)
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
        true => {
            Hint::to(format!("let {them} end, or restart {them}"), command!["kubectl", "get", "pods", "-n", account])
        }
        false => replace(now, group, ""),
    }
}

/// The command that lets them stay.
fn leave(now: &Observation, group: &[&OtherReader]) -> Hint {
    let leave = Command::secret("finalize", &now.account).with(named::flags("--leave", &by_owner(group)));
    Hint::to("or, where nothing of what it still writes is needed, name it", leave)
}

fn delete_pods(now: &Observation, group: &[&OtherReader]) -> Command {
    let names = group.iter().map(|reader| reader.name.as_str());
    command!["kubectl", "delete", "pod"].with(names).with(["-n", now.account.as_str()])
}

/// The command that ends pods which do not end by themselves, and what becomes of them.
fn replace(now: &Observation, group: &[&OtherReader], first: &str) -> Hint {
    let (them, their) = if group.len() > 1 { ("them", "their") } else { ("it", "its") };
    if let Some(workload) = as_workload(group[0]) {
        let restart = command!["kubectl", "rollout", "restart", workload, "-n", now.account];
        return Hint::to(format!("{first}see that what it reads is copied again, and restart it"), restart);
    }
    let delete = delete_pods(now, group);
    match group[0].is_made_again() {
        true => Hint::to(
            format!("{first}have {their} owner replace {them}"),
            Command::secret("restart", &now.account).with(named::flags("--evict", &by_owner(group))),
        ),
        false => Hint::to(
            format!("{first}end {them}, since nobody makes {them} again, and start again what is to run"),
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
                && (first.word, &first.kept) == (reader.word, &reader.kept)
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
        (_, _) if group.len() > 1 => "see that they are restarted afterwards".into(),
        (_, _) => "see that it is restarted afterwards".into(),
    }
}

fn is_on_newest(now: &Observation, reader: &OtherReader) -> bool {
    state::standing_of_other(now, reader) == Standing::OnNewest
}
