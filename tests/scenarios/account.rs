//! An account of one scenario: made after one of the sandbox's three, changed as the scenario wants, looked at from outside.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::world::{Kind, Ran, Running, World, until, world};

/// As whom External Secrets reads Secret Manager, in both worlds.
const EXTERNAL_SECRETS: &str = "serviceAccount:external-secrets@sandbox-project.iam.gserviceaccount.com";
/// The version that an account starts with.
pub const FIRST: u64 = 3;
/// The workloads that read the secret.
pub const CONSUMERS: [&str; 3] = ["admin", "backend", "worker"];

/// One of the three accounts of the sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    /// `acme`: no back-compat yet; `dataFrom.find` will find it.
    Acme,
    /// `globex`: mapped by name.
    Globex,
    /// `initech`: ClusterSecretStore and template.
    Initech,
}

impl After {
    /// Its name there.
    pub fn name(self) -> &'static str {
        match self {
            After::Acme => "acme",
            After::Globex => "globex",
            After::Initech => "initech",
        }
    }
}

/// An account of its own.
pub struct Account {
    pub name: String,
    pub world: &'static World,
}

/// By account, each value seen so far, in base64, and what it is called. Whoever looks at an account later knows what was seen before.
type Values = BTreeMap<String, BTreeMap<String, String>>;
static VALUES: Mutex<Values> = Mutex::new(Values::new());

/// A pod that runs, and which version each key holds that it read when it started.
#[derive(Debug)]
pub struct Pod {
    pub owner: String,
    pub name: String,
    pub holds: BTreeMap<String, String>,
}

impl Account {
    /// One that is there already.
    pub fn at(world: &'static World, name: &str) -> Account {
        Account { name: name.to_owned(), world }
    }

    /// As it is.
    pub fn new(after: After, name: &str) -> Account {
        Account::with(after, name, |_| {})
    }

    /// With its objects changed before they are made.
    pub fn with(after: After, name: &str, change: impl Fn(&mut Value)) -> Account {
        let account = Account::bare(after, name, change);
        account.until_healthy();
        account
    }

    /// With Deployments that give a rollout up after seconds.
    pub fn impatient(after: After, name: &str) -> Account {
        Account::with(after, name, |object| {
            if object["kind"] == "Deployment" {
                object["spec"]["progressDeadlineSeconds"] = 4.into();
            }
        })
    }

    /// The same, for an account that is not meant to become healthy.
    pub fn bare(after: After, name: &str, change: impl Fn(&mut Value)) -> Account {
        let account = Account::prepared(world(), after, name);
        let world = account.world;
        let mut objects: Vec<Value> = templates(world, after.name(), "secretstores,externalsecrets,deployments")
            .into_iter()
            .map(|object| fit(object, after.name(), name, world))
            .collect();
        objects.iter_mut().for_each(&change);
        let (later, first): (Vec<Value>, Vec<Value>) =
            objects.into_iter().filter(|object| !object.is_null()).partition(|object| object["kind"] == "Deployment");
        // Times are whole seconds: a Secret that was made in the second of the newest version may have held the one before it.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        first.iter().for_each(|object| world.create(object));
        // The Secrets first, as in an account that has lived for a while: a pod that is created before its Secret proves
        // nothing by its age.
        until(&format!("the Secrets of {name}"), || {
            world.try_kubectl(&["get", "secret", "admin-secrets", "backend-secrets", "-n", name], None).is_ok()
        });
        std::thread::sleep(std::time::Duration::from_millis(1100));
        later.iter().for_each(|object| world.create(object));
        account
    }

