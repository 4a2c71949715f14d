//! `tasker migrate`: brings the database to the schema of this program.

use serde_json::json;
use tasker_shared::database::{SwitchedQueues, migrate, schema_is_current};

use crate::failure::Failure;
use crate::setup::Setup;

const EXAMPLES: &str = "\
Safe to run again and by several processes at once. Needs no superuser and no extension.

Examples:
  tasker migrate
  tasker migrate --database-url postgres://app@db/app";

/// Arguments of `tasker migrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Applies what is missing.
pub(crate) async fn run(_args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.database().await?;
    // A schema of another build is not current; why it cannot be used is for migrate to say.
    let was_current = schema_is_current(&database).await.unwrap_or(false);
    let switched = migrate(&database).await?;
    output.document(&json!({
        "changed": !was_current || switched.any(),
        "unlogged_queues": switched.unlogged,
        "queues_switched": switched.present,
    }))?;
    output.text(if was_current {
        "the schema was up to date"
    } else {
        "the schema is up to date now"
    })?;
    match told(switched) {
        Some(told) => output.text(told),
        None => Ok(()),
    }
}

/// What was switched between logged and unlogged queues, in one line.
fn told(switched: SwitchedQueues) -> Option<String> {
    let kind = if switched.unlogged {
        "unlogged"
    } else {
        "logged"
    };
    match (switched.present, switched.future) {
        (0, false) => None,
        (0, true) => Some(format!("new queues will be {kind}")),
        (1, _) => Some(format!("1 queue is {kind} now, as new ones will be")),
        (count, _) => Some(format!(
            "{count} queues are {kind} now, as new ones will be"
        )),
    }
}
