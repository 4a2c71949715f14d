//! Ready steps get into their queues, however their readiness comes to be known.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use futures::future::join_all;
use tasker_shared::config::DeploymentMode::{EventDrivenOnly, Hybrid, PollingOnly};
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use world::World;

#[tokio::test]
async fn a_task_submitted_in_plain_sql_is_enqueued_by_its_notification() {
    for mode in [EventDrivenOnly, Hybrid] {
        let world = World::create().await;
        let orchestrator = world.start(&world.config(mode)).await;

        world.submit(0).await;

        world.wait_until_queued(1).await;
        orchestrator.stop().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn a_claim_that_takes_all_it_may_is_followed_by_another() {
    let world = World::create().await;
    let mut config = world.config(EventDrivenOnly);
    config.orchestration.claims.batch_size = 2;
    let orchestrator = world.start(&config).await;

    // One statement, and so one notification.
    sqlx::query(
        "select tasker.submit_tasks(jsonb_agg(
           jsonb_build_object('namespace', 'shop', 'name', 'order')
         )) from generate_series(1, 7)",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    world.wait_until_queued(7).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_task_whose_notification_was_lost_is_enqueued_by_polling() {
    for mode in [Hybrid, PollingOnly] {
        let world = World::create().await;
        let orchestrator = world.start(&world.polling_config(mode)).await;

        world.submit_unannounced().await;

        world.wait_until_queued(1).await;
        orchestrator.stop().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn polling_alone_takes_tasks_of_any_age_and_does_not_listen() {
    let world = World::create().await;
    let mut config = world.polling_config(PollingOnly);
    config.orchestration.task_readiness.age_threshold = Duration::from_mins(50);
    let orchestrator = world.start(&config).await;

    world.submit(0).await;

    world.wait_until_queued(1).await;
    assert_eq!(orchestrator.health().listener_connected, None);
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_lost_notification_is_made_good_where_nothing_polls() {
    let world = World::create().await;
    let mut config = world.config(EventDrivenOnly);
    config.orchestration.timers.max_sleep = Duration::from_millis(50);
    config.orchestration.task_readiness.age_threshold = Duration::from_millis(50);
    let orchestrator = world.start(&config).await;

    world.submit_unannounced().await;

    world.wait_until_queued(1).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn what_was_ready_before_the_start_is_enqueued_in_every_mode() {
    for mode in [EventDrivenOnly, Hybrid, PollingOnly] {
        let world = World::create().await;
        world.submit(0).await;

        let orchestrator = world.start(&world.config(mode)).await;

        world.wait_until_queued(1).await;
        orchestrator.stop().await;
        world.assert_sound().await;
    }
}

#[tokio::test]
async fn two_orchestrators_that_race_enqueue_each_ready_step_once() {
    const TASKS: i64 = 500;
    let world = World::create().await;
    let mut config = world.polling_config(Hybrid);
    config.orchestration.claims.batch_size = 7;
    let orchestrators = [world.start(&config).await, world.start(&config).await];

    join_all((0..TASKS).map(|_| world.submit(0))).await;

    world.wait_until_queued(TASKS).await;
    world.wait_until_all_claimed().await;
    for orchestrator in orchestrators {
        orchestrator.stop().await;
    }
    let (messages, tasks): (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct message ->> 'task_uuid') from pgmq.q_worker_shop_queue",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((messages, tasks), (TASKS, TASKS));
    let claimed: i64 = sqlx::query_scalar(
        "select count(*) from tasker.step_transitions where to_state = 'enqueued'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(claimed, TASKS);
    world.assert_sound().await;
}

#[tokio::test]
async fn the_most_urgent_task_is_enqueued_first() {
    let world = World::create().await;
    for priority in [3, -1, 9, 0, 5] {
        world.submit(priority).await;
    }
    let mut config = world.config(EventDrivenOnly);
    config.orchestration.claims.batch_size = 1;

    let orchestrator = world.start(&config).await;

    world.wait_until_queued(5).await;
    orchestrator.stop().await;
    let order: Vec<i32> = sqlx::query_scalar(
        "select t.priority from pgmq.q_worker_shop_queue m \
         join tasker.tasks t on t.task_uuid = (m.message ->> 'task_uuid')::uuid order by m.msg_id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(order, [9, 5, 3, 0, -1]);
    world.assert_sound().await;
}

#[tokio::test]
async fn cancelled_tasks_do_not_hide_the_ready_ones_behind_them() {
    let world = World::create().await;
    // Each statement has a snapshot of its own, so that the second sees the tasks of the first.
    for statement in [
        "select tasker.submit_task('shop', 'order', '{}', p_priority => 9) \
         from generate_series(1, 200)",
        "select tasker.cancel_task(task_uuid, 'test') from tasker.tasks",
    ] {
        sqlx::query(statement).execute(&world.pool).await.unwrap();
    }
    world.submit(0).await;
    let mut config = world.config(EventDrivenOnly);
    config.orchestration.claims.batch_size = 10;

    let orchestrator = world.start(&config).await;

    world.wait_until_queued(1).await;
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn notifications_that_make_no_sense_change_nothing() {
    let world = World::create().await;
    let orchestrator = world.start(&world.config(EventDrivenOnly)).await;

    for payload in ["", "{}", "[", r#"{"task_uuid": 1}"#, &"x".repeat(7999)] {
        for channel in [
            "tasker_task_ready",
            "tasker_timer_set",
            "tasker_namespace_created",
        ] {
            sqlx::query("select pg_notify($1, $2)")
                .bind(channel)
                .bind(payload)
                .execute(&world.pool)
                .await
                .unwrap();
        }
    }
    world.submit(0).await;

    world.wait_until_queued(1).await;
    let scraped = render_prometheus();
    assert!(
        scraped.contains(r#"task_readiness_events_received{type="malformed"}"#),
        "{scraped}"
    );
    let health = orchestrator.health();
    assert!(
        health.components.iter().all(|part| part.restarts == 0),
        "{health:?}"
    );
    orchestrator.stop().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_stopped_orchestrator_leaves_ready_steps_to_others() {
    let world = World::create().await;
    let first = world.start(&world.config(Hybrid)).await;
    first.stop().await;
    world.submit(0).await;
    assert_eq!(world.queued().await, 0);

    let second = world.start(&world.config(Hybrid)).await;

    wait_until("the next one enqueues it", WAIT_TIMEOUT, async || {
        world.queued().await == 1
    })
    .await;
    second.stop().await;
    world.assert_sound().await;
}
