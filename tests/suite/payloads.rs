//! Values that nobody would choose, and that are in use all the same: each is kept byte by byte, compared as bytes, and
//! given back by a rollback (but an empty one, which Secret Manager does not store). What may be chosen anew is another matter (`--value-from`).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

use serde_json::json;

use crate::world::{World, back_compat, external_secret, primary};

/// A world in which acme's value in use is these bytes, in every place.
fn holding(value: &[u8]) -> World {
    decoding(value, "None")
}

/// The same, where each ExternalSecret decodes it by this strategy.
fn decoding(value: &[u8], strategy: &str) -> World {
    let world = World::start(&["--accounts=1"]);
    world.set(&primary("acme"), 7, "disable");
    world.add(&primary("acme"), &STANDARD.encode(value));
    if strategy != "None" {
        decoded_by(&world, strategy);
    }
    world.copied_by_hand("acme");
    world
}

/// Bytes that no text has, and all others too.
fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

#[test]
fn an_odd_value_in_use_is_kept_byte_by_byte() {
    let large: Vec<u8> = (0..65_536u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let values: [(&str, Vec<u8>); 8] = [
        ("binary", every_byte()),
        ("64 KiB", large),
        ("several lines", b"-----BEGIN KEY-----\nMIIB\r\n\n-----END KEY-----\n".to_vec()),
        ("JSON", br#"{"key":"v","list":[1,null],"text":"\u001b[31m"}"#.to_vec()),
        ("not UTF-8", b"caf\xe9 \xff\xfe\x80".to_vec()),
        ("a newline at the end", b"an-old-key-with-a-newline\n".to_vec()),
        ("one byte", b"x".to_vec()),
        ("base64", STANDARD.encode(every_byte()).into_bytes()),
    ];
    for (name, value) in values {
        let (world, value) = (holding(&value), STANDARD.encode(value));
        world.run(&["secret", "verify", "acme"]).code(0);
        world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
        world.rotated("acme", 8, 9);
        assert_eq!(world.value(&back_compat("acme"), "latest").as_ref(), Some(&value), "{name}");
        world.run(&["secret", "verify", "acme"]).code(0);
        // A byte that differs in one place alone is a difference.
        world.run(&["secret", "rollback", "acme", "--yes"]).code(0);
        assert_eq!(world.value(&primary("acme"), "latest").as_ref(), Some(&value), "{name}");
        assert_ne!(world.value(&back_compat("acme"), "latest").as_ref(), Some(&value), "{name}");
        world.run(&["secret", "verify", "acme"]).code(0);
    }
}

#[test]
fn an_unfit_new_value_is_refused_and_a_fit_one_of_any_length_is_taken() {
    let world = World::start(&["--accounts=1"]);
    let before = world.state("acme");
    let json = format!("{{\"key\": \"{}\"}}", "x".repeat(40));
    for (value, says) in [
        (every_byte(), "not UTF-8"),
        (Vec::new(), "0 characters"),
        (format!("{}\n", "x".repeat(40)).into_bytes(), "white space"),
        (format!("{0}\n{0}", "x".repeat(40)).into_bytes(), "control characters"),
        (format!("{}\0", "x".repeat(40)).into_bytes(), "control characters"),
        (vec![b'x'; 65_537], "64 KiB"),
        (vec![b'x'; 1_000_000], "64 KiB"),
    ] {
        let mut command = world.command(&["secret", "rotate", "acme", "--yes", "--value-from", "-"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("the program starts");
        // It stops reading where a version ends.
        let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &value);
        crate::world::finish(child).code(4).says(says);
    }
    assert_eq!((world.state("acme"), world.writes()), (before, Vec::new()));
    for (value, version) in [(vec![b'x'; 65_536], 8), (json.into_bytes(), 9)] {
        world.run_with_input(&["secret", "rotate", "acme", "--yes", "--value-from", "-"], &value).code(0);
        world.rotated("acme", version - 1, version);
        assert_eq!(world.value(&primary("acme"), "latest"), Some(STANDARD.encode(&value)));
        world.run(&["secret", "finalize", "acme", "--yes", "--reencrypted"]).code(0);
    }
}

/// Has every ExternalSecret of acme decode what it copies of the two secrets.
fn decoded_by(world: &World, strategy: &str) {
    for name in ["admin-secrets", "backend-secrets"] {
        let path = external_secret("acme", name);
        let mut object = world.sent("GET", &path, None);
        for list in ["data", "dataFrom"] {
            for item in object["spec"][list].as_array_mut().into_iter().flatten() {
                let of_these = item.to_string().contains("account_secret");
                for reference in ["remoteRef", "extract", "find"] {
                    if item[reference].is_object() && of_these {
                        item[reference]["decodingStrategy"] = json!(strategy);
                    }
                }
            }
        }
        world.sent("PUT", &path, Some(object));
    }
}

/// The newest version's bytes.
fn newest(world: &World) -> Vec<u8> {
    STANDARD.decode(world.value(&primary("acme"), "latest").expect("enabled")).expect("base64")
}

#[test]
fn a_made_value_has_the_form_of_the_one_in_use() {
    let upper = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte));
    type Fits = Box<dyn Fn(&[u8]) -> bool>;
    type Case = (&'static str, &'static str, &'static str, (u64, u64), Fits);
    let cases: [Case; 5] = [
        (
            "2ovOnUi-DPAZ__0rdEqCCuEsZXWVhgDSRbVCTQVEMrs=",
            "fernet",
            "a Fernet key (32 bytes in url-safe base64, 44 characters)",
            (44, 256),
            Box::new(|new| new.len() == 44 && URL_SAFE.decode(new).is_ok_and(|key| key.len() == 32)),
        ),
        (
            "/+/+2ovOnUiDPAZ0rdEqCCuEsZXWVhgDSRbVCTQVEMs",
            "base64",
            "32 bytes in base64 (43 characters, without padding)",
            (43, 256),
            Box::new(|new| new.len() == 43 && STANDARD_NO_PAD.decode(new).is_ok_and(|key| key.len() == 32)),
        ),
        (
            "0123456789ABCDEF0123456789ABCDEF",
            "hex",
            "32 hexadecimal digits",
            (32, 128),
            Box::new(move |new| new.len() == 32 && upper(new)),
        ),
        ("a-password", "alphanumeric", "32 letters and digits", (32, 190), Box::new(|new| new.len() == 32)),
        (
            "a-password-of-somebody-who-likes-them-long!\n",
            "alphanumeric",
            "43 letters and digits",
            (43, 256),
            Box::new(|new| new.len() == 43 && new.iter().all(u8::is_ascii_alphanumeric)),
        ),
    ];
    for (value, form, words, (characters, bits), fits) in cases {
        let world = holding(value.as_bytes());
        let shown = world.run(&["secret", "rotate", "acme", "--dry-run", "-o", "json"]).code(0);
        let told =
            json!({"form": form, "description": words, "characters": characters, "bits": bits, "asBefore": true});
        assert_eq!(shown.json()["newValue"], told, "{value}");
        world
            .run(&["secret", "rotate", "acme", "--yes"])
            .code(0)
            .says(&format!("in the form of the current one: {words}"));
        world.rotated("acme", 8, 9);
        assert!(fits(&newest(&world)), "{value}");
    }
}

#[test]
fn a_value_of_few_bits_is_warned_of_and_made_as_asked() {
    let world = holding(b"0123456789abcdef");
    world.run(&["secret", "rotate", "acme", "--dry-run"]).code(0).says("64 bits of entropy").says("--value-from");
    let asked = ["secret", "rotate", "acme", "--yes", "--length", "40", "--alphabet", "01"];
    let ran = world.run(&[&asked[..], &["-o", "json"]].concat()).code(0).says("40 bits of entropy").says("--length");
    assert_eq!(ran.json()["newValue"]["form"], "alphabet");
    assert_eq!(ran.json()["newValue"]["asBefore"], false);
    let new = newest(&world);
    assert!(new.len() == 40 && new.iter().all(|byte| matches!(byte, b'0' | b'1')));
    let long = holding(b"0123456789abcdef");
    let ran = long.run(&["secret", "rotate", "acme", "--yes", "--alphabet", "base64url"]).code(0);
    assert!(!ran.stderr.contains("bits of entropy"), "{}", ran.stderr);
    for (flags, says) in [
        (&["--alphabet", "x"][..], "two at least"),
        (&["--alphabet", "abca"], "twice"),
        (&["--alphabet", "hex", "--value-from", "-"], "--value-from"),
    ] {
        world.run(&[&["secret", "rotate", "acme", "--yes"], flags].concat()).code(2).says(says);
    }
}

/// What External Secrets decodes is decoded in the pods: a value that is made is such that they get one of the form of before.
#[test]
fn what_an_external_secret_decodes_gets_a_value_that_survives_it() {
    let text = b"a-key-of-the-time-before-a-key-of-the-time";
    let hex = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let binary: Vec<u8> = (200..=255).collect();
    type Fits = fn(&[u8]) -> bool;
    let letters: Fits = |copied| copied.len() == 42 && copied.iter().all(u8::is_ascii_alphanumeric);
    let digits: Fits = |copied| copied.len() == 64 && copied.iter().all(u8::is_ascii_hexdigit);
    let bytes: Fits = |copied| copied.len() == 56;
    let of_digits: Fits = |copied| copied.len() == 48 && STANDARD.encode(copied).bytes().all(|c| c.is_ascii_hexdigit());
    let plain: Fits = |copied| copied.len() == 33 && copied.iter().all(u8::is_ascii_alphanumeric);
    for (strategy, value, fits) in [
        ("Base64", STANDARD.encode(text), letters),
        ("Base64URL", URL_SAFE.encode(hex), digits),
        ("Auto", STANDARD.encode(text), letters),
        ("Auto", URL_SAFE.encode(&binary), bytes),
        ("Base64", STANDARD.encode(&binary), bytes),
        // Hexadecimal digits are base64, too: who does not decode them gets digits.
        ("Auto", "0123456789abcdef".repeat(4), of_digits),
        // No decoder takes this one: it is copied as it is, and so is the new one.
        ("Auto", "an-old-key-that-no-decoder-takes!".to_owned(), plain),
        ("None", "an-old-key-that-no-decoder-takes!".to_owned(), plain),
    ] {
        let world = decoding(value.as_bytes(), strategy);
        world.run(&["secret", "verify", "acme"]).code(0);
        let ran = world.run(&["secret", "rotate", "acme", "--yes"]).code(0);
        assert!(world.versions(&primary("acme")).ends_with("8:DISABLED 9:ENABLED"));
        let new = newest(&world);
        let copied = match strategy {
            "Base64URL" => URL_SAFE.decode(&new).expect("encoded"),
            "None" => new.clone(),
            _ => STANDARD.decode(&new).or_else(|_| URL_SAFE.decode(&new)).unwrap_or_else(|_| new.clone()),
        };
        assert!(fits(&copied), "{strategy} {value}");
        let secret = world.sent("GET", "/api/v1/namespaces/acme/secrets/backend-secrets", None);
        let held = STANDARD.decode(secret["data"]["SECRET_KEY"].as_str().expect("a key")).expect("base64");
        assert_eq!(held, copied, "{strategy} {value}");
        assert!(!ran.stderr.contains(&*String::from_utf8_lossy(&new)));
        world.run(&["secret", "verify", "acme"]).code(0);
        world.run(&["secret", "rollback", "acme", "--yes"]).code(0);
        assert_eq!(newest(&world), value.as_bytes(), "{strategy}");
    }
}

#[test]
fn a_given_value_that_cannot_be_copied_is_refused_before_anything_is_written() {
    let world = decoding(STANDARD.encode("a-key-of-the-time-before").as_bytes(), "Base64");
    let (writes, versions) = (world.writes(), world.versions(&primary("acme")));
    let args = ["secret", "rotate", "acme", "--yes", "--value-from", "-"];
    let given = b"a-new-key-of-our-own-that-is-not-encoded!";
    world.run_with_input(&args, given).code(4).says("decodingStrategy Base64").says("base64 -w0");
    assert_eq!((world.writes(), world.versions(&primary("acme"))), (writes, versions));
    let encoded = STANDARD.encode("a-new-key-of-our-own-a-new-key-of-our-own");
    world.run_with_input(&args, encoded.as_bytes()).code(0);
    world.run(&["secret", "verify", "acme"]).code(0);
}

#[test]
fn every_older_version_is_abandoned_however_many_there_are() {
    let world = World::start(&["--accounts=1"]);
    for n in 8..=40 {
        world.add(&primary("acme"), &STANDARD.encode(format!("manual-manual-manual-manual-manual-{n:02}")));
    }
    world.copied_by_hand("acme");
    world.run(&["secret", "rotate", "acme", "--yes=acme", "--abandon-older"]).code(0);
    let versions = world.versions(&primary("acme"));
    let enabled: Vec<&str> = versions.split(' ').filter(|version| version.ends_with(":ENABLED")).collect();
    assert_eq!(enabled, ["41:ENABLED"], "{versions}");
}
