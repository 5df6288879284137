//! A sandbox of one seed's own, and what its control endpoint is asked.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::exports::exports;
use crate::process;

/// The binary under test: the one that cargo built, or the one that DEEPDESK_BINARY names.
pub fn program() -> OsString {
    std::env::var_os("DEEPDESK_BINARY").unwrap_or_else(|| process::PROGRAM.into())
}

/// Sends a signal to a child that was not waited for yet.
pub fn signal(child: &Child, signal: Signal) {
    // It may have ended meanwhile; then there is nothing to signal.
    let _ = kill_process(Pid::from_child(child), signal);
}

/// A sandbox that is up. It ends with its seed.
pub struct World {
    sandbox: Child,
    environment: BTreeMap<String, String>,
    url: String,
    agent: ureq::Agent,
    home: tempfile::TempDir,
}

impl World {
    /// A world with this many accounts and these faults, served by this binary.
    pub fn start(served_by: &OsStr, accounts: usize, seed: u64, faults: &[String]) -> World {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(served_by);
        command.args(["sandbox", "start", "--sync-delay=4ms", "--pod-start=16ms"]);
        command.args([format!("--accounts={accounts}"), format!("--seed={seed}")]);
        command.args(faults.iter().map(|fault| format!("--fault={fault}")));
        process::bare(&mut command, "/usr/bin:/bin".as_ref(), home.path());
        // Its files are looked through for values, too.
        command.env("TMPDIR", home.path());
        let mut sandbox = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let environment = exports(sandbox.stdout.take().expect("piped"));
        let url = environment["DEEPDESK_SANDBOX_URL"].trim_end_matches('/').to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(8)))
            .build();
        World { sandbox, environment, url, agent: agent.into(), home }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The binary, set up to come through this door, its streams in files of this name.
    pub fn command(&self, door: &str, args: &[String], streams: &str) -> (Command, [PathBuf; 2]) {
        let mut command = Command::new(program());
        process::bare(&mut command, "/usr/bin:/bin".as_ref(), self.home.path());
        // What was recommended names the door that it was recommended through.
        let args = args.iter().filter(|arg| !arg.starts_with("--server="));
        command.args(args).args(["--server", door]).envs(&self.environment);
        command.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", format!("{door}/"));
        let files = ["out", "err"].map(|end| self.home.path().join(format!("{streams}.{end}")));
        let [out, err] = [&files[0], &files[1]].map(|file| File::create(file).expect("a file in our own directory"));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        (command, files)
    }

    /// Asks for anything, and returns status and answer.
    pub fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", kind)
            .body(body.map(|body| body.to_string()).unwrap_or_default())
            .expect("a request");
        // A fault may meet us as well, where it is not the control endpoint that is asked: 0 for no answer.
        let Ok(mut answer) = self.agent.run(request) else { return (0, Value::Null) };
        let text = answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string().unwrap_or_default();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// Asks the control endpoint.
    pub fn ask(&self, path: &str) -> Value {
        let (status, answer) = self.send("GET", &format!("/sandbox/v1/{path}"), None);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The names of the account's pods, as the API server has them: the kubelet notes their end a little later. None where
    /// a fault forbids to list them.
    pub fn pods(&self, account: &str) -> Option<Vec<String>> {
        let (status, answer) = self.send("GET", &format!("/api/v1/namespaces/{account}/pods"), None);
        let all = (status == 200).then(|| answer["items"].as_array().cloned())??;
        Some(all.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Deletes the pods whose containers wait after a crash, for new ones to take their place.
    pub fn replace_crashed(&self, account: &str) {
        let pods = format!("/api/v1/namespaces/{account}/pods");
        for pod in self.send("GET", &pods, None).1["items"].as_array().into_iter().flatten() {
            let states = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            if states.into_iter().any(|status| status["state"]["waiting"]["reason"] == "CrashLoopBackOff") {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                self.send("DELETE", &format!("{pods}/{name}"), None);
            }
        }
    }

    /// Opens a door; returns its number and its URL.
    pub fn open(&self, strikes: &Value) -> (usize, String) {
        let (status, answer) = self.send("POST", "/sandbox/v1/doors", Some(strikes.clone()));
        assert_eq!(status, 201, "{strikes}: {answer}");
        let door = answer["door"].as_u64().and_then(|door| usize::try_from(door).ok()).expect("a number");
        (door, answer["url"].as_str().expect("text").to_owned())
    }

    /// Ends the faults that are not to stay.
    pub fn heal(&self, stays: impl Fn(&str) -> bool) {
        let faults = self.ask("faults");
        for fault in faults["active"].as_array().expect("a list") {
            let name = fault["name"].as_str().expect("text");
            if !stays(name) {
                self.send("DELETE", &format!("/sandbox/v1/faults/{name}"), None);
            }
        }
    }

    /// Every value that can be read now, in base64: of the account's two secrets.
    pub fn values(&self, account: &str) -> Vec<String> {
        let secrets = self.ask("secrets");
        let mut all = Vec::new();
        for secret in secrets["secretManager"].as_array().expect("a list") {
            let name = secret["secret"].as_str().expect("text");
            let versions = secret["versions"].as_array().expect("a list");
            for version in versions.iter().filter(|version| name.starts_with(account) && version["state"] == "ENABLED")
            {
                let path =
                    format!("/v1/projects/sandbox-project/secrets/{name}/versions/{}:access", version["version"]);
                let (status, answer) = self.send("GET", &path, None);
                // A fault may refuse it; the next look finds it.
                all.extend((status == 200).then(|| answer["payload"]["data"].as_str().map(str::to_owned)).flatten());
            }
        }
        all
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Its directory is in ours, and goes with it: no need to ask it to clean up.
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
    }
}

/// A plain body for a request that needs one.
pub fn nothing() -> Option<Value> {
    Some(json!({}))
}
