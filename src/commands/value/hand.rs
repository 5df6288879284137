//! A value that a person hands over: what a password manager prints in place of one, what a shell or an editor made of it.
//!
//! Of the value nothing is ever said but what kind of thing it is.

use deepdesk_protocol::facts::names::acts;
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// The flag by which a value is taken that looks like something else.
pub const AS_IT_IS: &str = "--value-as-is";

/// What a value looks like that is none.
struct Likeness {
    what: &'static str,
    /// How to have the value itself printed.
    print: &'static str,
}

/// Refuses what is no value by its own looks. `as_is`: told to take it as it is, all but what nobody can see at an end.
pub fn look(value: &Payload, account: &str, as_is: bool) -> Result<(), Problem> {
    let Ok(text) = std::str::from_utf8(value.expose()) else { return Ok(()) };
    let unseen_end = |c: Option<char>| c.is_some_and(|c| acts(c) && !c.is_control());
    if text.starts_with('\u{feff}') {
        let line = "the new value begins with a byte order mark, which Windows' programs put before a text";
        return Err(unfit(line).hint(
            "have it written without one: in PowerShell 7, or with $OutputEncoding = [Text.UTF8Encoding]::new($false)",
        ));
    }
    if unseen_end(text.chars().next()) || unseen_end(text.chars().next_back()) {
        let line = "the new value begins or ends with an invisible character, as a chat or a web page puts it there";
        return Err(unfit(line).hint(piped(
            "copy it from where it is kept, by that program's own command, as in",
            "pass show ITEM",
            account,
        )));
    }
    if as_is {
        return Ok(());
    }
    let Some(Likeness { what, print }) = likeness(text) else { return Ok(()) };
    let problem = unfit(&format!("the new value is {what}"));
    let problem = match print {
        "" => problem.hint(piped("give the value itself, as in", "pass show ITEM", account)),
        print => problem.hint(piped("print the value itself, as in", print, account)),
    };
    Err(problem.hint(format!("if it is the value all the same: {AS_IT_IS}")))
}

/// Refuses a value of another form than the one that is in use: an application that decodes it would not start.
pub fn same_form(value: &Payload, in_use: &Payload, account: &str) -> Result<(), Problem> {
    let (Some(new), Some(old)) = (Form::of(value), Form::of(in_use)) else { return Ok(()) };
    // Letters and digits say nothing of how they are read.
    if old == Form::Text || new == old {
        return Ok(());
    }
    let line = format!("the new value is {}, and the one in use is {}", new.words(), old.words());
    let problem = match old.print() {
        "" => unfit(&line),
        print => unfit(&line).hint(piped("give one of that form, as in", print, account)),
    };
    Err(problem.hint(format!("where the application takes either: {AS_IT_IS}")))
}

fn unfit(line: &str) -> Problem {
    Problem::new(Reason::UnfitValue, line).hint("nothing was changed")
}

/// The command that prints it, into this one.
fn piped(what: &str, print: &str, account: &str) -> Hint {
    format!("{what}: {print} | tr -d '\\n' | kubectl deepdesk secret rotate {account} --value-from -").as_str().into()
}

const ONE_PASSWORD: &str = "op read op://VAULT/ITEM/FIELD";
const BITWARDEN: &str = "bw get password ITEM";
const VAULT: &str = "vault kv get -field=FIELD PATH";
const AWS: &str = "aws secretsmanager get-secret-value --secret-id ID --query SecretString --output text";
const GCLOUD: &str = "gcloud secrets versions access latest --secret=ID";
const JQ: &str = "COMMAND | jq -j .FIELD";

