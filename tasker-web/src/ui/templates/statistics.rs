//! What the steps of a template took.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::statistics::{By, Statistics, StatisticsFilter, statistics};
use tasker_shared::templates::TemplateSummary;
use tasker_shared::words;

use super::{Step, table};
use crate::problem::{Kind, Problem};
use crate::state::WebState;
use crate::ui::parts::number;

/// The event that is a run of a handler.
const RUN: &str = "received_to_ended";

/// Most steps that are listed.
const MOST_STEPS: usize = 500;

/// The times that statistics cover, up to now: each by its name, in words, and in hours.
const PERIODS: [(&str, &str, i64); 3] = [
    ("1h", "Last hour", 1),
    ("24h", "Last 24 hours", 24),
    (LONGEST, "Last 7 days", 7 * 24),
];
const LONGEST: &str = "7d";

/// What to show of a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowParams {
    period: Option<String>,
}

/// The runs of each step, in any version of the template.
pub(super) async fn of_steps(
    state: &WebState,
    template: &TemplateSummary,
    period: &str,
) -> Result<HashMap<String, Statistics>, Problem> {
    let known = PERIODS.iter().find(|(name, ..)| *name == period);
    let Some((_, _, hours)) = known else {
        let detail = format!("period is {period:?}, expected 1h, 24h or 7d");
        return Err(Problem::new(Kind::InvalidRequest, detail));
    };
    let filter = StatisticsFilter {
        since: Utc::now() - TimeDelta::hours(*hours),
        until: None,
        template: Some(format!("{}/{}", template.namespace, template.name)),
        by: By::Step,
    };
    let rows = state
        .database
        .call("statistics", async |connection| {
            statistics(connection, &filter).await
        })
        .await?;
    let runs = rows.into_iter().filter(|row| row.event == RUN);
    Ok(runs
        .filter_map(|row| Some((row.step.clone()?, row)))
        .collect())
}

impl ShowParams {
    pub(super) fn period(&self) -> &str {
        self.period.as_deref().unwrap_or(LONGEST)
    }
}

/// The runs of the steps, in the order of the template.
pub(super) fn runs(steps: &[Step], runs: &HashMap<String, Statistics>, period: &str) -> Markup {
    let of_step = |step: &Step| runs.get(&step.name).map(|run| (step.name.clone(), run));
    let heads = [
        "Step",
        "# Runs",
        "# Failed",
        "# Median",
        "# 95%",
        "# 99%",
        "# Longest",
    ];
    let rows = html! { @for (name, run) in steps.iter().filter_map(of_step).take(MOST_STEPS) {
        tr {
            th.name scope="row" { (name) }
            td.number { (rounded(run.count)) }
            td.number { @if run.failures > 0.0 { span.mistake { "✕ " (rounded(run.failures)) } } @else { "0" } }
            @for ms in [run.p50_ms, run.p95_ms, run.p99_ms, run.max_ms] { td.number { (time(ms)) } }
        }
    } };
    html! {
        h2 #runs { "Runs of the steps" }
        form.filters method="get" action="#runs" {
            label { "Time" select name="period" { @for (name, words, _) in PERIODS {
                option value=(name) selected[name == period] { (words) }
            } } }
            button { "Show" }
        }
        @if rows.0.is_empty() { p.note { "No run of a step was sampled in this time." } } @else {
            (table("Runs of the steps", &heads, &rows))
            p.note { "Of all versions, estimated from samples. 95 of 100 runs took at most the time under 95%." }
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

fn time(ms: f64) -> String {
    Duration::try_from_secs_f64(ms / 1e3).map_or_else(|_| String::new(), words::duration)
}
