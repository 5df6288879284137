//! What an observation says of itself.

use super::*;
use crate::plan::tests::seen;

#[test]
fn a_reader_goes_by_its_kind_its_name_and_its_owner() {
    let reader = |owner: Option<&str>| OtherReader {
        kind: "Pod".to_owned(),
        name: "web-1".to_owned(),
        owner: owner.map(str::to_owned),
        running: true,
        ends: false,
        since: None,
        reasons: Vec::new(),
        secrets: Vec::new(),
        ..OtherReader::default()
    };
    for (owner, named, is_made_again) in [
        (None, "pod/web-1", false),
        (Some("Rollout/web"), "pod/web-1 of Rollout/web", true),
        (Some("ReplicaSet/web (gone)"), "pod/web-1 of ReplicaSet/web (gone)", false),
    ] {
        let reader = reader(owner);
        assert_eq!((reader.named().as_str(), reader.is_made_again()), (named, is_made_again));
    }
}

#[test]
fn a_value_goes_by_the_newest_version_that_has_it() {
    let now = seen("E1 D E3 E1", "E1 E7", (1, Some(7)), 4);
    let named = |value| now.name_of(ValueTag(value)).unwrap_or_default();
    assert_eq!(
        (named(1), named(3), named(7), named(9)),
        ("primary v4".into(), "primary v3".into(), "back-compat v2".into(), String::new())
    );
    let version = VersionId::new;
    let enabled = |value| now.enabled_with(ValueTag(value));
    assert_eq!(enabled(1), version(4).map(|id| (Source::Primary, id)));
    assert_eq!(enabled(7), version(2).map(|id| (Source::BackCompat, id)));
    assert_eq!(enabled(9), None);
    for (found, holds) in [
        (Found::Value(ValueTag(3)), "primary v3"),
        (Found::Value(ValueTag(9)), "unknown"),
        (Found::Unknown, "unknown"),
        (Found::Missing, "nothing"),
    ] {
        assert_eq!(now.holds(found), holds);
    }
}

/// What is given up by name counts as disabled, and nothing else changes.
#[test]
fn what_is_retired_is_taken_out_of_sight() {
    let now = seen("E1 E2 E3", "E1 E2", (3, Some(2)), 3);
    let one = VersionId::FIRST;
    let enabled = |view: &SecretView| {
        let enabled =
            view.versions.iter().filter(|version| version.state == VersionState::Enabled && version.value.is_some());
        enabled.map(|version| version.id.get()).collect::<Vec<_>>()
    };
    let after = |retired: &[(Source, VersionId)]| {
        let now = now.without(retired);
        (enabled(&now.primary), enabled(&now.back_compat))
    };
    assert_eq!(after(&[]), (vec![3, 2, 1], vec![2, 1]));
    assert_eq!(after(&[(Source::Primary, one)]), (vec![3, 2], vec![2, 1]));
    assert_eq!(after(&[(Source::BackCompat, one), (Source::Primary, one.next())]), (vec![3, 1], vec![2]));
}

#[test]
fn a_record_that_somebody_edited_names_no_version() {
    let last =
        |from: &str| LastRotation { by: String::new(), at: String::new(), from: from.to_owned(), to: String::new() };
    assert_eq!((last("v7").from_version(), last("seven").from_version()), (VersionId::new(7), None));
}
