//! Secret Manager, over Google's client.
//!
//! Google's client keeps copies of what it sends and receives that nobody wipes, and its types print payloads: here they
//! live no longer than it takes to turn them into a [`Payload`] and back.

mod conditions;
mod settings;
#[cfg(test)]
mod tests;
mod versions;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use google_cloud_iam_v1::model::GetPolicyOptions;
use google_cloud_secretmanager_v1::model;
use http::Method;
use zeroize::Zeroizing;

pub use self::conditions::Conditions;
pub use self::settings::{Policy, SecretSettings};
pub use self::versions::{Access, VersionInfo, Which};
use self::versions::{found, malformed, read_access, secret_name, version_info, version_name, version_of};
use self::wire::{Call, Wire};
use super::credentials::Resolved;
use super::ear::Ear;
use super::endpoint::Endpoint;
use super::error::{ApiError, ApiErrorKind};
use super::fence::Fence;
use super::known;
use super::rate_limit::Cost;
use super::retry::Repeat;
use deepdesk_protocol::facts::names::{SecretHome, SecretId, VersionId};
use deepdesk_protocol::facts::observation::VersionState;
use deepdesk_protocol::facts::payload::Payload;

/// Secret Manager. Clones share connections and the rate limit.
#[derive(Clone)]
pub struct SecretManager {
    wire: Wire,
    principal: Option<String>,
}

impl std::fmt::Debug for SecretManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretManager")
    }
}

/// The most versions that Secret Manager lists at once.
const LARGEST_PAGE: usize = 25_000;

/// The most pages of a list, and the most time for it: one that goes on is none.
const MOST_PAGES: usize = 1000;
const MOST_TIME: Duration = Duration::from_secs(120);

impl SecretManager {
    /// A client for this endpoint with these credentials. Nothing is sent yet.
    pub fn new(endpoint: Endpoint, credentials: Resolved) -> SecretManager {
        let principal = credentials.principal.clone();
        SecretManager { wire: Wire::new(endpoint, credentials), principal }
    }

    /// Whom IAM knows the credentials as, where that is known.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// The same client, but that this hears of each request.
    pub fn heard_by(mut self, ear: Ear) -> SecretManager {
        self.wire.caller.ear = ear;
        self
    }

    /// The same client with another limit for each call, repeats included; 30 seconds by default.
    pub fn with_call_deadline(mut self, deadline: Duration) -> SecretManager {
        self.wire.retry.deadline = deadline;
        self
    }

    /// Reads a version's bytes.
    pub async fn access(&self, home: &SecretHome, secret: &SecretId, which: Which) -> Result<Access, ApiError> {
        let operation = format!("accessSecretVersion {secret}/{which}");
        let mut torn = false;
        loop {
            let answer = match self.access_once(&operation, home, secret, which).await {
                Ok(answer) => answer,
                Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(Access::Missing),
                Err(error) if error.kind == ApiErrorKind::Precondition => {
                    return match self.why_not_enabled(home, secret, which, &error).await {
                        Some(state) => Ok(Access::NotEnabled { state }),
                        None => Err(error),
                    };
                }
                Err(error) => return Err(error),
            };
            match read_access(&operation, answer) {
                // Damaged on the way, perhaps: the documentation says to ask once more.
                Err(_) if !torn => torn = true,
                read => return read,
            }
        }
    }

    async fn access_once(
        &self,
        operation: &str,
        home: &SecretHome,
        secret: &SecretId,
        which: Which,
    ) -> Result<model::AccessSecretVersionResponse, ApiError> {
        let name = version_name(home, secret, which);
        let path = format!("{name}:access");
        let call = read(operation, &path, home, Cost::Access);
        self.wire.call(call, |client| client.access_secret_version().set_name(&name), |request| request.send()).await
    }

