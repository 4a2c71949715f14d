//! Samples of latencies: what they say, and what is left of them when their day is long past.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use support::{SINGLE, World, complete};
use tasker_shared::config::StatisticsConfig;
use tasker_shared::ids::TaskUuid;
use tasker_shared::statistics::{
    By, Lasted, SampledStatisticsCollector, SampledStep, Statistics, StatisticsFilter,
    StatisticsWriter, TimedEvent, statistics, tend_statistics,
};
use tasker_shared::supervisor::Supervised;
use tokio_util::sync::CancellationToken;

const RETENTION_DAYS: u16 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Everything is sampled, and written when it ends.
fn collector() -> Arc<SampledStatisticsCollector> {
    let mut config = StatisticsConfig::default();
    config.sampling_rates.normal = 1.0;
    Arc::new(SampledStatisticsCollector::new(config))
}

/// Writes all that the collector has.
async fn write(world: &World, collector: &Arc<SampledStatisticsCollector>) {
    let stopped = CancellationToken::new();
    stopped.cancel();
    let database = world.db.database().await;
    StatisticsWriter::new(Arc::clone(collector), &database, stopped)
        .run()
        .await;
}

fn ready_to_enqueued(task_uuid: TaskUuid, milliseconds: u64) -> Lasted {
    Lasted {
        event: TimedEvent::ReadyToEnqueued,
        task_uuid,
        step: None,
        priority: 0,
        latency: Some(Duration::from_millis(milliseconds)),
        failed: false,
    }
}

/// Stores one sample of each of so many milliseconds, at the time of the engine.
async fn store(world: &mut World, task: TaskUuid, milliseconds: std::ops::RangeInclusive<u32>) {
    let (first, last) = (milliseconds.start(), milliseconds.end());
    world
        .run(format!(
            "select tasker.record_samples(
              array_agg('received_to_ended'::text), array_agg('{}'::uuid), array_agg(1), array_agg(1),
              array_agg('normal'::text), array_agg(ms::float8), array_agg(10::float8),
              array_agg(ms % 100 = 0)
            ) from generate_series({first}, {last}) as ms",
            task.0
        ))
        .await;
}

async fn told(world: &mut World, by: By) -> Vec<Statistics> {
    let filter = StatisticsFilter {
        since: "2000-01-01T00:00:00Z".parse().unwrap(),
        until: None,
        template: None,
        by,
    };
    statistics(&mut world.connection, &filter).await.unwrap()
}

async fn tend(connection: &mut PgConnection) -> bool {
    tend_statistics(connection, RETENTION_DAYS).await.unwrap()
}

async fn partitions(world: &mut World) -> i64 {
    world
        .value(
            "select count(*) from pg_inherits
            where inhparent = 'tasker.statistics_samples'::regclass",
        )
        .await
}

async fn with_a_task() -> (World, TaskUuid) {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    (world, task)
}

/// As exact as promised.
fn is_near(told: f64, exact: f64) -> bool {
    (told / exact - 1.0).abs() <= 0.021
}

#[tokio::test]
async fn percentiles_counts_and_failures_are_those_of_the_samples() {
    let (mut world, task) = with_a_task().await;
    store(&mut world, task, 1..=1000).await;

    let told = told(&mut world, By::Event).await;

    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(told.event, "received_to_ended");
    assert_eq!(told.samples, 1000);
    assert!((told.count - 10_000.0).abs() < 0.5, "{told:?}");
    assert!((told.failures - 100.0).abs() < 0.5, "{told:?}");
    assert!((told.max_ms - 1000.0).abs() < 0.5, "{told:?}");
    for (percentile, exact) in [
        (told.p50_ms, 500.0),
        (told.p95_ms, 950.0),
        (told.p99_ms, 990.0),
    ] {
        assert!(is_near(percentile, exact), "{percentile} for {exact}");
    }
}

#[tokio::test]
async fn statistics_are_told_by_template_step_and_day() {
    let (mut world, task) = with_a_task().await;
    world.template("other", SINGLE).await;
    let other = world.submit("other").await;
    store(&mut world, task, 1..=10).await;
    store(&mut world, other, 1..=20).await;
    world.advance(DAY).await;
    store(&mut world, task, 1..=30).await;

    let by_template = told(&mut world, By::Template).await;
    let by_step = told(&mut world, By::Step).await;
    let by_day = told(&mut world, By::Day).await;

    let samples = |told: &[Statistics]| told.iter().map(|it| it.samples).collect::<Vec<_>>();
    let names: Vec<_> = by_template
        .iter()
        .map(|it| it.template.as_deref())
        .collect();
    assert_eq!(names, [Some("test/other"), Some("test/single")]);
    assert_eq!(samples(&by_template), [20, 40]);
    assert!(by_step.iter().all(|it| it.step.as_deref() == Some("only")));
    assert_eq!(samples(&by_step), [20, 40]);
    assert_eq!(samples(&by_day), [30, 30]);
    let filter = StatisticsFilter {
        since: "2000-01-01T00:00:00Z".parse().unwrap(),
        until: None,
        template: Some("test/other".to_owned()),
        by: By::Event,
    };
    let of_other = statistics(&mut world.connection, &filter).await.unwrap();
    assert_eq!(samples(&of_other), [20]);
}

