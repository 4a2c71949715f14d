//! Looks for tables full of dead rows, where steps were put into queues.
//!
//! Each step that was leaves dead rows behind, which slow later claims and receipts down. Autovacuum
//! comes once a minute at best, so the tables are vacuumed as they fill; where an old snapshot keeps
//! vacuum from its work they are rewritten.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::database::DedicatedConnection;
use crate::error::Error;
use crate::readiness::{DeadRowsDiscarded, discard_dead_rows, vacuum};

/// Enqueued steps between two looks: what they leave behind slows a claim down by milliseconds.
pub const STEPS_BETWEEN_LOOKS: u64 = 10_000;

/// How much rarer looks become at most while they are in vain.
const RAREST: u64 = 16;

/// What one process knows about dead rows.
#[derive(Debug)]
pub struct DeadRows {
    /// Steps that the process put into queues since the last look.
    enqueued: u64,
    /// How many of them make the next look due.
    look_after: u64,
    /// Since when vacuum has been held back.
    held_back_since: Option<Instant>,
}

impl DeadRows {
    /// Nothing was enqueued yet.
    pub const fn new() -> Self {
        Self {
            enqueued: 0,
            look_after: STEPS_BETWEEN_LOOKS,
            held_back_since: None,
        }
    }

    /// Notes that so many steps were put into queues.
    pub const fn enqueued(&mut self, steps: u64) {
        self.enqueued += steps;
    }

    /// Whether enough was enqueued since the last look.
    pub const fn look_is_due(&self) -> bool {
        self.enqueued >= self.look_after
    }

    /// Looks at dead rows, and discards them where it can. It may take long: not for a connection that
    /// others wait for.
    pub async fn look(&mut self, connection: &mut DedicatedConnection) {
        match discard(connection).await {
            Ok(look) => self.looked(&look),
            Err(error) => {
                debug!(%error, "could not discard dead rows");
                self.looked_in_vain();
            }
        }
    }

    fn looked_in_vain(&mut self) {
        self.enqueued = 0;
        self.look_after = (self.look_after * 2).min(STEPS_BETWEEN_LOOKS * RAREST);
    }

    /// Notes what a look did. Another is due after the next step where it is a table's turn, and
    /// later and later while it is in vain: it holds up the others for a moment.
    fn looked(&mut self, look: &DeadRowsDiscarded) {
        match (&look.written, look.remaining) {
            (Some(_), 1..) => {}
            (None, 1..) => self.looked_in_vain(),
            _ => {
                self.enqueued = 0;
                self.look_after = STEPS_BETWEEN_LOOKS;
            }
        }
        debug!(?look, "looked for dead rows");
        match (look.held_back, self.held_back_since) {
            (true, None) => {
                self.held_back_since = Some(Instant::now());
                warn!(
                    "an old transaction or replication slot holds back vacuum; \
                     queues are rewritten instead, but other tables grow: \
                     see pg_stat_activity.backend_xmin"
                );
            }
            (false, Some(since)) => {
                self.held_back_since = None;
                let lasted: Duration = since.elapsed();
                info!(?lasted, "vacuum is not held back any more");
            }
            _ => {}
        }
    }
}

impl Default for DeadRows {
    fn default() -> Self {
        Self::new()
    }
}

async fn discard(connection: &mut DedicatedConnection) -> Result<DeadRowsDiscarded, Error> {
    let look = connection
        .call("discard_dead_rows", discard_dead_rows)
        .await?;
    if !look.to_vacuum.is_empty() {
        vacuum(connection, &look.to_vacuum).await?;
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(written: Option<&str>, remaining: i32) -> DeadRowsDiscarded {
        DeadRowsDiscarded {
            held_back: true,
            written: written.map(str::to_owned),
            remaining,
            to_vacuum: Vec::new(),
        }
    }

    /// How many steps have to be enqueued until the next look.
    fn steps_until_due(rows: &mut DeadRows) -> u64 {
        let mut steps = 0;
        while !rows.look_is_due() {
            rows.enqueued(1_000);
            steps += 1_000;
        }
        steps
    }

    #[test]
    fn a_look_is_due_after_so_many_steps_and_again_after_as_many() {
        let mut rows = DeadRows::new();
        assert_eq!(steps_until_due(&mut rows), STEPS_BETWEEN_LOOKS);
        rows.looked(&look(Some("written"), 0));
        assert_eq!(steps_until_due(&mut rows), STEPS_BETWEEN_LOOKS);
    }

    #[test]
    fn the_next_table_has_its_turn_after_the_next_step() {
        let mut rows = DeadRows::new();
        steps_until_due(&mut rows);
        rows.looked(&look(Some("written"), 1));
        assert!(rows.look_is_due());
    }

    #[test]
    fn looks_in_vain_become_rarer_until_one_is_not() {
        let mut rows = DeadRows::new();
        for times in [2, 4, 8, 16, 16] {
            rows.looked(&look(None, 1));
            assert_eq!(steps_until_due(&mut rows), times * STEPS_BETWEEN_LOOKS);
        }
        rows.looked(&look(Some("written"), 0));
        assert_eq!(steps_until_due(&mut rows), STEPS_BETWEEN_LOOKS);
    }
}