    /// The state that kept an access from being answered; none when it was something else.
    ///
    /// One code stands for a version that is not enabled, an encryption key that is not, and a policy of the
    /// organization. The words tell them apart; where they do not, the version itself does.
    async fn why_not_enabled(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        which: Which,
        error: &ApiError,
    ) -> Option<VersionState> {
        for (words, state) in [("DISABLED state", VersionState::Disabled), ("DESTROYED state", VersionState::Destroyed)]
        {
            if error.message.contains(words) {
                return Some(state);
            }
        }
        let version = self.version(home, secret, which).await.ok()??;
        (version.state != VersionState::Enabled).then_some(version.state)
    }

    /// Reads what is known of a version. None: no such secret or version.
    pub async fn version(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        which: Which,
    ) -> Result<Option<VersionInfo>, ApiError> {
        let operation = format!("getSecretVersion {secret}/{which}");
        let name = version_name(home, secret, which);
        let call = read(&operation, &name, home, Cost::Read);
        let answer =
            self.wire.call(call, |client| client.get_secret_version().set_name(&name), |request| request.send()).await;
        found(answer)?.map(|version| version_info(&operation, version)).transpose()
    }

    /// The newest versions, newest first, `most` at most. None: no such secret.
    pub async fn versions(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        most: usize,
    ) -> Result<Option<Vec<VersionInfo>>, ApiError> {
        self.list(home, secret, "", most).await
    }

    /// All enabled versions, newest first. None: no such secret.
    pub async fn enabled_versions(
        &self,
        home: &SecretHome,
        secret: &SecretId,
    ) -> Result<Option<Vec<VersionInfo>>, ApiError> {
        self.list(home, secret, "state:ENABLED", usize::MAX).await
    }

    async fn list(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        filter: &str,
        most: usize,
    ) -> Result<Option<Vec<VersionInfo>>, ApiError> {
        let operation = format!("listSecretVersions {secret}");
        let pages = tokio::time::timeout(MOST_TIME, self.list_pages(&operation, home, secret, filter, most));
        pages.await.unwrap_or_else(|_| Err(malformed(&operation, "the list does not end")))
    }

    async fn list_pages(
        &self,
        operation: &str,
        home: &SecretHome,
        secret: &SecretId,
        filter: &str,
        most: usize,
    ) -> Result<Option<Vec<VersionInfo>>, ApiError> {
        let parent = secret_name(home, secret);
        let path = format!("{parent}/versions");
        let page_size = i32::try_from(most.min(LARGEST_PAGE)).unwrap_or(i32::MAX);
        let mut versions = Vec::new();
        let mut page_token = String::new();
        let mut pages = 0;
        loop {
            let call = read(operation, &path, home, Cost::Read);
            let answer = self
                .wire
                .call(
                    call,
                    |client| {
                        let list = client.list_secret_versions().set_parent(&parent).set_page_size(page_size);
                        list.set_page_token(&page_token).set_filter(filter)
                    },
                    |request| request.send(),
                )
                .await;
            let Some(page) = found(answer)? else { return Ok(None) };
            for version in page.versions {
                versions.push(version_info(operation, version)?);
            }
            pages += 1;
            if page.next_page_token.is_empty() || versions.len() >= most {
                break;
            }
            // The page that was just read once more, or another one for ever.
            if page.next_page_token == page_token || pages >= MOST_PAGES {
                return Err(malformed(operation, "the list does not end"));
            }
            page_token = page.next_page_token;
        }
        // Newest first is what the service does; it is what the callers rely on.
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        versions.truncate(most);
        Ok(Some(versions))
    }

    /// A secret's settings. None: no such secret.
    pub async fn settings(&self, home: &SecretHome, secret: &SecretId) -> Result<Option<SecretSettings>, ApiError> {
        let operation = format!("getSecret {secret}");
        let name = secret_name(home, secret);
        let call = read(&operation, &name, home, Cost::Read);
        let answer = self.wire.call(call, |client| client.get_secret().set_name(&name), |request| request.send()).await;
        Ok(found(answer)?.map(SecretSettings::of))
    }

