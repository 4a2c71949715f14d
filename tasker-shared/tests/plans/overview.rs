//! What the first page of the web interface asks every few seconds costs the same however much there is.

use chrono::{TimeDelta, Utc};
use tasker_shared::gauges::bounded_gauges;
use tasker_shared::statistics::statistics_by_minute;
use tasker_shared::tasks::count_unfinished;
use tasker_shared::why::why_longest;

use crate::Planned::{EachTime, Once};
use crate::{Meter, fill};

/// Tasks that have not ended, and as many that failed.
const TASKS: i64 = 20_000;
/// What is counted of them.
const COUNTED: i32 = 100;
/// Samples of the last hour, and pages of them that are read.
const SAMPLES: i64 = 200_000;
const PAGES: i32 = 20;

async fn look(meter: &mut Meter, when: &str) {
    let counted = i64::from(COUNTED);
    let title = format!("{when} count_unfinished");
    let tasks = meter
        .call(&title, Once, 2 * counted + 10, async |connection| {
            count_unfinished(connection, COUNTED).await.unwrap()
        })
        .await;
    assert_eq!(
        (tasks[0].in_progress, tasks[0].failed),
        (COUNTED, COUNTED),
        "{title}"
    );

    let title = format!("{when} bounded_gauges");
    let gauges = meter
        .call(&title, Once, 3 * counted + 100, async |connection| {
            bounded_gauges(connection, COUNTED).await.unwrap()
        })
        .await;
    assert_eq!(gauges.backlogs[0].queue_depth, Some(counted), "{title}");

    let title = format!("{when} why_longest");
    meter
        .call(&title, EachTime, 1_000, async |connection| {
            why_longest(connection, 10).await.unwrap()
        })
        .await;

    // A page has up to 136 samples; the beginning is found by halving.
    let title = format!("{when} statistics_by_minute");
    let since = Utc::now() - TimeDelta::hours(1);
    meter
        .call(
            &title,
            EachTime,
            140 * i64::from(PAGES) + 3_000,
            async |connection| {
                statistics_by_minute(connection, since, PAGES)
                    .await
                    .unwrap()
            },
        )
        .await;
}

#[tokio::test]
async fn what_the_overview_counts_is_bounded_however_much_there_is() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    meter.world.run("analyze").await;
    // Those that are explained have steps; they are the oldest.
    for _ in 0..10 {
        meter.world.submit("pair").await;
    }
    meter
        .world
        .run(format!(
            "insert into tasker.tasks
              (task_uuid, created_at, started_at, finished_at, template_id, state, priority,
              active_steps, failed_steps, context)
            select ('f' || substr(gen_random_uuid()::text, 2))::uuid, now(), now(), case when n % 2 = 0 then now() end, 1,
              case when n % 2 = 0 then 'error' else 'in_progress' end::tasker.task_state, 0,
              n % 2, 1 - n % 2, '{{}}'
            from generate_series(1, 2 * {TASKS}) n;
            insert into pgmq.q_worker_test_queue (vt, message)
            select clock_timestamp(), '{{}}' from generate_series(1, {TASKS}) n;
            select tasker.add_statistics_partition((tasker.now() at time zone 'utc')::date);
            insert into tasker.statistics_samples
              (at, latency_ms, weight, template_id, step_no, event, priority_class, failed)
            select tasker.now(), 1, 1, 1, 1, 'received_to_ended', 'normal', false
            from generate_series(1, {SAMPLES}) n"
        ))
        .await;

    look(&mut meter, "first").await;
    meter.world.run("analyze").await;
    look(&mut meter, "then").await;

    meter.assert_frugal();
}
