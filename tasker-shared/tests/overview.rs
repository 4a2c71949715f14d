//! What the first page of the web interface shows of a database.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use chrono::Utc;
use support::processes::{orchestrator, register, worker};
use support::{SINGLE, World, fail};
use tasker_shared::queues::queue_troubles;
use tasker_shared::statistics::statistics_by_minute;
use tasker_shared::tasks::{UnfinishedTasks, count_unfinished};
use tasker_shared::why::{Cause, why_longest};

const DAY: Duration = Duration::from_hours(24);

/// Pages of samples, more than any test has.
const ALL_PAGES: i32 = 100_000;

async fn counted(world: &mut World, most: i32) -> Vec<UnfinishedTasks> {
    let mut counted = count_unfinished(&mut world.connection, most).await.unwrap();
    counted.sort_by(|a, b| a.name.cmp(&b.name));
    counted
}

async fn fail_one(world: &mut World, template: &str) {
    world.submit(template).await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
}

#[tokio::test]
async fn tasks_that_have_not_ended_and_those_that_failed_are_counted_by_template() {
    let mut world = World::new().await;
    for name in ["one", "two", "unused"] {
        world.template(name, SINGLE).await;
    }
    fail_one(&mut world, "one").await;
    world.advance(2 * DAY).await;
    fail_one(&mut world, "one").await;
    world.submit("two").await;
    world.start_one().await;
    world.submit("two").await;

    let counted = counted(&mut world, 100).await;

    let counts = counted.iter().map(|it| {
        let numbers = [it.pending, it.in_progress, it.failed, it.failed_lately];
        (&*it.namespace, &*it.name, numbers)
    });
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [("test", "one", [0, 0, 2, 1]), ("test", "two", [1, 1, 0, 0])]
    );
}

#[tokio::test]
async fn the_tasks_that_were_submitted_last_are_counted() {
    let mut world = World::new().await;
    world.template("old", SINGLE).await;
    world.template("young", SINGLE).await;
    world.submit("old").await;
    for _ in 0..3 {
        world.submit("young").await;
    }

    let counted = counted(&mut world, 3).await;

    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!((&*counted[0].name, counted[0].pending), ("young", 3));
}

#[tokio::test]
async fn the_oldest_tasks_are_counted_by_what_they_wait_for() {
    let mut world = World::new().await;
    world
        .template("chain", &[("first", &[]), ("second", &["first"])])
        .await;
    register(&mut world, &orchestrator("o", &[])).await;
    let oldest = world.submit("chain").await;
    world.submit("chain").await;
    world.claim().await;
    for _ in 0..2 {
        world.submit("chain").await;
    }

    let causes = why_longest(&mut world.connection, 3).await.unwrap();

    let told = causes.iter().map(|it| (it.cause, it.tasks));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(Cause::NoWorker, 2), (Cause::WaitsToBeClaimed, 1)]
    );
    assert_eq!(causes[0].task_uuid, oldest);
    assert!(
        causes[0]
            .action
            .as_ref()
            .unwrap()
            .contains("start a worker")
    );
}

#[tokio::test]
async fn a_queue_that_is_missing_is_named_and_others_are_not() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    register(&mut world, &worker("w", &[], &["builtin.noop"])).await;
    let troubles = queue_troubles(&mut world.connection).await.unwrap();
    assert!(troubles.is_empty(), "{troubles:?}");

    world.run("drop table pgmq.q_worker_test_queue").await;

    let troubles = queue_troubles(&mut world.connection).await.unwrap();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(
        (&*troubles[0].namespace, troubles[0].cause),
        ("test", Cause::QueueDamaged)
    );
}

/// Stores samples, evenly over two hours that end now, each of which stands for two events.
async fn sample(world: &mut World, samples: u32) {
    world
        .run(format!(
            "do $$
            declare v_now timestamptz := tasker.now();
            begin
              perform tasker.add_statistics_partition(d::date) from generate_series(
                date_trunc('day', (v_now - interval '2 h') at time zone 'utc'), v_now at time zone 'utc',
                interval '1 day'
              ) d;
              insert into tasker.statistics_samples
                (at, latency_ms, weight, template_id, event, priority_class, failed)
              select v_now - (1 - n::float8 / {samples}) * interval '2 h', 1 + n % 100, 2, 1,
                'received_to_ended', 'normal', n % 10 = 0
              from generate_series(1, {samples}) n;
            end $$"
        ))
        .await;
}

/// Whether a minute of an hour has what each of them should have, within so many parts of it.
async fn assert_even(world: &mut World, pages: i32, events: f64, tolerance: f64) {
    let hour_ago = Utc::now() - Duration::from_hours(1);
    let minutes = statistics_by_minute(&mut world.connection, hour_ago, pages)
        .await
        .unwrap();
    assert!((60..=61).contains(&minutes.len()), "{}", minutes.len());
    let total: f64 = minutes.iter().map(|it| it.count).sum();
    let failures: f64 = minutes.iter().map(|it| it.failures).sum();
    assert!((total / events - 1.0).abs() < tolerance, "{total}");
    assert!(
        (failures / total - 0.1).abs() < 0.02,
        "{failures} of {total}"
    );
    for it in minutes {
        assert!(it.minute > hour_ago - Duration::from_mins(1), "{it:?}");
        assert_eq!(it.event, "received_to_ended");
        // The first and the last minute are parts of one.
        if it.count < 0.8 * events / 60.0 {
            continue;
        }
        assert!((35.0..65.0).contains(&it.p50_ms), "{it:?}");
        assert!((85.0..103.0).contains(&it.p95_ms), "{it:?}");
    }
}

#[tokio::test]
async fn samples_are_told_by_minute_exactly_where_they_are_few() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    sample(&mut world, 24_000).await;

    assert_even(&mut world, ALL_PAGES, 24_000.0, 0.002).await;
}

#[tokio::test]
async fn of_many_samples_some_pages_stand_for_all() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    sample(&mut world, 400_000).await;

    assert_even(&mut world, 200, 400_000.0, 0.05).await;
}

#[tokio::test]
async fn without_samples_there_are_no_minutes() {
    let mut world = World::new().await;
    let day_ago = Utc::now() - DAY;
    let minutes = statistics_by_minute(&mut world.connection, day_ago, ALL_PAGES).await;
    assert_eq!(minutes.unwrap(), []);
}
