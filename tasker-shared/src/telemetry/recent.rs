//! What was last seen of the database, as long as that is recent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a gauge shows what was seen. The database is looked at every 15 seconds; a process that
/// does not reach it shows nothing, instead of what may have changed meanwhile.
const SHOWN_FOR: Duration = Duration::from_mins(1);

/// A value that is forgotten when it is old. Clones see the same.
pub(super) struct Recent<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Recent<T> {
    pub(super) fn unknown() -> Self {
        Self(Arc::default())
    }

    /// Takes this in place of what was seen earlier.
    pub(super) fn set(&self, seen: T) {
        self.with(|known| *known = Some((Instant::now(), seen)));
    }

    /// Shows what was last seen, if that is recent.
    pub(super) fn show(&self, show: impl FnOnce(&T)) {
        self.with(|known| match known {
            Some((at, seen)) if at.elapsed() < SHOWN_FOR => show(seen),
            _ => *known = None,
        });
    }

    fn with(&self, act: impl FnOnce(&mut Option<(Instant, T)>)) {
        // A value that is replaced whole is whole after a panic, too.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<T> Clone for Recent<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
