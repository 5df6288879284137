//! `secret verify`: what Secret Manager, the cluster and the running pods hold.

use super::namespace;
use super::outcome::{Found, outcome, refusal};
use super::session::Desk;
use crate::access;
use crate::lock;
use crate::observe::{observe, shared};
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::plan::Want;
use deepdesk_protocol::problem::{Exit, Problem};
use deepdesk_protocol::result::{AccountResult, Kind};
use deepdesk_protocol::trail::Look;

/// Verifies one account. Reads only; asks for no rights beforehand, since a missing one shows at once.
pub async fn verify(desk: &Desk) -> (AccountResult, Option<Problem>) {
    let mut found = Found::default();
    let ended = match look(desk, &mut found).await {
        Err(problem) => Err(namespace::explained(&desk.cluster, problem).await),
        ended => ended,
    };
    outcome(desk, Kind::SecretVerification, found, ended)
}

async fn look(desk: &Desk, found: &mut Found) -> Result<(), Problem> {
    let (seen, at_work) = futures::join!(
        observe(&desk.request, &desk.cluster, &desk.secret_manager),
        lock::at_work(&desk.cluster, &desk.operator)
    );
    let mut seen = seen?;
    shared::note_elsewhere(&desk.request, &desk.cluster, &mut seen.now).await;
    found.at_work = at_work;
    desk.teller.saw(&seen.now, Look::Whole);
    found.checks = access::unread(&seen.now);
    found.checks.extend(check::run(&check::Seen { purpose: Purpose::Verify, want: &Want::default(), now: &seen.now }));
    found.now = Some(seen.now);
    let Some(at_work) = &found.at_work else {
        return refusal(&found.checks, Exit::NotAsItShouldBe).map_or(Ok(()), Err);
    };
    // What is under way is theirs to end: nobody else is told to put it right.
    found.checks.iter_mut().for_each(|check| check.hints.clear());
    let words = at_work.in_words(jiff::Timestamp::now());
    match refusal(&found.checks, Exit::NotAsItShouldBe) {
        Some(refusal) => Err(refusal.now(words).hint("look again once they are done")),
        None => Ok(()),
    }
}
