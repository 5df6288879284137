//! `secret finalize`: retire the back-compat value once nothing is encrypted under it any more.

use super::agreed;
use super::change::{Change, change};
use super::evidence::Evidence;
use super::session::Desk;
use crate::cli;
use crate::execute::Pauses;
use deepdesk_protocol::check::Purpose;
use deepdesk_protocol::facts::payload::DEFAULT_LENGTH;
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::plan::{Destroy, Goal, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{AccountResult, Kind};

/// Finalizes one account.
pub async fn finalize(desk: &Desk, command: &cli::Secret, args: &cli::Finalize) -> (AccountResult, Option<Problem>) {
    let before = args.older_than.and_then(|age| jiff::Timestamp::now().checked_sub(age).ok());
    let asked = Change {
        purpose: Purpose::Finalize,
        kind: Kind::SecretFinalization,
        want: Want {
            goal: Goal::Finalize { destroy: args.destroy.then_some(Destroy { before, keep: args.keep }) },
            retired: args.retired.clone(),
            ..Want::default()
        },
        dry_run: args.change.dry_run,
        yes: agreed::given(command),
        grave: agreed::grave(command),
        compromised: false,
        evidence: Some(evidence(args)),
        length: DEFAULT_LENGTH,
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