    /// Creates a secret with these settings.
    pub async fn create(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        like: &SecretSettings,
        fence: &Fence,
    ) -> Result<(), ApiError> {
        let operation = format!("createSecret {secret}");
        let path = format!("{home}/secrets?secretId={secret}");
        let call = write(&operation, &path, home, Cost::Write, Repeat::NotDone, fence);
        let settings = like.secret(home.location.is_some());
        self.wire
            .call(
                call,
                |client| {
                    let create = client.create_secret().set_parent(home.to_string()).set_secret_id(secret.as_str());
                    create.set_secret(settings.clone())
                },
                |request| request.send(),
            )
            .await?;
        Ok(())
    }

    /// A secret's IAM policy.
    pub async fn policy(&self, home: &SecretHome, secret: &SecretId) -> Result<Policy, ApiError> {
        let operation = format!("getIamPolicy {secret}");
        let name = secret_name(home, secret);
        let path = format!("{name}:getIamPolicy");
        let call = read(&operation, &path, home, Cost::Read);
        // Version 3, or conditions are left out and would be lost in the copy.
        let options = GetPolicyOptions::new().set_requested_policy_version(3);
        let policy = self
            .wire
            .call(
                call,
                |client| client.get_iam_policy().set_resource(&name).set_options(options.clone()),
                |request| request.send(),
            )
            .await?;
        Ok(Policy(policy))
    }

