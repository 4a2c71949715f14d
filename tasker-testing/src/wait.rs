//! The one place in the tests that sleeps: between two looks at a condition.
//!
//! Use it where no signal can be awaited, such as for the state of another process. It needs real
//! time: on a paused clock the deadline passes at once.

use std::time::{Duration, Instant};

/// A deadline that only a hang misses, however busy the machine is.
pub const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Returns as soon as the condition holds; panics with `what` if it does not in time.
pub async fn wait_until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    wait_for(what, deadline, async || condition().await.then_some(())).await;
}

/// Returns the first value that `look` finds; panics with `what` if it finds none in time.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < end,
            "after {deadline:?} still waiting: {what}"
        );
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
