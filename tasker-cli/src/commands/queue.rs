//! `tasker queue`: the queues of the namespaces.

use std::time::Duration;

use tasker_shared::queues::{QueueSummary, list_queues};

use crate::drawing::{Paint, Style};
use crate::failure::Failure;
use crate::format::{count, duration, one_line};
use crate::setup::Setup;
use crate::table::{Table, plain};

/// Handlers of one queue that are written out below the table.
const MOST_HANDLERS: usize = 10;
/// Steps up to which those are counted that wait for a handler.
const COUNTED: i32 = 1000;

/// Commands about queues.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the queues: what lies in them, who works, and what nobody can run
    List,
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, setup: &Setup) -> Result<(), Failure> {
    let Command::List = command;
    let output = setup.output();
    let database = setup.database().await?;
    let queues = database
        .call("list_queues", async |connection| {
            list_queues(connection).await
        })
        .await?;
    output.document(&serde_json::json!({ "queues": queues }))?;
    if queues.is_empty() {
        return output.text("no queues: the first template of a namespace creates its queue");
    }
    let style = output.style(false);
    let mut lines = table(&queues).lines(style);
    lines.extend(queues.iter().flat_map(|queue| remarks(queue, style)));
    output.text(lines.join("\n"))
}

/// What lies in each queue, and how many places its workers have; those of workers of several
/// namespaces count in each.
fn table(queues: &[QueueSummary]) -> Table {
    let mut table = Table::new(&[
        "NAMESPACE",
        "MESSAGES",
        "WAITING",
        "OLDEST",
        "WORKERS",
        "BUSY",
    ]);
    for queue in queues {
        let oldest = queue.oldest_message_age_seconds;
        let oldest = oldest.map(|age| Duration::from_secs_f64(age.max(0.0)));
        let number = |number: Option<i64>| number.map_or("?".to_owned(), |it| it.to_string());
        let is_idle = queue.workers == 0 && queue.visible.is_none_or(|waiting| waiting > 0);
        let paint = if is_idle { Paint::Red } else { Paint::Plain };
        table.row([
            (queue.namespace.clone(), Paint::Bold),
            plain(number(queue.length)),
            plain(number(queue.visible)),
            plain(oldest.map(duration).unwrap_or_default()),
            (queue.workers.to_string(), paint),
            plain(format!("{}/{}", queue.taken, queue.places)),
        ]);
    }
    table
}

/// What is wrong with a queue, and what nobody can run in it.
fn remarks(queue: &QueueSummary, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(problem) = &queue.problem {
        let problem = format!("{}: {}", queue.namespace, one_line(problem));
        lines.push(style.paint(Paint::Red, &problem));
    }
    let missing = &queue.without_worker;
    for handler in missing.iter().take(MOST_HANDLERS) {
        let line = format!(
            "{}: no worker knows the handler '{}', {} for it",
            queue.namespace,
            one_line(&handler.handler),
            waiting(handler.steps)
        );
        lines.push(style.paint(Paint::Yellow, &line));
    }
    if missing.len() > MOST_HANDLERS {
        let more = count(missing.len() - MOST_HANDLERS, "more handler");
        lines.push(format!("{}: nor {more}; --json has them", queue.namespace));
    }
    lines
}

/// `1 step waits`, `2 steps wait`, `1000 or more steps wait`.
pub(crate) fn waiting(steps: i32) -> String {
    match steps {
        1 => "1 step waits".to_owned(),
        COUNTED.. => format!("{COUNTED} or more steps wait"),
        _ => format!("{steps} steps wait"),
    }
}
