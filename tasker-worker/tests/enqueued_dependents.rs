//! Steps that are put into their queue with the outcome that makes them ready: no orchestrator claims.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod world;

use serde_json::json;
use tasker_shared::config::DeploymentMode::{EventDrivenOnly, Hybrid, PollingOnly};
use tasker_shared::config::Pooler;
use tasker_shared::database::Database;
use tasker_shared::dead_rows::STEPS_BETWEEN_LOOKS;
use tasker_shared::state::TaskState;
use tasker_shared::telemetry::render_prometheus;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_worker::Handlers;
use world::{GATE, Gate, World};

const CHAIN: &str = "  - { name: s1, handler: builtin.noop }
  - { name: s2, handler: builtin.noop, depends_on: [s1] }
  - { name: s3, handler: builtin.noop, depends_on: [s2] }";

/// Steps that depend on one.
const FANNED_OUT: u64 = 1_000;

#[tokio::test]
async fn a_chain_and_a_fan_out_run_through_the_queue_to_their_ends_without_a_claim() {
    let world = World::create().await.with_continuation(0);
    let world = world.with_mode(EventDrivenOnly);
    world.template("chain", CHAIN).await;
    world.template("wide", &fan_out(50)).await;
    let tasks = [
        world.submit("chain", json!({})).await,
        world.submit("wide", json!({})).await,
    ];
    let worker = world.start(Handlers::new());

    world.claim().await;
    world.wait_for_complete(3 + 52).await;

    worker.drain().await;
    for task in tasks {
        assert_eq!(world.task(task).await.summary.state, TaskState::Complete);
    }
    let scraped = render_prometheus();
    let counted = "tasker_steps_enqueued_on_completion_total";
    let counted = scraped.lines().find_map(|line| line.strip_prefix(counted));
    // Other tests of this process have theirs.
    assert!(counted.unwrap().trim().parse::<u64>().unwrap() >= 2 + 51);
    world.assert_sound().await;
}

#[tokio::test]
async fn they_wait_for_a_claim_where_the_worker_polls_only_or_is_told_to_leave_them() {
    for (mode, enqueues) in [(PollingOnly, true), (Hybrid, false)] {
        let mut world = World::create().await.with_continuation(0).with_mode(mode);
        if !enqueues {
            world = world.leaving_dependents_to_claims();
        }
        world.template("chain", CHAIN).await;
        world.submit("chain", json!({})).await;
        let worker = world.start(Handlers::new());

        world.claim().await;
        world.wait_for_complete(1).await;

        assert_eq!(world.ready_steps().await, 1, "{mode:?}");
        worker.drain().await;
        world.assert_sound().await;
    }
}

fn fan_out(wide: u64) -> String {
    let names: Vec<_> = (1..=wide).map(|number| format!("s{number}")).collect();
    let of_first =
        |name| format!("  - {{ name: {name}, handler: builtin.noop, depends_on: [first] }}\n");
    let between: String = names.iter().map(of_first).collect();
    format!(
        "  - {{ name: first, handler: builtin.noop }}\n{between}  \
         - {{ name: last, handler: builtin.noop, depends_on: [{}] }}",
        names.join(", ")
    )
}

#[tokio::test]
async fn a_worker_that_enqueued_much_looks_for_dead_rows() {
    let world = World::create().await.with_continuation(0);
    world.template("wide", &fan_out(FANNED_OUT)).await;
    sqlx::raw_sql(
        "insert into tasker.ready_steps (task_uuid, ready_at, step_no, template_id, priority)
         select gen_random_uuid(), now(), -n, 1, 9 from generate_series(1, 100000) n;
         delete from tasker.ready_steps",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    for _ in 0..=STEPS_BETWEEN_LOOKS / FANNED_OUT {
        world.submit("wide", json!({})).await;
    }
    let worker = world.start(Handlers::new());

    world.claim().await;

    wait_until("a vacuum is counted", WAIT_TIMEOUT, async || {
        let vacuumed = "select vacuum_count from pg_stat_user_tables where relname = 'ready_steps'";
        world.count(vacuumed).await > 0
    })
    .await;
    worker.drain().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn an_outcome_is_recorded_although_a_queue_refuses_what_it_makes_ready() {
    for pooler in [Pooler::None, Pooler::Transaction] {
        let mut world = World::create().await.with_continuation(0);
        world.config.database.pooler = pooler;
        world.config.database.listen_url = world.db.url().into();
        world.database = Database::connect(&world.config.database).await.unwrap();
        world
            .template(
                "pair",
                &format!("{GATE}\n  - {{ name: next, handler: builtin.noop, depends_on: [only] }}"),
            )
            .await;
        let gate = Gate::new();
        let worker = world.start(gate.handlers());
        let task = world.submit("pair", json!({})).await;
        world.claim().await;
        gate.wait_for_start().await;
        // As where numbers of messages begin again.
        sqlx::raw_sql(
            "create function refuse() returns trigger language plpgsql as
               $$ begin raise 'it is taken' using errcode = 'unique_violation'; end $$;
             create trigger refuse before insert on pgmq.q_worker_shop_queue
             for each row execute function refuse()",
        )
        .execute(&world.pool)
        .await
        .unwrap();

        gate.open();
        world.wait_for_complete(1).await;

        assert_eq!(world.ready_steps().await, 1, "{pooler:?}");
        sqlx::raw_sql("drop trigger refuse on pgmq.q_worker_shop_queue")
            .execute(&world.pool)
            .await
            .unwrap();
        world.run_to(task, TaskState::Complete).await;
        worker.drain().await;
        world.assert_sound().await;
    }
}
