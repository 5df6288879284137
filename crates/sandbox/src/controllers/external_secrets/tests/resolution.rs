//! What an ExternalSecret means, as a table.

use super::*;

/// What a world without a controller's loop makes of an ExternalSecret: the data, or the failure.
fn resolved(world: &World, object: Value) -> String {
    store::validate_all(world, &mut Recorder::silent(), None);
    let object = put(world, "externalsecrets", Some(NAMESPACE), object);
    let text = match resolve::resolve(world, &object) {
        Ok((data, missing)) => {
            let entry = |(key, value): (&String, &Vec<u8>)| format!("{key}={}", String::from_utf8_lossy(value));
            data.iter().map(entry).chain(missing).collect::<Vec<_>>().join(" ")
        }
        Err(error) => error,
    };
    world.cluster.remove(resource("externalsecrets"), Some(NAMESPACE), "app").unwrap();
    text
}

#[test]
fn data_is_resolved_as_the_real_one_does() {
    let json_text = r#"{"a": "x", "b": {"c": [1, "y"]}, "d.e": "z"}"#;
    let secrets: &[(&str, &[&str])] = &[
        ("primary", &["one", "two"]),
        ("json", &[json_text]),
        ("b64", &["aGk="]),
        ("p_old", &["three"]),
        ("disabled", &["ok", "!off"]),
    ];
    let world = world(&[], secrets);
    seed(&world, "secret", &["hidden"], false);
    put(&world, "secretstores", Some(NAMESPACE), {
        let mut store = store_object("fetch");
        store["spec"]["provider"]["gcpsm"]["secretVersionSelectionPolicy"] = json!("LatestOrFetch");
        store
    });
    put(&world, "secretstores", Some(NAMESPACE), {
        let mut store = store_object("other-class");
        store["spec"]["controller"] = json!("other");
        store
    });
    put(
        &world,
        "secretstores",
        Some(NAMESPACE),
        json!({"metadata": {"name": "vault"}, "spec": {"provider": {"vault": {}}}}),
    );
    for (name, condition) in [
        ("open", json!([])),
        ("named", json!([{"namespaces": ["globex", "acme"]}])),
        ("selected", json!([{"namespaceSelector": {"matchLabels": {"team": "b"}}}])),
        ("regex", json!([{"namespaceRegexes": ["^ac"]}])),
    ] {
        let mut store = store_object(name);
        store["spec"]["conditions"] = condition;
        put(&world, "clustersecretstores", None, store);
    }
    let one = |remote: Value| json!({"data": [item("K", remote)]});
    let from = |entry: Value| json!({"dataFrom": [entry]});
    let stored = |kind: &str, name: &str, key: &str| json!({"secretStoreRef": {"kind": kind, "name": name}, "data": [item("K", json!({"key": key}))]});
    let failed = |at: &str, why: &str| format!("error processing spec.{at}, err: {why}");
    let access = "unable to access Secret from SecretManager Client: ";
    let denied = "rpc error: code = PermissionDenied desc = Permission 'secretmanager.versions.access' denied for resource \
        'projects/sandbox-project/secrets/secret/versions/latest' (or it may not exist).";
    let disabled = {
        let parent = format!("projects/{PROJECT}");
        let error = world.secret_manager.access(EXTERNAL_SECRETS, &parent, "disabled", "latest").unwrap_err();
        format!("rpc error: code = FailedPrecondition desc = {error}")
    };
    let rewrite = json!([{"regexp": {"source": "^p_(.*)$", "target": "x_${1}"}}]);
    let cases = [
        (one(json!({"key": "primary"})), "K=two".to_owned()),
        (one(json!({"key": "primary", "version": "1"})), "K=one".to_owned()),
        (one(json!({"key": "json", "property": "a"})), "K=x".to_owned()),
        (one(json!({"key": "json", "property": "d.e"})), "K=z".to_owned()),
        (one(json!({"key": "json", "property": "b.c.1"})), "K=y".to_owned()),
        (one(json!({"key": "json", "property": "b.c"})), "K=[1,\"y\"]".to_owned()),
        (
            one(json!({"key": "json", "property": "q"})),
            failed("data[0] (key: json)", "key q does not exist in secret json"),
        ),
        (one(json!({"key": "b64", "decodingStrategy": "Base64"})), "K=hi".to_owned()),
        (one(json!({"key": "primary", "decodingStrategy": "Auto"})), "K=two".to_owned()),
        (
            one(json!({"key": "primary", "decodingStrategy": "Base64"})),
            failed("data[0] (key: primary)", "error applying decoding strategy Base64 to data: illegal base64 data"),
        ),
        (one(json!({"key": "secret"})), failed("data[0] (key: secret)", &format!("{access}{denied}"))),
        (one(json!({"key": "disabled"})), failed("data[0] (key: disabled)", &format!("{access}{disabled}"))),
        (stored("SecretStore", "fetch", "disabled"), "K=ok".to_owned()),
        (from(json!({"extract": {"key": "json"}})), "a=x b={\"c\":[1,\"y\"]} d.e=z".to_owned()),
        (
            from(json!({"extract": {"key": "primary"}})),
            failed("dataFrom[0].extract", "unable to unmarshal secret from JSON: not an object"),
        ),
        (from(json!({"find": {"name": {"regexp": "^p"}}})), "p_old=three primary=two".to_owned()),
        (from(json!({"find": {"name": {"regexp": "old"}, "path": "p_"}})), "p_old=three".to_owned()),
        (from(json!({"find": {"name": {"regexp": "nothing"}}})), String::new()),
        (from(json!({"find": {"tags": {"kind": "b"}}})), "b64=aGk=".to_owned()),
        (
            from(json!({"find": {"name": {"regexp": "^sec"}}})),
            failed("dataFrom[0].find", &format!("error getting all secrets: {access}{denied}")),
        ),
        (from(json!({"find": {"name": {"regexp": "^p_"}}, "rewrite": rewrite})), "x_old=three".to_owned()),
        (
            json!({"dataFrom": [{"extract": {"key": "json"}}], "data": [item("a", json!({"key": "primary"}))]}),
            "a=two b={\"c\":[1,\"y\"]} d.e=z".to_owned(),
        ),
        (
            stored("SecretStore", "none", "primary"),
            failed(
                "data[0] (key: primary)",
                "could not get SecretStore \"none\", SecretStore.external-secrets.io \"none\" not found",
            ),
        ),
        (
            stored("SecretStore", "vault", "primary"),
            failed("data[0] (key: primary)", "SecretStore \"vault\" is not ready"),
        ),
        (
            stored("SecretStore", "other-class", "primary"),
            failed("data[0] (key: primary)", "can not reference unmanaged store"),
        ),
        (stored("ClusterSecretStore", "open", "primary"), "K=two".to_owned()),
        (stored("ClusterSecretStore", "named", "primary"), "K=two".to_owned()),
        (stored("ClusterSecretStore", "regex", "primary"), "K=two".to_owned()),
        (
            stored("ClusterSecretStore", "selected", "primary"),
            failed(
                "data[0] (key: primary)",
                "using cluster store \"selected\" is not allowed from namespace \"acme\": denied by spec.condition",
            ),
        ),
        (
            json!({"secretStoreRef": {"name": "none"}, "data": [{"secretKey": "K", "remoteRef": {"key": "primary"},
                "sourceRef": {"storeRef": {"name": "store"}}}]}),
            "K=two".to_owned(),
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(resolved(&world, external(spec.clone())), expected, "{spec}");
    }
    grant_all(&world);
    let cases = [
        (one(json!({"key": "gone"})), failed("data[0] (key: gone)", &format!("{access}Secret does not exist"))),
        (
            json!({"target": {"deletionPolicy": "Merge"}, "data":
                [item("A", json!({"key": "gone"})), item("B", json!({"key": "primary"}))]}),
            "B=two secret does not exist at provider using spec.dataFrom[0] (key=gone)".to_owned(),
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(resolved(&world, external(spec.clone())), expected, "{spec}");
    }
}
