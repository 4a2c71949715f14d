//! The progress of the orders: drawn over and over in a terminal, else a line for each change.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tasker_shared::database::Database;
use tasker_shared::state::StepState;

use crate::commands::demo::orders::{FLAKY, LOST, Order};
use crate::commands::task::history;
use crate::commands::task::picture::move_line;
use crate::drawing::{
    Extent, Paint, Style, complaint, graph, in_one_line, padded, step_paint, task_paint, title,
};
use crate::failure::Failure;
use crate::format::{between, duration};
use crate::output::Output;
use crate::screen::Screen;

/// Time between two looks at the orders.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(80);

/// Lines above the graph of one order.
const HEADING: usize = 2;
/// Columns of what an order is called.
const TITLE: usize = 9;
/// Columns of a graph in one line.
const GRAPH: usize = 22;
/// Columns of a state.
const STATE: usize = 11;
/// Columns of a time.
const TIME: usize = 7;
/// A complaint that is cut to fewer columns says nothing.
const SHORTEST_COMPLAINT: usize = 12;
/// Columns of a template's name.
const NAME: usize = 25;

/// What has been shown.
pub(crate) struct Progress {
    output: Output,
    style: Style,
    screen: Screen,
    printed: Vec<usize>,
}

impl Progress {
    /// Nothing has been shown.
    pub(crate) fn new(output: Output, style: Style) -> Self {
        Self {
            output,
            style,
            screen: Screen::default(),
            printed: Vec::new(),
        }
    }

    /// Shows how the orders stand.
    pub(crate) async fn show(
        &mut self,
        database: &Database,
        orders: &[Order],
    ) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        if self.output.is_live() {
            let lines = drawing(orders, Utc::now(), self.style);
            return self.screen.redraw(&lines);
        }
        self.print_changes(database, orders).await
    }

    async fn print_changes(
        &mut self,
        database: &Database,
        orders: &[Order],
    ) -> Result<(), Failure> {
        self.printed.resize(orders.len(), 0);
        let Some(since) = orders.iter().map(|o| o.task.summary.created_at).min() else {
            return Ok(());
        };
        let mut changes = Vec::new();
        for (order, printed) in orders.iter().zip(&mut self.printed) {
            let moves = history(database, order.task.summary.task_uuid).await?;
            for transition in &moves[(*printed).min(moves.len())..] {
                let line = move_line(transition, since, &order.title(), &order.task, self.style);
                changes.push((transition.at, line));
            }
            *printed = moves.len();
        }
        changes.sort_by_key(|(at, _)| *at);
        for (_, line) in changes {
            self.output.text(line)?;
        }
        Ok(())
    }
}

/// A line for each order, and below the whole graph of one where there is something to see.
fn drawing(orders: &[Order], now: DateTime<Utc>, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = orders.iter().map(|order| line(order, now, style)).collect();
    let of = |name: &str| orders.iter().find(|order| order.task.summary.name == name);
    let interesting = [of(FLAKY), of(LOST)];
    let shown = interesting
        .into_iter()
        .flatten()
        .find(|order| !order.has_ended())
        .or(of(FLAKY));
    if let Some(order) = shown {
        let rows = Screen::rows();
        let extent = Extent::Folded { most_lines: rows };
        let graph = graph(&order.task, now, style, extent);
        if lines.len() + HEADING + graph.len() <= rows {
            lines.push(String::new());
            let title = title(&order.task, now, style);
            lines.push(format!("{}: {title}", order.title()));
        }
        lines.extend(graph);
    }
    lines
}

fn line(order: &Order, now: DateTime<Utc>, style: Style) -> String {
    let summary = &order.task.summary;
    let end = summary.finished_at.unwrap_or(now);
    let (graph, width) = in_one_line(&order.task, style);
    let mut line = format!(
        "{} {} {graph}{} {} {}",
        padded(&order.title(), TITLE),
        style.paint(Paint::Dim, &padded(&summary.name, NAME)),
        " ".repeat(GRAPH.saturating_sub(width)),
        style.paint(
            task_paint(summary.state),
            &padded(summary.state.as_str(), STATE)
        ),
        style.paint(
            Paint::Dim,
            &padded(&duration(between(summary.created_at, end)), TIME)
        ),
    );
    let troubled = order
        .task
        .steps
        .iter()
        .find(|step| matches!(step.state, StepState::Error | StepState::WaitingForRetry));
    if let Some(step) = troubled {
        let used = TITLE + NAME + GRAPH + STATE + TIME + 5;
        let what = format!("{}: {}", step.name, complaint(step).unwrap_or_default());
        let room = style
            .width
            .map_or(usize::MAX, |width| width.saturating_sub(used));
        if room >= SHORTEST_COMPLAINT {
            line.push(' ');
            line.push_str(&style.paint(step_paint(step.state), &style.cut(&what, room)));
        }
    }
    line
}
