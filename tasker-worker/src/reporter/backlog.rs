//! The outcomes that one reporter has to record, and when it tries which.
//!
//! Some have to wait: another transaction holds their task, or they fail for a reason of their own.
//! They are tried again after pauses that grow, in turns with what is fresh. Only when very many wait
//! does the reporter stop reading, and the worker receives less.

use std::time::Duration;

use tokio::time::Instant;

use super::part::Part;

/// Pause before an outcome is tried again whose task another transaction holds; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long an outcome waits for another transaction before that is worth a warning.
const TOLERATED: Duration = Duration::from_secs(5);

/// Longest pause of an outcome that fails for a reason of its own; every try may cost the others a
/// short pause.
const LONGEST_PAUSE_OF_FAILING: Duration = Duration::from_secs(30);

/// Outcomes that a reporter keeps before it stops reading. A few hundred whose tasks are held must not
/// stop a worker: while nothing is read, outcomes that could be recorded wait as well.
const MAX_OUTCOMES: usize = 4_096;

/// What one reporter has to record.
#[derive(Default)]
pub(super) struct Backlog {
    /// To be tried at once; the last is next.
    now: Vec<Part>,
    later: Vec<Later>,
    /// Whether a round has begun; see [`Backlog::next`].
    is_in_round: bool,
}

/// A part that is tried again.
struct Later {
    part: Part,
    at: Instant,
    wait: Wait,
}

/// How a part has waited so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    since: Instant,
    why: Why,
    pause: Duration,
    is_told: bool,
}

/// Why a part waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Other transactions hold the tasks.
    Locked,
    /// It fails for a reason of its own.
    Failing,
}

impl Why {
    const fn longest_pause(self) -> Duration {
        match self {
            Self::Locked => LONGEST_PAUSE,
            Self::Failing => LONGEST_PAUSE_OF_FAILING,
        }
    }
}

impl Backlog {
    /// Adds what is tried next.
    pub(super) fn push(&mut self, part: Part) {
        if part.len() > 0 {
            self.now.push(part);
        }
    }

    /// Keeps outcomes whose tasks other transactions hold, which `waited` before where they did.
    /// Those that have waited for the same pauses are tried together, up to `batch` of them. Returns
    /// whether they have waited for so long that it is worth a warning, once.
    pub(super) fn locked(&mut self, part: Part, waited: Option<Wait>, batch: usize) -> bool {
        let now = Instant::now();
        let (wait, is_news) = next_wait(waited, Why::Locked, now);
        let together = self.later.iter_mut().find(|later| {
            let Wait { why, pause, .. } = later.wait;
            (why, pause) == (wait.why, wait.pause) && later.part.may_absorb(&part, batch)
        });
        match together {
            Some(later) => {
                later.part.absorb(part);
                later.wait.is_told |= wait.is_told;
                later.wait.since = later.wait.since.min(wait.since);
            }
            None => self.put(part, wait, now),
        }
        is_news
    }

    /// Keeps an outcome that fails for a reason of its own.
    pub(super) fn failing(&mut self, part: Part, waited: Option<Wait>) {
        let now = Instant::now();
        let (wait, _) = next_wait(waited, Why::Failing, now);
        self.put(part, wait, now);
    }

    fn put(&mut self, part: Part, wait: Wait, now: Instant) {
        let at = now + wait.pause;
        self.later.push(Later { part, at, wait });
    }

    /// What is to be tried now, and how it has waited before. A round is one part that has waited long
    /// enough, and all that is fresh; then comes `None`, for the reporter to read what came meanwhile.
    pub(super) fn next(&mut self) -> Option<(Part, Option<Wait>)> {
        let due = if self.is_in_round { None } else { self.due() };
        let next = due.or_else(|| self.now.pop().map(|part| (part, None)));
        self.is_in_round = next.is_some();
        next
    }

    /// Takes what is longest overdue.
    fn due(&mut self) -> Option<(Part, Option<Wait>)> {
        let now = Instant::now();
        let due = self.later.iter().enumerate().filter(|(_, it)| it.at <= now);
        let (index, _) = due.min_by_key(|(_, it)| it.at)?;
        let Later { part, wait, .. } = self.later.swap_remove(index);
        Some((part, Some(wait)))
    }

    /// When something is to be tried again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.iter().map(|later| later.at).min()
    }

    /// How many outcomes there are.
    pub(super) fn len(&self) -> usize {
        self.parts().map(Part::len).sum()
    }

    /// Whether it is time to stop reading: there are too many outcomes, or this many bytes of them.
    pub(super) fn is_full(&self, max_bytes: usize) -> bool {
        self.len() >= MAX_OUTCOMES || self.parts().map(Part::bytes).sum::<usize>() >= max_bytes
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        let later = self.later.iter().map(|later| &later.part);
        self.now.iter().chain(later)
    }
}

