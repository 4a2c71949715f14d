//! `tasker doctor`: examines a live database for broken promises.

use serde_json::json;
use tasker_shared::doctor::{Finding, examine};

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

/// What is examined; each finding names the check it comes from.
const CHECKED: &str = "\
    checked: counters of steps and tasks against a recount, no task stuck, no step before its \
    parents, only legal transitions, one completion a step, messages against steps";

/// Arguments of `tasker doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Examines the database; fails when something is found.
pub(crate) async fn run(_args: Args, setup: Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let findings = database
        .call("doctor", async |connection| examine(connection).await)
        .await?;
    report(&findings, setup.output())
}

/// Prints the findings; fails when there are any.
pub(crate) fn report(findings: &[Finding], output: Output) -> Result<(), Failure> {
    output.document(&json!({ "healthy": findings.is_empty(), "findings": findings }))?;
    if findings.is_empty() {
        output.text("the database is healthy")?;
        return output.text(CHECKED);
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
    output.text(table.lines(output.look(false)).join("\n"))?;
    output.text(format!("\n{}", count(findings.len(), "finding")))?;
    output.text(CHECKED)?;
    Err(Failure::Reported)
}
