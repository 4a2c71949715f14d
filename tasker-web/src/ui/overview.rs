//! The overview: what runs, fails and waits, and what is in the way.

mod looks;
mod troubles;

use std::time::Duration;

use axum::extract::State;
use maud::{Markup, html};
use tasker_shared::gauges::{DatabaseGauges, bounded_gauges};
use tasker_shared::processes::list_processes;
use tasker_shared::tasks::{UnfinishedTasks, count_unfinished};
use tasker_shared::words;

use super::frame::{Live, Page, Section};
use super::{channels, parts, plots, processes, queues};
use crate::extract::NoParams;
use crate::problem::Problem;
use crate::state::WebState;

pub(super) use looks::Look;
pub(crate) use looks::Looks;
pub(super) use troubles::{Trouble, of_loops, show};

/// What tasks and steps are counted up to.
pub(super) const MOST: i32 = 1000;

/// Templates, and queues, that are listed.
const MOST_ROWS: usize = 30;

pub(crate) async fn overview(
    State(state): State<WebState>,
    _: NoParams,
) -> Result<Page<'static>, Problem> {
    let call = state.database.call("overview", async |connection| {
        let tasks = count_unfinished(connection, MOST).await?;
        let gauges = bounded_gauges(connection, MOST).await?;
        Ok((tasks, gauges, list_processes(connection).await?))
    });
    let (mut tasks, gauges, processes) = call.await?;
    tasks.sort_by_key(|it| (-it.failed_lately, -it.failed, -it.in_progress, -it.pending));
    let look = state.looks.latest(&state).await;
    let queues = queues::rows(&gauges.backlogs, &processes, &look);
    let mut troubles = troubles::of_database(&gauges);
    troubles.extend(of_loops((state.probes.components)()));
    troubles.extend(queues::troubles(&queues));
    troubles.extend(processes::trouble(&processes));
    troubles.extend(channels::troubles(state.probes.channel_warning_threshold));
    troubles.extend(troubles::of_oldest_tasks(&look.causes));
    Ok(Page {
        title: "Overview",
        section: Section::Overview,
        live: Live::Everything,
        content: html! {
            h1 { "Overview" }
            @if gauges.backlogs.is_empty() { (first_steps()) }
            (show(troubles, "/ui"))
            @if look.has_failed {
                p.note { "Not everything could be looked at. The log of this process says why." }
            }
            (by_template(&tasks, &gauges))
            (plots::last_hour(&look))
            (oldest_tasks(&look))
            @if !queues.is_empty() {
                h2 { a href="/ui/queues" { "Queues" } }
                (queues::table(&queues[..queues.len().min(MOST_ROWS)], MOST))
            }
        },
    })
}

/// What to do where there is no template yet.
fn first_steps() -> Markup {
    let apply = "echo '{namespace: hello, name: world, version: 1.0.0, \
         steps: [{name: greet, handler: builtin.echo}]}' |\n  tasker template apply -";
    let submit = "tasker task submit hello/world --context '{\"name\": \"you\"}' --wait";
    parts::empty(
        "No template has been applied yet. A template names the steps of a workflow, and a task is one run of it:",
        &html! { pre tabindex="0" { (apply) "\n" (submit) } },
    )
}

