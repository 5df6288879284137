//! The new value: made from the operating system's random source, or read from where the operator keeps it.

mod hand;

use std::io::{IsTerminal as _, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli;
use crate::clients::known;
use crate::observe::Seen;
use crate::observe::external_secrets::Reader;
use crate::observe::mappings::{Mapping, Transform};
use crate::observe::{shown, vault};
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::facts::observation::Derivation;
use deepdesk_protocol::facts::payload::{MAXIMUM_BYTES, Payload, check_new_value};
use deepdesk_protocol::facts::shape::{self, Alphabet, Dialect, Form};
use deepdesk_protocol::problem::{Problem, Reason};

/// Whether the value comes from standard input, so that nobody else may read from it.
pub fn is_stdin(args: &cli::Rotate) -> bool {
    args.value_from.as_deref().is_some_and(|path| path == Path::new("-"))
}

/// Reads and checks the value that `--value-from` gives; none when the flag is not there.
pub fn given(args: &cli::Rotate) -> Result<Option<Payload>, Problem> {
    let Some(path) = &args.value_from else { return Ok(None) };
    if is_stdin(args) && std::io::stdin().is_terminal() {
        return Err(Problem::new(Reason::Usage,
            "standard input is a terminal: a value typed there would be seen",
        )
        .hint(
            "pipe it in, as in: pass show acme/key | tr -d '\\n' | kubectl deepdesk secret rotate acme --value-from -",
        ));
    }
    let read = match is_stdin(args) {
        true => read_bounded(std::io::stdin().lock()),
        false => std::fs::File::open(path).and_then(read_bounded),
    };
    let value =
        read.map_err(|error| Problem::new(Reason::Usage, format!("--value-from {}: {error}", path.display())))?;
    known::values().keep(&value);
    let account = args.common.accounts.first().map_or("ACCOUNT", String::as_str);
    hand::look(&value, account, args.value_as_is)?;
    check_new_value(&value).map_err(|error| {
        Problem::new(Reason::UnfitValue, error.to_string())
            .hint("nothing was changed; leave --value-from out to have a value made")
    })?;
    Ok(Some(value))
}

/// Refuses a value of another form than the one in use, and one that an older version has.
pub fn check_against(given: Option<&Payload>, account: &AccountName, seen: &Seen) -> Result<(), Problem> {
    let Some(value) = given else { return Ok(()) };
    let now = &seen.now;
    if let Some(in_use) = now.primary.value().and_then(|tag| seen.vault.value(tag)) {
        hand::same_form(value, in_use, account.as_str())?;
    }
    let tag = seen.vault.tag_of(value);
    // Of the newest ones the plan judges: a run that was interrupted finds its own value there.
    let older = [&now.primary, &now.back_compat].into_iter().find_map(|view| {
        let version = view.versions.iter().skip(1).find(|version| version.value.is_some() && version.value == tag)?;
        Some(format!("{} of {}", version.id, view.secret))
    });
    match older {
        Some(version) => {
            Err(Problem::new(Reason::UnfitValue, format!("the new value is that of {version}: it was in use before"))
                .hint("nothing was changed; leave --value-from out to have a value made")
                .hint(format!("if it is to come back into use: {}", hand::AS_IT_IS)))
        }
        None => Ok(()),
    }
}

/// Reads to the end, or one byte beyond what a version may have. The buffer never grows: a vector that does leaves
/// copies behind that nobody wipes.
fn read_bounded(mut from: impl Read) -> std::io::Result<Payload> {
    let mut buffer = Zeroizing::new(vec![0; MAXIMUM_BYTES + 1]);
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Payload::new(buffer[..length].to_vec()))
}

/// What is asked for of a value that is made here; without anything it gets the form of the value in use.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Characters.
    pub length: Option<usize>,
    /// What it consists of.
    pub alphabet: Option<Alphabet>,
}

