//! `tasker task list`: the tasks that match, the latest first.

use chrono::Utc;
use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::{TaskFilter, TaskSummary, WaitsFor, list_tasks};

use crate::drawing::{Paint, task_paint};
use crate::failure::Failure;
use crate::format::{between, duration, moment};
use crate::output::remark;
use crate::setup::Setup;
use crate::table::{Cell, Table, plain};

/// Tasks on a page that the arguments do not size.
const PAGE: i32 = 50;
/// Tasks that one call returns at most.
const LARGEST_PAGE: i64 = 10_000;

/// Names the states, as the rest of the text of the arguments cannot.
const STATE: &str = "Only tasks in this state: pending, in_progress, complete, error, cancelled, \
     resolved_manually";

/// Arguments of `tasker task list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tasks of this namespace
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,

    /// Only tasks of templates of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[arg(long, value_name = "STATE", help = STATE)]
    state: Option<TaskState>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = PAGE,
          value_parser = clap::value_parser!(i32).range(1..=LARGEST_PAGE))]
    limit: i32,

    /// Only tasks submitted before this one: where the page before it ended
    #[arg(long, value_name = "UUID")]
    cursor: Option<TaskUuid>,
}

/// Lists the tasks.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let filter = TaskFilter {
        namespace: args.namespace,
        name: args.name,
        state: args.state,
        // One more tells whether there is another page.
        limit: args.limit + 1,
        before: args.cursor,
    };
    let mut tasks = setup
        .database()
        .await?
        .call("list_tasks", async |connection| {
            list_tasks(connection, &filter).await
        })
        .await?;
    let page = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let more = tasks.len() > page;
    tasks.truncate(page);
    let next_cursor = tasks.last().filter(|_| more).map(|task| task.task_uuid);
    output.document(&json!({ "tasks": tasks, "next_cursor": next_cursor }))?;
    if tasks.is_empty() {
        return output.text("no tasks");
    }
    let mut table = Table::new(&["TASK", "TEMPLATE", "STATE", "PRIORITY", "SUBMITTED", "TIME"]);
    for task in tasks {
        let end = task.finished_at.unwrap_or_else(Utc::now);
        table.row([
            plain(task.task_uuid.to_string()),
            plain(format!("{}/{}@{}", task.namespace, task.name, task.version)),
            state_of(&task),
            plain(task.priority.to_string()),
            plain(moment(task.created_at)),
            plain(duration(between(task.created_at, end))),
        ]);
    }
    output.text(table.lines(output.look(false)).join("\n"))?;
    if let Some(cursor) = next_cursor.filter(|_| !output.is_json()) {
        remark(format!("more: --cursor {cursor}"));
    }
    Ok(())
}

/// The state of a task, marked where no worker can run a step of it.
fn state_of(task: &TaskSummary) -> Cell {
    match task.waits_for {
        Some(WaitsFor::WorkerForHandler) => (format!("{}, no worker", task.state), Paint::Yellow),
        None => (task.state.to_string(), task_paint(task.state)),
    }
}
