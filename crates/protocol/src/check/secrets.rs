//! Looks at the two secrets: what Secret Manager holds, and what of it arrives in the cluster.

use super::{Finding, Purpose, Seen, under_way};
use crate::facts::names::{VersionId, listed};
use crate::facts::observation::{Source, VersionState};
use crate::hint::{Command, Hint};
use crate::in_use;
use crate::state::{self, State};

pub(super) fn project(seen: &Seen) -> Vec<Finding> {
    let home = &seen.now.home.project;
    let mut findings = Vec::new();
    if let Some(asked) = seen.now.asked_project.as_ref().filter(|asked| *asked != home) {
        findings.push(Finding(
            format!("--project {asked} is not the project that the account's SecretStore reads, {home}: a secret rotated there would never arrive"),
            vec!["leave --project out, or check the context and the namespace".into()],
        ));
    }
    let elsewhere = seen
        .now
        .external_secrets
        .iter()
        .filter(|external| external.home.as_ref().is_some_and(|other| *other != seen.now.home));
    findings.extend(elsewhere.map(|external| {
        let other = external.home.as_ref().map(ToString::to_string).unwrap_or_default();
        Finding(
            format!(
                "external secret {} reads from {other}, others of the account from {}",
                external.name, seen.now.home
            ),
            vec!["let all of them use one store".into()],
        )
    }));
    findings
}

pub(super) fn latest_enabled(seen: &Seen) -> Vec<Finding> {
    match state::secrets_state(seen.now) {
        // The planner knows how to bring the value in use back.
        State::Blocked(state::Blocked::NewestNotEnabled(..)) if seen.want.adopt => Vec::new(),
        State::Blocked(blocked @ (state::Blocked::NoPrimary | state::Blocked::NewestNotEnabled(..))) => {
            let problem = crate::plan::refuse_blocked(seen.now, blocked);
            vec![Finding(problem.message, problem.hints)]
        }
        _ => Vec::new(),
    }
}

pub(super) fn back_compat_enabled(seen: &Seen) -> Vec<Finding> {
    let now = seen.now;
    match state::secrets_state(now) {
        State::Blocked(blocked @ state::Blocked::BackCompatNotEnabled(..)) => {
            let problem = crate::plan::refuse_blocked(now, blocked);
            vec![Finding(problem.message, problem.hints)]
        }
        // While another version holds the account up, that is told; what is displaced stays enabled, and is told after it.
        State::Blocked(_) | State::Rotating { .. } | State::Stable | State::Drifted => Vec::new(),
        // A value that is in the cluster alone may be one that data still needs: a sync would write over it.
        State::AwaitingReencryption => match (in_use::displaced(&now.without(&seen.want.retired)), seen.purpose) {
            (None, _) | (Some(in_use::Displaced::Version(..)), Purpose::Sync) => Vec::new(),
            (Some(displaced), _) => {
                let problem = crate::plan::refuse_displaced(now, &displaced);
                vec![Finding(problem.message, problem.hints)]
            }
        },
    }
}

pub(super) fn predecessor(seen: &Seen) -> Vec<Finding> {
    match state::secrets_state(seen.now) {
        // What the back-compat holds is retired first, and the slot is needed for this one after that.
        State::Blocked(state::Blocked::UnexplainedPredecessor(_))
            if seen.purpose == Purpose::Finalize && state::back_compat_is_live(seen.now) =>
        {
            Vec::new()
        }
        State::Blocked(
            blocked @ (state::Blocked::UnexplainedPredecessor(_)
            | state::Blocked::TwoUncommitted(..)
            | state::Blocked::Foreign(_)
            | state::Blocked::Unreadable(..)),
        ) => {
            let problem = crate::plan::refuse_blocked(seen.now, blocked);
            vec![Finding(problem.message, problem.hints)]
        }
        State::Rotating { from, to } => vec![Finding(
            format!("a rotation from {from} to {to} is under way and not committed"),
            vec![Hint::to("finish it", Command::secret("rotate", &seen.now.account))],
        )],
        _ => Vec::new(),
    }
}

