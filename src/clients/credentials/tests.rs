//! Which credentials are found, in which order, and how it is said that there are none.

use std::path::PathBuf;
use std::time::Instant;

use google_cloud_auth::credentials::CacheableResource;
use serde_json::json;

use super::*;
use crate::clients::testing::{Reply, Server};

const MARKER: &str = "MARKER-t0ken";

/// A home directory, and with it an environment in which nothing is found unless it was put there.
struct Home {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn new() -> Home {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home { directory, variables: Vec::new() };
        let (config, programs) = (home.path("gcloud"), home.path("bin"));
        std::fs::create_dir_all(&programs).expect("a directory");
        // The real gcloud of this machine must not be found, nor its metadata server.
        home.with("CLOUDSDK_CONFIG", &config).with("PATH", &programs).with("NO_GCE_CHECK", "true")
    }

    fn with(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Home {
        let value = value.as_ref().to_str().expect("text").to_owned();
        self.variables.retain(|(existing, _)| existing != name);
        self.variables.push((name.to_owned(), value));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A gcloud that is logged in as jane and runs this script when it is asked for a token.
    fn gcloud(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write("gcloud/configurations/config_default", "[core]\naccount = jane@example.com\n");
        let path = self.write("bin/gcloud", &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }

    async fn resolve(&self, impersonate: Option<&str>) -> Result<Resolved, ApiError> {
        let env: Environment = self.variables.iter().cloned().collect();
        let gcloud = Gcloud::read(&env, None).expect("a configuration");
        resolve(&env, &gcloud, impersonate, &Endpoint::google()).await
    }
}

async fn header(resolved: &Resolved) -> Option<String> {
    match resolved.credentials.headers(http::Extensions::new()).await.expect("headers") {
        CacheableResource::New { data, .. } => {
            data.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned)
        }
        CacheableResource::NotModified => panic!("Google's client panics here"),
    }
}

fn told(token: &str, expiry: &str) -> String {
    format!("echo '{{\"credential\":{{\"access_token\":\"{token}\",\"token_expiry\":{expiry}}}}}'")
}

#[tokio::test]
async fn no_credentials_is_said_soon_and_with_a_hint() {
    let started = Instant::now();
    let error = Home::new().resolve(None).await.expect_err("there are none");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!((error.service, error.kind), (Service::Credentials, ApiErrorKind::Unauthenticated));
    assert!(error.message.contains("gcloud auth application-default login"), "{error}");
}

#[tokio::test]
async fn a_plain_endpoint_gets_nothing_whatever_there_is() {
    let home = Home::new();
    home.gcloud(&told(MARKER, "null"));
    let env: Environment = home.variables.iter().cloned().collect();
    let gcloud = Gcloud::read(&env, None).expect("a configuration");
    let endpoint = Endpoint::instead("http://127.0.0.1:1/").expect("loopback");
    let resolved = resolve(&env, &gcloud, Some("sa@p"), &endpoint).await.expect("none needed");
    assert_eq!(resolved.description, "none (plain http on loopback)");
    assert_eq!(header(&resolved).await, None);
}

#[tokio::test]
async fn the_token_file_comes_first_and_is_read_afresh() {
    let home = Home::new();
    home.gcloud(&told("of-gcloud", "null"));
    let file = home.write("token", &format!("{MARKER}\n"));
    let home = home.with("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &file).with("CLOUDSDK_BILLING_QUOTA_PROJECT", "qp");
    let resolved = home.resolve(None).await.expect("a token");
    assert_eq!(header(&resolved).await, Some(format!("Bearer {MARKER}")));
    assert_eq!(resolved.quota_project.as_deref(), Some("qp"));
    assert!(resolved.description.contains("access token file"));
    assert!(!format!("{resolved:?}").contains("MARKER"));
    std::fs::write(&file, "another").expect("a file");
    assert_eq!(header(&resolved).await.as_deref(), Some("Bearer another"));
    std::fs::remove_file(&file).expect("a file");
    let error = home.resolve(None).await.expect_err("no file");
    assert!(error.message.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn default_credentials_are_found_in_gclouds_directory() {
    let server = Server::start(|_, _| {
        Reply::With(
            200,
            &[("content-type", "application/json")],
            json!({"access_token": MARKER, "expires_in": 3600, "token_type": "Bearer"}).to_string(),
        )
    })
    .await;
    let home = Home::new();
    home.gcloud(&told("of-gcloud", "null"));
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
                      "token_uri": server.url(), "quota_project_id": "of-file"});
    let path = home.write("gcloud/application_default_credentials.json", &user.to_string());
    let resolved = home.resolve(None).await.expect("a token");
    assert_eq!(header(&resolved).await, Some(format!("Bearer {MARKER}")));
    assert_eq!(resolved.description, format!("application default credentials ({})", path.display()));
    assert_eq!(resolved.quota_project.as_deref(), Some("of-file"));
    assert!(!format!("{resolved:?}").contains("MARKER"));
    let named = home.with("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json");
    assert!(named.resolve(None).await.expect_err("named, and missing").message.contains("/nowhere/key.json"));
}

#[tokio::test]
async fn credentials_that_are_refused_are_not_replaced_by_others() {
    for (status, body, expected) in [
        (400, json!({"error": "invalid_grant", "error_description": "Token has been revoked."}).to_string(), "revoked"),
        (200, json!({"access_token": [MARKER]}).to_string(), "cannot be read"),
        (400, format!("<html>{MARKER}"), "400"),
    ] {
        let server = Server::start(move |_, _| Reply::Text(status, body.clone())).await;
        let home = Home::new();
        home.gcloud(&told("of-gcloud", "null"));
        let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": MARKER, "refresh_token": MARKER,
                          "token_uri": server.url()});
        home.write("gcloud/application_default_credentials.json", &user.to_string());
        let error = home.resolve(None).await.expect_err("refused");
        assert!(error.message.contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
    for text in [format!("{{\"type\": \"service_account\", \"private_key\": [\"{MARKER}\"]}}"), MARKER.to_owned()] {
        let home = Home::new();
        home.write("gcloud/application_default_credentials.json", &text);
        let error = home.resolve(None).await.expect_err("unusable");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
}

#[tokio::test]
async fn gclouds_account_is_asked_once_and_again_when_its_token_ends() {
    let home = Home::new();
    let ran = home.path("ran");
    let count = || std::fs::read_to_string(&ran).expect("it ran").lines().count();
    home.gcloud(&format!("echo \"$@\" >> {}; {}", ran.display(), told(MARKER, "\"2040-01-01T00:00:00Z\"")));
    let resolved = home.resolve(None).await.expect("a token");
    assert_eq!(resolved.description, "gcloud account jane@example.com");
    assert!(!format!("{resolved:?}").contains("MARKER"));
    for _ in 0..3 {
        assert_eq!(header(&resolved).await, Some(format!("Bearer {MARKER}")));
    }
    assert_eq!(count(), 1);
    home.gcloud(&format!("echo \"$@\" >> {}; {}", ran.display(), told(MARKER, "\"2020-01-01T00:00:00Z\"")));
    let resolved = home.resolve(Some("a@p,target@p")).await.expect("a token");
    assert_eq!(resolved.description, "target@p, impersonated by gcloud account jane@example.com");
    assert_eq!(count(), 3, "found, ended, found");
    let asked = std::fs::read_to_string(&ran).expect("it ran");
    assert!(asked.contains("--impersonate-service-account=a@p,target@p"), "{asked}");
}

#[tokio::test]
async fn a_gcloud_that_fails_says_why_but_not_its_output() {
    for (script, expected) in [
        (format!("echo {MARKER}; echo 'ERROR: please run gcloud auth login' >&2; exit 1"), "please run"),
        (format!("echo {MARKER}"), "something else"),
        (format!("echo '{{\"credential\":{{\"access_token\":[\"{MARKER}\"]}}}}'"), "something else"),
    ] {
        let home = Home::new();
        home.gcloud(&script);
        let error = home.resolve(None).await.expect_err("no token");
        assert!(error.message.contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
    let without_gcloud = Home::new();
    without_gcloud.write("gcloud/configurations/config_default", "[core]\naccount = jane@example.com\n");
    assert!(without_gcloud.resolve(None).await.expect_err("no gcloud").message.contains("gcloud auth"));
}

#[tokio::test]
async fn the_machines_own_account_comes_before_gclouds() {
    let server = Server::start(|_, asked| {
        const HEADERS: &[(&str, &str)] = &[("metadata-flavor", "Google"), ("content-type", "application/json")];
        match asked.target.contains("/token") {
            true => Reply::With(
                200,
                HEADERS,
                json!({"access_token": MARKER, "expires_in": 3600, "token_type": "Bearer"}).to_string(),
            ),
            false => Reply::With(200, HEADERS, "computeMetadata/\n".to_owned()),
        }
    })
    .await;
    let host = server.url().trim_start_matches("http://").to_owned();
    let home = Home::new().with("NO_GCE_CHECK", "").with("GCE_METADATA_HOST", &host);
    home.gcloud(&told("of-gcloud", "null"));
    let resolved = home.resolve(None).await.expect("a token");
    assert_eq!(header(&resolved).await, Some(format!("Bearer {MARKER}")));
    assert!(resolved.description.contains("metadata server"));

    // Somebody else answers at that address: gcloud's account it is.
    let server = Server::start(|_, _| Reply::Text(200, "a login page".to_owned())).await;
    let host = server.url().trim_start_matches("http://").to_owned();
    let home = Home::new().with("NO_GCE_CHECK", "").with("GCE_METADATA_HOST", &host);
    home.gcloud(&told("of-gcloud", "null"));
    let resolved = home.resolve(None).await.expect("a token");
    assert_eq!(header(&resolved).await.as_deref(), Some("Bearer of-gcloud"));
}
