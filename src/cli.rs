//! The command line: clap types only. Flags, help, examples. What they mean together is `request`'s business.

mod check;
mod completion;
mod config;
mod places;
mod status;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::names::WorkloadRef;
use crate::domain::reencryption::Command as Words;

pub use self::check::{Check, Purpose};
pub use self::completion::{Completion, Install, Man, Shell};
pub use self::config::{Config, List};
pub use self::places::{
    Accounts, Clusters, GetCredentials, ListAccounts, ListClusters, ShowList, ShowUse, UseAccount, UseCluster,
};
pub use status::Status;

/// Change a live application key, and prove that every running pod has it.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-deepdesk",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Rehearse first, without a cluster and without Google:\n  kubectl deepdesk sandbox run -- secret rotate acme --yes"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The groups of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rotate, sync, verify and restart an account's secret
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk secret verify acme")]
    Secret(Box<Secret>),
    /// List the accounts of the cluster, or make one the current namespace
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk account list")]
    Account(Accounts),
    /// List the contexts, make one the current one, or write a GKE cluster's entry
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk cluster list")]
    Cluster(Clusters),
    /// Can I do this here? Access, APIs and set-up, with what to do about each failure; changes nothing
    ///
    /// Asks what a command asks before its first write, and goes on after a failure: a line for each check, by group.
    /// What cannot be asked is shown as skipped, with the reason. Exit 3 if something fails, 1 if the cluster cannot be
    /// asked at all.
    #[command(
        after_help = "Example:\n  kubectl deepdesk check acme\n  kubectl deepdesk check acme --for verify --only access,secret-manager -o short"
    )]
    Check(Box<Check>),
    /// Print what is set, and where it came from
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk config list acme")]
    Config(Config),
    /// Rehearse against a small world in this process: a cluster, External Secrets and Secret Manager
    #[command(subcommand, after_help = "Example:\n  kubectl deepdesk sandbox run -- secret rotate acme --yes")]
    Sandbox(Sandbox),
    /// Complete words in bash, zsh, fish and PowerShell, also after `kubectl deepdesk`
    #[command(subcommand, after_help = "Example:\n  kubectl deepdesk completion install")]
    Completion(Completion),
    /// Write the manual pages, for packagers
    #[command(hide = true, after_help = "Example:\n  kubectl-deepdesk man --out share/man/man1")]
    Man(Man),
    /// Print the version
    #[command(after_help = "Example:\n  kubectl deepdesk version")]
    Version,
}

/// The commands on an account's secret.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Replace the secret's value by a new one, everywhere, without losing the old one
    ///
    /// Stores the value in use as back-compat and sees it arrive in the cluster; adds the new value and sees it arrive;
    /// restarts every consumer and waits until their old pods are gone; looks at all of it once more; only then
    /// disables the previous version. Every step first looks whether its result is there already, so the same
    /// command goes on after any interruption, on any machine.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret rotate acme\n  pass show acme/key | tr -d '\\n' | kubectl deepdesk secret rotate acme --yes --value-from -"
    )]
    Rotate(Rotate),
    /// Make External Secrets copy now, and see that it arrived
    #[command(after_help = "Example:\n  kubectl deepdesk secret sync acme")]
    Sync(Sync),
    /// Show what Secret Manager, the cluster and the running pods hold; exit 3 if they differ
    #[command(after_help = "Example:\n  kubectl deepdesk secret verify acme -o json")]
    Verify(Verify),
    /// Restart every consumer at the same moment, and wait until the old pods are gone
    #[command(after_help = "Example:\n  kubectl deepdesk secret restart acme")]
    Restart(Restart),
    /// Go back to the value that the back-compat holds, and keep the abandoned one readable
    ///
    /// Exchanges the two values: the one of before becomes the newest version of the primary, the abandoned one becomes
    /// the back-compat, so that what was written under it stays readable. From a complete rotation and from the middle of
    /// one: consumers that are not healthy do not stop it. Safe to repeat; goes on where an earlier run stopped.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret rollback acme\n\nExample, which changes nothing:\n  kubectl deepdesk secret rollback acme --dry-run"
    )]
    Rollback(Rollback),
    /// Retire the back-compat value, once every encrypted field was saved again under the new one
    ///
    /// Sets the back-compat to the value in use, sees that arrive in every pod, so that whatever was forgotten shows now
    /// and not at a later restart, and disables its older versions. Refuses while anything may still write under an older
    /// value. Nothing is destroyed unless --destroy says so.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret finalize acme\n  kubectl deepdesk secret finalize acme --yes --reencrypted-by './manage.py rows_left'\n\nExample, which changes nothing:\n  kubectl deepdesk secret finalize acme --dry-run"
    )]
    Finalize(Finalize),
    /// Show a row an account: state, versions, age, the last rotation, and what is due with the command for it
    ///
    /// Reads and changes nothing. What the newest versions hold is read by access, which Secret Manager allows 90,000
    /// times a minute; when they were created is metadata, 600 a minute. So an age comes from the record of the last
    /// rotation, and else is asked for up to 60 accounts; beyond that it is unknown, unless --older-than needs it.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret status -A\n  kubectl deepdesk secret status -A --older-than 90d -o name | xargs -n 1 kubectl deepdesk secret rotate --yes"
    )]
    Status(Status),
}

