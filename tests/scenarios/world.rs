//! The world in which the scenarios play: which one, what runs in it, how to reach it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use crate::process::{PROGRAM, Ran};

/// The project of all secrets.
pub const PROJECT: &str = "sandbox-project";

/// The pods of every world do what the annotations of their namespace say; these are the annotations' names.
pub mod kubelet {
    /// How long a pod takes to start, or `crash`.
    pub const START: &str = "control-plane.deepdesk.com/start";
    /// `never`: the pod runs and does not become Ready.
    pub const READY: &str = "control-plane.deepdesk.com/ready";
    /// How long a pod still runs after it was asked to stop.
    pub const TERMINATE: &str = "control-plane.deepdesk.com/terminate";
    /// How long a container of a job runs before it ends well. The sandbox's do not end.
    pub const RUN: &str = "control-plane.deepdesk.com/run";
}

/// Which of the two it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One process: a fake of everything.
    Sandbox,
    /// The real Kubernetes and External Secrets; the Secret Manager is the sandbox's.
    ControlPlane,
}

/// A world that is up. It ends with the process at the latest: what runs in it ends when its standard input does.
pub struct World {
    pub kind: Kind,
    home: tempfile::TempDir,
    /// The variables that lead the program, kubectl and gcloud here.
    environment: BTreeMap<String, String>,
    /// The control endpoint and Secret Manager, without a `/` at its end.
    emulator: String,
    /// The sandbox's own kubeconfig, in both worlds.
    sandbox_kubeconfig: String,
    /// What `tests/control-plane/run up` said of itself.
    pub plane: Value,
    lifelines: Mutex<Vec<ChildStdin>>,
}

/// The sandbox, until the test process has ended, however it did. A world lives as long as the process, so nobody else would take its
/// home away, nor end what a scenario that failed left running there.
const UNTIL_THE_END: &str = r#"
    home=$1; shift
    "$0" sandbox start --sync-delay=20ms --pod-start=60ms "$@" &
    read -r _; kill -TERM $!; wait; cd /
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/cwd")" in "$home"*) kill -9 "${process#/proc/}" ;; esac
    done 2>/dev/null
    rm -rf -- "$home""#;

/// The world of this process.
pub fn world() -> &'static World {
    // One that does not come up is not tried again by each scenario: that would take hours.
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let started = WORLD.get_or_init(|| std::panic::catch_unwind(|| World::start(None)).ok());
    started.as_ref().expect("the world did not start, see above")
}

