//! `secret rollback`: the value of before, in use again, and the abandoned one kept readable.

use super::agreed;
use super::change::{Change, change};
use super::session::Desk;
use super::value::Asked;
use crate::cli;
use crate::execute::Pauses;
use deepdesk_protocol::check::Purpose;
use deepdesk_protocol::plan::{Goal, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{AccountResult, Kind};

/// Rolls one account back.
pub async fn rollback(desk: &Desk, command: &cli::Secret, args: &cli::Rollback) -> (AccountResult, Option<Problem>) {
    let asked = Change {
        purpose: Purpose::Rollback,
        kind: Kind::SecretRollback,
        want: Want {
            goal: Goal::RollBack { again: args.again },
            back_compat_unmapped: args.back_compat_unmapped,
            ..Want::default()
        },
        dry_run: args.change.dry_run,
        yes: agreed::given(command),
        grave: agreed::grave(command),
        unchecked: Vec::new(),
        compromised: false,
        evidence: None,
        value_as_is: false,
        made: Asked::default(),
        pauses: Pauses { settle: args.settle, soak: args.soak },
    };
    change(desk, &asked, None).await
}
