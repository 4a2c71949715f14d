//! What may be submitted, what is refused and in which words, and what a submission leaves behind.

#![allow(clippy::unwrap_used)]

mod accepted;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod versions;

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgDatabaseError;
use support::World;

/// How plain SQL sees a refusal.
#[derive(Debug)]
struct SqlRefusal {
    code: String,
    message: String,
    hint: String,
}

async fn submit(world: &mut World, tasks: Value) -> Result<Vec<(i32, bool)>, SqlRefusal> {
    let rows = sqlx::query("select position, created from tasker.submit_tasks($1)")
        .bind(tasks)
        .fetch_all(&mut world.connection)
        .await;
    match rows {
        Ok(rows) => Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect()),
        Err(error) => {
            let error = error.as_database_error().unwrap();
            let details = error.downcast_ref::<PgDatabaseError>();
            Err(SqlRefusal {
                code: error.code().unwrap().into_owned(),
                message: error.message().to_owned(),
                hint: details.hint().unwrap_or_default().to_owned(),
            })
        }
    }
}

/// What is left in the database, table by table.
async fn rows(world: &mut World) -> i64 {
    world
        .value(
            "select (select count(*) from tasker.tasks) + (select count(*) from tasker.steps)
              + (select count(*) from tasker.ready_steps)
              + (select count(*) from tasker.idempotency_keys)",
        )
        .await
}

fn versioned(version: &str, handler: &str) -> Value {
    json!({
        "namespace": "test", "name": "t", "version": version,
        "steps": [{ "name": "only", "handler": handler }],
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut task = json!({ "namespace": "test", "name": "t" });
    task[key] = value;
    task
}
