//! The announcer sends what it was given, whatever becomes of its session.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::postgres::PgListener;
use tasker_shared::announcer::{Announcements, Announcer};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_testing::{FaultProxy, FrozenSession, PATIENCE, wait_for, wait_until};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{SINGLE, World};
use crate::{READY, listen};

#[tokio::test]
async fn an_announcement_outlives_the_connection_it_was_to_be_sent_on() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let mut listener = listen(&world).await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let config = TaskerConfig::default();
    let database = Database::connect(&DatabaseConfig {
        url: proxy.url().into(),
        // A connection that is cut in the middle of a call may be found out by this alone.
        call_timeout_ms: 2000,
        ..config.database
    })
    .await
    .unwrap();
    let announcer = Announcer::start(
        &database,
        "test",
        &config.mpsc_channels,
        CancellationToken::new(),
    );
    announcer.announce(ready(tasks[0])).await;
    assert_eq!(next_ready(&mut listener).await, Some(tasks[0]));

    proxy.cut();
    announcer.announce(ready(tasks[1])).await;
    proxy.resume();

    // The first may be announced again, alone or with the second, where its answer was cut off.
    while next_ready(&mut listener).await == Some(tasks[0]) {}
    announcer.close().await;
}

#[tokio::test]
async fn an_announcement_whose_first_sending_fails_is_sent_again() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let mut listener = listen(&world).await;
    let announcer = start(&world).await;
    announcer.announce(ready(tasks[0])).await;
    assert_eq!(next_ready(&mut listener).await, Some(tasks[0]));

    let pool = world.db.pool();
    wait_until("its session is gone", PATIENCE, async || {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and query like '%tasker.announce%'
               and pid <> pg_backend_pid()",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        ended == 0
    })
    .await;
    announcer.announce(ready(tasks[1])).await;

    assert_eq!(next_ready(&mut listener).await, Some(tasks[1]));
    announcer.close().await;
}

#[tokio::test]
async fn an_announcement_does_not_wait_for_a_session_that_is_frozen() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let mut listener = listen(&world).await;
    let announcer = start(&world).await;
    announcer.announce(ready(tasks[0])).await;
    assert_eq!(next_ready(&mut listener).await, Some(tasks[0]));
    let pool = world.db.pool();
    let frozen = wait_for("its session is idle", PATIENCE, async || {
        FrozenSession::idle_after(&pool, "select tasker.announce").await
    })
    .await;
    let began = Instant::now();

    announcer.announce(ready(tasks[1])).await;

    assert_eq!(next_ready(&mut listener).await, Some(tasks[1]));
    let lasted = began.elapsed();
    assert!(
        lasted < Duration::from_secs(30),
        "a call may last 65 s: {lasted:?}"
    );
    announcer.close().await;
    drop(frozen);
}

async fn start(world: &World) -> Announcer {
    let database = world.db.database().await;
    let channels = TaskerConfig::default().mpsc_channels;
    Announcer::start(&database, "test", &channels, CancellationToken::new())
}

fn ready(task: TaskUuid) -> Announcements {
    Announcements {
        ready: vec![task.0],
        ..Announcements::default()
    }
}

/// The task that the next global announcement of readiness names; `None` where it tells of several.
async fn next_ready(listener: &mut PgListener) -> Option<TaskUuid> {
    loop {
        let next = timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
        if next.channel() == READY {
            let payload: Value = serde_json::from_str(next.payload()).unwrap();
            return payload["task_uuid"]
                .as_str()
                .map(|uuid| uuid.parse().unwrap());
        }
    }
}
