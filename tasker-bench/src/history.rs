//! A past: finished tasks in the tables, and a transaction that keeps vacuum from its work.
//!
//! The statements here are not part of the engine; they make in minutes what it would leave behind
//! in hours, row for row.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use tasker_shared::database::Database;
use tasker_shared::template::Template;
use tasker_shared::templates::apply_template;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::output::remark;

/// Steps of each task of the past.
const STEPS: u64 = 4;
/// Tasks that are inserted in one transaction.
const CHUNK: u64 = 50_000;

/// The template of the tasks: four steps, one after the other.
pub(crate) const TEMPLATE: &str = "
namespace: history
name: linear4
version: 1.0.0
steps:
  - {name: a, handler: builtin.noop}
  - {name: b, handler: builtin.noop, depends_on: [a]}
  - {name: c, handler: builtin.noop, depends_on: [b]}
  - {name: d, handler: builtin.noop, depends_on: [c]}
";

/// Tasks that ended, with their steps and logs.
const INSERT: &str = "with past as (
    select tasker.new_task_uuid() as task_uuid from generate_series(1, $2)
  ), done as (
    insert into tasker.tasks (task_uuid, created_at, started_at, finished_at, template_id, state,
      priority, active_steps, context)
    select task_uuid, now(), now(), now(), $1, 'complete', 0, 0, '{}' from past
  ), steps as (
    insert into tasker.steps (task_uuid, enqueued_at, started_at, finished_at, step_no,
      template_id, state, waiting_on, attempt, max_attempts, worker)
    select task_uuid, now(), now(), now(), n, $1, 'complete', 0, 1, 3, 'history'
    from past, generate_series(1, 4) n
  ), task_log as (
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state)
    select task_uuid, now(), m.a::tasker.task_state, m.b::tasker.task_state
    from past, (values ('pending', 'in_progress'), ('in_progress', 'complete')) as m(a, b)
  )
  insert into tasker.step_log
    (task_uuid, at, step_no, attempt, from_state, to_state, actor)
  select task_uuid, now(), n, m.attempt, m.a::tasker.step_state, m.b::tasker.step_state, 'history'
  from past, generate_series(1, 4) n, (values
    (0, 'pending', 'enqueued'), (1, 'enqueued', 'in_progress'), (1, 'in_progress', 'complete')
  ) as m(attempt, a, b)";

/// Fills the tables with so many finished steps, rounded up to whole tasks.
pub(crate) async fn fill(database: &Database, url: &str, steps: u64) -> Result<()> {
    let started = Instant::now();
    let template = Template::parse_yaml(TEMPLATE).context("the template of the past is wrong")?;
    let applied = database.call("apply_template", async |connection| {
        apply_template(connection, &template).await
    });
    let template = applied.await?.template_id;
    let tasks = steps.div_ceil(STEPS);
    let filled = async {
        let mut connection = PgConnection::connect(url).await?;
        for setting in [
            // No process is notified of the past, and what is inserted can be inserted again.
            "set session_replication_role = replica",
            "set synchronous_commit = off",
        ] {
            sqlx::query(setting).execute(&mut connection).await?;
        }
        let mut left = tasks;
        while left > 0 {
            let chunk = left.min(CHUNK);
            sqlx::query(INSERT)
                .bind(template)
                .bind(i64::try_from(chunk).unwrap_or(i64::MAX))
                .execute(&mut connection)
                .await?;
            left -= chunk;
        }
        for statement in ["vacuum (analyze)", "checkpoint"] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        connection.close().await
    };
    filled.await.context("the past could not be made")?;
    remark(format!(
        "{} finished steps are in the tables, made in {:.0} s",
        tasks * STEPS,
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Holds a snapshot for so long, as a forgotten transaction or a long report does: no row version
/// that dies meanwhile can be vacuumed away.
pub(crate) async fn hold_vacuum(url: &str, span: Duration) -> Result<JoinHandle<()>> {
    let mut connection = PgConnection::connect(url).await?;
    for statement in [
        "begin isolation level repeatable read",
        "select count(*) from pg_class",
    ] {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    Ok(tokio::spawn(async move {
        sleep(span).await;
        // When the server ends first, so does the transaction.
        let _ = connection.close().await;
    }))
}
