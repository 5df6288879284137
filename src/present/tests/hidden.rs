//! No known value is in anything that is written, in any form of it, whoever said it and wherever it is shown.

use base64::Engine as _;
use serde_json::json;

use super::fixtures::{check, event, rotated, seen_knowing, terminal, whole};
use crate::known::KnownValues;
use crate::present::{Listing, Output, Progress, Style, Terminal, machine};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::result::{AccountResult, Verdict};

/// With what JSON, YAML and HTML write otherwise, and what begins a list in YAML.
const VALUE: &str = r#"q3VbZr8m"Kx1TnYc5\HsWd9LpGf2<Jv&Rt7QaEu4'XoBi6NwMhDzCkSyPgUj"#;

fn quoting() -> Vec<String> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(VALUE);
    let hex: String = VALUE.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        VALUE.to_owned(),
        format!("refused: {VALUE}"),
        base64,
        hex,
        format!("{:?}", VALUE.as_bytes()),
        format!("starts with {}…", &VALUE[..30]),
    ]
}

/// The text wherever one may be shown, by one presenter that knows the value only when some of it is drawn already.
fn written(text: &str, style: Style, terminal: Terminal) -> String {
    let known = KnownValues::default();
    let mut seen = seen_knowing(style, terminal, known.clone());
    let early = event(1.0, StepName::Sync, StepState::Started, text);
    known.keep(&Payload::new(VALUE.as_bytes().to_vec()));
    seen.presenter.event(&early);
    for state in [StepState::Waiting, StepState::Warning, StepState::Output, StepState::Done] {
        seen.presenter.event(&event(2.0, StepName::Sync, state, text));
    }
    seen.presenter.problem(&Problem::new(Reason::Invalid, text).now(text).hint(text));
    seen.presenter.note(text);
    seen.presenter.warning(text);
    seen.presenter.request(text);
    seen.presenter.line(text);
    let result = quoted(text);
    seen.presenter.checks(&result, &result.checks);
    seen.presenter.statuses(
        std::slice::from_ref(&result),
        &crate::present::Whole { as_list: true, exit_code: 0, problem: None },
        event(3.0, StepName::Sync, StepState::Done, "").time,
    );
    let all = [result];
    seen.presenter.results(&all, &whole(&all));
    let listing = Listing { titles: vec!["NAME"], rows: vec![vec![text.to_owned()]], names: vec![text.to_owned()] };
    seen.presenter.list(&json!([text]), &listing);
    seen.out.text() + &seen.err.text()
}

fn quoted(text: &str) -> AccountResult {
    let mut result = rotated();
    result.message = text.to_owned();
    result.exposed = vec![text.to_owned()];
    result.checks = vec![check("DD-X", "x/y", Verdict::Fail, text, text)];
    result.steps.iter_mut().for_each(|step| step.detail = text.to_owned());
    result
}

#[track_caller]
fn has_none(text: &str, written: &str, what: &str) {
    assert!(written.contains("[redacted]"), "{what}: {text} was not told: {written}");
    let known = KnownValues::default();
    known.keep(&Payload::new(VALUE.as_bytes().to_vec()));
    assert_eq!(known.hidden_in(written), written, "{what}");
    // Told by other means than those that hide it.
    for piece in ["cHsWd9LpGf2", "HsWd9LpGf2", "U5XFxIc1dkOUxwR2Yy", "487357644", "5c487357", "72, 115, 87, 100"] {
        assert!(!written.contains(piece), "{what}: {piece} in {written}");
    }
}

#[test]
fn nothing_that_is_written_has_a_known_value_in_it() {
    for text in quoting() {
        for output in [Output::Human, Output::Wide, Output::Json, Output::Yaml, Output::Name] {
            for (progress, terminal) in [
                (Progress::Auto, terminal()),
                (Progress::Plain, Terminal::default()),
                (Progress::Json, Terminal::default()),
                (Progress::None, Terminal::default()),
            ] {
                let style = Style { output, progress, ..Style::default() };
                has_none(&text, &written(&text, style, terminal), &format!("{output:?} {progress:?}"));
            }
        }
    }
}

#[test]
fn what_programs_read_stays_readable() {
    for text in quoting() {
        let known = KnownValues::default();
        known.keep(&Payload::new(VALUE.as_bytes().to_vec()));
        let made = machine::json(&quoted(&text), &known);
        let json: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        assert!(json["message"].as_str().expect("text").contains("[redacted]"), "{made}");
        let made = machine::yaml(&quoted(&text), &known);
        let yaml: serde_json::Value = serde_saphyr::from_str(&made).expect("YAML");
        assert_eq!(yaml["message"], json["message"]);
    }
}
