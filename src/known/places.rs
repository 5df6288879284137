//! Where values stand in bytes: as they are, or in an encoding that texts are looked through for before they are shown. One table
//! for both, so that what is hidden and what is recognized never differ.

use std::ops::Range;

use super::views::View;

/// The fewest bytes of a value that are recognized inside something longer: fewer may stand there by chance.
pub const INSIDE: usize = 24;

/// How deep encodings are followed: JSON in a URL, escaped text in base64.
const DEPTH: usize = 2;

/// The places of each of these values in `held`, none of which overlap. Shorter ones than [`INSIDE`] are recognized only where they
/// are all that there is.
pub fn places(values: &[&[u8]], held: &[u8]) -> Vec<Vec<Range<usize>>> {
    let mut found: Vec<Vec<Range<usize>>> = vec![Vec::new(); values.len()];
    for (value, found) in values.iter().zip(&mut found) {
        if value.len() < INSIDE && !value.is_empty() && *value == held {
            found.push(0..held.len());
        }
    }
    let inside: Vec<usize> = (0..values.len()).filter(|at| values[*at].len() >= INSIDE).collect();
    if !inside.is_empty() && held.len() >= INSIDE {
        look(&View::of_bytes(held), DEPTH, values, &inside, &mut found);
    }
    found.into_iter().map(merged).collect()
}

fn look(view: &View, depth: usize, values: &[&[u8]], inside: &[usize], found: &mut [Vec<Range<usize>>]) {
    for at in inside {
        found[*at].extend(view.places_of(values[*at]));
    }
    if depth > 0 {
        view.decoded().iter().for_each(|view| look(view, depth - 1, values, inside, found));
    }
}

/// A place that is found as it stands is found again where nothing near it is encoded.
fn merged(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|place| (place.start, place.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for place in found {
        match merged.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            Some(_) | None => merged.push(place),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const VALUE: &str = "q3VbZr8mKx1TnYc5HsWd9LpGf2JvRt7Q";
    /// With what JSON, URLs and HTML write otherwise, over two lines.
    const GIVEN: &str = "gI8\"vQ\\z/e+n&y=%x;h<K>5\nTü'M{4}p:R#w";

    fn count(value: &str, held: impl AsRef<[u8]>) -> usize {
        places(&[value.as_bytes()], held.as_ref())[0].len()
    }

    fn hexadecimal(value: &str) -> String {
        value.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn in_a_url(value: &str) -> String {
        let one = |byte: u8| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        value.bytes().map(one).collect()
    }

    #[test]
    fn a_value_is_recognized_in_each_encoding_of_the_table() {
        for value in [VALUE, GIVEN] {
            let json = serde_json::json!(value).to_string();
            let encoded = [
                value.to_owned(),
                json.clone(),
                // As Go's own JSON does.
                json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
                in_a_url(value),
                hexadecimal(value),
                hexadecimal(value).to_uppercase(),
                STANDARD.encode(value),
                URL_SAFE_NO_PAD.encode(value),
                // A longer text that holds it, at each of the three offsets.
                STANDARD.encode(format!("{value};")),
                STANDARD.encode(format!("a{value};")),
                STANDARD.encode(format!("ab{value};")),
                STANDARD.encode(&json),
            ];
            for written in encoded {
                for held in [written.clone(), format!("KEY={written}\nURL=redis://cache:6379/0\n")] {
                    assert_eq!(count(value, &held), 1, "{value} in {held}");
                }
                assert_eq!(count(value, format!("A={written}\nB={written}\n")), 2, "{value} twice in {written}");
            }
        }
    }

    #[test]
    fn what_is_not_the_value_is_not_recognized() {
        let other = VALUE.replace('q', "p");
        let reversed: String = VALUE.chars().rev().collect();
        let held = [other.clone(), VALUE[1..].to_owned(), reversed, STANDARD.encode(&other), String::new()];
        for held in held {
            assert_eq!(count(VALUE, &held), 0, "{held}");
        }
        // What is not text either.
        assert_eq!(count(VALUE, [&[0xff, 0xfe][..], VALUE.as_bytes(), &[0x80]].concat()), 1);
    }

    #[test]
    fn a_short_value_counts_as_a_whole_alone() {
        let (short, long) = (&VALUE[..INSIDE - 1], &VALUE[..INSIDE]);
        assert_eq!((count(short, short), count(short, format!("a={short}"))), (1, 0));
        assert_eq!((count(long, long), count(long, format!("a={long}"))), (1, 1));
        assert_eq!(count("", ""), 0);
    }
}
