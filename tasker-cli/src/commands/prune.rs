//! `tasker prune`: deletes tasks whose retention is over, at once.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use tasker_shared::history::{Prunable, Retention, forget_keys};
use uuid::Uuid;

use crate::drawing::Paint;
use crate::failure::Failure;
use crate::format::{age, between, bytes, count};
use crate::output::{Output, remark};
use crate::setup::Setup;
use crate::table::{Table, plain};

/// Longest wait for a lock: live work must not wait behind this command.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Orchestrators do this all the time, by the same rules: the section [retention] of the configuration
and `retention` of templates. It deletes in small transactions and may be stopped at any moment.

Examples:
  tasker prune --dry-run
  TASKER__RETENTION__COMPLETE_DAYS=30 tasker prune --dry-run --json";

/// Arguments of `tasker prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only say what would be deleted, and how much space it takes
    #[arg(long)]
    dry_run: bool,
}

/// Deletes what is due, or says what that is.
pub(crate) async fn run(args: &Args, setup: &Setup) -> Result<(), Failure> {
    let config = setup.config()?;
    let instance = format!("prune-{}", std::process::id());
    let retention = Retention::new(&config.retention, &instance);
    let database = setup.database().await?;
    let output = setup.output();
    if args.dry_run {
        let prunable = database
            .call_without_deadline("prunable_tasks", async |connection| {
                retention.prunable(connection).await
            })
            .await?;
        return tell(&prunable, output);
    }
    let mut connection = database.dedicated().waiting_for_locks(LOCK_TIMEOUT);
    let mut deleted: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut too_large = 0;
    let mut after = Some(Uuid::nil());
    while let Some(from) = after {
        let pruned = connection
            .call("prune_tasks", async |connection| {
                retention.prune(connection, from).await
            })
            .await?;
        let is_progress = pruned.count() > 0;
        too_large += pruned.too_large;
        after = pruned.reached;
        for (ended, tasks) in pruned.tasks {
            *deleted.entry(ended).or_default() += tasks;
        }
        if is_progress && after.is_some() {
            let so_far = deleted.values().sum::<u64>();
            if output.is_live() {
                remark(format!("deleted {so_far} tasks"));
            }
            // The pace of orchestrators: live work has its turn in between.
            tokio::time::sleep(config.retention.pause).await;
        }
    }
    while connection
        .call("forget_keys", async |connection| {
            forget_keys(connection).await
        })
        .await?
    {}
    if too_large > 0 {
        remark(format!(
            "kept {too_large}, whose results are too large for the archive"
        ));
    }
    let total = deleted.values().sum::<u64>();
    let rows: Vec<_> = deleted
        .iter()
        .map(|((namespace, outcome), tasks)| {
            json!({ "namespace": namespace, "outcome": outcome, "tasks": tasks })
        })
        .collect();
    output.document(&json!({ "deleted": rows, "tasks": total, "too_large": too_large }))?;
    if total == 0 {
        return output.text("nothing is due");
    }
    let mut table = Table::new(&["NAMESPACE", "OUTCOME", "DELETED"]);
    for ((namespace, outcome), tasks) in &deleted {
        let cells = [namespace.clone(), outcome.clone(), tasks.to_string()];
        table.row(cells.map(plain));
    }
    output.text(table.lines(output.style(false)).join("\n"))
}

fn tell(prunable: &[Prunable], output: Output) -> Result<(), Failure> {
    let tasks: i64 = prunable.iter().map(|it| it.tasks).sum();
    let estimate: i64 = prunable.iter().map(|it| it.bytes).sum();
    output.document(&json!({
        "dry_run": true, "prunable": prunable, "tasks": tasks, "estimated_bytes": estimate,
    }))?;
    if prunable.is_empty() {
        return output.text("nothing is due");
    }
    let mut table = Table::new(&["NAMESPACE", "OUTCOME", "TASKS", "OLDEST", "ABOUT"]);
    for row in prunable {
        table.row([
            plain(row.namespace.clone()),
            plain(row.outcome.clone()),
            plain(row.tasks.to_string()),
            plain(age(between(row.oldest_finished_at, Utc::now()))),
            plain(bytes(row.bytes)),
        ]);
    }
    let style = output.style(false);
    output.text(table.lines(style).join("\n"))?;
    let all = count(usize::try_from(tasks).unwrap_or_default(), "task");
    output.text(style.paint(
        Paint::Bold,
        &format!(
            "{all}, about {} by their share of the tables; PostgreSQL uses it again for new ones",
            bytes(estimate)
        ),
    ))
}
