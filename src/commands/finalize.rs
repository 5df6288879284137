//! `secret finalize`: retire the back-compat value once nothing is encrypted under it any more.

use super::agreed;
use super::change::{Change, change};
use super::evidence::Evidence;
use super::outcome::{Found, outcome};
use super::session::Desk;
use super::value::Asked;
use crate::cli;
use crate::execute::Pauses;
use deepdesk_protocol::check::Purpose;
use deepdesk_protocol::facts::older::VersionSet;
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::plan::{Destroy, Goal, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{AccountResult, Kind};
use jiff::Timestamp;

/// Finalizes one account.
pub async fn finalize(desk: &Desk, command: &cli::Secret, args: &cli::Finalize) -> (AccountResult, Option<Problem>) {
    // The server's clock, and not this machine's: what is destroyed does not come back.
    let before = match args.unused_for {
        None => Ok(None),
        // An age that no date has is older than everything.
        Some(age) => desk.cluster.server_time().await.map(|now| Some(now.checked_sub(age).unwrap_or(Timestamp::MIN))),
    };
    let before = match before {
        Ok(before) => before,
        Err(error) => return outcome(desk, Kind::SecretFinalization, Found::default(), Err(error.into())),
    };
    let asked = Change {
        purpose: Purpose::Finalize,
        kind: Kind::SecretFinalization,
        want: Want {
            goal: Goal::Finalize { destroy: args.destroy.then_some(Destroy { before, keep: args.keep }) },
            retired: args.retired.iter().flat_map(VersionSet::iter).collect(),
            ..Want::default()
        },
        dry_run: args.change.dry_run,
        yes: agreed::given(command),
        grave: agreed::grave(command),
        compromised: false,
        unchecked: args.unchecked.clone(),
        evidence: Some(evidence(args)),
        value_as_is: false,
        made: Asked::default(),
        pauses: Pauses::default(),
    };
    change(desk, &asked, None).await
}

fn evidence(args: &cli::Finalize) -> Evidence {
    match &args.reencrypted_by {
        Some(command) => Evidence::Job(Reencryption {
            command: command.clone(),
            workload: args.reencrypted_by_workload.clone(),
            container: args.reencrypted_container.clone(),
            limit: args.reencryption_timeout,
        }),
        None if args.reencrypted => Evidence::Given,
        None => Evidence::Typed,
    }
}
