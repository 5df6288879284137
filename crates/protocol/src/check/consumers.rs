//! Looks at the workloads: whether a restart reaches every pod, and what the pods started with.

use super::{Finding, Purpose, Seen, under_way};
use crate::command;
use crate::facts::named::Word;
use crate::facts::observation::{Consumer, Rollout};
use crate::hint::{Command, Hint};
use crate::state::{self, Standing};

pub(super) fn consumers_exist(seen: &Seen) -> Vec<Finding> {
    let account = &seen.now.account;
    let mut findings: Vec<Finding> = seen
        .now
        .missing_workloads
        .iter()
        .map(|workload| {
            Finding(
                format!("{workload} does not exist in namespace {account}"),
                vec!["another name? --workload KIND/NAME".into()],
            )
        })
        .collect();
    if seen.now.consumers.is_empty() && findings.is_empty() {
        findings.push(Finding(
            format!("no workload in namespace {account} reads the Kubernetes Secrets"),
            vec!["is this the right account?".into()],
        ));
    }
    findings
}

/// One finding for each consumer for which `look` has something to say. Who is left as it is is not looked at.
pub(super) fn each_consumer(seen: &Seen, look: impl Fn(&Consumer) -> Option<(String, Hint)>) -> Vec<Finding> {
    each_moved(seen, |consumer| look(consumer).map(|(what, hint)| (what, vec![hint])))
}

fn each_moved(seen: &Seen, look: impl Fn(&Consumer) -> Option<(String, Vec<Hint>)>) -> Vec<Finding> {
    let found = seen.now.moved().filter_map(|consumer| look(consumer).map(|found| (consumer, found)));
    found.map(|(consumer, (what, hints))| Finding(format!("{} {what}", consumer.workload), hints)).collect()
}

/// The ways past a consumer that does not come to its end by itself.
fn ways_past(seen: &Seen, consumer: &Consumer) -> Vec<Hint> {
    let with = |flag: &str| {
        let named = [flag.to_owned(), consumer.workload.to_string()];
        Command::secret(seen.purpose.as_str(), &seen.now.account).with(named)
    };
    match seen.purpose {
        Purpose::Rotate | Purpose::Rollback | Purpose::Finalize | Purpose::Restart => vec![
            Hint::to(
                "or have its pods evicted one after the other, and wait for those that are there",
                with("--evict"),
            ),
            Hint::to("or leave it with the value that it has", with("--leave")),
        ],
        Purpose::Sync | Purpose::Verify | Purpose::Rescue => Vec::new(),
    }
}

pub(super) fn paused(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        let resume = command!["kubectl", "rollout", "resume", consumer.workload, "-n", seen.now.account];
        consumer.paused.then(|| ("is paused: a restart of it does nothing".to_owned(), resume.into()))
    })
}

pub(super) fn held_back(seen: &Seen) -> Vec<Finding> {
    each_moved(seen, |consumer| {
        // Evicted, all its pods are made anew.
        let why = consumer.holds_back.as_ref().filter(|_| consumer.moving.word != Word::Evict)?;
        let mut hints = vec!["set spec.updateStrategy to RollingUpdate, without a partition".into()];
        hints.extend(ways_past(seen, consumer));
        Some((format!("does not replace all its pods on a restart: {why}"), hints))
    })
}

pub(super) fn healthy(seen: &Seen) -> Vec<Finding> {
    // A rotation under way restarts them, and its restart step says what is wrong in their own words.
    if under_way(seen) {
        return Vec::new();
    }
    each_moved(seen, |consumer| {
        let status = command!["kubectl", "rollout", "status", consumer.workload, "-n", seen.now.account];
        if consumer.is_rolled_out() {
            return None;
        }
        let waits_for = match consumer.moving.waits_for.as_slice() {
            [] => String::new(),
            waits_for => format!("; {}", waits_for.join("; ")),
        };
        let mut hints: Vec<Hint> = vec![status.into()];
        if !consumer.moving.waits_for.is_empty() && !consumer.paused {
            hints.extend(ways_past(seen, consumer));
        }
        match &consumer.rollout {
            Rollout::Complete => Some(("has pods that are not ready".to_owned(), hints)),
            Rollout::Progressing { available, desired } => {
                let what = format!(
                    "is not fully rolled out: {available} of {} {} new and available{waits_for}",
                    pods(usize::try_from(*desired).unwrap_or(usize::MAX)),
                    if *desired == 1 { "is" } else { "are" }
                );
                Some((what, hints))
            }
            Rollout::Stuck { reason } => Some((format!("is stuck: {reason}"), hints)),
        }
    })
}

pub(super) fn costs(seen: &Seen) -> Vec<Finding> {
    let told = seen.now.moved().flat_map(|consumer| {
        let costs = consumer.moving.costs.iter();
        costs.map(|cost| Finding(format!("{} {cost}", consumer.workload), vec!["choose the hour".into()]))
    });
    told.collect()
}

pub(super) fn pods_current(seen: &Seen) -> Vec<Finding> {
    if under_way(seen) {
        return Vec::new();
    }
    let restart = Command::secret("restart", &seen.now.account);
    // The back-compat that holds the current value shows that a rotation got as far as `stage`, which writes the
    // Kubernetes Secrets: pods that were proven before it are unproven after it, and must not stop its repetition.
    // Who asks for a proof gets none, though.
    let staged = seen.purpose == Purpose::Rotate
        && seen.now.back_compat.value().is_some()
        && !state::back_compat_is_live(seen.now);
    each_consumer(seen, |consumer| {
        let count =
            |wanted| consumer.pods.iter().filter(|pod| state::standing(seen.now, consumer, pod) == wanted).count();
        match (count(Standing::Older), count(Standing::Unproven)) {
            (0, 0) => None,
            (0, _) if staged => None,
            (0, unproven) => Some((
                format!("has {} not proven to have started on the newest version", pods(unproven)),
                restart.clone().into(),
            )),
            (older, _) => {
                Some((format!("has {} that started on an older version", pods(older)), restart.clone().into()))
            }
        }
    })
}

/// `1 pod`, `2 pods`.
fn pods(number: usize) -> String {
    format!("{number} pod{}", if number == 1 { "" } else { "s" })
}

pub(super) fn reloader(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        let by = consumer.reloader.as_ref()?;
        Some((
            format!("is restarted by {by} as soon as one Secret changes: it may roll out twice"),
            "no action is needed: the pods are checked one by one".into(),
        ))
    })
}

pub(super) fn gitops(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        let by = match consumer.gitops? {
            crate::facts::observation::GitOps::Flux => "Flux",
            crate::facts::observation::GitOps::ArgoCd => "Argo CD",
        };
        Some((
            format!("is kept by {by}, which may remove the restart annotation"),
            format!("let {by} ignore annotations of the pod template").into(),
        ))
    })
}

pub(super) fn one_pod(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        (consumer.desired == 1).then(|| ("has a single pod".to_owned(), "its restart may interrupt its service".into()))
    })
}