/// Refuses a given value that an ExternalSecret could not copy: pods would stay on the one before, and nothing else of what it
/// copies would arrive any more.
pub fn check_copied(given: Option<&Payload>, account: &AccountName, readers: &[Reader]) -> Result<(), Problem> {
    let Some(given) = given else { return Ok(()) };
    let unfit = |reader: &'_ Reader| {
        let unfit = |mapping: &&Mapping| {
            mapping.derivation != Derivation::Opaque && vault::transformed(given, &mapping.transform).is_none()
        };
        let mapping = reader.mappings.iter().find(unfit)?;
        Some((reader.name.clone(), mapping.key.clone(), mapping.transform.clone()))
    };
    let Some((name, key, transform)) = readers.iter().find_map(unfit) else { return Ok(()) };
    let Transform { property: None, decoding: Some(strategy), .. } = &transform else {
        let property = transform.property.unwrap_or_default();
        let line = format!(
            "external secret {name} fills {key} with property {property} of the value, and the new value has none: it would never arrive there"
        );
        return Err(Problem::new(Reason::UnfitValue, line)
            .hint("give the whole new JSON document with --value-from; nothing was changed"));
    };
    let line = format!(
        "external secret {name} decodes what it copies into {key} (decodingStrategy {strategy}), and the new value is not encoded so"
    );
    Err(Problem::new(Reason::DecodedValue, line)
        .hint(format!("give an encoded value, as in: openssl rand -hex 32 | tr -d '\\n' | base64 -w0 | kubectl deepdesk secret rotate {account} --value-from -"))
        .hint("or leave --value-from out: a made value is encoded as the one in use is")
        .hint(format!("or have it copied as it is, where the application decodes nothing itself: set decodingStrategy to None in {name}")))
}

