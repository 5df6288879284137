//! Values that nobody would choose, and that are in use all the same: each is kept byte by byte, compared as bytes, and
//! given back by a rollback (but an empty one, which Secret Manager does not store). What may be chosen anew is another matter (`--value-from`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use serde_json::json;

use crate::world::{World, back_compat, external_secret, primary};

/// A world in which acme's value in use is these bytes, in every place.
fn holding(value: &[u8]) -> World {
    let world = World::start(&["--accounts=1"]);
    world.set(&primary("acme"), 7, "disable");
    world.add(&primary("acme"), &STANDARD.encode(value));
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

#[test]
fn what_an_external_secret_decodes_does_not_get_a_made_value() {
    let world = holding(b"an-old-key-that-no-decoder-takes!");
    for name in ["admin-secrets", "backend-secrets"] {
        let path = external_secret("acme", name);
        let mut object = world.sent("GET", &path, None);
        for item in object["spec"]["data"].as_array_mut().expect("a list") {
            item["remoteRef"]["decodingStrategy"] = json!("Auto");
        }
        world.sent("PUT", &path, Some(object));
    }
    let (writes, versions) = (world.writes(), world.versions(&primary("acme")));
    // 64 letters and digits are base64, and every pod would have the 48 bytes that they stand for.
    world.run(&["secret", "rotate", "acme", "--yes"]).code(4).says("decodingStrategy Auto").says("base64 -w0");
    assert_eq!((world.writes(), world.versions(&primary("acme"))), (writes, versions));
    let encoded = STANDARD.encode("a-new-key-of-our-own-a-new-key-of-our-own");
    let args = ["secret", "rotate", "acme", "--yes", "--value-from", "-"];
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
