//! Looks at the workloads: whether a restart reaches every pod, and what the pods started with.

use super::{Finding, Purpose, Seen, under_way};
use crate::command;
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

/// One finding for each consumer for which `look` has something to say.
pub(super) fn each_consumer(seen: &Seen, look: impl Fn(&Consumer) -> Option<(String, Hint)>) -> Vec<Finding> {
    let found = seen.now.consumers.iter().filter_map(|consumer| look(consumer).map(|found| (consumer, found)));
    found.map(|(consumer, (what, hint))| Finding(format!("{} {what}", consumer.workload), vec![hint])).collect()
}

pub(super) fn paused(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        let resume = command!["kubectl", "rollout", "resume", consumer.workload, "-n", seen.now.account];
        consumer.paused.then(|| ("is paused: a restart of it does nothing".to_owned(), resume.into()))
    })
}

pub(super) fn held_back(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        let why = consumer.holds_back.as_ref()?;
        Some((
            format!("does not replace all its pods on a restart: {why}"),
            "set spec.updateStrategy to RollingUpdate, without a partition".into(),
        ))
    })
}

pub(super) fn healthy(seen: &Seen) -> Vec<Finding> {
    // A rotation under way restarts them, and its restart step says what is wrong in their own words.
    if under_way(seen) {
        return Vec::new();
    }
    each_consumer(seen, |consumer| {
        let status = command!["kubectl", "rollout", "status", consumer.workload, "-n", seen.now.account];
        match &consumer.rollout {
            Rollout::Complete => None,
            Rollout::Progressing { available, desired } => Some((
                format!(
                    "is not fully rolled out: {available} of {} {} new and available",
                    pods(usize::try_from(*desired).unwrap_or(usize::MAX)),
                    if *desired == 1 { "is" } else { "are" }
                ),
                status.into(),
            )),
            Rollout::Stuck { reason } => Some((format!("is stuck: {reason}"), status.into())),
        }
    })
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
                format!("has {} that nothing proves to have started on the newest version", pods(unproven)),
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
            "nothing: the pods are checked one by one".into(),
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
            format!("is kept by {by}, which may take the restart annotation away again"),
            format!("let {by} ignore annotations of the pod template").into(),
        ))
    })
}

pub(super) fn one_pod(seen: &Seen) -> Vec<Finding> {
    each_consumer(seen, |consumer| {
        (consumer.desired == 1)
            .then(|| ("has a single pod".to_owned(), "its restart may interrupt what it serves".into()))
    })
}
