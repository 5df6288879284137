//! The deployments of an account: two that the runbook names, one that it forgets, one that reads no secret.

use serde_json::{Value, json};

/// The deployments of an account; with `is_reloaded` those of the runbook ask Stakater's Reloader to restart them.
pub fn deployments(account: &str, is_reloaded: bool) -> Vec<Value> {
    let key = |key: &str, is_optional: bool| {
        let mut source = json!({ "name": "backend-secrets", "key": key });
        if is_optional {
            source["optional"] = json!(true);
        }
        json!({ "name": key, "valueFrom": { "secretKeyRef": source } })
    };
    let admin = json!({ "containers": [{
        "name": "admin",
        "image": "deepdesk/admin:4.12.0",
        "envFrom": [{ "secretRef": { "name": "admin-secrets" } }],
    }] });
    let backend = json!({ "containers": [{
        "name": "backend",
        "image": "deepdesk/backend:4.12.0",
        // The back-compat need not be there yet.
        "env": [key("SECRET_KEY", false), key("SECRET_KEY_BACK_COMPAT", true), key("DATABASE_URL", false)],
    }] });
    let worker = json!({
        "containers": [{
            "name": "worker",
            "image": "deepdesk/worker:4.12.0",
            "volumeMounts": [{ "name": "secrets", "mountPath": "/run/secrets/deepdesk", "readOnly": true }],
        }],
        "volumes": [{ "name": "secrets", "secret": { "secretName": "backend-secrets" } }],
    });
    let web = json!({ "containers": [{
        "name": "web",
        "image": "deepdesk/web:4.12.0",
        "env": [{ "name": "ACCOUNT", "value": account }],
    }] });
    let mut admin = deployment(account, "admin", 2, admin);
    let mut backend = deployment(account, "backend", 2, backend);
    if is_reloaded {
        for deployment in [&mut admin, &mut backend] {
            deployment["metadata"]["annotations"] = json!({ "reloader.stakater.com/auto": "true" });
        }
    }
    vec![admin, backend, deployment(account, "worker", 1, worker), deployment(account, "web", 1, web)]
}

fn deployment(account: &str, name: &str, replicas: u32, pod: Value) -> Value {
    let labels = json!({ "app": name, "account": account });
    json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}
