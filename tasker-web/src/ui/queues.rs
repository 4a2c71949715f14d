//! The queues of the namespaces: what lies in them, who takes from them, what is wrong.

use axum::extract::State;
use maud::{Markup, html};
use tasker_shared::gauges::{self, Backlog, bounded_gauges};
use tasker_shared::processes::{ProcessSummary, StepsWithoutWorker, list_processes};
use tasker_shared::queues::QueueTrouble;

use super::frame::{Live, Page, Section};
use super::overview::{self, Look, MOST, Trouble, counted, seconds, show};
use super::{parts, plots};
use crate::extract::NoParams;
use crate::problem::Problem;
use crate::state::WebState;

/// Seconds for which steps may wait for a worker, as in the rules for Prometheus.
const LONG_WAIT_SECONDS: f64 = 300.0;

/// Handlers of a queue that are named, and queues that are shown.
const MOST_HANDLERS: usize = 5;
const MOST_QUEUES: usize = 500;

/// A queue, with all that is known about it.
pub(super) struct Row<'a> {
    backlog: &'a Backlog,
    /// Live workers that take from it, their places, and how many are taken.
    workers: usize,
    places: i32,
    taken: i32,
    missing: Vec<&'a StepsWithoutWorker>,
    trouble: Option<&'a QueueTrouble>,
}

pub(crate) async fn queues(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Page<'static>, Problem> {
    let call = state.database.call("queues_page", async |connection| {
        let gauges = bounded_gauges(connection, gauges::MOST).await?;
        Ok((gauges, list_processes(connection).await?))
    });
    let (gauges, processes) = call.await?;
    let look = state.looks.latest(&state).await;
    let rows = rows(&gauges.backlogs, &processes, &look);
    Ok(Page {
        title: "Queues",
        section: Section::Queues,
        live: Live::Everything,
        content: html! {
            h1 { "Queues" }
            (show(troubles(&rows).collect(), "/ui/queues"))
            @if rows.is_empty() {
                (parts::empty("There are no queues yet.", &html! {
                    p { "The first template of a namespace makes its queue: " code { "tasker template apply FILE" } }
                }))
            } @else {
                (table(&rows[..rows.len().min(MOST_QUEUES)], gauges::MOST))
                p.note {
                    "Ready steps wait for an orchestrator, which puts them in the queue. There they wait until a worker "
                    "receives them, and stay until they have ended. A worker of several namespaces counts in each."
                }
            }
        },
    })
}

/// The queues, those with most troubles first, then those whose steps wait longest.
pub(super) fn rows<'a>(
    backlogs: &'a [Backlog],
    processes: &'a [ProcessSummary],
    look: &'a Look,
) -> Vec<Row<'a>> {
    let rows = backlogs.iter().map(|backlog| {
        let namespace = &backlog.namespace;
        let workers = processes.iter().filter(|it| {
            let serves = it.namespaces.is_empty() || it.namespaces.contains(namespace);
            serves && it.role == "worker" && !it.silent
        });
        let missing = look.without_worker.iter();
        Row {
            backlog,
            workers: workers.clone().count(),
            places: workers.clone().filter_map(|it| it.places).sum(),
            taken: workers.filter_map(|it| it.taken).sum(),
            missing: missing.filter(|it| it.namespace == *namespace).collect(),
            trouble: look
                .queue_troubles
                .iter()
                .find(|it| it.namespace == *namespace),
        }
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| {
        let wait = |row: &Row| row.backlog.oldest_waiting_seconds.unwrap_or_default();
        let by_troubles = of_queue(b).len().cmp(&of_queue(a).len());
        by_troubles.then(wait(b).total_cmp(&wait(a)))
    });
    rows
}

/// What is wrong with the queues.
pub(super) fn troubles(rows: &[Row]) -> impl Iterator<Item = Trouble> {
    rows.iter().flat_map(of_queue)
}

