//! Queues that a process cannot use at the moment: each is warned of once, until it can be used again.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::Guard;
use crate::database::DedicatedConnection;

/// The namespaces whose queues one loop has trouble with.
#[derive(Debug, Default)]
pub struct QueueTroubles {
    known: BTreeSet<String>,
}

impl QueueTroubles {
    /// How the loop's next call on its connection is to be made.
    pub fn guard(&self, connection: &DedicatedConnection) -> Guard {
        if self.known.is_empty() && !connection.is_transactional() {
            Guard::AfterFailure
        } else {
            Guard::FromStart
        }
    }

    /// Notes the namespaces whose queue a call could not use, each with what the database says, and
    /// those whose queue it used. Of others it says nothing: a call may not have come to them. `doing`
    /// completes "could not … the queue".
    pub fn note<'a>(
        &mut self,
        doing: &str,
        troubled: Vec<(String, String)>,
        used: impl IntoIterator<Item = &'a str>,
    ) {
        if troubled.is_empty() && self.known.is_empty() {
            return;
        }
        for namespace in used {
            if self.known.remove(namespace) {
                info!(namespace, "could {doing} the queue of the namespace again");
            }
        }
        for (namespace, problem) in troubled {
            if !self.known.contains(&namespace) {
                warn!(
                    namespace,
                    problem,
                    "could not {doing} the queue of a namespace; others go on. \
                     Where that lasts, `tasker doctor` says more and `tasker doctor --repair` makes it again"
                );
                self.known.insert(namespace);
            }
        }
    }
}
