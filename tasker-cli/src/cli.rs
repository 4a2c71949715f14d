//! The arguments of the command line, and which command they name.

use clap::{Parser, Subcommand};

use crate::commands::{
    backup_check, config, demo, dev, doctor, health, migrate, openapi, orchestrator, processes,
    prune, queue, stats, step, task, template, why, worker,
};
use crate::failure::Failure;
use crate::setup::Setup;

/// Examples below the list of commands.
const EXAMPLES: &str = "\
Examples:
  tasker demo                                   see it work, needs nothing
  tasker dev                                    a whole system for development, until Ctrl-C
  tasker template apply order.yaml              store a workflow
  tasker task submit shop/order --context '{\"order_id\": 1}' --wait
  tasker task show 9f3ac21b --watch             watch its steps

Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Columns of the help; what is longer is wrapped, examples and lists too.
const WIDTH: usize = 100;

/// Workflows that are not lost, on PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "tasker", version = env!("TASKER_VERSION"), after_help = EXAMPLES)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = WIDTH
)]
pub(crate) struct Cli {
    #[command(flatten)]
    setup: Setup,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole system for development: a private PostgreSQL, orchestrator, API and worker
    Dev(dev::Args),
    /// Show it all at work in a few seconds and clean up behind it
    Demo(demo::Args),
    /// Run an orchestrator with the API
    Orchestrator(orchestrator::Args),
    /// Run a worker with the built-in handlers
    Worker(worker::Args),
    /// Create or update the tables and functions in the database
    Migrate(migrate::Args),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Store workflow templates and look at them
    #[command(subcommand)]
    Template(template::Command),
    /// Submit tasks and look at them
    #[command(subcommand)]
    Task(task::Command),
    /// Put a failed or waiting step in motion again
    #[command(subcommand)]
    Step(step::Command),
    /// Say what each step of a task waits for, and what can be done
    Why(why::Args),
    /// List the orchestrators and workers that run
    Processes(processes::Args),
    /// Look at the queues of the namespaces
    #[command(subcommand)]
    Queue(queue::Command),
    /// Show how long things take
    Stats(stats::Args),
    /// Delete tasks whose retention is over, or say which they are
    Prune(prune::Args),
    /// Examine the database for broken promises
    Doctor(doctor::Args),
    /// Tell whether an orchestrator or worker works, for health checks
    Health(health::Args),
    /// Tell whether a database that was restored from a backup is sound
    BackupCheck(backup_check::Args),
    /// Print the OpenAPI document of the API
    Openapi(openapi::Args),
}

impl Cli {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let setup = &self.setup;
        match self.command {
            Command::Dev(args) => dev::run(args, setup).await,
            Command::Demo(args) => demo::run(args, setup).await,
            Command::Orchestrator(args) => orchestrator::run(args, setup).await,
            Command::Worker(args) => worker::run(args, setup).await,
            Command::Migrate(args) => migrate::run(args, setup).await,
            Command::Config(command) => config::run(&command, setup),
            Command::Template(command) => template::run(command, setup).await,
            Command::Task(command) => task::run(command, setup).await,
            Command::Step(command) => step::run(command, setup).await,
            Command::Why(args) => why::run(args, setup).await,
            Command::Processes(args) => processes::run(&args, setup).await,
            Command::Queue(command) => queue::run(command, setup).await,
            Command::Stats(args) => stats::run(args, setup).await,
            Command::Prune(args) => prune::run(&args, setup).await,
            Command::Doctor(args) => doctor::run(args, setup).await,
            Command::Health(args) => health::run(args, setup).await,
            Command::BackupCheck(args) => backup_check::run(&args, setup).await,
            Command::Openapi(args) => openapi::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_explains_itself() {
        fn examine(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id();
                let path = command.get_name();
                assert!(argument.get_help().is_some(), "{path} {name} has no help");
            }
            for inner in command.get_subcommands() {
                assert!(inner.get_about().is_some(), "{}", inner.get_name());
                let text = inner.get_after_help().map(ToString::to_string);
                for line in text.unwrap_or_default().lines() {
                    assert!(line.chars().count() <= WIDTH, "would be wrapped: {line}");
                }
                examine(inner);
            }
        }
        let mut command = Cli::command();
        command.build();
        examine(&command);
    }
}
