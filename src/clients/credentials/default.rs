//! Application default credentials: a file, or the metadata server of the machine we run on.

use std::path::Path;
use std::time::Duration;

use deepdesk_protocol::problem::Reason;
use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{Credentials, external_account, impersonated, mds, service_account, user_account};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::origin::{self, CredentialsFile, Origin, VARIABLE};
use super::{FIRST_TOKEN, Found, key_file, refused, universe};
use crate::clients::advice::Advice;
use crate::clients::error::{ApiError, INSTALL_AUTHORITIES, NO_AUTHORITIES, no_authorities};
use crate::clients::gcloud::Gcloud;
use crate::clients::{known, patience};
use crate::environment::Environment;

/// Name of the file in gcloud's directory.
pub(super) const FILE: &str = "application_default_credentials.json";

/// What Secret Manager needs, and what gcloud asks for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where the metadata server of Google's machines answers. A number, since resolving its name may take seconds elsewhere.
const METADATA_SERVER: &str = "169.254.169.254";

/// How long the metadata server may take to answer. On Google's machines it takes milliseconds.
const PROBE: Duration = Duration::from_millis(800);

/// How long one is waited for where there is reason to think that it will come: in a new pod of GKE it may take that long.
const TO_COME: Duration = Duration::from_secs(30);

/// What was looked for among files.
pub(super) enum Looked {
    /// There is none.
    Nothing,
    /// Credentials.
    Found(Box<Found>),
    /// gcloud's own file, of a type that cannot be used.
    Unusable(CredentialsFile),
}

/// The file that the environment names, else the one that `gcloud auth application-default login` wrote.
pub(super) fn from_files(env: &Environment, gcloud: &Gcloud) -> Result<Looked, ApiError> {
    let account = gcloud.property("core/account").map(|property| property.value);
    if let Some(named) = env.get(VARIABLE) {
        if key_file::is_content(named) {
            // Not shown, here or anywhere: it is the key.
            known::values().keep_credential(named);
            let line = format!("{VARIABLE} holds the credentials themselves, and has to name a file of them");
            return Err(refused(
                &line,
                Advice::new(
                    Reason::Unauthenticated,
                    "write them into a file that only you can read, and name that file",
                ),
            ));
        }
        return match from_file(Path::new(named), true, account.as_deref())? {
            Looked::Nothing => {
                let line = format!("{VARIABLE} names {named}, which does not exist");
                let file = origin::file(Path::new(named), true, "", None);
                Err(refused(&line, Advice::new(Reason::Unauthenticated, file.replaced(account.as_deref()))))
            }
            // Somebody chose that file: another identity in its place would be a surprise.
            Looked::Unusable(file) => {
                let line = format!("{}, which is of the type {}: that cannot be used here", file.named(), file.kind);
                Err(refused(&line, Advice::new(Reason::UnsupportedCredentials, file.replaced(account.as_deref()))))
            }
            found => Ok(found),
        };
    }
    match gcloud.directory() {
        Some(directory) => from_file(&directory.join(FILE), false, account.as_deref()),
        None => Ok(Looked::Nothing),
    }
}

fn from_file(path: &Path, by_variable: bool, account: Option<&str>) -> Result<Looked, ApiError> {
    let text = match std::fs::read(path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Looked::Nothing),
        Err(error) => {
            let file = origin::file(path, by_variable, "", None);
            let line = format!("{} cannot be read: {error}", path.display());
            return Err(refused(&line, Advice::new(Reason::Unauthenticated, file.replaced(account))));
        }
    };
    // Parser and builder quote what they stumble over, and here that is a key.
    let unusable = |why: &str| {
        let file = origin::file(path, by_variable, "", None);
        refused(&format!("{} {why}", path.display()), Advice::new(Reason::Unauthenticated, file.replaced(account)))
    };
    let json: Value = key_file::read(&text).map_err(|why| unusable(&why))?;
    let quota_project = json.get("quota_project_id").and_then(Value::as_str).map(str::to_owned);
    // What gcloud writes for a person carries the account, and may carry it empty.
    let said = ["client_email", "account"].into_iter().find_map(|name| json.get(name)?.as_str());
    let acts_as = impersonated_by(&json);
    let principal = said.filter(|email| !email.is_empty()).map(str::to_owned).or_else(|| acts_as.clone());
    let kind = match json.get("type").map(|kind| kind.as_str().filter(|kind| is_word(kind))) {
        Some(Some(kind)) => kind.to_owned(),
        Some(None) => return Err(unusable("holds credentials whose type is not a word")),
        // What the console gives out for a program to log people in with.
        None if json.get("installed").or(json.get("web")).is_some() => {
            return Err(unusable("is an OAuth client, not credentials"));
        }
        None => return Err(unusable("has no `type`: it is not a credentials file")),
    };
    universe::refuse_in_file(&json, &path.display().to_string())?;
    note(&json);
    let file = origin::file(path, by_variable, &kind, acts_as);
    // A program that gives out the token may ask somebody.
    let patience = match json.pointer("/credential_source/executable") {
        Some(_) => patience::UNASKED,
        None => FIRST_TOKEN,
    };
    let credentials = match kind.as_str() {
        "authorized_user" => user_account::Builder::new(json).build(),
        "service_account" => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            service_account::Builder::new(json).with_access_specifier(scopes).build()
        }
        "impersonated_service_account" => impersonated::Builder::new(json).with_scopes([SCOPE]).build(),
        "external_account" => external_account::Builder::new(json).with_scopes([SCOPE]).build(),
        _ => return Ok(Looked::Unusable(file)),
    };
    let credentials = credentials.map_err(|error: BuildError| match no_authorities(&error) {
        true => refused(NO_AUTHORITIES, Advice::new(Reason::ConnectionFailed, INSTALL_AUTHORITIES)),
        false => unusable(&format!(
            "holds credentials ({kind}) that cannot be used: a field is missing or not what it should be"
        )),
    })?;
    let description = format!("application default credentials ({})", path.display());
    let mut found = Found::new(credentials, description, Origin::File(file));
    (found.principal, found.quota_project, found.patience) = (principal, quota_project, patience);
    Ok(Looked::Found(Box::new(found)))
}

