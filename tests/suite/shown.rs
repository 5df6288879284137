//! ExternalSecrets that are not followed: what arrives is proven by the bytes, and what reads it is restarted.

use serde_json::{Value, json};

use crate::world::{World, back_compat, external_secret, primary};

const OVER_ALL: &str = "{{- range $name, $value := . }}\n{{ $name }}={{ $value }}\n{{- end }}\n";

/// An ExternalSecret of both secrets whose Kubernetes Secret is made by this template.
fn made_by(world: &World, name: &str, template: &Value) {
    let fetched = |key: &str, id: String| json!({"secretKey": key, "remoteRef": {"key": id}});
    let data = [
        fetched("SECRET_KEY", primary("globex")),
        fetched("SECRET_KEY_BACK_COMPAT", back_compat("globex")),
        fetched("DATABASE_URL", "globex_database_url".to_owned()),
    ];
    let spec = json!({"refreshInterval": "10m", "data": data,
        "secretStoreRef": {"kind": "SecretStore", "name": "secret-manager"},
        "target": {"name": name, "template": template}});
    let object = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": name}, "spec": spec});
    world.sent("POST", external_secret("globex", "").trim_end_matches('/'), Some(object));
    synced(world, name);
}

fn synced(world: &World, name: &str) {
    world.until("it is synced", |world| {
        let external = world.sent("GET", &external_secret("globex", name), None);
        external["status"]["conditions"][0]["status"] == "True"
    });
}

/// A Deployment that mounts a Kubernetes Secret, and runs.
fn mounted(world: &World, name: &str) {
    // A pod of the very second of a write is proven by nothing.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let labels = json!({"app": format!("reads-{name}")});
    let pod = json!({"containers": [{"name": "main", "image": "main:1", "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}],
        "volumes": [{"name": "keys", "secret": {"secretName": name}}]});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("reads-{name}")}, "spec": spec});
    world.sent("POST", "/apis/apps/v1/namespaces/globex/deployments", Some(object));
    world.until("it runs", |world| {
        let path = format!("/apis/apps/v1/namespaces/globex/deployments/reads-{name}");
        world.sent("GET", &path, None)["status"]["availableReplicas"] == 1
    });
}

/// What is said of the key of this Secret that comes from the primary, and from the back-compat.
fn said(result: &Value, name: &str) -> (String, String) {
    let external = result["externalSecrets"].as_array().expect("a list").iter().find(|one| one["name"] == name);
    let keys = external.expect("it is listed")["keys"].as_array().expect("keys");
    let holds = |source: &str| {
        let key = keys.iter().find(|key| key["source"] == source).expect("a key of it");
        assert_eq!(key["asExpected"], true, "{key}");
        key["holds"].as_str().expect("text").to_owned()
    };
    (holds("primary"), holds("backCompat"))
}

#[test]
fn an_external_secret_that_is_not_followed_is_rotated_over_once_its_bytes_show_it() {
    let world = World::start(&["--accounts=2"]);
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "templates"}, "data": {".env": OVER_ALL}});
    world.sent("POST", "/api/v1/namespaces/globex/configmaps", Some(config));
    let forms = [
        ("dotenv", json!({"data": {".env": OVER_ALL}})),
        ("document", json!({"data": {"config.json": "{{ . | toJson }}"}})),
        ("encoded", json!({"data": {"config.b64": "{{ . | toJson | b64enc }}"}})),
        ("from-another", json!({"templateFrom": [{"configMap": {"name": "templates", "items": [{"key": ".env"}]}}]})),
        (
            "of-pairs",
            json!({"templateFrom": [{"literal": "{{ range $name, $value := . }}X_{{ $name }}: {{ $value | quote }}\n{{ end }}"}]}),
        ),
    ];
    for (name, template) in &forms {
        made_by(&world, name, template);
        mounted(&world, name);
    }
    let verified = world.run(&["secret", "verify", "globex", "-o", "json"]).code(0).json();
    for (name, _) in &forms {
        assert_eq!(said(&verified, name), ("primary v3".to_owned(), "primary v3".to_owned()), "{name}");
    }
    let ran = world.run(&["secret", "rotate", "globex", "--yes", "-o", "json"]).code(0).json();
    world.rotated("globex", 3, 4);
    for (name, _) in &forms {
        assert_eq!(said(&ran, name), ("primary v4".to_owned(), "primary v3".to_owned()), "{name}");
        let reader = format!("reads-{name}");
        let consumers = ran["consumers"].as_array().expect("a list");
        assert!(consumers.iter().any(|one| one["name"] == reader && one["onLatest"] == 1), "{name}: {consumers:?}");
        let pods = world.sent("GET", "/api/v1/namespaces/globex/pods", None);
        let of_it =
            pods["items"].as_array().expect("a list").iter().filter(|pod| pod["metadata"]["labels"]["app"] == reader);
        let noted: Vec<&Value> =
            of_it.map(|pod| &pod["metadata"]["annotations"]["deepdesk.com/primary-version"]).collect();
        assert_eq!(noted, ["4"], "{name}");
    }
    // The two values are exchanged by way of one alone, which shows that they were.
    let back = world.run(&["secret", "rollback", "globex", "--yes", "-o", "json"]).code(0).json();
    for (name, _) in &forms {
        assert_eq!(said(&back, name), ("primary v5".to_owned(), "primary v4".to_owned()), "{name}");
    }
    let ended = world.run(&["secret", "finalize", "globex", "--yes", "--reencrypted", "-o", "json"]).code(0).json();
    for (name, _) in &forms {
        assert_eq!(said(&ended, name), ("primary v5".to_owned(), "primary v5".to_owned()), "{name}");
    }
}

