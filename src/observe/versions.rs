//! Reads the versions of the account's two secrets, and says what is known of them without their values.
//!
//! By number wherever it matters: `latest`, lists and states are eventually consistent.

use futures::future::{try_join, try_join_all, try_join3};

use super::vault::Vault;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::secret_manager::{Access, SecretManager, SecretSettings, VersionInfo, Which};
use crate::request::Request;
use deepdesk_protocol::facts::names::{SecretHome, SecretId, VersionId};
use deepdesk_protocol::facts::observation::{Observation, SecretView, Version, VersionState};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::state;

/// How many of the newest enabled versions are read to name what an unknown value is.
const OLDER_VERSIONS_READ: usize = 8;
/// How many versions of the back-compat below its newest are read, at once: one that is enabled has a value that no finalization
/// retired, however old it is. A rotation and its finalization leave two; accesses are plenty (90,000 a minute).
const KEPT_READ: usize = 100;
/// How many of the newest versions are kept of a list, for their dates, beside every one that is enabled.
pub const VERSIONS_LISTED: usize = 25;
/// How many numbers above `latest` are tried: more than this many versions added within the lag of `latest` is no lag.
const PROBES: usize = 64;

/// Whether Secret Manager's metadata is read: dates, older versions, labels. Its quota is small (600 a minute and project).
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Metadata {
    Read,
    /// It is left: values and states of the newest versions come by access, and accesses are plenty.
    Leave,
}

/// Its labels, in their order.
pub fn labels_of(settings: SecretSettings) -> Vec<(String, String)> {
    settings.labels().into_iter().collect()
}

/// Reads both secrets: the newest version of each by number, and of the primary the version before it. Metadata that may not
/// be read is left out, and the refusal returned: only the newest versions' bytes are needed.
pub async fn secrets(
    request: &Request,
    home: &SecretHome,
    secret_manager: &SecretManager,
    vault: &mut Vault,
    labels: Vec<(String, String)>,
    metadata: Metadata,
) -> Result<(SecretView, SecretView, Option<ApiError>), Problem> {
    let mut refused = None;
    let names = &request.names;
    let wanted = metadata == Metadata::Read;
    // They only serve a warning here: without the right to read them there is none.
    let settings = async {
        match wanted {
            true => secret_manager.settings(home, &names.primary).await.ok().flatten(),
            false => None,
        }
    };
    let versions = async {
        match wanted {
            // All of them are one request too, and an old one that is enabled is what is asked for here.
            true => allowed(secret_manager.versions(home, &names.primary, usize::MAX).await),
            false => Ok(Ok(None)),
        }
    };
    let secrets = try_join3(
        newest(secret_manager, home, &names.primary),
        newest(secret_manager, home, &names.back_compat),
        versions,
    );
    let (secrets, settings) = futures::join!(secrets, settings);
    let (primary, back_compat, metadata_of) = secrets?;
    let mut primary = keep(&names.primary, primary, vault);
    let mut back_compat = keep(&names.back_compat, back_compat, vault);
    primary.conditions.aliases = settings.as_ref().map(|settings| settings.aliases()).unwrap_or_default();
    primary.labels = if labels.is_empty() { settings.map(labels_of).unwrap_or_default() } else { labels };
    if wanted && !back_compat.exists {
        // A secret without versions answers an access like one that does not exist.
        back_compat.exists = secret_manager.settings(home, &names.back_compat).await?.is_some();
    }
    let listed = metadata_of.unwrap_or_else(|error| {
        refused = Some(error);
        None
    });
    let Some(newest) = primary.newest().map(|version| version.id) else { return Ok((primary, back_compat, refused)) };
    // What the back-compat held before tells a rollback from the rotation that it undoes, is what a two-phase one announced, or
    // a value that somebody displaced. All at once: a look at an account waits for one answer.
    let kept = below(back_compat.newest().map(|newest| newest.id)).take(KEPT_READ);
    let kept = kept.map(|id| read_version(&names.back_compat, Some(id), home, secret_manager));
    let (before, kept) =
        try_join(read_version(&names.primary, newest.previous(), home, secret_manager), try_join_all(kept)).await?;
    primary.versions.extend(before.and_then(|(id, access)| version(id, access, vault)));
    for (id, access) in kept.into_iter().flatten() {
        back_compat.versions.extend(version(id, access, vault));
    }
    let state = unjudged(request, home, &primary, &back_compat);
    let explained = !matches!(state, state::State::Blocked(state::Blocked::UnexplainedPredecessor(_)));
    if !explained || matches!(state, state::State::Rotating { .. }) {
        let before = newest.previous().and_then(VersionId::previous).filter(|id| primary.version(*id).is_none());
        add_version(&mut primary, before, home, secret_manager, vault).await?;
    }
    let listed = listed.into_iter().flatten().enumerate();
    let kept = listed.filter(|(at, version)| *at < VERSIONS_LISTED || version.state == VersionState::Enabled);
    add_metadata(&mut primary, kept.map(|(_, version)| version));
    // One of these may be what the back-compat keeps, or what the cluster has.
    read_values(&mut primary, home, secret_manager, vault).await?;
    let now = Observation::of_secrets(request.account.clone(), home.clone(), primary, back_compat);
    // Only a plan asks for that: a look at hundreds of accounts has no dates to spare.
    let exchanged = wanted && state::is_exchanged(&now);
    let (mut primary, mut back_compat) = (now.primary, now.back_compat);
    if exchanged {
        // Which of the two was written last tells by what; a list may lag, so they are asked for by number.
        for view in [&mut primary, &mut back_compat] {
            let Some(newest) = view.versions.first_mut().filter(|newest| newest.created.is_none()) else { continue };
            match allowed(secret_manager.version(home, &view.secret, Which::Number(newest.id)).await)? {
                Ok(info) => newest.created = info.map(|info| info.created),
                Err(error) => refused = Some(error),
            }
        }
    }
    Ok((primary, back_compat, refused))
}

