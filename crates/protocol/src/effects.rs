//! A step as the effects that carry it out, in their order: data, so that what runs them chooses nothing, and the model of tests/model
//! runs the same ones.
//!
//! Before each step, and right before each write is sent, the lock is asked (I3). An effect looks that it is so before it ends.

use crate::facts::names::{ObjectName, SecretId, VersionId, WorkloadRef};
use crate::step::{Origin, Step};

/// One thing that is done, or looked for, and seen to be so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Create a secret with the settings and the IAM policy of another.
    Create {
        /// The one that is created.
        secret: SecretId,
        /// The other.
        like: SecretId,
    },
    /// Enable a version that is disabled, and read its value.
    Enable { secret: SecretId, version: VersionId },
    /// See, by number, that this version does not exist: whoever looked before the lock was taken may have missed it.
    Absent { secret: SecretId, version: VersionId },
    /// Add a version, and read it back by number. After a lost answer it is looked for, and not added once more (I4).
    Add {
        secret: SecretId,
        /// What the version holds.
        value: Content,
        /// The number that it must get; the one after the newest where none is named.
        expect: Option<VersionId>,
    },
    /// Ask External Secrets to copy, and wait until the bytes of the Kubernetes Secrets are the newest versions'.
    Arrive {
        /// The ExternalSecrets.
        external_secrets: Vec<ObjectName>,
    },
    /// Wait as long as the operator asked for (`--settle`).
    Settle,
    /// Restart workloads at the same moment, and wait until every pod is a new one and no old one is left. Where a Kubernetes Secret was
    /// written meanwhile: compare, and once more.
    Restart {
        workloads: Vec<WorkloadRef>,
        /// The version that the restart notes.
        version: VersionId,
        /// Whether old and new pods write under the same value: then nothing is interrupted.
        one_value: bool,
    },
    /// Look at everything afresh; what is not on this version is put right, by `Arrive` and `Restart` (I7).
    Verify { version: VersionId },
    /// Wait as long as the operator asked for (`--soak`), and where that was any time at all verify once more.
    Soak { version: VersionId },
    /// See, by number, that the back-compat holds the value of a version of the primary (I1).
    Held {
        /// The version; the newest one where none is named.
        version: Option<VersionId>,
    },
    /// Disable a version, with its etag.
    Disable { secret: SecretId, version: VersionId },
    /// Destroy a version, with its etag. One that was enabled meanwhile is refused.
    Destroy { secret: SecretId, version: VersionId },
}

/// What a version is added with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// The new value of this run.
    New,
    /// A value that is in hand.
    Of(Origin),
}

pub fn effects(step: &Step) -> Vec<Effect> {
    match step {
        Step::DisableOlder { secret, versions } => each(secret, versions, disable).collect(),
        Step::Enable { secret, version } => vec![Effect::Enable { secret: secret.clone(), version: *version }],
        Step::CreateBackCompat { secret, like } => {
            vec![Effect::Create { secret: secret.clone(), like: like.clone() }]
        }
        Step::StoreBackCompat { secret, value_of } => {
            vec![Effect::Add { secret: secret.clone(), value: Content::Of(value_of.clone()), expect: None }]
        }
        Step::Announce { secret, expect } => {
            vec![Effect::Add { secret: secret.clone(), value: Content::New, expect: Some(*expect) }]
        }
        Step::AddVersion { secret, value_of, expect } => {
            let value = value_of.clone().map_or(Content::New, Content::Of);
            // I2: nobody refilled the back-compat while its value was on its way into the cluster.
            let held = value_of.is_none().then(|| Effect::Held { version: expect.previous() });
            let add = [
                Effect::Absent { secret: secret.clone(), version: *expect },
                Effect::Add { secret: secret.clone(), value, expect: Some(*expect) },
            ];
            held.into_iter().chain(add).collect()
        }
        Step::Stage { external_secrets, .. }
        | Step::Spread { external_secrets, .. }
        | Step::Sync { external_secrets, .. } => {
            vec![Effect::Arrive { external_secrets: external_secrets.clone() }]
        }
        // All pods write under the same value before it and after it.
        Step::Prepare { workloads, version } => restart(workloads, *version, true),
        Step::Restart { workloads, version } => restart(workloads, *version, false),
        Step::Verify { version } => vec![Effect::Verify { version: *version }, Effect::Soak { version: *version }],
        Step::RetireOlder { secret, versions } => {
            let held = Effect::Held { version: None };
            std::iter::once(held).chain(each(secret, versions, disable)).collect()
        }
        Step::DisablePrevious { secret, version } => {
            // I1: only once the back-compat was read, by number, and has its value.
            vec![Effect::Held { version: Some(*version) }, disable(secret.clone(), *version)]
        }
        Step::Destroy { secret, versions } => {
            each(secret, versions, |secret, version| Effect::Destroy { secret, version }).collect()
        }
    }
}

fn restart(workloads: &[WorkloadRef], version: VersionId, one_value: bool) -> Vec<Effect> {
    vec![Effect::Settle, Effect::Restart { workloads: workloads.to_vec(), version, one_value }]
}

fn disable(secret: SecretId, version: VersionId) -> Effect {
    Effect::Disable { secret, version }
}

fn each(
    secret: &SecretId,
    versions: &[VersionId],
    effect: impl Fn(SecretId, VersionId) -> Effect,
) -> impl Iterator<Item = Effect> {
    versions.iter().map(move |version| effect(secret.clone(), *version))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I1, I4: what is looked for comes right before the write that it is for, and nothing comes between.
    #[test]
    fn each_write_that_must_not_be_blind_has_its_look_right_before_it() {
        let secret = || "acme_account_secret".parse::<SecretId>().expect("a fit id");
        let two = VersionId::FIRST.next();
        let one = VersionId::FIRST;
        let cases = [
            (
                Step::AddVersion { secret: secret(), value_of: None, expect: two },
                vec![
                    Effect::Held { version: Some(one) },
                    Effect::Absent { secret: secret(), version: two },
                    Effect::Add { secret: secret(), value: Content::New, expect: Some(two) },
                ],
            ),
            (
                Step::AddVersion { secret: secret(), value_of: Some(Origin::BackCompat(one)), expect: two },
                vec![
                    Effect::Absent { secret: secret(), version: two },
                    Effect::Add { secret: secret(), value: Content::Of(Origin::BackCompat(one)), expect: Some(two) },
                ],
            ),
            (
                Step::DisablePrevious { secret: secret(), version: one },
                vec![Effect::Held { version: Some(one) }, Effect::Disable { secret: secret(), version: one }],
            ),
            (
                Step::RetireOlder { secret: secret(), versions: vec![two, one] },
                vec![
                    Effect::Held { version: None },
                    Effect::Disable { secret: secret(), version: two },
                    Effect::Disable { secret: secret(), version: one },
                ],
            ),
            (Step::Verify { version: two }, vec![Effect::Verify { version: two }, Effect::Soak { version: two }]),
        ];
        for (step, expected) in cases {
            assert_eq!(effects(&step), expected, "{step:?}");
        }
    }
}