/// Beginnings and parts of what programs print where they do not print a value. Compared without case.
const SAID: &[(&str, Where, &str, &str)] = &[
    (
        "[use 'op item get",
        Where::Begins,
        "what 1Password prints in place of a value that it does not reveal",
        ONE_PASSWORD,
    ),
    ("[error]", Where::Begins, "an error message", ""),
    ("error:", Where::Begins, "an error message", ""),
    ("error ", Where::Begins, "an error message", ""),
    ("fatal:", Where::Begins, "an error message", ""),
    ("usage:", Where::Begins, "a program's usage", ""),
    ("you are not logged in", Where::Begins, "Bitwarden's message that nobody is logged in", BITWARDEN),
    ("vault is locked", Where::Begins, "Bitwarden's message that the vault is locked", BITWARDEN),
    ("? master password", Where::Begins, "Bitwarden's question for the master password", BITWARDEN),
    ("more than one result was found", Where::Begins, "Bitwarden's message that several items fit", BITWARDEN),
    ("--reveal", Where::Within, "what 1Password prints in place of a value that it does not reveal", ONE_PASSWORD),
    ("not currently signed in", Where::Within, "1Password's message that nobody is signed in", ONE_PASSWORD),
    ("isn't an item", Where::Within, "1Password's message that there is no such item", ONE_PASSWORD),
    ("is not in the password store", Where::Within, "pass's message that there is no such entry", "pass show ITEM"),
    (
        "could not find specified account",
        Where::Within,
        "LastPass's message that there is no such item",
        "lpass show --password ITEM",
    ),
    ("permission denied", Where::Within, "an error message", ""),
    ("op://", Where::Begins, "a reference of 1Password's, and not what it refers to", ONE_PASSWORD),
    ("bw://", Where::Begins, "a reference, and not what it refers to", BITWARDEN),
    ("ref+", Where::Begins, "a reference, and not what it refers to", ""),
    ("vault:", Where::Begins, "a reference of Vault's, and not what it refers to", VAULT),
    ("arn:aws:", Where::Begins, "the name of an AWS secret, and not its value", AWS),
    ("sm://", Where::Begins, "a reference to a Google secret, and not its value", GCLOUD),
    ("projects/", Where::Begins, "the name of a Google secret, and not its value", GCLOUD),
    ("$env:", Where::Begins, "the name of a variable, and not its value", ""),
    ("${", Where::Begins, "the name of a variable, and not its value", ""),
    ("$(", Where::Begins, "a command, and not what it prints", ""),
    ("{{", Where::Begins, "a template, and not what it makes", ""),
    ("<html", Where::Begins, "a web page", ""),
    ("<!doctype", Where::Begins, "a web page", ""),
    ("-----begin pgp message", Where::Begins, "an encrypted message", "gpg --decrypt FILE"),
    ("age-encryption.org", Where::Begins, "an encrypted file", "age --decrypt FILE"),
    ("$ansible_vault;", Where::Begins, "an encrypted file", "ansible-vault view FILE"),
    ("enc[", Where::Begins, "an encrypted value (sops)", "sops decrypt --extract '[\"FIELD\"]' FILE"),
];

/// What programs print in a value's place.
const HIDDEN: &[&str] = &[
    "<hidden>",
    "<concealed>",
    "<redacted>",
    "<sensitive>",
    "<sensitive value>",
    "(sensitive value)",
    "(sensitive)",
    "[hidden]",
    "[redacted]",
    "[concealed]",
    "redacted",
    "concealed",
    "protected",
    "undefined",
    "null",
    "none",
    "hidden",
    "changeme",
    "password",
    "<password>",
];

enum Where {
    Begins,
    Within,
}

fn likeness(text: &str) -> Option<Likeness> {
    // White space is for the rules on values; what stands between it is looked at here.
    let text = text.trim();
    let lower = text.to_lowercase();
    let is = |what, print| Some(Likeness { what, print });
    if HIDDEN.contains(&lower.as_str()) {
        return is("what a program prints where it does not show a value", "");
    }
    if !text.is_empty() && text.chars().all(|c| "*•●·█".contains(c)) {
        return is("a row of marks, as a program prints it where it does not show a value", "");
    }
    for (words, place, what, print) in SAID {
        let fits = match place {
            Where::Begins => lower.starts_with(words),
            // A key has no blanks: what says something has.
            Where::Within => lower.contains(words) && lower.contains(' '),
        };
        if fits {
            return is(what, print);
        }
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) if text.starts_with('"') => {
            return is("in quotes: a JSON string, and not what it stands for", "COMMAND | jq -j .");
        }
        Ok(_) if lower.contains("\"secretstring\"") => return is("a whole answer of AWS", AWS),
        Ok(_) if lower.contains("\"payload\"") && lower.contains("\"data\"") => {
            return is("a whole answer of Secret Manager", GCLOUD);
        }
        Ok(_) if text.starts_with('{') && is_item(&lower) => {
            return is("a whole item in JSON, and not the value in it", JQ);
        }
        Ok(_) if text.starts_with('[') => return is("a list in JSON, and not a value in it", JQ),
        _ => {}
    }
    let quoted = |mark: char| text.len() > 1 && text.starts_with(mark) && text.ends_with(mark);
    if quoted('\'') || quoted('`') || quoted('"') {
        return is("in quotes", "");
    }
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    if matches!(
        (first, last),
        ('\u{201c}', '\u{201d}') | ('\u{2018}', '\u{2019}') | ('\u{ab}', '\u{bb}') | ('\u{201e}', '\u{201c}')
    ) {
        return is("in quotes, as an editor sets them", "");
    }
    // `SECRET_KEY=…`, as `.env` files and `password: …`, as macOS' keychain and others print it.
    let (name, rest) = text.split_once(['=', ':'])?;
    let is_label = |name: &str| {
        let name = name.trim_start_matches("export ").to_lowercase();
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ' ')
            && ["password", "secret", "key", "token", "value", "passwort"].iter().any(|word| name.contains(word))
    };
    match is_label(name) && !rest.trim_matches('=').is_empty() {
        true => is("a value with its name before it", ""),
        false => None,
    }
}

