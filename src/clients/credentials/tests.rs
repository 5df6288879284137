//! Which credentials are found, in which order, and how it is said that there are none.

mod kinds;

use std::path::PathBuf;
use std::time::Instant;

use google_cloud_auth::credentials::CacheableResource;
use google_cloud_gax::error::CredentialsError;
use serde_json::json;

use super::*;
use crate::clients::error::ConfigError;
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
        let home = home.with("CLOUDSDK_CONFIG", &config).with("PATH", &programs).with("NO_GCE_CHECK", "true");
        // What cannot be reached is tried for as long as this.
        home.with("DEEPDESK_CREDENTIALS_TIMEOUT", "3s")
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

fn hint(error: &ApiError) -> String {
    error.advice.as_ref().map(|advice| advice.hint.to_string()).unwrap_or_default()
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
    assert_eq!(hint(&error), "gcloud auth application-default login");
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
        (
            400,
            json!({"error": "invalid_grant", "error_description": format!("Token {MARKER} has been revoked.")})
                .to_string(),
            "answered 400 (invalid_grant)",
        ),
        (401, json!({"error": MARKER, "error_description": MARKER}).to_string(), "answered 401"),
        (400, json!({"error": {"status": MARKER, "message": MARKER}}).to_string(), "answered 400"),
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
async fn of_a_gcloud_that_fails_nothing_is_quoted() {
    for (script, expected) in [
        (
            format!("echo {MARKER}; echo 'ERROR: please run gcloud auth login {MARKER}' >&2; exit 1"),
            "it must be logged in again",
        ),
        (
            "echo 'Reauthentication failed. cannot prompt during non-interactive execution.' >&2; exit 1".to_owned(),
            "it must be logged in again",
        ),
        (format!("echo 'ERROR: token {MARKER}: invalid_grant' >&2; exit 1"), "its login is not valid any more"),
        (format!("echo {MARKER} >&2; exit 7"), "(exit status: 7); see what it says: gcloud auth"),
        (format!("echo {MARKER}"), "something other"),
        (format!("echo '{{\"credential\":{{\"access_token\":[\"{MARKER}\"]}}}}'"), "something other"),
    ] {
        let home = Home::new();
        home.gcloud(&script);
        let error = home.resolve(None).await.expect_err("no token");
        assert!(error.message.contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
    let without_gcloud = Home::new();
    without_gcloud.write("gcloud/configurations/config_default", "[core]\naccount = jane@example.com\n");
    let error = without_gcloud.resolve(None).await.expect_err("no gcloud");
    assert!(error.message.contains("jane@example.com, is not on the PATH"), "{error}");
}

#[tokio::test]
async fn the_machines_own_account_comes_before_gclouds() {
    let server = Server::start(|_, asked| {
        const HEADERS: &[(&str, &str)] = &[("metadata-flavor", "Google"), ("content-type", "application/json")];
        match asked.target.contains("/token") {
            false if asked.target.contains("universe") => Reply::With(200, HEADERS, "googleapis.com".to_owned()),
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

/// What a token of another identity provider may look like.
const SUBJECT: &str = "MARKER-subject-t0ken-of-the-job";

fn external(source: serde_json::Value, sts: &str) -> String {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": sts,
        "credential_source": source,
    })
    .to_string()
}

/// Whether any form of a marker stands in the text: plain, or its bytes as numbers, in hexadecimal or in base64.
fn shows_marker(text: &str) -> bool {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&SUBJECT[..12]);
    let forms = ["MARKER", "77, 65, 82, 75", "4d41524b", "4D41524B", base64.as_str()];
    forms.iter().any(|form| text.contains(form))
}

#[tokio::test]
async fn a_source_of_tokens_is_never_quoted() {
    // Whatever it is asked, it answers with what it should not; only what a subject token is taken from answers well.
    let quoting =
        |status: u16, body: String| async move { Server::start(move |_, _| Reply::Text(status, body.clone())).await };
    let other_field = json!({"value": SUBJECT}).to_string();
    let (unlike, refusing) = (quoting(200, other_field.clone()).await, quoting(403, format!("<p>{SUBJECT}")).await);
    let sts =
        quoting(400, json!({"error": "invalid_grant", "error_description": format!("bad {SUBJECT}")}).to_string())
            .await;
    let page = quoting(502, SUBJECT.to_owned()).await;
    let tokenless = quoting(200, json!({"token": SUBJECT}).to_string()).await;
    let home = Home::new();
    let file = home.write("subject", &other_field);
    let plain = home.write("plain", SUBJECT);
    let bytes = home.path("bytes");
    std::fs::write(&bytes, [SUBJECT.as_bytes(), b"\xff\xfe"].concat()).expect("a file");
    let format = json!({"type": "json", "subject_token_field_name": "id_token"});
    let nowhere = "http://127.0.0.1:9/sts";
    let cases = [
        (json!({"file": file, "format": format}), nowhere.to_owned(), "subject_token_field_name"),
        (json!({"file": plain, "format": format}), nowhere.to_owned(), "cannot be read"),
        (json!({"file": bytes}), nowhere.to_owned(), ""),
        (
            json!({"url": format!("{}/?key={SUBJECT}", unlike.url()), "headers": {"Authorization": SUBJECT}, "format": format}),
            nowhere.to_owned(),
            "subject_token_field_name",
        ),
        (json!({"url": format!("{}/?key={SUBJECT}", refusing.url())}), nowhere.to_owned(), "answered 403"),
        (json!({"url": format!("http://127.0.0.1:9/?key={SUBJECT}")}), nowhere.to_owned(), ""),
        (json!({"file": plain}), sts.url(), "answered 400 (invalid_grant)"),
        (json!({"file": plain}), page.url(), "502"),
        (json!({"file": plain}), tokenless.url(), ""),
    ];
    for (source, sts, expected) in cases {
        let path = home.write("wif.json", &external(source.clone(), &sts));
        let home = Home::new().with("GOOGLE_APPLICATION_CREDENTIALS", &path);
        let error = home.resolve(None).await.expect_err("there is no token");
        assert!(error.message.contains(expected), "{source}: {error}");
        assert!(!shows_marker(&format!("{error} {error:?}")), "{source}: {error:?}");
    }
}

#[test]
fn what_a_program_that_gives_out_tokens_prints_is_never_quoted() {
    let stderr = format!("failed to read subject token, command execution failed, stderr=<{SUBJECT}>, code=1");
    for (error, expected) in [
        (CredentialsError::from_msg(true, stderr), "its program failed; run it yourself"),
        (
            CredentialsError::from_msg(
                true,
                format!("response contains unsuccessful response, code=<1>, message=<{SUBJECT}>"),
            ),
            "its program says that it has no token",
        ),
        (CredentialsError::from_msg(false, SUBJECT), "it returned no token"),
        (CredentialsError::from_msg(false, format!("could not resolve AWS region, body=<{SUBJECT}>")), "AWS"),
        (CredentialsError::from_source(false, std::io::Error::other(SUBJECT)), "it returned no token"),
        (CredentialsError::from_source(false, ConfigError::new("the file is gone")), "the file is gone"),
    ] {
        let said = diagnosis(&error, &Origin::Nowhere, None).line;
        assert!(said.contains(expected) && !shows_marker(&said), "{said}");
    }
}
