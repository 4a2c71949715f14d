//! The queues of the namespaces: what lies in them, who takes from them, what is wrong.

use tasker_shared::gauges::{self, Backlog, bounded_gauges};
use tasker_shared::processes::{ProcessSummary, list_processes};

use super::looks::Look;
use super::plots;
use super::troubles::{Trouble, show};
use crate::ui::prelude::*;

/// Seconds for which steps may wait for a worker, as in the rules for Prometheus.
const LONG_WAIT_SECONDS: f64 = 300.0;

/// What steps of a look are counted up to.
const MOST_COUNTED: i64 = 1000;

/// Handlers of a queue that are named, and queues that are shown.
const MOST_HANDLERS: usize = 5;
const MOST_QUEUES: usize = 500;

/// A queue, with all that is known about it.
pub(super) struct Queue<'a> {
    backlog: &'a Backlog,
    /// Live workers that take from it, their places, and how many are taken.
    workers: usize,
    places: i32,
    taken: i32,
    troubles: Vec<Trouble>,
}

pub(crate) async fn queues(State(state): State<WebState>, _: NoParams) -> Result<Page, Problem> {
    let call = state.database.call("queues_page", async |connection| {
        let gauges = bounded_gauges(connection, gauges::MOST).await?;
        Ok((gauges, list_processes(connection).await?))
    });
    let (gauges, processes) = call.await?;
    let look = state.looks.latest(&state).await;
    let queues = found(&gauges.backlogs, &processes, &look);
    let content = html! {
        h1 { "Queues" }
        (show(troubles(&queues).collect(), QUEUES))
        @if queues.is_empty() {
            (empty("There are no queues yet.", &html! {
                p { "The first template of a namespace makes its queue: " code { "tasker template apply FILE" } }
            }))
        } @else {
            (list(&queues[..queues.len().min(MOST_QUEUES)], gauges::MOST))
            p.note {
                "Ready steps wait for an orchestrator, which puts them in the queue. There they wait until a worker "
                "receives them, and stay until they have ended. A worker of several namespaces counts in each."
            }
        }
    };
    Ok(Page::live(QUEUES, "Queues", content))
}

/// The queues, those with most troubles first, then those whose steps wait longest.
pub(super) fn found<'a>(
    backlogs: &'a [Backlog],
    processes: &[ProcessSummary],
    look: &Look,
) -> Vec<Queue<'a>> {
    let queues = backlogs.iter().map(|backlog| {
        let workers = processes.iter().filter(|it| {
            let serves = it.namespaces.is_empty() || it.namespaces.contains(&backlog.namespace);
            serves && it.role == "worker" && !it.silent
        });
        let mut queue = Queue {
            backlog,
            workers: workers.clone().count(),
            places: workers.clone().filter_map(|it| it.places).sum(),
            taken: workers.filter_map(|it| it.taken).sum(),
            troubles: Vec::new(),
        };
        queue.troubles.extend(queue.damage(look));
        queue.troubles.extend(queue.wait(look));
        queue.troubles.extend(queue.overdue());
        queue
    });
    let mut queues: Vec<_> = queues.collect();
    queues.sort_by(|a, b| {
        let by_troubles = b.troubles.len().cmp(&a.troubles.len());
        by_troubles.then(b.oldest_wait().total_cmp(&a.oldest_wait()))
    });
    queues
}

/// What is wrong with the queues.
pub(super) fn troubles(queues: &[Queue]) -> impl Iterator<Item = Trouble> {
    queues.iter().flat_map(|queue| queue.troubles.clone())
}

