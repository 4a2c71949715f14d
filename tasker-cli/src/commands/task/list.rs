//! `tasker task list`: the tasks that match, the latest first.

use chrono::{DateTime, Utc};
use serde_json::json;
use tasker_shared::tasks::{ListedTask, TaskFilter, WaitsFor, list_tasks};
use unicode_width::UnicodeWidthStr;

use crate::commands::task::filter::FilterArgs;
use crate::commands::task::which::TaskArg;
use crate::drawing::{Paint, Style, task_paint};
use crate::failure::Failure;
use crate::format::{age, between, one_line, short_duration};
use crate::output::remark;
use crate::setup::Setup;
use crate::table::{Cell, Table, plain};

/// Tasks on a page that the arguments do not size.
const PAGE: i32 = 50;
/// Tasks that one call returns at most.
const LARGEST_PAGE: i64 = 10_000;
/// The part of the columns that templates leave to failures, and what of it they take after all.
const FAILURE_PART: (usize, usize) = (2, 5);
const FAILURE_LESS: usize = 6;
/// Columns that templates have at least.
const TEMPLATE_COLUMNS: usize = 14;

const EXAMPLES: &str = "\
TASK is the end of a task's UUID; every command takes it in the place of the whole. AGE is the time
since the submission, TIME how long the task took or has been taking.

Examples:
  tasker task list --state error --since 2h
  tasker task list --failed-step charge --error 'card refused'
  tasker task list --where order_id=42
  tasker task list --where customer.email^=bob@ --where 'amount>=100' --since 1w
  tasker task list --key order-1 --json | jq -r '.tasks[].task_uuid'";

/// Arguments of `tasker task list`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = PAGE,
          value_parser = clap::value_parser!(i32).range(1..=LARGEST_PAGE))]
    limit: i32,

    /// Only tasks submitted before this one: where the page before it ended
    #[arg(long, value_name = "TASK")]
    cursor: Option<TaskArg>,
}

/// Lists the tasks.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.database().await?;
    let before = match &args.cursor {
        Some(task) => Some(task.find(&database).await?),
        None => None,
    };
    let FilterArgs {
        namespace,
        name,
        template_version,
        state,
        since,
        until,
        key,
        step,
        error,
        conditions,
    } = args.filter;
    let filter = TaskFilter {
        namespace,
        name,
        version: template_version,
        state,
        // One more tells whether there is another page.
        limit: args.limit + 1,
        before,
        after: None,
        since,
        until,
        key,
        step,
        error,
        conditions,
    };
    let mut tasks = database
        .call("list_tasks", async |connection| {
            list_tasks(connection, &filter).await
        })
        .await?;
    let page = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let more = tasks.len() > page;
    tasks.truncate(page);
    let last = tasks.last().filter(|_| more);
    let next_cursor = last.map(|task| task.summary.task_uuid);
    output.document(&json!({ "tasks": tasks, "next_cursor": next_cursor }))?;
    if tasks.is_empty() {
        return output.text("no tasks");
    }
    let style = output.style(false);
    let table = table(&tasks, Utc::now(), style);
    output.text(table.lines(style).join("\n"))?;
    if let Some(cursor) = next_cursor.filter(|_| !output.is_json()) {
        remark(format!("more: --cursor {cursor}"));
    }
    Ok(())
}

/// The tasks as people read them; columns that would tell nothing are left out.
fn table(tasks: &[ListedTask], now: DateTime<Utc>, style: Style) -> Table {
    let has_priorities = tasks.iter().any(|task| task.summary.priority != 0);
    let failures: Vec<String> = tasks.iter().map(failure).collect();
    let has_failures = failures.iter().any(|failure| !failure.is_empty());
    let before: Vec<[Cell; 2]> = tasks.iter().map(identity).collect();
    let after: Vec<Vec<Cell>> = tasks
        .iter()
        .map(|task| times(task, now, has_priorities))
        .collect();

    let mut heading = vec!["TASK", "STATE", "TEMPLATE", "AGE", "TIME"];
    if has_priorities {
        heading.push("PRIORITY");
    }
    let taken = columns_of(&before, &["TASK", "STATE"]) + columns_of(&after, &heading[3..]);
    if has_failures {
        heading.push("FAILED");
    }
    let failure = failures.iter().map(|text| text.width()).max().unwrap_or(0);
    let room = style.width.map(|width| {
        let left = width.saturating_sub(taken + 2);
        let share = width * FAILURE_PART.0 / FAILURE_PART.1;
        let failure = (failure + 2).min(share.saturating_sub(FAILURE_LESS));
        let left = left.saturating_sub(if has_failures { failure } else { 0 });
        left.max(TEMPLATE_COLUMNS)
    });
    let templates = templates(tasks, style, room);

    let mut table = Table::new(&heading);
    for (((before, template), after), failure) in
        before.into_iter().zip(templates).zip(after).zip(failures)
    {
        let failure = has_failures.then_some((failure, Paint::Red));
        table.row(
            before
                .into_iter()
                .chain([plain(template)])
                .chain(after)
                .chain(failure),
        );
    }
    table
}

