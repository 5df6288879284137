//! Makes the result object of an account from what was seen and done.

use super::session::Desk;
use crate::observe::served;
use deepdesk_protocol::check::{self, catalogue};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::observation::{Consumer, ExternalSecretView, Observation, Ready};
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::in_use;
use deepdesk_protocol::live;
use deepdesk_protocol::lock::AtWork;
use deepdesk_protocol::plan;
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{
    self, API_VERSION, AccountResult, BackCompatResult, CheckResult, ConsumerResult, EvidenceResult,
    ExternalSecretResult, KeyResult, Kind, NextResult, PrimaryResult, StepResult, Verdict, VersionResult,
};
use deepdesk_protocol::state::{self, Standing};
use deepdesk_protocol::status;

/// What a command found out until it ended, well or not.
#[derive(Default)]
pub struct Found {
    /// The last observation.
    pub now: Option<Observation>,
    pub checks: Vec<CheckResult>,
    /// Those of them that are about rights.
    pub access: Vec<CheckResult>,
    /// How long old and new pods served side by side.
    pub interruption: Option<std::time::Duration>,
    /// The versions of a rotation.
    pub rotation: Option<deepdesk_protocol::result::RotationResult>,
    /// The form of the value that is made here, where one is.
    pub form: Option<deepdesk_protocol::facts::shape::Form>,
    /// What showed that re-encryption is done, or did not.
    pub evidence: Option<EvidenceResult>,
    /// Where a leaked value can still be read.
    pub exposed: Vec<String>,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// Whether the API server judged every change to the cluster.
    pub judged_by_server: bool,
    /// Whether all was there already.
    pub nothing_to_do: bool,
    /// Who else is at work.
    pub at_work: Option<AtWork>,
}

/// The result object, and the problem again for whoever shows it.
pub fn outcome(desk: &Desk, kind: Kind, found: Found, ended: Result<(), Problem>) -> (AccountResult, Option<Problem>) {
    let mut problem = ended.err();
    let mut found = found;
    let steps = desk.teller.steps();
    if let Some(problem) = problem.as_mut().filter(|problem| problem.exit == Exit::Interrupted)
        && !wrote(&steps)
        && !problem.message.contains("nothing was changed")
    {
        problem.message = format!("{}: nothing was changed", problem.message);
    }
    // The cause is told, and not what follows from it.
    if problem.as_ref().is_some_and(|problem| problem.reason == Reason::NoSuchNamespace) {
        (found.now, found.checks) = (None, Vec::new());
    }
    if let Some(problem) = problem.as_mut().filter(|problem| served::REASONS.contains(&problem.reason)) {
        found.checks.push(not_served(problem));
        problem.message = format!("{} [{}]", problem.message, catalogue::ES_API_ID);
    }
    let next = match kind {
        // It decides by age, too, and says so itself.
        Kind::SecretStatus if problem.is_none() => Vec::new(),
        _ => next(&found, problem.as_ref()),
    };
    let text = |name: &dyn Fn(&Observation) -> String| found.now.as_ref().map(name).unwrap_or_default();
    let result = AccountResult {
        api_version: API_VERSION,
        kind,
        account: desk.request.account.to_string(),
        namespace: desk.request.account.to_string(),
        context: desk.request.context.clone(),
        project: text(&|now| now.home.project.to_string()),
        state: text(&|now| state::state(now).to_string()),
        reason: problem.as_ref().map(|problem| problem.reason.to_string()).unwrap_or_default(),
        message: problem.as_ref().map(|problem| problem.message.clone()).unwrap_or_default(),
        exit_code: problem.as_ref().map_or(Exit::Done, |problem| problem.exit).code(),
        problem: problem.as_ref().map(Into::into),
        nothing_to_do: found.nothing_to_do,
        dry_run: found.dry_run,
        judged_by_server: found.judged_by_server && problem.is_none(),
        at_work: found.at_work,
        primary: found.now.as_ref().map(primary),
        back_compat: found.now.as_ref().map(back_compat),
        external_secrets: found
            .now
            .iter()
            .flat_map(|now| now.external_secrets.iter().map(|external| external_secret(now, external)))
            .collect(),
        consumers: found
            .now
            .iter()
            .flat_map(|now| now.consumers.iter().map(|consumer| self::consumer(now, consumer)))
            .collect(),
        other_readers: found.now.iter().flat_map(|now| now.other_readers.clone()).collect(),
        not_looked_at: found.now.iter().flat_map(|now| now.not_looked_at.clone()).collect(),
        readers: found.now.as_ref().map(result::readers).unwrap_or_default(),
        lost_pods: found.now.iter().flat_map(|now| now.lost_pods.clone()).collect(),
        checks: found.checks,
        rotation: found.rotation,
        status: None,
        evidence: found.evidence,
        live: found.now.as_ref().map(live::live).unwrap_or_default(),
        next,
        without_slot: found.now.as_ref().map(|now| in_use::without_slot(now, now.slots())).unwrap_or_default(),
        exposed: found.exposed,
        steps,
        interruption_seconds: found.interruption.map(|time| (time.as_secs_f64() * 1000.0).round() / 1000.0),
    };
    (result, problem)
}

