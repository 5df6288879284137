//! A stream that can be read back, a terminal that obeys what it is sent, and things to tell.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::known::KnownValues;
use crate::present::{Presenter, Style, Terminal};
use deepdesk_protocol::event::{Event, StepName, StepState, Subject};
use deepdesk_protocol::facts::names::{SecretHome, VersionId};
use deepdesk_protocol::facts::observation::{
    Consumer, Observation, OtherReader, Rollout, SecretView, Source, ValueTag, Version, VersionState,
};
use deepdesk_protocol::result::{
    API_VERSION, AccountResult, BackCompatResult, CheckResult, ConsumerResult, ExternalSecretResult, KeyResult, Kind,
    PrimaryResult, RotationResult, StepResult, Verdict, VersionResult,
};

/// A stream in memory. After `closed` bytes its reader leaves.
#[derive(Clone, Default)]
pub struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: Option<usize>,
}

impl Stream {
    pub fn closed_after(bytes: usize) -> Stream {
        Stream { bytes: Arc::default(), closed: Some(bytes) }
    }

    pub fn len(&self) -> usize {
        self.bytes.lock().expect("no test panics while it writes").len()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().expect("no test panics while it writes").clone()).expect("text")
    }
}

impl Write for Stream {
    fn write(&mut self, given: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().expect("no test panics while it writes");
        let room = self.closed.map_or(given.len(), |closed| closed.saturating_sub(bytes.len()));
        if room == 0 && !given.is_empty() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = room.min(given.len());
        bytes.extend_from_slice(&given[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A presenter and its two streams; no thread draws by itself.
pub struct Seen {
    pub presenter: Presenter<Stream, Stream>,
    pub out: Stream,
    pub err: Stream,
}

pub fn seen(style: Style, terminal: Terminal) -> Seen {
    seen_knowing(style, terminal, KnownValues::default())
}

/// The same, with values that are known.
pub fn seen_knowing(style: Style, terminal: Terminal, known: KnownValues) -> Seen {
    let (out, err) = (Stream::default(), Stream::default());
    Seen { presenter: Presenter::with_spinner(style, terminal, out.clone(), err.clone(), known, false), out, err }
}

pub fn terminal() -> Terminal {
    Terminal { stdout: true, stderr: true, width: 80, no_color: true }
}

/// What a terminal of `width` columns shows after `text`: cursor movements, erasing and wrapping, no more.
pub fn screen(text: &str, width: usize) -> String {
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => column = 0,
            '\n' => (row, column) = (row + 1, 0),
            '\u{1b}' => {
                assert_eq!(chars.next(), Some('['), "only control sequences are sent");
                let mut count = 0;
                let action = loop {
                    match chars.next().expect("a sequence ends") {
                        digit @ '0'..='9' => count = count * 10 + digit as usize - '0' as usize,
                        ';' => count = 0,
                        action => break action,
                    }
                };
                match action {
                    'A' => row = row.checked_sub(count).expect("the cursor never leaves what was drawn"),
                    'B' => row += count,
                    'K' if count == 2 => rows[row].clear(),
                    'K' => rows[row].truncate(column),
                    'm' => {}
                    other => panic!("unknown escape {other:?}"),
                }
            }
            c => {
                if column == width {
                    (row, column) = (row + 1, 0);
                }
                if rows.len() <= row {
                    rows.resize(row + 1, Vec::new());
                }
                let least = rows[row].len().max(column + 1);
                rows[row].resize(least, ' ');
                rows[row][column] = c;
                column += 1;
            }
        }
        if rows.len() <= row {
            rows.resize(row + 1, Vec::new());
        }
    }
    let lines: Vec<String> = rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

/// An event of `acme`, so many seconds after the run began.
pub fn event(seconds: f64, step: StepName, state: StepState, detail: &str) -> Event {
    event_of("acme", seconds, step, state, detail)
}

pub fn event_of(account: &str, seconds: f64, step: StepName, state: StepState, detail: &str) -> Event {
    let time = "2026-11-23T10:00:00Z".parse::<jiff::Timestamp>().expect("a time");
    let time = time + jiff::SignedDuration::from_secs_f64(seconds);
    Event {
        time,
        account: account.parse().expect("an account"),
        step,
        state,
        detail: detail.to_owned(),
        subject: Subject::default(),
    }
}

/// A rotation of `acme`, as it is told.
pub fn rotation() -> Vec<Event> {
    use StepName::{Commit, Introduce, Lock, Preflight, Preserve, Restart, Stage, Sync, Unlock, Verify};
    use StepState::{Done, Skipped, Started, Waiting, Warning};
    vec![
        event(0.0, Preflight, Started, ""),
        event(0.8, Preflight, Warning, "deployment/admin has one replica: it is away while it restarts"),
        event(0.84, Preflight, Done, "2 ExternalSecrets, 3 consumers with 5 pods"),
        event(0.9, Lock, Started, ""),
        event(1.0, Lock, Done, "Lease acme/deepdesk-rotation"),
        event(1.0, Preserve, Skipped, "back-compat v1 already holds primary v7"),
        event(1.0, Stage, Skipped, "every Secret already holds it"),
        event(1.0, Introduce, Started, ""),
        event(1.31, Introduce, Done, "primary v8, read back by number"),
        event(1.4, Sync, Started, "admin-secrets, backend-secrets"),
        event(1.5, Sync, Waiting, "admin-secrets: SECRET_KEY still holds primary v7"),
        event(2.5, Sync, Waiting, "backend-secrets: SECRET_KEY still holds primary v7"),
        event(3.5, Sync, Waiting, "admin-secrets: SECRET_KEY still holds primary v7"),
        event(5.6, Sync, Done, "4 keys compared: all hold what they should"),
        event(5.7, Restart, Started, "deployment/admin, deployment/backend, deployment/worker"),
        event(6.0, Restart, Waiting, "deployment/admin: 1 of 2 new pods available"),
        event(9.0, Restart, Waiting, "deployment/admin: 2 old pods still terminating"),
        event(19.9, Restart, Done, "5 pods on primary v8, no old pod left"),
        event(20.0, Verify, Started, ""),
        event(20.4, Verify, Done, "all on primary v8"),
        event(20.4, Commit, Started, ""),
        event(20.6, Commit, Done, "v7 disabled"),
        event(20.6, Unlock, Started, ""),
        event(20.7, Unlock, Done, ""),
    ]
}

/// The result of that rotation.
pub fn rotated() -> AccountResult {
    let time = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
    let version = |version: &str, state| VersionResult { version: version.to_owned(), state, created: None };
    let key = |key: &str, source, holds: &str| KeyResult {
        same_as: None,
        key: key.to_owned(),
        source,
        holds: holds.to_owned(),
        as_expected: true,
    };
    let keys = || {
        let old = key("SECRET_KEY_BACK_COMPAT", Source::BackCompat, "primary v7");
        vec![key("SECRET_KEY", Source::Primary, "primary v8"), old]
    };
    let external = |name: &str| ExternalSecretResult {
        name: name.to_owned(),
        ready: true,
        refreshed: Some(time("2026-11-23T10:00:03Z")),
        target: name.to_owned(),
        keys: keys(),
    };
    let consumer = |name: &str, pods: u32, reason: &str| ConsumerResult {
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        reasons: vec![reason.to_owned()],
        desired: pods,
        on_latest: pods,
        older: 0,
        unproven: 0,
    };
    AccountResult {
        api_version: API_VERSION,
        kind: Kind::SecretRotation,
        account: "acme".to_owned(),
        namespace: "acme".to_owned(),
        context: "gke_p_l_c".to_owned(),
        project: "p".to_owned(),
        state: "AwaitingReencryption".to_owned(),
        reason: String::new(),
        message: String::new(),
        exit_code: 0,
        problem: None,
        nothing_to_do: false,
        dry_run: false,
        judged_by_server: false,
        at_work: None,
        primary: Some(PrimaryResult {
            secret: "acme_account_secret".to_owned(),
            latest: "8".to_owned(),
            versions: vec![version("8", VersionState::Enabled), version("7", VersionState::Disabled)],
        }),
        back_compat: Some(BackCompatResult {
            secret: "acme_account_secret_back_compat".to_owned(),
            latest: "1".to_owned(),
            holds: "primary v7".to_owned(),
            same_as: None,
            live: true,
        }),
        external_secrets: vec![external("admin-secrets"), external("backend-secrets")],
        consumers: vec![
            consumer("admin", 2, "container admin: envFrom admin-secrets"),
            consumer("backend", 2, "container backend: envFrom backend-secrets"),
            consumer("worker", 1, "container worker: env SECRET_KEY from backend-secrets"),
        ],
        other_readers: vec![OtherReader {
            kind: "CronJob".to_owned(),
            name: "report".to_owned(),
            running: true,
            ends: true,
            ..OtherReader::default()
        }],
        not_looked_at: Vec::new(),
        readers: Vec::new(),
        lost_pods: Vec::new(),
        checks: vec![check("DD-ES-READY", "external-secrets/ready", Verdict::Pass, "", "")],
        rotation: Some(RotationResult {
            went_back: false,
            previous: "7".to_owned(),
            version: "8".to_owned(),
            new_value: None,
        }),
        status: None,
        live: Vec::new(),
        next: Vec::new(),
        without_slot: Vec::new(),
        exposed: Vec::new(),
        evidence: None,
        steps: vec![StepResult {
            name: StepName::Sync,
            state: StepState::Done,
            started: time("2026-11-23T10:00:01.4Z"),
            seconds: 4.2,
            detail: "4 keys compared: all hold what they should".to_owned(),
        }],
        interruption_seconds: Some(14.22),
    }
}

/// The same account under `verify`.
pub fn verified() -> AccountResult {
    AccountResult {
        kind: Kind::SecretVerification,
        rotation: None,
        status: None,
        without_slot: Vec::new(),
        exposed: Vec::new(),
        evidence: None,
        steps: Vec::new(),
        interruption_seconds: None,
        ..rotated()
    }
}

/// The same account, with one Secret and one pod behind.
pub fn drifted() -> AccountResult {
    let mut result = verified();
    result.state = "Drifted".to_owned();
    result.reason = "Drifted".to_owned();
    result.message = "not everything is on primary v8".to_owned();
    result.exit_code = 3;
    result.external_secrets[0].keys[0].holds = "primary v7".to_owned();
    result.external_secrets[0].keys[0].as_expected = false;
    (result.consumers[0].on_latest, result.consumers[0].older) = (1, 1);
    let hint = "kubectl deepdesk secret sync acme";
    result.checks = vec![
        check("DD-ES-READY", "external-secrets/ready", Verdict::Pass, "", ""),
        check(
            "DD-KEYS",
            "secrets/on-latest",
            Verdict::Fail,
            "secret/admin-secrets SECRET_KEY holds primary v7, not primary v8",
            hint,
        ),
        check("DD-REPLICAS", "consumers/replicas", Verdict::Warn, "deployment/worker has one replica", ""),
    ];
    result
}

/// The same rotation, stopped in the middle.
pub fn stopped() -> AccountResult {
    let mut result = rotated();
    result.state = "Rotating".to_owned();
    result.reason = "RolloutStuck".to_owned();
    result.message = "deployment acme/backend stopped progressing: ImagePullBackOff".to_owned();
    result.exit_code = 5;
    result.interruption_seconds = None;
    if let Some(primary) = &mut result.primary {
        primary.versions[1].state = VersionState::Enabled;
    }
    (result.consumers[1].on_latest, result.consumers[1].older) = (1, 1);
    result
}

pub fn check(id: &'static str, name: &'static str, result: Verdict, message: &str, hint: &str) -> CheckResult {
    let hints = Some(hint).filter(|hint| !hint.is_empty()).map(Into::into).into_iter().collect();
    CheckResult { id, name, result, message: message.to_owned(), hints }
}

/// What is seen of `acme` before its first rotation.
pub fn observation() -> Observation {
    let version = |id, tag| Version {
        id: VersionId::new(id).expect("not 0"),
        state: VersionState::Enabled,
        value: Some(ValueTag(tag)),
        created: None,
    };
    let secret = |id: &str, versions: Vec<Version>| SecretView {
        secret: id.parse().expect("an id"),
        exists: !versions.is_empty(),
        versions,
        labels: Vec::new(),
        conditions: Default::default(),
    };
    let consumer = |workload: &str, desired, reasons: &[&str]| Consumer {
        workload: workload.parse().expect("a workload"),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        secrets: Vec::new(),
        reads_back_compat: true,
        desired,
        paused: false,
        holds_back: None,
        rollout: Rollout::Complete,
        version: None,
        restart: None,
        pods: Vec::new(),
        reloader: None,
        gitops: None,
        moving: Default::default(),
    };
    Observation {
        account: "acme".parse().expect("an account"),
        home: SecretHome { project: "p".parse().expect("a project"), location: None },
        asked_project: None,
        primary: secret("acme_account_secret", vec![version(7, 7)]),
        back_compat: secret("acme_account_secret_back_compat", Vec::new()),
        external_secrets: Vec::new(),
        missing_external_secrets: Vec::new(),
        consumers: vec![
            consumer("deployment/admin", 2, &["container admin: envFrom admin-secrets"]),
            consumer(
                "deployment/backend",
                2,
                &["container backend: envFrom backend-secrets", "init container migrate: env SECRET_KEY"],
            ),
        ],
        missing_workloads: Vec::new(),
        other_readers: vec![OtherReader {
            kind: "CronJob".to_owned(),
            name: "report".to_owned(),
            running: false,
            ends: true,
            ..OtherReader::default()
        }],
        copies: Vec::new(),
        doors: Vec::new(),
        mounting: Vec::new(),
        not_looked_at: Vec::new(),
        lost_pods: Vec::new(),
        left: Vec::new(),
        last_rotation: None,
        begun: None,
        finalizing: None,
        announced: None,
        older: Default::default(),
        run_ended: None,
        unread: Vec::new(),
    }
}

/// Results as a whole: several are a list.
pub fn whole(results: &[AccountResult]) -> crate::present::Whole<'static> {
    let exit_code = results.iter().map(|result| result.exit_code).max().unwrap_or(0);
    crate::present::Whole { as_list: results.len() != 1, exit_code, problem: None }
}
