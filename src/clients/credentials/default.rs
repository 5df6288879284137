//! Application default credentials: a file, or the metadata server of the machine we run on.

use std::path::Path;
use std::time::Duration;

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{Credentials, external_account, impersonated, mds, service_account, user_account};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Found, LOG_IN, refused};
use crate::clients::error::ApiError;
use crate::clients::gcloud::Gcloud;
use crate::environment::Environment;

/// Name of the file in gcloud's directory.
pub(super) const FILE: &str = "application_default_credentials.json";

/// What Secret Manager needs, and what gcloud asks for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where the metadata server of Google's machines answers. A number, since resolving its name may take seconds elsewhere.
const METADATA_SERVER: &str = "169.254.169.254";

/// How long the metadata server may take to answer. On Google's machines it takes milliseconds.
const PROBE: Duration = Duration::from_millis(800);

/// The file that the environment names, else the one that `gcloud auth application-default login` wrote.
pub(super) fn from_files(env: &Environment, gcloud: &Gcloud) -> Result<Option<Found>, ApiError> {
    if let Some(path) = env.get("GOOGLE_APPLICATION_CREDENTIALS") {
        let found = from_file(Path::new(path))?;
        return found.map(Some).ok_or_else(|| {
            refused(&format!("GOOGLE_APPLICATION_CREDENTIALS names {path}, which does not exist; {LOG_IN}"))
        });
    }
    Ok(gcloud.directory().map(|directory| from_file(&directory.join(FILE))).transpose()?.flatten())
}

/// None when there is no such file.
fn from_file(path: &Path) -> Result<Option<Found>, ApiError> {
    let text = match std::fs::read(path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&format!("{} cannot be read: {error}", path.display()))),
    };
    // Parser and builder quote what they stumble over, and here that is a key.
    let unusable = |why: &str| refused(&format!("{} {why}; {LOG_IN}", path.display()));
    let json: Value = serde_json::from_slice(&text).map_err(|_| unusable("is not JSON"))?;
    let quota_project = json.get("quota_project_id").and_then(Value::as_str).map(str::to_owned);
    // What gcloud writes for a person carries the account, and may carry it empty.
    let said = ["client_email", "account"].into_iter().find_map(|name| json.get(name)?.as_str());
    let principal = said.filter(|email| !email.is_empty()).map(str::to_owned).or_else(|| impersonated_by(&json));
    let kind = json.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let credentials = match kind.as_str() {
        "authorized_user" => user_account::Builder::new(json).build(),
        "service_account" => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            service_account::Builder::new(json).with_access_specifier(scopes).build()
        }
        "impersonated_service_account" => impersonated::Builder::new(json).with_scopes([SCOPE]).build(),
        "external_account" => external_account::Builder::new(json).with_scopes([SCOPE]).build(),
        _ => return Err(unusable("holds credentials of a type that is not supported")),
    };
    let credentials = credentials.map_err(|_: BuildError| unusable("holds credentials that cannot be used"))?;
    let description = format!("application default credentials ({})", path.display());
    Ok(Some(Found { credentials, description, principal, quota_project, impersonates: false }))
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
    let host = env.get("GCE_METADATA_HOST").unwrap_or(METADATA_SERVER).to_owned();
    if !matches!(tokio::time::timeout(PROBE, is_metadata_server(&host)).await, Ok(Ok(true))) {
        return Ok(None);
    }
    let credentials: Result<Credentials, BuildError> =
        mds::Builder::default().with_endpoint(format!("http://{host}")).build();
    let credentials = credentials.map_err(|_| refused("the metadata server's credentials cannot be used"))?;
    Ok(Some(Found::new(credentials, format!("the service account of this machine (metadata server {host})"))))
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