/// What is there now, in all and by template.
fn by_template(tasks: &[UnfinishedTasks], gauges: &DatabaseGauges) -> Markup {
    let sum = |of: fn(&UnfinishedTasks) -> i32| tasks.iter().map(of).sum::<i32>();
    // Of tasks in both states, and of those that failed, the latest are counted.
    let more = [
        sum(|it| it.failed) >= MOST,
        sum(|it| it.pending + it.in_progress) >= MOST,
    ];
    let cells = |it: [i32; 4]| {
        let states = [
            ("error", more[0]),
            ("error", more[0]),
            ("in_progress", more[1]),
            ("pending", more[1]),
        ];
        it.into_iter().zip(states)
    };
    let names = [
        "Failed within a day",
        "Failed in all",
        "In progress",
        "Wait to start",
    ];
    let sums = [
        sum(|it| it.failed_lately),
        sum(|it| it.failed),
        sum(|it| it.in_progress),
        sum(|it| it.pending),
    ];
    let rows = tasks.iter().take(MOST_ROWS).map(|it| {
        let page = format!(
            "/ui/tasks?namespace={}&name={}",
            parts::in_query(&it.namespace),
            parts::in_query(&it.name)
        );
        (
            it,
            page,
            [it.failed_lately, it.failed, it.in_progress, it.pending],
        )
    });
    let rows = html! {
        @for (it, page, numbers) in rows {
            tr data-row id=(format!("template-{}-{}", it.namespace, it.name)) {
                td { a href=(page) { (it.namespace) "/" (it.name) } }
                @for (number, (state, is_more)) in cells(numbers) {
                    td.number {
                        @if number == 0 { (parts::dash()) }
                        @else { a href=(format!("{page}&state={state}")) { (counted(number, is_more)) } }
                    }
                }
            }
        }
    };
    html! {
        ul.figures {
            @for ((number, (state, is_more)), name) in cells(sums).zip(names) {
                li.figure { a href=(format!("/ui/tasks?state={state}")) { b { (counted(number, is_more)) } span { (name) } } }
            }
            @for (number, name) in [(gauges.live_workers, "Live worker"), (gauges.live_orchestrators, "Live orchestrator")] {
                li.figure { a href="/ui/processes" { b { (number) } span { (name) @if number != 1 { "s" } } } }
            }
        }
        @if tasks.is_empty() {
            p.note { "No task waits, runs or has failed. Submit one: " code { "tasker task submit NAMESPACE/NAME --context '{}'" } }
        } @else {
            (table("Tasks by template", &["Template"], &names, &[], &rows))
        }
        @if more[0] || more[1] {
            p.note { "Of each state the " (parts::number(MOST.into())) " tasks that were submitted last are counted." }
        }
        @if tasks.len() > MOST_ROWS { p.note { (tasks.len() - MOST_ROWS) " more templates have such tasks." } }
    }
}

/// What the tasks wait for that have not ended for longest.
fn oldest_tasks(look: &Look) -> Markup {
    let rows = html! {
        @for it in &look.causes {
            @let cause = parts::in_words(serde_json::json!(it.cause).as_str().unwrap_or_default());
            tr data-row id=(format!("cause-{}", cause.replace(' ', "-"))) {
                td { (parts::task_link(it.task_uuid)) }
                td.number { (it.tasks) }
                td { (cause) }
                td { (parts::foreign(&it.detail)) }
            }
        }
    };
    html! {
        @if !look.causes.is_empty() {
            h2 { "What the oldest tasks wait for" }
            (table("What the oldest tasks wait for", &["Oldest"], &["Tasks"], &["Cause", "In words, of the oldest"], &rows))
        }
    }
}

/// A table with columns of texts, of numbers, and of texts again.
pub(super) fn table(
    label: &str,
    first: &[&str],
    numbers: &[&str],
    last: &[&str],
    rows: &Markup,
) -> Markup {
    let columns = first.iter().map(|name| (name, false));
    let columns = columns.chain(numbers.iter().map(|name| (name, true)));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr {
                    @for (name, is_number) in columns.chain(last.iter().map(|name| (name, false))) {
                        th.number[is_number] scope="col" { (name) }
                    }
                } }
                tbody { (rows) }
            }
        }
    }
}

/// A number, or that it is at least so many.
pub(super) fn counted(number: impl Into<i64>, is_more: bool) -> String {
    let number = number.into();
    let more = if is_more && number > 0 { "+" } else { "" };
    format!("{}{more}", parts::number(number))
}

/// A time in seconds, as people read it.
pub(super) fn seconds(seconds: f64) -> String {
    words::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
