//! Names, values and durations: what is taken is what the rules say, whatever is given.

use deepdesk_protocol::facts::names::{AccountName, ObjectName, ProjectId, SecretId, WorkloadRef, acts, printable};
use deepdesk_protocol::facts::payload::{MAXIMUM_BYTES, MINIMUM_LENGTH, Payload, check_new_value};
use kubectl_deepdesk::observe::vault;
use proptest::prelude::*;

use crate::input::{holds, is_one_clear_line};

#[test]
fn names_are_those_that_the_rules_allow() {
    let label = regex::Regex::new("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$").expect("a pattern");
    let secret = regex::Regex::new("^[A-Za-z0-9_-]{1,255}$").expect("a pattern");
    let text =
        prop_oneof!["[a-z0-9-]{0,66}", "[A-Za-z0-9_-]{250,258}", any::<String>(), "[a-z]{1,3}[\\x00-\\x7f][a-z]{1,3}"];
    holds("names", 4000, text, |text| {
        let told = |error: String| is_one_clear_line(&error);
        assert_eq!(
            text.parse::<AccountName>().map_err(|e| told(e.to_string())).is_ok(),
            label.is_match(&text),
            "{text:?}"
        );
        assert_eq!(
            text.parse::<SecretId>().map_err(|e| told(e.to_string())).is_ok(),
            secret.is_match(&text),
            "{text:?}"
        );
        if let Ok(name) = text.parse::<ObjectName>() {
            assert!(text.len() <= 253 && name.to_string() == text);
        }
        if let Ok(project) = text.parse::<ProjectId>() {
            assert!(!project.as_str().contains(['/', '?', '#', '%', ' ']), "{text:?}");
        }
        if let Ok(workload) = text.parse::<WorkloadRef>() {
            assert!(!workload.name.as_str().contains('/'), "{text:?}");
        }
    });
}

#[test]
fn what_is_shown_does_not_act() {
    holds("text for a terminal", 4000, any::<String>(), |text| {
        let shown = printable(&text);
        assert!(!shown.chars().any(acts), "{text:?}");
        assert_eq!(shown.chars().count(), text.chars().count());
    });
}

#[test]
fn a_new_value_is_taken_by_the_rules() {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "\\PC{20,60}".prop_map(String::into_bytes),
        "[ \n\t\u{a0}]?[!-~]{28,36}[ \n\u{2003}]?".prop_map(String::into_bytes),
        (MAXIMUM_BYTES - 2..MAXIMUM_BYTES + 3).prop_map(|length| vec![b'x'; length]),
    ];
    holds("new values", 4000, value, |bytes| {
        let taken = check_new_value(&Payload::new(bytes.clone()));
        let fits = std::str::from_utf8(&bytes).is_ok_and(|text| {
            text.trim() == text && !text.chars().any(char::is_control) && text.chars().count() >= MINIMUM_LENGTH
        });
        assert_eq!(taken.is_ok(), fits && bytes.len() <= MAXIMUM_BYTES, "{taken:?}: {bytes:?}");
        if let Err(error) = taken {
            is_one_clear_line(&error.to_string());
        }
    });
}

#[test]
fn bytes_follow_from_a_value_and_from_no_other() {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "\\{\"p\": ?(\"[a-c\\\\\"n]{0,4}\"|[0-9]{1,3}|null|\\[\\])\\}".prop_map(String::into_bytes)
    ];
    let property = prop::option::of("[pq.0]{1,3}");
    let decoding = prop::option::of("(Base64|Base64URL|Auto|Other)");
    let strategy = (bytes.clone(), bytes, property, decoding);
    holds("what follows from a value", 4000, strategy, |(value, held, property, decoding)| {
        use kubectl_deepdesk::observe::mappings::Transform;
        let plain = property.is_none() && decoding.is_none();
        let transform = Transform { property, decoding, extract: false };
        let (value, held, same) = (Payload::new(value.clone()), Payload::new(held.clone()), value == held);
        let follows = vault::follows(&value, &held, &transform);
        if plain {
            assert_eq!(follows, same);
            assert!(vault::follows(&value, &value, &transform));
        }
        vault::properties(&value);
    });
}
