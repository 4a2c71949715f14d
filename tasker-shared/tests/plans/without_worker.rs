//! A hundred thousand messages that nobody can run, and many more handlers than that takes: what
//! shows them reads as little as where there are few.

use tasker_shared::processes;
use tasker_shared::queues;
use tasker_shared::tasks::{self, TaskFilter};

use crate::Planned::{EachTime, Once};
use crate::support::World;
use crate::{Meter, fill};

/// Messages of one handler that nobody knows.
const ORPHANS: i64 = 100_000;
/// Messages, spread over so many handlers, of which one worker knows all.
const OTHERS: i64 = 10_000;
const HANDLERS: i64 = 200;
/// Tasks on a page.
const PAGE: i32 = 20;

/// Fills the queue of the tests; the tasks of the messages play no part.
async fn fill_queue(world: &mut World) {
    world
        .run(format!(
            "insert into pgmq.q_worker_test_queue (vt, message)
            select clock_timestamp(), jsonb_build_object(
              'task_uuid', gen_random_uuid(), 'step_no', 1, 'handler', 'late.one', 'priority', n % 3
            )
            from generate_series(1, {ORPHANS}) n;
            insert into pgmq.q_worker_test_queue (vt, message)
            select clock_timestamp(), jsonb_build_object(
              'task_uuid', gen_random_uuid(), 'step_no', 1, 'handler', 'known.n' || n % {HANDLERS},
              'priority', 0
            )
            from generate_series(1, {OTHERS}) n;
            select tasker.register_process(
              gen_random_uuid(), 'w', 'worker', 'h', 1, '0', 'Hybrid', '{{}}',
              array(select 'known.n' || n from generate_series(0, {HANDLERS} - 1) n) || array['builtin.noop'],
              10, 0, 0
            )"
        ))
        .await;
}

async fn look_everywhere(meter: &mut Meter, when: &str) {
    // Two rows of the queue for each handler, a thousand of the one that is missing.
    let leaps = 2 * HANDLERS + 1_000 + 50;
    let title = format!("{when} steps_without_worker");
    let found = meter
        .call(&title, EachTime, leaps, async |connection| {
            processes::steps_without_worker(connection, &[])
                .await
                .unwrap()
        })
        .await;
    let found: Vec<_> = found
        .iter()
        .map(|found| (&*found.handler, found.steps))
        .collect();
    assert_eq!(found, [("late.one", 1_000)], "{title}");

    // Each message is counted once, and joined with nothing.
    let title = format!("{when} list_queues");
    let all = ORPHANS + OTHERS;
    let queues = meter
        .call(&title, EachTime, all + leaps, async |connection| {
            queues::list_queues(connection).await.unwrap()
        })
        .await;
    assert_eq!(queues[0].length, Some(all), "{title}");
    assert_eq!(queues[0].without_worker.len(), 1, "{title}");

    let title = format!("{when} list_tasks");
    let filter = TaskFilter {
        limit: PAGE,
        ..TaskFilter::default()
    };
    let listed = meter
        .call(&title, EachTime, 200, async |connection| {
            tasks::list_tasks(connection, &filter).await.unwrap()
        })
        .await;
    let marked = listed
        .iter()
        .filter(|task| task.summary.waits_for.is_some());
    assert_eq!(marked.count(), usize::try_from(PAGE).unwrap(), "{title}");

    let task = listed[0].summary.task_uuid;
    let title = format!("{when} get_task");
    let task = meter
        .call(&title, Once, 30, async |connection| {
            tasks::get_task(connection, task).await.unwrap().unwrap()
        })
        .await;
    assert!(task.summary.waits_for.is_some(), "{title}");
}

#[tokio::test]
async fn what_nobody_can_run_costs_no_more_to_show_however_much_it_is() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    let world = &mut meter.world;
    world
        .apply(serde_json::json!({
            "namespace": "test", "name": "late", "version": "1.0.0",
            "steps": [{ "name": "only", "handler": "late.one" }],
        }))
        .await;
    for _ in 0..PAGE {
        world.submit("late").await;
    }
    world.claim().await;
    // The statistics of a queue that was empty.
    world.run("delete from pgmq.q_worker_test_queue").await;
    world.run("vacuum analyze pgmq.q_worker_test_queue").await;
    fill_queue(world).await;

    look_everywhere(&mut meter, "first").await;
    meter.world.run("analyze").await;
    look_everywhere(&mut meter, "then").await;

    meter.assert_frugal();
}
