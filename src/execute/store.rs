//! The steps that write to Secret Manager. Each looks, by number, that its effect is there.

use std::time::Duration;

use super::Progress;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::secret_manager::{Access, Policy, Which};
use crate::lock::Lock;
use crate::run::Run;
use deepdesk_protocol::command;
use deepdesk_protocol::effects::Content;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::{SecretHome, SecretId, VersionId};
use deepdesk_protocol::facts::observation::{Source, ValueTag, Version, VersionState};
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// Pauses between looks for a version whose adding got no answer: it may still arrive.
const LOOKS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How often an addition is repeated after answers that say that the server failed and did not store it.
const REPEATS: usize = 4;

/// Creates the back-compat with the primary's settings, and copies the primary's IAM policy onto it.
///
/// The policy comes before the first version: a back-compat without versions is one whose policy may be missing, and
/// is finished here on resumption (External Secrets may read the primary by a binding on that secret alone).
pub async fn create_like(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    secret: &SecretId,
    like: &SecretId,
) -> Result<(), Problem> {
    let (home, fence) = (&progress.seen.now.home, lock.fence());
    let (manager, gone) =
        (run.secret_manager, || Problem::new(Reason::NotFound, format!("secret {like} does not exist")));
    if !progress.seen.now.back_compat.exists {
        let settings = manager.settings(home, like).await?.ok_or_else(gone)?;
        let mut created = manager.create(home, secret, &settings, &fence).await;
        progress.changed |= may_have_arrived(&created);
        if created.as_ref().is_err_and(ApiError::is_outcome_unknown) && manager.settings(home, secret).await?.is_none()
        {
            // It did not arrive. Should it still do so, one of the two finds that the secret exists.
            created = manager.create(home, secret, &settings, &fence).await.map_err(ApiError::after_sending);
        }
        match created {
            Ok(()) => {}
            Err(error) if error.kind == ApiErrorKind::AlreadyExists || error.is_outcome_unknown() => {
                if manager.settings(home, secret).await?.is_none() {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        progress.changed = true;
        progress.seen.now.back_compat.exists = true;
    }
    let (policy, mut left_out) = manager.policy(home, like).await?.for_another(like.as_str(), secret.as_str());
    if !policy.is_empty() {
        let set = manager.set_policy(home, secret, &policy, &fence).await;
        progress.changed |= set.as_ref().is_err_and(ApiError::is_outcome_unknown);
        match set {
            // Somebody in it may not be bound anew: an organization's policy on members, an account that is gone.
            Err(error) if matches!(error.kind, ApiErrorKind::Precondition | ApiErrorKind::Invalid) => {
                left_out.extend(one_by_one(run, lock, progress, secret, &policy, &error).await?);
            }
            set => set?,
        }
    }
    if !left_out.is_empty() {
        let words = format!(
            "bindings of {like} are not copied to {secret}, since they may not be granted: {}; grant what is needed of them by hand",
            left_out.join(", ")
        );
        run.teller.tell(StepName::Preserve, StepState::Warning, &Happening::Says(words));
    }
    Ok(())
}

/// Copies the bindings one by one, and returns those that Secret Manager refuses. Where it refuses all of them, nobody could
/// read the secret: then that is the end, and the way is named.
async fn one_by_one(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    secret: &SecretId,
    policy: &Policy,
    whole: &ApiError,
) -> Result<Vec<String>, Problem> {
    let home = &progress.seen.now.home;
    let bindings = policy.one_by_one();
    let all = bindings.len();
    let mut refused = Vec::new();
    for (name, binding) in bindings {
        let set = run.secret_manager.set_policy(home, secret, &binding, &lock.fence()).await;
        progress.changed |= set.as_ref().is_err_and(ApiError::is_outcome_unknown);
        match set {
            Err(error) if matches!(error.kind, ApiErrorKind::Precondition | ApiErrorKind::Invalid) => {
                refused.push(name)
            }
            set => set?,
        }
    }
    if refused.len() < all {
        return Ok(refused);
    }
    let (project, primary) = (&home.project, &progress.seen.now.primary.secret);
    let line = format!(
        "no binding of {primary}'s IAM policy can be copied to {secret}: {}: {}",
        whole.message,
        refused.join(", ")
    );
    Err(Problem::new(Reason::FailedPrecondition, line)
        .hint(Hint::to(
            format!("let External Secrets read {secret}, then run the same command again"),
            command!["gcloud", "secrets", "add-iam-policy-binding", secret, format!("--project={project}"), "--member=MEMBER", "--role=roles/secretmanager.secretAccessor"],
        ))
        .hint(Hint::to(
            format!("or take {secret} away again, which has no version yet: while nobody may read it, what finds it by its name cannot sync"),
            command!["gcloud", "secrets", "delete", secret, format!("--project={project}")],
        )))
}

/// Whether a write was done, or may have been.
fn may_have_arrived<T>(answer: &Result<T, ApiError>) -> bool {
    answer.as_ref().map_or_else(ApiError::is_outcome_unknown, |_| true)
}

/// Makes sure, by number, that this version does not exist.
pub async fn absent(run: &Run<'_>, progress: &Progress, secret: &SecretId, version: VersionId) -> Result<(), Problem> {
    match run.secret_manager.access(&progress.seen.now.home, secret, Which::Number(version)).await? {
        Access::Missing => Ok(()),
        Access::Enabled { .. } | Access::NotEnabled { .. } => Err(foreign(secret, version)),
    }
}

/// Makes sure, by number, that the newest versions of both secrets are those that this run knows, in the same state: what it writes next was
/// decided for them.
async fn as_known(run: &Run<'_>, progress: &Progress) -> Result<(), Problem> {
    let now = &progress.seen.now;
    for view in [&now.primary, &now.back_compat] {
        let next = match view.newest() {
            None => VersionId::FIRST,
            Some(newest) => {
                let access = run.secret_manager.access(&now.home, &view.secret, Which::Number(newest.id)).await?;
                let known = newest.value.and_then(|tag| progress.seen.vault.value(tag));
                let is_as_known = match (&access, known) {
                    (Access::Enabled { payload, .. }, Some(known)) => payload.same_as(known),
                    (Access::Enabled { .. }, None) => newest.state == VersionState::Enabled,
                    (Access::NotEnabled { .. }, _) => newest.state != VersionState::Enabled,
                    (Access::Missing, _) => false,
                };
                if !is_as_known {
                    let line = format!("somebody else changed {} of {} meanwhile", newest.id, view.secret);
                    return Err(Problem::new(Reason::ForeignVersion, line)
                        .with_exit(Exit::Incomplete)
                        .hint("find out who; then run the same command again: it reads the state anew"));
                }
                newest.id.next()
            }
        };
        absent(run, progress, &view.secret, next).await?;
    }
    Ok(())
}

/// Adds a version, and notes that it is there.
pub async fn add_version(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    secret: &SecretId,
    content: &Content,
    expect: Option<VersionId>,
) -> Result<(), Problem> {
    let value = match content {
        Content::New => {
            progress.new_value.take().ok_or_else(|| Problem::new(Reason::NoValue, "there is no new value to add"))?
        }
        Content::Of(origin) => {
            let known = origin.value(&progress.seen.now).and_then(|tag| progress.seen.vault.value(tag));
            known
                .map(Payload::copy)
                .ok_or_else(|| Problem::new(Reason::Unreadable, format!("the value of {origin} could not be read")))?
        }
    };
    let now = &progress.seen.now;
    let source = now.source_of(secret);
    let next = || now.secret(source).newest().map_or(VersionId::FIRST, |newest| newest.id.next());
    as_known(run, progress).await?;
    let mut sent = false;
    let added = add(run, lock, &mut sent, &now.home, secret, &value, expect.unwrap_or_else(next)).await;
    let tag = progress.seen.vault.keep(value);
    progress.note_sent(sent, secret, tag);
    let added = added?;
    note_added(progress, source, added, tag);
    progress.outcome.stored = (source == Source::BackCompat).then_some(added);
    Ok(())
}

fn note_added(progress: &mut Progress, source: Source, id: VersionId, value: ValueTag) {
    let now = &mut progress.seen.now;
    let view = match source {
        Source::Primary => &mut now.primary,
        Source::BackCompat => &mut now.back_compat,
    };
    view.exists = true;
    view.versions.insert(0, Version { id, state: VersionState::Enabled, value: Some(value), created: None });
}

/// Adds a version and reads it back by number. A lost answer is resolved by looking, never by adding blindly again:
/// `addSecretVersion` knows neither an etag nor a request id. Notes when something may have been added: a plain refusal, or a
/// lock that was lost before it was sent, adds nothing.
async fn add(
    run: &Run<'_>,
    lock: &Lock,
    sent: &mut bool,
    home: &SecretHome,
    secret: &SecretId,
    value: &Payload,
    expect: VersionId,
) -> Result<VersionId, Problem> {
    for _ in 0..REPEATS {
        let added = run.secret_manager.add_version(home, secret, value, &lock.fence()).await;
        *sent |= may_have_arrived(&added);
        match added {
            Ok(added) if added == expect => break,
            Ok(added) => return Err(overtaken(secret, expect, added)),
            // I4: what got no answer is looked for, and not added once more.
            Err(error) if error.is_outcome_unknown() => match look(run, home, secret, value, expect).await? {
                true => break,
                // The server said itself that it failed: nothing of ours is still under way, and a repetition is safe.
                false if matches!(error.kind, ApiErrorKind::Internal | ApiErrorKind::Unavailable) => {}
                false => return Err(unresolved(error, secret)),
            },
            Err(error) => return Err(error.into()),
        }
    }
    match run.secret_manager.access(home, secret, Which::Number(expect)).await? {
        Access::Enabled { payload, .. } if payload.same_as(value) => Ok(expect),
        Access::Enabled { .. } => Err(foreign(secret, expect)),
        Access::NotEnabled { .. } | Access::Missing => {
            Err(Problem::new(Reason::NotAdded, format!("{secret} {expect} is not there although it was added")))
        }
    }
}

/// Whether the version arrived although no answer did.
async fn look(
    run: &Run<'_>,
    home: &SecretHome,
    secret: &SecretId,
    value: &Payload,
    expect: VersionId,
) -> Result<bool, Problem> {
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        match run.secret_manager.access(home, secret, Which::Number(expect)).await? {
            Access::Enabled { payload, .. } if payload.same_as(value) => return Ok(true),
            Access::Enabled { .. } | Access::NotEnabled { .. } => {
                return Err(after_foreign(run, home, secret, value, expect).await);
            }
            Access::Missing => {}
        }
    }
    Ok(false)
}

/// Somebody else's version stands where ours was to be. Ours may have been added after it all the same.
async fn after_foreign(
    run: &Run<'_>,
    home: &SecretHome,
    secret: &SecretId,
    value: &Payload,
    expect: VersionId,
) -> Problem {
    let mut number = expect.next();
    for _ in LOOKS {
        match run.secret_manager.access(home, secret, Which::Number(number)).await {
            Ok(Access::Enabled { payload, .. }) if payload.same_as(value) => {
                return overtaken(secret, expect, number);
            }
            Ok(Access::Enabled { .. } | Access::NotEnabled { .. }) => number = number.next(),
            Ok(Access::Missing) | Err(_) => break,
        }
    }
    foreign(secret, expect).now(format!("whether this run's own addition to {secret} still arrives is not known"))
}

/// Ours was on its way when somebody else added theirs.
fn overtaken(secret: &SecretId, expected: VersionId, added: VersionId) -> Problem {
    foreign(secret, expected).now(format!("{secret} {added} is what this run added, after it"))
}

fn unresolved(error: ApiError, secret: &SecretId) -> Problem {
    let problem = Problem { exit: Exit::Incomplete, ..error.into() };
    problem.now(format!("whether {secret} got a new version is not known yet: it was not there at the last read"))
}

fn foreign(secret: &SecretId, expected: VersionId) -> Problem {
    let line = format!("somebody else added {expected} to {secret} meanwhile");
    Problem::new(Reason::ForeignVersion, line)
        .with_exit(Exit::Incomplete)
        .hint("find out who; then run the same command again: it reads the state anew")
}

fn unreadable(version: VersionId) -> Problem {
    Problem::new(Reason::Unreadable, format!("the value of {version} could not be read"))
}

/// Makes sure, by number, that the back-compat holds the value of this version of the primary, or of its newest.
pub async fn held(run: &Run<'_>, progress: &Progress, version: Option<VersionId>) -> Result<(), Problem> {
    let now = &progress.seen.now;
    let newest = || now.primary.newest().map_or(VersionId::FIRST, |newest| newest.id);
    let version = version.unwrap_or_else(newest);
    let value = now
        .primary
        .version(version)
        .and_then(|known| known.value)
        .and_then(|tag| progress.seen.vault.value(tag))
        .ok_or_else(|| unreadable(version))?;
    let held = now.back_compat.newest().map(|newest| newest.id).ok_or_else(|| not_preserved(version))?;
    match run.secret_manager.access(&now.home, &now.back_compat.secret, Which::Number(held)).await? {
        Access::Enabled { payload, .. } if payload.same_as(value) => {}
        Access::Enabled { .. } | Access::NotEnabled { .. } | Access::Missing => return Err(not_preserved(version)),
    }
    // What somebody added above it is what pods are given.
    absent(run, progress, &now.back_compat.secret, held.next()).await
}

fn not_preserved(version: VersionId) -> Problem {
    Problem::new(
        Reason::NotPreserved,
        format!("the back-compat does not hold {version} any more: going on would lose the value"),
    )
    .hint("the same command stores it again")
}

/// Disables a version, with its etag: somebody who changed it meanwhile is noticed, and looked at again.
pub async fn disable(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    secret: &SecretId,
    version: VersionId,
) -> Result<(), Problem> {
    as_known(run, progress).await?;
    let home = progress.seen.now.home.clone();
    let mut last = None;
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        let Some(info) = run.secret_manager.version(&home, secret, Which::Number(version)).await? else {
            return Err(Problem::new(Reason::NotFound, format!("{secret} {version} does not exist"))
                .with_exit(Exit::Incomplete));
        };
        match info.state {
            VersionState::Disabled | VersionState::Destroyed => {
                note_disabled(progress, secret, version);
                return Ok(());
            }
            VersionState::Enabled => {}
        }
        match run.secret_manager.disable(&home, secret, version, &info.etag, &lock.fence()).await {
            Ok(()) => {
                progress.changed = true;
                note_disabled(progress, secret, version);
                return Ok(());
            }
            // An etag of before, or an answer that got lost: look again, and repeat with what is there then.
            Err(error) if error.kind == ApiErrorKind::Precondition || error.is_outcome_unknown() => {
                progress.changed |= error.is_outcome_unknown();
                last = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.map_or_else(|| unreadable(version), Problem::from))
}

/// Enables a version, and reads its value.
pub async fn enable(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    secret: &SecretId,
    version: VersionId,
) -> Result<(), Problem> {
    let home = progress.seen.now.home.clone();
    let mut last = None;
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        // By access, which is consistent, and tells the value with the state.
        let access = run.secret_manager.access(&home, secret, Which::Number(version)).await?;
        if let Access::Enabled { payload, .. } = access {
            let tag = progress.seen.vault.keep(payload);
            let views = [&mut progress.seen.now.primary, &mut progress.seen.now.back_compat];
            let view = views.into_iter().find(|view| view.secret == *secret);
            if let Some(known) = view.and_then(|view| view.versions.iter_mut().find(|known| known.id == version)) {
                known.state = VersionState::Enabled;
                known.value = Some(tag);
            }
            return Ok(());
        }
        let Some(info) = run.secret_manager.version(&home, secret, Which::Number(version)).await? else {
            return Err(Problem::new(Reason::NotFound, format!("{secret} {version} does not exist"))
                .with_exit(Exit::Incomplete));
        };
        match run.secret_manager.enable(&home, secret, version, &info.etag, &lock.fence()).await {
            Ok(()) => progress.changed = true,
            Err(error) if error.kind == ApiErrorKind::Precondition || error.is_outcome_unknown() => {
                progress.changed |= error.is_outcome_unknown();
                last = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.map_or_else(|| unreadable(version), Problem::from))
}

fn note_disabled(progress: &mut Progress, secret: &SecretId, version: VersionId) {
    note_state(progress, secret, version, VersionState::Disabled);
}

fn note_state(progress: &mut Progress, secret: &SecretId, version: VersionId, state: VersionState) {
    let now = &mut progress.seen.now;
    let views = [&mut now.primary, &mut now.back_compat];
    let view = views.into_iter().find(|view| view.secret == *secret);
    if let Some(known) = view.and_then(|view| view.versions.iter_mut().find(|known| known.id == version)) {
        known.state = state;
    }
}

/// Destroys a version, for good or, where the secret has a destroy delay, at its end; whether it was only scheduled.
///
/// Never one that is enabled: whoever enabled it meanwhile needs it.
pub async fn destroy(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    secret: &SecretId,
    version: VersionId,
) -> Result<bool, Problem> {
    let home = progress.seen.now.home.clone();
    let Some(info) = run.secret_manager.version(&home, secret, Which::Number(version)).await? else {
        return Ok(false);
    };
    match info.state {
        VersionState::Destroyed => return Ok(false),
        VersionState::Enabled => {
            let line = format!("{secret} {version} was enabled meanwhile: it is not destroyed");
            return Err(Problem::new(Reason::EnabledMeanwhile, line)
                .hint("find out who needs it; the same command looks again"));
        }
        // Asked for once more, its delay would begin anew.
        VersionState::Disabled if info.scheduled.is_some() => return Ok(true),
        VersionState::Disabled => {}
    }
    let destroyed = run.secret_manager.destroy(&home, secret, version, &info.etag, &lock.fence()).await;
    progress.changed |= may_have_arrived(&destroyed);
    let state = destroyed?;
    note_state(progress, secret, version, state);
    Ok(state == VersionState::Disabled)
}