#[tokio::test]
async fn a_day_that_is_long_past_leaves_what_it_said_and_no_rows() {
    let (mut world, task) = with_a_task().await;
    store(&mut world, task, 1..=1000).await;
    let before = told(&mut world, By::Template).await;
    world.advance(DAY * u32::from(RETENTION_DAYS)).await;
    assert!(!tend(&mut world.connection).await, "the last day counts");

    world.advance(DAY).await;
    while tend(&mut world.connection).await {}

    assert_eq!(told(&mut world, By::Template).await, before);
    let kept: i64 = world
        .value("select count(*) from tasker.statistics_samples")
        .await;
    assert_eq!(kept, 0);
    let named: bool = world
        .value(
            "select to_regclass('tasker.' || tasker.statistics_partition(
              (tasker.now() at time zone 'utc')::date - 31
            )) is null",
        )
        .await;
    assert!(named, "its partition is still there");
    let left: i64 = world
        .value("select count(*) from tasker.statistics_rollups")
        .await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_is_told_stays_the_same_at_every_step_of_a_rollup_that_breaks_off() {
    let (mut world, task) = with_a_task().await;
    store(&mut world, task, 1..=2000).await;
    let before = told(&mut world, By::Event).await;
    world.advance(DAY * 40).await;
    let page = "select tasker.tend_statistics(30, 1)";

    let mut steps = 0;
    loop {
        world.run(format!("begin; {page}; rollback")).await;
        assert_eq!(told(&mut world, By::Event).await, before);
        let more: bool = world.value(page).await;
        assert_eq!(told(&mut world, By::Event).await, before);
        if !more {
            break;
        }
        steps += 1;
    }

    assert!(steps > 3, "{steps} steps");
}

#[tokio::test]
async fn orchestrators_that_tend_at_once_count_nothing_twice() {
    let (mut world, task) = with_a_task().await;
    store(&mut world, task, 1..=100).await;
    let before = told(&mut world, By::Event).await;
    world.advance(DAY * 40).await;
    let now: String = world.value("select current_setting('tasker.now')").await;
    let mut first = world.begin().await;
    sqlx::query("select set_config('tasker.now', $1, true)")
        .bind(now)
        .execute(&mut *first)
        .await
        .unwrap();
    assert!(tend(&mut first).await);

    let second = tend(&mut world.connection).await;
    first.commit().await.unwrap();
    while tend(&mut world.connection).await {}

    assert!(!second, "two did it at once");
    assert_eq!(told(&mut world, By::Event).await, before);
}

#[tokio::test]
async fn a_day_that_a_session_reads_is_dropped_later() {
    let (mut world, task) = with_a_task().await;
    store(&mut world, task, 1..=100).await;
    let before = told(&mut world, By::Event).await;
    let mut reader = world.begin().await;
    sqlx::query("select count(*) from tasker.statistics_samples")
        .execute(&mut *reader)
        .await
        .unwrap();
    world.advance(DAY * 40).await;

    assert!(!tend(&mut world.connection).await);
    let with_reader = (
        partitions(&mut world).await,
        told(&mut world, By::Event).await,
    );
    reader.rollback().await.unwrap();
    while tend(&mut world.connection).await {}

    assert_eq!(with_reader, (3, before.clone()));
    assert_eq!(partitions(&mut world).await, 2);
    assert_eq!(told(&mut world, By::Event).await, before);
}

#[tokio::test]
async fn partitions_are_made_once_however_many_need_one() {
    let (mut world, task) = with_a_task().await;
    let mut first = world.begin().await;
    sqlx::query("select tasker.add_statistics_partition('2031-05-06')")
        .execute(&mut *first)
        .await
        .unwrap();

    let url = world.db.url().to_owned();
    let second = world
        .start_blocked(async move |mut connection| {
            drop(PgConnection::connect(&url).await);
            sqlx::query("select tasker.add_statistics_partition('2031-05-06')")
                .execute(&mut connection)
                .await
                .map(drop)
        })
        .await;
    first.commit().await.unwrap();

    second.await.unwrap().unwrap();
    assert_eq!(partitions(&mut world).await, 1);
    store(&mut world, task, 1..=1).await;
    assert_eq!(partitions(&mut world).await, 2);
}

#[tokio::test]
async fn samples_are_written_and_those_of_unknown_tasks_passed_over() {
    let (mut world, task) = with_a_task().await;
    let collector = collector();
    for milliseconds in [5, 10] {
        collector.record_if_sampled(ready_to_enqueued(task, milliseconds));
    }
    let unknown = TaskUuid(uuid::Uuid::from_u128(7));
    collector.record_if_sampled(ready_to_enqueued(unknown, 1));

    write(&world, &collector).await;

    let told = told(&mut world, By::Event).await;
    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((&*told.event, told.samples), ("ready_to_enqueued", 2));
    assert!((told.max_ms - 10.0).abs() < 0.001, "{told:?}");
}

#[tokio::test]
async fn the_database_knows_how_long_a_step_was_enqueued() {
    let (mut world, task) = with_a_task().await;
    world
        .execute("set tasker.now = '2031-05-06T12:00:00Z'")
        .await;
    world.claim().await;
    world.advance(Duration::from_millis(1500)).await;
    let step = world.start_one().await;
    let collector = collector();
    let enqueued = |receipt| Lasted {
        event: TimedEvent::EnqueuedToReceived,
        step: Some(SampledStep {
            number: step.id.step_no,
            receipt,
        }),
        latency: None,
        ..ready_to_enqueued(task, 0)
    };
    collector.record_if_sampled(enqueued(step.receipt));
    collector.record_if_sampled(enqueued(step.receipt - 1));
    world.report(&[complete(&step)]).await;

    write(&world, &collector).await;

    let told = told(&mut world, By::Event).await;
    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((&*told.event, told.samples), ("enqueued_to_received", 1));
    assert!((told.max_ms - 1500.0).abs() < 0.001, "{told:?}");
}
