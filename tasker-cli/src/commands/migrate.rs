//! `tasker migrate`: brings the database to the schema of this program.

use serde_json::json;
use tasker_shared::database::{migrate, schema_is_current};

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
    migrate(&database).await?;
    output.document(&json!({ "changed": !was_current }))?;
    output.text(if was_current {
        "the database was up to date"
    } else {
        "the database is up to date now"
    })
}