    /// Its secrets, its namespace and its operator's rights, and nothing in the namespace.
    pub fn prepared(world: &'static World, after: After, name: &str) -> Account {
        let account = Account::at(world, name);
        for number in 1..=FIRST {
            account.add(&account.primary(), &value(&format!("{name} {number}")));
            if number < FIRST {
                account.set(&account.primary(), number, "disable");
            }
        }
        if after != After::Acme {
            account.add(&account.back_compat(), &value(&format!("{name} {FIRST}")));
        }
        account.add(&format!("{name}_database_url"), &value(&format!("{name} database")));
        world.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"app": "deepdesk"}}}));
        if world.kind == Kind::ControlPlane {
            crate::rights::grant(&account, &crate::rights::rules());
        }
        account
    }

    /// Makes the objects of these kinds after the example's, as they are.
    pub fn make(&self, after: After, kinds: &str) {
        for object in templates(self.world, after.name(), kinds) {
            self.world.create(&fit(object, after.name(), &self.name, self.world));
        }
    }

    /// Waits until everything that this account has is up.
    #[track_caller]
    pub fn until_healthy(&self) {
        until(&format!("{} is healthy", self.name), || {
            let objects = self.world.get(&["externalsecrets,deployments", "-n", &self.name]);
            objects["items"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_up))
        });
    }

    /// The primary's id.
    pub fn primary(&self) -> String {
        format!("{}_account_secret", self.name)
    }

    /// The back-compat's id.
    pub fn back_compat(&self) -> String {
        format!("{}_account_secret_back_compat", self.name)
    }

    /// Runs `secret COMMAND` on this account.
    #[track_caller]
    pub fn run(&self, command: &str, flags: &[&str]) -> Ran {
        self.spawn(command, flags).end()
    }

    /// Starts `secret COMMAND` on this account.
    pub fn spawn(&self, command: &str, flags: &[&str]) -> Running {
        let args = [&["secret", command, &self.name], flags].concat();
        let operator = crate::rights::operator(self);
        let more: Vec<(&str, &str)> = operator.iter().map(|path| ("KUBECONFIG", path.as_str())).collect();
        self.world.spawn(&args, &more)
    }

    /// Adds a version, as an operator does by hand; the first one makes the secret, readable for External Secrets.
    #[track_caller]
    pub fn add(&self, secret: &str, value: &str) {
        let body = json!({"payload": {"data": value}});
        let add = || self.world.secret_manager("POST", &format!("secrets/{secret}:addVersion"), &body);
        let (mut status, mut answer) = add();
        if status == 404 {
            self.make_secret(secret);
            (status, answer) = add();
        }
        assert_eq!(status, 200, "{answer}");
        self.versions(secret);
    }

    /// Makes a secret without versions, readable for External Secrets.
    #[track_caller]
    pub fn make_secret(&self, secret: &str) {
        let made = json!({"replication": {"automatic": {}}});
        assert_eq!(self.world.secret_manager("POST", &format!("secrets?secretId={secret}"), &made).0, 200);
        self.let_external_secrets(secret, "roles/secretmanager.secretAccessor");
    }

    /// What External Secrets may do to a secret, and nothing else.
    #[track_caller]
    pub fn let_external_secrets(&self, secret: &str, role: &str) {
        let bindings = json!([{"role": role, "members": [EXTERNAL_SECRETS]}]);
        let policy = json!({"policy": {"bindings": bindings}});
        assert_eq!(self.world.secret_manager("POST", &format!("secrets/{secret}:setIamPolicy"), &policy).0, 200);
    }

    /// Enables, disables or destroys a version, as an operator does by hand.
    #[track_caller]
    pub fn set(&self, secret: &str, version: u64, what: &str) {
        let path = format!("secrets/{secret}/versions/{version}:{what}");
        assert_eq!(self.world.secret_manager("POST", &path, &json!({})).0, 200, "{path}");
    }

    /// The value of an enabled version, in base64.
    pub fn value(&self, secret: &str, version: &str) -> Option<String> {
        let path = format!("secrets/{secret}/versions/{version}:access");
        let (status, answer) = self.world.secret_manager("GET", &path, &Value::Null);
        (status == 200).then(|| answer["payload"]["data"].as_str().expect("base64").to_owned())
    }

    /// The versions of a secret, oldest first: `3:DISABLED 4:ENABLED`. The values of the enabled ones get their names.
    pub fn versions(&self, secret: &str) -> String {
        let (_, listed) = self.world.secret_manager("GET", &format!("secrets/{secret}/versions"), &Value::Null);
        let number = |version: &Value| {
            let name = version["name"].as_str().expect("a name");
            name.rsplit('/').next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
        };
        let mut versions: Vec<(u64, String)> = listed["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|version| (number(version), version["state"].as_str().expect("a state").to_owned()))
            .collect();
        versions.sort();
        // A value of the primary is called by its version there, wherever else it is.
        let (is_primary, is_back_compat) = (secret == self.primary(), secret == self.back_compat());
        for (number, _) in versions.iter().filter(|(_, state)| state == "ENABLED") {
            let Some(value) = self.value(secret, &number.to_string()) else { continue };
            let mut values = values();
            let values = values.entry(self.name.clone()).or_default();
            match (is_primary, is_back_compat) {
                (true, _) => drop(values.insert(value, format!("primary v{number}"))),
                (_, true) => drop(values.entry(value).or_insert_with(|| format!("back-compat v{number}"))),
                _ => drop(values.entry(value).or_insert_with(|| secret.to_owned())),
            }
        }
        versions.iter().map(|(number, state)| format!("{number}:{state}")).collect::<Vec<_>>().join(" ")
    }

    /// The number of the primary's newest version; none where there is none. Learns the values of both secrets.
    pub fn newest(&self) -> Option<u64> {
        self.versions(&self.back_compat());
        self.versions(&self.primary()).rsplit(' ').next()?.split(':').next()?.parse().ok()
    }

    fn named(&self, value: &str) -> String {
        let values = values();
        let name = values.get(&self.name).and_then(|own| own.get(value));
        name.cloned().unwrap_or_else(|| "unknown".to_owned())
    }

    /// What the Kubernetes Secrets hold: `admin-secrets/SECRET_KEY` to `primary v4`.
    pub fn holdings(&self) -> BTreeMap<String, String> {
        self.versions(&self.primary());
        self.versions(&self.back_compat());
        let secrets = self.world.get(&["secrets", "-n", &self.name]);
        let mut all = BTreeMap::new();
        for secret in secrets["items"].as_array().expect("a list") {
            for (key, value) in secret["data"].as_object().into_iter().flatten() {
                let name = secret["metadata"]["name"].as_str().expect("a name");
                all.insert(format!("{name}/{key}"), self.named(value.as_str().expect("base64")));
            }
        }
        all
    }

    /// What the stand-in kubelet calls each value seen so far, and what it is called here.
    fn digests(&self) -> BTreeMap<String, String> {
        if self.world.kind == Kind::Sandbox {
            return BTreeMap::new();
        }
        let values = values().get(&self.name).cloned().unwrap_or_default();
        let digest = |value: &str| {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(value).expect("base64");
            let answer = self.world.control("POST", "digest", &bytes);
            answer["digest"].as_str().or(answer.as_str()).expect("a digest").to_owned()
        };
        values.into_iter().map(|(value, name)| (digest(&value), name)).collect()
    }

    /// The pods that have not ended, with what the (stand-in) kubelet knows that they were given.
    pub fn pods(&self) -> Vec<Pod> {
        self.versions(&self.primary());
        self.versions(&self.back_compat());
        let lives = match self.world.kind {
            Kind::Sandbox => self.world.sandbox("pods"),
            Kind::ControlPlane => self.world.control("GET", "pods", &[]),
        };
        let names = self.digests();
        let there = self.world.get(&["pods", "-n", &self.name]);
        let ended = |pod: &&Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let there = there["items"].as_array().expect("a list").iter().filter(|pod| !ended(pod));
        let there: Vec<&Value> = there.map(|pod| &pod["metadata"]["name"]).collect();
        // The pod of a StatefulSet has the name of the one before: the last of a name is the one that runs.
        let own = lives.as_array().expect("a list").iter();
        let own = own.filter(|pod| pod["namespace"] == *self.name && there.contains(&&pod["name"]));
        let mut running = BTreeMap::new();
        for pod in own {
            let owner = pod["owner"].as_str().unwrap_or_default();
            let pod = Pod {
                owner: owner.rsplit('/').next().unwrap_or_default().to_owned(),
                name: pod["name"].as_str().unwrap_or_default().to_owned(),
                holds: match &pod["holds"] {
                    // The sandbox names what a pod holds; the stand-in kubelet gives a digest of it.
                    Value::Object(holds) => holds
                        .iter()
                        .map(|(key, held)| (key.clone(), held.as_str().unwrap_or_default().to_owned()))
                        .collect(),
                    holds => holds
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|held| {
                            let text = |field: &str| held[field].as_str().unwrap_or_default();
                            let key = if text("source").starts_with("env") { text("key") } else { text("secretKey") };
                            let name = names.get(text("digest")).cloned().unwrap_or_else(|| "unknown".to_owned());
                            (key.to_owned(), name)
                        })
                        .collect(),
                },
            };
            running.insert(pod.name.clone(), pod);
        }
        running.into_values().collect()
    }

    /// Fails the test unless every pod of a workload holds this.
    #[track_caller]
    pub fn every_pod_holds(&self, owner: &str, key: &str, expected: &str) {
        let pods = self.pods();
        let own: Vec<&Pod> = pods.iter().filter(|pod| pod.owner == owner).collect();
        assert!(!own.is_empty(), "no pod of {owner}: {pods:?}");
        assert!(own.iter().all(|pod| pod.holds.get(key).is_some_and(|held| held == expected)), "{key}: {own:?}");
    }

    /// Fails the test unless the account is where a rotation to `to` leaves it.
    #[track_caller]
    pub fn rotated(&self, to: u64) {
        let (current, previous) = (format!("primary v{to}"), format!("primary v{}", to - 1));
        let versions = self.versions(&self.primary());
        assert!(versions.ends_with(&format!("{}:DISABLED {to}:ENABLED", to - 1)), "{versions}");
        let holdings = self.holdings();
        for target in ["admin-secrets", "backend-secrets"] {
            assert_eq!(holdings.get(&format!("{target}/SECRET_KEY")), Some(&current), "{holdings:?}");
            assert_eq!(holdings.get(&format!("{target}/SECRET_KEY_BACK_COMPAT")), Some(&previous), "{holdings:?}");
        }
        for consumer in CONSUMERS {
            self.every_pod_holds(consumer, "SECRET_KEY", &current);
            self.every_pod_holds(consumer, "SECRET_KEY_BACK_COMPAT", &previous);
        }
        assert_eq!(self.lock_holder(), None);
    }

    /// Fails the test unless the account is where it was made.
    #[track_caller]
    pub fn untouched(&self) {
        let versions = self.versions(&self.primary());
        assert!(versions.ends_with(&format!("{FIRST}:ENABLED")), "{versions}");
        assert_eq!(self.lock_holder(), None);
    }

    /// Who holds the lock; none when nobody does.
    pub fn lock_holder(&self) -> Option<String> {
        let found = ["get", "lease", "deepdesk-rotation", "-n", &self.name, "-o", "jsonpath={.spec.holderIdentity}"];
        self.world.try_kubectl(&found, None).ok().filter(|holder| !holder.is_empty())
    }

    /// Changes an object of the account by a merge patch.
    #[track_caller]
    pub fn patch(&self, kind: &str, name: &str, body: &Value) {
        self.world.kubectl(&["patch", kind, name, "-n", &self.name, "--type=merge", "-p", &body.to_string()]);
    }

    /// Tells the pods of this account to behave so from now on.
    pub fn pods_from_now(&self, annotation: &str, value: &str) {
        self.patch("namespace", &self.name, &crate::world::annotation(annotation, value));
    }

    /// An object of the account.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.world.get(&[kind, name, "-n", &self.name])
    }

    /// Creates an object in the account.
    #[track_caller]
    pub fn create(&self, mut object: Value) {
        object["metadata"]["namespace"] = self.name.clone().into();
        self.world.create(&object);
    }
}

