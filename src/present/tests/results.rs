//! The result, in each form.

use insta::assert_snapshot;

use super::fixtures::{check, drifted, rotated, seen, stopped, verified, whole};
use crate::present::{Listing, Output, Style, Terminal};
use deepdesk_protocol::result::{AccountResult, Kind, Verdict};

fn shown(output: Output, results: &[AccountResult]) -> String {
    let mut seen = seen(Style { output, ..Style::default() }, Terminal::default());
    seen.presenter.results(results, &whole(results));
    assert_eq!(seen.err.text(), "", "the result goes to standard output");
    let text = seen.out.text();
    if output == Output::Human {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "more than 80 columns: {line}");
        }
    }
    text
}

fn other(result: AccountResult, account: &str) -> AccountResult {
    AccountResult { account: account.to_owned(), namespace: account.to_owned(), ..result }
}

#[test]
fn a_rotation_says_what_changed_and_what_is_due() {
    assert_snapshot!(shown(Output::Human, &[rotated()]), @"
    acme rotated: primary v7 → v8, v7 disabled; back-compat v1 holds primary v7

    KIND         NAME      PODS   ON-LATEST   OLDER
    Deployment   admin     2      2           0
    Deployment   backend   2      2           0
    Deployment   worker    1      1           0

    not restarted: cronjob/report: it runs now, on the value that it started with
    interruption: 14.2s in which pods on the old and on the new value both served
    due: save every encrypted field again, under primary v8: acme.
         Then retire the old value: kubectl deepdesk secret finalize acme.
         Until then the back-compat stays, and another rotation is refused
    ");
}

#[test]
fn a_stopped_rotation_says_how_far_it_came() {
    assert_snapshot!(shown(Output::Human, &[stopped()]), @"
    acme incomplete: primary v7 → v8, v7 enabled; back-compat v1 holds primary v7

    KIND         NAME      PODS   ON-LATEST   OLDER
    Deployment   admin     2      2           0
    Deployment   backend   2      1           1
    Deployment   worker    1      1           0

    not restarted: cronjob/report: it runs now, on the value that it started with
    ");
}

#[test]
fn a_refused_rotation_leaves_the_word_to_the_problem() {
    let refused = AccountResult { exit_code: 4, reason: "Drifted".to_owned(), ..rotated() };
    assert_eq!(shown(Output::Human, &[refused]), "");
}

#[test]
fn a_dry_run_says_so_and_shows_the_steps() {
    let dry = AccountResult {
        dry_run: true,
        consumers: Vec::new(),
        interruption_seconds: None,
        state: "Stable".to_owned(),
        ..rotated()
    };
    assert_snapshot!(shown(Output::Human, &[dry]), @"
    acme rotated (dry run): primary v7 → v8

    STEP   STATE   SECONDS   DETAIL
    sync   done    4.2       4 keys compared: all hold what they should
    ");
}

#[test]
fn wide_adds_the_reasons_and_the_checks_that_passed() {
    assert_snapshot!(shown(Output::Wide, &[rotated()]), @"
    acme rotated: primary v7 → v8, v7 disabled; back-compat v1 holds primary v7

    context     gke_p_l_c
    project     p
    namespace   acme
    state       AwaitingReencryption

    PLACE                                           HOLDS        EXPECTED
    secret/admin-secrets SECRET_KEY                 primary v8   primary v8
    secret/admin-secrets SECRET_KEY_BACK_COMPAT     primary v7   primary v7
    secret/backend-secrets SECRET_KEY               primary v8   primary v8
    secret/backend-secrets SECRET_KEY_BACK_COMPAT   primary v7   primary v7

    KIND         NAME      PODS   ON-LATEST   OLDER   REASON
    Deployment   admin     2      2           0       container admin: envFrom admin-secrets
    Deployment   backend   2      2           0       container backend: envFrom backend-secrets
    Deployment   worker    1      1           0       container worker: env SECRET_KEY from backend-secrets

    STEP   STATE   SECONDS   DETAIL
    sync   done    4.2       4 keys compared: all hold what they should

    pass  external-secrets/ready (DD-ES-READY)

    not restarted: cronjob/report: it runs now, on the value that it started with
    interruption: 14.2s in which pods on the old and on the new value both served
    due: save every encrypted field again, under primary v8: acme.
         Then retire the old value: kubectl deepdesk secret finalize acme.
         Until then the back-compat stays, and another rotation is refused
    ");
}

#[test]
fn a_verification_has_a_row_a_place() {
    assert_snapshot!(shown(Output::Human, &[verified()]), @"
    PLACE                                           HOLDS        EXPECTED
    acme_account_secret                             primary v8   primary v8
    acme_account_secret_back_compat                 primary v7   -
    secret/admin-secrets SECRET_KEY                 primary v8   primary v8
    secret/admin-secrets SECRET_KEY_BACK_COMPAT     primary v7   primary v7
    secret/backend-secrets SECRET_KEY               primary v8   primary v8
    secret/backend-secrets SECRET_KEY_BACK_COMPAT   primary v7   primary v7
    deployment/admin                                primary v8   primary v8
    deployment/backend                              primary v8   primary v8
    deployment/worker                               primary v8   primary v8

    acme: all on primary v8
    due: save every encrypted field again, under primary v8: acme.
         Then retire the old value: kubectl deepdesk secret finalize acme.
         Until then the back-compat stays, and another rotation is refused
    ");
    assert_snapshot!(shown(Output::Human, &[drifted()]), @"
    PLACE                                           HOLDS               EXPECTED
    acme_account_secret                             primary v8          primary v8
    acme_account_secret_back_compat                 primary v7          -
    secret/admin-secrets SECRET_KEY                 primary v7          primary v8
    secret/admin-secrets SECRET_KEY_BACK_COMPAT     primary v7          primary v7
    secret/backend-secrets SECRET_KEY               primary v8          primary v8
    secret/backend-secrets SECRET_KEY_BACK_COMPAT   primary v7          primary v7
    deployment/admin                                1 of 2 pods older   primary v8
    deployment/backend                              primary v8          primary v8
    deployment/worker                               primary v8          primary v8

    FAIL  secrets/on-latest (DD-KEYS)
          secret/admin-secrets SECRET_KEY holds primary v7, not primary v8
          hint: kubectl deepdesk secret sync acme
    warn  consumers/replicas (DD-REPLICAS)
          deployment/worker has one replica

    acme: not as it should be (state Drifted): 1 check failed
    ");
}

#[test]
fn what_cannot_be_compared_says_so() {
    let mut result = verified();
    result.external_secrets[0].keys[0].holds = "unknown".to_owned();
    let text = shown(Output::Human, &[result]);
    assert!(text.contains(" SECRET_KEY                 unknown      not compared"), "{text}");
}

#[test]
fn a_sync_and_a_restart_are_short() {
    let sync = AccountResult { kind: Kind::SecretSync, state: "Stable".to_owned(), ..verified() };
    assert_snapshot!(shown(Output::Human, &[sync]), @"
    acme synced: primary v8; back-compat v1 holds primary v7

    PLACE                                           HOLDS        EXPECTED
    secret/admin-secrets SECRET_KEY                 primary v8   primary v8
    secret/admin-secrets SECRET_KEY_BACK_COMPAT     primary v7   primary v7
    secret/backend-secrets SECRET_KEY               primary v8   primary v8
    secret/backend-secrets SECRET_KEY_BACK_COMPAT   primary v7   primary v7
    ");
    let restart = AccountResult {
        kind: Kind::SecretRestart,
        interruption_seconds: Some(9.0),
        other_readers: Vec::new(),
        not_looked_at: Vec::new(),
        state: "Stable".to_owned(),
        ..verified()
    };
    assert_snapshot!(shown(Output::Human, &[restart]), @"
    acme restarted: 5 of 5 pods on primary v8

    KIND         NAME      PODS   ON-LATEST   OLDER
    Deployment   admin     2      2           0
    Deployment   backend   2      2           0
    Deployment   worker    1      1           0

    interruption: 9.0s in which pods on the old and on the new value both served
    ");
}

#[test]
fn several_accounts_share_a_table() {
    let rotations = [rotated(), other(rotated(), "globex"), other(stopped(), "initech")];
    assert_snapshot!(shown(Output::Human, &rotations), @"
    NAME      STATE                  PRIMARY   PODS   INTERRUPTED   REASON
    acme      AwaitingReencryption   v7 → v8   5/5    14.2s         -
    globex    AwaitingReencryption   v7 → v8   5/5    14.2s         -
    initech   Rotating               v7 → v8   4/5    -             RolloutStuck

    2 of 3 accounts rotated
    due: save every encrypted field again, under the newest version: acme globex.
         Then retire the old value: kubectl deepdesk secret finalize acme globex.
         Until then the back-compat stays, and another rotation is refused
    ");
    let verifications = [verified(), other(drifted(), "globex")];
    assert_snapshot!(shown(Output::Human, &verifications), @"
    NAME     STATE                  PRIMARY   PODS   REASON
    acme     AwaitingReencryption   v8        5/5    -
    globex   Drifted                v8        4/5    Drifted

    1 of 2 accounts all on the newest version
    due: save every encrypted field again, under the newest version: acme.
         Then retire the old value: kubectl deepdesk secret finalize acme.
         Until then the back-compat stays, and another rotation is refused

    globex:
    FAIL  secrets/on-latest (DD-KEYS)
          secret/admin-secrets SECRET_KEY holds primary v7, not primary v8
          hint: kubectl deepdesk secret sync acme
    warn  consumers/replicas (DD-REPLICAS)
          deployment/worker has one replica
    ");
    assert_eq!(shown(Output::Human, &[]), "");
}

#[test]
fn names_are_of_what_ended_well() {
    let text = shown(Output::Name, &[rotated(), other(stopped(), "initech"), other(verified(), "globex")]);
    assert_eq!(text, "secretrotation.deepdesk.com/acme\nsecretverification.deepdesk.com/globex\n");
}

#[test]
fn one_result_is_an_object_and_several_are_a_list() {
    let parse = |text: String| serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    let one = parse(shown(Output::Json, &[rotated()]));
    assert_eq!(one, serde_json::to_value(rotated()).expect("a result serializes"));
    assert!(shown(Output::Json, &[rotated()]).starts_with("{\n    \"apiVersion\": \"deepdesk.com/v1\",\n"));
    let several = parse(shown(Output::Json, &[rotated(), verified()]));
    assert_eq!((&several["kind"], &several["apiVersion"]), (&"List".into(), &"deepdesk.com/v1".into()));
    assert_eq!(several["items"][0], one);
    assert_eq!(parse(shown(Output::Json, &[]))["items"], serde_json::json!([]));
}

#[test]
fn yaml_says_the_same_as_json() {
    let text = shown(Output::Yaml, &[stopped(), drifted()]);
    let read: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let items = serde_json::to_value([stopped(), drifted()]).expect("results serialize");
    assert_eq!(read["items"], items);
    let mut small = verified();
    small.external_secrets.clear();
    small.consumers.clear();
    small.other_readers.clear();
    assert_snapshot!(shown(Output::Yaml, &[small]), @r#"
    apiVersion: deepdesk.com/v1
    kind: SecretVerification
    account: acme
    namespace: acme
    context: gke_p_l_c
    project: p
    state: AwaitingReencryption
    reason: ""
    message: ""
    exitCode: 0
    problem: null
    primary:
      secret: acme_account_secret
      latest: "8"
      versions:
      - version: "8"
        state: ENABLED
        created: null
      - version: "7"
        state: DISABLED
        created: null
    backCompat:
      secret: acme_account_secret_back_compat
      latest: "1"
      holds: primary v7
      live: true
    externalSecrets: []
    consumers: []
    otherReaders: []
    readers: []
    checks:
    - id: DD-ES-READY
      name: external-secrets/ready
      result: pass
      message: ""
      hint: ""
    live: []
    next: []
    "#);
}

#[test]
fn checks_and_lists_take_every_form() {
    let checks = [
        check("DD-API", "cluster/reachable", Verdict::Pass, "", ""),
        check("DD-IAM", "secret-manager/access", Verdict::Fail, "no secretmanager.versions.add", "ask an owner for it"),
    ];
    let listing = Listing {
        titles: vec!["NAME", "STATE", "AGE"],
        rows: vec![vec!["acme".to_owned(), "Stable".to_owned(), "3d".to_owned()], vec!["globex".to_owned(); 3]],
        names: vec!["secretstatus.deepdesk.com/acme".to_owned()],
    };
    let object = serde_json::json!({"kind": "Thing", "n": 1});
    let shown = |output| {
        let mut seen = seen(Style { output, ..Style::default() }, Terminal::default());
        seen.presenter.checks(&object, &checks);
        seen.presenter.list(&object, &listing);
        seen.presenter.line("2 accounts");
        seen.out.text()
    };
    assert_snapshot!(shown(Output::Human), @"
    pass  cluster/reachable (DD-API)
    FAIL  secret-manager/access (DD-IAM)
          no secretmanager.versions.add
          hint: ask an owner for it
    NAME     STATE    AGE
    acme     Stable   3d
    globex   globex   globex
    2 accounts
    ");
    assert_snapshot!(shown(Output::Json), @r#"
    {
        "kind": "Thing",
        "n": 1
    }
    {
        "kind": "Thing",
        "n": 1
    }
    "#);
    assert_snapshot!(shown(Output::Yaml), @r#"
    kind: Thing
    "n": 1
    kind: Thing
    "n": 1
    "#);
    assert_snapshot!(shown(Output::Name), @"
    cluster/reachable
    secretstatus.deepdesk.com/acme
    ");
}
