//! What the steps of a template took.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use tasker_shared::statistics::{By, Statistics, StatisticsFilter, statistics};
use tasker_shared::templates::TemplateSummary;
use tasker_shared::words;

use super::Step;
use crate::problem::Problem;
use crate::state::WebState;
use crate::ui::parts::number;

/// The event that is a run of a handler.
const RUN: &str = "received_to_ended";

/// Most steps that are listed.
const MOST_STEPS: usize = 500;

/// The time that statistics cover, up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) enum Period {
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
    #[default]
    #[serde(rename = "7d")]
    Week,
}

impl Period {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Hour, "1h", "Last hour"),
        (Self::Day, "24h", "Last 24 hours"),
        (Self::Week, "7d", "Last 7 days"),
    ];

    fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
            Self::Week => TimeDelta::days(7),
        }
    }
}

/// The runs of each step, in any version of the template.
pub(super) async fn of_steps(
    state: &WebState,
    template: &TemplateSummary,
    period: Period,
) -> Result<HashMap<String, Statistics>, Problem> {
    let filter = StatisticsFilter {
        since: Utc::now() - period.length(),
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

/// The runs of the steps, in the order of the template.
pub(super) fn table(
    steps: &[Step],
    statistics: &HashMap<String, Statistics>,
    period: Period,
) -> Markup {
    let rows = steps
        .iter()
        .filter_map(|step| Some((&step.name, statistics.get(&step.name)?)));
    let rows: Vec<_> = rows.take(MOST_STEPS).collect();
    html! {
        h2 #runs { "Runs of the steps" }
        form.filters method="get" action="#runs" {
            label { "Time"
                select name="period" { @for (one, name, words) in Period::ALL {
                    option value=(name) selected[one == period] { (words) }
                } }
            }
            button { "Show" }
        }
        @if rows.is_empty() {
            p.note { "No run of a step was sampled in this time." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Runs of the steps" {
                table {
                    thead { tr {
                        th scope="col" { "Step" } th.number scope="col" { "Runs" } th.number scope="col" { "Failed" }
                        th.number scope="col" { "Median" } th.number scope="col" { "95%" } th.number scope="col" { "99%" }
                        th.number scope="col" { "Longest" }
                    } }
                    tbody { @for (name, run) in rows {
                        tr {
                            th.name scope="row" { (name) }
                            td.number { (rounded(run.count)) }
                            td.number { @if run.failures > 0.0 { span.mistake { (rounded(run.failures)) } } @else { "0" } }
                            @for ms in [run.p50_ms, run.p95_ms, run.p99_ms, run.max_ms] { td.number { (time(ms)) } }
                        }
                    } }
                }
            }
            p.note { "Runs of all versions, counted from samples. 95% of the runs took at most the time under 95%." }
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
