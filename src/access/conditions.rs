//! What the account's two secrets do by themselves, asked before the first write: one that deletes itself, names that stay at
//! an old version, a schedule by which somebody else rotates, versions that are about to be destroyed.

use jiff::Timestamp;

use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::secret_manager::{Conditions, SecretManager, VersionInfo};
use deepdesk_protocol::check::catalogue::{self, ALIASES_ID, DESTRUCTION_ID, EXPIRY_ID, SCHEDULE_ID};
use deepdesk_protocol::command;
use deepdesk_protocol::facts::names::{SecretHome, SecretId};
use deepdesk_protocol::facts::observation::{Observation, SecretView, VersionState};
use deepdesk_protocol::hint::{Command, Hint};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{CheckResult, Verdict};

/// The ids of what is asked here.
pub const IDS: [&str; 4] = [EXPIRY_ID, ALIASES_ID, SCHEDULE_ID, DESTRUCTION_ID];

/// Asks both secrets. What may not be seen is said, and is no reason to refuse.
pub async fn conditions(manager: &SecretManager, now: &Observation) -> Result<Vec<CheckResult>, Problem> {
    let mut results = Vec::new();
    for view in [&now.primary, &now.back_compat].into_iter().filter(|view| view.exists) {
        let (home, secret) = (&now.home, &view.secret);
        let (settings, versions) =
            futures::join!(manager.settings(home, secret), manager.versions(home, secret, MOST_VERSIONS));
        match readable(settings)? {
            Ok(settings) => {
                let conditions = settings.map(|settings| settings.conditions().clone()).unwrap_or_default();
                results.extend(of_secret(&conditions, view, home));
            }
            // Nothing hangs on it, and who has the rights of docs/permissions.md alone must not be warned each time: `check` says it.
            Err(_) => {
                let line = format!("not known for {secret}: secretmanager.secrets.get is missing on it");
                results.push(catalogue::result(EXPIRY_ID, Verdict::Pass, line, Vec::new()));
            }
        }
        // That they may not be listed is said by the check on rights.
        if let Ok(versions) = readable(versions)? {
            results.extend(to_be_destroyed(versions.unwrap_or_default(), view, home));
        }
    }
    for id in IDS {
        if !results.iter().any(|result| result.id == id) {
            results.push(catalogue::result(id, Verdict::Pass, String::new(), Vec::new()));
        }
    }
    Ok(results)
}

/// Which of these secrets delete themselves, each in a line with what to do. What may not be seen is left out.
pub async fn expiries(manager: &SecretManager, secrets: &[(SecretHome, SecretId)]) -> Vec<String> {
    let asked = secrets.iter().map(|(home, secret)| async move {
        let settings = manager.settings(home, secret).await.ok().flatten()?;
        let at = settings.conditions().expires?;
        let keep = update(secret, home).with(["--remove-expiration"]);
        Some(format!("secret {secret} expires and is deleted on {}; to keep it: {keep}", shown(at)))
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

/// How many of the newest versions are looked at.
const MOST_VERSIONS: usize = 100;

/// Tells what may not be read from what could not be.
fn readable<T>(answer: Result<T, ApiError>) -> Result<Result<T, ApiError>, Problem> {
    match answer {
        Err(error) if error.kind == ApiErrorKind::Forbidden && error.advice.is_none() => Ok(Err(error)),
        answer => Ok(Ok(answer?)),
    }
}

fn of_secret(conditions: &Conditions, view: &SecretView, home: &SecretHome) -> Vec<CheckResult> {
    let secret = &view.secret;
    let warn = |id, message: String, hint: Hint| catalogue::result(id, Verdict::Warn, message, vec![hint]);
    let mut results = Vec::new();
    if let Some(at) = conditions.expires {
        let hint = Hint::to("keep it", update(secret, home).with(["--remove-expiration"]));
        results.push(warn(
            EXPIRY_ID,
            format!(
                "secret {secret} expires and is deleted on {}: all of its versions are deleted with it, permanently",
                shown(at)
            ),
            hint,
        ));
    }
    // Names at the newest version stay behind when one is added; those of before stay where they were in any case.
    let newest = view.newest().and_then(|newest| i64::try_from(newest.id.get()).ok());
    let behind: Vec<String> = conditions
        .aliases
        .iter()
        .filter(|(_, version)| Some(**version) == newest)
        .map(|(name, version)| format!("{name} ({version})"))
        .collect();
    if !behind.is_empty() {
        let hint =
            Hint::to("move it afterwards", update(secret, home).with(["--update-version-aliases=ALIAS=VERSION"]));
        let line = format!(
            "aliases of secret {secret} keep their version when another one is added: {}; clients that read by them keep the old value",
            behind.join(", ")
        );
        results.push(warn(ALIASES_ID, line, hint));
    }
    if let (Some(at), false) = (conditions.next_rotation, conditions.topics.is_empty()) {
        let line = format!(
            "secret {secret} has a rotation schedule: on {} its topics ({}) are notified, and a subscriber may add a version of its own",
            shown(at),
            conditions.topics.join(", ")
        );
        results.push(warn(
            SCHEDULE_ID,
            line,
            Hint::to("if no subscriber is meant to", update(secret, home).with(["--remove-rotation-schedule"])),
        ));
    }
    results
}

fn to_be_destroyed(versions: Vec<VersionInfo>, view: &SecretView, home: &SecretHome) -> Vec<CheckResult> {
    let due = versions.into_iter().filter(|version| version.state != VersionState::Destroyed);
    due.filter_map(|version| {
        let at = version.destruction?;
        let (number, secret) = (version.version.get(), &view.secret);
        let line = format!(
            "version {number} of secret {secret} is to be destroyed on {}: data encrypted under its value would become unreadable",
            shown(at)
        );
        let keep = command!["gcloud", "secrets", "versions", "disable", number, format!("--secret={secret}"), format!("--project={}", home.project)];
        Some(catalogue::result(DESTRUCTION_ID, Verdict::Warn, line, vec![Hint::to("if data may need it, keep it", located(keep, home))]))
    })
    .collect()
}

fn update(secret: &SecretId, home: &SecretHome) -> Command {
    located(command!["gcloud", "secrets", "update", secret, format!("--project={}", home.project)], home)
}

fn located(command: Command, home: &SecretHome) -> Command {
    match &home.location {
        Some(location) => command.with([format!("--location={location}")]),
        None => command,
    }
}

fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
