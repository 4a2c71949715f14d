//! What the samples say.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::error::Error;

/// What statistics tell apart beside the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Nothing else.
    #[default]
    Event,
    /// The template, in any version.
    Template,
    /// The template and the step.
    Step,
    /// The day (UTC).
    Day,
}

impl By {
    /// The name, as the database has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Template => "template",
            Self::Step => "step",
            Self::Day => "day",
        }
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Event, Self::Template, Self::Step, Self::Day]
            .into_iter()
            .find(|by| by.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of event, template, step, day"))
    }
}

/// What statistics are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatisticsFilter {
    /// From this moment on.
    pub since: DateTime<Utc>,
    /// Up to this moment, if any.
    pub until: Option<DateTime<Utc>>,
    /// Of tasks of this template, `namespace/name` in any version; `None`: of all.
    pub template: Option<String>,
    /// What is distinguished.
    pub by: By,
}

/// Events of one kind: how many there were, and how long they took.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Statistics {
    /// What is timed.
    pub event: String,
    /// The template, `namespace/name`; only by template or step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The step; only by step, and not of days whose samples are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The day (UTC); only by day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<NaiveDate>,
    /// How many of the events were sampled.
    pub samples: i64,
    /// How many events the samples stand for.
    pub count: f64,
    /// How many of those failed.
    pub failures: f64,
    /// Half of them took at most so many milliseconds; percentiles have an error of 2%.
    pub p50_ms: f64,
    /// 95 of 100 took at most so many milliseconds.
    pub p95_ms: f64,
    /// 99 of 100 took at most so many milliseconds.
    pub p99_ms: f64,
    /// The longest took so many milliseconds, of those that were sampled.
    pub max_ms: f64,
}

/// Statistics of events, in groups.
pub async fn statistics(
    connection: &mut PgConnection,
    filter: &StatisticsFilter,
) -> Result<Vec<Statistics>, Error> {
    let rows = sqlx::query_as("select * from tasker.statistics($1, $2, $3, $4, $5)")
        .bind(filter.since)
        .bind(filter.until)
        .bind(None::<Vec<String>>)
        .bind(&filter.template)
        .bind(filter.by.as_str())
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Events of one kind within a minute.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct MinuteStatistics {
    /// When the minute begins.
    pub minute: DateTime<Utc>,
    /// What is timed.
    pub event: String,
    /// How many events the samples stand for.
    pub count: f64,
    /// How many of those failed.
    pub failures: f64,
    /// Half of them took at most so many milliseconds, with an error of 2%.
    pub p50_ms: f64,
    /// 95 of 100 took at most so many milliseconds.
    pub p95_ms: f64,
}

/// Statistics of events by minute, from `since` on, in any order. Of each day `pages` pages of samples
/// are read at most, evenly spread.
pub async fn statistics_by_minute(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    pages: i32,
) -> Result<Vec<MinuteStatistics>, Error> {
    let rows = sqlx::query_as("select * from tasker.statistics_by_minute($1, $2)")
        .bind(since)
        .bind(pages)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Makes partitions in time, and reduces days older than `retention_days` to what is left of them, a
/// part of one by each call. Answers whether there is more to do at once.
pub async fn tend_statistics(
    connection: &mut PgConnection,
    retention_days: u16,
) -> Result<bool, Error> {
    Ok(sqlx::query_scalar("select tasker.tend_statistics($1)")
        .bind(i32::from(retention_days))
        .fetch_one(connection)
        .await?)
}