#[test]
fn what_the_bytes_do_not_show_is_refused_before_anything_is_written() {
    let world = World::start(&["--accounts=2"]);
    made_by(&world, "derived", &json!({"data": {".env": "{{ .SECRET_KEY | upper }}"}}));
    let before = world.state("globex");
    let refused = world.run(&["secret", "rotate", "globex", "--yes"]).code(4);
    refused.says("DD-ES-OPAQUE").says("external secret globex/derived fills key .env").says("cannot be compared");
    assert_eq!(world.state("globex"), before);
    world.sent("DELETE", &external_secret("globex", "derived"), None);
    made_by(&world, "dotenv", &json!({"data": {".env": OVER_ALL}}));
    // A value that holds the one in use cannot be told from it there.
    std::fs::write(world.home().join("value"), world.value(&primary("globex"), "3").expect("it is enabled"))
        .expect("writable");
    let longer = format!("{}-and-more", world.tool("base64", &["-d", "value"]).stdout);
    let before = world.state("globex");
    let given = ["secret", "rotate", "globex", "--yes", "--value-from", "-"];
    world
        .run_with_input(&given, longer.as_bytes())
        .code(4)
        .says("external secret dotenv is not followed")
        .says("stands in the other");
    assert_eq!(world.state("globex"), before);
    world.run_with_input(&given, b"another-value-of-more-than-32-characters").code(0);
    world.rotated("globex", 3, 4);
}

#[test]
fn a_template_that_prints_one_of_the_two_secrets_is_told_in_these_words() {
    let one = json!({"templateFrom": [{"literal": "key: {{ .SECRET_KEY }}"}]});
    let rotate = ["secret", "rotate", "globex", "--yes", "--timeout", "5s"];
    let words = "external secret one fetches both secrets, and what it fills shows the value of one alone";
    let way = "leave what its template does not print out of its spec.data";
    // It may still come, as far as dates tell: it is waited for, before the first value is touched.
    let world = World::start(&["--accounts=2"]);
    made_by(&world, "one", &one);
    let before = world.versions(&primary("globex"));
    world.run(&rotate).code(1).says("gave up after 5s").says(words).says(way);
    assert_eq!(world.versions(&primary("globex")), before);
    // The hint's way on.
    let fetched = json!([{"secretKey": "SECRET_KEY", "remoteRef": {"key": primary("globex")}}]);
    world.patch(&external_secret("globex", "one"), json!({"spec": {"data": fetched}}));
    world.run(&rotate[..4]).code(0);
    world.rotated("globex", 3, 4);
}

#[test]
fn an_external_secret_of_a_cluster_external_secret_is_synced_like_others() {
    let world = World::start(&["--accounts=2"]);
    let mut own = world.sent("GET", &external_secret("globex", "backend-secrets"), None);
    let (spec, uid) = (own["spec"].take(), own["metadata"]["uid"].clone());
    world.sent("DELETE", &external_secret("globex", "backend-secrets"), None);
    let owner = json!({"apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret", "metadata": {"name": "fleet"},
        "spec": {"namespaceSelectors": [{"matchLabels": {"kubernetes.io/metadata.name": "globex"}}],
            "externalSecretName": "backend-secrets", "externalSecretSpec": spec}});
    world.sent("POST", "/apis/external-secrets.io/v1/clusterexternalsecrets", Some(owner));
    world.until("its ExternalSecret is synced", |world| {
        let (status, external) = world.send("GET", &external_secret("globex", "backend-secrets"), None);
        status == 200 && external["status"]["conditions"][0]["status"] == "True" && external["metadata"]["uid"] != uid
    });
    world.copied_by_hand("globex");
    world.run(&["secret", "rotate", "globex", "--yes"]).code(0);
    world.rotated("globex", 3, 4);
    // What it was asked with is taken away again.
    let external = world.sent("GET", &external_secret("globex", "backend-secrets"), None);
    assert!(external["metadata"]["annotations"].get("force-sync").is_none(), "{}", external["metadata"]);
    world.run(&["secret", "sync", "globex"]).code(0);
    world.run(&["secret", "verify", "globex"]).code(0);
}