/// Whether a JSON object has the fields of a password manager's item: an application's own may be one as well.
fn is_item(lower: &str) -> bool {
    let fields = [
        "\"fields\"",
        "\"login\"",
        "\"concealed\"",
        "\"vault\"",
        "\"item\"",
        "\"lease_duration\"",
        "\"secretstring\"",
        "\"folderid\"",
        "\"reference\"",
        "\"lease_id\"",
    ];
    fields.iter().any(|field| lower.contains(field))
}

/// How a value is written, where that can be told for certain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Json,
    Pem,
    /// A key of Fernet: 32 bytes in base64 for URLs.
    Fernet,
    /// This many hexadecimal digits.
    Hex(usize),
    /// Base64 whose end shows that it is: padded.
    Base64,
    Text,
}

/// Hexadecimal digits in one case. Digits alone may be anything.
fn is_hex(text: &str) -> bool {
    let digits = |letters: std::ops::RangeInclusive<u8>| {
        text.bytes().all(|byte| byte.is_ascii_digit() || letters.contains(&byte))
            && text.bytes().any(|byte| letters.contains(&byte))
    };
    digits(b'a'..=b'f') || digits(b'A'..=b'F')
}

impl Form {
    /// None for what is no text.
    fn of(value: &Payload) -> Option<Form> {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        let text = std::str::from_utf8(value.expose()).ok()?;
        let decodes = |engine: &base64::engine::GeneralPurpose| {
            engine.decode(text).ok().map(|bytes| zeroize::Zeroizing::new(bytes).len())
        };
        Some(match text {
            text if text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => Form::Json,
            text if text.starts_with("-----BEGIN ") => Form::Pem,
            text if text.len() == 44 && decodes(&URL_SAFE) == Some(32) => Form::Fernet,
            text if text.len() >= 32 && text.len() % 2 == 0 && is_hex(text) => Form::Hex(text.len()),
            text if text.ends_with('=') && (decodes(&STANDARD).is_some() || decodes(&URL_SAFE).is_some()) => {
                Form::Base64
            }
            _ => Form::Text,
        })
    }

    fn words(self) -> String {
        match self {
            Form::Json => "a JSON object".to_owned(),
            Form::Pem => "a PEM block".to_owned(),
            Form::Fernet => "a Fernet key".to_owned(),
            Form::Hex(digits) => format!("{digits} hexadecimal digits"),
            Form::Base64 => "base64".to_owned(),
            Form::Text => "plain text".to_owned(),
        }
    }

