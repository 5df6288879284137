//! What a secret does by itself: an end of its own, a rotation schedule, aliases, versions that are to be destroyed.

use std::collections::BTreeMap;

use google_cloud_secretmanager_v1::model;
use jiff::Timestamp;

/// What a secret does by itself. Times are the service's; `ttl` is an expiry to it as well.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conditions {
    /// When the whole secret deletes itself.
    pub expires: Option<Timestamp>,
    /// When its topics are told next that it is time to rotate it; none without a schedule.
    pub next_rotation: Option<Timestamp>,
    /// The Pub/Sub topics that hear of it, by their last names.
    pub topics: Vec<String>,
    /// Names for versions: such a name stays where it is when a version is added.
    pub aliases: BTreeMap<String, i64>,
}

impl Conditions {
    pub(super) fn of(secret: &model::Secret) -> Conditions {
        use model::secret::Expiration;
        let expires = match &secret.expiration {
            Some(Expiration::ExpireTime(at)) => Timestamp::new(at.seconds(), at.nanos()).ok(),
            // The service answers with the time alone; who stands in for it may not.
            Some(Expiration::Ttl(ttl)) => {
                let created = secret.create_time.as_ref().and_then(|at| Timestamp::new(at.seconds(), at.nanos()).ok());
                created.and_then(|at| at.checked_add(jiff::SignedDuration::from_secs(ttl.seconds())).ok())
            }
            _ => None,
        };
        let next = secret.rotation.as_ref().and_then(|rotation| rotation.next_rotation_time.as_ref());
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        Conditions {
            expires,
            next_rotation: next.and_then(|at| Timestamp::new(at.seconds(), at.nanos()).ok()),
            topics: secret.topics.iter().map(|topic| last(&topic.name)).collect(),
            aliases: secret.version_aliases.iter().map(|(name, version)| (name.clone(), *version)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_does_by_itself_is_read() {
        let at = |seconds| google_cloud_wkt::Timestamp::new(seconds, 0).expect("a time");
        let secret = model::Secret::new()
            .set_expire_time(at(100))
            .set_rotation(model::Rotation::new().set_next_rotation_time(at(50)))
            .set_topics([model::Topic::new().set_name("projects/p/topics/rotations")])
            .set_version_aliases([("prod", 3)]);
        let read = Conditions::of(&secret);
        assert_eq!(read.expires.map(|at| at.as_second()), Some(100));
        assert_eq!(read.next_rotation.map(|at| at.as_second()), Some(50));
        assert_eq!(
            (read.topics, read.aliases.into_iter().collect::<Vec<_>>()),
            (vec!["rotations".to_owned()], vec![("prod".to_owned(), 3)])
        );
        assert_eq!(Conditions::of(&model::Secret::new()), Conditions::default());
    }
}
