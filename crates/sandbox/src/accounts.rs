//! The objects that the world starts with: for each account its secrets, its ExternalSecrets and its workloads.
//!
//! The accounts differ on purpose, in the ways in which real ones do: whether the back-compat exists, how it is mapped, and
//! which kind of store reads it.

mod values;
mod workloads;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::resource;
use super::secret_manager::{Binding, EXTERNAL_SECRETS, Seed};
use crate::options::PROJECT;
use crate::world::World;
use values::Values;

/// As whom the objects were made.
const CREATOR: &str = "kubectl-client-side-apply";

/// How an account is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Setup {
    /// The back-compat does not exist yet; a search finds it once it does.
    Found,
    /// The back-compat is mapped by its name and holds the current value.
    Named,
    /// As `Named`, through a store of the whole cluster and a template.
    Templated,
}

impl Setup {
    fn of(account: &str) -> Self {
        match account {
            "acme" => Setup::Found,
            "initech" => Setup::Templated,
            _ => Setup::Named,
        }
    }

    /// How many versions the primary has; only the newest is enabled.
    fn versions(self) -> usize {
        match self {
            Setup::Found => 7,
            Setup::Named => 3,
            Setup::Templated => 5,
        }
    }

    fn store(self) -> Value {
        match self {
            Setup::Templated => json!({ "name": "secret-manager", "kind": "ClusterSecretStore" }),
            Setup::Found | Setup::Named => json!({ "name": "secret-manager", "kind": "SecretStore" }),
        }
    }
}

/// Puts the accounts of the options into the world.
pub fn populate(world: &World) {
    let mut values = Values::new(world.options.seed);
    let accounts = world.options.account_names();
    // A search lists the project's secrets. That is no right to read them.
    world.secret_manager.grant_project(PROJECT, "roles/secretmanager.viewer", EXTERNAL_SECRETS);
    for name in ["default", "kube-system"] {
        create(world, "namespaces", None, json!({ "metadata": { "name": name } }));
    }
    if accounts.iter().any(|account| Setup::of(account) == Setup::Templated) {
        create(world, "clustersecretstores", None, store("secret-manager"));
    }
    for account in &accounts {
        let setup = Setup::of(account);
        seed(world, account, setup, &mut values);
        let namespace = json!({ "metadata": { "name": account, "labels": { "app": "deepdesk", "account": account } } });
        create(world, "namespaces", None, namespace);
        if setup != Setup::Templated {
            create(world, "secretstores", Some(account), store("secret-manager"));
        }
        for name in ["admin-secrets", "backend-secrets"] {
            create(world, "externalsecrets", Some(account), external_secret(account, setup, name));
        }
        let is_reloaded = world.faults.active("reloader");
        for deployment in workloads::deployments(account, is_reloaded) {
            create(world, "deployments", Some(account), deployment);
        }
    }
}

fn create(world: &World, plural: &str, namespace: Option<&str>, object: Value) {
    let made = world.cluster.create(resource(plural), namespace, object, CREATOR);
    made.expect("the objects of the start are valid, and each is made once in an empty cluster");
}

fn seed(world: &World, account: &str, setup: Setup, values: &mut Values) {
    let put = |name: &str, versions: Vec<Vec<u8>>| {
        let last = versions.len().saturating_sub(1);
        let versions = versions.into_iter().enumerate().map(|(at, payload)| (payload, at == last)).collect();
        let labels = [("app", "deepdesk"), ("account", account)];
        let seed = Seed {
            versions,
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            // On each secret by itself: a secret that is made later is not readable until it has its own.
            bindings: vec![Binding {
                role: "roles/secretmanager.secretAccessor".to_owned(),
                members: vec![EXTERNAL_SECRETS.to_owned()],
            }],
            replication: json!({ "automatic": {} }),
        };
        world.secret_manager.seed_secret(&format!("projects/{PROJECT}"), &format!("{account}_{name}"), seed);
    };
    let primary: Vec<Vec<u8>> = (0..setup.versions()).map(|_| values.next()).collect();
    if setup != Setup::Found {
        put("account_secret_back_compat", primary.last().cloned().into_iter().collect());
    }
    put("account_secret", primary);
    let password = String::from_utf8_lossy(&values.next()).into_owned();
    put("database_url", vec![format!("postgres://{account}:{password}@database:5432/{account}").into_bytes()]);
}

