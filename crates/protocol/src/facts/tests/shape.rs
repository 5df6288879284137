use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;
use crate::facts::payload::check_new_value;

fn payload(text: &str) -> Payload {
    Payload::new(text.as_bytes().to_vec())
}

/// Bytes that differ from draw to draw.
fn bytes(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), Infallible> {
    let mut state = seed | 1;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 33) as u8;
        }
        Ok(())
    }
}

fn made(form: &Form, seed: u64) -> String {
    let made = form.make(bytes(seed)).expect("it cannot fail");
    String::from_utf8(made.expose().to_vec()).expect("text")
}

fn shown(value: &str) -> String {
    let form = Form::of(&payload(value));
    format!("{form}; {} bits", form.bits())
}

#[test]
fn a_value_has_the_form_of_the_one_before() {
    let letters = |count: usize| "Ab3".chars().cycle().take(count).collect::<String>();
    for (value, form) in [
        (
            "2ovOnUi-DPAZ__0rdEqCCuEsZXWVhgDSRbVCTQVEMrs=".to_owned(),
            "a Fernet key (32 bytes in url-safe base64, 44 characters); 256 bits",
        ),
        // Neither of the two alphabets shows: what is made has the characters of both.
        (
            "2ovOnUi7DPAZ770rdEqCCuEsZXWVhgDSRbVCTQVEMrs=".to_owned(),
            "a Fernet key (32 bytes in url-safe base64, 44 characters); 254 bits",
        ),
        ("2ovOnUi+DPAZ//0rdEqCCuEsZXWVhgDSRbVCTQVEMrs=".to_owned(), "32 bytes in base64 (44 characters); 256 bits"),
        (
            "2ovOnUi-DPAZ__0rdEqCCuEsZXWVhgDSRbVCTQVEMrs".to_owned(),
            "32 bytes in url-safe base64 (43 characters, without padding); 256 bits",
        ),
        ("+aB/".repeat(16), "48 bytes in base64 (64 characters); 384 bits"),
        ("0123456789abcdef".repeat(4), "64 hexadecimal digits; 256 bits"),
        ("0123456789ABCDEF".repeat(2), "32 hexadecimal digits; 128 bits"),
        ("0123456789abcdef".to_owned(), "16 hexadecimal digits; 64 bits"),
        (format!("{}\n", "0123456789abcdef".repeat(4)), "64 hexadecimal digits; 256 bits"),
        // Not as hexadecimal digits are written: an odd number, both cases, digits alone.
        ("0123456789abcdef".repeat(2) + "0", "33 letters and digits; 196 bits"),
        ("0123456789abcdeF".repeat(2), "32 letters and digits; 190 bits"),
        ("0123456789".repeat(4), "40 letters and digits; 238 bits"),
        (letters(64), "64 letters and digits; 381 bits"),
        (letters(20), "32 letters and digits; 190 bits"),
        (letters(5000), "5000 letters and digits; 29770 bits"),
        ("hunter2".to_owned(), "32 letters and digits; 190 bits"),
        (String::new(), "32 letters and digits; 190 bits"),
        ("short+/=".to_owned(), "32 letters and digits; 190 bits"),
        ("123e4567-e89b-12d3-a456-426614174000".to_owned(), "36 letters and digits; 214 bits"),
        ("postgres://u:p@host/database?sslmode=require".to_owned(), "44 letters and digits; 261 bits"),
        // Words, with what base64 has between them.
        ("correct-horse-battery-staple-and-more".to_owned(), "37 letters and digits; 220 bits"),
        ("the-key-of-the-year-2024-of-the-shop".to_owned(), "36 letters and digits; 214 bits"),
        ("The-Key-Of-The-Year-2024-Of-The-Shopzx".to_owned(), "38 letters and digits; 226 bits"),
        // Both alphabets, or padding where none belongs.
        ("+/-_".repeat(10), "40 letters and digits; 238 bits"),
        ("AbCd=AbCd+AbCdAbCdAbCdAbCdAbCdAbCd==".to_owned(), "36 letters and digits; 214 bits"),
        (format!("{}==", "+/+/".repeat(10)), "42 letters and digits; 250 bits"),
        // What is not ASCII counts by characters.
        ("ä".repeat(40), "40 letters and digits; 238 bits"),
    ] {
        assert_eq!(shown(&value), form, "{value}");
    }
    assert_eq!(Form::of(&Payload::new(vec![0xff; 40])).to_string(), "40 letters and digits");
}

/// Whoever decodes the value before, strictly, decodes the new one, to as many bytes.
#[test]
fn what_is_made_decodes_as_the_one_before() {
    let key: Vec<u8> = (0..=255).collect();
    for count in [8, 16, 24, 31, 32, 33, 48, 64] {
        for (at, engine) in [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD].into_iter().enumerate() {
            // With its own characters, and with those of both alphabets alone.
            for key in [&key[250 - count..250], &vec![b'k'; count]] {
                let before = engine.encode(key);
                let form = Form::of(&payload(&before));
                for seed in 0..50 {
                    let new = made(&form, seed * 7 + count as u64);
                    let decoded = engine.decode(&new).unwrap_or_else(|error| panic!("{before} {new} {at}: {error}"));
                    // Letters and digits alone may be no base64: then they have to be long enough.
                    let length = if form.word() == "alphanumeric" { decoded.len().min(count) } else { decoded.len() };
                    assert_eq!(length, count, "{before} {new}");
                }
            }
        }
    }
    let hex = made(&Form::of(&payload(&"0A".repeat(16))), 3);
    assert!(hex.len() == 32 && hex.bytes().all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(&c)), "{hex}");
}

