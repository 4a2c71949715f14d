//! `tasker stats`: how long things took.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tasker_shared::moment;
use tasker_shared::statistics::{By, Statistics, StatisticsFilter, statistics};

use crate::failure::Failure;
use crate::format::duration;
use crate::output::Output;
use crate::setup::Setup;
use crate::table::{Cell, Table, plain};

const EXAMPLES: &str = "\
Events are sampled, the more urgent the task the more of them: COUNT and FAILED are what the samples
stand for. Percentiles have an error of 2%. Days whose samples are gone count whole.

Examples:
  tasker stats --since 2h --by template
  tasker stats --since 30d --by day --template shop/order --json";

/// Arguments of `tasker stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// From then on: 30m, 2h, 7d (ago), 2030-05-01 or 2030-05-01T12:00:00Z
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = when)]
    since: DateTime<Utc>,

    /// Up to then, written as --since is
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<DateTime<Utc>>,

    /// Only of tasks of this template, in any version
    #[arg(long, value_name = "NS/NAME")]
    template: Option<String>,

    /// What to tell apart beside the event: event (nothing else), template, step, day
    #[arg(long, value_name = "WHAT", default_value = "event")]
    by: By,
}

fn when(text: &str) -> Result<DateTime<Utc>, &'static str> {
    moment::parse(text, Utc::now())
}

/// Shows statistics.
pub(crate) async fn run(args: Args, setup: &Setup) -> Result<(), Failure> {
    let output = setup.output();
    let database = setup.database().await?;
    let filter = StatisticsFilter {
        since: args.since,
        until: args.until,
        template: args.template,
        by: args.by,
    };
    let rows = database
        .call("statistics", async |connection| {
            statistics(connection, &filter).await
        })
        .await?;
    output.document(&json!({ "statistics": rows }))?;
    if rows.is_empty() {
        return output.text("no samples (statistics.enabled and statistics.sampling_rates)");
    }
    show(&rows, filter.by, output)
}

fn show(rows: &[Statistics], by: By, output: Output) -> Result<(), Failure> {
    let keys: &[&'static str] = match by {
        By::Event => &[],
        By::Template => &["TEMPLATE"],
        By::Step => &["TEMPLATE", "STEP"],
        By::Day => &["DAY"],
    };
    let figures = ["EVENT", "COUNT", "FAILED", "P50", "P95", "P99", "MAX"];
    let mut table = Table::new(&[keys, &figures].concat());
    for row in rows {
        let day = row.day.map(|day| day.to_string());
        let keys = [&day, &row.template, &row.step];
        let wanted = match by {
            By::Event => &keys[..0],
            By::Template => &keys[1..2],
            By::Step => &keys[1..],
            By::Day => &keys[..1],
        };
        let mut cells: Vec<Cell> = wanted
            .iter()
            .map(|key| plain(key.as_deref().unwrap_or("(all)")))
            .collect();
        cells.push(plain(row.event.clone()));
        cells.push(plain(format!("{:.0}", row.count)));
        cells.push(plain(format!("{:.0}", row.failures)));
        for latency in [row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms] {
            cells.push(plain(duration(Duration::from_secs_f64(latency / 1000.0))));
        }
        table.row(cells);
    }
    output.text(table.lines(output.style(false)).join("\n"))
}
