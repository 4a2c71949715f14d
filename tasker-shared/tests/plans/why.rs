//! What a step has ahead of it costs the same to find however much is behind it.

use crate::Meter;
use crate::Planned::EachTime;

/// What is ready, and what is in the queue, besides.
const OTHERS: i64 = 50_000;

/// Rows of the step itself, and of its task.
const OWN: i64 = 20;

/// What is counted ahead of a step at most, and may be read of each of two ranges.
const AHEAD: i64 = 200;

#[tokio::test]
async fn a_ready_step_reads_what_is_ahead_of_it_up_to_a_limit() {
    let mut meter = Meter::new().await;
    let task = meter.world.submit("pair").await;
    meter
        .world
        .run(format!(
            "insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
             select gen_random_uuid(), 1, 0, 0, now() from generate_series(1, {OTHERS})"
        ))
        .await;
    for when in ["first", "then"] {
        for (ready_no, ahead, bound) in [(1_i64, "0", OWN), (OTHERS, "100 or more", OWN + AHEAD)] {
            let detail: String = meter
                .call(
                    &format!("{when} why_ready"),
                    EachTime,
                    bound,
                    async |connection| {
                        sqlx::query_scalar(
                            "select tasker.why_ready(
                           t, s, jsonb_build_object('ready_no', $2, 'ready_at', now(), 'xmax', '0'),
                           null
                         ) ->> 'detail'
                         from tasker.tasks t
                         join tasker.steps s on s.task_uuid = t.task_uuid and s.step_no = 1
                         where t.task_uuid = $1",
                        )
                        .bind(task)
                        .bind(ready_no)
                        .fetch_one(connection)
                        .await
                        .unwrap()
                    },
                )
                .await;
            assert!(
                detail.contains(&format!("; {ahead} steps are ahead")),
                "{detail}"
            );
        }
        meter.world.run("analyze").await;
    }
    meter.assert_frugal();
}

#[tokio::test]
async fn an_enqueued_step_reads_what_is_ahead_of_it_up_to_a_limit() {
    let mut meter = Meter::new().await;
    meter
        .world
        .run(format!(
            "insert into pgmq.q_worker_test_queue (vt, message)
             select clock_timestamp(), '{{\"handler\": \"h\", \"priority\": 0}}'
             from generate_series(1, {OTHERS})"
        ))
        .await;
    for when in ["first", "then"] {
        for (msg_id, ahead, bound) in [(1_i64, 0, OWN), (OTHERS, 100, OWN + AHEAD)] {
            let found: i32 = meter
                .call(
                    &format!("{when} step_in_queue"),
                    EachTime,
                    bound,
                    async |connection| {
                        sqlx::query_scalar(
                            "select ahead from tasker.step_in_queue('worker_test_queue', $1)",
                        )
                        .bind(msg_id)
                        .fetch_one(connection)
                        .await
                        .unwrap()
                    },
                )
                .await;
            assert_eq!(found, ahead);
        }
        meter.world.run("analyze").await;
    }
    meter.assert_frugal();
}