    /// Adds the policy's bindings to the secret's own; none of its own is lost, also not one set meanwhile.
    pub async fn set_policy(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        policy: &Policy,
        fence: &Fence,
    ) -> Result<(), ApiError> {
        let operation = format!("setIamPolicy {secret}");
        let name = secret_name(home, secret);
        let path = format!("{name}:setIamPolicy");
        let mut conflicts = 0;
        let mut sent = false;
        loop {
            let Some(wanted) = self.policy(home, secret).await?.with_bindings_of(policy) else { return Ok(()) };
            let call = write(&operation, &path, home, Cost::Write, Repeat::NotDone, fence);
            let result = self
                .wire
                .call(
                    call,
                    |client| client.set_iam_policy().set_resource(&name).set_policy(wanted.clone()),
                    |request| request.send(),
                )
                .await;
            match result {
                Ok(_) => return Ok(()),
                // Somebody else set it after we read it, or our own answer got lost: the next look tells.
                Err(error) if (error.kind == ApiErrorKind::Conflict || error.is_outcome_unknown()) && conflicts < 3 => {
                    conflicts += 1;
                    sent |= error.is_outcome_unknown();
                }
                Err(error) if sent => return Err(error.after_sending()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds a version. Sent once unless the server certainly did nothing: see [`ApiError::is_outcome_unknown`].
    pub async fn add_version(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        payload: &Payload,
        fence: &Fence,
    ) -> Result<VersionId, ApiError> {
        let operation = format!("addSecretVersion {secret}");
        let parent = secret_name(home, secret);
        let path = format!("{parent}:addVersion");
        let call = write(&operation, &path, home, Cost::Add(secret.as_str()), Repeat::NotDone, fence);
        // Before it is sent: whoever refuses it may quote it.
        known::values().keep(payload);
        // Shared by all attempts, and wiped with the last of them. What the client makes of it is not ours to wipe.
        let data = Bytes::from_owner(Zeroizing::new(payload.expose().to_vec()));
        let checksum = payload.crc32c();
        let answer = self
            .wire
            .call(
                call,
                |client| {
                    let payload = model::SecretPayload::new().set_data(data.clone()).set_data_crc32c(checksum);
                    client.add_secret_version().set_parent(&parent).set_payload(payload)
                },
                |request| request.send(),
            )
            .await?;
        version_of(&operation, &answer.name)
    }

    /// Enables a version if its etag is still this one. Done twice it does the same.
    pub async fn enable(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        version: VersionId,
        etag: &str,
        fence: &Fence,
    ) -> Result<(), ApiError> {
        let which = Which::Number(version);
        let operation = format!("enableSecretVersion {secret}/{which}");
        let name = version_name(home, secret, which);
        let path = format!("{name}:enable");
        let call = write(&operation, &path, home, Cost::Write, Repeat::Unanswered, fence);
        let enabled = self
            .wire
            .call(
                call,
                |client| client.enable_secret_version().set_name(&name).set_etag(etag),
                |request| request.send(),
            )
            .await;
        enabled.map(|_| ())
    }

    /// Disables a version if its etag is still this one.
    pub async fn disable(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        version: VersionId,
        etag: &str,
        fence: &Fence,
    ) -> Result<(), ApiError> {
        let which = Which::Number(version);
        let operation = format!("disableSecretVersion {secret}/{which}");
        let name = version_name(home, secret, which);
        // The etag makes it safe to repeat: it is another one as soon as it was done.
        let path = format!("{name}:disable");
        let call = write(&operation, &path, home, Cost::Write, Repeat::Unanswered, fence);
        let attempts = std::sync::atomic::AtomicU32::new(0);
        let result = self
            .wire
            .call(
                call,
                |client| {
                    attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    client.disable_secret_version().set_name(&name).set_etag(etag)
                },
                |request| request.send(),
            )
            .await;
        match result {
            Ok(_) => Ok(()),
            // An earlier attempt may have done it, and its answer was lost: then the etag is stale for that reason.
            Err(error) if error.kind == ApiErrorKind::Precondition && attempts.into_inner() > 1 => {
                match self.version(home, secret, which).await? {
                    Some(found) if found.state == VersionState::Disabled => Ok(()),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Destroys a version if its etag is still this one. Returns its state then: still disabled where the secret has a
    /// destroy delay (`version_destroy_ttl`), at whose end Secret Manager does it.
    pub async fn destroy(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        version: VersionId,
        etag: &str,
        fence: &Fence,
    ) -> Result<VersionState, ApiError> {
        let which = Which::Number(version);
        let operation = format!("destroySecretVersion {secret}/{which}");
        let name = version_name(home, secret, which);
        let path = format!("{name}:destroy");
        // As with `disable`: after it was done, the etag is another one.
        let call = write(&operation, &path, home, Cost::Write, Repeat::Unanswered, fence);
        let sent = self
            .wire
            .call(
                call,
                |client| client.destroy_secret_version().set_name(&name).set_etag(etag),
                |request| request.send(),
            )
            .await;
        match sent {
            Ok(answer) => versions::state(&operation, &answer.state),
            // The answer of an earlier attempt may have been lost.
            Err(error) if error.kind == ApiErrorKind::Precondition || error.is_outcome_unknown() => {
                match self.version(home, secret, which).await? {
                    Some(found) if found.state == VersionState::Destroyed => Ok(found.state),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Which of these permissions the caller has on the secret; none of them when it does not exist.
    pub async fn test_permissions(
        &self,
        home: &SecretHome,
        secret: &SecretId,
        permissions: &[&str],
    ) -> Result<Vec<String>, ApiError> {
        let operation = format!("testIamPermissions {secret}");
        let name = secret_name(home, secret);
        let path = format!("{name}:testIamPermissions");
        // A question, although Secret Manager wants it posted.
        let call = Call { method: Method::POST, ..read(&operation, &path, home, Cost::Read) };
        let answer = self
            .wire
            .call(
                call,
                |client| {
                    let test = client.test_iam_permissions().set_resource(&name);
                    test.set_permissions(permissions.iter().copied())
                },
                |request| request.send(),
            )
            .await?;
        Ok(answer.permissions)
    }
}

/// A call that changes nothing.
fn read<'a>(operation: &'a str, path: &'a str, home: &'a SecretHome, cost: Cost<'a>) -> Call<'a> {
    let (method, repeat) = (Method::GET, Repeat::Unanswered);
    Call { operation, method, path, location: home.location.as_ref(), cost, repeat, fence: &Fence::OPEN }
}

/// A call that the fence is asked about before each attempt.
fn write<'a>(
    operation: &'a str,
    path: &'a str,
    home: &'a SecretHome,
    cost: Cost<'a>,
    repeat: Repeat,
    fence: &'a Fence,
) -> Call<'a> {
    Call { operation, method: Method::POST, path, location: home.location.as_ref(), cost, repeat, fence }
}
