//! The overview: what runs, fails and waits, and what is in the way.

use tasker_shared::gauges::{DatabaseGauges, bounded_gauges};
use tasker_shared::processes::list_processes;
use tasker_shared::tasks::{UnfinishedTasks, count_unfinished};

use super::looks::Look;
use super::{channels, plots, processes, queues, templates, troubles};
use crate::ui::prelude::*;

/// What tasks and steps are counted up to.
const MOST: i32 = 1000;

/// The states by which the list of tasks shows what is counted.
const STATES: [&str; 4] = ["error", "error", "in_progress", "pending"];

/// Templates, and queues, that are listed.
const MOST_ROWS: usize = 30;

pub(crate) async fn overview(State(state): State<WebState>, _: NoParams) -> Result<Page, Problem> {
    let call = state.database.call("overview", async |connection| {
        let tasks = count_unfinished(connection, MOST).await?;
        let gauges = bounded_gauges(connection, MOST).await?;
        Ok((tasks, gauges, list_processes(connection).await?))
    });
    let (mut tasks, gauges, processes) = call.await?;
    tasks.sort_by_key(|it| (-it.failed_lately, -it.failed, -it.in_progress, -it.pending));
    let look = state.looks.latest(&state).await;
    let queues = queues::found(&gauges.backlogs, &processes, &look);
    let mut troubles = troubles::of_database(&gauges);
    troubles.extend(troubles::of_loops((state.probes.components)()));
    troubles.extend(queues::troubles(&queues));
    troubles.extend(processes::trouble(&processes));
    troubles.extend(channels::troubles(state.probes.channel_warning_threshold));
    troubles.extend(troubles::of_oldest_tasks(&look.causes));
    let content = html! {
        h1 { "Overview" }
        @if gauges.backlogs.is_empty() { (templates::first_steps("No template has been applied yet.")) }
        (troubles::show(troubles, OVERVIEW))
        @if look.has_failed {
            p.note { "Not everything could be looked at. The log of this process says why." }
        }
        (by_template(&tasks, &gauges))
        (plots::last_hour(&look, state.looks.samples))
        (oldest_tasks(&look))
        @if !queues.is_empty() {
            h2 { a href=(QUEUES) { "Queues" } }
            (queues::list(&queues[..queues.len().min(MOST_ROWS)], MOST))
        }
    };
    Ok(Page::live(OVERVIEW, "Overview", content))
}

fn counts(it: &UnfinishedTasks) -> [i32; 4] {
    [it.failed_lately, it.failed, it.in_progress, it.pending]
}

/// What is there now, in all and by template.
fn by_template(tasks: &[UnfinishedTasks], gauges: &DatabaseGauges) -> Markup {
    let names = [
        "Failed within a day",
        "Failed in all",
        "In progress",
        "Wait to start",
    ];
    let sum = |of: usize| tasks.iter().map(|it| counts(it)[of]).sum::<i32>();
    let sums = [0, 1, 2, 3].map(sum);
    // Of tasks in both states, and of those that failed, the latest are counted.
    let more = [sums[1] >= MOST, sums[2] + sums[3] >= MOST];
    let shown = |state: &str, count: i32| {
        let is_more = more[usize::from(state != "error")] && count > 0;
        number(count) + if is_more { "+" } else { "" }
    };
    let rows = tasks.iter().take(MOST_ROWS).map(|it| {
        let tasks = |state| {
            address(
                TASKS,
                &[
                    ("namespace", &it.namespace),
                    ("name", &it.name),
                    ("state", state),
                ],
            )
        };
        let cell = |of: usize| {
            let (state, count) = (STATES[of], counts(it)[of]);
            html! { @if count > 0 { a href=(tasks(state)) { (shown(state, count)) } } }
        };
        let template = html! { a href=(tasks("")) { (it.namespace) "/" (it.name) } };
        let id = format!("template-{}-{}", it.namespace, it.name);
        (id, [template, cell(0), cell(1), cell(2), cell(3)])
    });
    let processes = [
        (gauges.live_workers, "Live workers"),
        (gauges.live_orchestrators, "Live orchestrators"),
    ];
    html! {
        ul.figures {
            @for ((name, state), count) in names.into_iter().zip(STATES).zip(sums) {
                li.figure { a href=(address(TASKS, &[("state", state)])) { b { (shown(state, count)) } span { (name) } } }
            }
            @for (count, name) in processes {
                li.figure { a href=(PROCESSES) { b { (count) } span { (name) } } }
            }
        }
        @if tasks.is_empty() {
            p.note { "No task waits, runs or has failed. Submit one: " code { "tasker task submit NAMESPACE/NAME --context '{}'" } }
        } @else {
            (table("Tasks by template", ["Template", "# Failed within a day", "# Failed in all", "# In progress", "# Wait to start"], rows))
        }
        @if more[0] || more[1] {
            p.note { "Of each state the " (number(MOST)) " tasks that were submitted last are counted." }
        }
        @if tasks.len() > MOST_ROWS { p.note { (tasks.len() - MOST_ROWS) " more templates have such tasks." } }
    }
}

/// What the tasks wait for that have not ended for longest.
fn oldest_tasks(look: &Look) -> Markup {
    let rows = look.causes.iter().map(|it| {
        let cause = serde_json::json!(it.cause);
        let cause = cause.as_str().unwrap_or_default();
        let cells = [
            task_link(it.task_uuid),
            html! { (it.tasks) },
            html! { (in_words(cause)) },
            foreign(&it.detail),
        ];
        (format!("cause-{cause}"), cells)
    });
    html! {
        @if !look.causes.is_empty() {
            h2 { "What the oldest tasks wait for" }
            (table("What the oldest tasks wait for", ["Oldest", "# Tasks", "Cause", "In words, of the oldest"], rows))
        }
    }
}
