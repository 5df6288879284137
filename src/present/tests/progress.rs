//! Progress through a pipe, on a terminal, and as JSON.

use insta::assert_snapshot;

use super::fixtures::{Stream, event, event_of, rotation, screen, seen, terminal};
use crate::known::KnownValues;
use crate::present::{Presenter, Progress, Style, Terminal};
use deepdesk_protocol::event::{Event, StepName, StepState};

/// What standard error shows after the events: a pipe as it is, a terminal as it looks.
fn shown(progress: Progress, terminal: Terminal, events: &[Event]) -> String {
    let mut seen = seen(Style { progress, ..Style::default() }, terminal);
    events.iter().for_each(|event| seen.presenter.event(event));
    assert_eq!(seen.out.text(), "", "standard output is for the result");
    let text = seen.err.text();
    if terminal.stderr { screen(&text, terminal.width) } else { text }
}

#[test]
fn through_a_pipe_each_news_is_a_line() {
    assert_snapshot!(shown(Progress::Auto, Terminal::default(), &rotation()), @"
    acme  preflight started
    acme  preflight warning  deployment/admin has one replica: it is away while it restarts
    acme  preflight done     2 ExternalSecrets, 3 consumers with 5 pods (0.8s)
    acme  lock      started
    acme  lock      done     Lease acme/deepdesk-rotation (0.1s)
    acme  preserve  skipped  back-compat v1 already holds primary v7
    acme  stage     skipped  every Secret already holds it
    acme  introduce started
    acme  introduce done     primary v8, read back by number (0.3s)
    acme  sync      started  admin-secrets, backend-secrets
    acme  sync      waiting  admin-secrets: SECRET_KEY still holds primary v7
    acme  sync      waiting  backend-secrets: SECRET_KEY still holds primary v7
    acme  sync      done     4 keys compared: all hold what they should (4.2s)
    acme  restart   started  deployment/admin, deployment/backend, deployment/worker
    acme  restart   waiting  deployment/admin: 1 of 2 new pods available
    acme  restart   waiting  deployment/admin: 2 old pods still terminating
    acme  restart   done     5 pods on primary v8, no old pod left (14.2s)
    acme  verify    started
    acme  verify    done     all on primary v8 (0.4s)
    acme  commit    started
    acme  commit    done     v7 disabled (0.2s)
    acme  unlock    started
    acme  unlock    done     (0.1s)
    ");
}

#[test]
fn on_a_terminal_each_step_is_a_line() {
    assert_snapshot!(shown(Progress::Auto, terminal(), &rotation()), @"
    ! acme  preflight          deployment/admin has one replica: it is away while it
                               restarts
    ✓ acme  preflight    0.8s  2 ExternalSecrets, 3 consumers with 5 pods
    ✓ acme  lock         0.1s  Lease acme/deepdesk-rotation
    – acme  preserve           back-compat v1 already holds primary v7
    – acme  stage              every Secret already holds it
    ✓ acme  introduce    0.3s  primary v8, read back by number
    ✓ acme  sync         4.2s  4 keys compared: all hold what they should
    ✓ acme  restart     14.2s  5 pods on primary v8, no old pod left
    ✓ acme  verify       0.4s  all on primary v8
    ✓ acme  commit       0.2s  v7 disabled
    ✓ acme  unlock       0.1s
    ");
}

#[test]
fn a_running_step_says_what_it_waits_for() {
    let until = |n: usize| shown(Progress::Auto, terminal(), &rotation()[..n]);
    assert_snapshot!(until(10), @"
    ! acme  preflight          deployment/admin has one replica: it is away while it
                               restarts
    ✓ acme  preflight    0.8s  2 ExternalSecrets, 3 consumers with 5 pods
    ✓ acme  lock         0.1s  Lease acme/deepdesk-rotation
    – acme  preserve           back-compat v1 already holds primary v7
    – acme  stage              every Secret already holds it
    ✓ acme  introduce    0.3s  primary v8, read back by number
    ⠙ acme  sync           0s  admin-secrets, backend-secrets
    ");
    assert_snapshot!(until(12), @"
    ! acme  preflight          deployment/admin has one replica: it is away while it
                               restarts
    ✓ acme  preflight    0.8s  2 ExternalSecrets, 3 consumers with 5 pods
    ✓ acme  lock         0.1s  Lease acme/deepdesk-rotation
    – acme  preserve           back-compat v1 already holds primary v7
    – acme  stage              every Secret already holds it
    ✓ acme  introduce    0.3s  primary v8, read back by number
    ⠸ acme  sync      waiting 0s: backend-secrets: SECRET_KEY still holds primary v7
    ");
}

#[test]
fn a_line_that_is_rewritten_fits_the_terminal() {
    let long =
        "external secret backend-secrets: SecretSyncedError: could not get secret data from provider 日本語".repeat(2);
    for width in [20, 40, 80, 200] {
        let terminal = Terminal { width, ..terminal() };
        let mut events = rotation()[..10].to_vec();
        for n in 0..30 {
            let detail = format!("{n}{long}");
            events.push(event(2.0, StepName::Sync, StepState::Waiting, &detail));
        }
        let text = shown(Progress::Auto, terminal, &events);
        assert_eq!(text.matches("waiting").count(), usize::from(width > 30), "at {width}:\n{text}");
        let last = text.lines().last().expect("a line");
        assert!(crate::present::text::columns(last) <= width, "{last:?}");
        events.push(event(9.0, StepName::Sync, StepState::Failed, &long));
        assert!(shown(Progress::Auto, terminal, &events).contains('✗'));
    }
}

#[test]
fn several_accounts_have_a_line_each() {
    use StepName::{Preflight, Sync};
    use StepState::{Done, Failed, Started, Waiting};
    let mut events = Vec::new();
    for account in ["acme", "globex", "initech"] {
        events.push(event_of(account, 0.0, Preflight, Started, ""));
    }
    events.push(event_of("globex", 0.7, Preflight, Done, "2 ExternalSecrets, 3 consumers"));
    events.push(event_of("globex", 0.7, Sync, Started, "admin-secrets, backend-secrets"));
    events.push(event_of("acme", 0.9, Preflight, Done, "2 ExternalSecrets, 3 consumers"));
    events.push(event_of("acme", 0.9, Sync, Waiting, "admin-secrets: SECRET_KEY still holds primary v7"));
    events.push(event_of("initech", 1.5, Preflight, Failed, "no access to initech_account_secret"));
    assert_snapshot!(shown(Progress::Auto, terminal(), &events), @"
    ✓ globex   preflight    0.7s  2 ExternalSecrets, 3 consumers
    ✓ acme     preflight    0.9s  2 ExternalSecrets, 3 consumers
    ✗ initech  preflight    1.5s  no access to initech_account_secret
    ⠙ globex   sync           0s  admin-secrets, backend-secrets
    ⠙ acme     sync      waiting 0s: admin-secrets: SECRET_KEY still holds primary…
    ");
    events.push(event_of("globex", 3.0, Sync, Done, ""));
    events.push(event_of("acme", 3.0, Sync, Done, ""));
    assert_snapshot!(shown(Progress::Auto, terminal(), &events), @"
    ✓ globex   preflight    0.7s  2 ExternalSecrets, 3 consumers
    ✓ acme     preflight    0.9s  2 ExternalSecrets, 3 consumers
    ✗ initech  preflight    1.5s  no access to initech_account_secret
    ✓ globex   sync         2.3s
    ✓ acme     sync
    ");
}

#[test]
fn the_spinner_turns_while_nothing_happens() {
    let err = Stream::default();
    let mut presenter =
        Presenter::new(Style::default(), terminal(), Stream::default(), err.clone(), KnownValues::default());
    presenter.resize_with(|| (100, 24));
    rotation()[..11].iter().for_each(|event| presenter.event(event));
    // Many changes while the other thread draws: neither may wait for the other for ever.
    for n in 0..2_000 {
        presenter.event(&event(2.0, StepName::Sync, StepState::Waiting, &format!("change {n}")));
        presenter.event(&event_of("globex", 2.0, StepName::Restart, StepState::Started, ""));
    }
    std::thread::sleep(std::time::Duration::from_millis(1_300));
    let text = err.text();
    assert!(text.contains("waiting 1s: change 1999"), "{}", screen(&text, 100));
    let frames = ["⠋", "⠙", "⠹", "⠸"].iter().filter(|frame| text.contains(**frame)).count();
    assert_eq!(frames, 4);
    presenter.finish();
    assert!(!screen(&err.text(), 100).contains("waiting"));
}

#[test]
fn nothing_is_left_when_the_presenter_goes() {
    let mut seen = seen(Style::default(), terminal());
    rotation()[..11].iter().for_each(|event| seen.presenter.event(event));
    assert!(screen(&seen.err.text(), 80).contains("waiting 0s"));
    drop(seen.presenter);
    assert!(!screen(&seen.err.text(), 80).contains("waiting"));
}

#[test]
fn nothing_is_drawn_during_a_question() {
    let mut seen = seen(Style::default(), terminal());
    seen.presenter.event(&event(0.0, StepName::Confirm, StepState::Started, ""));
    let err = seen.err.clone();
    let during = seen.presenter.suspend(|| screen(&err.text(), 80));
    assert_eq!(during, "");
    assert_snapshot!(screen(&seen.err.text(), 80), @"⠙ acme  confirm        0s");
}

#[test]
fn json_is_the_event_and_nothing_else() {
    let events = &rotation()[10..12];
    let text = shown(Progress::Json, Terminal::default(), events);
    let lines: Vec<String> =
        events.iter().map(|event| serde_json::to_string(event).expect("an event serializes")).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn without_progress_warnings_remain() {
    assert_snapshot!(shown(Progress::None, terminal(), &rotation()), @"
    warning: acme: preflight: deployment/admin has one replica: it is away while it
             restarts
    ");
}

#[test]
fn a_wait_is_told_again_when_it_changes() {
    let wait = |detail| event(1.0, StepName::Sync, StepState::Waiting, detail);
    let events = ["a: old", "b: old", "a: old", "b: older", "a: failing", "a: old", "plain", "plain"].map(wait);
    assert_snapshot!(shown(Progress::Plain, Terminal::default(), &events), @"
    acme  sync      waiting  a: old
    acme  sync      waiting  b: old
    acme  sync      waiting  b: older
    acme  sync      waiting  a: failing
    acme  sync      waiting  a: old
    acme  sync      waiting  plain
    ");
}
