//! How a running role is asked to stop: once politely, twice at once.

use tasker_shared::process;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::output::remark;

/// A token that is cancelled by the first SIGTERM or Ctrl-C. The second ends the process at once.
pub(crate) fn on_signal() -> Result<CancellationToken, Failure> {
    let asked = || remark("stopping; the same signal again stops at once");
    Ok(process::stop_on_signal(asked)?)
}
