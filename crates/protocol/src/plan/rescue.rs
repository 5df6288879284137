//! `rescue`: a live value that has no slot becomes the back-compat.

use super::{Want, readers, refuse, refuse_blocked, store, unmapped, workloads};
use crate::event::StepName;
use crate::facts::names::VersionId;
use crate::facts::observation::{Derivation, Found, Observation, Source, ValueTag, VersionState};
use crate::hint::{Command, Hint};
use crate::in_use;
use crate::problem::{Problem, Reason};
use crate::state::{self, Blocked, State};
use crate::step::{Origin, Plan, Planned, RescueFrom, Step, Way};

/// The value in use stays. What the back-compat holds stays enabled there; it may only give way where no pod reads it.
pub(super) fn rescue(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    match state::secrets_state(now) {
        State::Rotating { from, to } => return Err(refuse::under_way(now, from, to)),
        State::Blocked(Blocked::BackCompatNotEnabled(..) | Blocked::UnexplainedPredecessor(_)) => {}
        State::Blocked(blocked) => return Err(refuse_blocked(now, blocked)),
        State::AwaitingReencryption if state::is_finalizing(now) => return Err(refuse::awaiting(now)),
        State::Stable | State::Drifted | State::AwaitingReencryption => {}
    }
    let newest = now.primary.newest().map(|newest| newest.id).ok_or_else(|| refuse_blocked(now, Blocked::NoPrimary))?;
    let from = want.rescue.as_ref().ok_or_else(|| refuse::nothing_named(now))?;
    let (origin, value, opened) = found(now, from)?;
    if value.is_some() && (value == now.primary.value() || value == now.back_compat.value()) {
        return Err(has_a_slot(now, &origin));
    }
    let read = value.is_some() && value == in_use::read_without_slot(now);
    if state::back_compat_is_live(now) && !read {
        return Err(refuse::awaiting(now));
    }
    let mut steps = Vec::new();
    if let Some((secret, version)) = &opened {
        steps.push(Planned::Do(Step::Enable { secret: secret.clone(), version: *version }));
    }
    steps.extend(store(now, origin.clone()));
    steps.push(match readers(now) {
        readers if readers.is_empty() => unmapped(),
        external_secrets => Planned::Do(Step::Stage { external_secrets, value_of: origin.clone() }),
    });
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: newest }));
    steps.push(Planned::Do(Step::Verify { version: newest }));
    // Its value has its slot: enabled beside it, it would look like a rotation that was not committed.
    if let Origin::Primary(version) = origin {
        steps.push(Planned::Do(Step::DisablePrevious { secret: now.primary.secret.clone(), version }));
    } else {
        steps.push(Planned::Skip(StepName::Commit, "nothing is disabled".to_owned()));
    }
    Ok(Plan::new(Way::Rescue, now, newest, newest, steps))
}

type Opened = Option<(crate::facts::names::SecretId, VersionId)>;

/// The bytes' place, their value where it is known, and the version that has to be enabled to read them.
pub(super) fn found(now: &Observation, from: &RescueFrom) -> Result<(Origin, Option<ValueTag>, Opened), Problem> {
    let refused = |line: String| Problem::new(Reason::NothingToRescue, line);
    match from {
        RescueFrom::Version(source, version) => {
            let view = now.secret(*source);
            let origin = match source {
                Source::Primary => Origin::Primary(*version),
                Source::BackCompat => Origin::BackCompat(*version),
            };
            let known = view.version(*version).ok_or_else(|| {
                refused(format!("{} has no {version}, as far as was looked at", view.secret))
                    .hint(Hint::to("see them", refuse::versions(now, &view.secret)))
            })?;
            match known.state {
                VersionState::Enabled => Ok((origin, known.value, None)),
                VersionState::Disabled => Ok((origin, None, Some((view.secret.clone(), *version)))),
                VersionState::Destroyed => {
                    Err(refused(format!("{version} of {} is destroyed: its value is gone", view.secret))
                        .hint("where a Kubernetes Secret still holds it: --from secret/NAME:KEY"))
                }
            }
        }
        RescueFrom::Copy { secret, key } => {
            let keys = now.external_secrets.iter().filter(|external| external.target == *secret);
            let held = keys.flat_map(|external| &external.keys).find(|known| known.key == *key);
            match held.map(|known| (known.derivation, known.found)) {
                Some((Derivation::Exact, Found::Value(value))) => {
                    Ok((Origin::Copy { secret: secret.clone(), key: key.clone(), value }, Some(value), None))
                }
                Some(_) => Err(refused(format!(
                    "key {key} of Kubernetes Secret {secret} holds no whole value that could be stored"
                ))
                .hint(Hint::to("see what it holds", Command::secret("verify", &now.account)))),
                None => Err(refused(format!(
                    "no external secret fills key {key} of Kubernetes Secret {secret} from one of the account's secrets"
                ))
                .hint(Hint::to("see what there is", Command::secret("verify", &now.account)))),
            }
        }
    }
}

fn has_a_slot(now: &Observation, origin: &Origin) -> Problem {
    let line =
        format!("pods can read {origin} already: it is the value in use or what {} holds", now.back_compat.secret);
    let due = in_use::displaced(now).map(|displaced| refuse::rescue_command(now, &displaced));
    let due = due.unwrap_or_else(|| Command::secret("status", &now.account));
    Problem::new(Reason::NothingToRescue, line).hint(Hint::to("see what is due", due))
}
