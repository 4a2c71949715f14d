//! `tasker backup-check`: whether a database that was restored from a backup is sound.

use serde_json::json;
use tasker_shared::doctor::{Finding, examine};
use tasker_shared::restored::{CHECKS, RestoredFinding, mend_restored, restored_findings};

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::format::{count, one_line};
use crate::output::Output;
use crate::setup::Setup;

const EXAMPLES: &str = "\
Run it on the restored database before processes are started on it. Exit status 1 when something
has to be put right first; what the engine deals with by itself is only reported.
With --repair it makes messages that queues lack, sets sequences that are behind their rows, and
skips message numbers, so that workers of the database before cannot report on it what they did
there.

Examples:
  tasker backup-check --database-url postgres://localhost/restored
  tasker backup-check --repair";

/// Arguments of `tasker backup-check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Put right what has to be, and skip message numbers; look again
    #[arg(long)]
    repair: bool,
}

/// Examines the database; fails when something has to be put right.
pub(crate) async fn run(args: &Args, setup: &Setup) -> Result<(), Failure> {
    // Which build the schema is of is checked first.
    let database = setup.database().await?;
    if args.repair {
        database
            .call_without_deadline("mend_restored", async |connection| {
                mend_restored(connection).await
            })
            .await?;
    }
    let (restored, findings) = database
        .call_without_deadline("backup_check", async |connection| {
            let restored = restored_findings(connection).await?;
            let are_queues_empty = restored.iter().any(|it| it.check == CHECKS[0]);
            let mut findings = examine(connection).await?;
            // They are listed already, once and not for each step.
            findings.retain(|it| it.check != "no_task_is_stuck" || !are_queues_empty);
            Ok((restored, findings))
        })
        .await?;
    report(&restored, &findings, setup.output())
}

fn report(
    restored: &[RestoredFinding],
    findings: &[Finding],
    output: Output,
) -> Result<(), Failure> {
    let is_sound = findings.is_empty() && !restored.iter().any(|it| it.is_wrong);
    output.document(&json!({ "sound": is_sound, "restored": restored, "findings": findings }))?;
    let style = output.style(false);
    for check in CHECKS {
        let found: Vec<_> = restored.iter().filter(|it| it.check == check).collect();
        let (verdict, paint) = match (found.len(), found.iter().any(|it| it.is_wrong)) {
            (0, _) => ("holds".to_owned(), Paint::Green),
            (number, true) => (count(number, "finding"), Paint::Red),
            (number, false) => (count(number, "note"), Paint::Yellow),
        };
        output.text(format!("{check}: {}", style.paint(paint, &verdict)))?;
        for finding in found {
            output.text(format!("  {}", one_line(&finding.detail)))?;
            output.text(format!("  to do: {}", one_line(&finding.advice)))?;
        }
    }
    for finding in findings {
        let detail = one_line(&finding.detail);
        output.text(style.paint(Paint::Red, &format!("{}: {detail}", finding.check)))?;
    }
    if is_sound {
        return output.text("the database is sound: processes may be started on it");
    }
    if !findings.is_empty() {
        output
            .text("`tasker doctor` has the details, `tasker doctor --repair` mends what can be")?;
    }
    Err(Failure::Reported)
}
