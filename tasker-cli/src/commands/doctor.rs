//! `tasker doctor`: examines a live database for broken promises.

use serde_json::json;
use tasker_shared::database::Database;
use tasker_shared::doctor::{CHECKS, Finding, WARNINGS, Warning, examine, repair_queues, warnings};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::claim_task_for_finalization;

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::format::{count, one_line};
use crate::output::Output;
use crate::setup::Setup;
use crate::table::{Table, plain};

/// The check whose findings can be repaired.
const COUNTERS: &str = "task_counters_match_steps";
/// Who did it, in the history of a task.
const ACTOR: &str = "doctor";

const EXAMPLES: &str = "\
Exit status 1 when something is found; a warning, as of steps that no worker can run, is no
failure. It only reads, in one snapshot, and may run at any time.
With --repair it makes queues and messages again that are missing, from the steps that wait in
them, recounts the steps of tasks whose counters are wrong, and ends those that cannot move; all
else is left to people.

Examples:
  tasker doctor --json | jq '.findings[].detail'
  tasker doctor --repair";

/// Arguments of `tasker doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Make lost queues and messages again, put wrong counters right, end tasks that cannot move; examine again
    #[arg(long)]
    repair: bool,
}

/// Examines the database; fails when something is found.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let database = setup.database().await?;
    let examine = async || {
        database
            .call_without_deadline("doctor", async |connection| examine(connection).await)
            .await
    };
    let mut findings = examine().await?;
    if args.repair {
        let queues = database
            .call_without_deadline("repair_queues", async |connection| {
                repair_queues(connection).await
            })
            .await?;
        let repaired = repair(&database, &findings).await?;
        let output = setup.output();
        for namespace in &queues {
            output.text(format!("the queue of {namespace} was made again"))?;
        }
        output.text(format!("{} put right", count(repaired, "task")))?;
        if repaired > 0 || !queues.is_empty() {
            findings = examine().await?;
        }
    }
    let warnings = database
        .call("doctor_warnings", async |connection| {
            warnings(connection).await
        })
        .await?;
    report(&findings, &warnings, setup.output())
}

/// Recounts the tasks whose counters are wrong; says how many.
async fn repair(database: &Database, findings: &[Finding]) -> Result<usize, Failure> {
    let wrong = findings
        .iter()
        .filter(|finding| finding.check == COUNTERS)
        .filter_map(|finding| finding.task_uuid);
    let mut repaired = 0;
    for task_uuid in wrong.map(TaskUuid) {
        let done = database
            .call("claim_task_for_finalization", async |connection| {
                claim_task_for_finalization(connection, task_uuid, ACTOR).await
            })
            .await;
        match done {
            Ok(_) => repaired += 1,
            // The next examination says what is wrong with it.
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(repaired)
}

/// Prints the findings and the warnings; fails when there are findings.
fn report(findings: &[Finding], warnings: &[Warning], output: Output) -> Result<(), Failure> {
    output.document(&json!({
        "healthy": findings.is_empty(),
        "checks": CHECKS,
        "findings": findings,
        "warnings": warnings,
    }))?;
    let style = output.style(false);
    for check in CHECKS {
        let (verdict, paint) = match findings.iter().filter(|f| f.check == check).count() {
            0 => ("holds".to_owned(), Paint::Green),
            found => (count(found, "finding"), Paint::Red),
        };
        output.text(format!("{check}: {}", style.paint(paint, &verdict)))?;
    }
    for check in WARNINGS {
        let (verdict, paint) = match warnings.iter().filter(|w| w.check == check).count() {
            0 => ("holds".to_owned(), Paint::Green),
            found => (count(found, "warning"), Paint::Yellow),
        };
        output.text(format!("{check}: {}", style.paint(paint, &verdict)))?;
    }
    for warning in warnings {
        let detail = one_line(&warning.detail);
        output.text(style.paint(Paint::Yellow, &format!("warning: {detail}")))?;
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
    output.text(format!("\n{}", table.lines(style).join("\n")))?;
    Err(Failure::Reported)
}
