//! The API as a client sees it, without a socket between.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;

const SECRETS: &str = "/v1/projects/sandbox-project/secrets";

fn service(faults: &[&str]) -> SecretManager {
    let faults = Faults::new(faults.iter().map(|text| text.parse().unwrap()));
    let service = SecretManager::new(Arc::new(faults));
    service.create_project("sandbox-project");
    service
}

/// Sends a request. Answers with the HTTP status and the body.
fn ask(service: &SecretManager, verb: &str, place: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = Request::builder().method(verb).uri(place).body(body).unwrap();
    let answer = service.handle(&request);
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn get(service: &SecretManager, place: &str) -> (u16, Value) {
    ask(service, "GET", &format!("{SECRETS}{place}"), Value::Null)
}

fn post(service: &SecretManager, place: &str, body: Value) -> (u16, Value) {
    ask(service, "POST", &format!("{SECRETS}{place}"), body)
}

fn add(service: &SecretManager, id: &str, payload: &str) -> (u16, Value) {
    post(service, &format!("/{id}:addVersion"), json!({ "payload": { "data": STANDARD.encode(payload) } }))
}

/// A service with the secret `x` and that many versions, `one`, `two`, `three`.
fn with_versions(faults: &[&str], count: usize) -> SecretManager {
    let service = service(faults);
    let body = json!({ "replication": { "automatic": {} }, "labels": { "owner": "deepdesk" } });
    assert_eq!(post(&service, "?secretId=x", body).0, 200);
    for payload in ["one", "two", "three"].iter().take(count) {
        assert_eq!(add(&service, "x", payload).0, 200);
    }
    service
}

fn error(answer: &(u16, Value)) -> (u16, &str, &str) {
    let text = |name: &str| answer.1["error"][name].as_str().unwrap_or_default();
    (answer.0, text("status"), text("message"))
}

#[test]
fn a_secret_is_made_read_listed_changed_and_deleted() {
    let service = service(&[]);
    let replication = json!({ "userManaged": { "replicas": [
        { "location": "europe-west1", "customerManagedEncryption": { "kmsKeyName": "projects/p/k" } },
        { "location": "europe-west4" },
    ] } });
    let body = json!({ "replication": replication, "annotations": { "a.b": "C d" }, "labels": { "owner": "deepdesk" },
                       "versionDestroyTtl": "86400s", "etag": "ignored" });
    let (status, made) = post(&service, "?secretId=x", body);
    assert_eq!(status, 200);
    let name = made["name"].as_str().unwrap();
    let project = name.split('/').nth(1).unwrap();
    assert!(project.parse::<u64>().is_ok() && name.ends_with("/secrets/x"), "{name}");
    assert_eq!(made["replication"], replication);
    assert_eq!((&made["annotations"]["a.b"], &made["versionDestroyTtl"]), (&json!("C d"), &json!("86400s")));
    let etag = made["etag"].as_str().unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    assert_eq!(get(&service, "/x"), (200, made.clone()));
    // A client may write the number in the project's place.
    assert_eq!(ask(&service, "GET", &format!("/v1/{name}"), Value::Null), (200, made.clone()));
    let (_, list) = get(&service, "?filter=labels.owner%3Ddeepdesk");
    assert_eq!((&list["totalSize"], list["secrets"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    assert_eq!(get(&service, "?filter=labels.owner%3Dother").1, json!({ "totalSize": 0 }));

    let patch = |mask: &str, body: Value| ask(&service, "PATCH", &format!("{SECRETS}/x?updateMask={mask}"), body);
    let (_, changed) = patch("labels", json!({ "labels": { "a": "b" }, "annotations": {}, "etag": etag }));
    assert_eq!((&changed["labels"], &changed["annotations"]["a.b"]), (&json!({ "a": "b" }), &json!("C d")));
    assert_ne!(changed["etag"], json!(etag));
    assert_eq!(error(&patch("labels", json!({ "etag": etag }))).1, "FAILED_PRECONDITION");
    let (_, cleared) = patch("labels%2Cannotations", json!({}));
    assert_eq!((cleared.get("labels"), cleared.get("annotations")), (None, None));
    assert_eq!(error(&patch("", json!({}))).1, "INVALID_ARGUMENT");
    assert_eq!(error(&patch("versionAliases", json!({ "versionAliases": { "a": "7" } }))).1, "NOT_FOUND");

    let (status, _) = ask(&service, "DELETE", &format!("{SECRETS}/x?etag=%22123%22"), Value::Null);
    assert_eq!(status, 400);
    assert_eq!(ask(&service, "DELETE", &format!("{SECRETS}/x"), Value::Null), (200, json!({})));
    let message = format!("Secret [projects/{project}/secrets/x] not found.");
    assert_eq!(error(&get(&service, "/x")), (404, "NOT_FOUND", message.as_str()));
}

#[test]
fn latest_is_the_newest_in_any_state() {
    let service = with_versions(&[], 3);
    let (_, access) = get(&service, "/x/versions/latest:access");
    assert!(access["name"].as_str().unwrap().ends_with("/versions/3"));
    assert_eq!(access["payload"]["data"], json!(STANDARD.encode("three")));
    assert_eq!(access["payload"]["dataCrc32c"], json!(crc32c::crc32c(b"three").to_string()));

    assert_eq!(post(&service, "/x/versions/3:disable", json!({})).1["state"], "DISABLED");
    let (code, status, message) = (400, "FAILED_PRECONDITION", "/secrets/x/versions/3] is in DISABLED state.");
    let seen = get(&service, "/x/versions/latest:access");
    assert!((error(&seen).0, error(&seen).1) == (code, status) && error(&seen).2.ends_with(message), "{seen:?}");
    let (_, destroyed) = post(&service, "/x/versions/3:destroy", json!({}));
    assert!(destroyed["state"] == "DESTROYED" && destroyed["destroyTime"].is_string());
    let seen = get(&service, "/x/versions/latest:access");
    assert!(error(&seen).2.ends_with("is in DESTROYED state."), "{seen:?}");
    for verb in ["enable", "disable", "destroy"] {
        let seen = post(&service, &format!("/x/versions/3:{verb}"), json!({}));
        assert_eq!(error(&seen).1, "FAILED_PRECONDITION", "{verb}");
    }
    assert_eq!(get(&service, "/x/versions/2:access").0, 200);
}

#[test]
fn what_is_missing_is_not_found() {
    let service = with_versions(&[], 0);
    let cases = [
        ("/x/versions/latest:access", "/secrets/x] not found or has no versions."),
        ("/x/versions/9:access", "/secrets/x/versions/9] not found."),
        ("/x/versions/9", "/secrets/x/versions/9] not found."),
        ("/y/versions/latest:access", "/secrets/y] not found or has no versions."),
        ("/y/versions", "/secrets/y] not found."),
        ("/y:getIamPolicy", "/secrets/y] not found."),
    ];
    for (place, message) in cases {
        let seen = get(&service, place);
        assert!(error(&seen).0 == 404 && error(&seen).1 == "NOT_FOUND", "{place}: {seen:?}");
        assert!(error(&seen).2.starts_with("Secret ") && error(&seen).2.ends_with(message), "{place}: {seen:?}");
    }
    assert_eq!(error(&add(&service, "y", "one")).0, 404);
    let seen = post(&service, "?secretId=x", json!({ "replication": { "automatic": {} } }));
    assert_eq!((error(&seen).0, error(&seen).1), (409, "ALREADY_EXISTS"));
    let elsewhere = ask(&service, "GET", "/v1/projects/elsewhere/secrets/x", Value::Null);
    let message = "Permission 'secretmanager.secrets.get' denied for resource 'projects/elsewhere/secrets/x' \
         (or it may not exist).";
    assert_eq!(error(&elsewhere), (403, "PERMISSION_DENIED", message));
    assert_eq!(elsewhere.1["error"]["details"][0]["reason"], "IAM_PERMISSION_DENIED");
}

#[test]
fn every_change_of_a_version_changes_its_etag() {
    let service = with_versions(&[], 1);
    let etag = |answer: &Value| answer["etag"].as_str().unwrap().to_owned();
    let secret = etag(&get(&service, "/x").1);
    let first = etag(&get(&service, "/x/versions/1").1);
    let disable = |given: &str| post(&service, "/x/versions/1:disable", json!({ "etag": given }));
    assert_eq!(error(&disable("\"0\"")).1, "FAILED_PRECONDITION");
    let second = etag(&disable(&first).1);
    let third = etag(&disable(&second).1);
    assert!(first != second && second != third, "also where nothing changes");
    assert_eq!(error(&disable(&second)).0, 400);
    assert_eq!(etag(&get(&service, "/x").1), secret, "the secret itself has not changed");
}

#[test]
fn lists_are_newest_first_filtered_and_in_pages() {
    let service = with_versions(&[], 3);
    post(&service, "/x/versions/2:disable", json!({}));
    let numbers = |answer: &Value| -> Vec<String> {
        let versions = answer["versions"].as_array().into_iter().flatten();
        versions.map(|version| version["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(numbers(&get(&service, "/x/versions?pageSize=0&pageToken=&filter=").1), ["3", "2", "1"]);
    assert_eq!(numbers(&get(&service, "/x/versions?filter=state%3AENABLED").1), ["3", "1"]);
    let (_, page) = get(&service, "/x/versions?pageSize=2");
    assert_eq!((numbers(&page), &page["totalSize"]), (vec!["3".to_owned(), "2".to_owned()], &json!(3)));
    let token = page["nextPageToken"].as_str().unwrap();
    let (_, page) = get(&service, &format!("/x/versions?pageSize=2&pageToken={token}"));
    assert_eq!((numbers(&page), page.get("nextPageToken")), (vec!["1".to_owned()], None));
    assert_eq!(get(&service, "/x/versions?pageToken=nonsense").0, 400);
}

#[test]
fn enums_are_names_or_numbers_as_asked() {
    let service = with_versions(&[], 1);
    let cases =
        [("alt=json", json!("ENABLED")), ("%24alt=json%3Benum-encoding%3Dint", json!(1)), ("", json!("ENABLED"))];
    for (query, state) in cases {
        assert_eq!(get(&service, &format!("/x/versions/1?{query}")).1["state"], state, "{query}");
        assert_eq!(get(&service, &format!("/x/versions?{query}")).1["versions"][0]["state"], state, "{query}");
    }
}

#[test]
fn regional_secrets_live_apart() {
    let service = with_versions(&[], 1);
    let regional = "/v1/projects/sandbox-project/locations/europe-west1/secrets";
    assert_eq!(ask(&service, "POST", &format!("{regional}?secretId=r"), json!({})).0, 200);
    let (_, version) =
        ask(&service, "POST", &format!("{regional}/r:addVersion"), json!({ "payload": { "data": "YQ==" } }));
    assert!(version["name"].as_str().unwrap().ends_with("/locations/europe-west1/secrets/r/versions/1"), "{version}");
    assert_eq!(ask(&service, "GET", &format!("{regional}/x"), Value::Null).0, 404);
    assert_eq!(get(&service, "/r").0, 404);
}

#[test]
fn a_delayed_destruction_disables_until_then() {
    let service = with_versions(&[], 1);
    let place = format!("{SECRETS}/x?updateMask=versionDestroyTtl");
    assert_eq!(ask(&service, "PATCH", &place, json!({ "versionDestroyTtl": "86400s" })).0, 200);
    let (_, version) = post(&service, "/x/versions/1:destroy", json!({}));
    assert!(version["state"] == "DISABLED" && version["scheduledDestroyTime"].is_string(), "{version}");
    let (_, version) = post(&service, "/x/versions/1:enable", json!({}));
    assert!(version["state"] == "ENABLED" && version.get("scheduledDestroyTime").is_none(), "{version}");
    assert_eq!(get(&service, "/x/versions/1:access").0, 200);
}

#[test]
fn aliases_are_for_reading() {
    let service = with_versions(&[], 2);
    let place = format!("{SECRETS}/x?updateMask=version_aliases");
    let (_, secret) = ask(&service, "PATCH", &place, json!({ "versionAliases": { "stable": 1 } }));
    assert_eq!(secret["versionAliases"], json!({ "stable": "1" }));
    assert!(get(&service, "/x/versions/stable:access").1["name"].as_str().unwrap().ends_with("/1"));
    assert_eq!(post(&service, "/x/versions/stable:disable", json!({})).0, 400);
    assert_eq!(post(&service, "/x/versions/latest:disable", json!({})).0, 400);
}

#[test]
fn permissions_are_tested_and_policies_kept() {
    let service = with_versions(&["denied=secretmanager.versions.add"], 0);
    let ask_for = json!({ "permissions": ["secretmanager.versions.add", "secretmanager.versions.access"] });
    let (_, held) = post(&service, "/x:testIamPermissions", ask_for.clone());
    assert_eq!(held, json!({ "permissions": ["secretmanager.versions.access"] }));
    assert_eq!(post(&service, "/missing:testIamPermissions", ask_for), (200, json!({})));
    assert_eq!(error(&add(&service, "x", "one")).1, "PERMISSION_DENIED");

    assert_eq!(get(&service, "/x:getIamPolicy").1, json!({ "etag": "ACAB" }));
    let bindings = json!([{ "role": "roles/secretmanager.secretAccessor", "members": [EXTERNAL_SECRETS] }]);
    let (_, policy) = post(&service, "/x:setIamPolicy", json!({ "policy": { "bindings": bindings, "etag": "ACAB" } }));
    assert_eq!(policy["bindings"], bindings);
    assert_eq!(get(&service, "/x:getIamPolicy?options.requestedPolicyVersion=3").1, policy);
    let again = post(&service, "/x:setIamPolicy", json!({ "policy": { "bindings": bindings, "etag": "ACAB" } }));
    assert_eq!((error(&again).0, error(&again).1), (409, "ABORTED"));
}

#[test]
fn external_secrets_reads_only_what_policies_let_it() {
    let service = with_versions(&[], 1);
    let seed = |bindings: Vec<Binding>| Seed {
        versions: vec![(b"old".to_vec(), false), (b"new".to_vec(), true)],
        labels: BTreeMap::from([("owner".to_owned(), "deepdesk".to_owned())]),
        bindings,
        replication: json!({ "automatic": {} }),
    };
    let accessor =
        Binding { role: "roles/secretmanager.secretAccessor".to_owned(), members: vec![EXTERNAL_SECRETS.to_owned()] };
    service.seed_secret("projects/sandbox-project", "bound", seed(vec![accessor]));
    service.seed_secret("projects/sandbox-project", "unbound", seed(Vec::new()));
    let parent = "projects/sandbox-project";
    let read = |secret: &str, version: &str| service.access(EXTERNAL_SECRETS, parent, secret, version);
    assert_eq!(read("bound", "latest"), Ok((2, b"new".to_vec())));
    assert!(matches!(read("bound", "1"), Err(AccessError::FailedPrecondition { state: "DISABLED", .. })));
    assert!(matches!(read("unbound", "latest"), Err(AccessError::PermissionDenied(_))));
    assert!(matches!(read("missing", "latest"), Err(AccessError::PermissionDenied(_))), "it may not exist");
    assert!(matches!(service.list_secrets(EXTERNAL_SECRETS, parent), Err(AccessError::PermissionDenied(_))));

    service.grant_project("sandbox-project", "roles/secretmanager.secretAccessor", EXTERNAL_SECRETS);
    service.grant_project("sandbox-project", "roles/secretmanager.viewer", EXTERNAL_SECRETS);
    assert_eq!(read("unbound", "2"), Ok((2, b"new".to_vec())));
    assert!(matches!(read("missing", "latest"), Err(AccessError::NotFound(_))));
    let ids: Vec<String> =
        service.list_secrets(EXTERNAL_SECRETS, parent).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["bound", "unbound", "x"]);
    let holder = |secret: &str| Holder { parent: parent.to_owned(), secret: secret.to_owned(), version: 2 };
    assert_eq!(service.holders(b"new"), [holder("bound"), holder("unbound")]);
}

#[test]
fn faults_make_it_lag_deny_and_race() {
    let service = with_versions(&["stale-latest=1h", "etag-mismatch", "external-secrets-denied"], 2);
    // Everything was added a moment ago: by number it is there, by `latest` and in lists it is not.
    assert_eq!(get(&service, "/x/versions/2:access").0, 200);
    assert_eq!(get(&service, "/x/versions/latest:access").0, 404);
    assert_eq!(get(&service, "/x/versions").1, json!({ "totalSize": 0 }));
    assert_eq!(get(&service, "").1, json!({ "totalSize": 0 }));

    let etag = get(&service, "/x/versions/1").1["etag"].clone();
    let unconditional = post(&service, "/x/versions/1:enable", json!({}));
    assert_ne!(unconditional.1["etag"], etag);
    let disable = |etag: &Value| post(&service, "/x/versions/1:disable", json!({ "etag": etag }));
    assert_eq!(error(&disable(&unconditional.1["etag"])).1, "FAILED_PRECONDITION");
    assert_eq!(disable(&get(&service, "/x/versions/1").1["etag"]).1["state"], "DISABLED");

    let parent = "projects/sandbox-project";
    service.grant_project("sandbox-project", "roles/secretmanager.secretAccessor", EXTERNAL_SECRETS);
    let read = || service.access(EXTERNAL_SECRETS, parent, "x", "2");
    assert!(matches!(read(), Err(AccessError::PermissionDenied(_))));
    assert!(service.faults.remove("external-secrets-denied"));
    assert_eq!(read(), Ok((2, b"two".to_vec())));
}

#[test]
fn nothing_that_can_be_logged_shows_a_payload() {
    let service = with_versions(&[], 1);
    let seed = Seed {
        versions: vec![(b"one".to_vec(), true)],
        labels: BTreeMap::new(),
        bindings: Vec::new(),
        replication: json!({}),
    };
    let texts = [
        format!("{service:?}"),
        format!("{:?}", *service.lock()),
        format!("{seed:?}"),
        service.describe(&History::default()).to_string(),
        post(&service, "/x:addVersion", json!({ "payload": { "data": "b25l", "dataCrc32c": "1" } })).1.to_string(),
    ];
    for text in texts {
        let bytes = format!("{:?}", b"one");
        assert!(!text.contains("b25l") && !text.contains("\"one\"") && !text.contains(&bytes), "{text}");
    }
}
