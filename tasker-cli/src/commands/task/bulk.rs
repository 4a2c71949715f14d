//! What an operator decides about all tasks that match: counted first, then done in batches.

use std::io::{self, BufRead, IsTerminal};

use serde_json::json;
use tasker_shared::bulk::{
    BulkAct, BulkAction, BulkFilter, BulkState, MOST_COUNTED, carry_out, count_matching_tasks,
    start_bulk_act, stop_bulk_act,
};
use tasker_shared::database::Database;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::commands::operator::actor;
use crate::commands::task::filter::FilterArgs;
use crate::failure::Failure;
use crate::output::remark;
use crate::setup::Setup;

/// How to do something to many tasks.
#[derive(Debug, clap::Args)]
pub(crate) struct BulkArgs {
    #[command(flatten)]
    filter: FilterArgs,

    /// Only count the tasks that match
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before it is done
    #[arg(long)]
    yes: bool,
}

impl BulkArgs {
    /// Whether they name any tasks.
    pub(crate) fn name_tasks(&self) -> bool {
        self.filter != FilterArgs::default()
    }
}

/// Counts the tasks, asks, and does it until Ctrl-C.
pub(crate) async fn run(
    action: BulkAction,
    args: BulkArgs,
    reason: Option<&str>,
    setup: &Setup,
) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.database().await?;
    let filter = as_bulk(args.filter);
    let matches = database
        .call("count_matching_tasks", async |connection| {
            count_matching_tasks(connection, action, &filter).await
        })
        .await?;
    let has_more = matches == MOST_COUNTED;
    let tasks = counted(matches, has_more);
    if args.dry_run {
        output.document(&json!({ "matches": matches, "has_more": has_more }))?;
        return output.text(format!("{tasks} would be {}", past(action)));
    }
    if matches == 0 {
        output.document(&json!({ "matches": 0, "has_more": false }))?;
        return output.text("no tasks match");
    }
    if !args.yes {
        confirm(&format!("{tasks} will be {}", past(action)))?;
    }
    let bulk_uuid = database
        .call("start_bulk_act", async |connection| {
            start_bulk_act(connection, action, &filter, &actor(), reason).await
        })
        .await?;
    let act = until_interrupted(&database, bulk_uuid).await?;
    output.document(&act)?;
    output.text(told(&act))?;
    match act.state {
        BulkState::Stopped => Err(Failure::Interrupted),
        BulkState::Running | BulkState::Finished => Ok(()),
    }
}

fn as_bulk(args: FilterArgs) -> BulkFilter {
    BulkFilter {
        namespace: args.namespace,
        name: args.name,
        version: args.template_version,
        state: args.state,
        since: args.since,
        until: args.until,
        key: args.key,
        step: args.step,
        error: args.error,
        conditions: args.conditions,
        tasks: None,
    }
}

fn counted(matches: i64, has_more: bool) -> String {
    match matches {
        1 => "1 task".to_owned(),
        _ if has_more => format!("{matches} tasks or more"),
        _ => format!("{matches} tasks"),
    }
}

const fn past(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Retry => "retried",
        BulkAction::Cancel => "cancelled",
        BulkAction::Resolve => "marked as resolved",
    }
}

/// Asks a person; a program has to say so beforehand.
fn confirm(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(format!(
            "{what}, and standard input is no terminal to ask at"
        ))
        .hint("repeat it with --yes, or with --dry-run to see the count alone"));
    }
    remark(format!("{what}. Go on? [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new("nothing was done"))
}

/// Carries the act out; Ctrl-C stops it after the batch in hand, which holds the act until it ends.
async fn until_interrupted(database: &Database, bulk_uuid: uuid::Uuid) -> Result<BulkAct, Failure> {
    let (turns, stop) = (Semaphore::new(1), CancellationToken::new());
    let mut tens = 0;
    let progress = |act: &BulkAct| {
        let turns = act.done + act.refused + act.held;
        // A line for each thousand.
        if turns / 1000 > tens {
            tens = turns / 1000;
            remark(format!("{turns} tasks had their turn …"));
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_ok() {
            remark("stopping after the batch in hand …");
            stop.cancel();
        }
        std::future::pending().await
    };
    let ended = tokio::select! {
        biased;
        ended = interrupted => ended,
        ended = carry_out(database, bulk_uuid, &turns, &stop, progress) => ended,
    };
    let ended = ended.map_err(|error| {
        Failure::from(error).hint(format!(
            "an orchestrator goes on with it: GET /v1/bulk/{bulk_uuid}"
        ))
    })?;
    match ended {
        Some(act) => Ok(act),
        None => Ok(database
            .call("stop_bulk_act", async |connection| {
                stop_bulk_act(connection, bulk_uuid).await
            })
            .await?),
    }
}

fn told(act: &BulkAct) -> String {
    let mut parts = vec![format!("{} {}", counted(act.done, false), past(act.action))];
    if act.refused > 0 {
        parts.push(format!("{} had moved on", act.refused));
    }
    if act.held > 0 {
        parts.push(format!("{} could not be changed", act.held));
    }
    let problem = act.problem.as_ref();
    let problem = problem.map(|problem| format!("\none of those: {problem}"));
    let problem = problem.unwrap_or_default();
    format!("{} ({}){problem}", parts.join(", "), act.bulk_uuid)
}
