//! The account of a seed: what there is of it, and what hands can do to it, all through the sandbox's APIs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::judge::{Number, Pod, Seen, State, Version};
use crate::random::Random;
use crate::script::{Filling, On, Tamper, Which};
use crate::world::World;

/// As whom External Secrets comes to Secret Manager.
const EXTERNAL_SECRETS: &str = "serviceAccount:external-secrets@sandbox-project.iam.gserviceaccount.com";
const PROJECT: &str = "/v1/projects/sandbox-project/secrets";
/// The account's ExternalSecrets and Deployments, in the order in which scripts name them.
const SYNCED: [&str; 2] = ["admin-secrets", "backend-secrets"];
const WORKLOADS: [&str; 3] = ["admin", "backend", "worker"];
/// The most that is waited for rollouts to end.
const SETTLED: Duration = Duration::from_secs(6);
/// The same while a command of ours waits: its request must not time out.
const HURRIED: Duration = Duration::from_secs(2);
/// Items that the account's pods write in a second, all together.
const PER_SECOND: u32 = 80;

/// An account in its world.
pub struct Account<'a> {
    pub world: &'a World,
    pub name: &'static str,
    random: Random,
    /// The bytes of each value that was ever seen, in base64.
    payloads: BTreeMap<Number, String>,
    /// Which value the sandbox's data means by a name.
    keys: BTreeMap<String, Number>,
    forced: usize,
    /// Whether a command of ours waits for what is being done: nothing that it does itself is waited for, then.
    pub hurries: bool,
}

