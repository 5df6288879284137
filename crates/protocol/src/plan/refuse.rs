//! Why there is no plan, each reason with its one way out.
//!
//! A hint is followed by people who know nothing of this page: each command here helps in its state, and loses nothing.

use super::{Want, adopt, rescue};
use crate::command;
use crate::facts::names::{ObjectName, SecretId, VersionId};
use crate::facts::observation::{Consumer, ExternalSecretView, Observation, PodView, Source, VersionState};
use crate::hint::{Command, Hint};
use crate::in_use::{self, Displaced, Held, InUse};
use crate::problem::{Problem, Reason};
use crate::state::{self, Blocked};
use crate::step::RescueFrom;

/// A third value would be one that no pod can read.
pub(super) fn awaiting(now: &Observation) -> Problem {
    let (account, back_compat) = (&now.account, &now.back_compat.secret);
    if let Some(displaced) = in_use::displaced(now) {
        return refuse_displaced(now, &displaced);
    }
    if state::is_finalizing(now) {
        let line = format!("a finalization of {account} was begun and did not come to its end");
        return Problem::new(Reason::AwaitingReencryption, line)
            .hint(Hint::to("finish it first", Command::secret("finalize", account)));
    }
    let held =
        now.back_compat.value().and_then(|value| now.name_of(value)).unwrap_or_else(|| "an older value".to_owned());
    let line = format!(
        "{back_compat} still holds {held}, and data may still need it: a third key would make that data unreadable"
    );
    let refused = Problem::new(Reason::AwaitingReencryption, line);
    // Whoever repeats a command whose end they did not see learns here that it came to its end.
    let refused = match &now.last_rotation {
        Some(last) => refused.hint(format!(
            "the last rotation is complete: from {} to {}, by {} at {}",
            last.from, last.to, last.by, last.at
        )),
        None => refused,
    };
    // What is behind cannot read both values yet: the data is saved again after that.
    if let Some(first) = super::next::behind(now) {
        return refused.hint(Hint::to("first", first));
    }
    refused
        .hint(format!("first let the application save every encrypted field of {account} again, under its current key"))
        .hint(Hint::to("then retire the old value", Command::secret("finalize", account)))
        .hint(Hint::to("or go back to it", Command::secret("rollback", account)))
}

/// A value that pods read, or that an enabled version has, lost its slot: storing it again keeps everything.
pub fn refuse_displaced(now: &Observation, displaced: &Displaced) -> Problem {
    let (account, primary, back_compat) = (&now.account, &now.primary.secret, &now.back_compat.secret);
    let is_read = |version| {
        let value = now.primary.version(version).and_then(|version| version.value);
        value.is_some_and(|value| now.some_holds(Source::BackCompat, value))
    };
    let what = match displaced {
        Displaced::Version(Source::BackCompat, version) => {
            format!("{version} of {back_compat} is enabled and holds another value than the newest one")
        }
        Displaced::Version(Source::Primary, version) if is_read(*version) => {
            format!("pods read the value of primary {version} as back-compat, and {back_compat} holds another")
        }
        Displaced::Version(Source::Primary, version) => {
            format!(
                "{version} of {primary} is enabled, was not there when the last rotation was begun, and no pod is given its value"
            )
        }
        Displaced::Copy { secret, key, .. } => format!(
            "Kubernetes Secret {account}/{secret}, key {key}, holds a value that no version in Secret Manager has: it is the last copy"
        ),
    };
    let line = format!("{what}; no finalization retired it, and data may still need it");
    let refused = Problem::new(Reason::DisplacedBackCompat, line)
        .hint(Hint::to("store it as back-compat again", rescue_command(now, displaced)));
    match displaced {
        Displaced::Version(source, version) => refused.hint(format!(
            "where nothing is encrypted under it any more, finalize takes it by name: --retired {}/{}",
            source.as_str(),
            version.get()
        )),
        Displaced::Copy { .. } => refused,
    }
}

/// The command that stores a value again that lost its slot.
pub(super) fn rescue_command(now: &Observation, displaced: &Displaced) -> Command {
    let from = match displaced {
        Displaced::Version(source, version) => format!("{}/{}", source.as_str(), version.get()),
        Displaced::Copy { secret, key, .. } => format!("secret/{secret}:{key}"),
    };
    rescue_from(now, from)
}

fn rescue_from(now: &Observation, from: String) -> Command {
    Command::secret("rescue", &now.account).with(["--from".to_owned(), from])
}

