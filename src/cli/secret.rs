//! `secret …`: the commands that change an account's secret, or look at it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Common, DryRunFlag, ReadersFlag, ReportFlag, Selection, Status, YesFlag, age, duration};
use deepdesk_protocol::facts::names::{ObjectName, WorkloadRef};
use deepdesk_protocol::facts::observation::Source;
use deepdesk_protocol::facts::older::VersionSet;
use deepdesk_protocol::facts::reencryption::Command as Words;
use deepdesk_protocol::facts::shape::{Alphabet, MOST_CHARACTERS};
use deepdesk_protocol::step::RescueFrom;

/// The commands on an account's secret.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Replace the secret's value by a new one everywhere, and keep the old one readable
    ///
    /// Stores the value in use as back-compat and waits until it is in the cluster, adds the new value and waits until it is in
    /// the cluster, restarts every workload that reads it, waits until the old pods are gone, verifies, and then disables the
    /// previous version. After an interruption the same command continues, on any machine.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret rotate acme\n  pass show acme/key | tr -d '\\n' | kubectl deepdesk secret rotate acme --yes --value-from -"
    )]
    Rotate(Rotate),
    /// Make External Secrets copy now, and compare what arrives
    #[command(after_help = "Example:\n  kubectl deepdesk secret sync acme")]
    Sync(Sync),
    /// Compare what Secret Manager, the cluster and the running pods hold; exit code 3 if they differ
    #[command(after_help = "Example:\n  kubectl deepdesk secret verify acme -o json")]
    Verify(Verify),
    /// Restart every workload that reads the secret, and wait until the old pods are gone
    #[command(after_help = "Example:\n  kubectl deepdesk secret restart acme")]
    Restart(Restart),
    /// Go back to the back-compat value, and keep the abandoned one readable
    ///
    /// Exchanges the two values: the previous one becomes the newest version of the primary, the abandoned one becomes the
    /// back-compat, so that data written under it stays readable. Works after a rotation and in the middle of one; unhealthy
    /// workloads do not stop it. Safe to repeat.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret rollback acme\n\nExample, which changes nothing:\n  kubectl deepdesk secret rollback acme --dry-run"
    )]
    Rollback(Rollback),
    /// Store a value that pods cannot read any more as back-compat
    ///
    /// For a value that was displaced by hand: an older version's, or one that only a Kubernetes Secret still holds. The value in
    /// use stays. What the back-compat held stays enabled, but is no longer its newest version. A disabled version is enabled
    /// first (secretmanager.versions.enable).
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret rescue acme --from back-compat/1\n  kubectl deepdesk secret rescue acme --from secret/backend-secrets:SECRET_KEY"
    )]
    Rescue(Rescue),
    /// Retire the back-compat value after every encrypted field was saved again
    ///
    /// Sets the back-compat to the value in use, waits until every pod has it, so that forgotten data shows now and not at a later
    /// restart, and disables the older versions. Refuses while anything may still write under an older value. Destroys nothing
    /// without --destroy.
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret finalize acme\n  kubectl deepdesk secret finalize acme --yes --reencrypted-by './manage.py rows_left'\n\nExample, which changes nothing:\n  kubectl deepdesk secret finalize acme --dry-run"
    )]
    Finalize(Finalize),
    /// Show one row per account: state, versions, age, last rotation, next command
    ///
    /// Changes nothing. Values are read by access (Secret Manager allows 90,000 a minute), creation times are metadata (600 a
    /// minute): an age comes from the record of the last rotation, else it is requested for up to 60 accounts; beyond that it is
    /// unknown, unless --older-than needs it.
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
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// What a command that moves pods takes.
    #[command(flatten)]
    pub readers: ReadersFlag,
    /// Read the new value from FILE or standard input (-) [default: generated]
    ///
    /// A file descriptor is /dev/fd/N. The value is text of at least 32 characters on one line, without white space at
    /// an end. It is never taken as an argument: arguments are seen by every user of the machine.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["length", "alphabet"])]
    pub value_from: Option<PathBuf>,
    /// Accept the value of --value-from although it looks wrong, has another form or was used before
    ///
    /// Without it, what a password manager prints in a value's place is refused: a message, a reference, a whole item
    /// in JSON, a value in quotes; and a value of another form than the one in use, or of an older version.
    #[arg(long, requires = "value_from")]
    pub value_as_is: bool,
    /// Generate a value of this many characters; at least 32
    ///
    /// Without it and without --alphabet the value gets the form of the one in use: a Fernet key, as many hexadecimal
    /// digits, or as many bytes in base64; else as many letters and digits, at least 32. The plan shows which.
    #[arg(long, value_name = "N", value_parser = length)]
    pub length: Option<usize>,
    /// Generate a value of these: alphanumeric, hex, base64, base64url, or the characters themselves
    #[arg(long, value_name = "CHARACTERS")]
    pub alphabet: Option<Alphabet>,
    /// Change values and pods in this order
    #[arg(long, value_enum, default_value_t = Strategy::Rolling)]
    pub strategy: Strategy,
    /// Replace a leaked value: do not pause, and list where it can still be read
    #[arg(long, conflicts_with_all = ["soak", "strategy"])]
    pub compromised: bool,
    /// Rotate although no ExternalSecret maps the back-compat (the application reads Secret Manager itself)
    #[arg(long)]
    pub back_compat_unmapped: bool,
    /// Finish a rotation that was left unfinished by hand, and keep every value in use
    #[arg(long, conflicts_with = "abandon_older")]
    pub adopt: bool,
    /// Disable every older version first: nothing needs them any more
    #[arg(long)]
    pub abandon_older: bool,
    /// Retire these versions, which nothing needs any more: back-compat/N, primary/N, primary/N-M
    #[arg(long, value_name = "SECRET/VERSION", value_parser = retired)]
    pub retired: Vec<VersionSet>,
    /// Wait this long before the restart, after the Secrets have arrived
    ///
    /// For nodes whose kubelet reads Secrets from a cache with a time to live: a pod that starts within it would get
    /// the old value, and nothing in Kubernetes would show it.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub settle: Duration,
    /// Wait this long before the previous version is disabled
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
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
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// Overwrite this key although no enabled version has its value: secret/NAME:KEY
    #[arg(long, value_name = "SECRET/NAME:KEY")]
    pub retired: Vec<CopyKey>,
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
    /// Which accounts.
    #[command(flatten)]
    pub selection: Selection,
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
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// What a command that moves pods takes.
    #[command(flatten)]
    pub readers: ReadersFlag,
    /// Restart this workload alone: KIND/NAME
    #[arg(long, value_name = "KIND/NAME")]
    pub only: Vec<WorkloadRef>,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret rollback`.
#[derive(Debug, Args)]
#[command(mut_arg("accounts", |accounts| accounts.num_args(0..=1).help("Account [default: the namespace of the current context]")))]
pub struct Rollback {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// What a command that moves pods takes.
    #[command(flatten)]
    pub readers: ReadersFlag,
    /// Exchange the two values once more after a complete rollback
    #[arg(long)]
    pub again: bool,
    /// Roll back although no ExternalSecret maps the back-compat (the application reads Secret Manager itself)
    #[arg(long)]
    pub back_compat_unmapped: bool,
    /// Wait this long before the restart, after the Secrets have arrived
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub settle: Duration,
    /// Wait this long before the abandoned version is disabled
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub soak: Duration,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `secret rescue`.
#[derive(Debug, Args)]
#[command(mut_arg("accounts", |accounts| accounts.num_args(0..=1).help("Account [default: the namespace of the current context]")))]
pub struct Rescue {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// Take the value from here: back-compat/N, primary/N or secret/NAME:KEY
    #[arg(long, value_name = "PLACE")]
    pub from: Place,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// A place that has a value: `back-compat/N`, `primary/N` or `secret/NAME:KEY`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place(pub RescueFrom);

impl FromStr for Place {
    type Err = String;

    fn from_str(given: &str) -> Result<Place, String> {
        let version = |number: &str| number.parse().map_err(|_| format!("`{number}` is not a version number"));
        match given.split_once('/') {
            Some(("primary", number)) => Ok(Place(RescueFrom::Version(Source::Primary, version(number)?))),
            Some(("back-compat", number)) => Ok(Place(RescueFrom::Version(Source::BackCompat, version(number)?))),
            Some(("secret", _)) => {
                let CopyKey { secret, key } = given.parse()?;
                Ok(Place(RescueFrom::Copy { secret, key }))
            }
            _ => Err("a place is back-compat/N, primary/N or secret/NAME:KEY".to_owned()),
        }
    }
}

/// A key of a Kubernetes Secret: `secret/NAME:KEY`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyKey {
    /// The Kubernetes Secret.
    pub secret: ObjectName,
    /// The key.
    pub key: String,
}

impl FromStr for CopyKey {
    type Err = String;

    fn from_str(given: &str) -> Result<CopyKey, String> {
        let parts = given.strip_prefix("secret/").and_then(|rest| rest.split_once(':'));
        let (name, key) = parts.ok_or_else(|| "a key of a Kubernetes Secret is secret/NAME:KEY".to_owned())?;
        let secret = name.parse().map_err(|_| format!("`{name}` is not a name of a Kubernetes Secret"))?;
        match key.is_empty() {
            true => Err("the key is missing: secret/NAME:KEY".to_owned()),
            false => Ok(CopyKey { secret, key: key.to_owned() }),
        }
    }
}

/// `secret finalize`.
#[derive(Debug, Args)]
#[command(mut_arg("yes", |yes| yes.help("Skip the confirmation prompt; --reencrypted answers whether the data was saved again")))]
pub struct Finalize {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What a command that changes something takes.
    #[command(flatten)]
    pub change: DryRunFlag,
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// What a command that moves pods takes.
    #[command(flatten)]
    pub readers: ReadersFlag,
    /// Confirm that every encrypted field was saved again
    #[arg(long, conflicts_with = "reencrypted_by")]
    pub reencrypted: bool,
    /// Run this command of the application; it exits with 0 when nothing is left to be saved again
    ///
    /// Run as a Job that is made from a consumer's pod template, so that it finds what the application finds: image, service
    /// account, variables, volumes, init containers and native sidecars (init containers that restart always). Other containers
    /// of the pod are left out, since a Job with them would never end; so are probes, ports and labels by which a Service or the
    /// workload would take its pod for one of theirs. The command is split into words as a shell does it, and no shell runs it:
    /// write sh -c '...' where you want one. It can be read in the Job: no secret belongs into it. What it writes is shown without secret values; when it exits with anything but 0,
    /// nothing is changed. The Job is deleted afterwards.
    #[arg(long, value_name = "COMMAND")]
    pub reencrypted_by: Option<Words>,
    /// Run it with the pod template of this workload [default: the first deployment that reads both values]
    #[arg(long, value_name = "KIND/NAME", requires = "reencrypted_by")]
    pub reencrypted_by_workload: Option<WorkloadRef>,
    /// Run it in this container [default: the one that reads the Kubernetes Secret]
    #[arg(long, value_name = "NAME", requires = "reencrypted_by")]
    pub reencrypted_container: Option<String>,
    /// Give up that command after this time
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1h",
        requires = "reencrypted_by",
        value_parser = duration,
    )]
    pub reencryption_timeout: Duration,
    /// Retire these versions too: back-compat/N, primary/N, primary/N-M
    #[arg(long, value_name = "SECRET/VERSION", value_parser = retired)]
    pub retired: Vec<VersionSet>,
    /// Destroy disabled versions of both secrets; backups made under them become unreadable
    #[arg(long)]
    pub destroy: bool,
    /// Destroy although this was not checked, as the refusal names it: nothing there needs an older value
    #[arg(long, value_name = "WHAT", requires = "destroy")]
    pub unchecked: Vec<String>,
    /// Destroy only versions that have been out of use for this long, for example 90d
    ///
    /// A version left use when its successor came. Where that is unknown it is not destroyed. The API server's clock counts.
    #[arg(long, value_name = "AGE", requires = "destroy", value_parser = age)]
    pub unused_for: Option<Duration>,
    /// What it was called, and counted, before.
    #[arg(long, hide = true, value_name = "AGE", value_parser = renamed)]
    pub older_than: Option<Infallible>,
    /// Keep the newest N disabled versions of each secret
    #[arg(long, value_name = "N", default_value_t = 0, requires = "destroy")]
    pub keep: usize,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `--strategy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Strategy {
    /// New value, then one rolling restart
    Rolling,
    /// For applications that try both values: pods learn to read the new value before it is used; two restarts
    TwoPhase,
}

fn retired(given: &str) -> Result<VersionSet, String> {
    VersionSet::named(given)
        .ok_or_else(|| "what is retired is a version, or several: back-compat/N, primary/N, primary/N-M".to_owned())
}

fn renamed(_: &str) -> Result<Infallible, String> {
    Err("use --unused-for, which counts from when a version left use, and not from when it was created".to_owned())
}

fn length(given: &str) -> Result<usize, String> {
    let fits = 32..=MOST_CHARACTERS;
    given
        .parse()
        .ok()
        .filter(|length| fits.contains(length))
        .ok_or_else(|| "a length is a number from 32 to 4096".to_owned())
}
