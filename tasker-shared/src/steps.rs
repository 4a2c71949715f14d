//! Steps in a worker's hands: received under a lease, reported, given back, kept alive.

use std::time::Duration;

use crate::error::Error;

mod receive;
mod report;

pub use receive::{
    Demand, LeaseLost, Received, ReceivedStep, Unfit, dependency_result, extend_leases,
    receive_steps,
};
pub use report::{
    Continuation, Locks, ReleasedStep, ReportOptions, Reported, StepError, StepOutcome, StepReport,
    complete_and_continue, complete_steps, record_outcomes, release_steps,
};

/// SQL counts positions from 1.
fn index_of(position: i32) -> Result<usize, Error> {
    usize::try_from(position - 1)
        .map_err(|_| Error::Corrupt(format!("position {position} of a step in a batch")))
}

/// Whole milliseconds, as SQL takes durations.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
