//! The orchestrators and workers that run, and those that were lately lost.

use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::words;

use super::queues;
use super::troubles::{Trouble, show};
use crate::ui::prelude::*;

/// Processes that are shown, handlers of one, and silent ones that are named as a problem.
const MOST_PROCESSES: usize = 500;
const MOST_HANDLERS: usize = 200;
const MOST_SILENT: usize = 5;

pub(crate) async fn processes(State(state): State<WebState>, _: NoParams) -> Result<Page, Problem> {
    let call = state.database.call("list_processes", async |connection| {
        list_processes(connection).await
    });
    let mut processes = call.await?;
    processes.sort_by_key(|it| (!it.silent, it.places != Some(0)));
    let content = html! {
        h1 { "Processes" }
        (show(trouble(&processes).into_iter().collect(), PROCESSES))
        @if processes.is_empty() {
            (empty("No orchestrator and no worker runs.", &html! {
                p { "Start them with " code { "tasker orchestrator" } " and " code { "tasker worker" } "." }
            }))
        } @else {
            (table("Processes",
                ["Process", "State", "Places taken", "Namespaces", "Handlers", "Version", "Started", "Last seen"],
                processes.iter().take(MOST_PROCESSES).map(row)))
            p.note { "Each reports every ten seconds. One that was killed is silent after 30 s and gone after 60 s." }
        }
        @if processes.len() > MOST_PROCESSES { p.note { "More are not shown: " code { "tasker processes" } } }
    };
    Ok(Page::live(PROCESSES, "Processes", content))
}

/// Processes that stopped reporting.
pub(super) fn trouble(processes: &[ProcessSummary]) -> Option<Trouble> {
    let silent = processes.iter().filter(|process| process.silent);
    let silent: Vec<_> = silent
        .map(|it| format!("{} {}", it.role, it.identity))
        .collect();
    let what = format!("Stopped reporting: {}.", some(&silent, MOST_SILENT));
    let advice = "Killed, or cannot reach the database. Steps they ran are tried again when their leases end.";
    (!silent.is_empty()).then(|| Trouble::mild(what, advice, PROCESSES))
}

fn row(process: &ProcessSummary) -> (String, [Markup; 8]) {
    let state = match process.places {
        _ if process.silent => badge("error", "silent"),
        Some(0) => badge("enqueued", "drains"),
        _ => badge("complete", "live"),
    };
    let namespaces = process.namespaces.join(", ");
    // After a restart there may be two of a name.
    let start = process.started_at.timestamp_millis();
    let cells = [
        html! {
            b { (process.role) } " " (foreign(&process.identity))
            div.note { "host " (foreign(&process.host)) ", process " (process.pid) }
        },
        state,
        queues::places(
            process.taken.unwrap_or_default(),
            process.places.unwrap_or_default(),
        ),
        html! { @if namespaces.is_empty() { "all" } @else { (foreign(&namespaces)) } },
        html! { @if !process.handlers.is_empty() {
            details id=(format!("handlers-{}-{start}", process.identity)) {
                summary { (words::count(process.handlers.len(), "handler")) }
                @for handler in process.handlers.iter().take(MOST_HANDLERS) { code { (foreign(handler)) } br; }
                @if process.handlers.len() > MOST_HANDLERS { "and more" }
            }
        } },
        html! { (foreign(&process.version)) div.note { (in_words(&process.mode)) } },
        moment(process.started_at),
        html! { (moment(process.last_seen_at)) div.note { (seconds(process.last_seen_seconds_ago)) " ago" } },
    ];
    (
        format!("process-{}-{}-{start}", process.role, process.identity),
        cells,
    )
}