/// `secret rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// Do not ask: the answer to the question is yes
    #[arg(short, long)]
    pub yes: bool,
    /// Read the new value from FILE, or from standard input (-); default: made here, from the system's random source
    ///
    /// A file descriptor is /dev/fd/N. The value is text of at least 32 characters on one line, without white space at
    /// an end. It is never taken as an argument: arguments are seen by every user of the machine.
    #[arg(long, value_name = "FILE", conflicts_with = "length", help_heading = "Rotation")]
    pub value_from: Option<PathBuf>,
    /// Characters of the value that is made, letters and digits; at least 32
    #[arg(long, value_name = "N", default_value_t = crate::domain::payload::DEFAULT_LENGTH, value_parser = length, help_heading = "Rotation")]
    pub length: usize,
    /// In which order values and pods change
    #[arg(long, value_enum, default_value_t = Strategy::Rolling, help_heading = "Rotation")]
    pub strategy: Strategy,
    /// The value in use has leaked: no pause before it is disabled, and a list of where it can still be read
    #[arg(long, conflicts_with_all = ["soak", "strategy"], help_heading = "Rotation")]
    pub compromised: bool,
    /// Rotate although no ExternalSecret maps the back-compat: the application reads Secret Manager itself
    #[arg(long, help_heading = "Rotation")]
    pub back_compat_unmapped: bool,
    /// Finish what is found as a rotation: the previous version is enabled and nothing explains it
    #[arg(long, conflicts_with = "abandon_older", help_heading = "Rotation")]
    pub adopt: bool,
    /// First disable every version older than the one in use, which nothing needs any more
    #[arg(long, help_heading = "Rotation")]
    pub abandon_older: bool,
    /// Wait this long between the proof that the Secrets have arrived and the restart
    ///
    /// For nodes whose kubelet reads Secrets from a cache with a time to live: a pod that starts within it would get
    /// the old value, and nothing in Kubernetes would show it.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, help_heading = "Rotation")]
    pub settle: Duration,
    /// Wait this long after the verification before the previous version is disabled
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, help_heading = "Rotation")]
    pub soak: Duration,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret sync`.
#[derive(Debug, Args)]
pub struct Sync {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret rollback`.
#[derive(Debug, Args)]
#[command(mut_arg("accounts", |accounts| accounts.num_args(0..=1).help("The account; default: the current context's namespace")))]
pub struct Rollback {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// Do not ask: the answer to the question is yes
    #[arg(short, long)]
    pub yes: bool,
    /// After a rollback that is complete: exchange the two values once more, forward again
    #[arg(long, help_heading = "Rollback")]
    pub again: bool,
    /// Roll back although no ExternalSecret maps the back-compat: the application reads Secret Manager itself
    #[arg(long, help_heading = "Rollback")]
    pub back_compat_unmapped: bool,
    /// Wait this long between the proof that the Secrets have arrived and the restart
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, help_heading = "Rollback")]
    pub settle: Duration,
    /// Wait this long after the verification before the abandoned version is disabled
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, help_heading = "Rollback")]
    pub soak: Duration,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret finalize`.
#[derive(Debug, Args)]
pub struct Finalize {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// Do not ask whether to do it; whether the data was saved again is another question (--reencrypted)
    #[arg(short, long)]
    pub yes: bool,
    /// You say that every encrypted field was saved again, and nothing needs an older value
    #[arg(long, conflicts_with = "reencrypted_by", help_heading = "Finalization")]
    pub reencrypted: bool,
    /// A command of the application's own that says so: it exits with 0 when nothing is left to be saved again
    ///
    /// Run as a Job that is made from a consumer's pod template, so that it finds what the application finds: image, service
    /// account, variables, volumes, init containers and native sidecars (init containers that restart always). Other containers
    /// of the pod are left out, since a Job with them would never end; so are probes, ports and labels by which a Service or the
    /// workload would take its pod for one of theirs. The command is split into words as a shell does it, and no shell runs it:
    /// write sh -c '...' where you want one. It can be read in the Job: no secret belongs into it. What it writes is shown without secret values; when it exits with anything but 0,
    /// nothing is changed. The Job is deleted afterwards.
    #[arg(long, value_name = "COMMAND", help_heading = "Finalization")]
    pub reencrypted_by: Option<Words>,
    /// The consumer whose pod template it gets [default: the first deployment that reads both values]
    #[arg(long, value_name = "KIND/NAME", requires = "reencrypted_by", help_heading = "Finalization")]
    pub reencrypted_by_workload: Option<WorkloadRef>,
    /// The container of it [default: the one that reads the Kubernetes Secret]
    #[arg(long, value_name = "NAME", requires = "reencrypted_by", help_heading = "Finalization")]
    pub reencrypted_container: Option<String>,
    /// The most that the command may take
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1h",
        requires = "reencrypted_by",
        value_parser = duration,
        help_heading = "Finalization"
    )]
    pub reencryption_timeout: Duration,
    /// Destroy disabled versions of both secrets, for good: backups made under them become unreadable
    #[arg(long, help_heading = "Finalization")]
    pub destroy: bool,
    /// Destroy only versions created longer ago than this, for example 90d
    #[arg(long, value_name = "AGE", requires = "destroy", value_parser = age, help_heading = "Finalization")]
    pub older_than: Option<Duration>,
    /// Keep the newest N disabled versions of each secret
    #[arg(long, value_name = "N", default_value_t = 0, requires = "destroy", help_heading = "Finalization")]
    pub keep: usize,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// The flag of every command that changes something.
#[derive(Debug, Args)]
pub struct DryRunFlag {
    /// Only show what would be done; `server` also lets the API server judge every change to the cluster
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        default_value = "none",
        value_name = "client|server",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub dry_run: DryRun,
}

/// The flag of every command whose run may be put on record.
#[derive(Debug, Args)]
pub struct ReportFlag {
    /// Write what was done to FILE as an HTML page, and as JSON beside it; also when it fails or is stopped
    ///
    /// For a change ticket or an auditor: who, when, versions, each check with its id and result, a timeline with each
    /// sync and each pod, how it ended. The page needs nothing else, has no script and holds no value; the JSON has
    /// the same name, with .json. FILE is looked at before anything is changed. Only an earlier report is replaced.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,
}

/// Flags of every `secret` command.
#[derive(Debug, Args)]
pub struct Common {
    /// The accounts; default: the current context's namespace
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
    /// ExternalSecrets that must be among those found [default: admin-secrets, backend-secrets]
    #[arg(long = "external-secret", value_name = "NAME", help_heading = "Names")]
    pub external_secrets: Vec<String>,
    /// Workloads that must be among those found [default: deployment/admin, deployment/backend]
    #[arg(long = "workload", value_name = "KIND/NAME", help_heading = "Names")]
    pub workloads: Vec<String>,
    /// The primary's id; {account} is replaced [default: {account}_account_secret]
    #[arg(long, value_name = "ID", help_heading = "Names")]
    pub primary_secret: Option<String>,
    /// The back-compat's id; {account} is replaced [default: {account}_account_secret_back_compat]
    #[arg(long, value_name = "ID", help_heading = "Names")]
    pub back_compat_secret: Option<String>,
    /// The most that one wait may take
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    /// Settings file [default: kubectl-deepdesk/settings.yaml in the configuration directory]
    #[arg(long, value_name = "FILE", env = "DEEPDESK_SETTINGS", hide_env_values = true)]
    pub settings: Option<PathBuf>,
    /// Where and as whom in the cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Where and as whom at Google.
    #[command(flatten)]
    pub google: Google,
    /// How it is shown.
    #[command(flatten)]
    pub show: Show,
}

/// Flags as kubectl has them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster (as kubectl)")]
pub struct Cluster {
    /// Path of the kubeconfig file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The namespace, and so the account
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// User to act as
    #[arg(long = "as", value_name = "USER")]
    pub impersonate: Option<String>,
    /// Group to act as; may be repeated
    #[arg(long = "as-group", value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,
    /// UID to act as
    #[arg(long = "as-uid", value_name = "UID")]
    pub impersonate_uid: Option<String>,
    /// The most that one request may take; 0 for the program's own limit
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub request_timeout: Duration,
    /// Address of the API server
    #[arg(short, long, value_name = "URL")]
    pub server: Option<String>,
    /// Bearer token for the API server
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<Token>,
    /// Name to expect in the server's certificate
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// File with the certificate authority's certificate
    #[arg(long, value_name = "FILE")]
    pub certificate_authority: Option<PathBuf>,
    /// File with a client certificate
    #[arg(long, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,
    /// File with the client certificate's key
    #[arg(long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Do not check the server's certificate
    #[arg(long)]
    pub insecure_skip_tls_verify: bool,
}

/// A bearer token, which must not be shown.
#[derive(Clone)]
pub struct Token(pub String);

impl std::str::FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Ok(Token(given.to_owned()))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Flags as gcloud has them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Google (as gcloud)")]
pub struct Google {
    /// The project of the secrets; default: what the account's SecretStore says
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// gcloud configuration to use instead of the active one
    #[arg(long, value_name = "NAME")]
    pub configuration: Option<String>,
    /// Service account to act as
    #[arg(long, value_name = "EMAIL")]
    pub impersonate_service_account: Option<String>,
    /// Ask nothing; a change then needs --yes
    #[arg(short, long)]
    pub quiet: bool,
}

/// Flags of presentation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Show {
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    pub output: Output,
    /// Form of the progress on standard error
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub progress: Progress,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Show each request on standard error: method, URL, status, time; never a value
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// `-o`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For people
    Human,
    /// For people, with more
    Wide,
    /// For people, only what is not fine; `check` alone has it
    #[value(skip)]
    Short,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Names only
    Name,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Progress {
    /// Live on a terminal, plain lines otherwise
    Auto,
    /// Plain lines
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `--strategy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Strategy {
    /// The runbook's: new value, then a rolling restart
    Rolling,
    /// For applications that try both values: first every pod can read the new value, then it comes into use
    TwoPhase,
}