/// The command that lists the versions of a secret.
pub(super) fn versions(now: &Observation, secret: &SecretId) -> Command {
    let project = format!("--project={}", now.home.project);
    command!["gcloud", "secrets", "versions", "list", secret, project]
}

/// `--compromised` replaces a value: what it finds begun ends with one that may be the leaked one.
pub(super) fn leak_under_way(now: &Observation, from: VersionId, to: VersionId) -> Problem {
    let account = &now.account;
    let line = format!(
        "a change of {account} from {from} to {to} is under way: finishing it would leave {to} in use, which may be the value that leaked"
    );
    Problem::new(Reason::RotationUnderWay, line)
        .hint(Hint::to("finish it first", Command::secret(verb_of(now), account)))
        .hint("then let the application save its data again, finalize, and rotate with --compromised")
}

/// A rollback whose abandoned value some pods may write under, and an ExternalSecret cannot copy: as back-compat it would end every
/// sync of that ExternalSecret.
pub(super) fn no_slot_for(now: &Observation, abandoned: VersionId, external: &ExternalSecretView) -> Problem {
    let account = &now.account;
    let line = format!(
        "external secret {account}/{} cannot copy the value of primary {abandoned}, and others can: pods may have written under it, and as back-compat it would end every sync of that one",
        external.name
    );
    let look = command!["kubectl", "edit", "externalsecret", external.name, "-n", account];
    Problem::new(Reason::NoSlot, line)
        .hint(Hint::to("have it take what both values have (remoteRef.property, decodingStrategy)", look))
        .hint(format!("or decide whether data under {abandoned} is needed: where none is, it may be disabled by hand"))
}

/// Whether a refusal is told alone: it is the planner's word on what holds the account up, and what the checks find beside it are
/// its consequences.
pub fn stands_alone(problem: &Problem) -> bool {
    const REASONS: [Reason; 9] = [
        Reason::NoPrimary,
        Reason::LatestNotEnabled,
        Reason::UnexplainedVersion,
        Reason::TwoUncommittedVersions,
        Reason::BackCompatNotEnabled,
        Reason::ForeignVersion,
        Reason::UnreadableVersion,
        Reason::LastCopy,
        Reason::DisplacedBackCompat,
    ];
    REASONS.contains(&problem.reason)
}

