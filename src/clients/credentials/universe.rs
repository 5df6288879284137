//! The universe that credentials belong to. This program speaks to Google's own (`googleapis.com`): the token of another one
//! must not get there, nor one of Google's to somebody else's cloud.

use deepdesk_protocol::problem::Reason;
use serde_json::Value;

use super::refused;
use crate::clients::advice::Advice;
use crate::clients::error::ApiError;
use crate::clients::gcloud::Gcloud;
use crate::environment::Environment;

/// Google's own.
const OURS: &str = "googleapis.com";

/// The variable by which Google's libraries are told of another one.
const VARIABLE: &str = "GOOGLE_CLOUD_UNIVERSE_DOMAIN";

/// Refuses another one that the environment or gcloud's configuration names: their tokens are that one's.
pub(super) fn refuse_configured(env: &Environment, gcloud: &Gcloud) -> Result<(), ApiError> {
    if let Some(universe) = env.get(VARIABLE) {
        refuse(Some(universe), &format!("the environment variable {VARIABLE}"))?;
    }
    match gcloud.property("core/universe_domain") {
        Some(said) => refuse(Some(&said.value), &format!("gcloud's core/universe_domain ({})", said.source)),
        None => Ok(()),
    }
}

/// Refuses a file that names another one, for itself or for the credentials that it impersonates with.
pub(super) fn refuse_in_file(json: &Value, file: &str) -> Result<(), ApiError> {
    for place in ["/universe_domain", "/source_credentials/universe_domain"] {
        refuse(json.pointer(place).and_then(Value::as_str), file)?;
    }
    Ok(())
}

/// Refuses another one than Google's own. None is Google's own.
pub(super) fn refuse(universe: Option<&str>, what: &str) -> Result<(), ApiError> {
    let universe = universe.map(str::trim).filter(|universe| !universe.is_empty() && *universe != OURS);
    let Some(universe) = universe else { return Ok(()) };
    let line = format!("{what} is for the universe {universe}: its tokens are not sent to {OURS}");
    let hint =
        format!("use credentials and a gcloud configuration for {OURS}: kubectl deepdesk speaks to no other universe");
    Err(refused(&line, Advice::new(Reason::OtherUniverse, hint.as_str())))
}