/// `--dry-run`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum DryRun {
    /// Do it
    None,
    /// Show it
    Client,
    /// Show it, and let the API server judge the changes to the cluster
    Server,
}

/// The commands of the sandbox.
#[derive(Debug, Subcommand)]
pub enum Sandbox {
    /// Run these arguments against the sandbox
    #[command(
        after_help = "Example:\n  kubectl deepdesk sandbox run -- secret rotate acme --yes\n  kubectl deepdesk sandbox run --fault stale-latest=10s -- secret rotate acme --yes -o json"
    )]
    Run {
        /// How the world is.
        #[command(flatten)]
        world: World,
        /// The arguments
        #[arg(last = true, required = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Open a shell, or run any program, set up to talk to the sandbox
    #[command(
        after_help = "Example:\n  kubectl deepdesk sandbox shell -- sh -c 'kubectl get pods; gcloud secrets list'"
    )]
    Shell {
        /// How the world is.
        #[command(flatten)]
        world: World,
        /// The program and its arguments; default: $SHELL
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Keep the sandbox up until Ctrl-C; prints the exports to use it from elsewhere
    #[command(after_help = "Example:\n  kubectl deepdesk sandbox start > exports   # elsewhere: . ./exports")]
    Start {
        /// How the world is.
        #[command(flatten)]
        world: World,
    },
    /// List the faults that --fault can cause
    #[command(after_help = "Example:\n  kubectl deepdesk sandbox faults")]
    Faults,
}

