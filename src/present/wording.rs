//! The words for what happens in a run.

use deepdesk_protocol::facts::names::{WorkloadRef, listed};
use deepdesk_protocol::happening::{Happening, Outcome, in_one_line};
use deepdesk_protocol::step::Step;

/// What is told of it, in words.
pub fn words(happening: &Happening) -> String {
    match happening {
        Happening::Reads => "reading Secret Manager and the cluster".to_owned(),
        Happening::Passed { checks, warnings: 0 } => format!("{} passed", counted(*checks, "check")),
        Happening::Passed { checks, warnings } => {
            format!("{} passed, {}", counted(*checks, "check"), counted(*warnings, "warning"))
        }
        Happening::Warns { check, message } => format!("{message} [{check}]"),
        Happening::Asks => "asking".to_owned(),
        Happening::Confirmed => "confirmed".to_owned(),
        Happening::Unasked { flags } => flags.clone(),
        Happening::TakesLock => "taking the lock".to_owned(),
        Happening::HoldsLock { by } => format!("held by {by}"),
        Happening::ReleasesLock => "releasing the lock".to_owned(),
        Happening::Released => "released".to_owned(),
        Happening::NotReleased { why } => format!("not released, it ends by itself: {why}"),
        Happening::NoEvent { why } => format!("no Event was written: {why}"),
        Happening::Begins(step) => begins(step),
        Happening::Did(step, outcome) => did(step, outcome),
        Happening::Skips { why } => why.clone(),
        Happening::Failed { message } => message.clone(),
        Happening::StartedMeanwhile { pods, cannot_read } => format!(
            "{} started during the exchange and may not read what is written under {cannot_read} until this restart replaces them: {}",
            counted(pods.len(), "pod"),
            pods.join(", ")
        ),
        Happening::AsksToCopy { external_secrets } => {
            format!("asking External Secrets to copy: {}", listed(external_secrets))
        }
        Happening::WouldSync { external_secrets, on_server } => {
            format!("would sync {} ({})", listed(external_secrets), dry_run(*on_server))
        }
        Happening::AllHoldNewest => "every key holds the newest version, compared byte by byte".to_owned(),
        Happening::Awaits(awaited) => in_one_line(awaited),
        Happening::Restarts { workloads } => format!("restarting {}", listed(workloads)),
        Happening::WouldRestart { workloads, on_server } => {
            format!("would restart {} ({})", listed(workloads), dry_run(*on_server))
        }
        Happening::Restarted { workloads } => restarted(workloads),
        Happening::Replaces(replacements) => in_one_line(replacements),
        Happening::Settles { workloads } => {
            let moving = workloads.iter().map(|workload| format!("{workload}: its pods are changing"));
            moving.collect::<Vec<_>>().join("; ")
        }
        Happening::WrittenMeanwhile { secrets } => format!(
            "{} was written while pods started: comparing it, and restarting its readers once more",
            listed(secrets)
        ),
        Happening::NoteTakenAway { workload } => {
            format!("something removed the restart annotation from {workload}: checking when each pod started")
        }
        Happening::PutsRight { wrong } => wrong.join("; "),
        Happening::RunsJob { command, job, workload, container } => {
            format!("running `{command}` as job {job}, made from {workload} (container {container})")
        }
        Happening::NothingLeft { command } => format!("`{command}` says that nothing is left"),
        Happening::DeletedJob { job } => format!("job {job}, which an earlier run left behind, is deleted"),
        Happening::LogUnread { why } => format!("what the command writes cannot be shown: {why}"),
        Happening::Says(text) => text.clone(),
    }
}

fn dry_run(on_server: bool) -> &'static str {
    if on_server { "server dry run" } else { "dry run" }
}

fn restarted(workloads: &[WorkloadRef]) -> String {
    match workloads.is_empty() {
        true => "nothing to restart".to_owned(),
        false => format!("{} restarted: every pod is new, and no old pod is left", listed(workloads)),
    }
}

/// A number of things: `1 pod`, `2 pods`.
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// What a step is about to do.
fn begins(step: &Step) -> String {
    match step {
        Step::DisableOlder { versions, .. } => format!("disabling {}", listed(versions)),
        Step::RetireOlder { secret, versions } => format!("disabling {} of {secret}", listed(versions)),
        Step::Destroy { secret, versions } => format!("destroying {} of {secret}", listed(versions)),
        Step::Enable { secret, version } => format!("enabling {version} of {secret}, to read its value"),
        Step::CreateBackCompat { secret, .. } => format!("creating {secret}"),
        Step::StoreBackCompat { secret, value_of } => format!("storing {value_of} in {secret}"),
        Step::Stage { .. } => "syncing the back-compat into the cluster".to_owned(),
        Step::Announce { secret, expect } => format!("adding the next value to {secret}, as {expect}"),
        Step::Spread { .. } => "syncing the next value into the cluster, for every pod to read".to_owned(),
        Step::Prepare { workloads, .. } => {
            format!("restarting {}, to read the next value and write the present one", listed(workloads))
        }
        Step::AddVersion { secret, expect, .. } => format!("adding {expect} to {secret}"),
        Step::Sync { version, .. } => format!("syncing {version} into the cluster"),
        Step::Restart { workloads, .. } => format!("restarting {}", listed(workloads)),
        Step::Verify { .. } => "checking every Kubernetes Secret and every pod".to_owned(),
        Step::DisablePrevious { version, .. } => format!("disabling {version}"),
    }
}

/// What is there after a step, in words.
fn did(step: &Step, outcome: &Outcome) -> String {
    match step {
        Step::DisableOlder { versions, .. } => match versions.len() {
            1 => "1 older version is disabled".to_owned(),
            several => format!("{several} older versions are disabled"),
        },
        Step::Enable { secret, version } => format!("{version} of {secret} is enabled"),
        Step::CreateBackCompat { secret, like } => {
            format!("{secret} exists, with the settings and the access policy of {like}")
        }
        Step::StoreBackCompat { secret, value_of } => match outcome.stored {
            Some(stored) => format!("{secret} {stored} holds {value_of}"),
            None => format!("{secret} holds {value_of}"),
        },
        Step::Stage { value_of, .. } => format!("the Kubernetes Secrets hold {value_of} as back-compat"),
        Step::Announce { secret, expect } => format!("{secret} {expect} holds the next value"),
        Step::Spread { version, .. } => {
            format!("the Kubernetes Secrets hold {version} of the back-compat, the next value")
        }
        Step::Prepare { .. } | Step::Restart { .. } => restarted(&outcome.restarted),
        Step::AddVersion { secret, expect, .. } => format!("{secret} {expect} is there, read back by number"),
        Step::Sync { version, .. } => format!("the Kubernetes Secrets hold {version}, compared byte by byte"),
        Step::Verify { version } => {
            format!("every Kubernetes Secret and every pod is on {version}, and no old pod is left")
        }
        Step::RetireOlder { secret, versions } => {
            format!("{} of {secret} disabled: {}", counted(versions.len(), "version"), listed(versions))
        }
        Step::Destroy { secret, versions } => {
            let done = match outcome.is_scheduled {
                true => "disabled, and destroyed after the secret's delay",
                false => "destroyed for good",
            };
            format!("{} of {secret} {done}: {}", counted(versions.len(), "version"), listed(versions))
        }
        Step::DisablePrevious { version, .. } => format!("{version} is disabled"),
    }
}