/// What to do next. Who else is at work does what is due, and nobody else is told to.
fn next(found: &Found, problem: Option<&Problem>) -> Vec<NextResult> {
    let told = problem.map(NextResult::after).unwrap_or_default();
    let due = found.now.as_ref().filter(|_| told.is_empty() && found.at_work.is_none());
    let due = due.and_then(|now| plan::next(now, &found.checks, None));
    told.into_iter().chain(due.iter().flat_map(NextResult::due)).collect()
}

/// What `check` would have said.
fn not_served(problem: &Problem) -> CheckResult {
    catalogue::result(catalogue::ES_API_ID, Verdict::Fail, problem.message.clone(), problem.hints.clone())
}

fn primary(now: &Observation) -> PrimaryResult {
    let versions = now.primary.versions.iter();
    PrimaryResult {
        secret: now.primary.secret.to_string(),
        latest: now.primary.newest().map(|newest| newest.id.get().to_string()).unwrap_or_default(),
        versions: versions
            .map(|version| VersionResult {
                version: version.id.get().to_string(),
                state: version.state,
                created: version.created,
            })
            .collect(),
    }
}

fn back_compat(now: &Observation) -> BackCompatResult {
    let holds = now
        .back_compat
        .newest()
        .map(|newest| newest.value.and_then(|value| now.name_of(value)).unwrap_or_else(|| "unknown".to_owned()));
    BackCompatResult {
        secret: now.back_compat.secret.to_string(),
        latest: now.back_compat.newest().map(|newest| newest.id.get().to_string()).unwrap_or_default(),
        holds: holds.unwrap_or_else(|| "nothing".to_owned()),
        same_as: status::keeps_value_of(now),
        live: state::back_compat_is_live(now),
    }
}

fn external_secret(now: &Observation, external: &ExternalSecretView) -> ExternalSecretResult {
    let keys = external.keys.iter().map(|key| KeyResult {
        key: key.key.clone(),
        source: key.source,
        same_as: same_as(now, &now.holds(key.found)),
        holds: now.holds(key.found),
        as_expected: state::as_expected(now, key),
    });
    ExternalSecretResult {
        name: external.name.to_string(),
        ready: matches!(external.ready, Ready::True { .. }),
        refreshed: external.refreshed,
        target: external.target.to_string(),
        keys: keys.collect(),
    }
}

/// The version of the primary behind a name that says only where its value is kept.
fn same_as(now: &Observation, holds: &str) -> Option<String> {
    let newest = now.back_compat.newest()?;
    status::keeps_value_of(now).filter(|_| holds == format!("back-compat {}", newest.id))
}

/// Whether any step began that may write.
fn wrote(steps: &[StepResult]) -> bool {
    let only_asks = |step: &&StepResult| {
        step.state == StepState::Skipped
            || matches!(step.name, StepName::Preflight | StepName::Confirm | StepName::Lock | StepName::Unlock)
    };
    steps.iter().any(|step| !only_asks(&step))
}

fn consumer(now: &Observation, consumer: &Consumer) -> ConsumerResult {
    let on_newest =
        consumer.pods.iter().filter(|pod| state::standing(now, consumer, pod) == Standing::OnNewest).count();
    let unproven = consumer.pods.iter().filter(|pod| state::standing(now, consumer, pod) == Standing::Unproven).count();
    let count = |pods: usize| u32::try_from(pods).unwrap_or(u32::MAX);
    ConsumerResult {
        kind: consumer.workload.kind.as_str().to_owned(),
        name: consumer.workload.name.to_string(),
        reasons: consumer.reasons.clone(),
        desired: consumer.desired,
        on_latest: count(on_newest),
        older: count(consumer.pods.len() - on_newest),
        unproven: count(unproven),
    }
}

/// Refuses for what has to be put right first, then with the planner's own word where it stands alone, then for any other check:
/// a cause is told before what follows from it.
pub fn refuse(checks: &[CheckResult], planners: Option<&Problem>) -> Result<(), Problem> {
    let first: Vec<CheckResult> = checks.iter().filter(|check| check::comes_first(check.id)).cloned().collect();
    if let Some(refused) = refusal(&first, Exit::Refused) {
        return Err(refused);
    }
    match planners {
        // The check that says the same gives it its id.
        Some(refused) => match checks.iter().find(|check| check.message == refused.message) {
            Some(check) => Err(Problem { message: told(check), ..refused.clone() }),
            None => Err(refused.clone()),
        },
        None => refusal(checks, Exit::Refused).map_or(Ok(()), Err),
    }
}

/// A finding with the id of its check.
fn told(check: &CheckResult) -> String {
    format!("{} [{}]", check.message, check.id)
}

/// The refusal that failed checks amount to; none when none failed.
pub fn refusal(checks: &[CheckResult], exit: Exit) -> Option<Problem> {
    let mut failed = checks.iter().filter(|check| check.result == Verdict::Fail);
    let first = failed.next()?;
    let reason = if first.id.ends_with("-ACCESS") { Reason::Forbidden } else { Reason::CheckFailed };
    let exit = if first.id.ends_with("-ACCESS") { Exit::Failed } else { exit };
    let problem = failed.fold(Problem::new(reason, told(first)).with_exit(exit), |problem, check| {
        problem.now(format!("also: {}", told(check)))
    });
    let mut hints: Vec<&Hint> = Vec::new();
    for hint in checks.iter().filter(|check| check.result == Verdict::Fail).flat_map(|check| &check.hints) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    Some(hints.into_iter().fold(problem, |problem, hint| problem.hint(hint.clone())))
}