fn is_word(kind: &str) -> bool {
    (1..=60).contains(&kind.len()) && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Takes note of what is secret in a file of credentials, and of the token that it is exchanged for: a server that refuses
/// one may quote it.
fn note(json: &Value) {
    const SECRET: [&str; 4] = ["private_key", "refresh_token", "client_secret", "private_key_id"];
    let keep = |secret: &str| known::values().keep_credential(secret);
    let impersonating = json.get("source_credentials").unwrap_or(&Value::Null);
    for of in [json, impersonating] {
        SECRET.iter().filter_map(|name| of.get(name)?.as_str()).for_each(keep);
        let source = of.get("credential_source").unwrap_or(&Value::Null);
        let headers = source.get("headers").and_then(Value::as_object).into_iter().flatten();
        headers
            .filter_map(|(_, value)| value.as_str())
            .for_each(|value| keep(value.rsplit(' ').next().unwrap_or(value)));
        let Some(path) = source.get("file").and_then(Value::as_str) else { continue };
        // Whoever keeps it fresh replaces it; the one of now is what is sent first.
        let Ok(text) = std::fs::read_to_string(path).map(zeroize::Zeroizing::new) else { continue };
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(fields)) => fields.values().filter_map(Value::as_str).for_each(keep),
            _ => keep(text.trim()),
        }
    }
}

/// The service account that a file of this type acts as: the last part of the URL that gives out its tokens.
fn impersonated_by(json: &Value) -> Option<String> {
    let url = json.get("service_account_impersonation_url")?.as_str()?;
    let (_, account) = url.rsplit_once('/')?;
    Some(account.split(':').next()?.to_owned()).filter(|account| account.contains('@'))
}

/// The machine's own service account, on Google's machines.
pub(super) async fn from_metadata_server(env: &Environment) -> Result<Option<Found>, ApiError> {
    if env.is_on("NO_GCE_CHECK") {
        return Ok(None);
    }
    let host = metadata_host(env);
    if !matches!(tokio::time::timeout(PROBE, is_metadata_server(&host)).await, Ok(Ok(true))) {
        return Ok(None);
    }
    let credentials: Result<Credentials, BuildError> =
        mds::Builder::default().with_endpoint(format!("http://{host}")).build();
    let credentials = credentials
        .map_err(|_| refused("the metadata server's credentials cannot be used", Origin::Metadata.refused()))?;
    let description = format!("the service account of this machine (metadata server {host})");
    let mut found = Found::new(credentials, description, Origin::Metadata);
    // One that has just begun to answer may not have a token yet.
    found.patience = TO_COME;
    Ok(Some(found))
}

/// The same once more and again, where one is to be expected: a new pod's takes its time.
pub(super) async fn metadata_server_to_come(env: &Environment) -> Result<Option<Found>, ApiError> {
    if !is_patient(env) {
        return Ok(None);
    }
    let limit = patience::limit(env, TO_COME).map_err(|error| refused(&error.message, Advice::of(&error)))?;
    let until = tokio::time::Instant::now() + limit;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Some(found) = from_metadata_server(env).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether a metadata server is to be expected: one is named, or this is a pod.
pub(super) fn is_patient(env: &Environment) -> bool {
    !env.is_on("NO_GCE_CHECK")
        && (env.get("GCE_METADATA_HOST").is_some() || env.get("KUBERNETES_SERVICE_HOST").is_some())
}

fn metadata_host(env: &Environment) -> String {
    env.get("GCE_METADATA_HOST").unwrap_or(METADATA_SERVER).to_owned()
}

/// Asks whether the host is a metadata server; anybody may answer at that address in another network.
async fn is_metadata_server(host: &str) -> std::io::Result<bool> {
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    stream.take(4096).read_to_end(&mut head).await?;
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase().contains("\nmetadata-flavor: google"))
}
