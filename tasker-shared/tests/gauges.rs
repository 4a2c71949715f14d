//! What the gauges show of a database.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{SINGLE, World, retry};
use tasker_shared::config::DeploymentMode;
use tasker_shared::gauges::{self, Backlog, DatabaseGauges};
use tasker_shared::processes::{self, Places, Process, Role};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_mins(1);

async fn gauges(world: &mut World) -> DatabaseGauges {
    gauges::database_gauges(&mut world.connection)
        .await
        .unwrap()
}

/// The backlog of the namespace of these tests.
async fn backlog(world: &mut World) -> Backlog {
    backlog_of(&gauges(world).await, "test")
}

fn backlog_of(gauges: &DatabaseGauges, namespace: &str) -> Backlog {
    let mut named = gauges.backlogs.iter();
    let found = named.find(|backlog| backlog.namespace == namespace);
    found.unwrap().clone()
}

/// A template of one step in another namespace.
async fn template_in(world: &mut World, namespace: &str) {
    world
        .apply(json!({
            "namespace": namespace, "name": "single", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "builtin.noop" }],
        }))
        .await;
}

async fn register(world: &mut World, role: Role) -> Uuid {
    let uuid = Uuid::now_v7();
    let process = Process {
        identity: "p".to_owned(),
        role,
        mode: DeploymentMode::Hybrid,
        namespaces: Vec::new(),
        handlers: Vec::new(),
    };
    let places = (role == Role::Worker).then_some(Places {
        offered: 10,
        taken: 0,
    });
    processes::register(&mut world.connection, uuid, &process, places, MINUTE)
        .await
        .unwrap();
    uuid
}

#[tokio::test]
async fn a_namespace_with_nothing_to_do_shows_zeros() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.run_all().await;

    let gauges = gauges(&mut world).await;

    let idle = Backlog {
        namespace: "test".to_owned(),
        ready_steps: 0,
        oldest_ready_seconds: 0.0,
        queue_depth: Some(0),
        waiting_steps: Some(0),
        oldest_waiting_seconds: Some(0.0),
        overdue_claims: 0,
        overdue_retries: 0,
        overdue_leases: Some(0),
    };
    assert_eq!(*gauges.backlogs, [idle]);
    assert_eq!((gauges.live_orchestrators, gauges.live_workers), (0, 0));
    assert_eq!(*gauges.silent, []);
    assert_eq!(gauges.held_back_transactions, 0);
    assert!(gauges.held_back_seconds.abs() < f64::EPSILON);
    assert!((0.0..0.5).contains(&gauges.notification_queue_usage));
}

#[tokio::test]
async fn ready_steps_are_counted_in_each_namespace_with_the_age_of_the_oldest() {
    let mut world = World::new().await;
    for name in ["one", "two"] {
        world.template(name, SINGLE).await;
    }
    template_in(&mut world, "other").await;
    world.advance(Duration::ZERO).await;
    world.submit_with("one", |task| task.priority = -3).await;
    world.advance(Duration::from_secs(50)).await;
    for priority in [7, 0, 0] {
        world
            .submit_with("two", |task| task.priority = priority)
            .await;
    }
    world
        .submit_with("single", |task| task.namespace = "other".into())
        .await;
    world.advance(Duration::from_secs(20)).await;

    let gauges = gauges(&mut world).await;

    let test = backlog_of(&gauges, "test");
    assert_eq!((test.ready_steps, test.overdue_claims), (4, 1));
    assert!((test.oldest_ready_seconds - 70.0).abs() < 0.001, "{test:?}");
    let other = backlog_of(&gauges, "other");
    assert_eq!((other.ready_steps, other.overdue_claims), (1, 0));
    assert!(
        (other.oldest_ready_seconds - 20.0).abs() < 0.001,
        "{other:?}"
    );
}

#[tokio::test]
async fn a_queue_is_as_deep_as_what_waits_and_what_is_in_hand() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.start_one().await;
    for _ in 0..2 {
        world.submit("single").await;
    }
    world.claim().await;
    world
        .run(
            "update pgmq.q_worker_test_queue q set enqueued_at = clock_timestamp() - case msg_id
               when (select min(msg_id) from pgmq.q_worker_test_queue) then interval '1 h'
               else interval '10 min' end",
        )
        .await;

    let backlog = backlog(&mut world).await;

    assert_eq!(
        (backlog.queue_depth, backlog.waiting_steps),
        (Some(3), Some(2))
    );
    let oldest = backlog.oldest_waiting_seconds.unwrap();
    assert!((600.0..3600.0).contains(&oldest), "{oldest}");
    assert_eq!(backlog.overdue_leases, Some(0), "nobody has had them");
}

