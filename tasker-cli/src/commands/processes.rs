//! `tasker processes`: the orchestrators and workers that run.

use std::time::Duration;

use serde_json::json;
use tasker_shared::processes::{ProcessSummary, list_processes};
use unicode_width::UnicodeWidthStr;

use crate::drawing::{Paint, Style};
use crate::failure::Failure;
use crate::format::one_line;
use crate::setup::Setup;
use crate::table::{Table, plain};

/// Columns of a name; of a longer one its end is shown, which tells processes of a host apart.
const NAME_WIDTH: usize = 24;
/// Columns of the list of namespaces.
const NAMESPACES_WIDTH: usize = 12;

const EXAMPLES: &str = "\
A process that was not seen for 30 s is silent: it was killed, or does not reach the database. It
is forgotten after 60 s. BUSY is how many handlers a worker runs, of how many it may run at once.
--json tells also hosts, process ids, versions, modes, starts and the handlers of workers.

Examples:
  tasker processes
  tasker processes --json | jq '.processes[] | select(.handlers | index(\"payments.charge\"))'";

/// Arguments of `tasker processes`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Lists the processes.
pub(crate) async fn run(_: &Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.database().await?;
    let processes = database
        .call("list_processes", async |connection| {
            list_processes(connection).await
        })
        .await?;
    output.document(&json!({ "processes": processes }))?;
    if processes.is_empty() {
        return output.text("no processes: `tasker orchestrator` and `tasker worker` start some");
    }
    let style = output.style(false);
    output.text(table(&processes, style).lines(style).join("\n"))
}

fn table(processes: &[ProcessSummary], style: Style) -> Table {
    let mut table = Table::new(&["ROLE", "NAME", "BUSY", "NAMESPACES", "SEEN"]);
    for process in processes {
        let seen = Duration::from_secs_f64(process.last_seen_seconds_ago.max(0.0)).as_secs();
        table.row([
            plain(process.role.clone()),
            (
                end_of(&one_line(&process.identity), NAME_WIDTH, style),
                Paint::Bold,
            ),
            busy(process),
            plain(style.cut(&namespaces(process), NAMESPACES_WIDTH)),
            if process.silent {
                (format!("silent {seen} s"), Paint::Red)
            } else {
                plain(format!("{seen} s ago"))
            },
        ]);
    }
    table
}

/// How many places of a worker are taken.
fn busy(process: &ProcessSummary) -> (String, Paint) {
    match (process.taken, process.places) {
        (Some(taken), Some(0)) => (format!("drains {taken}"), Paint::Yellow),
        (Some(taken), Some(places)) => plain(format!("{taken}/{places}")),
        _ => plain(""),
    }
}

fn namespaces(process: &ProcessSummary) -> String {
    if process.namespaces.is_empty() {
        "all".to_owned()
    } else {
        one_line(&process.namespaces.join(","))
    }
}

/// As much of the end of a text as there is room for.
fn end_of(text: &str, columns: usize, style: Style) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let ellipsis = style.ellipsis();
    let mut characters = text.chars();
    while characters.as_str().width() + ellipsis.width() > columns {
        characters.next();
    }
    format!("{ellipsis}{}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    const STYLE: Style = Style {
        utf8: true,
        colour: false,
        width: None,
    };

    fn process(role: &str, identity: &str) -> ProcessSummary {
        let is_worker = role == "worker";
        ProcessSummary {
            identity: identity.to_owned(),
            role: role.to_owned(),
            host: "host".to_owned(),
            pid: 1,
            version: "0.1.0".to_owned(),
            mode: "EventDrivenOnly".to_owned(),
            namespaces: Vec::new(),
            handlers: Vec::new(),
            places: is_worker.then_some(100_000),
            taken: is_worker.then_some(99_999),
            started_at: DateTime::UNIX_EPOCH,
            last_seen_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(86_399),
            last_seen_seconds_ago: 45.4,
            silent: true,
        }
    }

    #[test]
    fn long_names_and_many_namespaces_fit_in_80_columns() {
        let name = "a-very-long-name-of-a-host.example.com-1234567-abcdef";
        let mut worker = process("worker", name);
        worker.namespaces = vec!["fulfillment".to_owned(), "payments".to_owned()];
        let lines = table(&[process("orchestrator", name), worker], STYLE).lines(STYLE);

        for line in &lines {
            assert!(line.width() <= 80, "{}: {line}", line.width());
        }
        assert!(lines[1].contains("-1234567-abcdef"), "{lines:#?}");
    }

    #[test]
    fn a_worker_that_drains_says_how_many_steps_it_still_runs() {
        let mut worker = process("worker", "w");
        (worker.places, worker.taken) = (Some(0), Some(3));
        assert_eq!(busy(&worker).0, "drains 3");
    }
}
