//! `tasker orchestrator`.

use crate::failure::Failure;
use crate::setup::Setup;

/// Arguments of `tasker orchestrator`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs it.
pub(crate) async fn run(_args: Args, _setup: Setup) -> Result<(), Failure> {
    Err(Failure::new("not there yet"))
}