fn values() -> MutexGuard<'static, Values> {
    // A scenario that failed with it in its hands left nothing half done.
    VALUES.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A value as good as the program's own, and the same for the same words.
pub fn value(words: &str) -> String {
    let text = format!("{}-{:064}", words.replace(' ', "-"), words.len());
    base64(text.as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn is_up(object: &Value) -> bool {
    let condition = |kind: &str| {
        object["status"]["conditions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["type"] == kind && one["status"] == "True"))
    };
    match object["kind"].as_str() {
        Some("ExternalSecret") => condition("Ready"),
        _ => {
            let status = &object["status"];
            let wanted = &object["spec"]["replicas"];
            status["readyReplicas"] == *wanted
                && status["updatedReplicas"] == *wanted
                && status["replicas"] == *wanted
                && status["observedGeneration"] == object["metadata"]["generation"]
        }
    }
}

/// The objects of these kinds of one of the sandbox's accounts, as kubectl prints them.
fn templates(world: &World, account: &str, kinds: &str) -> Vec<Value> {
    // Always of the sandbox, wherever the account is to be.
    let kubeconfig = world.sandbox_kubeconfig();
    let args = ["get", kinds, "-n", account, "-o", "json", "--kubeconfig", &kubeconfig];
    let list: Value = serde_json::from_str(&world.kubectl(&args)).expect("JSON");
    list["items"].as_array().expect("a list").clone()
}

/// The same object for another account, without what a server added; in the real world with a store that can be used there.
pub fn fit(object: Value, from: &str, to: &str, world: &World) -> Value {
    let text = if from.is_empty() { object.to_string() } else { object.to_string().replace(from, to) };
    let mut object: Value = serde_json::from_str(&text).expect("still JSON");
    if let Some(all) = object.as_object_mut() {
        all.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| ["name", "namespace", "labels"].contains(&name.as_str()));
    }
    let is_cluster_store = object["kind"] == "ClusterSecretStore";
    if world.kind == Kind::ControlPlane && (object["kind"] == "SecretStore" || is_cluster_store) {
        let namespace = if is_cluster_store { "default".to_owned() } else { to.to_owned() };
        let key = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret-manager-key", "namespace": namespace},
            "stringData": {"key.json": world.store_key()},
        });
        world.create(&key);
        let mut reference = json!({"name": "secret-manager-key", "key": "key.json"});
        if is_cluster_store {
            reference["namespace"] = namespace.into();
        }
        object["spec"]["provider"]["gcpsm"]["auth"] = json!({"secretRef": {"secretAccessKeySecretRef": reference}});
    }
    object
}
