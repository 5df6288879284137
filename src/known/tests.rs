//! A table of forms: how a value may be written, whole, in pieces, and in the middle of something else.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;

/// As a run makes one.
const MADE: &str = "q3VbZr8mKx1TnYc5HsWd9LpGf2JvRt7QaEu4XoBi6NwMhDzCkSyPgUjAlFeOT0I5";
/// What an operator's password manager might hold: each character that one of the forms writes otherwise.
const GIVEN: &str = r#"gI8"vQ\z/e+n&y=%x;h<K>5 Tü'M{4}p:R#w?Zb0@dJ-s_L"#;

fn knowing(values: &[&[u8]]) -> KnownValues {
    let known = KnownValues::default();
    values.iter().for_each(|value| known.keep(&Payload::new(value.to_vec())));
    known
}

fn each(value: &[u8], write: impl Fn(u8) -> String, between: &str) -> String {
    value.iter().map(|byte| write(*byte)).collect::<Vec<_>>().join(between)
}

/// The value in every form that text is put into, by name.
fn forms(value: &str) -> Vec<(String, String)> {
    let bytes = value.as_bytes();
    let chunks = |size: usize| {
        let chars: Vec<char> = value.chars().collect();
        chars.chunks(size).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>()
    };
    let ascii_json = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    let json = json!(value).to_string();
    let mut forms = vec![
        ("plain", value.to_owned()),
        ("in lines", chunks(7).join("\n")),
        ("in lines that were made printable", chunks(7).join("\u{fffd}")),
        ("in groups", chunks(4).join(" ")),
        ("in a list", format!("{:?}", chunks(1))),
        ("with colours", chunks(5).join("\u{1b}[0m\u{1b}[31;1m")),
        ("with invisible characters", chunks(3).join("\u{200b}")),
        ("backwards", value.chars().rev().collect()),
        ("Debug", format!("{value:?}")),
        ("Debug of bytes", format!("{bytes:?}")),
        ("JSON of bytes", json!(bytes).to_string()),
        ("JSON", json.clone()),
        ("JSON in JSON", json!(json).to_string()),
        ("JSON of ASCII alone", ascii_json(value)),
        ("the same in JSON", json!(ascii_json(value)).to_string()),
        ("C", each(bytes, |byte| format!("\\x{byte:02x}"), "")),
        ("octal", each(bytes, |byte| format!("\\{byte:03o}"), "")),
        ("escape_ascii", bytes.escape_ascii().to_string()),
        ("URL, all", each(bytes, |byte| format!("%{byte:02X}"), "")),
        ("URL, lower case", each(bytes, |byte| format!("%{byte:02x}"), "")),
        (
            "URL",
            each(bytes, |b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("%{b:02X}") }, ""),
        ),
        ("quoted-printable", each(bytes, |byte| format!("={byte:02X}"), "")),
        ("HTML", value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#39;")),
        ("HTML by numbers", value.chars().map(|c| format!("&#{};", u32::from(c))).collect()),
        ("hex", each(bytes, |byte| format!("{byte:02x}"), "")),
        ("HEX", each(bytes, |byte| format!("{byte:02X}"), "")),
        ("hex with colons", each(bytes, |byte| format!("{byte:02x}"), ":")),
        ("hex by words", each(bytes, |byte| format!("{byte:02x}"), " ")),
        ("hex of C", each(bytes, |byte| format!("0x{byte:02x}"), ", ")),
        ("numbers by lines", each(bytes, |byte| byte.to_string(), "\n")),
        ("base64 of hex", STANDARD.encode(each(bytes, |byte| format!("{byte:02x}"), ""))),
        ("hex of base64", each(STANDARD.encode(value).as_bytes(), |byte| format!("{byte:02x}"), "")),
        ("base64 in a URL", STANDARD.encode(value).replace('=', "%3D").replace('+', "%2B").replace('/', "%2F")),
        ("base64 in JSON", STANDARD.encode(value).replace('/', "\\/")),
        (
            "base64 by lines",
            STANDARD.encode(value).as_bytes().chunks(19).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n"),
        ),
    ]
    .into_iter()
    .map(|(name, form)| (name.to_owned(), form))
    .collect::<Vec<_>>();
    // At each of three places in a longer text, with anything before and behind.
    for (before, after) in [("", ""), ("a", "xyz"), ("ab", "\n"), ("abc", "z"), ("{\"data\":{\"KEY\":\"", "\"}}")] {
        let longer = format!("{before}{value}{after}");
        for (name, engine) in [
            ("base64", STANDARD),
            ("base64 without padding", STANDARD_NO_PAD),
            ("base64url", URL_SAFE),
            ("base64url without padding", URL_SAFE_NO_PAD),
        ] {
            let once = engine.encode(&longer);
            forms.push((format!("{name} within {before:?}"), once.clone()));
            forms.push((format!("{name} within {before:?}, twice"), engine.encode(format!("{before}{once}"))));
        }
        forms.push((format!("hex from the other digit, {before:?}"), {
            format!("f{}", each(longer.as_bytes(), |byte| format!("{byte:02x}"), ""))
        }));
    }
    forms
}

/// The most characters of `form` that are still in `shown`, in a row.
fn left(form: &str, shown: &str) -> usize {
    let form: Vec<char> = form.chars().collect();
    let is_left = |size: usize| form.windows(size).any(|window| shown.contains(&window.iter().collect::<String>()));
    (1..=form.len()).take_while(|size| is_left(*size)).last().unwrap_or(0)
}

