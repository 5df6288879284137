//! `secret rescue`: a live value that has no slot becomes the back-compat.

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

/// Rescues one account's value.
pub async fn rescue(desk: &Desk, command: &cli::Secret, args: &cli::Rescue) -> (AccountResult, Option<Problem>) {
    let asked = Change {
        purpose: Purpose::Rescue,
        kind: Kind::SecretRescue,
        want: Want { goal: Goal::Rescue, rescue: Some(args.from.0.clone()), ..Want::default() },
        dry_run: args.change.dry_run,
        yes: agreed::given(command),
        grave: agreed::grave(command),
        unchecked: Vec::new(),
        compromised: false,
        evidence: None,
        value_as_is: false,
        made: Asked::default(),
        pauses: Pauses::default(),
    };
    change(desk, &asked, None).await
}
