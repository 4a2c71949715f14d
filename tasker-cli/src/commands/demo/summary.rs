//! What became of the orders: a table of tasks, and one of steps.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use tasker_shared::tasks::StepDetail;

use crate::commands::demo::orders::Order;
use crate::drawing::{Paint, Style, counts, step_paint, task_paint, time_of};
use crate::format::{between, duration};
use crate::table::{Table, plain};

/// Both tables.
pub(crate) fn text(orders: &[Order], style: Style) -> String {
    let tables = [tasks(orders), steps(orders)];
    let tables = tables.map(|table| table.lines(style).join("\n"));
    format!("\n{}\n", tables.join("\n\n"))
}

fn tasks(orders: &[Order]) -> Table {
    let mut table = Table::new(&["ORDER", "TASK", "TEMPLATE", "STATE", "TIME"]);
    for order in orders {
        let summary = &order.task.summary;
        let end = summary.finished_at.unwrap_or_else(Utc::now);
        table.row([
            plain(order.number.to_string()),
            (summary.task_uuid.to_string(), Paint::Dim),
            plain(summary.name.clone()),
            (summary.state.to_string(), task_paint(summary.state)),
            plain(duration(between(summary.created_at, end))),
        ]);
    }
    table
}

/// The steps of each template, over all orders that are runs of it.
fn steps(orders: &[Order]) -> Table {
    let mut by_template: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
    for order in orders {
        let name = order.task.summary.name.as_str();
        by_template.entry(name).or_default().push(order);
    }
    let mut table = Table::new(&["TEMPLATE", "STEP", "STATE", "ATTEMPTS", "TIME (MEDIAN)"]);
    for (template, orders) in by_template {
        let names = orders[0].task.steps.iter().map(|step| step.name.as_str());
        for name in names {
            let runs: Vec<StepDetail> = orders
                .iter()
                .flat_map(|order| order.task.steps.iter().filter(|step| step.name == name))
                .cloned()
                .collect();
            let members: Vec<usize> = (0..runs.len()).collect();
            let states = counts(&runs, &members);
            let paint = states
                .iter()
                .map(|(state, _)| step_paint(*state))
                .next_back();
            let states = states.iter().map(|(state, count)| match runs.len() {
                1 => state.to_string(),
                _ => format!("{count} {state}"),
            });
            let attempts: i32 = runs.iter().map(|step| step.attempts).sum();
            let times = runs.iter().filter_map(|step| time_of(step, Utc::now()));
            let median = median(times.collect());
            table.row([
                (template.to_owned(), Paint::Dim),
                plain(name),
                (
                    states.collect::<Vec<_>>().join(", "),
                    paint.unwrap_or(Paint::Plain),
                ),
                plain(attempts.to_string()),
                plain(median.map(duration).unwrap_or_default()),
            ]);
        }
    }
    table
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
