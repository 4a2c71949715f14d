//! Queues that a process cannot use at the moment: each is warned of once, until it can be used again.

use std::collections::BTreeSet;

use tracing::{info, warn};

/// The namespaces whose queues one loop has trouble with.
#[derive(Debug, Default)]
pub struct QueueTroubles {
    known: BTreeSet<String>,
}

impl QueueTroubles {
    /// Notes the namespaces that a call had trouble with, each with what the database says; it had
    /// none with the others. `doing` completes "could not … the queue".
    pub fn note(&mut self, doing: &str, troubled: Vec<(String, String)>) {
        if troubled.is_empty() && self.known.is_empty() {
            return;
        }
        let mut now = BTreeSet::new();
        for (namespace, problem) in troubled {
            if !self.known.contains(&namespace) {
                warn!(
                    namespace,
                    problem,
                    "could not {doing} the queue of a namespace; others go on. \
                     `tasker doctor` says more, `tasker doctor --repair` makes the queue again"
                );
            }
            now.insert(namespace);
        }
        for namespace in self.known.difference(&now) {
            info!(namespace, "could {doing} the queue of the namespace again");
        }
        self.known = now;
    }
}
