//! Flags that several commands take: kubectl's, gcloud's, and those of presentation.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration;
use deepdesk_protocol::facts::named::{ReaderName, Words};

/// The heading of kubectl's and gcloud's flags. It stands at each of them: clap lets a struct's own heading run on into the flags that follow the struct.
pub(super) const GLOBAL: &str = "Global options, as in kubectl and gcloud";

/// The flag of every command that changes something.
#[derive(Debug, Args)]
pub struct DryRunFlag {
    /// Show what would be done and change nothing; with `server` the API server checks each change
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        default_value = "none",
        value_name = "client|server",
        hide_default_value = true,
        hide_possible_values = true,
        display_order = 801
    )]
    pub dry_run: DryRun,
}

/// What a command that moves pods to another value takes.
#[derive(Debug, Args)]
pub struct ReadersFlag {
    /// Evict the pods of this reader one after the other: KIND/NAME
    ///
    /// For what a restart does not move: pods of an operator or of a controller that is not known here (rollout/checkout), and
    /// workloads that do not replace their pods by themselves. PodDisruptionBudgets are heeded. A pod that nobody owns
    /// (pod/import-1) is ended by it. Needs create on pods/eviction.
    #[arg(long, value_name = "KIND/NAME")]
    pub evict: Vec<ReaderName>,
    /// Leave this reader on its present value, and put that on record: KIND/NAME
    ///
    /// It goes on with the value that it started with. finalize wants its name again while it still runs.
    #[arg(long, value_name = "KIND/NAME")]
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
    /// Skip the confirmation prompt
    ///
    /// In a protected context, and with --destroy, --retired or --abandon-older, the name is required: --yes=ACCOUNT, for several
    /// accounts --yes=CONTEXT.
    #[arg(
        short,
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_name = "ACCOUNT",
        display_order = 802
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
    /// Write a report of the run to FILE (HTML) and beside it (JSON), also when it fails
    ///
    /// For a change ticket or an auditor: who, when, versions, each check with its id and result, a timeline of syncs and
    /// pods, and how it ended. The page has no script, loads nothing and holds no value. Only an earlier report is
    /// replaced.
    #[arg(long, value_name = "FILE", display_order = 803)]
    pub report: Option<PathBuf>,
}

/// Which accounts, of a command that only reads.
#[derive(Debug, Args)]
pub struct Selection {
    /// Select all accounts of the cluster
    #[arg(short = 'A', long = "all-namespaces", conflicts_with_all = ["accounts", "namespace"])]
    pub all: bool,
    /// Select the accounts whose namespaces have these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["accounts", "namespace"])]
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
    /// Accounts [default: the namespace of the current context]
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
    /// Give up a single wait after this time
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration, display_order = 800)]
    pub timeout: Duration,
    /// How it is shown.
    #[command(flatten)]
    pub show: Show,
    /// Require this ExternalSecret to be found; may be repeated [default: admin-secrets, backend-secrets]
    #[arg(long = "external-secret", value_name = "NAME", help_heading = "Names")]
    pub external_secrets: Vec<String>,
    /// Require this workload to be found; may be repeated [default: deployment/admin, deployment/backend]
    #[arg(long = "workload", value_name = "KIND/NAME", help_heading = "Names")]
    pub workloads: Vec<String>,
    /// What the two secrets are called.
    #[command(flatten)]
    pub ids: SecretIds,
    /// Read settings from this file [default: kubectl-deepdesk/settings.yaml in the configuration directory]
    #[arg(long, value_name = "FILE", env = "DEEPDESK_SETTINGS", hide_env_values = true, help_heading = "Names")]
    pub settings: Option<PathBuf>,
    /// Where and as whom in the cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Where and as whom at Google.
    #[command(flatten)]
    pub google: Google,
}

/// What an account's two secrets are called in Secret Manager.
#[derive(Clone, Debug, Args)]
pub struct SecretIds {
    /// Set the id of the primary secret [default: {account}_account_secret]
    #[arg(long, value_name = "ID", help_heading = "Names")]
    pub primary_secret: Option<String>,
    /// Set the id of the back-compat secret [default: {account}_account_secret_back_compat]
    #[arg(long, value_name = "ID", help_heading = "Names")]
    pub back_compat_secret: Option<String>,
}

