//! `tasker openapi`: prints the document that describes the API.

use crate::failure::Failure;
use crate::output::verbatim;

/// Arguments of `tasker openapi`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tasker openapi > openapi.json")]
pub(crate) struct Args {}

/// Prints the OpenAPI document, which is JSON for people and machines alike.
pub(crate) fn run(_args: &Args) -> Result<(), Failure> {
    let document = serde_json::to_string_pretty(&tasker_web::openapi())
        .map_err(|error| Failure::new(format!("could not write the OpenAPI document: {error}")))?;
    verbatim(&format!("{document}\n"))
}
