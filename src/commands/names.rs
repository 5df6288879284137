//! Names that somebody typed: the near ones when there is no such name.

use deepdesk_protocol::hint::{Command, Hint};

/// The most names that a hint shows.
const MOST: usize = 5;

/// The names that look like the given one, the most alike first.
pub fn near<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let alike = |name: &str| {
        let name = name.to_lowercase();
        // A part of a long name (`gke_project_location_prod`) is how people remember it.
        let part = given.len() > 1 && name.contains(&given);
        let words = name.split(['-', '_', '.', '/']).chain([name.as_str()]);
        let best = words.map(|word| strsim::jaro_winkler(&given, word)).fold(0.0, f64::max);
        best + if part { 1.0 } else { 0.0 }
    };
    let mut found: Vec<(f64, &str)> =
        names.into_iter().map(|name| (alike(name), name)).filter(|(likeness, _)| *likeness > 0.85).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(MOST);
    found.into_iter().map(|(_, name)| name).collect()
}

/// What to do about a name that does not exist: the near ones, else where all of them are listed.
pub fn hint<'a>(given: &str, names: impl IntoIterator<Item = &'a str>, list: Command) -> Hint {
    match near(given, names).as_slice() {
        [] => Hint::to("see them all", list),
        near => format!("did you mean {}?", near.join(", ")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_typos_and_parts() {
        let names = ["gke_p_europe-west1_prod", "gke_p_europe-west1_test", "minikube", "acme", "globex"];
        let cases = [
            ("prod", vec!["gke_p_europe-west1_prod"]),
            ("acem", vec!["acme"]),
            ("ACME", vec!["acme"]),
            ("minkube", vec!["minikube"]),
            ("tets", vec!["gke_p_europe-west1_test"]),
            ("x", vec![]),
            ("nothing-like-it", vec![]),
        ];
        for (given, expected) in cases {
            assert_eq!(near(given, names), expected, "{given}");
        }
    }
}
