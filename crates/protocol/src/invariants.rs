//! The invariants of docs/protocol.md as functions of what is there, each once. The planner's tables, the model (tests/model), the campaign
//! (tests/campaign) and the hands (tests/hands) judge with these, each with what it knows of an account.
//!
//! A value is whatever tells two values apart: a tag, a number. What is returned is what does not hold.

/// The two values of a place: a Kubernetes Secret, or a pod as it started.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slots<V> {
    /// What is written with.
    pub primary: Option<V>,
    /// What is read with, too.
    pub back_compat: Option<V>,
}

impl<V: Copy + PartialEq> Slots<V> {
    /// Whether what is encrypted under `value` can be read with the two.
    pub fn reads(self, value: V) -> bool {
        self.primary == Some(value) || self.back_compat == Some(value)
    }
}

/// I1: a value under which data may be encrypted, and that no enabled version has.
pub fn lost<V: Copy>(needed: impl IntoIterator<Item = V>, is_enabled: impl Fn(V) -> bool) -> Option<V> {
    needed.into_iter().find(|value| !is_enabled(*value))
}

/// I2: a place that cannot read what is encrypted under the value of before.
pub fn cannot_read<V: Copy + PartialEq>(places: impl IntoIterator<Item = Slots<V>>, before: V) -> Option<Slots<V>> {
    places.into_iter().find(|place| !place.reads(before))
}

/// I3: whether a write to Secret Manager comes from who holds the lock.
pub fn is_holder<O: PartialEq>(writer: O, holder: Option<O>) -> bool {
    holder == Some(writer)
}

/// I4: whether a change added no more versions than it may, however often it was repeated.
pub fn adds_at_most(before: usize, after: usize, most: usize) -> bool {
    after <= before + most
}

/// I5: whether data is under two values at most.
pub fn are_two_at_most<V: PartialEq>(live: impl IntoIterator<Item = V>) -> bool {
    let mut distinct: Vec<V> = Vec::with_capacity(2);
    for value in live {
        if distinct.contains(&value) {
            continue;
        }
        if distinct.len() == 2 {
            return false;
        }
        distinct.push(value);
    }
    true
}

/// I7: a place that does not have the newest values. `both`: whether the back-compat is asked, too.
pub fn not_on<V: Copy + PartialEq>(
    newest: Slots<V>,
    places: impl IntoIterator<Item = Slots<V>>,
    both: bool,
) -> Option<Slots<V>> {
    let differs =
        |place: &Slots<V>| place.primary != newest.primary || (both && place.back_compat != newest.back_compat);
    places.into_iter().find(differs)
}

/// I8: the values that are needed, that something held before, and that nothing holds now: an enabled version, a Kubernetes Secret, a pod.
pub fn ended<V: Copy>(
    needed: impl IntoIterator<Item = V>,
    held_before: impl Fn(V) -> bool,
    held_now: impl Fn(V) -> bool,
) -> impl Iterator<Item = V> {
    needed.into_iter().filter(move |value| held_before(*value) && !held_now(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(primary: u8, back_compat: u8) -> Slots<u8> {
        Slots { primary: Some(primary), back_compat: Some(back_compat) }
    }

    #[test]
    fn each_says_what_does_not_hold() {
        assert_eq!(lost([1, 2], |value| value == 1), Some(2));
        assert_eq!(lost([1, 2], |_| true), None);
        assert_eq!(cannot_read([place(2, 1), place(2, 2)], 1), Some(place(2, 2)));
        assert_eq!(cannot_read([place(2, 1), place(1, 2)], 1), None);
        assert!(is_holder("a", Some("a")) && !is_holder("a", Some("b")) && !is_holder("a", None));
        assert!(adds_at_most(3, 4, 1) && !adds_at_most(3, 5, 1));
        assert!(are_two_at_most([1, 2, 1, 2]) && !are_two_at_most([1, 2, 3]));
        assert_eq!(not_on(place(2, 1), [place(2, 1), place(2, 2)], true), Some(place(2, 2)));
        assert_eq!(not_on(place(2, 1), [place(2, 1), place(2, 2)], false), None);
        assert_eq!(not_on(place(2, 1), [place(1, 1)], false), Some(place(1, 1)));
        assert_eq!(ended([1, 2, 3], |value| value < 3, |value| value == 1).collect::<Vec<_>>(), [2]);
    }
}