impl World {
    /// A world of one scenario alone, whose cluster serves the API of External Secrets as `v1beta1`, or with `none` not at all;
    /// in the real one no controller runs then. [`World::end`] ends it.
    pub fn serving(api: &str) -> &'static World {
        Box::leak(Box::new(World::start(Some(api))))
    }

    /// Ends what runs in it: the scenarios after it need the processors.
    pub fn end(&self) {
        self.lifelines.lock().expect("not poisoned").clear();
    }

    fn start(api: Option<&str>) -> World {
        let kind = match std::env::var("DEEPDESK_WORLD").as_deref() {
            Err(_) | Ok("sandbox") => Kind::Sandbox,
            Ok("control-plane") => Kind::ControlPlane,
            Ok(other) => panic!("DEEPDESK_WORLD is sandbox or control-plane, not {other}"),
        };
        let home = tempfile::tempdir().expect("a temporary directory");
        // The templates of all accounts are the sandbox's own three, so they are there in both worlds.
        let mut command = Command::new("sh");
        bare(command.args(["-c", UNTIL_THE_END, PROGRAM]).arg(home.path()), home.path());
        command.args(api.map(|api| format!("--fault=external-secrets-api={api}")));
        let (mut lines, lifeline) = started(&mut command);
        let mut environment = BTreeMap::new();
        while !environment.contains_key("DEEPDESK_SANDBOX_URL") {
            let line = lines.next().expect("the exports end with DEEPDESK_SANDBOX_URL").expect("readable");
            if let Some((name, value)) = line.trim_start_matches("export ").split_once('=') {
                environment.insert(name.to_owned(), value.trim_matches('\'').to_owned());
            }
        }
        let emulator = environment["DEEPDESK_SANDBOX_URL"].trim_end_matches('/').to_owned();
        let sandbox_kubeconfig = environment["KUBECONFIG"].clone();
        let plane = Value::Null;
        let mut world = World {
            kind,
            home,
            environment,
            emulator,
            sandbox_kubeconfig,
            plane,
            lifelines: Mutex::new(vec![lifeline]),
        };
        if kind == Kind::ControlPlane {
            world.bring_up_the_control_plane(api);
        }
        world
    }

    fn bring_up_the_control_plane(&mut self, api: Option<&str>) {
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control-plane/run");
        let mut command = Command::new(run);
        command.args(["up", "--secret-manager", &format!("{}/", self.emulator)]);
        if let Ok(minor) = std::env::var("DEEPDESK_KUBERNETES") {
            command.args(["--kubernetes", &minor]);
        }
        command.args(api.map(|api| format!("--external-secrets-api={api}")));
        let (mut lines, lifeline) = started(&mut command);
        let line = lines.next().expect("the control plane says that it is up").expect("readable");
        self.plane = serde_json::from_str(&line).expect("one line of JSON");
        self.lifelines.get_mut().expect("not poisoned").push(lifeline);
        let templates = self.try_kubectl(&["get", "clustersecretstores", "-o", "json"], None);
        let kubeconfig = self.plane["kubeconfig"].as_str().expect("a path").to_owned();
        self.environment.insert("KUBECONFIG".to_owned(), kubeconfig);
        if api == Some("none") {
            return;
        }
        let mut stores: Value = serde_json::from_str(&templates.expect("the sandbox's")).expect("JSON");
        for store in stores["items"].as_array_mut().expect("a list") {
            self.create(&crate::account::fit(store.take(), "", "", self));
        }
    }

    /// The home directory that the runs see.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs kubectl as the cluster's owner, and returns what it printed.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, None).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    /// The same, for what may fail; with something on its standard input.
    pub fn try_kubectl(&self, args: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut command = Command::new("kubectl");
        bare(&mut command, self.home.path());
        command.envs(&self.environment).args(args);
        let mut child = command
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl is on PATH");
        if let Some(input) = input {
            child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
        }
        let ran = finish(child);
        if ran.code == 0 { Ok(ran.stdout) } else { Err(ran.stderr) }
    }

    /// Starts `kubectl proxy`, which ends with the process, and returns its address.
    pub fn proxy(&self) -> String {
        let script = "kubectl proxy --port=0 & read -r _; kill $!";
        let mut command = Command::new("sh");
        bare(command.args(["-c", script]), self.home.path());
        let (mut lines, lifeline) = started(command.envs(&self.environment));
        std::mem::forget(lifeline);
        let line = lines.next().expect("it says where it serves").expect("readable");
        format!("http://{}", line.rsplit(' ').next().expect("an address"))
    }

    /// An object, or a list of them, as JSON.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[&["get", "-o", "json"], args].concat())).expect("JSON")
    }

    /// Creates an object. kubectl would fetch the server's schema for each to validate it by.
    #[track_caller]
    pub fn create(&self, object: &Value) {
        let made = self.try_kubectl(&["create", "--validate=false", "-f", "-"], Some(&object.to_string()));
        made.unwrap_or_else(|error| panic!("{error}\n{object}"));
    }

    /// Runs the program to its end, as the operator of these variables.
    #[track_caller]
    pub fn run(&'static self, args: &[&str], more: &[(&str, &str)]) -> Ran {
        self.spawn(args, more).end()
    }

    /// Starts the program.
    pub fn spawn(&'static self, args: &[&str], more: &[(&str, &str)]) -> Running {
        let mut command = Command::new(PROGRAM);
        bare(&mut command, self.home.path());
        command.envs(&self.environment).envs(more.iter().copied()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        Running { child, world: self, words: args.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// Sends a request to Secret Manager, as its owner.
    pub fn secret_manager(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.http(method, &format!("{}/v1/projects/{PROJECT}/{path}", self.emulator), body)
    }

    /// Asks the sandbox's control endpoint.
    pub fn sandbox(&self, path: &str) -> Value {
        self.http("GET", &format!("{}/sandbox/v1/{path}", self.emulator), &Value::Null).1
    }

    /// Asks the control endpoint of the real world.
    pub fn control(&self, method: &str, path: &str, body: &[u8]) -> Value {
        let url = format!("{}/{path}", self.plane["control"].as_str().expect("a URL"));
        let request = ureq::http::Request::builder().method(method).uri(url).body(body.to_vec()).expect("a request");
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30))).build().into();
        let text = agent.run(request).expect("an answer").body_mut().read_to_string().expect("text");
        serde_json::from_str(&text).unwrap_or(Value::String(text.trim().to_owned()))
    }

    /// Sends JSON to a server on loopback.
    pub fn http(&self, method: &str, url: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("content-type", if method == "PATCH" { "application/merge-patch+json" } else { "application/json" })
            .body(body)
            .expect("a request");
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut answer = agent.run(request).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// A file in the home directory.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("writable");
        path
    }

    /// The kubeconfig of the sandbox, whose accounts the others are made after.
    pub fn sandbox_kubeconfig(&self) -> String {
        self.sandbox_kubeconfig.clone()
    }

    /// The real world's External Secrets reads Secret Manager as the service account of this key.
    pub fn store_key(&self) -> String {
        let path = self.plane["serviceAccount"].as_str().expect("a path");
        std::fs::read_to_string(path).expect("readable")
    }
}

/// Starts what stays up; its standard output, and the pipe whose end ends it.
fn started(command: &mut Command) -> (std::io::Lines<BufReader<std::process::ChildStdout>>, ChildStdin) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lifeline = child.stdin.take().expect("piped");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // Nobody waits for it: it ends after this process.
    drop(child);
    (lines, lifeline)
}

/// Waits until `holds` does, or fails the test.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    // Each look may be a kubectl, and five scenarios wait at once: those that ask ten times a second leave the real
    // cluster no processor to do with what they wait for.
    let (deadline, mut pause) = (Instant::now() + Duration::from_secs(120), Duration::from_millis(100));
    while !holds() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// Nothing of the developer's own environment but where programs are.
fn bare(command: &mut Command, home: &Path) {
    crate::process::bare(command, &std::env::var_os("PATH").unwrap_or_default(), home);
}

/// A run of the program.
pub struct Running {
    pub child: Child,
    world: &'static World,
    words: Vec<String>,
}

impl Running {
    /// Waits for its end, and holds what it promises against what pods really have.
    #[track_caller]
    pub fn end(self) -> Ran {
        let ran = finish(self.child);
        crate::journal::judge(self.world, &self.words, &ran);
        ran
    }
}

/// Waits for a run's end, three minutes at most.
fn finish(child: Child) -> Ran {
    crate::process::finish(child, Duration::from_secs(180))
}

/// A merge patch of one annotation.
pub fn annotation(name: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}
