//! The orchestrators and workers that run, and those that were lately lost.

use axum::extract::State;
use maud::{Markup, html};
use tasker_shared::processes::{ProcessSummary, list_processes};
use tasker_shared::words;

use super::frame::{Live, Page, Section};
use super::overview::{Trouble, seconds, show, table};
use super::{parts, queues};
use crate::extract::NoParams;
use crate::problem::Problem;
use crate::state::WebState;

/// Processes that are shown, handlers of one, and silent ones that are named as a problem.
const MOST_PROCESSES: usize = 500;
const MOST_HANDLERS: usize = 200;
const MOST_SILENT: usize = 5;

pub(crate) async fn processes(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Page<'static>, Problem> {
    let call = state.database.call("list_processes", async |connection| {
        list_processes(connection).await
    });
    let mut processes = call.await?;
    processes.sort_by_key(|it| (!it.silent, it.places != Some(0)));
    let rows = html! { @for process in processes.iter().take(MOST_PROCESSES) { (row(process)) } };
    let columns = [
        "Process",
        "State",
        "Places taken",
        "Namespaces",
        "Handlers",
        "Version",
        "Started",
        "Last seen",
    ];
    Ok(Page {
        title: "Processes",
        section: Section::Processes,
        live: Live::Everything,
        content: html! {
            h1 { "Processes" }
            (show(trouble(&processes).into_iter().collect(), "/ui/processes"))
            @if processes.is_empty() {
                (parts::empty("No orchestrator and no worker runs.", &html! {
                    p { "Start them with " code { "tasker orchestrator" } " and " code { "tasker worker" } "." }
                }))
            } @else {
                (table("Processes", &columns, &[], &[], &rows))
                p.note { "Each reports every ten seconds. One that was killed is silent after 30 s and gone after 60 s." }
            }
            @if processes.len() > MOST_PROCESSES { p.note { "More are not shown: " code { "tasker processes" } } }
        },
    })
}

/// Processes that stopped reporting.
pub(super) fn trouble(processes: &[ProcessSummary]) -> Option<Trouble> {
    let silent: Vec<_> = processes.iter().filter(|process| process.silent).collect();
    let named = silent.iter().take(MOST_SILENT);
    let named: Vec<_> = named
        .map(|it| format!("{} {}", it.role, it.identity))
        .collect();
    let others = if silent.len() > MOST_SILENT {
        " and others"
    } else {
        ""
    };
    let what = format!("Stopped reporting: {}{others}.", named.join(", "));
    let advice = "Killed, or cannot reach the database. Steps they ran are tried again when their leases end.";
    (!silent.is_empty()).then(|| Trouble::mild(what, advice, "/ui/processes"))
}

fn row(process: &ProcessSummary) -> Markup {
    let (class, sign, state) = match process.places {
        _ if process.silent => ("state error", "✕", "silent"),
        Some(0) => ("state enqueued", "◌", "drains"),
        _ => ("state complete", "✓", "live"),
    };
    let namespaces = process.namespaces.join(", ");
    // After a restart there may be two of a name.
    let start = process.started_at.timestamp_millis();
    html! {
        tr id=(format!("process-{}-{}-{start}", process.role, process.identity)) {
            td {
                b { (process.role) } " " (parts::foreign(&process.identity))
                div.note { "host " (parts::foreign(&process.host)) ", process " (process.pid) }
            }
            td { span class=(class) { span aria-hidden="true" { (sign) } (state) } }
            td { (queues::places(process.taken.unwrap_or_default(), process.places.unwrap_or_default())) }
            td { @if namespaces.is_empty() { "all" } @else { (parts::foreign(&namespaces)) } }
            td {
                @if process.handlers.is_empty() { (parts::dash()) } @else {
                    details id=(format!("handlers-{}-{start}", process.identity)) {
                        summary { (words::count(process.handlers.len(), "handler")) }
                        @for handler in process.handlers.iter().take(MOST_HANDLERS) { code { (parts::foreign(handler)) } br; }
                        @if process.handlers.len() > MOST_HANDLERS { "and more" }
                    }
                }
            }
            td { (parts::foreign(&process.version)) div.note { (parts::in_words(&process.mode)) } }
            td { (parts::moment(process.started_at)) }
            td { (parts::moment(process.last_seen_at)) div.note { (seconds(process.last_seen_seconds_ago)) " ago" } }
        }
    }
}
