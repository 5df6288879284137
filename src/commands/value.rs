//! The new value: made from the operating system's random source, or read from where the operator keeps it.

mod hand;

use std::io::{IsTerminal as _, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli;
use crate::clients::known;
use crate::observe::Seen;
use crate::observe::external_secrets::Reader;
use crate::observe::vault;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::facts::payload::{MAXIMUM_BYTES, Payload, check_new_value, make_value};
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
                .hint(format!("where it is to come back: {}", hand::AS_IT_IS)))
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

/// Refuses a value that an ExternalSecret would make another one of, or none: what the application needs is the value
/// that its keys hold. A made one has letters and digits, and a decoder takes those for an encoded value.
pub fn check_decoding(given: Option<&Payload>, account: &AccountName, readers: &[Reader]) -> Result<(), Problem> {
    let decoded = |reader: &'_ Reader| {
        let mapping = reader.mappings.iter().find(|mapping| match (&mapping.transform.decoding, given) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(_), Some(value)) => vault::transformed(value, &mapping.transform).is_none(),
        })?;
        Some((reader.name.clone(), mapping.key.clone(), mapping.transform.decoding.clone()?))
    };
    let Some((name, key, strategy)) = readers.iter().find_map(decoded) else { return Ok(()) };
    let line = match given {
        None => format!(
            "external secret {name} decodes what it copies into {key} (decodingStrategy {strategy}): of a made value it would make another one, or none"
        ),
        Some(_) => format!(
            "external secret {name} decodes what it copies into {key} (decodingStrategy {strategy}), and the new value is not encoded so"
        ),
    };
    Err(Problem::new(Reason::DecodedValue, line)
        .hint(format!("give an encoded value, as in: openssl rand -hex 32 | tr -d '\\n' | base64 -w0 | kubectl deepdesk secret rotate {account} --value-from -"))
        .hint(format!("or have it copied as it is, where the application decodes nothing itself: set decodingStrategy to None in {name}")))
}

/// Makes a value of `length` letters and digits.
pub fn made(length: usize) -> Result<Payload, Problem> {
    make_value(length, getrandom::fill).map_err(|error| {
        Problem::new(Reason::NoRandomness, format!("the operating system's random source does not answer: {error}"))
    })
}