#[tokio::test]
async fn a_step_whose_worker_was_lost_is_overdue_a_minute_after_its_lease() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.start_one().await;
    let ended = |seconds: u32| {
        format!(
            "update pgmq.q_worker_test_queue set vt = clock_timestamp() - interval '{seconds} s'"
        )
    };

    world.run(ended(30)).await;
    assert_eq!(backlog(&mut world).await.overdue_leases, Some(0));
    world.run(ended(61)).await;
    assert_eq!(backlog(&mut world).await.overdue_leases, Some(1));
}

#[tokio::test]
async fn a_retry_that_nobody_starts_is_overdue_a_minute_after_its_time() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    template_in(&mut world, "other").await;
    world.submit("single").await;
    let step = world.start_one().await;
    world.advance(Duration::ZERO).await;
    world.report(&[retry(&step)]).await;

    world.advance(MINUTE).await;
    assert_eq!(backlog(&mut world).await.overdue_retries, 0);
    world.advance(Duration::from_secs(2)).await;
    let gauges = gauges(&mut world).await;
    assert_eq!(backlog_of(&gauges, "test").overdue_retries, 1);
    assert_eq!(backlog_of(&gauges, "other").overdue_retries, 0);
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_unknown_and_hides_none_of_the_others() {
    let mut world = World::new().await;
    for namespace in ["broken", "locked", "shop"] {
        template_in(&mut world, namespace).await;
        world
            .submit_with("single", |task| task.namespace = namespace.into())
            .await;
    }
    world.claim().await;
    world.run("drop table pgmq.q_worker_broken_queue").await;
    let mut holder = world.begin().await;
    sqlx::query("lock table pgmq.q_worker_locked_queue in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();

    let gauges = gauges(&mut world).await;

    for namespace in ["broken", "locked"] {
        let backlog = backlog_of(&gauges, namespace);
        assert_eq!((backlog.queue_depth, backlog.overdue_leases), (None, None));
    }
    assert_eq!(backlog_of(&gauges, "shop").queue_depth, Some(1));
}

#[tokio::test]
async fn processes_are_live_until_they_are_silent_for_half_a_minute() {
    let mut world = World::new().await;
    register(&mut world, Role::Orchestrator).await;
    register(&mut world, Role::Worker).await;
    let lost = register(&mut world, Role::Worker).await;
    world
        .run(format!(
            "update tasker.processes set last_seen_at = clock_timestamp() - interval '31 s'
             where registration_uuid = '{lost}'"
        ))
        .await;

    let gauges = gauges(&mut world).await;

    assert_eq!((gauges.live_orchestrators, gauges.live_workers), (1, 1));
    let [silent] = &gauges.silent[..] else {
        panic!("{:?}", gauges.silent);
    };
    assert_eq!((silent.registration_uuid, &*silent.role), (lost, "worker"));
}

#[tokio::test]
async fn a_transaction_that_sees_old_rows_is_shown_with_its_age() {
    let mut world = World::new().await;
    let mut idle = world.begin().await;
    sqlx::query("select 1").execute(&mut *idle).await.unwrap();
    let shown = gauges(&mut world).await;
    assert_eq!(shown.held_back_transactions, 0, "it sees nothing any more");
    assert!(shown.held_back_seconds.abs() < f64::EPSILON);

    for statement in [
        "rollback",
        "begin isolation level repeatable read",
        "select 1",
    ] {
        sqlx::query(statement).execute(&mut *idle).await.unwrap();
    }
    world
        .run(
            "do $$ begin
               for n in 1..20 loop perform pg_current_xact_id(); commit; end loop;
             end $$",
        )
        .await;

    let shown = gauges(&mut world).await;
    assert!(shown.held_back_seconds > 0.0);
    assert!(shown.held_back_transactions >= 20, "{shown:?}");
}