/// Tells what may not be read from what could not be.
pub fn allowed<T>(answer: Result<T, ApiError>) -> Result<Result<T, ApiError>, ApiError> {
    match answer {
        Err(error) if error.kind == ApiErrorKind::Forbidden => Ok(Err(error)),
        answered => answered.map(Ok),
    }
}

/// Adds every older version of the two secrets to what is known of them, by number, state and date: finalizing retires
/// or destroys them, and a look at an account does not list them all.
pub async fn add_history(now: &mut Observation, secret_manager: &SecretManager) -> Result<(), ApiError> {
    let home = now.home.clone();
    for view in [&mut now.primary, &mut now.back_compat] {
        let listed = secret_manager.versions(&home, &view.secret, usize::MAX).await?.unwrap_or_default();
        add_metadata(view, listed);
    }
    // Only to be shown: without the right to read them there are none.
    let settings = secret_manager.settings(&home, &now.back_compat.secret).await.ok().flatten();
    now.back_compat.conditions.aliases = settings.map(|settings| settings.aliases()).unwrap_or_default();
    Ok(())
}

/// Adds what a list of versions says. It may lag: it adds dates and older versions, and never overrules what an access
/// said.
pub fn add_metadata(view: &mut SecretView, listed: impl IntoIterator<Item = VersionInfo>) {
    let Some(newest) = view.newest().map(|version| version.id) else { return };
    for listed in listed {
        if let Some(at) = listed.scheduled {
            view.conditions.scheduled.retain(|(id, _)| *id != listed.version);
            view.conditions.scheduled.push((listed.version, at));
        }
        match view.versions.iter_mut().find(|version| version.id == listed.version) {
            Some(known) => known.created = Some(listed.created),
            None if listed.version > newest => {}
            None => view.versions.push(Version {
                id: listed.version,
                state: listed.state,
                value: None,
                created: Some(listed.created),
            }),
        }
    }
    view.versions.sort_by_key(|version| std::cmp::Reverse(version.id));
}

/// The state by the two secrets alone, before anything of the cluster is known.
fn unjudged(request: &Request, home: &SecretHome, primary: &SecretView, back_compat: &SecretView) -> state::State {
    state::secrets_state(&Observation::of_secrets(
        request.account.clone(),
        home.clone(),
        primary.clone(),
        back_compat.clone(),
    ))
}