fn identity(task: &ListedTask) -> [Cell; 2] {
    let summary = &task.summary;
    let state = match summary.waits_for {
        Some(WaitsFor::WorkerForHandler) => {
            (format!("{}, no worker", summary.state), Paint::Yellow)
        }
        None => (summary.state.to_string(), task_paint(summary.state)),
    };
    [(summary.task_uuid.short(), Paint::Bold), state]
}

fn times(task: &ListedTask, now: DateTime<Utc>, with_priority: bool) -> Vec<Cell> {
    let summary = &task.summary;
    let end = summary.finished_at.unwrap_or(now);
    let mut cells = vec![
        plain(age(between(summary.created_at, now))),
        plain(short_duration(between(summary.created_at, end))),
    ];
    if with_priority {
        cells.push(plain(summary.priority.to_string()));
    }
    cells
}

/// The step that failed and what it says.
fn failure(task: &ListedTask) -> String {
    let Some(step) = &task.failed_step else {
        return String::new();
    };
    let message = step.message.as_deref().filter(|text| !text.is_empty());
    let says = message.or(step.kind.as_deref()).unwrap_or_default();
    format!("{}: {}", step.name, one_line(says))
}

/// The templates: with their versions where there is room, then without, then the ends of their
/// names.
fn templates(tasks: &[ListedTask], style: Style, room: Option<usize>) -> Vec<String> {
    let full = |task: &ListedTask| format!("{}@{}", path(task), task.summary.version);
    let name = |task: &ListedTask| task.summary.name.clone();
    let labels = |label: &dyn Fn(&ListedTask) -> String| -> Vec<String> {
        tasks.iter().map(label).collect()
    };
    let Some(room) = room else {
        return labels(&full);
    };
    for label in [&full as &dyn Fn(&ListedTask) -> String, &path, &name] {
        let labels = labels(label);
        if labels.iter().all(|label| label.width() <= room) {
            return labels;
        }
    }
    labels(&|task| style.cut(&name(task), room))
}

fn path(task: &ListedTask) -> String {
    format!("{}/{}", task.summary.namespace, task.summary.name)
}

/// The columns that cells take below their heading, gaps included.
fn columns_of(rows: &[impl AsRef<[Cell]>], heading: &[&str]) -> usize {
    let widest = |(column, title): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        let widest = cells.map(|(text, _)| text.width()).max().unwrap_or(0);
        widest.max(title.width()) + 2
    };
    heading.iter().enumerate().map(widest).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn task(name: &str, state: &str, failed_step: &Value) -> ListedTask {
        let ended = (state != "in_progress").then_some("2030-05-01T12:00:03.200Z");
        serde_json::from_value(json!({
            "task_uuid": "01890a5d-ac96-774b-bcce-b302099a0000",
            "namespace": "fulfillment", "name": name, "version": "1.0.0",
            "state": state, "priority": 0, "created_at": "2030-05-01T12:00:00Z",
            "started_at": null, "finished_at": ended, "failed_step": failed_step,
        }))
        .unwrap()
    }

    fn lines(tasks: &[ListedTask], width: Option<usize>) -> Vec<String> {
        let style = Style {
            utf8: true,
            colour: false,
            width,
        };
        let now = "2030-05-01T14:05:00Z".parse().unwrap();
        table(tasks, now, style).lines(style)
    }

    #[test]
    fn a_failure_is_seen_in_80_columns() {
        let error = json!({
            "name": "charge", "kind": "handler_failed",
            "message": "the card was refused by the bank that issued it",
        });
        let tasks = [
            task("order_fulfillment", "error", &error),
            task("order_fulfillment", "in_progress", &Value::Null),
        ];
        assert_eq!(
            lines(&tasks, Some(80)),
            [
                "TASK      STATE        TEMPLATE           AGE  TIME   FAILED",
                "b302099a  error        order_fulfillment  2h   3.2s   charge: the card was refu…",
                "b302099a  in_progress  order_fulfillment  2h   2h05m",
            ]
        );
        for line in lines(&tasks, Some(100)) {
            assert!(line.width() <= 100, "{line}");
        }
        let wide = lines(&tasks, None).join("\n");
        assert!(wide.contains("order_fulfillment@1.0.0"), "{wide}");
        assert!(
            wide.contains("refused by the bank that issued it"),
            "{wide}"
        );
    }

    #[test]
    fn columns_that_tell_nothing_are_left_out() {
        let mut tasks = [task("order", "complete", &Value::Null)];
        let heading = lines(&tasks, Some(80)).remove(0);
        assert_eq!(
            heading.split_whitespace().collect::<Vec<_>>(),
            ["TASK", "STATE", "TEMPLATE", "AGE", "TIME"]
        );
        tasks[0].summary.priority = 7;
        assert!(lines(&tasks, Some(80))[0].ends_with("PRIORITY"));
    }
}
