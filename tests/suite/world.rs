//! A sandbox for one test, and the binary run against it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::exports::exports;
pub use crate::process::{PROGRAM, Ran};

/// The workloads of every account that read the secret.
pub const CONSUMERS: [&str; 3] = ["admin", "backend", "worker"];

/// The account's primary.
pub fn primary(account: &str) -> String {
    format!("{account}_account_secret")
}

/// The account's back-compat.
pub fn back_compat(account: &str) -> String {
    format!("{account}_account_secret_back_compat")
}

/// The path of the account's lock.
pub fn lease(account: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{account}/leases/deepdesk-rotation")
}

/// The path of an ExternalSecret.
pub fn external_secret(account: &str, name: &str) -> String {
    format!("/apis/external-secrets.io/v1/namespaces/{account}/externalsecrets/{name}")
}

/// The path of a workload: `deployments/admin`.
pub fn workload(account: &str, workload: &str) -> String {
    format!("/apis/apps/v1/namespaces/{account}/{workload}")
}

/// Whether the program under test sent the request, and not the test.
pub fn by_the_program(entry: &Value) -> bool {
    entry["client"].as_str().is_some_and(|client| client.starts_with("kubectl-deepdesk"))
}

/// A sandbox that is up, with short delays. It ends with the test.
pub struct World {
    sandbox: Child,
    environment: BTreeMap<String, String>,
    home: tempfile::TempDir,
}

impl World {
    /// A world with short delays and these faults.
    pub fn with_faults(faults: &[&str]) -> World {
        let faults: Vec<String> = faults.iter().map(|fault| format!("--fault={fault}")).collect();
        World::start(&faults.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A world with short delays and these flags of `sandbox start`.
    pub fn start(flags: &[&str]) -> World {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(PROGRAM);
        command.args(["sandbox", "start", "--sync-delay=20ms"]);
        if !flags.iter().any(|flag| flag.starts_with("--pod-start=")) {
            command.arg("--pod-start=60ms");
        }
        command.args(flags);
        bare(&mut command, home.path());
        let mut sandbox = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let mut errors = BufReader::new(sandbox.stderr.take().expect("piped"));
        let mut said = String::new();
        while !said.contains("the sandbox is up") {
            let read = errors.read_line(&mut said).expect("readable");
            assert!(read > 0, "the sandbox did not start: {said}");
        }
        // Whatever it still says must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        // The exports were printed before it said that it is up; a last line ends them.
        let environment = exports(sandbox.stdout.take().expect("piped"));
        World { sandbox, environment, home }
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args).stdin(Stdio::null()).spawn().expect("the program starts"))
    }