/// Finds the newest version by number: what `latest` names, then upward until a number does not exist.
///
/// `latest`, lists and states are eventually consistent; an access by number is not (Secret Manager, consistency page).
pub async fn newest(
    secret_manager: &SecretManager,
    home: &SecretHome,
    secret: &SecretId,
) -> Result<Option<(VersionId, Access)>, ApiError> {
    let mut newest = match secret_manager.access(home, secret, Which::Latest).await? {
        Access::Missing => None,
        Access::Enabled { version, payload } => Some((version, Access::Enabled { version, payload })),
        // The refusal does not say which version it is; the metadata does.
        Access::NotEnabled { state } => secret_manager
            .version(home, secret, Which::Latest)
            .await?
            .map(|info| (info.version, Access::NotEnabled { state })),
    };
    for _ in 0..PROBES {
        let next = newest.as_ref().map_or(VersionId::FIRST, |(version, _)| version.next());
        match secret_manager.access(home, secret, Which::Number(next)).await? {
            Access::Missing => break,
            found @ (Access::Enabled { .. } | Access::NotEnabled { .. }) => newest = Some((next, found)),
        }
    }
    Ok(newest)
}

/// What is known of a secret by its newest version.
pub fn keep(secret: &SecretId, newest: Option<(VersionId, Access)>, vault: &mut Vault) -> SecretView {
    let exists = newest.is_some();
    let versions = newest.into_iter().filter_map(|(id, access)| version(id, access, vault)).collect();
    SecretView { secret: secret.clone(), versions, exists, labels: Vec::new(), conditions: Default::default() }
}

fn version(id: VersionId, access: Access, vault: &mut Vault) -> Option<Version> {
    let (state, value) = match access {
        Access::Missing => return None,
        Access::Enabled { payload, .. } => (VersionState::Enabled, Some(vault.keep(payload))),
        Access::NotEnabled { state } => (state, None),
    };
    Some(Version { id, state, value, created: None })
}

/// Reads one more version by number, where there is one.
pub async fn add_version(
    view: &mut SecretView,
    id: Option<VersionId>,
    home: &SecretHome,
    secret_manager: &SecretManager,
    vault: &mut Vault,
) -> Result<(), Problem> {
    let read = read_version(&view.secret, id, home, secret_manager).await?;
    view.versions.extend(read.and_then(|(id, access)| version(id, access, vault)));
    Ok(())
}

async fn read_version(
    secret: &SecretId,
    id: Option<VersionId>,
    home: &SecretHome,
    secret_manager: &SecretManager,
) -> Result<Option<(VersionId, Access)>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    Ok(Some((id, secret_manager.access(home, secret, Which::Number(id)).await?)))
}

/// Reads older versions, by number: only when some key holds a value that no version read so far explains.
pub async fn read_older(
    now: &mut Observation,
    secret_manager: &SecretManager,
    vault: &mut Vault,
) -> Result<(), Problem> {
    let home = now.home.clone();
    for view in [&mut now.primary, &mut now.back_compat] {
        let unknown = below(view.newest().map(|newest| newest.id)).filter(|id| view.version(*id).is_none());
        let unknown: Vec<VersionId> = unknown.take(OLDER_VERSIONS_READ).collect();
        let read = unknown.into_iter().map(|id| read_version(&view.secret, Some(id), &home, secret_manager));
        for (id, access) in try_join_all(read).await?.into_iter().flatten() {
            view.versions.extend(version(id, access, vault));
        }
        view.versions.sort_by_key(|version| std::cmp::Reverse(version.id));
        read_values(view, &home, secret_manager, vault).await?;
    }
    Ok(())
}

/// The numbers below this one, newest first.
fn below(newest: Option<VersionId>) -> impl Iterator<Item = VersionId> {
    std::iter::successors(newest.and_then(VersionId::previous), |id| id.previous())
}

/// Reads the values of versions that are known to be enabled, and were not read.
async fn read_values(
    view: &mut SecretView,
    home: &SecretHome,
    secret_manager: &SecretManager,
    vault: &mut Vault,
) -> Result<(), Problem> {
    let unread =
        view.versions.iter_mut().filter(|version| version.state == VersionState::Enabled && version.value.is_none());
    for known in unread.take(OLDER_VERSIONS_READ) {
        if let Access::Enabled { payload, .. } =
            secret_manager.access(home, &view.secret, Which::Number(known.id)).await?
        {
            known.value = Some(vault.keep(payload));
        }
    }
    Ok(())
}
