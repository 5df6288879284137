//! How an operator shows that re-encryption is done (docs/protocol.md, Finalizing).

use super::outcome::Found;
use super::session::Desk;
use crate::access::{self, Right};
use crate::execute::reencrypt;
use crate::lock::Lock;
use crate::observe::Seen;
use crate::present::wording::words;
use deepdesk_protocol::event::StepName;
use deepdesk_protocol::facts::observation::{Observation, OtherReader};
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::EvidenceResult;

/// Where the word comes from that the older value is not needed any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// The operator's word, typed at the terminal.
    Typed,
    /// The operator's word, given with the command (`--reencrypted`).
    Given,
    /// A command of the application's own (`--reencrypted-by`).
    Job(Reencryption),
}

impl Evidence {
    /// How the question is answered with the command line, where it is.
    pub fn flags(&self) -> &'static str {
        match self {
            Evidence::Typed => "--yes",
            Evidence::Given => "--yes, --reencrypted",
            Evidence::Job(_) => "--yes, --reencrypted-by",
        }
    }

    /// What it needs in the cluster, beside what the command always needs.
    pub fn rights(&self) -> &'static [Right] {
        match self {
            Evidence::Typed | Evidence::Given => &[],
            Evidence::Job(_) => access::TO_RUN_A_JOB,
        }
    }
}

/// Leaves out the Jobs that a killed run left behind, as long as the command has not spoken: they are deleted before it is
/// run. What is there afterwards counts, whatever its name.
pub fn leave_out_left_behind(now: &mut Observation, evidence: Option<&Evidence>, found: &Found) {
    if let (Some(Evidence::Job(_)), None) = (evidence, &found.evidence) {
        // Also the pod of one that is deleted and still ends.
        let own = |reader: &OtherReader| match reader.kind.as_str() {
            "Job" => reader.name.starts_with(reencrypt::manifest::PREFIX),
            _ => reader
                .owner
                .as_ref()
                .and_then(|owner| owner.strip_prefix("Job/"))
                .is_some_and(|job| job.starts_with(reencrypt::manifest::PREFIX)),
        };
        now.other_readers.retain(|reader| !own(reader));
    }
}

/// What is run first, for the plan; none where nothing is. Refuses where no Job can be made.
pub async fn planned(desk: &Desk, seen: &Seen, evidence: Option<&Evidence>) -> Result<Option<String>, Problem> {
    let Some(Evidence::Job(asked)) = evidence else { return Ok(None) };
    let (from, _) = reencrypt::prepared(&desk.cluster, seen, asked, &desk.operator).await?;
    let announced = words(&reencrypt::announced(asked, &from, &desk.operator));
    Ok(Some(format!("{announced}: it has to exit with 0")))
}

/// Lets the API server judge the Job without running it.
pub async fn judge(desk: &Desk, seen: &Seen, evidence: Option<&Evidence>) -> Result<(), Problem> {
    let Some(Evidence::Job(asked)) = evidence else { return Ok(()) };
    let (_, job) = reencrypt::prepared(&desk.cluster, seen, asked, &desk.operator).await?;
    reencrypt::judge(&desk.cluster, &job).await
}

/// Has the command speak, where there is one; true when it was run, which may have taken long.
pub async fn gather(
    desk: &Desk,
    lock: &Lock,
    seen: &Seen,
    evidence: Option<&Evidence>,
    found: &mut Found,
) -> Result<bool, Problem> {
    match evidence {
        None => Ok(false),
        Some(Evidence::Typed | Evidence::Given) => {
            found.evidence = Some(EvidenceResult::Word);
            Ok(false)
        }
        Some(Evidence::Job(asked)) => {
            lock.note_step(StepName::Reencrypt).await;
            let (evidence, ended) = reencrypt::reencrypt(&desk.run(), lock, seen, asked, &desk.operator).await;
            found.evidence = evidence;
            ended.map(|()| true)
        }
    }
}