fn of_queue(row: &Row) -> Vec<Trouble> {
    let Backlog {
        namespace,
        queue_depth,
        waiting_steps,
        ..
    } = row.backlog;
    let mut troubles = Vec::new();
    let mut grave = |what, advice: &str| troubles.push(Trouble::grave(what, advice, "/ui/queues"));
    if let Some(trouble) = row.trouble {
        let advice = trouble.action.as_deref().unwrap_or("It passes by itself.");
        grave(format!("Queue {namespace}: {}.", trouble.detail), advice);
    } else if queue_depth.is_none() {
        grave(
            format!("The queue of {namespace} cannot be read at the moment."),
            "If this stays, run: tasker doctor",
        );
    }
    let wait = row.backlog.oldest_waiting_seconds.unwrap_or_default();
    if row.workers == 0 && *waiting_steps > Some(0) {
        let what = format!("Steps of {namespace} wait, and no live worker serves the namespace.");
        grave(
            what,
            &format!("Start one: tasker worker --namespace {namespace}, or your own program."),
        );
    } else if !row.missing.is_empty() {
        let named = row.missing.iter().take(MOST_HANDLERS);
        let named: Vec<_> = named
            .map(|it| format!("{} ({})", it.handler, counted(it.steps, it.steps >= MOST)))
            .collect();
        let others = if row.missing.len() > MOST_HANDLERS {
            " and others"
        } else {
            ""
        };
        let what = format!(
            "No live worker of {namespace} knows handlers that steps wait for: {}{others}.",
            named.join(", ")
        );
        grave(
            what,
            "Start a worker that knows them. The steps wait as long as it takes and lose no attempt.",
        );
    } else if wait > LONG_WAIT_SECONDS {
        let what = format!(
            "Steps of {namespace} wait long for a worker, the oldest for {}.",
            seconds(wait)
        );
        let advice = if row.taken >= row.places {
            "All places are taken: add workers, or raise worker.concurrency."
        } else {
            "Workers have free places: look whether they reach the database, or more urgent steps come first."
        };
        troubles.push(Trouble::mild(what, advice, "/ui/queues"));
    }
    troubles.extend(overdue(row.backlog));
    troubles
}

/// Steps that should have moved more than a minute ago.
fn overdue(backlog: &Backlog) -> Option<Trouble> {
    let overdue = [
        (backlog.overdue_claims, "are ready and not claimed"),
        (backlog.overdue_retries, "are due for a retry"),
        (
            backlog.overdue_leases.unwrap_or_default(),
            "were lost or given back and not received again",
        ),
    ];
    let overdue = overdue.iter().filter(|(steps, _)| *steps > 0);
    let overdue: Vec<_> = overdue
        .map(|(steps, what)| format!("{} {what}", counted(*steps, *steps >= MOST.into())))
        .collect();
    let what = format!(
        "Steps of {} are late by more than a minute: {}.",
        backlog.namespace,
        overdue.join(", ")
    );
    let advice = "Look whether orchestrators and workers serve the namespace and keep up; tasker doctor finds locks.";
    (!overdue.is_empty()).then(|| Trouble::mild(what, advice, "/ui/processes"))
}

/// The queues; `most` is what was counted up to.
pub(super) fn table(rows: &[Row], most: i32) -> Markup {
    let number = |steps: Option<i64>| {
        steps.map_or_else(
            || "?".to_owned(),
            |steps| counted(steps, steps >= most.into()),
        )
    };
    let rows = html! {
        @for Row { backlog, workers, places: of, taken, .. } in rows {
            tr data-row id=(format!("queue-{}", backlog.namespace)) {
                td { a href=(format!("/ui/tasks?state=in_progress&namespace={}", parts::in_query(&backlog.namespace))) { (backlog.namespace) } }
                @for steps in [Some(backlog.ready_steps), backlog.queue_depth, backlog.waiting_steps] { td.number { (number(steps)) } }
                td.number {
                    @if backlog.waiting_steps > Some(0) { (seconds(backlog.oldest_waiting_seconds.unwrap_or_default())) }
                    @else { (parts::dash()) }
                }
                td.number { (workers) }
                td { (places(*taken, *of)) }
            }
        }
    };
    let numbers = [
        "Ready",
        "In the queue",
        "Wait for a worker",
        "Oldest waits",
        "Workers",
    ];
    overview::table("Queues", &["Namespace"], &numbers, &["Places taken"], &rows)
}

/// How many places are taken, as a bar and in numbers.
pub(super) fn places(taken: i32, of: i32) -> Markup {
    html! {
        @if of > 0 { (plots::meter(f64::from(taken) / f64::from(of) * 100.0, false)) " " (taken) " of " (of) }
        @else if taken > 0 { (taken) ", and no more are taken" }
        @else { (parts::dash()) }
    }
}
