//! `secret verify`: what Secret Manager, the cluster and the running pods hold.

use super::outcome::{Found, outcome, refusal};
use super::session::Desk;
use crate::access;
use crate::observe::observe;
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::plan::Want;
use deepdesk_protocol::problem::{Exit, Problem};
use deepdesk_protocol::result::{AccountResult, Kind};
use deepdesk_protocol::trail::Look;

/// Verifies one account. Reads only; asks for no rights beforehand, since a missing one shows at once.
pub async fn verify(desk: &Desk) -> (AccountResult, Option<Problem>) {
    let mut found = Found::default();
    let ended = look(desk, &mut found).await;
    outcome(desk, Kind::SecretVerification, found, ended)
}

async fn look(desk: &Desk, found: &mut Found) -> Result<(), Problem> {
    let seen = observe(&desk.request, &desk.cluster, &desk.secret_manager).await?;
    desk.teller.saw(&seen.now, Look::Whole);
    found.checks = access::unread(&seen.now);
    found.checks.extend(check::run(&check::Seen { purpose: Purpose::Verify, want: &Want::default(), now: &seen.now }));
    found.now = Some(seen.now);
    match refusal(&found.checks, Exit::NotAsItShouldBe) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
