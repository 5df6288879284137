//! What `sync` and `restart` must not do: spread a version that nobody adopted, or end the last copy of a value.

use super::{refuse, refuse_blocked};
use crate::facts::names::ObjectName;
use crate::facts::observation::{Derivation, Found, Observation, Source};
use crate::in_use::{self, Displaced};
use crate::problem::Problem;
use crate::state::{self, Blocked, State};

/// Whether a sync may be asked for. `retired` are keys of Kubernetes Secrets whose value the operator gives up by name.
pub fn may_sync(now: &Observation, retired: &[(ObjectName, String)]) -> Result<(), Problem> {
    held_up(now)?;
    let given_up = |secret: &ObjectName, key: &str| retired.iter().any(|(name, other)| name == secret && other == key);
    if let Some(displaced @ Displaced::Copy { secret, key, .. }) = in_use::displaced(now).as_ref()
        && !given_up(secret, key)
    {
        return Err(refuse::last_copy_in_the_way(now, secret, key, Some(refuse::rescue_command(now, displaced))));
    }
    // What pods are given as back-compat would be in no slot any more.
    if let Some(displaced @ Displaced::Version(source, version)) = in_use::displaced(now).as_ref() {
        let value = now.secret(*source).version(*version).and_then(|version| version.value);
        let is_given_up = now.keys(Source::BackCompat).any(|(external, key)| given_up(&external.target, &key.key));
        if value.is_some() && value == in_use::read_without_slot(now) && !is_given_up {
            return Err(refuse::refuse_displaced(now, displaced));
        }
    }
    let in_the_way = now.keys(Source::Primary).find(|(external, key)| {
        let kept = match key.found {
            // A run of ours brought the newest version: what an enabled version has is read again by its number.
            Found::Value(value) => now.enabled_with(value).is_some(),
            Found::Unknown => key.derivation == Derivation::Opaque,
            Found::Missing => true,
        };
        !kept && !given_up(&external.target, &key.key)
    });
    // I8: a sync writes over what the Kubernetes Secret holds.
    match in_the_way {
        None => Ok(()),
        Some((external, key)) => Err(refuse::last_copy_in_the_way(now, &external.target, &key.key, None)),
    }
}

/// Whether consumers may be restarted: no pod may start with a version that nobody adopted, and no pod that is shown to have a
/// value which neither slot has may end.
pub fn may_restart(now: &Observation) -> Result<(), Problem> {
    held_up(now)?;
    // I8: what its pods read, and no slot has, is given one first.
    match in_use::read_and_displaced(now) {
        None => Ok(()),
        Some(displaced) => Err(refuse::refuse_displaced(now, &displaced)),
    }
}

/// The refusal that `rotate` would meet where some place is shown not to have the newest version.
fn held_up(now: &Observation) -> Result<(), Problem> {
    match state::secrets_state(now) {
        State::Blocked(blocked @ (Blocked::Foreign(_) | Blocked::Unreadable(..) | Blocked::NewestNotEnabled(..))) => {
            Err(refuse_blocked(now, blocked))
        }
        State::Blocked(blocked @ (Blocked::UnexplainedPredecessor(_) | Blocked::TwoUncommitted(..)))
            if !in_use::others(now).is_empty() =>
        {
            Err(refuse_blocked(now, blocked))
        }
        State::Blocked(blocked @ Blocked::NoPrimary) => Err(refuse_blocked(now, blocked)),
        State::Blocked(_) | State::Stable | State::Drifted | State::Rotating { .. } | State::AwaitingReencryption => {
            Ok(())
        }
    }
}
