//! Since when a version is out of use.

use jiff::Timestamp;

use crate::facts::observation::{Observation, Source, Version};

/// When this version left use: as the record says, but not before its successor was created; where there is no record of it, then.
/// None where neither is known.
pub(super) fn unused_since(now: &Observation, source: Source, version: &Version) -> Option<Timestamp> {
    let successor = now.secret(source).version(version.id.next()).and_then(|next| next.created);
    let recorded = now.last_rotation.as_ref().filter(|last| last.from_version() == Some(version.id));
    let recorded = recorded.filter(|_| source == Source::Primary).and_then(|last| last.at.parse().ok());
    // The record has the clock of whoever rotated; the other date is Google's.
    recorded.max(successor)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{brief, on_record, seen};
    use super::super::*;
    use super::*;
    use crate::facts::observation::LastRotation;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    fn recorded(from: &str, at: i64, now: Observation) -> Observation {
        let (by, at, to) = ("alice".to_owned(), second(at).to_string(), "v4".to_owned());
        Observation { last_rotation: Some(LastRotation { by, at, from: from.to_owned(), to }), ..now }
    }

    #[test]
    fn a_version_left_use_when_its_successor_came() {
        let now = || seen("D@10 D@20 D@30 E4@40", "D@41 E4@50", (4, Some(4)), 4);
        for (name, now, source, version, left) in [
            ("its successor", now(), Source::Primary, 1, Some(20)),
            ("of the back-compat", now(), Source::BackCompat, 1, Some(50)),
            ("the newest has none", now(), Source::Primary, 4, None),
            ("the record says later", recorded("v3", 45, now()), Source::Primary, 3, Some(45)),
            ("the record has a clock that is behind", recorded("v3", 5, now()), Source::Primary, 3, Some(40)),
            ("the record is of another", recorded("v3", 45, now()), Source::Primary, 2, Some(30)),
            ("the record is of the primary", recorded("v1", 45, now()), Source::BackCompat, 1, Some(50)),
            ("the record cannot be read", recorded("soon", 45, now()), Source::Primary, 3, Some(40)),
            ("no date of the successor", seen("D@10 D E4@40", "", (4, None), 4), Source::Primary, 1, None),
            (
                "no date, and a record",
                recorded("v1", 45, seen("D D E4", "", (4, None), 3)),
                Source::Primary,
                1,
                Some(45),
            ),
        ] {
            let id = VersionId::new(version).expect("not zero");
            let version = now.secret(source).version(id).expect("it is there").clone();
            assert_eq!(unused_since(&now, source, &version), left.map(second), "{name}");
        }
    }

    #[test]
    fn what_is_destroyed_by_age_left_use_long_enough_ago() {
        let destroys = |before: Option<i64>, keep, now: &Observation| {
            let destroy = Some(Destroy { before: before.map(second), keep });
            let want = Want { goal: Goal::Finalize { destroy }, ..Want::default() };
            let plan = plan(&want, now);
            let skipped = plan.iter().flat_map(|plan| &plan.steps).filter_map(|planned| match planned {
                Planned::Skip(StepName::Destroy, why) => Some(why.clone()),
                Planned::Skip(..) | Planned::Do(_) => None,
            });
            let skipped = skipped.collect::<Vec<_>>().join("; ");
            (brief(plan), skipped)
        };
        let none = String::new;
        let retired = |now| on_record("primary/1-3", now);
        let now = retired(seen("D@10 D@20 D@30 E4@40", "E4@50", (4, Some(4)), 4));
        assert_eq!(destroys(None, 0, &now), ("destroy(v3,v2,v1)".to_owned(), none()));
        // Created before 25 are v1 and v2; v2 was in use until 30.
        assert_eq!(destroys(Some(25), 0, &now), ("destroy(v1)".to_owned(), none()));
        assert_eq!(destroys(Some(20), 0, &now), (none(), none()), "just then");
        assert_eq!(destroys(Some(35), 1, &now), ("destroy(v2,v1)".to_owned(), none()));
        let undated = retired(seen("D@10 D D@30 E4@40", "E4@50", (4, Some(4)), 4));
        assert_eq!(destroys(Some(35), 0, &undated), ("destroy(v2)".to_owned(), none()), "v1's successor has no date");
        // What is on its way already is shown, and not begun anew.
        let mut scheduled = now;
        scheduled.primary.conditions.scheduled = vec![(VersionId::new(2).expect("not zero"), second(900))];
        let (destroyed, shown) = destroys(None, 0, &scheduled);
        assert_eq!(destroyed, "destroy(v3,v1)");
        assert_eq!(shown, "v2 of acme_account_secret is scheduled to be destroyed on 1970-01-01T00:15:00Z");
    }
}
