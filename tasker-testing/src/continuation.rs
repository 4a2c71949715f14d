//! Whether workers go on with dependents of what they complete, said once for a whole test run.
//!
//! What workflows come to must not depend on it, so their tests run both ways: as configured by
//! default, and with the variable set to 0. A test of one way says which, and then this counts for
//! nothing.

use std::env;

/// The variable. Processes of the built binary read it themselves.
pub const CONTINUATION_LIMIT: &str = "TASKER__WORKER__CONTINUATION_LIMIT";

/// What the variable says, where it is set, for workers that a test starts in its own process.
pub fn continuation_limit() -> Option<u32> {
    let value = env::var(CONTINUATION_LIMIT).ok()?;
    let limit = value.parse();
    Some(limit.unwrap_or_else(|error| panic!("{CONTINUATION_LIMIT}={value}: {error}")))
}