    /// Runs the binary with this on its standard input.
    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("the program starts");
        child.stdin.take().expect("piped").write_all(input).expect("it reads its input");
        finish(child)
    }

    /// Starts the binary and leaves it running.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdin(Stdio::null()).spawn().expect("the program starts")
    }

    /// Runs another program in the sandbox's environment.
    pub fn tool(&self, program: &str, args: &[&str]) -> Ran {
        let mut command = Command::new(program);
        command.args(args);
        self.surround(&mut command);
        finish(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args);
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        bare(command, self.home.path());
        command.envs(&self.environment).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// The home directory that the runs see.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The variables that lead to the sandbox.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    fn url(&self, path: &str) -> String {
        format!("{}/sandbox/v1/{path}", self.environment["DEEPDESK_SANDBOX_URL"].trim_end_matches('/'))
    }

    /// Asks the sandbox's control endpoint.
    pub fn ask(&self, path: &str) -> Value {
        let text =
            ureq::get(self.url(path)).call().expect("the sandbox answers").body_mut().read_to_string().expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Adds a fault from now on.
    pub fn fault(&self, name: &str, value: Option<&str>) {
        let body = json!({"name": name, "value": value}).to_string();
        ureq::post(self.url("faults"))
            .header("content-type", "application/json")
            .send(body)
            .expect("the sandbox takes the fault");
    }

    /// Takes a fault away, if it is still there: many end by themselves.
    pub fn heal(&self, name: &str) {
        match ureq::delete(self.url(&format!("faults/{name}"))).call() {
            Ok(_) | Err(ureq::Error::StatusCode(404)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a scheduled sync of an ExternalSecret.
    pub fn sync(&self, account: &str, name: &str) {
        ureq::post(self.url(&format!("sync/{account}/{name}"))).send_empty().expect("it is there");
    }

    /// Sends JSON to the Kubernetes API or to Secret Manager, and returns status and answer.
    pub fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let url = format!("{}{path}", self.environment["DEEPDESK_SANDBOX_URL"].trim_end_matches('/'));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("content-type", kind)
            .body(body)
            .expect("a request");
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.run(request).expect("the sandbox answers");
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// The same, for what must succeed.
    #[track_caller]
    pub fn sent(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.send(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Changes an object by a merge patch.
    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> Value {
        self.sent("PATCH", path, Some(body))
    }

    /// The value of a version, as an operator reads it; none unless it is enabled.
    pub fn value(&self, secret: &str, version: &str) -> Option<String> {
        let path = format!("/v1/projects/sandbox-project/secrets/{secret}/versions/{version}:access");
        let (status, answer) = self.send("GET", &path, None);
        (status == 200).then(|| answer["payload"]["data"].as_str().expect("base64").to_owned())
    }

    /// Adds a version, as an operator does by hand; the value is base64.
    #[track_caller]
    pub fn add(&self, secret: &str, value: &str) {
        let path = format!("/v1/projects/sandbox-project/secrets/{secret}:addVersion");
        self.sent("POST", &path, Some(json!({"payload": {"data": value}})));
    }

    /// Has External Secrets copy, and restarts the three deployments, as the runbook does by hand.
    #[track_caller]
    pub fn copied_by_hand(&self, account: &str) {
        for name in ["admin-secrets", "backend-secrets"] {
            self.sync(account, name);
        }
        // A pod of the very second of a write is proven by nothing, and a changed ExternalSecret syncs when it likes.
        let names = ["admin-secrets", "backend-secrets"];
        self.until("the ExternalSecrets are synced as they are now", |world| {
            names.iter().all(|name| {
                let external = world.sent("GET", &external_secret(account, name), None);
                let synced = external["status"]["syncedResourceVersion"].as_str().unwrap_or_default();
                synced.split('-').next() == Some(external["metadata"]["generation"].to_string().as_str())
            })
        });
        let versions = || {
            names.map(|name| {
                let path = format!("/api/v1/namespaces/{account}/secrets/{name}");
                self.sent("GET", &path, None)["metadata"]["resourceVersion"].clone()
            })
        };
        let (mut last, mut since) = (versions(), Instant::now());
        while since.elapsed() < Duration::from_millis(2100) {
            std::thread::sleep(Duration::from_millis(50));
            let now = versions();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let path = format!("/api/v1/namespaces/{account}/pods");
        let running = |world: &World| -> Vec<Value> {
            let pods = world.sent("GET", &path, None)["items"].as_array().expect("a list").clone();
            pods.into_iter()
                .filter(|pod| {
                    CONSUMERS.iter().any(|name| pod["metadata"]["name"].as_str().expect("a name").starts_with(name))
                })
                .collect()
        };
        let before = running(self);
        for name in CONSUMERS {
            let annotations = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-29T10:00:00Z"});
            let template = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
            self.patch(&workload(account, &format!("deployments/{name}")), template);
        }
        self.until("the pods are new", |world| {
            let now = running(world);
            let new = |pod: &Value| {
                let ready = pod["status"]["containerStatuses"][0]["ready"] == true;
                ready && !before.iter().any(|old| old["metadata"]["uid"] == pod["metadata"]["uid"])
            };
            now.len() == before.len() && now.iter().all(new)
        });
        self.until("the rollouts are complete", |world| {
            CONSUMERS.iter().all(|name| {
                let now = world.sent("GET", &workload(account, &format!("deployments/{name}")), None);
                let (status, replicas) = (&now["status"], &now["spec"]["replicas"]);
                let all = ["updatedReplicas", "availableReplicas", "replicas"];
                status["observedGeneration"] == now["metadata"]["generation"]
                    && all.iter().all(|field| status[field] == *replicas)
            })
        });
    }

    /// Enables or disables a version, as an operator does by hand.
    #[track_caller]
    pub fn set(&self, secret: &str, version: u64, what: &str) {
        let path = format!("/v1/projects/sandbox-project/secrets/{secret}/versions/{version}:{what}");
        self.sent("POST", &path, Some(json!({})));
    }

    /// The lives of an account's pods, those that have ended too. An end is what the API server says: the kubelet notes it
    /// a little later.
    pub fn pods(&self, account: &str) -> Vec<Value> {
        let there = self.sent("GET", &format!("/api/v1/namespaces/{account}/pods"), None);
        let there: Vec<&Value> =
            there["items"].as_array().expect("a list").iter().map(|pod| &pod["metadata"]["name"]).collect();
        let all = self.ask("pods");
        let own = all.as_array().expect("a list").iter().filter(|pod| pod["namespace"] == account).cloned();
        own.map(|mut pod| {
            if pod["ended"].is_null() && !there.contains(&&pod["name"]) {
                pod["ended"] = "gone".into();
            }
            pod
        })
        .collect()
    }

    /// What the account's Kubernetes Secrets hold, by name: `admin-secrets/SECRET_KEY` to `primary v8`.
    pub fn holdings(&self, account: &str) -> BTreeMap<String, String> {
        let all = self.ask("secrets");
        let own = all["kubernetes"].as_array().expect("a list").iter().filter(|one| one["namespace"] == account);
        own.flat_map(|one| {
            let name = one["name"].as_str().expect("a name").to_owned();
            let keys = one["keys"].as_object().expect("keys").clone();
            keys.into_iter().map(move |(key, held)| (format!("{name}/{key}"), held.as_str().expect("text").to_owned()))
        })
        .collect()
    }

    /// Who holds the account's lock; none when nobody does.
    pub fn lock_holder(&self, account: &str) -> Option<String> {
        let (status, lease) = self.send("GET", &lease(account), None);
        (status == 200)
            .then(|| lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
            .filter(|holder| !holder.is_empty())
    }

    /// The writes so far: Secret Manager's methods, and Kubernetes' as `VERB/RESOURCE`.
    pub fn writes(&self) -> Vec<String> {
        let log = self.log();
        let writes = log.iter().filter(|entry| entry["class"] == "write" && by_the_program(entry));
        writes.map(|entry| entry["operation"].as_str().expect("text").to_owned()).collect()
    }

    /// What of the account could have been changed: its versions, what the cluster holds, its running pods.
    pub fn state(&self, account: &str) -> String {
        let (primary, back_compat) = (primary(account), back_compat(account));
        let running: Vec<Value> = self
            .pods(account)
            .into_iter()
            .filter(|pod| pod["ended"].is_null())
            .map(|pod| pod["name"].clone())
            .collect();
        format!(
            "{} | {} | {:?} | {running:?} | {:?}",
            self.versions(&primary),
            self.versions(&back_compat),
            self.holdings(account),
            self.lock_holder(account)
        )
    }

    /// Fails the test unless the account is where a rotation between these versions leaves it: in Secret Manager, in the
    /// Kubernetes Secrets, in every pod that runs, and in every pod that ever ran.
    #[track_caller]
    pub fn rotated(&self, account: &str, from: u64, to: u64) {
        self.every_pod_could_read(account, to);
        self.settled(account, from, to);
    }

    /// The same, but for pods of before: somebody else may have given them the new value alone.
    #[track_caller]
    pub fn settled(&self, account: &str, from: u64, to: u64) {
        let (current, previous) = (format!("primary v{to}"), format!("primary v{from}"));
        let versions = self.versions(&primary(account));
        assert!(versions.ends_with(&format!("{from}:DISABLED {to}:ENABLED")), "{account}: {versions}");
        let kept = self.versions(&back_compat(account));
        assert!(kept.ends_with(":ENABLED"), "{account}: {kept}");
        let holdings = self.holdings(account);
        for target in ["admin-secrets", "backend-secrets"] {
            assert_eq!(holdings[&format!("{target}/SECRET_KEY")], current, "{account}: {holdings:?}");
            assert_eq!(holdings[&format!("{target}/SECRET_KEY_BACK_COMPAT")], previous, "{account}: {holdings:?}");
        }
        let pods = self.pods(account);
        for consumer in CONSUMERS {
            let running: Vec<&Value> =
                pods.iter().filter(|pod| pod["owner"] == consumer && pod["ended"].is_null()).collect();
            assert!(!running.is_empty(), "{account}: no pod of {consumer}");
            for pod in running {
                assert_eq!(pod["holds"]["SECRET_KEY"], *current, "{account}: {pod}");
            }
        }
        assert_eq!(self.lock_holder(account), None, "{account}");
    }

    /// I2, seen from outside: no pod ever started with version `to` or a newer one without the version before it.
    #[track_caller]
    pub fn every_pod_could_read(&self, account: &str, to: u64) {
        for pod in self.pods(account).iter().filter(|pod| CONSUMERS.iter().any(|consumer| pod["owner"] == *consumer)) {
            let held = pod["holds"]["SECRET_KEY"].as_str().and_then(|held| held.strip_prefix("primary v"));
            let Some(held) = held.and_then(|held| held.parse::<u64>().ok()).filter(|held| *held >= to) else {
                continue;
            };
            assert_eq!(pod["holds"]["SECRET_KEY_BACK_COMPAT"], format!("primary v{}", held - 1), "{account}: {pod}");
        }
    }

    /// I1, seen from outside: every value that a place of the cluster holds, and every one given, can still be read.
    #[track_caller]
    pub fn nothing_is_lost(&self, account: &str, values: &[String]) {
        let mut readable = Vec::new();
        for secret in [primary(account), back_compat(account)] {
            let versions = self.versions(&secret);
            let numbers = versions.split(' ').filter_map(|version| version.strip_suffix(":ENABLED"));
            readable.extend(numbers.map(|number| self.value(&secret, number).expect("it is enabled")));
        }
        let held = self.sent("GET", &format!("/api/v1/namespaces/{account}/secrets"), None);
        let secrets = held["items"].as_array().expect("a list").iter();
        let keys = ["SECRET_KEY", "SECRET_KEY_BACK_COMPAT"];
        let held = secrets.flat_map(|secret| keys.iter().filter_map(|key| secret["data"][*key].as_str()));
        for value in held.chain(values.iter().map(String::as_str)) {
            assert!(readable.iter().any(|one| one == value), "{account}: a value in use cannot be read any more");
        }
    }

    /// The requests of clients so far, as the sandbox logged them.
    pub fn log(&self) -> Vec<Value> {
        self.ask("log").as_array().expect("a list").clone()
    }

    /// The requests of clients with a number above `after`.
    pub fn log_after(&self, after: usize) -> Vec<Value> {
        self.ask(&format!("log?after={after}")).as_array().expect("a list").clone()
    }

    /// Waits until a request is there that `is` it, and returns it; none when the run has ended before.
    pub fn request_or_end(&self, child: &mut Child, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + Duration::from_secs(60);
        // The last answer may still be on its way when a request is first seen, so pending ones are looked at again.
        let mut done = 0;
        loop {
            let ended = child.try_wait().expect("a child").is_some();
            let new = self.log_after(done);
            if let Some(found) = new.iter().find(|entry| is(entry)) {
                return Some(found.clone());
            }
            if ended {
                return None;
            }
            done += new.iter().take_while(|entry| entry["outcome"] != "pending").count();
            assert!(Instant::now() < deadline, "neither came: the request, the end of the run");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The versions of a secret, oldest first: `7:ENABLED 8:DISABLED`.
    pub fn versions(&self, secret: &str) -> String {
        let all = self.ask("secrets");
        let found =
            all["secretManager"].as_array().expect("a list").iter().find(|one| one["secret"] == secret).cloned();
        let Some(found) = found else { return String::new() };
        let mut versions: Vec<(u64, String)> = found["versions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|version| {
                (version["version"].as_u64().expect("a number"), version["state"].as_str().expect("a state").to_owned())
            })
            .collect();
        versions.sort();
        versions.iter().map(|(number, state)| format!("{number}:{state}")).collect::<Vec<_>>().join(" ")
    }

    /// Has every ExternalSecret of globex take the property `key` of its value, which is this JSON (in base64) from now on. Nothing is
    /// encrypted under what was there before.
    pub fn takes_a_property(&self, value: &str) {
        self.set(&primary("globex"), 3, "disable");
        self.add(&primary("globex"), value);
        self.add(&back_compat("globex"), value);
        self.set(&back_compat("globex"), 1, "disable");
        for name in ["admin-secrets", "backend-secrets"] {
            let data = json!([
                {"secretKey": "SECRET_KEY", "remoteRef": {"key": primary("globex"), "property": "key"}},
                {"secretKey": "SECRET_KEY_BACK_COMPAT", "remoteRef": {"key": back_compat("globex"), "property": "key"}},
                {"secretKey": "DATABASE_URL", "remoteRef": {"key": "globex_database_url"}},
            ]);
            self.patch(&external_secret("globex", name), json!({"spec": {"data": data}}));
        }
        self.copied_by_hand("globex");
    }

    /// Waits until `holds` does, or fails the test.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut(&World) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(self) {
            assert!(Instant::now() < deadline, "never came: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Asked to end, it takes its directory away; killed, it cannot.
        let _ = Command::new("kill").args(["-INT", &self.sandbox.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.sandbox.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
        end_what_runs_in(self.home.path());
    }
}

/// Kills what still runs in a test's home: each program is started there, and a test that fails in the middle waits for none. Linux says
/// where a process runs; elsewhere a failed test may leave one.
fn end_what_runs_in(home: &Path) {
    let Ok(home) = home.canonicalize() else { return };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let in_it = processes.filter(|process| {
        let is_process = process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        is_process && std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&home))
    });
    let ids: Vec<_> = in_it.map(|process| process.file_name()).collect();
    if !ids.is_empty() {
        let _ = Command::new("kill").arg("-9").args(ids).status();
    }
}

/// A test that fails waits for nothing that it started.
#[cfg(target_os = "linux")]
#[test]
fn what_a_failed_test_started_ends_with_its_world() {
    let mut started = Vec::new();
    let mut home = std::path::PathBuf::new();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let world = World::start(&["--accounts=1"]);
        home = world.home().to_owned();
        started.push(world.spawn(&["secret", "status", "acme", "--watch"]));
        let mut sleep = Command::new("sleep");
        started.push(sleep.arg("600").current_dir(world.home()).spawn().expect("it starts"));
        std::panic::resume_unwind(Box::new("in the middle"));
    }));
    assert!(failed.is_err());
    assert!(!home.exists(), "its home is left");
    for mut child in started {
        let deadline = Instant::now() + Duration::from_secs(10);
        while child.try_wait().expect("a child of ours").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("killed");
                panic!("{} still runs", child.id());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The PATH of the tests with the program's own directory before it: it is called as kubectl calls a plugin.
pub fn path() -> std::ffi::OsString {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(PROGRAM).parent().expect("a directory").to_owned();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&others))).expect("no colon in a name")
}

/// Nothing of the developer's own environment but where programs are.
fn bare(command: &mut Command, home: &Path) {
    crate::process::bare(command, &path(), home);
}

/// Waits for a run's end, three minutes at most.
pub fn finish(child: Child) -> Ran {
    let ran = crate::process::finish(child, Duration::from_secs(180));
    if let Some(folder) = std::env::var_os("DEEPDESK_SAID") {
        keep(&ran, Path::new(&folder));
    }
    ran
}

/// What was said in which test: `cargo xtask messages` makes docs/messages.md of it.
fn keep(ran: &Ran, folder: &Path) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let test = std::thread::current().name().unwrap_or("unnamed").replace("::", ".");
    let file = folder.join(format!("{test}-{}", RUNS.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(file, format!("{}\n{}", ran.stderr, ran.stdout)).expect("DEEPDESK_SAID names a folder");
}
