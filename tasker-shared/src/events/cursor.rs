//! How far a log has been read, where rows become visible out of order.
//!
//! Rows are numbered without holes when they are written and seen when they are committed, so a
//! number that is not there yet may come later, or never, where its transaction was rolled back.
//! Which of the two it is, the database tells: every transaction that could have drawn the number
//! has a transaction id by now, and when none of those runs any more, the number will not come.

use std::collections::BTreeMap;

/// How many numbers before the end are looked at when reading begins: those of transactions that
/// commit while it does.
pub(super) const LOOK_BACK: i64 = 1000;

/// Missing numbers that are no further apart are asked for together, with what lies between them.
const NEIGHBOURS: i64 = 1000;

/// Most ranges of missing numbers that are asked for again and again. Each costs about a
/// millisecond, and there are many only while an old transaction keeps all from being given up.
const MOST_RANGES: usize = 16;

/// Most missing numbers that are kept.
const MOST_MISSING: usize = 20_000;

/// A log that is further ahead than this is not read any more but followed from its end.
const MOST_BEHIND: i64 = 100_000;

/// The numbers of one log that have been read.
#[derive(Debug)]
pub(super) struct Cursor {
    /// Everything up to this number was asked for.
    read_to: i64,
    /// The numbers up to there that were not there, each with a transaction id that is higher than
    /// that of the transaction that drew it, once one was looked up.
    missing: BTreeMap<i64, Option<i64>>,
}

impl Cursor {
    /// Reads on from the end of a log whose last number is `last`, but for the look back.
    pub(super) fn new(last: i64) -> Self {
        Self {
            read_to: (last - LOOK_BACK).max(0),
            missing: BTreeMap::new(),
        }
    }

    /// Whether there are missing numbers that no transaction id is known for.
    pub(super) fn wants_mark(&self) -> bool {
        self.missing.values().any(Option::is_none)
    }

    /// Notes a transaction id that was drawn after everything that was read so far.
    pub(super) fn mark(&mut self, mark: i64) {
        for known in self.missing.values_mut() {
            known.get_or_insert(mark);
        }
    }

    /// Whether there is more to read than `width` numbers.
    pub(super) const fn is_behind(&self, last: i64, width: i64) -> bool {
        last - self.read_to > width
    }

    /// What to ask for: the missing numbers, and up to `width` new ones.
    pub(super) fn ranges(&self, last: i64, width: i64) -> (Vec<i64>, Vec<i64>) {
        let (mut from, mut to) = self.missing_ranges();
        if last > self.read_to {
            from.push(self.read_to + 1);
            to.push(last.min(self.read_to + width));
        }
        (from, to)
    }

    fn missing_ranges(&self) -> (Vec<i64>, Vec<i64>) {
        let (mut from, mut to) = (Vec::new(), Vec::<i64>::new());
        for &number in self.missing.keys() {
            match to.last_mut() {
                Some(end) if number - *end <= NEIGHBOURS => *end = number,
                _ => {
                    from.push(number);
                    to.push(number);
                }
            }
        }
        (from, to)
    }

    /// Takes note of an answer to [`Self::ranges`] of the same arguments; keeps in `numbers` those
    /// that are seen for the first time. No transaction before `oldest_running` ran when it was
    /// read.
    pub(super) fn read(
        &mut self,
        (last, width): (i64, i64),
        oldest_running: i64,
        numbers: &mut Vec<i64>,
    ) {
        // Numbers that were not there before this answer have their chance yet.
        let ended = |mark: &Option<i64>| mark.is_some_and(|mark| mark < oldest_running);
        let never = self.missing.iter().filter(|(_, mark)| ended(mark));
        let never: Vec<_> = never.map(|(number, _)| *number).collect();
        let read_to = last.min(self.read_to + width);
        for number in self.read_to + 1..=read_to {
            self.missing.insert(number, None);
        }
        self.read_to = self.read_to.max(read_to);
        numbers.retain(|number| self.missing.remove(number).is_some());
        for number in never {
            self.missing.remove(&number);
        }
    }

    /// Gives up missing numbers where there are too many; how many.
    pub(super) fn give_up(&mut self) -> u64 {
        let before = self.missing.len();
        let (from, _) = self.missing_ranges();
        if from.len() > MOST_RANGES {
            self.missing = self.missing.split_off(&from[from.len() - MOST_RANGES]);
        }
        while self.missing.len() > MOST_MISSING {
            self.missing.pop_first();
        }
        (before - self.missing.len()) as u64
    }

