//! `sandbox …`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;

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
        /// The program and its arguments [default: $SHELL]
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Keep the sandbox up until Ctrl-C, and print the exports to use it from elsewhere
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
    /// Create this many accounts: acme, globex, initech, then more of their kinds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub accounts: u16,
    /// Let External Secrets take this long for a sync
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = duration)]
    pub sync_delay: Duration,
    /// Let a pod take this long to become ready
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub pod_start: Duration,
    /// Cause this fault; may be repeated; see `sandbox faults`
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    pub faults: Vec<String>,
    /// Let the pods of each account write this many items per second, and report what other pods could not read
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub writes: u32,
    /// Seed all randomness: the same world again
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}