    fn print(self) -> &'static str {
        match self {
            Form::Fernet => "openssl rand -base64 32 | tr '+/' '-_'",
            Form::Hex(64) => "openssl rand -hex 32",
            Form::Hex(32) => "openssl rand -hex 16",
            Form::Hex(_) => "openssl rand -hex HALF_AS_MANY",
            Form::Base64 => "openssl rand -base64 48",
            Form::Json | Form::Pem | Form::Text => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijABCDEFGHIJ0123456789";

    fn payload(text: &str) -> Payload {
        Payload::new(text.as_bytes().to_vec())
    }

    #[test]
    fn what_a_program_prints_in_place_of_a_value_is_refused_with_the_command_that_prints_it() {
        for (text, what, print) in [
            ("[use 'op item get 4jxgyd7z --reveal' to reveal]".to_owned(), "1Password", "op read"),
            ("You are not logged in.".to_owned(), "Bitwarden", "bw get password"),
            (
                "[ERROR] 2026/11/30 12:00:00 you are not currently signed in. Please run `op signin --help`".to_owned(),
                "error message",
                "",
            ),
            ("Error: Could not find specified account(s).".to_owned(), "error message", ""),
            ("op://Production/acme/SECRET_KEY-of-the-backend".to_owned(), "reference", "op read"),
            (
                "projects/p/secrets/acme_account_secret/versions/latest".to_owned(),
                "name of a Google secret",
                "gcloud secrets versions access",
            ),
            ("*".repeat(40), "row of marks", ""),
            ("•".repeat(40), "row of marks", ""),
            ("<concealed>".to_owned(), "does not show a value", ""),
            (format!("\"{KEY}\""), "JSON string", "jq -j"),
            (format!("'{KEY}'"), "in quotes", ""),
            (format!("\u{201c}{KEY}\u{201d}"), "in quotes", ""),
            (
                format!("{{\"id\":\"x\",\"fields\":[{{\"type\":\"CONCEALED\",\"value\":\"{KEY}\"}}]}}"),
                "whole item",
                "jq -j",
            ),
            (format!("{{\"ARN\":\"a\",\"SecretString\":\"{KEY}\"}}"), "answer of AWS", "aws secretsmanager"),
            (format!("[{{\"value\":\"{KEY}\"}}]"), "list in JSON", "jq"),
            (format!("SECRET_KEY={KEY}"), "its name before it", ""),
            (format!("password: {KEY}"), "its name before it", ""),
            (format!("\u{feff}{KEY}"), "byte order mark", "PowerShell"),
            (format!("{KEY}\u{200b}"), "invisible", "rotate acme --value-from -"),
            (format!("\u{2060}{KEY}"), "invisible", ""),
        ] {
            let problem = look(&payload(&text), "acme", false).expect_err(&text);
            let hints = deepdesk_protocol::hint::in_one_line(&problem.hints);
            assert!(problem.message.contains(what), "{text}: {}", problem.message);
            assert!(hints.contains(print), "{text}: {hints}");
            assert!(!format!("{} {hints}", problem.message).contains("0123456789"), "{text}: the value is shown");
        }
    }

    #[test]
    fn values_are_taken_and_so_is_what_one_was_told_to_take() {
        let fernet = "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28=";
        for text in [
            KEY,
            fernet,
            &"ab".repeat(32),
            "p@ss-w0rd!with=signs:and/more+than(32)characters",
            "x=y=0123456789012345678901234567890",
            &format!("{KEY}=="),
        ] {
            look(&payload(text), "acme", false).unwrap_or_else(|problem| panic!("{text}: {}", problem.message));
        }
        // Of an application that reads its own JSON: no password manager's item.
        look(&payload(&format!("{{\"key\":\"{KEY}\"}}")), "acme", false).expect("an application's own");
        look(&payload(&format!("\"{KEY}\"")), "acme", true).expect("told to");
        look(&payload(&format!("{KEY}\u{200b}")), "acme", true).expect_err("nobody can see it");
    }

    #[test]
    fn another_form_than_the_one_in_use_is_refused() {
        let (fernet, hex) = ("aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28=", "ab".repeat(32));
        let check =
            |new: &str, old: &str| same_form(&payload(new), &payload(old), "acme").map_err(|problem| problem.message);
        for (new, old) in
            [(KEY, KEY), (fernet, fernet), (fernet, KEY), (hex.as_str(), hex.as_str()), ("{\"a\":1}", "{\"b\":2}")]
        {
            assert_eq!(check(new, old), Ok(()), "{new} {old}");
        }
        for (new, old, words) in [
            (KEY, fernet, "a Fernet key"),
            (hex.as_str(), fernet, "a Fernet key"),
            (KEY, hex.as_str(), "64 hexadecimal digits"),
            (&hex[..32], hex.as_str(), "32 hexadecimal digits"),
            (KEY, "{\"a\":1}", "a JSON object"),
        ] {
            assert!(check(new, old).expect_err(new).contains(words), "{new} {old}");
        }
    }
}