/// Refuses a given value that could not be told from one of the two slots where an ExternalSecret is not followed: its bytes are all
/// that shows what arrived there.
pub fn check_told_apart(given: Option<&Payload>, seen: &Seen) -> Result<(), Problem> {
    let Some(given) = given else { return Ok(()) };
    let by_bytes = seen.readers.iter().find(|reader| reader.mappings.iter().any(Mapping::may_be_shown));
    let slots = seen.now.slots();
    let mut others = slots.iter().flatten().filter_map(|tag| seen.vault.value(*tag)).filter(|one| !one.same_as(given));
    match by_bytes {
        Some(reader) if !others.all(|other| shown::is_told_apart(given, other)) => {
            let line = format!(
                "external secret {} is not followed, and its bytes would not tell the new value from the one before: one of them stands in the other, or they have a part in common",
                reader.name
            );
            Err(Problem::new(Reason::UnfitValue, line)
                .hint("give a value that has nothing in common with the one in use, or none: the program makes one; nothing was changed"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The form of a value that is made: that of the one in use, or what is asked for. Where an ExternalSecret decodes what it copies it
/// is the form of what pods get, and encoded.
pub fn form(asked: &Asked, seen: &Seen) -> Result<Form, Problem> {
    let current = current(seen)?;
    let plain = |value: &Payload| match (asked.length, &asked.alphabet) {
        (None, None) => Form::of(value),
        (length, alphabet) => Form::asked(length, alphabet.clone(), value),
    };
    let decoding: Vec<&Mapping> = decoding(&seen.readers).map(|(_, mapping)| mapping).collect();
    if decoding.is_empty() {
        return Ok(plain(current));
    }
    let unknown = |mapping: &&Mapping| {
        mapping.transform.decoding.as_deref().is_some_and(|strategy| !STRATEGIES.contains(&strategy))
    };
    if decoding.iter().any(unknown) {
        return Err(not_survived(seen));
    }
    let made =
        |mapping: &&Mapping| vault::transformed(current, &mapping.transform).filter(|made| !made.same_as(current));
    let dialects: Vec<Dialect> = decoding.iter().filter_map(|mapping| dialect(mapping, current)).collect();
    let Some(first) = dialects.first().copied() else {
        // `Auto`, and what it copies now is no base64.
        return Ok(plain(current).undecodable());
    };
    let one = dialects.iter().all(|dialect| *dialect == first).then_some(first);
    match decoding.iter().find_map(made) {
        Some(decoded) if shape::is_line(&decoded) => Ok(plain(&decoded).encoded(first)),
        // Bytes that no text has: as many of them, written as the value in use is, for who does not decode it.
        Some(decoded) if asked.length.is_none() && asked.alphabet.is_none() => {
            let kept = plain(current);
            if shape::is_line(current) && kept.characters() == current.length() {
                return Ok(kept);
            }
            let dialect = one.filter(|_| shape::dialect(current).is_some());
            Ok(Form::of_bytes(decoded.length(), dialect))
        }
        Some(_) | None => Ok(plain(current).encoded(first)),
    }
}

/// The value in use.
fn current(seen: &Seen) -> Result<&Payload, Problem> {
    let current = seen.now.primary.value().and_then(|tag| seen.vault.value(tag));
    let unread = "the value in use could not be read, and it decides the form of the new one";
    current.ok_or_else(|| Problem::new(Reason::Unreadable, unread))
}

/// The strategies of External Secrets' API (v1) that decode.
const STRATEGIES: [&str; 3] = ["Base64", "Base64URL", "Auto"];

/// What copies either value and decodes it. Either, because the new value will be the back-compat's.
fn decoding(readers: &[Reader]) -> impl Iterator<Item = (&Reader, &Mapping)> {
    let all = readers.iter().flat_map(|reader| reader.mappings.iter().map(move |mapping| (reader, mapping)));
    all.filter(|(_, mapping)| mapping.transform.decoding.is_some())
}

/// The alphabet that a mapping decodes this value by; none where `Auto` leaves it as it is.
fn dialect(mapping: &Mapping, value: &Payload) -> Option<Dialect> {
    let decodes = |strategy: &str| {
        let transform = Transform { decoding: Some(strategy.to_owned()), ..Transform::default() };
        vault::transformed(value, &transform).is_some()
    };
    match mapping.transform.decoding.as_deref() {
        Some("Base64URL") => Some(Dialect::UrlSafe),
        Some("Auto") if decodes("Base64") => Some(Dialect::Standard),
        Some("Auto") if decodes("Base64URL") => Some(Dialect::UrlSafe),
        Some("Auto") => None,
        Some(_) | None => Some(Dialect::Standard),
    }
}

/// Makes a value of this form, and sees that it survives its way into the pods as the one in use does.
pub fn made(seen: &Seen, form: Option<&Form>) -> Result<Payload, Problem> {
    let form = form.ok_or_else(|| Problem::new(Reason::NoValue, "no form was decided for the new value"))?;
    let made = form.make(getrandom::fill).map_err(|error| {
        Problem::new(Reason::NoRandomness, format!("the operating system's random source does not answer: {error}"))
    })?;
    let current = current(seen)?;
    let survives = decoding(&seen.readers).all(|(_, mapping)| {
        let copied = vault::transformed(&made, &mapping.transform);
        copied.is_some_and(|copied| copied.same_as(&made) == dialect(mapping, current).is_none())
    });
    if survives { Ok(made) } else { Err(not_survived(seen)) }
}

fn not_survived(seen: &Seen) -> Problem {
    let account = &seen.now.account;
    let mut named = decoding(&seen.readers).map(|(reader, mapping)| {
        let strategy = mapping.transform.decoding.as_deref().unwrap_or_default();
        format!(
            "external secret {} decodes what it copies into {} (decodingStrategy {strategy})",
            reader.name, mapping.key
        )
    });
    let line = format!("{}: what it would make of a made value is not known", named.next().unwrap_or_default());
    Problem::new(Reason::DecodedValue, line)
        .hint(format!("give an encoded value: kubectl deepdesk secret rotate {account} --value-from FILE"))
}
