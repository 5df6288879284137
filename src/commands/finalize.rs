//! `secret finalize`: retire the back-compat value once nothing is encrypted under it any more.

use super::change::{Change, Evidence, change};
use super::session::Desk;
use crate::check::Purpose;
use crate::cli;
use crate::domain::payload::DEFAULT_LENGTH;
use crate::domain::problem::Problem;
use crate::domain::result::{AccountResult, Kind};
use crate::execute::Pauses;
use crate::plan::{Destroy, Goal, Want};

/// Finalizes one account.
pub async fn finalize(desk: &Desk, args: &cli::Finalize) -> (AccountResult, Option<Problem>) {
    let before = args.older_than.and_then(|age| jiff::Timestamp::now().checked_sub(age).ok());
    let asked = Change {
        purpose: Purpose::Finalize,
        kind: Kind::SecretFinalization,
        want: Want {
            goal: Goal::Finalize { destroy: args.destroy.then_some(Destroy { before, keep: args.keep }) },
            ..Want::default()
        },
        dry_run: args.change.dry_run,
        yes: args.yes,
        quiet: args.common.google.quiet,
        compromised: false,
        evidence: Some(if args.reencrypted { Evidence::Given } else { Evidence::Typed }),
        length: DEFAULT_LENGTH,
        pauses: Pauses::default(),
    };
    change(desk, &asked, None).await
}
