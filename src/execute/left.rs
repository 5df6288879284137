//! What a run left that did not come to its end, and what leads on.
//!
//! Looked at afresh: others may have written meanwhile, and a request that had no answer may have arrived.

use std::time::Duration;

use futures::future::try_join3;

use super::Progress;
use crate::clients::secret_manager::{Access, Which};
use crate::observe::vault::Vault;
use crate::observe::versions::newest;
use crate::run::Run;
use deepdesk_protocol::explain;
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::observation::{SecretView, ValueTag, Version, VersionState};
use deepdesk_protocol::hint::{Command, Hint};
use deepdesk_protocol::problem::{Exit, Problem};
use deepdesk_protocol::step::Plan;

/// How long the look may take: whoever waits for the end of a run has waited already.
const LOOK: Duration = Duration::from_secs(5);

/// What the look found.
enum Look {
    /// What this run knew.
    AsKnown,
    /// Something else, in words.
    Otherwise(Vec<String>),
    /// Nothing: why not.
    Unread(String),
}

/// A problem with what holds now, and the exit code that goes with how far the run came.
pub(super) async fn explained(run: &Run<'_>, plan: &Plan, progress: &mut Progress, problem: Problem) -> Problem {
    let looked = look(run, plan, progress).await;
    let problem = coded(progress, problem);
    match looked {
        Look::AsKnown => stopped(plan, progress, problem),
        Look::Unread(why) => stopped(plan, progress, problem.now(format!("what follows was seen before: {why}"))),
        Look::Otherwise(lines) => {
            let problem = match progress.changed {
                true => problem,
                false => problem.now("this run changed nothing"),
            };
            lines.iter().fold(problem, Problem::now).hint(Hint::to(
                "see what is there now, and what is due",
                Command::secret("status", &run.request.account),
            ))
        }
    }
}

fn stopped(plan: &Plan, progress: &Progress, problem: Problem) -> Problem {
    explain::stopped(plan, &progress.seen.now, progress.changed).told(problem)
}

fn coded(progress: &Progress, mut problem: Problem) -> Problem {
    problem.exit = match (progress.changed, problem.exit) {
        // A lock that was lost before the first write, say.
        (false, Exit::Incomplete) => Exit::Failed,
        (true, exit) if exit != Exit::Interrupted => Exit::Incomplete,
        (_, exit) => exit,
    };
    problem
}

/// Reads the newest version of both secrets by number, and the one that the run began with; notes what is there.
async fn look(run: &Run<'_>, plan: &Plan, progress: &mut Progress) -> Look {
    let manager = run.secret_manager.clone().with_call_deadline(LOOK);
    let now = &progress.seen.now;
    let (home, primary, back_compat) = (&now.home, &now.primary.secret, &now.back_compat.secret);
    let reads = try_join3(
        newest(&manager, home, primary),
        newest(&manager, home, back_compat),
        manager.access(home, primary, Which::Number(plan.from)),
    );
    let (primary, back_compat, from) = match tokio::time::timeout(LOOK, reads).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Look::Unread(error.to_string()),
        Err(_) => return Look::Unread("Secret Manager does not answer".to_owned()),
    };
    let sent = progress.sent.last.clone();
    let before = now.primary.newest().map(|newest| newest.id);
    let (now, vault) = (&mut progress.seen.now, &mut progress.seen.vault);
    let mut lines = Vec::new();
    for (view, found) in [(&mut now.primary, primary), (&mut now.back_compat, back_compat)] {
        let sent = sent.as_ref().filter(|(secret, _)| *secret == view.secret).map(|(_, value)| *value);
        lines.extend(found.and_then(|(id, access)| differs(view, vault, id, access, sent)));
    }
    let newest = now.primary.newest().map(|newest| newest.id);
    let ours = sent.filter(|(secret, _)| *secret == now.primary.secret).map(|(_, value)| value);
    progress.sent.overtaken = newest != before && (ours.is_none() || ours != now.primary.value());
    if newest != Some(plan.from) {
        lines.extend(differs(&mut now.primary, vault, plan.from, from, None));
    }
    if lines.is_empty() { Look::AsKnown } else { Look::Otherwise(lines) }
}

/// Notes what a version is, and says it in words; none where that was known.
fn differs(
    view: &mut SecretView,
    vault: &mut Vault,
    id: VersionId,
    access: Access,
    sent: Option<ValueTag>,
) -> Option<String> {
    let (state, value) = match access {
        Access::Enabled { payload, .. } => (VersionState::Enabled, Some(vault.keep(payload))),
        Access::NotEnabled { state } => (state, None),
        Access::Missing => return None,
    };
    let secret = &view.secret;
    let Some(known) = view.versions.iter_mut().find(|version| version.id == id) else {
        let line = match value {
            Some(value) if sent == Some(value) => {
                format!("{id} is the newest version of {secret}: it has the value that this run sent, and arrived late")
            }
            _ => format!("{id} is the newest version of {secret}, and this run did not add it"),
        };
        view.versions.insert(0, Version { id, state, value, created: None });
        view.exists = true;
        return Some(line);
    };
    if known.state == state && (value.is_none() || known.value.is_none() || known.value == value) {
        return None;
    }
    known.state = state;
    known.value = value.or(known.value);
    Some(format!("{id} of {secret} is {} now, and not by this run", word(state)))
}

fn word(state: VersionState) -> &'static str {
    match state {
        VersionState::Enabled => "enabled",
        VersionState::Disabled => "disabled",
        VersionState::Destroyed => "destroyed",
    }
}