/// How the sandbox's world is.
#[derive(Debug, Args)]
pub struct World {
    /// How many accounts: acme, globex, initech, then more of their kinds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub accounts: u16,
    /// How long External Secrets takes for a sync
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = duration)]
    pub sync_delay: Duration,
    /// How long a pod takes to become ready
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub pod_start: Duration,
    /// A fault to cause, NAME[=VALUE]; may be repeated; see `sandbox faults`
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    pub faults: Vec<String>,
    /// Items that each account's pods write a second; at the end it says what other pods could not read
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub writes: u32,
    /// Seed of all randomness: the same world again
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// A duration as kubectl and gcloud take it: `30s`, `10m`, `1h30m`, `500ms`, or `0`.
pub fn duration(given: &str) -> Result<Duration, String> {
    if given == "0" {
        return Ok(Duration::ZERO);
    }
    let span: jiff::SignedDuration =
        given.parse().map_err(|_| "not a duration such as 30s, 10m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned())
}

/// An age: a duration that may count in days and weeks, of 24 hours each.
pub fn age(given: &str) -> Result<Duration, String> {
    let wrong = || "not an age such as 90d, 12w or 36h".to_owned();
    let span: jiff::Span = given.parse().map_err(|_| wrong())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| "an age cannot be negative".to_owned())
}

fn length(given: &str) -> Result<usize, String> {
    let fits = 32..=4096usize;
    given
        .parse()
        .ok()
        .filter(|length| fits.contains(length))
        .ok_or_else(|| "a length is a number from 32 to 4096".to_owned())
}