/// Each reason that holds an account up until somebody acts, with the one command that leads on.
pub fn refuse_blocked(now: &Observation, blocked: Blocked) -> Problem {
    let (account, primary, back_compat, project) =
        (&now.account, &now.primary.secret, &now.back_compat.secret, &now.home.project);
    let problem = |reason, line: String| Problem::new(reason, line);
    let adopts = Command::secret("rotate", account).with(["--adopt"]);
    let enable = |secret: &SecretId, version: VersionId| {
        let (secret, project) = (format!("--secret={secret}"), format!("--project={project}"));
        command!["gcloud", "secrets", "versions", "enable", version.get(), secret, project]
    };
    match blocked {
        Blocked::NoPrimary => problem(
            Reason::NoPrimary,
            format!("secret {primary} in project {project} has no version that could be rotated"),
        )
        .hint(Hint::to("look at it", versions(now, primary)))
        .hint("is this the right account, and the right project?"),
        Blocked::NewestNotEnabled(version, state) => {
            let word = state_word(state);
            let refused = problem(
                Reason::LatestNotEnabled,
                format!("the latest version of {primary}, {version}, is {word}: every sync of it fails"),
            );
            match newest_may_be_enabled(now, state) {
                true => refused.hint(Hint::to("enable it", enable(primary, version))),
                // I8: its value may be in those pods alone.
                false => match closed_in_use(now) {
                    Some((pods, VersionState::Disabled)) => refused.hint(Hint::to(
                        format!("a pod started with {pods}: make that readable first"),
                        enable(primary, pods),
                    )),
                    Some((pods, state)) => refuse_blocked(now, Blocked::Unreadable(pods, state)),
                    None => refused.hint(Hint::to("add the value that is in use as a new version", adopts)),
                },
            }
        }
        Blocked::UnexplainedPredecessor(version) => {
            let newest = now.primary.newest().map_or(version, |newest| newest.id);
            let refused = problem(
                Reason::UnexplainedVersion,
                format!("{primary} has {version} still enabled beside {newest}, and {back_compat} explains neither"),
            );
            match state::back_compat_is_live(now) && in_use::others(now).is_empty() {
                // Finalizing refuses what is behind.
                true if super::next::behind(now).is_some() => {
                    super::next::behind(now).into_iter().fold(refused, |refused, first| refused.hint(Hint::to("first", first)))
                }
                // Both slots are taken: the value of the back-compat has to be retired before this one gets its slot.
                true => refused
                    .hint(Hint::to(
                        format!("first let the application save every encrypted field of {account} again, and retire what {back_compat} holds"),
                        Command::secret("finalize", account),
                    ))
                    .hint(format!("after that {version} is stored as back-compat by rotate --adopt")),
                false => refused.hint(Hint::to("finish it as a rotation, which keeps both values", adopts)),
            }
        }
        Blocked::TwoUncommitted(first, second) => problem(
            Reason::TwoUncommittedVersions,
            format!("{primary} has two versions, {first} and {second}, on top of the one that {back_compat} holds"),
        )
        .hint(Hint::to(format!("go on with {second}, and keep {first} enabled"), adopts)),
        Blocked::BackCompatNotEnabled(version, VersionState::Destroyed) => {
            let from =
                now.last_rotation.as_ref().map(|last| last.from.trim_start_matches('v').to_owned()).unwrap_or_default();
            problem(Reason::BackCompatNotEnabled, format!("the latest version of {back_compat}, {version}, is destroyed, and data may still need the value of primary v{from}"))
                .hint(Hint::to("store it again", rescue_from(now, format!("primary/{from}"))))
        }
        Blocked::BackCompatNotEnabled(version, state) => problem(
            Reason::BackCompatNotEnabled,
            format!("the latest version of {back_compat}, {version}, is {}: old data may need it", state_word(state)),
        )
        .hint(Hint::to("enable it", enable(back_compat, version))),
        Blocked::Foreign(newest) => {
            let unkept = in_use::unkept(now);
            // Nothing can take it out of there: adopting would be refused.
            if let Some(Held::Value(value)) = unkept.as_ref().map(|unkept| &unkept.held)
                && adopt::origin(now, *value).is_none()
            {
                return adopt::last_copy(now, *value);
            }
            let place = unkept.map(|unkept| has(now, &unkept)).unwrap_or_default();
            problem(Reason::ForeignVersion, format!("{newest} of {primary} was added by hand or by another tool: {place}, and {back_compat} does not keep it"))
                .hint(Hint::to("keep what is in use, and go on from there", adopts))
        }
        Blocked::Unreadable(version, VersionState::Destroyed) => problem(
            Reason::UnreadableVersion,
            format!("{}, which is destroyed: that pod's memory is the last copy of its value", started(now, version)),
        )
        .hint(format!("decide whether data under {version} is needed: whoever restarts that pod gives it up")),
        Blocked::Unreadable(version, _) => problem(
            Reason::UnreadableVersion,
            format!("{}, which is disabled, and {back_compat} is not shown to keep its value", started(now, version)),
        )
        .hint(match adopt::is_opened(now, blocked) {
            true => Hint::to("keep its value, and go on from there", adopts),
            false => Hint::to("make it readable, which changes nothing else", enable(primary, version)),
        }),
    }
}

pub(super) fn under_way(now: &Observation, from: VersionId, to: VersionId) -> Problem {
    let line = format!("a rotation of {} from {from} to {to} is under way: both values are needed", now.account);
    Problem::new(Reason::RotationUnderWay, line)
        .hint(Hint::to("finish it", Command::secret(verb_of(now), &now.account)))
}

/// The command that finishes what is under way.
fn verb_of(now: &Observation) -> &'static str {
    if state::called_off(now).is_some() { "rollback" } else { "rotate" }
}

/// A sync would write over the last copy of a value.
pub(super) fn last_copy_in_the_way(now: &Observation, secret: &ObjectName, key: &str, way: Option<Command>) -> Problem {
    let line = format!(
        "Kubernetes Secret {}/{secret}, key {key}, holds a value that no enabled version has: a sync would write over its last copy",
        now.account
    );
    let problem = Problem::new(Reason::LastCopy, line);
    let copy = RescueFrom::Copy { secret: secret.clone(), key: key.to_owned() };
    match rescue::found(now, &copy).is_ok() {
        true => {
            let way = way.unwrap_or_else(|| rescue_from(now, format!("secret/{secret}:{key}")));
            problem.hint(Hint::to("store it as back-compat", way)).hint(format!(
                "or, where that value was written there by mistake, give it up by name: sync --retired secret/{secret}:{key}"
            ))
        }
        false => problem.hint(format!(
            "it stands inside a longer text, and cannot be stored from there: decide whether data under it is needed; where none is, give it up by name: sync --retired secret/{secret}:{key}"
        )),
    }
}

