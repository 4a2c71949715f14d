//! `tasker doctor`: examines a live database for broken promises.

use serde_json::json;
use tasker_shared::doctor::{CHECKS, Finding, examine};

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::format::{count, one_line};
use crate::output::Output;
use crate::setup::Setup;
use crate::table::{Table, plain};

const EXAMPLES: &str = "\
Exit status 1 when something is found. It only reads, in one snapshot, and may run at any time.

Example:
  tasker doctor --json | jq '.findings[].detail'";

/// Arguments of `tasker doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Examines the database; fails when something is found.
pub(crate) async fn run(_args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let findings = database
        .call("doctor", async |connection| examine(connection).await)
        .await?;
    report(&findings, setup.output())
}

/// Prints the findings; fails when there are any.
pub(crate) fn report(findings: &[Finding], output: Output) -> Result<(), Failure> {
    output.document(&json!({
        "healthy": findings.is_empty(),
        "checks": CHECKS,
        "findings": findings,
    }))?;
    let look = output.look(false);
    for check in CHECKS {
        let (verdict, paint) = match findings.iter().filter(|f| f.check == check).count() {
            0 => ("holds".to_owned(), Paint::Green),
            found => (count(found, "finding"), Paint::Red),
        };
        output.text(format!("{check}: {}", look.paint(paint, &verdict)))?;
    }
    if findings.is_empty() {
        return output.text("the database is healthy");
    }
    let mut table = Table::new(&["CHECK", "TASK", "STEP", "WHAT"]);
    for finding in findings {
        let task = finding.task_uuid.map(|uuid| uuid.to_string());
        table.row([
            (finding.check.clone(), Paint::Red),
            plain(task.unwrap_or_default()),
            plain(finding.step_name.clone().unwrap_or_default()),
            plain(one_line(&finding.detail)),
        ]);
    }
    output.text(format!("\n{}", table.lines(look).join("\n")))?;
    Err(Failure::Reported)
}
