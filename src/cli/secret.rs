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
    /// Store a value that no slot keeps as back-compat, so that pods can read what is encrypted under it
    ///
    /// For a value that hands displaced: an older version's, or one that only a Kubernetes Secret still holds. The value in use
    /// stays. What the back-compat held stays enabled, and is not the newest version any more. A version that is disabled is
    /// enabled first (secretmanager.versions.enable).
    #[command(
        after_help = "Example:\n  kubectl deepdesk secret rescue acme --from back-compat/1\n  kubectl deepdesk secret rescue acme --from secret/backend-secrets:SECRET_KEY"
    )]
    Rescue(Rescue),
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
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// What a command that moves pods takes.
    #[command(flatten)]
    pub readers: ReadersFlag,
    /// Read the new value from FILE, or from standard input (-); default: made here, from the system's random source
    ///
    /// A file descriptor is /dev/fd/N. The value is text of at least 32 characters on one line, without white space at
    /// an end. It is never taken as an argument: arguments are seen by every user of the machine.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["length", "alphabet"], help_heading = "Rotation")]
    pub value_from: Option<PathBuf>,
    /// Take the value of --value-from also where it looks like something else, has another form or was in use before
    ///
    /// Without it, what a password manager prints in a value's place is refused: a message, a reference, a whole item
    /// in JSON, a value in quotes; and a value of another form than the one in use, or of an older version.
    #[arg(long, requires = "value_from", help_heading = "Rotation")]
    pub value_as_is: bool,
    /// Characters of the value that is made: letters and digits, or those of --alphabet; at least 32
    ///
    /// Without it and without --alphabet a made value has the form of the one in use: a Fernet key, as many hexadecimal
    /// digits, or as many bytes in base64; else as many letters and digits, 32 at least. The plan says which.
    #[arg(long, value_name = "N", value_parser = length, help_heading = "Rotation")]
    pub length: Option<usize>,
    /// What the value that is made consists of: alphanumeric, hex, base64, base64url, or the characters themselves
    #[arg(long, value_name = "CHARACTERS", help_heading = "Rotation")]
    pub alphabet: Option<Alphabet>,
    /// In which order values and pods change
    #[arg(long, value_enum, default_value_t = Strategy::Rolling, help_heading = "Rotation")]
    pub strategy: Strategy,
    /// The value in use has leaked: no pause before it is disabled, and a list of where it can still be read
    #[arg(long, conflicts_with_all = ["soak", "strategy"], help_heading = "Rotation")]
    pub compromised: bool,
    /// Rotate although no ExternalSecret maps the back-compat: the application reads Secret Manager itself
    #[arg(long, help_heading = "Rotation")]
    pub back_compat_unmapped: bool,
    /// Finish what others left half-way, keeping every value that is in use: store it as back-compat, copy, restart, verify
    #[arg(long, conflicts_with = "abandon_older", help_heading = "Rotation")]
    pub adopt: bool,
    /// First disable every version older than the one in use, which nothing needs any more
    #[arg(long, help_heading = "Rotation")]
    pub abandon_older: bool,
    /// Retire these older versions, whose values nothing needs any more: back-compat/N, primary/N, primary/N-M
    #[arg(long, value_name = "SECRET/VERSION", value_parser = retired, help_heading = "Rotation")]
    pub retired: Vec<VersionSet>,
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
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// Write over this key although no enabled version has its value: secret/NAME:KEY
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
    #[arg(long, value_name = "KIND/NAME", help_heading = "Readers")]
    pub only: Vec<WorkloadRef>,
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
    /// What a command that asks takes.
    #[command(flatten)]
    pub yes: YesFlag,
    /// What a command that moves pods takes.
    #[command(flatten)]
    pub readers: ReadersFlag,
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

/// `secret rescue`.
#[derive(Debug, Args)]
#[command(mut_arg("accounts", |accounts| accounts.num_args(0..=1).help("The account; default: the current context's namespace")))]
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
    /// Where the value is: back-compat/N, primary/N or secret/NAME:KEY
    #[arg(long, value_name = "PLACE", help_heading = "Rescue")]
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
        let version = |number: &str| number.parse().map_err(|_| format!("`{number}` is no version number"));
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
        let secret = name.parse().map_err(|_| format!("`{name}` is no name of a Kubernetes Secret"))?;
        match key.is_empty() {
            true => Err("the key is missing: secret/NAME:KEY".to_owned()),
            false => Ok(CopyKey { secret, key: key.to_owned() }),
        }
    }
}

/// `secret finalize`.
#[derive(Debug, Args)]
#[command(mut_arg("yes", |yes| yes.help("Do not ask whether to do it; whether the data was saved again is another question (--reencrypted)")))]
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
    /// Retire these older versions, too, whose values nothing needs any more: back-compat/N, primary/N, primary/N-M
    #[arg(long, value_name = "SECRET/VERSION", value_parser = retired, help_heading = "Finalization")]
    pub retired: Vec<VersionSet>,
    /// Destroy disabled versions of both secrets, for good: backups made under them become unreadable
    #[arg(long, help_heading = "Finalization")]
    pub destroy: bool,
    /// Destroy although this was not checked, as the refusal names it: nothing there needs an older value
    #[arg(long, value_name = "WHAT", requires = "destroy", help_heading = "Finalization")]
    pub unchecked: Vec<String>,
    /// Destroy only versions that left use longer ago than this, for example 90d: when their successor came into use
    ///
    /// One of which nobody knows that is not destroyed. The API server's clock counts.
    #[arg(long, value_name = "AGE", requires = "destroy", value_parser = age, help_heading = "Finalization")]
    pub unused_for: Option<Duration>,
    /// What it was called, and counted, before.
    #[arg(long, hide = true, value_name = "AGE", value_parser = renamed)]
    pub older_than: Option<Infallible>,
    /// Keep the newest N disabled versions of each secret
    #[arg(long, value_name = "N", default_value_t = 0, requires = "destroy", help_heading = "Finalization")]
    pub keep: usize,
    /// What a command takes whose run may be put on record.
    #[command(flatten)]
    pub report: ReportFlag,
}

/// `--strategy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Strategy {
    /// The runbook's: new value, then a rolling restart
    Rolling,
    /// For applications that try both values: first every pod can read the new value, then it comes into use
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