/// What `--retired` names and is not there, or is in use.
pub(super) fn unknown(want: &Want, now: &Observation) -> Option<Problem> {
    let known = |source: Source, id| match source {
        Source::Primary => now
            .primary
            .version(id)
            .is_some_and(|version| Some(version.id) != now.primary.newest().map(|newest| newest.id)),
        Source::BackCompat => now.back_compat.version(id).is_some(),
    };
    let (source, id) = *want.retired.iter().find(|(source, id)| !known(*source, *id))?;
    let view = now.secret(source);
    let line = match view.version(id) {
        Some(_) => format!("{id} of {} is the one in use: it cannot be retired", view.secret),
        None => format!("{} has no {id}", view.secret),
    };
    Some(Problem::new(Reason::NoSuchVersion, line).hint(Hint::to("see them", versions(now, &view.secret))))
}

pub(super) fn nothing_named(now: &Observation) -> Problem {
    let line = format!("which value of {} to store as back-compat is for you to say", now.account);
    Problem::new(Reason::NothingNamed, line)
        .hint("name it: --from back-compat/N, --from primary/N or --from secret/NAME:KEY")
}

fn has(now: &Observation, one: &InUse) -> String {
    let verb = if one.sure { "has" } else { "may have" };
    let what = match one.held {
        Held::Value(value) => match now.enabled_with(value).is_some() {
            true => now.name_of(value).unwrap_or_default(),
            false => "a value that no enabled version has".to_owned(),
        },
        Held::Version(version) => version.to_string(),
    };
    format!("{} {verb} {what}", one.place)
}

/// Which pod started with a version that cannot be read.
fn started(now: &Observation, version: VersionId) -> String {
    let place = in_use::others(now).into_iter().find(|one| one.held == Held::Version(version));
    place.map_or_else(String::new, |one| {
        format!("{} {} {version}", one.place, if one.sure { "started with" } else { "may have started with" })
    })
}

/// Whether enabling a disabled newest version ends no last copy: every value that the cluster is shown to have is its own, as far
/// as that can be told, or is kept elsewhere.
pub(super) fn newest_may_be_enabled(now: &Observation, state: VersionState) -> bool {
    if state != VersionState::Disabled {
        return false;
    }
    let others = in_use::others(now);
    let predecessor = now.primary.predecessor().is_some_and(|version| version.state == VersionState::Enabled);
    let named = |held: &Held| matches!(held, Held::Value(value) if matches!(now.enabled_with(*value), Some((Source::Primary, _))));
    let is_kept = |held: &Held| matches!(held, Held::Value(value) if now.enabled_with(*value).is_some());
    match others.iter().any(|one| named(&one.held)) {
        // Another version is in use; where pods are noted to have the newest, too, its value may be in them alone.
        true => is_noted_newest(now) && others.iter().all(|one| is_kept(&one.held)),
        // The one before is enabled, and it is not that; or every pod began when the newest was in use: so it is its value. What
        // the back-compat has is not lost in any case.
        false => others.iter().all(|one| match &one.held {
            Held::Value(value) => predecessor || all_began_later(now) || now.enabled_with(*value).is_some(),
            Held::Version(_) => false,
        }),
    }
}

/// A version that a pod is shown to have started with, and that cannot be read.
pub(super) fn closed_in_use(now: &Observation) -> Option<(VersionId, VersionState)> {
    in_use::others(now).into_iter().find_map(|one| match one.held {
        Held::Version(version) if one.sure => now.primary.version(version).map(|known| (version, known.state)),
        Held::Version(_) | Held::Value(_) => None,
    })
}

/// Whether a pod is noted to have started with the newest version.
pub(super) fn is_noted_newest(now: &Observation) -> bool {
    let newest = now.primary.newest().map(|newest| newest.id);
    now.pods().any(|(_, pod)| pod.version.is_some() && pod.version == newest)
}

/// Whether no pod is shown to be older than the newest version, as far as notes and dates tell; without either nothing is.
fn all_began_later(now: &Observation) -> bool {
    let newest = now.primary.newest();
    let judged = |pod: &PodView| {
        let dated = pod.created.is_some() && newest.is_some_and(|newest| newest.created.is_some());
        dated || pod.version.is_some()
    };
    let later = |(consumer, pod): (&Consumer, &PodView)| {
        judged(pod) && in_use::may_have_started_with(now, consumer, pod).is_empty()
    };
    now.pods().next().is_some() && now.pods().all(later)
}

fn state_word(state: VersionState) -> &'static str {
    match state {
        VersionState::Enabled => "enabled",
        VersionState::Disabled => "disabled",
        VersionState::Destroyed => "destroyed",
    }
}
