//! `tasker migrate`: brings the database to the schema of this program.

use serde_json::json;
use tasker_shared::schema::{Migrated, migrate, pending_sql};

use crate::failure::Failure;
use crate::output::Output;
use crate::setup::Setup;

const EXAMPLES: &str = "\
Safe to run again, by several processes at once, and while those of the release before run. Needs no
superuser and no extension.

Examples:
  tasker migrate
  tasker migrate --database-url postgres://app@db/app
  tasker migrate --dry-run > upgrade.sql; psql -v ON_ERROR_STOP=1 -f upgrade.sql";

/// Arguments of `tasker migrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print the SQL that would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Applies what is missing, or prints it.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.connect().await?;
    if args.dry_run {
        let sql = pending_sql(&database).await?;
        output.document(&json!({ "sql": sql }))?;
        return output.text(
            sql.as_deref()
                .unwrap_or("-- the schema is up to date")
                .trim_end(),
        );
    }
    let migrated = migrate(&database).await?;
    output.document(&json!({
        "changed": migrated.changed || migrated.switched_queues(),
        "schema_version": migrated.version.to_string(),
        "unlogged_queues": migrated.unlogged,
        "queues_switched": migrated.queues_switched,
    }))?;
    say(output, migrated)
}

fn say(output: Output, migrated: Migrated) -> Result<(), Failure> {
    let version = migrated.version;
    output.text(if migrated.changed {
        format!("the schema is up to date now: that of tasker {version}")
    } else {
        format!("the schema was up to date: that of tasker {version}")
    })?;
    match switched_queues(migrated) {
        Some(switched) => output.text(switched),
        None => Ok(()),
    }
}

/// What was switched between logged and unlogged queues, in one line.
fn switched_queues(migrated: Migrated) -> Option<String> {
    let kind = if migrated.unlogged {
        "unlogged"
    } else {
        "logged"
    };
    match (migrated.queues_switched, migrated.new_queues_switched) {
        (0, false) => None,
        (0, true) => Some(format!("new queues will be {kind}")),
        (1, _) => Some(format!("1 queue is {kind} now, as new ones will be")),
        (count, _) => Some(format!(
            "{count} queues are {kind} now, as new ones will be"
        )),
    }
}
