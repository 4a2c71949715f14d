//! The announcer sends what it was given, whatever becomes of its session.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::postgres::PgListener;
use tasker_shared::announcements::Announcements;
use tasker_shared::announcer::Announcer;
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::ids::TaskUuid;
use tasker_testing::{FaultProxy, FrozenSession, WAIT_TIMEOUT, end_sessions, wait_for};
use tokio::time::timeout;

use crate::support::{SINGLE, World};
use crate::{READY, listen};

/// Two tasks that are ready, and who hears of what comes after.
async fn world() -> (World, [TaskUuid; 2], PgListener) {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let listener = listen(&world).await;
    (world, tasks, listener)
}

/// Starts an announcer that has a session: it has announced this task.
async fn start(database: &Database, task: TaskUuid, listener: &mut PgListener) -> Announcer {
    let config = TaskerConfig::default();
    let (channels, supervisor) = (&config.mpsc_channels, &config.event_systems.supervisor);
    let announcer = Announcer::start(database, "test", channels, supervisor);
    announcer.announce(ready(task)).await;
    assert_eq!(next_ready(listener).await, Some(task));
    announcer
}

#[tokio::test]
async fn an_announcement_outlives_the_connection_it_was_to_be_sent_on() {
    let (world, tasks, mut listener) = world().await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let database = Database::connect(&DatabaseConfig {
        url: proxy.url().into(),
        // A connection that is cut in the middle of a call may be found out by this alone.
        call_timeout: Duration::from_secs(2),
        ..DatabaseConfig::default()
    })
    .await
    .unwrap();
    let announcer = start(&database, tasks[0], &mut listener).await;

    proxy.cut();
    announcer.announce(ready(tasks[1])).await;
    proxy.resume();

    // The first may be announced again, alone or with the second, where its answer was cut off.
    while next_ready(&mut listener).await == Some(tasks[0]) {}
    announcer.close().await;
}

#[tokio::test]
async fn an_announcement_whose_first_sending_fails_is_sent_again() {
    let (world, tasks, mut listener) = world().await;
    let announcer = start(&world.db.database().await, tasks[0], &mut listener).await;

    end_sessions(&world.db.pool(), "tasker.announce").await;
    announcer.announce(ready(tasks[1])).await;

    assert_eq!(next_ready(&mut listener).await, Some(tasks[1]));
    announcer.close().await;
}

#[tokio::test]
async fn an_announcement_does_not_wait_for_a_session_that_is_frozen() {
    let (world, tasks, mut listener) = world().await;
    let announcer = start(&world.db.database().await, tasks[0], &mut listener).await;
    let pool = world.db.pool();
    let frozen = wait_for("its session is idle", WAIT_TIMEOUT, async || {
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

fn ready(task: TaskUuid) -> Announcements {
    Announcements {
        ready: vec![task.0],
        ..Announcements::default()
    }
}

/// The task that the next global announcement of readiness names; `None` where it names several.
async fn next_ready(listener: &mut PgListener) -> Option<TaskUuid> {
    loop {
        let next = timeout(WAIT_TIMEOUT, listener.recv())
            .await
            .unwrap()
            .unwrap();
        if next.channel() == READY {
            let payload: Value = serde_json::from_str(next.payload()).unwrap();
            return payload["task_uuid"]
                .as_str()
                .map(|uuid| uuid.parse().unwrap());
        }
    }
}