#[test]
fn a_value_is_hidden_in_every_form() {
    let known = knowing(&[MADE.as_bytes(), GIVEN.as_bytes()]);
    for value in [MADE, GIVEN] {
        for (name, form) in forms(value) {
            let text = format!("error: invalid payload '{form}' and so on");
            let shown = known.hidden_in(&text);
            assert!(shown.starts_with("error: invalid payload '") && shown.ends_with("' and so on"), "{name}: {shown}");
            assert!(shown.contains(INSTEAD), "{name}: {shown}");
            // What encodes the text beside the value stays, and of the value less than a piece.
            let allowed = if name.contains("within") || name.contains("other digit") { 64 } else { 32 };
            assert!(left(&form, &shown) < allowed, "{name}: {shown}");
        }
    }
}

#[test]
fn the_text_beside_a_value_stays() {
    let known = knowing(&[MADE.as_bytes()]);
    let encoded = |before: &str| STANDARD.encode(format!("{before}{MADE}"));
    let cases = [
        (format!("key={MADE};{MADE}."), format!("key={INSTEAD};{INSTEAD}.")),
        (format!("{}==", STANDARD_NO_PAD.encode(MADE)), format!("{INSTEAD}==")),
        (format!("ünïcode {MADE} ünïcode"), format!("ünïcode {INSTEAD} ünïcode")),
        (encoded("abc"), format!("YWJj{INSTEAD}==")),
        ("nothing here".to_owned(), "nothing here".to_owned()),
        (String::new(), String::new()),
    ];
    for (text, shown) in cases {
        assert_eq!(known.hidden_in(&text), shown);
    }
}

#[test]
fn of_a_value_that_is_cut_or_split_less_than_a_piece_is_left() {
    let known = knowing(&[MADE.as_bytes()]);
    for length in PIECE..MADE.len() {
        for part in [&MADE[..length], &MADE[MADE.len() - length..]] {
            assert_eq!(known.hidden_in(&format!("is é {part}…")), format!("is é {INSTEAD}…"));
        }
        let encoded = STANDARD.encode(MADE);
        let shown = known.hidden_in(&encoded[..length + 4]).into_owned();
        assert!(left(&encoded, &shown) < 12, "{shown}");
    }
    let short = format!("starts with {}…", &MADE[..PIECE - 1]);
    assert_eq!(known.hidden_in(&short), short);
}

#[test]
fn a_value_that_is_an_encoding_is_hidden_decoded_as_well() {
    let bytes: Vec<u8> = (0..32).map(|n| 37u8.wrapping_mul(n).wrapping_add(65)).collect();
    let hex = each(&bytes, |byte| format!("{byte:02x}"), "");
    for value in [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes), hex.clone()] {
        let known = knowing(&[value.as_bytes()]);
        assert_eq!(known.hidden_in(&hex), INSTEAD);
        assert_eq!(known.hidden_in(&format!("{bytes:?}")), format!("[{INSTEAD}]"));
    }
    let known = knowing(&[&bytes]);
    assert_eq!(known.hidden_in(&STANDARD_NO_PAD.encode(&bytes)), INSTEAD);
}

#[test]
fn of_a_json_value_its_properties_are_hidden_and_not_their_names() {
    let value = r#"{"SECRET_KEY": "in-the-json-1", "more": {"list": ["another/one", 1234567890]}, "port": 5432}"#;
    let known = knowing(&[value.as_bytes()]);
    for (text, shown) in [
        ("SECRET_KEY is in-the-json-1", "SECRET_KEY is [redacted]"),
        ("[another\\/one]", "[[redacted]]"),
        ("1234567890 on port 5432", "[redacted] on port 5432"),
    ] {
        assert_eq!(known.hidden_in(text), shown);
    }
    let shown = known.hidden_in(value).into_owned();
    assert!(shown.contains("SECRET_KEY") && !shown.contains("json-1") && !shown.contains("another"), "{shown}");
}

#[test]
fn names_and_words_of_ours_stay_though_a_value_has_them_in_it() {
    let known = knowing(&[b"q3VbZr8mKx1T/acme-production.Deployment"]);
    known.publish("acme-production");
    let hint = "kubectl deepdesk secret rollback acme-production, for Deployment backend";
    assert_eq!(known.hidden_in(hint), hint);
    assert_eq!(known.hidden_in("is q3VbZr8mKx1T."), "is [redacted].");
    // Tables have lines and blanks.
    let known = knowing(&[b"----------------", b"                "]);
    assert_eq!(known.hidden_in("NAME      ----------"), "NAME      ----------");
    // Too short to be told from a word.
    assert_eq!(knowing(&[b"7", b"latest"]).hidden_in("version 7, latest"), "version 7, latest");
}

#[test]
fn structures_stay_what_they_are() {
    let known = knowing(&[MADE.as_bytes(), GIVEN.as_bytes()]);
    let mut object = json!({"a": [format!("x {GIVEN}"), 7, null], MADE: {"message": STANDARD.encode(MADE)}});
    known.hide_in(&mut object);
    assert_eq!(object["a"], json!(["x [redacted]", 7, null]));
    assert_eq!(object[MADE]["message"], "[redacted]==");
    let (first, last) = MADE.split_at(32);
    let page = format!("<p title=\"{MADE}\">{first}</p><p>{last} &amp; <b>no</b></p>");
    assert_eq!(known.hidden_in_page(&page), "<p title=\"[redacted]\">[redacted]</p><p>[redacted] &amp; <b>no</b></p>");
}

#[test]
fn a_credential_is_taken_note_of_once() {
    let known = KnownValues::default();
    let token = format!("ya29.{MADE}");
    known.keep_credential(&token);
    let pieces = known.read().hidden.len();
    known.keep_credential(&token);
    assert_eq!((known.read().hidden.len(), pieces > 0), (pieces, true));
    assert_eq!(known.clone().hidden_in(&format!("Bearer {token}")), "Bearer [redacted]");
    assert_eq!(format!("{known:?}"), "KnownValues");
}