impl Queue<'_> {
    fn oldest_wait(&self) -> f64 {
        self.backlog.oldest_waiting_seconds.unwrap_or_default()
    }

    fn damage(&self, look: &Look) -> Option<Trouble> {
        let namespace = &self.backlog.namespace;
        let mut known = look.queue_troubles.iter();
        if let Some(known) = known.find(|it| it.namespace == *namespace) {
            let what = format!("Queue {namespace}: {}.", known.detail);
            let advice = known.action.as_deref().unwrap_or("It passes by itself.");
            return Some(Trouble::grave(what, advice, QUEUES));
        }
        let what = format!("The queue of {namespace} cannot be read at the moment.");
        let trouble = Trouble::grave(what, "If this stays, run: tasker doctor", QUEUES);
        self.backlog.queue_depth.is_none().then_some(trouble)
    }

    /// Why steps wait for a worker, or wait long.
    fn wait(&self, look: &Look) -> Option<Trouble> {
        let namespace = &self.backlog.namespace;
        if self.workers == 0 && self.backlog.waiting_steps > Some(0) {
            let what =
                format!("Steps of {namespace} wait, and no live worker serves the namespace.");
            let advice =
                format!("Start one: tasker worker --namespace {namespace}, or your own program.");
            return Some(Trouble::grave(what, advice, QUEUES));
        }
        let missing = look.without_worker.iter();
        let missing = missing.filter(|it| it.namespace == *namespace).map(|it| {
            let steps = counted(it.steps.into(), MOST_COUNTED);
            format!("{} ({steps})", it.handler)
        });
        let missing: Vec<_> = missing.collect();
        if !missing.is_empty() {
            let handlers = some(&missing, MOST_HANDLERS);
            let what = format!(
                "No live worker of {namespace} knows handlers that steps wait for: {handlers}."
            );
            let advice = "Start a worker that knows them. The steps wait as long as it takes and lose no attempt.";
            return Some(Trouble::grave(what, advice, QUEUES));
        }
        if self.oldest_wait() <= LONG_WAIT_SECONDS {
            return None;
        }
        let oldest = seconds(self.oldest_wait());
        let what = format!("Steps of {namespace} wait long for a worker, the oldest for {oldest}.");
        let advice = if self.taken >= self.places {
            "All places are taken: add workers, or raise worker.concurrency."
        } else {
            "Workers have free places: look whether they reach the database, or more urgent steps come first."
        };
        Some(Trouble::mild(what, advice, QUEUES))
    }

    /// Steps that should have moved more than a minute ago.
    fn overdue(&self) -> Option<Trouble> {
        let it = self.backlog;
        let lost = "were lost or given back and not received again";
        let overdue = [
            (it.overdue_claims, "are ready and not claimed"),
            (it.overdue_retries, "are due for a retry"),
            (it.overdue_leases.unwrap_or_default(), lost),
        ];
        let overdue = overdue.iter().filter(|(steps, _)| *steps > 0);
        let overdue: Vec<_> = overdue
            .map(|(steps, what)| format!("{} {what}", counted(*steps, MOST_COUNTED)))
            .collect();
        let (namespace, overdue_steps) = (&it.namespace, overdue.join(", "));
        let what = format!("Steps of {namespace} are late by more than a minute: {overdue_steps}.");
        let advice = "Look whether orchestrators and workers serve the namespace and keep up; tasker doctor finds locks.";
        (!overdue.is_empty()).then(|| Trouble::mild(what, advice, PROCESSES))
    }
}

/// The queues; `most` is what was counted up to.
pub(super) fn list(queues: &[Queue], most: i32) -> Markup {
    let rows = queues.iter().map(|queue| {
        let backlog = queue.backlog;
        let steps = |steps: Option<i64>| {
            html! { @match steps { Some(steps) => (counted(steps, most.into())), None => "?" } }
        };
        let running = [("state", "in_progress"), ("namespace", &backlog.namespace)];
        let cells = [
            html! { a href=(address(TASKS, &running)) { (backlog.namespace) } },
            steps(Some(backlog.ready_steps)),
            steps(backlog.queue_depth),
            steps(backlog.waiting_steps),
            html! { @if backlog.waiting_steps > Some(0) { (seconds(queue.oldest_wait())) } },
            html! { (queue.workers) },
            places(queue.taken, queue.places),
        ];
        (format!("queue-{}", backlog.namespace), cells)
    });
    table(
        "Queues",
        [
            "Namespace",
            "# Ready",
            "# In the queue",
            "# Wait for a worker",
            "# Oldest waits",
            "# Workers",
            "Places taken",
        ],
        rows,
    )
}

/// How many places are taken, as a bar and in numbers.
pub(super) fn places(taken: i32, of: i32) -> Markup {
    html! {
        @if of > 0 { (plots::meter(f64::from(taken) / f64::from(of) * 100.0, false)) " " (taken) " of " (of) }
        @else if taken > 0 { (taken) ", and no more are taken" }
    }
}