pub(super) fn older_enabled(seen: &Seen) -> Vec<Finding> {
    let older = seen.now.primary.versions.iter().skip(2).filter(|version| version.state == VersionState::Enabled);
    // Whoever was asked about one has let it be (R3).
    let older = older.filter(|version| !seen.now.older.answered.has(Source::Primary, version.id));
    let older: Vec<VersionId> = older.map(|version| version.id).collect();
    if older.is_empty() {
        return Vec::new();
    }
    let secret = &seen.now.primary.secret;
    vec![Finding(
        format!("{secret} has older versions enabled: {}", listed(&older)),
        vec![Hint::to(
            "where data may still be encrypted under one of them, let pods read it",
            Command::secret("rescue", &seen.now.account).with([
                "--from".to_owned(),
                format!("primary/{}", older.first().map(|version| version.get()).unwrap_or_default()),
            ]),
        )],
    )]
}

pub(super) fn terraform(seen: &Seen) -> Vec<Finding> {
    // The label that Google's Terraform provider puts on what it creates.
    let owned = seen.now.primary.labels.iter().any(|(name, _)| name == "goog-terraform-provisioned");
    let finding = Finding(
        format!("{} is managed by Terraform", seen.now.primary.secret),
        vec!["make sure that its next apply neither adds versions nor removes the back-compat secret".into()],
    );
    if owned { vec![finding] } else { Vec::new() }
}

pub(super) fn back_compat_mapped(seen: &Seen) -> Vec<Finding> {
    if seen.want.back_compat_unmapped || seen.now.keys(Source::BackCompat).next().is_some() {
        return Vec::new();
    }
    // Without any reader of the primary there is nothing to show the missing lines for; DD-ES-EXIST says so.
    let Some((external, key)) = seen.now.keys(Source::Primary).next() else { return Vec::new() };
    let secret = &seen.now.back_compat.secret;
    vec![Finding(
        format!("no external secret copies {secret} into the cluster: pods could not read old data after a rotation"),
        vec![
            format!(
                "add under spec.data of {}: {{secretKey: {}_BACK_COMPAT, remoteRef: {{key: {secret}}}}}; \
             or, when the application reads Secret Manager itself: --back-compat-unmapped",
                external.name, key.key
            )
            .into(),
        ],
    )]
}

pub(super) fn back_compat_read(seen: &Seen) -> Vec<Finding> {
    if seen.now.keys(Source::BackCompat).next().is_none() {
        return Vec::new();
    }
    let blind = seen.now.consumers.iter().filter(|consumer| !consumer.reads_back_compat);
    blind
        .map(|consumer| {
            Finding(
                format!(
                    "{} reads the primary but not the back-compat: it cannot read data from before the rotation",
                    consumer.workload
                ),
                vec!["ask its owners whether it needs to".into()],
            )
        })
        .collect()
}

pub(super) fn secrets_current(seen: &Seen) -> Vec<Finding> {
    if under_way(seen) {
        return Vec::new();
    }
    let now = seen.now;
    let keys = now.external_secrets.iter().flat_map(|external| external.keys.iter().map(move |key| (external, key)));
    // A back-compat that does not reach the cluster yet is for `stage` to put right.
    let wrong = keys.filter(|(_, key)| {
        !state::as_expected(now, key) && (key.source == Source::Primary || state::back_compat_is_live(now))
    });
    wrong
        .map(|(external, key)| {
            Finding(
                format!(
                    "Kubernetes Secret {}/{}, key {}, holds {}, not the newest version of the {}",
                    now.account,
                    external.target,
                    key.key,
                    now.holds(key.found),
                    key.source.as_str()
                ),
                vec![Command::secret("sync", &now.account).into()],
            )
        })
        .collect()
}
