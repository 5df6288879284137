//! What is due next for an account, and the commands for it. Pure, like the planner, and held to agree with it.

use super::{Want, plan, refuse, refuse_blocked, refuse_displaced};
use crate::command;
use crate::facts::observation::{Consumer, Observation, Rollout};
use crate::hint::{Command, Hint};
use crate::in_use;
use crate::problem::Problem;
use crate::result::{CheckResult, Verdict};
use crate::state::{self, Blocked, State};
use crate::status::Due;

/// What is due next; none when nothing is. `checks` are those of a verification; `old` says why a version that is fine
/// is to be replaced all the same.
pub fn next(now: &Observation, checks: &[CheckResult], old: Option<String>) -> Option<Due> {
    let secret = |verb: &str| Command::secret(verb, &now.account);
    let due = |action, what: String, commands: Vec<Command>| Some(Due { action, what, commands });
    match state::state(now) {
        State::Rotating { .. } if state::called_off(now).is_some() => {
            due("rollback", "finish giving up the value that was announced".to_owned(), vec![secret("rollback")])
        }
        State::Rotating { from, to } => due(
            "rotate",
            format!("finish the rotation from {from} to {to}, or go back"),
            vec![secret("rotate"), secret("rollback")],
        ),
        State::AwaitingReencryption => awaiting(now),
        State::Drifted => Some(drifted(now)),
        // R7: what holds an account up has a command that leads on.
        State::Blocked(blocked) => Some(blocked_by(now, blocked)),
        State::Stable => match (checks.iter().find(|check| check.result == Verdict::Fail), old) {
            (Some(failed), _) => {
                let command = command_in(&failed.hints).unwrap_or_else(|| secret("verify"));
                due("verify", failed.message.clone(), vec![command])
            }
            (None, Some(old)) => due("rotate", old, vec![secret("rotate")]),
            (None, None) => None,
        },
    }
}

/// The first command for what is behind in the cluster; none where nothing is, or where a person has to look first.
pub(super) fn behind(now: &Observation) -> Option<Command> {
    is_behind(now).then(|| drifted(now).commands.into_iter().next()).flatten()
}

/// Whether something has to be brought or proven first: finalizing refuses what is not proven.
fn is_behind(now: &Observation) -> bool {
    state::drifts(now) || !state::all_on_newest(now)
}

fn awaiting(now: &Observation) -> Option<Due> {
    if let Some(displaced) = in_use::displaced(now) {
        let what = refuse_displaced(now, &displaced).message;
        return Some(Due { action: "rescue", what, commands: vec![refuse::rescue_command(now, &displaced)] });
    }
    let newest = now.primary.newest()?.id;
    let line = |verb: &str| Command::secret(verb, &now.account);
    if state::is_finalizing(now) {
        let what = "finish the finalization that was begun".to_owned();
        return Some(Due { action: "finalize", what, commands: vec![line("finalize")] });
    }
    // Whoever began it: the same command brings it to its end.
    if super::half_spread(now) {
        let what = format!("finish the rotation to {newest}, which others began");
        return Some(Due { action: "rotate", what, commands: vec![line("rotate")] });
    }
    let unrecorded = plan(&Want::default(), now).ok();
    // Both refuse while something is behind.
    if is_behind(now) {
        let mut first = drifted(now);
        first.commands.push(line(if unrecorded.is_some() { "rotate" } else { "finalize" }));
        return Some(first);
    }
    if let Some(plan) = unrecorded {
        let what = format!("the rotation from {} to {} is committed, and did not record its end", plan.from, plan.to);
        return Some(Due { action: "rotate", what, commands: vec![line("rotate")] });
    }
    let what = format!("save every encrypted field again, under primary {newest}; then retire the old value");
    Some(Due { action: "finalize", what, commands: vec![line("finalize")] })
}

fn drifted(now: &Observation) -> Due {
    let line = |verb: &str| Command::secret(verb, &now.account);
    let newest = now.primary.newest().map(|newest| newest.id.to_string()).unwrap_or_default();
    let behind = now.external_secrets.iter().find_map(|external| {
        let key = external.keys.iter().find(|key| !state::as_expected(now, key))?;
        Some(format!("secret/{} {} does not hold what it should", external.target, key.key))
    });
    if let Some(what) = behind {
        if let Err(refused) = super::may_sync(now, &[]) {
            let commands = command_in(&refused.hints).into_iter().collect();
            return Due { action: "repair", what: refused.message, commands };
        }
        return Due { action: "sync", what, commands: vec![line("sync"), line("restart")] };
    }
    let late: Vec<&Consumer> = now.consumers.iter().filter(|consumer| !state::is_on_newest(now, consumer)).collect();
    let stuck = late.iter().find_map(|consumer| match &consumer.rollout {
        Rollout::Stuck { reason } => Some((&consumer.workload, reason)),
        Rollout::Complete | Rollout::Progressing { .. } => None,
    });
    if let Some((workload, reason)) = stuck {
        let look = command!["kubectl", "describe", workload, "-n", now.account];
        let what = format!("the rollout of {workload} is stuck: {reason}");
        return Due { action: "restart", what, commands: vec![look, line("restart")] };
    }
    let under_way = late.iter().all(|consumer| matches!(consumer.rollout, Rollout::Progressing { .. }));
    let names = late.iter().map(|consumer| consumer.workload.to_string()).collect::<Vec<_>>().join(", ");
    match under_way {
        true => Due {
            action: "verify",
            what: format!("the rollout of {names} is under way"),
            commands: vec![line("verify")],
        },
        false => Due {
            action: "restart",
            what: format!("nothing proves that every pod of {names} started on {newest}"),
            commands: vec![line("restart")],
        },
    }
}

fn blocked_by(now: &Observation, blocked: Blocked) -> Due {
    let problem: Problem = refuse_blocked(now, blocked);
    let commands = command_in(&problem.hints).into_iter().collect();
    Due { action: "repair", what: problem.message, commands }
}

/// The first command that is named.
fn command_in(hints: &[Hint]) -> Option<Command> {
    hints.iter().find_map(|hint| hint.command().cloned())
}

#[cfg(test)]
#[path = "tests/next.rs"]
mod tests;
