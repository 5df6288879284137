use super::*;

/// What a value is for a run of 500 accounts, or what is said of it.
fn of<T: std::str::FromStr<Err = FlagError>>(given: &str, size: impl Fn(T) -> usize) -> Result<usize, &'static str> {
    given.parse().map(size).map_err(|error: FlagError| error.0)
}

#[test]
fn counts_and_percentages_are_read_and_nothing_else_is() {
    let rows = [
        // given, concurrency, failures
        ("10", Some(10), Some(10)),
        ("1", Some(1), Some(1)),
        ("0", None, Some(0)),
        ("25%", Some(125), Some(125)),
        ("100%", Some(500), Some(500)),
        ("0%", None, Some(0)),
        ("101%", None, None),
        ("256%", None, None),
        ("-1", None, None),
        ("+1", None, None),
        ("1.5", None, None),
        ("2.5%", None, None),
        ("10 ", None, None),
        ("10 %", None, None),
        ("%", None, None),
        ("", None, None),
        ("ten", None, None),
        ("١٠", None, None),
        ("99999999999", None, None),
    ];
    for (given, concurrency, failures) in rows {
        let read = of(given, |concurrency: Concurrency| concurrency.0.of(500));
        assert_eq!(read.ok(), concurrency, "--max-concurrency {given:?}");
        assert_eq!(of(given, |failures: MaxFailures| failures.0.of(500)).ok(), failures, "--max-failures {given:?}");
    }
    let said = "0".parse::<Concurrency>().expect_err("nobody at work does nothing").to_string();
    assert_eq!(said, "not a number of accounts of at least 1, such as 10 or 25%");
    assert_eq!(Share::Percent(10).of(19), 1, "rounded down: never more than was asked for");
}

#[test]
fn waves_are_lists_of_sizes() {
    let rows =
        [("1,5,25%", 3), ("1", 1), ("100%", 1), ("", 0), ("1,,5", 0), ("1,0", 0), ("1, 5", 0), ("1;5", 0), ("0%", 0)];
    for (given, sizes) in rows {
        assert_eq!(given.parse::<Waves>().map_or(0, |waves| waves.sizes().len()), sizes, "{given:?}");
    }
}

#[test]
fn writes_stay_within_the_quota() {
    for (given, writes) in
        [("1", Some(1)), ("300", Some(300)), ("600", Some(600)), ("0", None), ("601", None), ("50%", None)]
    {
        assert_eq!(given.parse::<MaxWrites>().ok(), writes.map(MaxWrites), "{given}");
    }
}

/// A time without a date would be the next day's for a run that is resumed after it; one without an offset another one's in a Job.
#[test]
fn the_last_moment_has_a_date_and_an_offset() {
    let moment: Timestamp = "2026-12-01T04:00:00Z".parse().expect("a time");
    for given in ["2026-12-01T04:00:00Z", "2026-12-01T05:00:00+01:00", "2026-12-01 04:00:00Z"] {
        assert_eq!(given.parse(), Ok(Until(moment)), "{given}");
    }
    for given in [
        "04:00",
        "04:00Z",
        "2026-12-01",
        "2026-12-01T04:00:00",
        "2h",
        "tomorrow",
        "",
        "1764561600",
        " 2026-12-01T04:00:00Z",
        "2026-12-01T04:00:00+00:00[Asia/Tokyo]",
    ] {
        let said = given.parse::<Until>().expect_err(given).to_string();
        assert!(said.starts_with("not a moment with date and offset, such as 2026-12-01T04:00:00Z"), "{said}");
    }
}

#[test]
fn accounts_of_a_file_are_a_name_a_line() {
    let read = |text: &str| {
        let read = accounts_from("list.txt", text);
        read.map(|accounts| crate::facts::names::listed(&accounts)).map_err(|problem| (problem.exit, problem.message))
    };
    let rows = [
        ("acme\nglobex\n", Ok("acme, globex")),
        ("acme\r\nglobex", Ok("acme, globex")),
        ("\u{feff}acme\n", Ok("acme")),
        ("# the first ones\n\n  acme  # by hand\nglobex\nacme\n", Ok("acme, globex")),
        ("namespace/acme\nnamespace/globex\n", Ok("acme, globex")),
        ("", Err("it names no account (one a line)")),
        ("# none\n", Err("it names no account (one a line)")),
        ("acme\nGlobex\n", Err("line 2: account `Globex` is not a Kubernetes label")),
        ("acme globex\n", Err("line 1: account `acme globex` is not a Kubernetes label")),
        ("namespace/namespace/acme\n", Err("line 1: account `namespace/acme` is not")),
        ("\u{1b}[31macme\n", Err("line 1: account `\u{fffd}[31macme` is not")),
    ];
    for (text, wanted) in rows {
        match (read(text), wanted) {
            (Ok(accounts), Ok(wanted)) => assert_eq!(accounts, wanted, "{text:?}"),
            (Err((exit, line)), Err(wanted)) => {
                assert!(line.starts_with(&format!("--accounts-from list.txt: {wanted}")), "{line}");
                assert_eq!(exit, Exit::Usage, "{text:?}");
            }
            (read, _) => panic!("{text:?}: {read:?}"),
        }
    }
}

#[test]
fn limits_are_what_they_are_for_so_many_accounts() {
    type Row = (&'static str, Limits, Verb, usize, usize, (usize, &'static [usize], Option<usize>));
    let rows: &[Row] = &[
        ("the usual ones", Limits::default(), Verb::Rotate, 500, 500, (10, &[1, 2, 4, 8], Some(0))),
        ("wider", limits("50", "", "5"), Verb::Rotate, 500, 500, (50, &[1, 2, 4, 8, 16, 32], Some(5))),
        ("one at a time", limits("1", "", "0"), Verb::Rotate, 500, 500, (1, &[], Some(0))),
        ("a power of two", limits("8", "", "0"), Verb::Rotate, 500, 500, (8, &[1, 2, 4], Some(0))),
        ("shares", limits("10%", "1,5,25%", "10%"), Verb::Rotate, 500, 500, (50, &[1, 5, 125], Some(50))),
        ("shares of what is left", limits("10%", "1,5,25%", "10%"), Verb::Rotate, 500, 10, (50, &[1, 5, 125], Some(1))),
        ("shares of few", limits("10%", "10%", "10%"), Verb::Rotate, 3, 3, (1, &[1], Some(0))),
        ("few accounts", Limits::default(), Verb::Rotate, 4, 4, (10, &[1, 2, 1], Some(0))),
        ("one wave", limits("50", "100%", "0"), Verb::Rotate, 500, 500, (50, &[500], Some(0))),
        ("nobody", Limits::default(), Verb::Rotate, 0, 0, (10, &[], Some(0))),
        ("whoever reads stops at nothing", limits("50", "1,5", "3"), Verb::Verify, 500, 500, (50, &[], None)),
    ];
    for (what, limits, verb, all, to_do, (concurrency, waves, failures)) in rows {
        let resolved = limits.resolve(*verb, *all, *to_do);
        let found = (resolved.concurrency, resolved.waves.as_slice(), resolved.max_failures);
        assert_eq!(found, (*concurrency, *waves, *failures), "{what}");
    }
}
