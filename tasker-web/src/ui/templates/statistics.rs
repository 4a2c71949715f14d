//! What the steps of a template took.

use std::collections::HashMap;

use chrono::{TimeDelta, Utc};
use tasker_shared::statistics::{By, Statistics, StatisticsFilter, statistics};
use tasker_shared::templates::TemplateSummary;

use super::{MOST_STEPS, Step};
use crate::ui::prelude::*;

/// The event that is a run of a handler.
const RUN: &str = "received_to_ended";

/// Days of which runs are told.
const DAYS: i64 = 7;

/// The runs of each step, in any version of the template.
pub(super) async fn of_steps(
    state: &WebState,
    template: &TemplateSummary,
) -> Result<HashMap<String, Statistics>, Problem> {
    let filter = StatisticsFilter {
        since: Utc::now() - TimeDelta::days(DAYS),
        until: None,
        template: Some(format!("{}/{}", template.namespace, template.name)),
        by: By::Step,
    };
    let rows = state.database.call("statistics", async |connection| {
        statistics(connection, &filter).await
    });
    let runs = rows.await?.into_iter().filter(|row| row.event == RUN);
    Ok(runs
        .filter_map(|row| Some((row.step.clone()?, row)))
        .collect())
}

/// The runs of the steps, in the order of the template.
pub(super) fn runs(steps: &[Step], runs: &HashMap<String, Statistics>) -> Markup {
    let rows = steps.iter().filter_map(|step| {
        let run = runs.get(&step.name)?;
        let time = |ms: f64| html! { (seconds(ms / 1e3)) };
        let cells = [
            html! { (step.name) },
            html! { (rounded(run.count)) },
            html! { @if run.failures > 0.0 { span.mistake { "✕ " (rounded(run.failures)) } } @else { "0" } },
            time(run.p50_ms),
            time(run.p95_ms),
            time(run.p99_ms),
            time(run.max_ms),
        ];
        Some((String::new(), cells))
    });
    html! {
        h2 #runs { "Runs of the steps" }
        @if runs.is_empty() { p.note { "No run of a step was sampled in " (DAYS) " days." } } @else {
            (table("Runs of the steps",
                ["Step", "# Runs", "# Failed", "# Median", "# 95%", "# 99%", "# Longest"],
                rows.take(MOST_STEPS)))
            p.note { "Of all versions in " (DAYS) " days, estimated from samples. 95 of 100 runs took at most the time under 95%." }
        }
    }
}

fn rounded(count: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast of a float saturates"
    )]
    number(count.round() as i64)
}
