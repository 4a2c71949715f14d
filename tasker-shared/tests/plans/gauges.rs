//! What gauges show costs the same however much there is, and however much there was.

use tasker_shared::gauges;

use crate::Planned::Once;
use crate::support::World;
use crate::{Meter, fill};

/// Steps that are ready, of four priorities.
const READY: i64 = 100_000;
/// Messages in the queue, and retries that are overdue.
const MESSAGES: i64 = 100_000;
/// What is counted of each.
const COUNTED: i64 = 10_000;
/// Retries that are counted, each with its task and template.
const RETRIES: i64 = 1_000;

async fn look(meter: &mut Meter, when: &str, bound: i64) -> gauges::Backlog {
    let title = format!("{when} database_gauges");
    let gauges = meter
        .call(&title, Once, bound, async |connection| {
            gauges::database_gauges(connection).await.unwrap()
        })
        .await;
    gauges.backlogs[0].clone()
}

/// Fills all tables that the gauges look into.
async fn fill_backlogs(world: &mut World) {
    world
        .run(format!(
            "insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
            select gen_random_uuid(), 1, (select min(template_id) from tasker.templates), n % 4,
              now() - interval '1 h'
            from generate_series(1, {READY}) n;
            insert into tasker.timers
            select task_uuid, step_no, now() - interval '1 h' from tasker.steps;
            insert into pgmq.q_worker_test_queue (vt, read_ct, message)
            select clock_timestamp() - interval '1 h', 1, '{{}}'
            from generate_series(1, {MESSAGES}) n"
        ))
        .await;
}

#[tokio::test]
async fn gauges_of_an_idle_database_read_nearly_nothing() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    for when in ["first", "then"] {
        let idle = look(&mut meter, when, 10).await;
        assert_eq!((idle.ready_steps, idle.queue_depth), (0, Some(0)), "{when}");
        meter.world.run("analyze").await;
    }
    meter.assert_frugal();
}

#[tokio::test]
async fn gauges_count_up_to_their_bounds_and_read_no_more() {
    let mut meter = Meter::new().await;
    fill(&mut meter.world).await;
    meter.world.run("analyze").await;
    fill_backlogs(&mut meter.world).await;

    for when in ["first", "then"] {
        let bound = 2 * COUNTED + 3 * RETRIES + 100;
        let backlog = look(&mut meter, when, bound).await;
        assert_eq!(backlog.ready_steps, COUNTED, "{when}");
        assert_eq!(backlog.overdue_claims, COUNTED, "{when}");
        assert_eq!(backlog.queue_depth, Some(COUNTED), "{when}");
        assert_eq!(backlog.overdue_leases, Some(COUNTED), "{when}");
        assert_eq!(backlog.overdue_retries, RETRIES, "{when}");
        meter.world.run("analyze").await;
    }
    meter.assert_frugal();
}