#[test]
fn what_is_made_is_fit_and_new_each_time() {
    for value in ["hunter2".to_owned(), "ab".repeat(32), format!("{}=", "Ab-_".repeat(10) + "AbA")] {
        let form = Form::of(&payload(&value));
        let all: BTreeSet<String> = (0..100).map(|seed| made(&form, seed * 31 + 5)).collect();
        assert_eq!(all.len(), 100, "{value}");
        assert!(all.iter().all(|made| made.len() == form.characters()), "{value}");
        assert!(all.iter().all(|made| check_new_value(&payload(made)).is_ok()), "{value}");
    }
}

#[test]
fn what_copies_it_decodes_it_to_the_form_of_before() {
    let form = Form::of(&payload(&"0a".repeat(32))).encoded(Dialect::Standard);
    assert_eq!(
        (form.to_string().as_str(), form.characters(), form.bits()),
        ("64 hexadecimal digits, encoded in base64, which External Secrets decodes", 88, 256)
    );
    let new = made(&form, 9);
    assert_eq!(new.len(), 88);
    let decoded = String::from_utf8(STANDARD.decode(&new).expect("base64")).expect("text");
    assert_eq!(Form::of(&payload(&decoded)).to_string(), "64 hexadecimal digits");
    // In the letters and digits that are encoded neither alphabet shows: both decoders take it.
    let form = Form::of(&payload("hunter2")).encoded(Dialect::UrlSafe);
    for seed in 0..200 {
        let new = made(&form, seed);
        assert!(STANDARD.decode(&new).is_ok() && URL_SAFE.decode(&new).is_ok(), "{new}");
    }
    for (dialect, count) in [(None, 48), (Some(Dialect::Standard), 30), (Some(Dialect::UrlSafe), 31)] {
        let new = made(&Form::of_bytes(count, dialect), 4);
        let engine = if dialect == Some(Dialect::UrlSafe) { URL_SAFE } else { STANDARD };
        assert_eq!(engine.decode(&new).expect("it decodes").len(), count, "{new}");
    }
    // What was copied as it is, where a decoder tries, stays so.
    for length in [32, 33, 40, 43, 64] {
        let form = Form::asked(Some(length), None, &payload("")).undecodable();
        let new = made(&form, length as u64);
        assert!(STANDARD.decode(&new).is_err() && URL_SAFE.decode(&new).is_err(), "{new}");
        assert!((length..=length + 1).contains(&new.len()));
    }
}

#[test]
fn what_is_asked_for_is_made() {
    let named = |name: &str| Some(name.parse::<Alphabet>().expect("an alphabet"));
    for (length, alphabet, form) in [
        (Some(40), None, "40 letters and digits; 238 bits; alphanumeric"),
        (None, named("hex"), "50 characters of the 16 of --alphabet; 200 bits; alphabet"),
        (Some(64), named("base64url"), "64 characters of the 64 of --alphabet; 384 bits; alphabet"),
        (Some(32), named("01"), "32 characters of the 2 of --alphabet; 32 bits; alphabet"),
    ] {
        let form_of = Form::asked(length, alphabet, &payload(&"x".repeat(50)));
        assert_eq!(format!("{form_of}; {} bits; {}", form_of.bits(), form_of.word()), form);
        assert!(!form_of.is_kept());
    }
    assert!(Form::asked(Some(32), named("01"), &payload("")).is_weak());
    assert!(!Form::asked(Some(32), named("hex"), &payload("")).is_weak());
    for (unfit, why) in
        [("", "two at least"), ("x", "two at least"), ("abca", "twice"), ("a b", "visible"), ("abcä", "visible")]
    {
        assert!(unfit.parse::<Alphabet>().expect_err(unfit).contains(why), "{unfit}");
    }
}

#[test]
fn every_character_is_equally_likely() {
    let mut counter = 0u8;
    let count_up = |bytes: &mut [u8]| -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| {
            *byte = counter;
            counter = counter.wrapping_add(1);
        });
        Ok(())
    };
    let mut value = Vec::new();
    let Ok(()) = draw(&mut value, LETTERS_AND_DIGITS.as_bytes(), 248 * 5, &mut { count_up });
    let mut seen = BTreeMap::<u8, usize>::new();
    value.iter().for_each(|byte| *seen.entry(*byte).or_default() += 1);
    assert_eq!(seen.len(), 62);
    assert!(seen.values().all(|times| *times == 20), "{seen:?}");
}

/// A form is told, and may be logged: nothing of the value is in it.
#[test]
fn a_form_shows_nothing_of_the_value() {
    for value in ["Zq9xKw7vRt2mYp4n", "zq9+kw7/Rt2mYp4nZq9xKw7vRt2mYp4nzq9+kw7/Rt2="] {
        let form = Form::of(&payload(value));
        let told = format!("{form} {form:?}");
        assert!(value.as_bytes().windows(4).all(|part| {
            let part = std::str::from_utf8(part).expect("ascii");
            !told.replace(LETTERS_AND_DIGITS, "").contains(part)
        }));
    }
}