/// Flags as kubectl has them.
#[derive(Clone, Debug, Args)]
pub struct Cluster {
    /// Use this kubeconfig file
    #[arg(long, value_name = "FILE", help_heading = GLOBAL)]
    pub kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig
    #[arg(long, value_name = "NAME", help_heading = GLOBAL)]
    pub context: Option<String>,
    /// Use this cluster of the kubeconfig
    #[arg(long, value_name = "NAME", help_heading = GLOBAL)]
    pub cluster: Option<String>,
    /// Use this user of the kubeconfig
    #[arg(long, value_name = "NAME", help_heading = GLOBAL)]
    pub user: Option<String>,
    /// Use this namespace, and so this account
    #[arg(short, long, value_name = "NAME", help_heading = GLOBAL)]
    pub namespace: Option<String>,
    /// Impersonate this user in the cluster
    #[arg(long = "as", value_name = "USER", help_heading = GLOBAL)]
    pub impersonate: Option<String>,
    /// Impersonate this group; may be repeated
    #[arg(long = "as-group", value_name = "GROUP", help_heading = GLOBAL)]
    pub impersonate_groups: Vec<String>,
    /// Impersonate this UID
    #[arg(long = "as-uid", value_name = "UID", help_heading = GLOBAL)]
    pub impersonate_uid: Option<String>,
    /// Give up a single request after this time; 0 for the built-in limit
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration, help_heading = GLOBAL)]
    pub request_timeout: Duration,
    /// Use this address of the API server
    #[arg(short, long, value_name = "URL", help_heading = GLOBAL)]
    pub server: Option<String>,
    /// Authenticate to the API server with this bearer token
    #[arg(long, value_name = "TOKEN", help_heading = GLOBAL)]
    pub token: Option<Token>,
    /// Expect this name in the server's certificate
    #[arg(long, value_name = "NAME", help_heading = GLOBAL)]
    pub tls_server_name: Option<String>,
    /// Trust the certificate authority in this file
    #[arg(long, value_name = "FILE", help_heading = GLOBAL)]
    pub certificate_authority: Option<PathBuf>,
    /// Authenticate with the client certificate in this file
    #[arg(long, value_name = "FILE", help_heading = GLOBAL)]
    pub client_certificate: Option<PathBuf>,
    /// Use the key of the client certificate in this file
    #[arg(long, value_name = "FILE", help_heading = GLOBAL)]
    pub client_key: Option<PathBuf>,
    /// Skip the verification of the server's certificate
    #[arg(long, help_heading = GLOBAL)]
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
pub struct Google {
    /// Use this project [default: the one in the account's SecretStore]
    #[arg(long, value_name = "ID", help_heading = GLOBAL)]
    pub project: Option<String>,
    /// Use this gcloud configuration instead of the active one
    #[arg(long, value_name = "NAME", help_heading = GLOBAL)]
    pub configuration: Option<String>,
    /// Impersonate this service account at Google
    #[arg(long, value_name = "EMAIL", help_heading = GLOBAL)]
    pub impersonate_service_account: Option<String>,
    /// Disable all prompts; a change then needs --yes
    #[arg(short, long, help_heading = GLOBAL)]
    pub quiet: bool,
}

/// Flags of presentation.
#[derive(Debug, Args)]
pub struct Show {
    /// Print the result in this format
    #[arg(short, long, value_enum, default_value_t = Output::Human, help_heading = "Output")]
    pub output: Output,
    /// Print the progress on standard error in this format
    #[arg(long, value_enum, default_value_t = Progress::Auto, help_heading = "Output")]
    pub progress: Progress,
    /// Use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
    /// Print each request on standard error: method, URL, status, time; never a value
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// `-o`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// Text
    Human,
    /// Text with more columns and reasons
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
    /// Updated in place on a terminal, else plain
    Auto,
    /// One line per event
    Plain,
    /// One JSON object per event
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
