//! The tasker command: every role of the system in one binary.
//!
//! This crate is the composition root. It reads arguments and configuration, opens the database and
//! hands both to the crates that do the work; what it prints goes through one output layer.

mod cli;
mod commands;
mod drawing;
mod failure;
mod format;
mod output;
mod roles;
mod screen;
mod setup;
mod table;

use std::process::ExitCode;

use clap::Parser;
use tasker_shared::telemetry::end_metrics;

use crate::cli::Cli;
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be said about an error of saying something.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::new(format!("could not start the async runtime: {error}")).report();
        }
    };
    let result = runtime.block_on(cli.run());
    end_metrics();
    // All that has to end has ended. What may still be under way is the look-up of a host name, which
    // nothing interrupts and whose answer is not needed any more.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
