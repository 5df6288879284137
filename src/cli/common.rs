//! Flags that several commands take: kubectl's, gcloud's, and those of presentation.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration;
use deepdesk_protocol::facts::named::{ReaderName, Words};

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

/// What a command that moves pods to another value takes.
#[derive(Debug, Args)]
pub struct ReadersFlag {
    /// Evict the pods of this reader one after the other, so that what owns them makes new ones: KIND/NAME
    ///
    /// For what a restart does not move: pods of an operator or of a controller that is not known here (rollout/checkout), and
    /// workloads that do not replace their pods by themselves. PodDisruptionBudgets are heeded. A pod that nobody owns
    /// (pod/import-1) is ended by it. Needs create on pods/eviction.
    #[arg(long, value_name = "KIND/NAME", help_heading = "Readers")]
    pub evict: Vec<ReaderName>,
    /// Leave this reader as it is, do not wait for it, and put that on record: KIND/NAME
    ///
    /// It goes on with the value that it started with. finalize wants its name again while it still runs.
    #[arg(long, value_name = "KIND/NAME", help_heading = "Readers")]
    pub leave: Vec<ReaderName>,
}

impl ReadersFlag {
    /// What they say.
    pub fn words(&self) -> Words {
        Words { evict: self.evict.clone(), leave: self.leave.clone() }
    }
}

/// The flag of every command that asks.
#[derive(Debug, Args)]
pub struct YesFlag {
    /// Do not ask: the answer to the question is yes
    ///
    /// In a protected context, and where --destroy, --retired or --abandon-older gives something up for good, the name has to be
    /// said: --yes=ACCOUNT, for several accounts --yes=CONTEXT.
    #[arg(
        short,
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_name = "ACCOUNT"
    )]
    yes: Option<String>,
}

/// How the question was answered with the command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Yes {
    /// It was not.
    No,
    /// `--yes`.
    Plain,
    /// `--yes=NAME`.
    Named(String),
}

impl YesFlag {
    /// The answer.
    pub fn given(&self) -> Yes {
        match self.yes.as_deref() {
            None => Yes::No,
            Some("") => Yes::Plain,
            Some(name) => Yes::Named(name.to_owned()),
        }
    }
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

/// Which accounts, of a command that only reads.
#[derive(Debug, Args)]
pub struct Selection {
    /// All accounts of the cluster
    #[arg(short = 'A', long = "all-namespaces", conflicts_with_all = ["accounts", "namespace"], help_heading = "Selection")]
    pub all: bool,
    /// The accounts whose namespaces have these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["accounts", "namespace"], help_heading = "Selection")]
    pub selector: Option<String>,
}

impl Selection {
    /// Whether accounts are selected, and not named: then there may be any number of them.
    pub fn selects(&self) -> bool {
        self.all || self.selector.is_some()
    }
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
    /// What the two secrets are called.
    #[command(flatten)]
    pub ids: SecretIds,
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

/// What an account's two secrets are called in Secret Manager.
#[derive(Clone, Debug, Args)]
pub struct SecretIds {
    /// The primary's id; {account} is replaced [default: {account}_account_secret]
    #[arg(long, value_name = "ID", help_heading = "Names")]
    pub primary_secret: Option<String>,
    /// The back-compat's id; {account} is replaced [default: {account}_account_secret_back_compat]
    #[arg(long, value_name = "ID", help_heading = "Names")]
    pub back_compat_secret: Option<String>,
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
