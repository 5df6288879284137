//! One hint for one cause: files of each type and encoding, universes, refusals of token endpoints, a new pod's metadata server.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const USER: &str = "gcloud/application_default_credentials.json";

fn user(token_uri: &str) -> serde_json::Value {
    json!({"type": "authorized_user", "client_id": "c", "client_secret": MARKER, "refresh_token": MARKER, "token_uri": token_uri})
}

fn workforce() -> String {
    json!({"type": "external_account_authorized_user", "client_id": "c", "client_secret": MARKER, "refresh_token": MARKER,
           "token_url": "http://127.0.0.1:9/v1/oauthtoken", "quota_project_id": "p", "universe_domain": "googleapis.com"})
    .to_string()
}

fn reason(error: &ApiError) -> Option<Reason> {
    error.advice.as_ref().map(|advice| advice.reason)
}

#[tokio::test]
async fn where_the_type_cannot_be_used_gclouds_own_account_is() {
    let home = Home::new();
    home.gcloud(&told("of-gcloud", "null"));
    home.write(USER, &workforce());
    let resolved = home.resolve(None).await.expect("gcloud's own account");
    assert_eq!(header(&resolved).await.as_deref(), Some("Bearer of-gcloud"));
    assert!(resolved.description.contains("external_account_authorized_user"), "{}", resolved.description);

    // Nobody is logged in: the type is named, and not the command that writes that file again.
    let home = Home::new();
    home.write(USER, &workforce());
    let error = home.resolve(None).await.expect_err("nothing can be used");
    assert_eq!(reason(&error), Some(Reason::UnsupportedCredentials));
    assert!(error.message.contains("external_account_authorized_user"), "{error}");
    assert!(
        hint(&error).ends_with("gcloud auth login") && !hint(&error).contains("application-default"),
        "{}",
        hint(&error)
    );

    // Somebody named the file: another identity is no substitute, but it is pointed at.
    let home = Home::new();
    home.gcloud(&told("of-gcloud", "null"));
    let named = home.write("named.json", &workforce());
    let home = home.with("GOOGLE_APPLICATION_CREDENTIALS", &named);
    let error = home.resolve(None).await.expect_err("named");
    assert!(error.message.contains("external_account_authorized_user"), "{error}");
    assert!(hint(&error).contains("unset GOOGLE_APPLICATION_CREDENTIALS") && hint(&error).contains("jane@example.com"));
    for kind in ["gdch_service_account", "something_new"] {
        let home = Home::new();
        home.write(USER, &json!({"type": kind}).to_string());
        let error = home.resolve(None).await.expect_err(kind);
        assert!(error.message.contains(kind), "{error}");
    }
    for (text, expected) in [
        (json!({"installed": {"client_secret": MARKER}}), "an OAuth client"),
        (json!({"a": MARKER}), "no `type`"),
        (json!({"type": [MARKER]}), "whose type is not a word"),
        (json!({"type": "service_account", "private_key": MARKER}), "(service_account) that cannot be used"),
    ] {
        let home = Home::new();
        home.write(USER, &text.to_string());
        let error = home.resolve(None).await.expect_err("no credentials");
        assert!(error.message.contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
    }
}

#[tokio::test]
async fn the_key_in_place_of_its_file_is_never_shown() {
    use base64::Engine as _;
    let key = json!({"type": "service_account", "private_key": MARKER}).to_string();
    for content in [key.clone(), base64::engine::general_purpose::STANDARD.encode(&key), format!("{key}\n")] {
        let home = Home::new().with("GOOGLE_APPLICATION_CREDENTIALS", &content);
        let error = home.resolve(None).await.expect_err("no file");
        assert!(error.message.contains("holds the credentials themselves"), "{error}");
        let shown = format!("{error} {error:?} {}", hint(&error));
        assert!(!shown.contains("MARKER") && !shown.contains(&content), "{shown}");
    }
}

#[tokio::test]
async fn a_token_never_goes_to_another_universe() {
    let asked = std::sync::Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let server = Server::start(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Reply::Text(500, String::new())
    })
    .await;
    let other = "s3nsapis.fr";
    let with_universe = |mut json: serde_json::Value| {
        json["universe_domain"] = other.into();
        json
    };
    let impersonated = json!({"type": "impersonated_service_account",
        "service_account_impersonation_url": format!("{}/v1/projects/-/serviceAccounts/a@p:generateAccessToken", server.url()),
        "source_credentials": with_universe(user(&server.url()))});
    let files = [
        with_universe(user(&server.url())),
        with_universe(
            json!({"type": "service_account", "client_email": "a@p", "private_key": "k", "private_key_id": "i"}),
        ),
        impersonated,
    ];
    for file in files {
        let home = Home::new();
        home.write(USER, &file.to_string());
        let error = home.resolve(None).await.expect_err("another universe");
        assert_eq!(reason(&error), Some(Reason::OtherUniverse), "{error}");
        assert!(error.message.contains(other), "{error}");
    }
    for variable in ["GOOGLE_CLOUD_UNIVERSE_DOMAIN", "CLOUDSDK_CORE_UNIVERSE_DOMAIN"] {
        let home = Home::new();
        let file = home.write("token", MARKER);
        home.gcloud("echo no >&2; exit 9");
        let home = home.with(variable, other).with("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &file);
        let error = home.resolve(None).await.expect_err("another universe");
        assert_eq!(reason(&error), Some(Reason::OtherUniverse), "{variable}: {error}");
        assert!(error.message.contains("niverse"), "{error}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "no token was asked for");
    let machine = Server::start(|_, asked| {
        const HEADERS: &[(&str, &str)] = &[("metadata-flavor", "Google"), ("content-type", "application/json")];
        assert!(!asked.target.contains("/token"), "a token was asked for");
        let universe = if asked.target.contains("universe") { "s3nsapis.fr" } else { "computeMetadata/\n" };
        Reply::With(200, HEADERS, universe.to_owned())
    })
    .await;
    let home =
        Home::new().with("NO_GCE_CHECK", "").with("GCE_METADATA_HOST", machine.url().trim_start_matches("http://"));
    assert_eq!(reason(&home.resolve(None).await.expect_err("another universe")), Some(Reason::OtherUniverse));
}

#[tokio::test]
async fn each_refusal_of_a_token_endpoint_has_its_own_hint() {
    let oauth = |code: &str, said: &str| json!({"error": code, "error_description": format!("{said} {MARKER}")});
    for (body, expected, wanted, words) in [
        (
            json!({"error": "invalid_grant", "error_description": "reauth related error (invalid_rapt)", "error_subtype": "invalid_rapt"}),
            "log in again",
            Reason::LoginExpired,
            "gcloud auth application-default login",
        ),
        (
            oauth("invalid_grant", "Token has been expired or revoked."),
            "expired or was revoked",
            Reason::LoginExpired,
            "application-default login",
        ),
        (
            oauth("invalid_grant", "Invalid JWT Signature."),
            "key was deleted",
            Reason::Unauthenticated,
            "application-default login",
        ),
        (
            oauth(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
            ),
            "clock",
            Reason::Unauthenticated,
            "clock",
        ),
        (
            oauth("invalid_grant", "Invalid grant: account not found"),
            "service account was deleted",
            Reason::Unauthenticated,
            "",
        ),
        (oauth("admin_policy_enforced", ""), "does not permit", Reason::PolicyDenied, "polic"),
    ] {
        let server = Server::start(move |_, _| Reply::json(400, body.clone())).await;
        let home = Home::new();
        home.write(USER, &user(&server.url()).to_string());
        let error = home.resolve(None).await.expect_err("refused");
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(reason(&error), Some(wanted), "{error}");
        assert!(hint(&error).contains(words), "{}", hint(&error));
        assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
        // The same from a file that a variable names: its login would be written where nobody looks.
        let named = home.write("named.json", &user(&server.url()).to_string());
        let error = home.with("GOOGLE_APPLICATION_CREDENTIALS", &named).resolve(None).await.expect_err("refused");
        let hint = hint(&error);
        assert!(
            !hint.contains("login")
                || hint.starts_with("unset GOOGLE_APPLICATION_CREDENTIALS")
                || hint.contains("; or unset"),
            "{hint}"
        );
    }
    for (said, words) in [
        ("The given credential is rejected by the attribute condition.", "condition"),
        ("The audience in ID Token does not match the expected audience.", "audience"),
        ("ID Token issued at 1 is stale to sign-in.", "run the job again"),
    ] {
        let body = oauth("invalid_grant", said);
        let sts = Server::start(move |_, _| Reply::json(400, body.clone())).await;
        let home = Home::new();
        let token = home.write("subject", SUBJECT);
        let file = home.write("wif.json", &external(json!({"file": token}), &sts.url()));
        let error = home.with("GOOGLE_APPLICATION_CREDENTIALS", &file).resolve(None).await.expect_err("refused");
        assert!(hint(&error).contains(words), "{said}: {}", hint(&error));
        assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
    }
}

#[tokio::test]
async fn who_may_not_act_as_a_service_account_is_told_which_permission_on_whom() {
    let denied = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
        "message": format!("Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist). {MARKER}"),
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED", "domain": "iam.googleapis.com",
                     "metadata": {"permission": "iam.serviceAccounts.getAccessToken"}}]}});
    let server = Server::start(move |_, asked| match asked.target.contains("generateAccessToken") {
        true => Reply::json(403, denied.clone()),
        false => Reply::json(
            200,
            json!({"access_token": MARKER, "expires_in": 3600, "token_type": "Bearer",
                                         "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}),
        ),
    })
    .await;
    let acting =
        format!("{}/v1/projects/-/serviceAccounts/rotator@p.iam.gserviceaccount.com:generateAccessToken", server.url());
    let home = Home::new();
    let token = home.write("subject", SUBJECT);
    let mut federated: serde_json::Value =
        serde_json::from_str(&external(json!({"file": token}), &format!("{}/sts", server.url()))).expect("JSON");
    federated["service_account_impersonation_url"] = acting.clone().into();
    let personal = json!({"type": "impersonated_service_account", "delegates": [], "service_account_impersonation_url": acting,
                          "source_credentials": user(&format!("{}/token", server.url()))});
    for file in [federated, personal] {
        let path = home.write("c.json", &file.to_string());
        let error = Home::new().with("GOOGLE_APPLICATION_CREDENTIALS", &path).resolve(None).await.expect_err("denied");
        assert!(error.message.contains("permission iam.serviceAccounts.getAccessToken denied on rotator@p"), "{error}");
        assert_eq!(reason(&error), Some(Reason::ImpersonationDenied));
        assert!(
            hint(&error).contains("roles/iam.serviceAccountTokenCreator") && !hint(&error).contains("login"),
            "{}",
            hint(&error)
        );
        assert!(!shows_marker(&format!("{error} {error:?}")), "{error:?}");
    }
    let gcloud = Home::new();
    gcloud.gcloud("echo \"ERROR: gcloud crashed: Permission 'iam.serviceAccounts.getAccessToken' denied; run gcloud auth login\" >&2; exit 1");
    let error = gcloud.resolve(Some("rotator@p.iam.gserviceaccount.com")).await.expect_err("denied");
    assert_eq!(reason(&error), Some(Reason::ImpersonationDenied), "{error}");
    assert!(hint(&error).contains("on rotator@p"), "{}", hint(&error));
}

#[tokio::test]
async fn a_new_pods_metadata_server_is_waited_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let answers = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let asked = String::from_utf8_lossy(&head[..read]).into_owned();
                let body = match () {
                    () if asked.contains("/token") => {
                        json!({"access_token": "late", "expires_in": 3600, "token_type": "Bearer"}).to_string()
                    }
                    () if asked.contains("universe") => "googleapis.com".to_owned(),
                    () => "computeMetadata/".to_owned(),
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let home = Home::new().with("NO_GCE_CHECK", "").with("DEEPDESK_CREDENTIALS_TIMEOUT", "20s");
    let home = home.with("GCE_METADATA_HOST", format!("127.0.0.1:{port}"));
    let resolved = home.resolve(None).await.expect("it came");
    assert_eq!(header(&resolved).await.as_deref(), Some("Bearer late"));
    answers.abort();
}

#[tokio::test]
async fn the_project_that_is_charged_and_the_reason_come_from_gclouds_properties() {
    let home = Home::new();
    let token = home.write("token", "t");
    let home = home.with("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &token);
    home.write(
        "gcloud/configurations/config_default",
        "[core]\nproject = here\nrequest_reason = CHG-1\n[billing]\nquota_project = CURRENT_PROJECT\n",
    );
    let resolved = home.resolve(None).await.expect("a token");
    assert_eq!(resolved.quota_project.as_deref(), Some("here"));
    assert_eq!(resolved.request_reason.as_ref().and_then(|reason| reason.to_str().ok()), Some("CHG-1"));
    let odd = home.with("CLOUDSDK_CORE_REQUEST_REASON", "caf\u{7}é\n");
    assert!(odd.resolve(None).await.expect_err("no header").message.contains("core/request_reason"));
    let other = Home::new();
    let token = other.write("token", "t");
    let other = other.with("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &token).with("CLOUDSDK_BILLING_QUOTA_PROJECT", "LEGACY");
    assert_eq!(other.resolve(None).await.expect("a token").quota_project, None);
}

#[tokio::test]
async fn what_a_file_of_credentials_leads_to_is_known_and_shown_nowhere() {
    let home = Home::new();
    let token = home.write("subject", &json!({"id_token": "subject-0123456789-abcdefghij"}).to_string());
    let source = json!({"file": token, "headers": {"Authorization": "Bearer header-0123456789-abcdefghij"},
                        "format": {"type": "json", "subject_token_field_name": "id_token"}});
    let file = home.write("wif.json", &external(source, "http://127.0.0.1:9/sts"));
    let _ = home.with("GOOGLE_APPLICATION_CREDENTIALS", &file).resolve(None).await;
    for secret in ["subject-0123456789-abcdefghij", "header-0123456789-abcdefghij"] {
        let decimal = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        for text in [format!("refused: {secret}"), format!("refused: [{decimal}]")] {
            let shown = known::values().hidden_in(&text).into_owned();
            assert!(!shown.contains(secret) && !shown.contains(&decimal[..40]), "{shown}");
        }
    }
}
