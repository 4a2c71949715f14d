//! A server that takes no writes, as a standby or one that an operator made read-only.

use std::time::{Duration, Instant};

use serde_json::json;
use tasker_shared::state::TaskState;
use tasker_testing::{WAIT_TIMEOUT, wait_until};

use crate::world::{GATE, World};
use crate::{wait_until_failing, wait_until_healthy};

/// Makes new sessions of the database read-only, or no longer, and ends all but those of the tests.
async fn set_read_only(world: &World, read_only: bool) {
    let name = world.db.name();
    let mut connection = world.db.connect().await;
    let alter = format!("alter database {name} set default_transaction_read_only = '{read_only}'");
    for statement in ["set default_transaction_read_only = off".to_owned(), alter] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    if read_only {
        let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and application_name = 'tasker'";
        world.count(terminate).await;
    }
}

/// A pool whose sessions write although the database is read-only by default.
fn with_a_pool_that_writes(mut world: World) -> World {
    let options: sqlx::postgres::PgConnectOptions = world.db.url().parse().unwrap();
    world.pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(10)
        .connect_lazy_with(options.options([("default_transaction_read_only", "off")]));
    world
}

#[tokio::test]
async fn outcomes_outlast_a_server_that_takes_no_writes_and_their_handlers_run_once() {
    const STEPS: usize = 5;
    let world = with_a_pool_that_writes(World::create().await.with_lease(3600.0));
    world.template("one", GATE).await;
    let (tasks, gate, worker) = world.start_gated_tasks(STEPS).await;

    set_read_only(&world, true).await;
    for _ in 0..STEPS {
        gate.open();
    }
    wait_until("the outcomes wait", WAIT_TIMEOUT, async || {
        worker.health().outcomes_waiting == STEPS
    })
    .await;
    wait_until_failing(&worker, "report outcomes").await;
    set_read_only(&world, false).await;

    for task in tasks {
        let detail = world.run_to(task, TaskState::Complete).await;
        assert_eq!(detail.steps[0].result, Some(json!(1)));
        assert_eq!(detail.steps[0].attempts, 1);
    }
    wait_until_healthy(&worker).await;
    let began = Instant::now();
    let later = world.submit("one", json!({})).await;
    gate.open();
    world.run_to(later, TaskState::Complete).await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    worker.drain().await;
    world.assert_sound().await;
}
