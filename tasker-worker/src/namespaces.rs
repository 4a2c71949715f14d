//! The namespaces whose steps this worker takes, and in which order it looks at them.

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
}

impl Namespaces {
    pub(crate) const fn new(configured: Vec<String>) -> Self {
        Self {
            configured,
            known: Vec::new(),
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
    pub(crate) fn next_order(&mut self) -> Vec<String> {
        if self.configured.is_empty() && !self.known.is_empty() {
            self.known.rotate_left(1);
        }
        self.known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let firsts = (0..6).map(|_| namespaces.next_order()[0].clone());
        assert_eq!(
            firsts.collect::<Vec<_>>(),
            names(&["b", "c", "a", "b", "c", "a"])
        );
    }

    #[test]
    fn a_look_at_the_same_namespaces_does_not_start_the_turn_again() {
        let mut namespaces = Namespaces::new(Vec::new());
        namespaces.update(names(&["a", "b"]));
        namespaces.next_order();

        assert!(namespaces.update(names(&["a", "b"])).is_empty());
        assert_eq!(namespaces.next_order(), names(&["a", "b"]));
    }

    #[test]
    fn configured_namespaces_keep_their_order_and_are_taken_once_they_exist() {
        let mut namespaces = Namespaces::new(names(&["urgent", "bulk"]));

        assert_eq!(
            namespaces.update(names(&["bulk", "other"])),
            names(&["bulk"])
        );
        assert_eq!(namespaces.next_order(), names(&["bulk"]));
        assert_eq!(
            namespaces.update(names(&["bulk", "other", "urgent"])),
            names(&["urgent"])
        );
        for _ in 0..3 {
            assert_eq!(namespaces.next_order(), names(&["urgent", "bulk"]));
        }
    }
}