    /// Skips to the end where that is too far away; how many numbers were skipped. Where the server
    /// crashed, the end may lie before what was read: those numbers will be given again.
    pub(super) fn catch_up(&mut self, last: i64) -> u64 {
        if last < self.read_to {
            self.read_to = last;
            drop(self.missing.split_off(&(last + 1)));
        }
        if !self.is_behind(last, MOST_BEHIND) {
            return 0;
        }
        let skipped = last - self.read_to + i64::try_from(self.missing.len()).unwrap_or(0);
        self.read_to = last;
        self.missing.clear();
        skipped.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: i64 = 100;

    /// A cursor that has read `read_to` numbers, all of them there.
    fn at(read_to: i64) -> Cursor {
        Cursor {
            read_to,
            missing: BTreeMap::new(),
        }
    }

    /// Reads an answer, in which those `numbers` are there; gives those that are new.
    fn read(cursor: &mut Cursor, last: i64, oldest: i64, numbers: &[i64]) -> Vec<i64> {
        let mut numbers = numbers.to_vec();
        cursor.read((last, WIDTH), oldest, &mut numbers);
        numbers
    }

    #[test]
    fn each_number_is_new_once_however_late_it_comes() {
        let mut cursor = at(10);
        assert_eq!(cursor.ranges(14, WIDTH), (vec![11], vec![14]));
        assert_eq!(read(&mut cursor, 14, 1, &[11, 13]), [11, 13]);
        assert_eq!(cursor.ranges(14, WIDTH), (vec![12], vec![14]));
        assert_eq!(read(&mut cursor, 14, 1, &[12, 13]), [12]);
        assert_eq!(read(&mut cursor, 14, 1, &[12, 13, 14]), [14]);
        assert_eq!(cursor.ranges(14, WIDTH), (vec![], vec![]));
    }

    #[test]
    fn a_number_is_given_up_only_when_no_transaction_is_left_that_could_have_drawn_it() {
        let mut cursor = at(10);
        read(&mut cursor, 12, 700, &[12]);
        assert!(cursor.wants_mark());
        cursor.mark(710);
        assert!(!cursor.wants_mark());
        read(&mut cursor, 12, 705, &[]);
        read(&mut cursor, 12, 710, &[]);
        assert_eq!(cursor.ranges(12, WIDTH), (vec![11], vec![11]));

        read(&mut cursor, 12, 711, &[]);
        assert_eq!(cursor.ranges(12, WIDTH), (vec![], vec![]));
        assert_eq!(cursor.give_up(), 0, "it was not missed, it never was");
    }

    #[test]
    fn a_number_that_was_committed_last_is_new_although_nothing_runs_any_more() {
        let mut cursor = at(10);
        read(&mut cursor, 11, 700, &[]);
        cursor.mark(710);
        assert_eq!(read(&mut cursor, 11, 711, &[11]), [11]);
    }

    #[test]
    fn what_is_far_apart_is_asked_for_in_ranges_and_the_new_in_parts() {
        let mut cursor = at(0);
        cursor.missing = [(5, None), (900, None), (5000, None)].into();
        cursor.read_to = 6000;
        assert_eq!(
            cursor.ranges(6500, WIDTH),
            (vec![5, 5000, 6001], vec![900, 5000, 6100])
        );
        assert!(cursor.is_behind(6500, WIDTH));
    }

    #[test]
    fn what_is_missing_is_bounded_and_what_is_given_up_for_that_is_told() {
        let mut cursor = at(0);
        cursor.missing = (0..20).map(|n| (n * 10_000, Some(1))).collect();
        assert_eq!(cursor.give_up(), 4);
        assert_eq!(cursor.missing_ranges().0[0], 40_000);
        assert_eq!(cursor.give_up(), 0);
        cursor.missing = (0..20_003).map(|n| (n, Some(1))).collect();
        assert_eq!(cursor.give_up(), 3);
    }

    #[test]
    fn an_end_too_far_away_is_skipped_to() {
        let mut cursor = at(10);
        assert_eq!(cursor.catch_up(10 + MOST_BEHIND), 0);
        assert_eq!(cursor.catch_up(11 + MOST_BEHIND), 100_001);
        assert_eq!(cursor.ranges(11 + MOST_BEHIND, WIDTH), (vec![], vec![]));
    }

    #[test]
    fn numbers_that_a_crash_took_back_are_read_when_they_are_given_again() {
        let mut cursor = at(10);
        assert_eq!(cursor.catch_up(7), 0);
        assert_eq!(cursor.ranges(9, WIDTH), (vec![8], vec![9]));
    }

    #[test]
    fn reading_begins_a_little_before_the_end() {
        assert_eq!(Cursor::new(3).read_to, 0);
        assert_eq!(Cursor::new(LOOK_BACK + 3).read_to, 3);
    }
}
