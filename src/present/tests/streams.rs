//! Streams that fail, problems, notes, and text that would act on a terminal.

use insta::assert_snapshot;

use super::fixtures::{Stream, event, rotated, rotation, seen, terminal, whole};
use crate::known::KnownValues;
use crate::present::{Color, Output, Presenter, Progress, Style, Terminal};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::problem::{Exit, Problem, Reason};

fn stuck() -> Problem {
    Problem::new(Reason::RolloutStuck, "deployment acme/backend stopped progressing: ImagePullBackOff")
        .with_exit(Exit::Incomplete)
        .now("primary v8 is in every Secret; v7 is still enabled")
        .now("3 of 5 pods are on v8; all can read both")
        .hint("kubectl deepdesk secret rotate acme")
        .hint("kubectl deepdesk secret rollback acme")
}

#[test]
fn a_problem_says_what_now_and_next() {
    let mut seen = seen(Style::default(), Terminal::default());
    seen.presenter.problem(&stuck());
    assert_snapshot!(seen.err.text(), @"
    error: deployment acme/backend stopped progressing: ImagePullBackOff
    now: primary v8 is in every Secret; v7 is still enabled
    now: 3 of 5 pods are on v8; all can read both
    hint: kubectl deepdesk secret rotate acme
    hint: kubectl deepdesk secret rollback acme
    ");
    assert_eq!(seen.out.text(), "");
}

#[test]
fn colour_is_an_addition() {
    let told = |color| {
        let mut seen = seen(Style { color, ..Style::default() }, Terminal::default());
        seen.presenter.problem(&stuck());
        rotation().iter().for_each(|event| seen.presenter.event(event));
        seen.presenter.results(&[rotated()], &whole(&[rotated()]));
        seen.err.text() + &seen.out.text()
    };
    let (colored, plain) = (told(Color::Always), told(Color::Never));
    assert!(colored.contains("\u{1b}[31"), "{colored:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let mut bare = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        bare.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    assert_eq!(bare, plain);
    assert_eq!(told(Color::Auto), plain, "a pipe");
}

#[test]
fn colour_follows_each_stream_and_the_environment() {
    let told = |terminal| {
        let mut seen = seen(Style { progress: Progress::Plain, ..Style::default() }, terminal);
        seen.presenter.warning("w");
        seen.presenter.results(&[rotated()], &whole(&[rotated()]));
        (seen.err.text().contains('\u{1b}'), seen.out.text().contains('\u{1b}'))
    };
    let all = Terminal { no_color: false, ..terminal() };
    assert_eq!(told(all), (true, true));
    assert_eq!(told(Terminal { stdout: false, ..all }), (true, false));
    assert_eq!(told(Terminal { stderr: false, ..all }), (false, true));
    assert_eq!(told(Terminal { no_color: true, ..all }), (false, false));
}

#[test]
fn quiet_leaves_out_notes_alone() {
    let told = |quiet| {
        let mut seen = seen(Style { quiet, ..Style::default() }, Terminal::default());
        seen.presenter.note("a note");
        seen.presenter.warning("a warning");
        seen.err.text()
    };
    assert_eq!(told(false), "note: a note\nwarning: a warning\n");
    assert_eq!(told(true), "warning: a warning\n");
}

#[test]
fn with_json_progress_every_line_is_an_object() {
    let mut seen = seen(Style { progress: Progress::Json, ..Style::default() }, Terminal::default());
    seen.presenter.note("a note");
    seen.presenter.warning("a warning");
    seen.presenter.event(&event(0.0, StepName::Sync, StepState::Waiting, "a\nb \u{9b}2J \u{202e}"));
    seen.presenter.problem(&stuck());
    let text = seen.err.text();
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(objects.len(), 4);
    for object in &objects {
        for field in ["time", "account", "step", "state", "detail"] {
            assert!(object[field].is_string(), "{field} in {object}");
        }
    }
    assert_eq!(objects[2]["detail"], "a\nb \u{9b}2J \u{202e}");
    assert_eq!(objects[3]["reason"], "RolloutStuck");
    assert_eq!(objects[3]["exitCode"], 5);
    assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text:?}");
}

#[test]
fn nothing_from_a_server_acts_on_the_terminal() {
    let evil = "x\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\r\u{202e}y\nerror: forged\u{8}";
    let mut result = rotated();
    for text in [&mut result.message, &mut result.state, &mut result.context, &mut result.consumers[0].reasons[0]] {
        *text = evil.to_owned();
    }
    result.external_secrets[0].keys[0].key = evil.to_owned();
    result.checks[0].message = evil.to_owned();
    result.checks[0].hints = vec![evil.into()];
    result.steps[0].detail = evil.to_owned();
    for output in [Output::Human, Output::Wide, Output::Json, Output::Yaml, Output::Name] {
        for (progress, terminal) in [
            (Progress::Plain, Terminal::default()),
            (Progress::Json, Terminal::default()),
            (Progress::Auto, Terminal { no_color: true, ..terminal() }),
        ] {
            let mut seen = seen(Style { output, progress, ..Style::default() }, terminal);
            seen.presenter.event(&event(0.0, StepName::Sync, StepState::Failed, evil));
            seen.presenter.note(evil);
            seen.presenter.warning(evil);
            let mut problem = stuck();
            problem.message = evil.to_owned();
            problem.hints.push(evil.into());
            seen.presenter.problem(&problem);
            seen.presenter.results(&[result.clone(), result.clone()], &whole(&[result.clone(), result.clone()]));
            seen.presenter.results(std::slice::from_ref(&result), &whole(std::slice::from_ref(&result)));
            let text = seen.err.text() + &seen.out.text();
            assert!(!text.chars().any(|c| crate::present::text::acts(c) && c != '\n'), "{output:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{output:?}: {text}");
        }
    }
}

#[test]
fn a_reader_that_leaves_stops_nothing() {
    for closed in [0, 1, 40, 200] {
        for progress in [Progress::Auto, Progress::Plain, Progress::Json] {
            let (out, err) = (Stream::closed_after(closed), Stream::closed_after(closed));
            let style = Style { progress, output: Output::Json, ..Style::default() };
            let mut presenter =
                Presenter::with_spinner(style, terminal(), out.clone(), err.clone(), KnownValues::default(), false);
            assert!(presenter.stdout_error().is_none());
            for event in rotation() {
                presenter.event(&event);
                assert_eq!(presenter.suspend(|| 1), 1);
            }
            presenter.problem(&stuck());
            presenter.results(&[rotated()], &whole(&[rotated()]));
            presenter.results(&[rotated()], &whole(&[rotated()]));
            assert_eq!(presenter.stdout_error().map(std::io::Error::kind), Some(std::io::ErrorKind::BrokenPipe));
            assert_eq!(presenter.stderr_error(), Some(std::io::ErrorKind::BrokenPipe));
            assert_eq!((out.len(), err.len() <= closed), (closed, true));
        }
    }
}

#[test]
fn a_presenter_may_be_shared_by_the_accounts_of_a_run() {
    fn goes_to_another_thread<T: Send>() {}
    goes_to_another_thread::<Presenter<std::io::Stdout, std::io::Stderr>>();
}
