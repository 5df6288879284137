//! What is on record of versions that are not in use: those that were retired, and those that somebody was asked about.

use std::collections::BTreeSet;

use super::names::VersionId;
use super::observation::Source;

/// Versions of the two secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionSet(BTreeSet<(Source, VersionId)>);

impl VersionSet {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is in it.
    pub fn has(&self, source: Source, version: VersionId) -> bool {
        self.0.contains(&(source, version))
    }

    /// All of them: the primary's first, each secret's by number.
    pub fn iter(&self) -> impl Iterator<Item = (Source, VersionId)> {
        self.0.iter().copied()
    }

    /// Reads such a list where each of its parts is one.
    pub fn named(text: &str) -> Option<VersionSet> {
        let fits = |part: &str| range(part).is_some_and(|(_, first, last)| 0 < first && first <= last);
        text.split(',').all(fits).then(|| VersionSet::read(text))
    }

    /// Reads `primary/1-6,primary/8,back-compat/2`. What is not such a list has nothing: no value is lost by that.
    pub fn read(text: &str) -> VersionSet {
        let mut set = VersionSet::default();
        for (source, first, last) in text.split(',').filter_map(range) {
            // A range that somebody wrote by hand may name more versions than any secret has.
            set.extend((first..=last).take(MOST).filter_map(VersionId::new).map(|version| (source, version)));
        }
        set
    }

    /// How it is written: years of rotations fit into an annotation.
    pub fn write(&self) -> String {
        let mut ranges: Vec<(Source, u64, u64)> = Vec::new();
        for (source, version) in self.iter() {
            match ranges.last_mut() {
                Some((of, _, last)) if *of == source && *last + 1 == version.get() => *last = version.get(),
                _ => ranges.push((source, version.get(), version.get())),
            }
        }
        let written = ranges.into_iter().map(|(source, first, last)| match first == last {
            true => format!("{}/{first}", source.as_str()),
            false => format!("{}/{first}-{last}", source.as_str()),
        });
        written.collect::<Vec<_>>().join(",")
    }
}

/// Secret Manager keeps at most so many versions of a secret that are not destroyed.
const MOST: usize = 50_000;

fn range(text: &str) -> Option<(Source, u64, u64)> {
    let (source, versions) = text.trim().split_once('/')?;
    let source = [Source::Primary, Source::BackCompat].into_iter().find(|one| one.as_str() == source)?;
    let (first, last) = versions.split_once('-').unwrap_or((versions, versions));
    Some((source, first.parse().ok()?, last.parse().ok()?))
}

impl Extend<(Source, VersionId)> for VersionSet {
    fn extend<T: IntoIterator<Item = (Source, VersionId)>>(&mut self, versions: T) {
        self.0.extend(versions);
    }
}

impl FromIterator<(Source, VersionId)> for VersionSet {
    fn from_iter<T: IntoIterator<Item = (Source, VersionId)>>(versions: T) -> VersionSet {
        VersionSet(versions.into_iter().collect())
    }
}

/// For people: `primary v1 to v6, back-compat v2`.
impl std::fmt::Display for VersionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let written = self.write();
        let told = written.split(',').filter_map(range).map(|(source, first, last)| match first == last {
            true => format!("{} v{first}", source.as_str()),
            false => format!("{} v{first} to v{last}", source.as_str()),
        });
        f.write_str(&told.collect::<Vec<_>>().join(", "))
    }
}

/// What the lock's record says of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Older {
    /// Whether there is a record that says such things: a Lease of an older program, or one that was deleted, says nothing.
    pub is_recorded: bool,
    /// Retired: by a finalization that came to its end, or by the operator's word.
    pub retired: VersionSet,
    /// Enabled, in no slot, and let be by whoever was asked (R3).
    pub answered: VersionSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_in_ranges_and_read_back() {
        let id = |number| VersionId::new(number).expect("not zero");
        let set: VersionSet = [1, 2, 3, 7, 9, 10]
            .map(|number| (Source::Primary, id(number)))
            .into_iter()
            .chain([(Source::BackCompat, id(11)), (Source::BackCompat, id(2))])
            .collect();
        assert_eq!(set.write(), "primary/1-3,primary/7,primary/9-10,back-compat/2,back-compat/11");
        assert_eq!(VersionSet::read(&set.write()), set);
        assert_eq!(set.to_string(), "primary v1 to v3, primary v7, primary v9 to v10, back-compat v2, back-compat v11");
        assert_eq!(VersionSet::default().write(), "");
    }

    #[test]
    fn what_is_no_list_of_versions_names_none() {
        for text in ["", "primary", "primary/", "primary/x", "other/1", "primary/3-1", "primary/-2", "primary/0"] {
            assert!(VersionSet::read(text).is_empty(), "{text}");
        }
        assert_eq!(
            VersionSet::named("primary/1-3,back-compat/2").map(|set| set.write()).unwrap_or_default(),
            "primary/1-3,back-compat/2"
        );
        for text in ["", "primary/3-1", "primary/0", "primary/1,", "secret/admin:KEY"] {
            assert_eq!(VersionSet::named(text), None, "{text}");
        }
        assert_eq!(VersionSet::read("soon, back-compat/2 ,primary/0-1").write(), "primary/1,back-compat/2");
        assert_eq!(VersionSet::read("primary/1-18446744073709551615").iter().count(), MOST);
    }
}
