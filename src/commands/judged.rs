//! The writes of a restart and of the lock, judged by the API server before the first one: what an admission webhook or a policy would
//! refuse in the middle is refused at the beginning.

use super::session::Desk;
use crate::clients::cluster::Cluster;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::execute::arrive::FIELD_MANAGER;
use crate::execute::restart::compared;
use crate::lock;
use crate::observe::Seen;
use deepdesk_protocol::check::catalogue;
use deepdesk_protocol::command;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::{VersionId, WorkloadRef};
use deepdesk_protocol::facts::observation::{Consumer, Observation};
use deepdesk_protocol::facts::restart_note;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::problem::{Problem, Reason};

/// Asks about the restart of these workloads, and about the lock; what cannot be judged is told, and stops nothing.
pub async fn writes(desk: &Desk, seen: &Seen, workloads: &[WorkloadRef]) -> Result<(), Problem> {
    let judge = desk.cluster.as_dry_run();
    let patches = seen.now.consumers.iter().filter(|consumer| workloads.contains(&consumer.workload));
    let patches = patches.map(|consumer| {
        let judged = restart(&judge, &seen.now, consumer);
        async move { (format!("the restart of {}", consumer.workload), judged.await) }
    });
    let mut answers = futures::future::join_all(patches).await;
    answers.push(("the lock".to_owned(), lock::judge(&desk.cluster, &desk.operator).await));
    for (what, answer) in answers {
        let Err(error) = answer else { continue };
        match verdict(&error) {
            Verdict::NotAllowed => return Err(error.into()),
            Verdict::Refused => {
                let line = format!("the API server would refuse {what}: {error}");
                return Err(Problem::new(Reason::CheckFailed, line).hint(command![
                    "kubectl",
                    "get",
                    "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies"
                ]));
            }
            Verdict::Unjudged => {
                let message = format!("{what} could not be judged beforehand: {error}");
                let warns = Happening::Warns { check: catalogue::DRY_RUN_ID.to_owned(), message };
                desk.teller.tell(StepName::Preflight, StepState::Warning, &warns);
            }
        }
    }
    Ok(())
}

/// Has the API server judge the patch of one workload's restart; `judge` is the cluster as it answers dry runs.
pub async fn restart(judge: &Cluster, now: &Observation, consumer: &Consumer) -> Result<(), ApiError> {
    let compared = compared(now, consumer, &Default::default());
    let annotations = restart_note::annotations(VersionId::FIRST, None, &compared, jiff::Timestamp::now());
    judge.patch_template_annotations(&consumer.workload, &annotations, None, FIELD_MANAGER).await.map(drop)
}

/// What an error says of the write itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// A right is missing, which nobody could be asked about before.
    NotAllowed,
    /// It would be refused, too.
    Refused,
    /// Nothing: the dry run alone failed.
    Unjudged,
}

fn verdict(error: &ApiError) -> Verdict {
    let words = error.message.to_ascii_lowercase();
    // `admission webhook "x" does not support dry run`: it says nothing of the write. Nor does a server that is busy.
    let about_dry_runs = words.contains("dry run") || words.contains("dryrun");
    // As the authorizer writes it; an admission webhook names itself.
    let is_right = words.contains("cannot") && words.contains("resource") && !words.contains("admission webhook");
    match error.kind {
        ApiErrorKind::Forbidden if is_right => Verdict::NotAllowed,
        ApiErrorKind::Forbidden | ApiErrorKind::Invalid if !about_dry_runs => Verdict::Refused,
        _ => Verdict::Unjudged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::error::Service;

    #[test]
    fn a_webhook_that_refuses_dry_runs_says_nothing_of_the_write() {
        let webhook = "admission webhook \"policy.example.com\"";
        for (kind, message, expected) in [
            (
                ApiErrorKind::Forbidden,
                format!("{webhook} denied the request: no restarts on Fridays"),
                Verdict::Refused,
            ),
            (ApiErrorKind::Invalid, "spec: Forbidden".to_owned(), Verdict::Refused),
            (
                ApiErrorKind::Forbidden,
                "User \"ann\" cannot patch resource \"deployments\" in API group \"apps\"".to_owned(),
                Verdict::NotAllowed,
            ),
            (ApiErrorKind::Invalid, format!("{webhook} does not support dry run"), Verdict::Unjudged),
            (ApiErrorKind::Internal, "failed calling webhook".to_owned(), Verdict::Unjudged),
            (ApiErrorKind::Timeout, String::new(), Verdict::Unjudged),
            (ApiErrorKind::Conflict, String::new(), Verdict::Unjudged),
        ] {
            let error = ApiError::new(Service::Kubernetes, "patch", kind, &message);
            assert_eq!(verdict(&error), expected, "{error}");
        }
    }
}
