//! The namespaces whose steps this worker takes, in which order it looks at them, and where it lets
//! other workers look first.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long a worker looks after others where it lacked a handler.
const YIELDING_LASTS: Duration = Duration::from_mins(1);

/// The queue of a namespace, as `tasker.namespaces.queue_name` computes it.
pub(crate) fn queue_name(namespace: &str) -> String {
    format!("worker_{namespace}_queue")
}

/// The namespaces of one worker.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// What is configured, by preference; empty: all there are.
    configured: Vec<String>,
    /// Those that exist.
    known: Vec<String>,
    /// Where a step had to be refused for lack of a handler, and until when others look first: a
    /// step that the wrong worker receives is lost to the right one for the time of its refusal.
    yielding: HashMap<String, Instant>,
}

/// Whose turn it is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// That of workers which know the handlers, as far as that is known.
    Informed,
    /// Everybody's.
    Everybody,
}

impl Namespaces {
    pub(crate) fn new(configured: Vec<String>) -> Self {
        Self {
            configured,
            known: Vec::new(),
            yielding: HashMap::new(),
        }
    }

    /// Takes note of the namespaces that exist; returns those of this worker that are new.
    pub(crate) fn update(&mut self, existing: Vec<String>) -> Vec<String> {
        let found = if self.configured.is_empty() {
            existing
        } else {
            let configured = self.configured.iter();
            configured
                .filter(|name| existing.contains(name))
                .cloned()
                .collect()
        };
        let new = found
            .iter()
            .filter(|name| !self.known.contains(name))
            .cloned()
            .collect();
        if found.len() != self.known.len() || !Vec::is_empty(&new) {
            self.known = found;
        }
        new
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The order of the next look: the configured one, or each namespace first in its turn, so
    /// that a full queue does not keep the others waiting.
    pub(crate) fn next_order(&mut self, turn: Turn, now: Instant) -> Vec<String> {
        if self.configured.is_empty() && !self.known.is_empty() {
            self.known.rotate_left(1);
        }
        let mut order = self.known.clone();
        if turn == Turn::Informed {
            order.retain(|namespace| !self.yields_in(namespace, now));
        }
        order
    }

    /// Lets others look first in this namespace for a while.
    pub(crate) fn yield_in(&mut self, namespace: String, now: Instant) {
        self.yielding.insert(namespace, now + YIELDING_LASTS);
    }

    /// Whether others look first anywhere.
    pub(crate) fn yields(&self, now: Instant) -> bool {
        self.yielding.values().any(|until| *until > now)
    }

    fn yields_in(&self, namespace: &str, now: Instant) -> bool {
        let until = self.yielding.get(namespace);
        until.is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(namespaces: &mut Namespaces) -> Vec<String> {
        namespaces.next_order(Turn::Everybody, Instant::now())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn without_a_configuration_every_namespace_comes_first_in_its_turn() {
        let mut namespaces = Namespaces::new(Vec::new());

        assert_eq!(
            namespaces.update(names(&["a", "b", "c"])),
            names(&["a", "b", "c"])
        );
        let firsts = (0..6).map(|_| next(&mut namespaces)[0].clone());
        assert_eq!(
            firsts.collect::<Vec<_>>(),
            names(&["b", "c", "a", "b", "c", "a"])
        );
    }

    #[test]
    fn a_look_at_the_same_namespaces_does_not_start_the_turn_anew() {
        let mut namespaces = Namespaces::new(Vec::new());
        namespaces.update(names(&["a", "b"]));
        next(&mut namespaces);

        assert!(namespaces.update(names(&["a", "b"])).is_empty());
        assert_eq!(next(&mut namespaces), names(&["a", "b"]));
    }

    #[test]
    fn configured_namespaces_keep_their_order_and_are_taken_once_they_exist() {
        let mut namespaces = Namespaces::new(names(&["urgent", "bulk"]));

        assert_eq!(
            namespaces.update(names(&["bulk", "other"])),
            names(&["bulk"])
        );
        assert_eq!(next(&mut namespaces), names(&["bulk"]));
        assert_eq!(
            namespaces.update(names(&["bulk", "other", "urgent"])),
            names(&["urgent"])
        );
        for _ in 0..3 {
            assert_eq!(next(&mut namespaces), names(&["urgent", "bulk"]));
        }
    }

    #[test]
    fn where_a_step_was_refused_others_look_first_for_a_while() {
        let mut namespaces = Namespaces::new(names(&["a", "b"]));
        namespaces.update(names(&["a", "b"]));
        let now = Instant::now();

        namespaces.yield_in("a".to_owned(), now);

        assert!(namespaces.yields(now));
        assert_eq!(namespaces.next_order(Turn::Informed, now), names(&["b"]));
        assert_eq!(
            namespaces.next_order(Turn::Everybody, now),
            names(&["a", "b"])
        );
        let later = now + YIELDING_LASTS;
        assert!(!namespaces.yields(later));
        assert_eq!(
            namespaces.next_order(Turn::Informed, later),
            names(&["a", "b"])
        );
    }
}