fn store(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": { "provider": { "gcpsm": {
            "projectID": PROJECT,
            "auth": { "workloadIdentity": {
                "clusterLocation": "europe-west4",
                "clusterName": "sandbox",
                "serviceAccountRef": { "name": "external-secrets", "namespace": "external-secrets" },
            } },
        } } },
    })
}

fn external_secret(account: &str, setup: Setup, name: &str) -> Value {
    let remote = |key: &str, of: &str| json!({ "secretKey": key, "remoteRef": { "key": format!("{account}_{of}") } });
    let mut spec = json!({ "refreshInterval": "10m", "secretStoreRef": setup.store(), "target": { "name": name } });
    match setup {
        Setup::Found => {
            spec["dataFrom"] = json!([{
                "find": { "name": { "regexp": format!("^{account}_account_secret_back_compat$") } },
                "rewrite": [{ "regexp": { "source": "^.*$", "target": "SECRET_KEY_BACK_COMPAT" } }],
            }]);
            spec["data"] = json!([remote("SECRET_KEY", "account_secret"), remote("DATABASE_URL", "database_url")]);
        }
        Setup::Named => {
            spec["data"] = json!([
                remote("SECRET_KEY", "account_secret"),
                remote("SECRET_KEY_BACK_COMPAT", "account_secret_back_compat"),
                remote("DATABASE_URL", "database_url"),
            ]);
        }
        Setup::Templated => {
            spec["data"] = json!([
                remote("key", "account_secret"),
                remote("old", "account_secret_back_compat"),
                remote("database", "database_url"),
            ]);
            let mut texts: BTreeMap<&str, &str> = BTreeMap::from([
                ("SECRET_KEY", "{{ .key }}"),
                ("SECRET_KEY_BACK_COMPAT", "{{ .old }}"),
                ("DATABASE_URL", "{{ .database }}"),
            ]);
            if name == "backend-secrets" {
                texts.insert("SESSION_URL", "redis://:{{ .key }}@cache:6379/0");
            }
            spec["target"]["template"] = json!({ "engineVersion": "v2", "data": texts });
        }
    }
    json!({ "metadata": { "name": name, "labels": { "app": "deepdesk", "account": account } }, "spec": spec })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::Options;

    fn world(accounts: usize, seed: Option<u64>) -> World {
        let world = World::new(Options {
            accounts,
            sync_delay: Duration::ZERO,
            pod_start: Duration::ZERO,
            faults: Vec::new(),
            seed,
            directory: "unused".into(),
        });
        populate(&world);
        world
    }

    fn primary(world: &World, account: &str) -> (u64, Vec<u8>) {
        let parent = format!("projects/{PROJECT}");
        world.secret_manager.access(EXTERNAL_SECRETS, &parent, &format!("{account}_account_secret"), "latest").unwrap()
    }

    #[test]
    fn accounts_are_set_up_as_the_manual_says() {
        let world = world(4, None);
        let parent = format!("projects/{PROJECT}");
        for (account, newest, has_back_compat) in
            [("acme", 7, false), ("globex", 3, true), ("initech", 5, true), ("account-004", 3, true)]
        {
            let (number, value) = primary(&world, account);
            assert_eq!(number, newest, "{account}");
            assert!(value.len() == 64 && value.iter().all(u8::is_ascii_alphanumeric), "{account}");
            let secret = format!("{account}_account_secret");
            assert!(world.secret_manager.access(EXTERNAL_SECRETS, &parent, &secret, "1").is_err(), "{account}");
            let secret = format!("{account}_account_secret_back_compat");
            let back_compat = world.secret_manager.access(EXTERNAL_SECRETS, &parent, &secret, "latest");
            assert_eq!(back_compat.is_ok_and(|(_, held)| held == value), has_back_compat, "{account}");
            for name in ["admin", "backend", "worker", "web"] {
                assert!(world.cluster.get(resource("deployments"), Some(account), name).is_some(), "{account} {name}");
            }
        }
    }

    #[test]
    fn values_are_random_or_repeat_with_the_seed() {
        let same =
            |one: Option<u64>, other: Option<u64>| primary(&world(1, one), "acme") == primary(&world(1, other), "acme");
        assert!(same(Some(7), Some(7)));
        assert!(!same(Some(7), Some(8)));
        assert!(!same(None, None));
        let world = world(2, Some(7));
        assert_ne!(primary(&world, "acme").1, primary(&world, "globex").1);
    }
}