impl<'a> Account<'a> {
    /// Looks at all values that there are, and has the pods write.
    pub fn new(world: &'a World, name: &'static str, seed: u64) -> Account<'a> {
        let random = Random::new(seed ^ 0x68616e6473);
        let mut account = Account {
            world,
            name,
            random,
            payloads: BTreeMap::new(),
            keys: BTreeMap::new(),
            forced: 0,
            hurries: false,
        };
        for version in account.see().primary.iter().filter(|version| version.state == State::Disabled) {
            account.change(&account.primary(), version.number, "enable");
            account.learn();
            account.change(&account.primary(), version.number, "disable");
        }
        account.learn();
        world.send("POST", &format!("/sandbox/v1/data/{name}"), Some(json!({ "perSecond": PER_SECOND })));
        account.settle();
        account
    }

    pub fn primary(&self) -> String {
        format!("{}_account_secret", self.name)
    }

    pub fn back_compat(&self) -> String {
        format!("{}_account_secret_back_compat", self.name)
    }

    /// What is there now.
    pub fn see(&mut self) -> Seen {
        let (secrets, pods) = (self.world.ask("secrets"), self.world.ask("pods"));
        let data = self.world.ask(&format!("data/{}", self.name));
        let mut seen = Seen::default();
        for secret in all(&secrets["secretManager"]) {
            let versions: Vec<Version> = all(&secret["versions"]).map(version).collect();
            let slot = match secret["secret"].as_str() {
                Some(name) if name == self.primary() => "primary",
                Some(name) if name == self.back_compat() => "back-compat",
                _ => continue,
            };
            for version in &versions {
                let key = format!("{slot} v{}", version.number);
                version.value.map(|value| self.keys.entry(key).or_insert(value));
            }
            match slot {
                "primary" => seen.primary = versions,
                _ => seen.back_compat = Some(versions),
            }
        }
        let own = all(&secrets["kubernetes"]).filter(|secret| secret["namespace"] == self.name);
        seen.kubernetes = own.map(|secret| (text(&secret["name"]), pair(&secret["values"]))).collect();
        let runs = |pod: &&Value| {
            pod["namespace"] == self.name && pod["ended"].is_null() && pod["values"]["SECRET_KEY"].is_u64()
        };
        seen.pods = all(&pods).filter(runs).map(pod).collect();
        for key in all(&data["keys"]) {
            // Not named by a version: the value was in none when the first item was written under it.
            let Some(value) = self.keys.get(&text(&key["key"])) else { continue };
            *seen.items.entry(*value).or_default() += key["items"].as_u64().unwrap_or_default();
        }
        seen.record = self.record();
        seen
    }

    fn record(&self) -> Vec<String> {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/deepdesk-rotation", self.name);
        let lease = self.world.send("GET", &path, None).1;
        let annotations = lease["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        // Times and processes differ with each run.
        const PASSING: [&str; 6] = ["-at", "-by", "-process", "-machine", "-step", "run-ended"];
        let lasting = |key: &str| !PASSING.iter().any(|end| key.ends_with(end));
        annotations.iter().filter(|(key, _)| lasting(key)).map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// Remembers the bytes of every value that can be read now.
    pub fn learn(&mut self) {
        let seen = self.see();
        let slots = [(self.primary(), seen.primary), (self.back_compat(), seen.back_compat.unwrap_or_default())];
        for (secret, versions) in slots {
            for version in versions.iter().filter(|version| version.state == State::Enabled) {
                let Some(value) = version.value.filter(|value| !self.payloads.contains_key(value)) else { continue };
                let path = format!("{PROJECT}/{secret}/versions/{}:access", version.number);
                let answer = self.world.send("GET", &path, None).1;
                answer["payload"]["data"].as_str().map(|data| self.payloads.insert(value, data.to_owned()));
            }
        }
    }

    /// Enables, disables or destroys a version; whether that was allowed.
    pub fn change(&self, secret: &str, version: u64, verb: &str) -> bool {
        let path = format!("{PROJECT}/{secret}/versions/{version}:{verb}");
        self.world.send("POST", &path, Some(json!({}))).0 == 200
    }

    fn add(&self, secret: &str, data: &str) -> String {
        let body = json!({ "payload": { "data": data } });
        let (status, answer) = self.world.send("POST", &format!("{PROJECT}/{secret}:addVersion"), Some(body));
        format!("add to {secret}: {status} {}", text(&answer["name"]).rsplit('/').next().unwrap_or_default())
    }

    /// Adds a version to the primary.
    pub fn add_primary(&mut self, filling: Filling) -> String {
        match self.bytes(filling) {
            Some(data) => self.add(&self.primary(), &data),
            None => "there is no such value".to_owned(),
        }
    }

    /// Does to the back-compat what the runbook says, with this in it.
    pub fn fill_back_compat(&mut self, filling: Filling) -> String {
        let secret = self.back_compat();
        let mut told = String::new();
        if self.see().back_compat.is_none() {
            let body = json!({ "replication": { "automatic": {} } });
            self.world.send("POST", &format!("{PROJECT}?secretId={secret}"), Some(body));
            let binding = json!({ "role": "roles/secretmanager.secretAccessor", "members": [EXTERNAL_SECRETS] });
            let policy = json!({ "policy": { "bindings": [binding] } });
            self.world.send("POST", &format!("{PROJECT}/{secret}:setIamPolicy"), Some(policy));
            told.push_str("created; ");
        }
        if filling != Filling::Nothing {
            match self.bytes(filling) {
                Some(data) => told.push_str(&self.add(&secret, &data)),
                None => told.push_str("there is no such value"),
            }
        }
        told
    }

    /// Adds the value that the Kubernetes Secret has under the primary's key: what an operator takes for the value in use.
    pub fn add_in_use(&self, secret: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/secrets/{}", self.name, SYNCED[0]);
        match self.world.send("GET", &path, None).1["data"]["SECRET_KEY"].as_str() {
            Some(data) => self.add(secret, data),
            None => "the Kubernetes Secret has no value in use".to_owned(),
        }
    }

    fn bytes(&mut self, filling: Filling) -> Option<String> {
        match filling {
            Filling::New => {
                const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
                let text: Vec<u8> = (0..64).map(|_| self.random.of(LETTERS)).collect();
                Some(STANDARD.encode(text))
            }
            Filling::Placeholder => Some(STANDARD.encode("placeholder")),
            Filling::Nothing => None,
            Filling::Of(which) => {
                self.learn();
                let seen = self.see();
                let newest: Vec<&Version> = seen.primary.iter().rev().collect();
                let version = pick(&newest, which)?;
                self.payloads.get(&version.value?).cloned()
            }
        }
    }

    /// Disables or enables one of the primary's versions.
    pub fn change_primary(&mut self, which: Which, verb: &str) -> String {
        let from = if verb == "disable" { State::Enabled } else { State::Disabled };
        self.learn();
        let seen = self.see();
        let there: Vec<&Version> = seen.primary.iter().rev().filter(|version| version.state == from).collect();
        match pick(&there, which) {
            Some(version) => {
                let done = self.change(&self.primary(), version.number, verb);
                format!("{verb} v{}: {done}", version.number)
            }
            None => format!("no version to {verb}"),
        }
    }

    /// Destroys one of the primary's older versions, or disables, enables or destroys one of the back-compat's.
    pub fn change_some(&mut self, secret: &str, which: Which, verb: &str) -> String {
        self.learn();
        let seen = self.see();
        let is_primary = secret == self.primary();
        let versions = if is_primary { seen.primary } else { seen.back_compat.unwrap_or_default() };
        // Nobody destroys what is in use, in the primary.
        let fits = |version: &&Version| match verb {
            "enable" => version.state == State::Disabled,
            "disable" => version.state == State::Enabled,
            _ => version.state != State::Destroyed,
        };
        let there: Vec<&Version> = versions.iter().rev().skip(usize::from(is_primary)).filter(fits).collect();
        match pick(&there, which) {
            Some(version) => {
                let done = self.change(secret, version.number, verb);
                format!("{verb} v{} of {secret}: {done}", version.number)
            }
            None => format!("no version to {verb}"),
        }
    }

    /// Deletes the back-compat.
    pub fn delete_back_compat(&self) -> String {
        format!("{}", self.world.send("DELETE", &format!("{PROJECT}/{}", self.back_compat()), None).0)
    }

    /// Has an ExternalSecret read a version by number, the one before the newest; or the newest again.
    pub fn pin(&mut self, on: On, pinned: bool) -> String {
        let older = self.see().primary.iter().rev().nth(1).map(|version| version.number.to_string());
        let names = match on {
            On::All => SYNCED.to_vec(),
            On::One(at) => vec![SYNCED[at % SYNCED.len()]],
        };
        for name in names {
            let path = format!("/apis/external-secrets.io/v1/namespaces/{}/externalsecrets/{name}", self.name);
            let mut external = self.world.send("GET", &path, None).1;
            for entry in external["spec"]["data"].as_array_mut().into_iter().flatten() {
                if entry["remoteRef"]["key"] == self.primary().as_str() {
                    match older.as_ref().filter(|_| pinned) {
                        Some(older) => entry["remoteRef"]["version"] = json!(older),
                        None => drop(entry["remoteRef"].as_object_mut().map(|reference| reference.remove("version"))),
                    }
                }
            }
            self.world.send("PUT", &path, Some(external));
        }
        self.settle();
        older.unwrap_or_default()
    }

    /// Does something to the lock.
    pub fn tamper(&self, tamper: Tamper) {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/deepdesk-rotation", self.name);
        let annotations = self.world.send("GET", &path, None).1["metadata"]["annotations"].clone();
        let changed = |value: &Value| match tamper {
            Tamper::Forget => Value::Null,
            Tamper::Delete | Tamper::Count => {
                let text = text(value);
                let digits = text.trim_start_matches('v');
                match digits.parse::<u64>() {
                    Ok(number) => json!(text.replace(digits, &(number + 1).to_string())),
                    Err(_) => json!(text),
                }
            }
        };
        match tamper {
            Tamper::Delete => self.delete_lease(),
            Tamper::Forget | Tamper::Count => {
                let all: serde_json::Map<String, Value> = annotations
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), changed(value)))
                    .collect();
                self.world.send("PATCH", &path, Some(json!({ "metadata": { "annotations": all } })));
            }
        }
    }

    /// Asks External Secrets to sync: by the annotation, or because its interval is over.
    pub fn sync(&mut self, on: On, by_annotation: bool) {
        let names = match on {
            On::All => SYNCED.to_vec(),
            On::One(at) => vec![SYNCED[at % SYNCED.len()]],
        };
        for name in names {
            match by_annotation {
                true => self.annotate(name),
                false => drop(self.world.send("POST", &format!("/sandbox/v1/sync/{}/{name}", self.name), None)),
            }
        }
        self.settle();
    }

    fn annotate(&mut self, name: &str) {
        self.forced += 1;
        let body = json!({ "metadata": { "annotations": { "force-sync": format!("by-hand-{}", self.forced) } } });
        let path = format!("/apis/external-secrets.io/v1/namespaces/{}/externalsecrets/{name}", self.name);
        self.world.send("PATCH", &path, Some(body));
    }

    /// `kubectl annotate externalsecret`, as a hint names it.
    pub fn annotate_named(&mut self, name: Option<&str>) {
        let names: Vec<&str> = name.map_or(SYNCED.to_vec(), |name| vec![name]);
        names.into_iter().for_each(|name| self.annotate(name));
        self.settle();
    }

    /// `kubectl rollout restart`.
    pub fn restart(&mut self, on: On) {
        match on {
            On::All => self.restart_named(None),
            On::One(at) => self.restart_named(Some(WORKLOADS[at % WORKLOADS.len()])),
        }
    }

    /// The same, as a hint names it.
    pub fn restart_named(&mut self, name: Option<&str>) {
        self.forced += 1;
        let at = json!({ "kubectl.kubernetes.io/restartedAt": format!("by-hand-{}", self.forced) });
        let body = json!({ "spec": { "template": { "metadata": { "annotations": at } } } });
        let names: Vec<&str> = name.map_or(WORKLOADS.to_vec(), |name| vec![name]);
        for name in names {
            let path = format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.name);
            self.world.send("PATCH", &path, Some(body.clone()));
        }
        self.settle();
    }

    /// Deletes the lock.
    pub fn delete_lease(&self) {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/deepdesk-rotation", self.name);
        self.world.send("DELETE", &path, None);
    }

    /// The application saves all that it can read again; returns how many items are under another value all the same.
    pub fn reencrypt(&mut self) -> u64 {
        self.world.send("POST", &format!("/sandbox/v1/data/{}/reencrypt", self.name), Some(json!({})));
        let seen = self.see();
        let used = seen.pods.iter().filter_map(|pod| pod.primary).collect::<std::collections::BTreeSet<_>>();
        seen.items.iter().filter(|(value, _)| !used.contains(value)).map(|(_, items)| items).sum()
    }

    /// Waits until syncs and rollouts have ended, as far as they will, and pods have written some more.
    pub fn settle(&mut self) {
        let deadline = Instant::now() + if self.hurries { HURRIED } else { SETTLED };
        let moment = Duration::from_millis(50);
        std::thread::sleep(moment);
        let mut before = self.world.ask("secrets")["kubernetes"].clone();
        loop {
            std::thread::sleep(moment);
            let now = self.world.ask("secrets")["kubernetes"].clone();
            if Instant::now() > deadline || (now == before && self.is_rolled_out()) {
                break;
            }
            before = now;
        }
        std::thread::sleep(moment * 2);
    }

    fn is_rolled_out(&self) -> bool {
        let pods = self.world.send("GET", &format!("/api/v1/namespaces/{}/pods", self.name), None).1;
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.name);
        let deployments = self.world.send("GET", &path, None).1;
        let number = |of: &Value, at: &str| of.pointer(at).and_then(Value::as_u64).unwrap_or_default();
        let whole = |deployment: &Value| {
            let wanted = number(deployment, "/spec/replicas");
            number(deployment, "/status/updatedReplicas") == wanted
                && number(deployment, "/status/availableReplicas") == wanted
                && number(deployment, "/status/observedGeneration") == number(deployment, "/metadata/generation")
        };
        let leaving = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
        all(&deployments["items"]).all(whole) && !all(&pods["items"]).any(leaving)
    }
}

fn all(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> Option<Number> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn pair(values: &Value) -> (Option<Number>, Option<Number>) {
    (number(&values["SECRET_KEY"]), number(&values["SECRET_KEY_BACK_COMPAT"]))
}

fn pod(pod: &Value) -> Pod {
    let (primary, back_compat) = pair(&pod["values"]);
    Pod { uid: text(&pod["name"]), owner: text(&pod["owner"]), primary, back_compat }
}

fn version(version: &Value) -> Version {
    Version {
        number: version["version"].as_u64().unwrap_or_default(),
        state: match version["state"].as_str() {
            Some("ENABLED") => State::Enabled,
            Some("DISABLED") => State::Disabled,
            _ => State::Destroyed,
        },
        value: number(&version["value"]),
    }
}

/// One of these, the newest first.
fn pick<'v>(newest_first: &[&'v Version], which: Which) -> Option<&'v Version> {
    let at = match which {
        Which::Newest => 0,
        Which::Previous => 1,
        Which::Down(places) => places.min(newest_first.len().saturating_sub(1)),
    };
    newest_first.get(at).copied()
}
