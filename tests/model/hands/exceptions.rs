//! What is not held: each with its reason, and since when that is known. What is held again is taken from here.

use super::judge::Property::{self, *};

/// A property, what breaks it, why.
struct Exception(Property, &'static str, &'static str);

#[rustfmt::skip] // One line each: a table.
const EXCEPTIONS: &[Exception] = &[
];

/// Why this is not held.
pub fn of(property: Property, by: &str) -> Option<&'static str> {
    let known = EXCEPTIONS.iter().find(|known| known.0 == property && by.starts_with(known.1));
    known.map(|known| known.2)
}
