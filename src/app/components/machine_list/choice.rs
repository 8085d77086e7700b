//! Which machines the person has chosen, to do one thing with all of them.

use std::collections::BTreeSet;

use uuid::Uuid;

/// The chosen ones; none while the person does not choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    chosen: Option<BTreeSet<Uuid>>,
    /// The machine that was chosen last: a range begins here.
    last: Option<Uuid>,
}

/// How far a click chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine, or not any more.
    One,
    /// All from the last one to this.
    Range,
}

impl Choice {
    /// Does the person choose?
    pub(super) fn is_on(&self) -> bool {
        self.chosen.is_some()
    }

    /// Is this machine chosen? `None` while the person does not choose.
    pub(super) fn of(&self, uuid: Uuid) -> Option<bool> {
        self.chosen.as_ref().map(|chosen| chosen.contains(&uuid))
    }

    /// The chosen ones.
    pub(super) fn chosen(&self) -> Option<Vec<Uuid>> {
        self.chosen.as_ref().map(|chosen| chosen.iter().copied().collect())
    }

    /// The person begins, with nothing.
    pub(super) fn begin(&mut self) {
        self.chosen.get_or_insert_default();
    }

    /// The person has finished.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// A click on this machine, of those that are shown in this order. The first one adds to what is selected.
    pub(super) fn choose(&mut self, uuid: Uuid, reach: Reach, shown: &[Uuid], selected: Option<Uuid>) {
        let selected = selected.filter(|selected| shown.contains(selected));
        let first = !self.is_on();
        let chosen = self.chosen.get_or_insert_default();
        if first && let Some(selected) = selected.filter(|selected| *selected != uuid) {
            chosen.insert(selected);
        }
        let place = |uuid: Option<Uuid>| uuid.and_then(|uuid| shown.iter().position(|shown| *shown == uuid));
        match (reach, place(self.last.or(selected)), place(Some(uuid))) {
            (Reach::Range, Some(from), Some(to)) => chosen.extend(&shown[from.min(to)..=from.max(to)]),
            _ if chosen.remove(&uuid) => {}
            _ => drop(chosen.insert(uuid)),
        }
        // A range keeps its beginning.
        if reach == Reach::One || self.last.is_none() {
            self.last = if reach == Reach::One { Some(uuid) } else { selected };
        }
    }

    /// All that are shown.
    pub(super) fn choose_all(&mut self, shown: &[Uuid]) {
        self.chosen = Some(shown.iter().copied().collect());
    }

    /// Forgets machines that are not there any more.
    pub(super) fn retain(&mut self, is_there: impl Fn(Uuid) -> bool) {
        if let Some(chosen) = &mut self.chosen {
            chosen.retain(|uuid| is_there(*uuid));
        }
        self.last = self.last.filter(|uuid| is_there(*uuid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Uuid; 4] = [Uuid::from_u128(4), Uuid::from_u128(3), Uuid::from_u128(2), Uuid::from_u128(1)];

    fn chosen(choice: &Choice) -> Vec<usize> {
        (0..ALL.len()).filter(|place| choice.of(ALL[*place]) == Some(true)).collect()
    }

    #[test]
    fn one_after_the_other() {
        let mut choice = Choice::default();
        assert_eq!((choice.of(ALL[0]), choice.chosen()), (None, None));
        choice.begin();
        assert_eq!((choice.of(ALL[0]), choice.chosen()), (Some(false), Some(Vec::new())));
        for (place, expected) in [(1, vec![1]), (3, vec![1, 3]), (1, vec![3]), (3, vec![])] {
            choice.choose(ALL[place], Reach::One, &ALL, Some(ALL[0]));
            assert_eq!(chosen(&choice), expected);
        }
        choice.choose_all(&ALL[1..]);
        assert_eq!(chosen(&choice), [1, 2, 3]);
        choice.retain(|uuid| uuid != ALL[2]);
        assert_eq!(chosen(&choice), [1, 3]);
        choice.end();
        assert!(!choice.is_on());
    }

    #[test]
    fn what_is_selected_is_where_it_begins() {
        let mut choice = Choice::default();
        choice.choose(ALL[2], Reach::One, &ALL, Some(ALL[0]));
        assert_eq!(chosen(&choice), [0, 2]);
        let mut choice = Choice::default();
        choice.choose(ALL[0], Reach::One, &ALL, Some(ALL[0]));
        assert_eq!(chosen(&choice), [0]);
        // A range, and then another from the same beginning; without one it is a single machine.
        let mut choice = Choice::default();
        choice.choose(ALL[2], Reach::Range, &ALL, Some(ALL[1]));
        assert_eq!(chosen(&choice), [1, 2]);
        choice.choose(ALL[0], Reach::Range, &ALL, Some(ALL[1]));
        assert_eq!(chosen(&choice), [0, 1, 2]);
        let mut choice = Choice::default();
        choice.choose(ALL[2], Reach::Range, &ALL, None);
        assert_eq!(chosen(&choice), [2]);
        // What a search hides is no beginning.
        let mut choice = Choice::default();
        choice.choose(ALL[2], Reach::Range, &ALL[1..], Some(ALL[0]));
        assert_eq!(chosen(&choice), [2]);
    }
}
