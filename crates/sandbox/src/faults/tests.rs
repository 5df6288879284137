//! How faults are written, and how often they strike.

use super::*;

#[test]
fn faults_are_read_or_refused_with_the_way_to_write_them() {
    let cases = [
        ("hang", "hang None"),
        ("hang=addSecretVersion", "hang Some(\"addSecretVersion\")"),
        ("stale-latest=1.5s", "stale-latest Some(\"1.5s\")"),
        ("external-secrets-denied", "external-secrets-denied None"),
        ("forbidden=patch/deployments", "forbidden Some(\"patch/deployments\")"),
        ("stale-latest", "fault `stale-latest` is written `stale-latest=DURATION`, the value is missing"),
        ("conflict=many", "fault `conflict` is written `conflict=N`, `many` does not fit"),
        ("conflict=0", "fault `conflict` is written `conflict=N`, `0` does not fit"),
        ("gitops=yes", "fault `gitops` is written `gitops`, `yes` does not fit"),
        ("forbidden=patch", "fault `forbidden` is written `forbidden=VERB/RESOURCE`, `patch` does not fit"),
        ("denied=versions.add", "fault `denied` is written `denied=PERMISSION`, `versions.add` does not fit"),
        (
            "external-secrets-api=v1",
            "fault `external-secrets-api` is written `external-secrets-api=v1beta1|none`, `v1` does not fit",
        ),
        ("stale-lates=3s", "there is no fault `stale-lates`: did you mean `stale-latest`?"),
        ("lost", "there is no fault `lost`: did you mean `lost-answer`?"),
        ("sync", "there is no fault `sync`: did you mean `scheduled-sync` or `sync-failing` or `sync-slow`?"),
        ("earthquake", "there is no fault `earthquake`: `sandbox faults` lists them"),
        ("", "there is no fault ``: `sandbox faults` lists them"),
    ];
    for (text, expected) in cases {
        let seen = match text.parse::<Fault>() {
            Ok(fault) => format!("{} {:?}", fault.name, fault.value),
            Err(error) => error.to_string(),
        };
        assert_eq!(seen, expected, "{text}");
    }
}

#[test]
fn durations_have_units() {
    let cases = [
        ("500ms", Some(500)),
        ("2", Some(2000)),
        ("1.5s", Some(1500)),
        ("2m", Some(120_000)),
        ("1h", Some(3_600_000)),
        ("s", None),
        ("3d", None),
        ("-1s", None),
    ];
    for (text, millis) in cases {
        assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn a_fault_strikes_as_often_as_it_says() {
    let faults = Faults::new(["conflict=2", "etag-mismatch", "gitops"].map(|text| text.parse().unwrap()));
    assert_eq!([(); 3].map(|()| faults.take("conflict")), [true, true, false]);
    assert_eq!([(); 2].map(|()| faults.take("etag-mismatch")), [true, false]);
    assert!(faults.active("gitops") && faults.active("gitops") && !faults.active("conflict"));
    faults.add("too-many-requests-retry-after=3".parse().unwrap());
    assert_eq!(faults.value("too-many-requests-retry-after").as_deref(), Some("3"));
    assert_eq!([(); 3].map(|()| faults.take("too-many-requests-retry-after")), [true, true, false]);
    assert!(faults.remove("gitops") && !faults.remove("gitops"));
}

#[test]
fn an_operation_is_waited_for() {
    let faults = Faults::new(["hang=patch/deployments", "reset"].map(|text| text.parse().unwrap()));
    assert!(!faults.take_for("hang", "patch/leases", true));
    assert!(faults.take_for("hang", "patch/deployments", true));
    assert!(!faults.take_for("hang", "patch/deployments", true), "once");
    assert!(!faults.take_for("reset", "getSecret", false));
    assert!(faults.take_for("reset", "createSecret", true));
}

#[test]
fn the_nth_request_is_reached() {
    let faults = Faults::new(["hold=3".parse().unwrap()]);
    assert_eq!([(); 5].map(|()| faults.reached("hold", "x")), [false, false, true, false, false]);
    let faults = Faults::new(["hold=createSecret:2".parse().unwrap()]);
    let asked = ["createSecret", "getSecret", "createSecret", "createSecret"];
    assert_eq!(asked.map(|operation| faults.reached("hold", operation)), [false, false, true, false]);
    assert!("hold=createSecret".parse::<Fault>().is_err() && "hold=createSecret:0".parse::<Fault>().is_err());
}

#[test]
fn several_refusals_at_once() {
    let texts = ["forbidden=patch/deployments", "forbidden=*/secrets", "denied=secretmanager.versions.*"];
    let faults = Faults::new(texts.map(|text| text.parse().unwrap()));
    assert!(faults.forbids("patch", "deployments") && faults.forbids("get", "secrets"));
    assert!(!faults.forbids("patch", "deployments/status") && !faults.forbids("get", "deployments"));
    assert!(faults.denies("secretmanager.versions.add") && !faults.denies("secretmanager.secrets.get"));
}
