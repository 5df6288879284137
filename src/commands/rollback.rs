//! `secret rollback`: the value of before, in use again, and the abandoned one kept readable.

use super::change::{Change, change};
use super::session::Desk;
use crate::check::Purpose;
use crate::cli;
use crate::domain::payload::DEFAULT_LENGTH;
use crate::domain::problem::Problem;
use crate::domain::result::{AccountResult, Kind};
use crate::execute::Pauses;
use crate::plan::{Goal, Want};

/// Rolls one account back.
pub async fn rollback(desk: &Desk, args: &cli::Rollback) -> (AccountResult, Option<Problem>) {
    let asked = Change {
        purpose: Purpose::Rollback,
        kind: Kind::SecretRollback,
        want: Want {
            goal: Goal::RollBack { again: args.again },
            back_compat_unmapped: args.back_compat_unmapped,
            ..Want::default()
        },
        dry_run: args.change.dry_run,
        yes: args.yes,
        quiet: args.common.google.quiet,
        compromised: false,
        evidence: None,
        length: DEFAULT_LENGTH,
        pauses: Pauses { settle: args.settle, soak: args.soak },
    };
    change(desk, &asked, None).await
}