/// How a part waits this time, and whether it has waited for so long that it is news.
fn next_wait(waited: Option<Wait>, why: Why, now: Instant) -> (Wait, bool) {
    let Some(waited) = waited.filter(|waited| waited.why == why) else {
        let wait = Wait {
            since: now,
            why,
            pause: FIRST_PAUSE,
            is_told: false,
        };
        return (wait, false);
    };
    let is_long = now.duration_since(waited.since) >= TOLERATED;
    let wait = Wait {
        pause: (waited.pause * 2).min(why.longest_pause()),
        is_told: waited.is_told || is_long,
        ..waited
    };
    (wait, is_long && !waited.is_told)
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::super::part::MAX_BYTES;
    use super::super::part::tests::{part, steps};
    use super::*;

    const BATCH: usize = 200;

    /// A part of one outcome of this size.
    fn heavy(bytes: usize) -> Part {
        let mut part = part(1);
        part.companions[0].bytes = bytes;
        part
    }

    /// Takes all that waited long enough; returns how many outcomes each call would carry, in order.
    fn calls(backlog: &mut Backlog) -> Vec<usize> {
        let due = std::iter::from_fn(|| backlog.due());
        let mut calls = due.map(|(part, _)| part.len()).collect::<Vec<_>>();
        calls.sort_unstable();
        calls
    }

    /// Tries what is due again and again while it stays locked; returns the pauses between.
    async fn pauses_while_locked(backlog: &mut Backlog, tries: usize) -> Vec<Duration> {
        let mut pauses = Vec::new();
        for _ in 0..tries {
            let before = Instant::now();
            sleep_until(backlog.next_due().expect("something waits")).await;
            pauses.push(before.elapsed());
            let (part, waited) = backlog.due().expect("it is due");
            backlog.locked(part, waited, BATCH);
        }
        pauses
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_locked_is_tried_again_after_pauses_that_grow_to_a_bound() {
        let mut backlog = Backlog::default();
        backlog.locked(part(1), None, BATCH);

        let pauses = pauses_while_locked(&mut backlog, 20).await;

        assert!(pauses[0] <= FIRST_PAUSE, "{pauses:?}");
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[19], LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_locked_holds_up_nothing_that_comes_meanwhile() {
        let mut backlog = Backlog::default();
        backlog.locked(part(1), None, BATCH);
        backlog.push(part(3));

        let (fresh, waited) = backlog.next().expect("a fresh part");
        assert_eq!((steps(&fresh), waited), (vec![1, 2, 3], None));
        assert!(backlog.next().is_none());
        assert_eq!(backlog.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_and_what_keeps_coming_take_turns() {
        let mut backlog = Backlog::default();
        for _ in 0..3 {
            backlog.locked(part(1), None, 1);
        }
        advance(FIRST_PAUSE).await;

        // All that waits is due at any time, as where a round over it takes longer than the pauses.
        let mut rounds = Vec::new();
        for _ in 0..3 {
            backlog.push(part(3));
            backlog.push(part(2));
            let mut round = Vec::new();
            while round.len() < 10
                && let Some((part, waited)) = backlog.next()
            {
                round.push(part.len());
                if waited.is_some() {
                    backlog.locked(part, waited, 1);
                    advance(LONGEST_PAUSE).await;
                }
            }
            rounds.push(round);
        }
        assert_eq!(rounds, [[1, 2, 3]; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_that_wait_alike_are_tried_by_one_call() {
        let mut backlog = Backlog::default();
        for _ in 0..10 {
            backlog.locked(part(1), None, 4);
        }
        advance(FIRST_PAUSE).await;

        assert_eq!(calls(&mut backlog), [2, 4, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_carries_no_more_bytes_than_it_should() {
        let mut backlog = Backlog::default();
        for _ in 0..7 {
            backlog.locked(heavy(MAX_BYTES / 3), None, BATCH);
        }
        backlog.locked(heavy(2 * MAX_BYTES), None, BATCH);
        advance(FIRST_PAUSE).await;

        assert_eq!(calls(&mut backlog), [1, 1, 3, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_hundred_outcomes_that_wait_do_not_fill_it_and_thousands_do() {
        let mut backlog = Backlog::default();
        for _ in 0..500 {
            backlog.locked(part(1), None, BATCH);
        }
        assert!(!backlog.is_full(usize::MAX));
        for _ in 500..MAX_OUTCOMES {
            backlog.locked(part(1), None, BATCH);
        }
        assert!(backlog.is_full(usize::MAX));

        advance(FIRST_PAUSE).await;
        drop(backlog.next().expect("it is due"));
        assert!(!backlog.is_full(usize::MAX), "some were recorded");
    }

    #[tokio::test(start_paused = true)]
    async fn large_outcomes_fill_it_by_their_bytes() {
        let mut backlog = Backlog::default();
        backlog.locked(heavy(600), None, BATCH);
        assert!(!backlog.is_full(1_000));
        backlog.failing(heavy(600), None);
        assert!(backlog.is_full(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_told_once() {
        let mut backlog = Backlog::default();
        backlog.locked(part(1), None, BATCH);
        let began = Instant::now();
        let mut told = Vec::new();
        while began.elapsed() < 3 * TOLERATED {
            sleep_until(backlog.next_due().expect("something waits")).await;
            let (part, waited) = backlog.due().expect("it is due");
            if backlog.locked(part, waited, BATCH) {
                told.push(began.elapsed());
            }
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0] >= TOLERATED, "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_a_reason_of_its_own_is_tried_alone_and_ever_more_rarely() {
        let mut backlog = Backlog::default();
        backlog.failing(part(1), None);
        backlog.failing(part(1), None);
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let before = Instant::now();
            sleep_until(backlog.next_due().expect("something waits")).await;
            last = last.max(before.elapsed());
            let (part, waited) = backlog.due().expect("it is due");
            assert_eq!(part.len(), 1);
            backlog.failing(part, waited);
        }
        assert!(last >= LONGEST_PAUSE_OF_FAILING / 2, "{last:?}");
        assert_eq!(backlog.len(), 2);
    }
}
