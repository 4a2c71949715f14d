//! The system behind PgBouncer in transaction mode: wholly in `PollingOnly`, with one direct address
//! for LISTEN in the other modes, and a plain word where that cannot work.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too, of which others use the rest"
)]

#[path = "system/templates.rs"]
mod templates;
#[path = "system/world.rs"]
mod world;

use std::process::Output;
use std::time::Duration;

use pgmq_notify::listener::can_listen;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tasker_testing::{PgBouncer, TaskerBinary};
use templates::MIXED;
use tokio::task::JoinSet;
use world::World;

const TASKS: usize = 200;
/// What a session is opened with, for a pooler that is to let it pass.
const IGNORING: [&str; 2] = ["options", "extra_float_digits"];
/// Other clients of the pooler, fewer than it has sessions.
const OTHERS: usize = 3;
/// Looks at the pooler, of which none may be mistaken.
const TIMES: usize = 50;

/// A pooler as its package configures it.
async fn pooler(world: &World) -> Option<PgBouncer> {
    PgBouncer::to(world.url(), &[]).await
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn polling_alone_works_wholly_through_the_pooler() {
    let world = World::start().await;
    let Some(pooler) = pooler(&world).await else {
        return;
    };
    world.apply(MIXED).await;
    let environment = [
        ("DATABASE_URL", pooler.url()),
        ("TASKER__DATABASE__POOLER", "transaction"),
        ("DEPLOYMENT_MODE", "PollingOnly"),
        ("POLL_INTERVAL_MS", "50"),
    ];
    let roles = [
        world.orchestrator(&environment).await,
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
        world.worker(&environment).await,
    ];

    world.submit("mixed", TASKS).await;
    world.wait_for_the_end().await;

    world.assert_complete(TASKS).await;
    for role in &roles {
        let errors = role.metric("tasker_database_calls_total", "error").await;
        assert!(
            errors == 0,
            "{errors} calls failed: {}",
            role.process.output()
        );
    }
    for command in [
        &["doctor"][..],
        &["task", "list"],
        &["template", "list"],
        &["queue", "list"],
    ] {
        let output = TaskerBinary::locate().run(command, &environment).await;
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
    for role in roles {
        role.stop().await;
    }
    // The sessions are the pooler's, and stay as long as it does.
    drop(pooler);
    world.end([]).await;
}

#[tokio::test]
async fn notifications_come_by_the_direct_address_and_all_else_goes_through_the_pooler() {
    let world = World::start().await;
    let Some(pooler) = pooler(&world).await else {
        return;
    };
    world.apply(MIXED).await;
    let environment = [
        ("DATABASE_URL", pooler.url()),
        ("TASKER__DATABASE__POOLER", "transaction"),
        ("TASKER__DATABASE__LISTEN_URL", world.url()),
        // Nothing polls: what is not heard is not done in time.
        ("DEPLOYMENT_MODE", "EventDrivenOnly"),
    ];
    let migrated = TaskerBinary::locate().run(&["migrate"], &environment).await;
    assert!(migrated.status.success(), "{}", text(&migrated));
    let roles = [
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
    ];

    world.submit("mixed", TASKS).await;
    world.wait_for_the_end().await;

    world.assert_complete(TASKS).await;
    for role in &roles {
        let errors = role.metric("tasker_database_calls_total", "error").await;
        assert!(
            errors == 0,
            "{errors} calls failed: {}",
            role.process.output()
        );
    }
    for role in roles {
        role.stop().await;
    }
    // The sessions are the pooler's, and stay as long as it does.
    drop(pooler);
    world.end([]).await;
}

#[tokio::test]
async fn a_queue_in_trouble_harms_its_own_namespace_alone_through_the_pooler() {
    const OTHER: usize = 3;
    let world = World::start().await;
    let Some(pooler) = pooler(&world).await else {
        return;
    };
    world.apply(MIXED).await;
    world
        .apply(
            "namespace: other
name: slow
version: 1.0.0
steps:
  - { name: only, handler: builtin.sleep, input: { ms: 3000 } }",
        )
        .await;
    let environment = [
        ("DATABASE_URL", pooler.url()),
        ("TASKER__DATABASE__POOLER", "transaction"),
        ("TASKER__DATABASE__LISTEN_URL", world.url()),
    ];
    let roles = [
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
    ];
    let submit_other = format!(
        "select count(tasker.submit_task('other', 'slow')) from generate_series(1, {OTHER})"
    );
    world.run(&submit_other).await;
    let running =
        format!("select count(*) = {OTHER} from tasker.steps where state = 'in_progress'");
    world.wait_for("the slow steps run", &running).await;

    world
        .run("alter table pgmq.q_worker_other_queue rename to away")
        .await;
    world.run(&submit_other).await;
    world.submit("mixed", TASKS).await;
    let done =
        format!("select count(*) = {TASKS} + {OTHER} from tasker.tasks where state = 'complete'");
    world
        .wait_for(
            "all has ended that can, outcomes of the slow steps too",
            &done,
        )
        .await;

    world
        .run("alter table pgmq.away rename to q_worker_other_queue")
        .await;
    world.wait_for_the_end().await;
    // Those of the first tasks could not be deleted; the next receipt does that.
    world
        .run("update pgmq.q_worker_other_queue set vt = clock_timestamp()")
        .await;
    let is_empty = "select not exists (select from pgmq.q_worker_other_queue)";
    world.wait_for("no message is left", is_empty).await;
    world.assert_complete(TASKS + 2 * OTHER).await;
    for role in roles {
        role.stop().await;
    }
    // The sessions are the pooler's, and stay as long as it does.
    drop(pooler);
    world.end([]).await;
}

#[tokio::test]
async fn a_role_that_is_to_listen_through_the_pooler_says_why_it_cannot() {
    let world = World::start().await;
    // One refuses what a session is opened with, the other ignores it, and LISTEN seems to work.
    for ignored in [&[][..], &IGNORING] {
        let Some(pooler) = PgBouncer::to(world.url(), ignored).await else {
            return;
        };
        let environment = [
            ("DATABASE_URL", pooler.url()),
            ("TASKER__DATABASE__POOLER", "transaction"),
            ("TASKER__DATABASE__LISTEN_URL", pooler.url()),
            ("TASKER__DATABASE__ACQUIRE_TIMEOUT_MS", "1000"),
        ];
        for role in ["orchestrator", "worker"] {
            let args = [role, "--bind", "127.0.0.1:0"];
            let output = TaskerBinary::locate().run(&args, &environment).await;
            let text = text(&output);
            assert!(!output.status.success(), "{text}");
            assert!(text.contains("LISTEN does not work where"), "{text}");
            assert!(text.contains("DEPLOYMENT_MODE=PollingOnly"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_pooler_is_recognised_while_others_use_its_sessions() {
    let world = World::start().await;
    let Some(pooler) = PgBouncer::to(world.url(), &IGNORING).await else {
        return;
    };
    let options: PgConnectOptions = pooler.url().parse().unwrap();
    let mut others = JoinSet::new();
    for _ in 0..OTHERS {
        let mut other = PgConnection::connect_with(&options).await.unwrap();
        others.spawn(async move {
            loop {
                sqlx::raw_sql("select 1").execute(&mut other).await.unwrap();
            }
        });
    }
    for _ in 0..TIMES {
        let heard = can_listen(options.clone(), Duration::from_secs(1)).await;
        assert!(matches!(heard, Ok(false)), "{heard:?}");
    }
}

#[tokio::test]
async fn a_pooler_that_nobody_told_of_is_named() {
    let world = World::start().await;
    let Some(pooler) = pooler(&world).await else {
        return;
    };
    let environment = [("DATABASE_URL", pooler.url())];
    let output = TaskerBinary::locate().run(&["doctor"], &environment).await;
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("set database.pooler = \"transaction\""),
        "{text}"
    );
}

#[tokio::test]
async fn a_configuration_that_listens_through_a_pooler_is_not_valid() {
    let listening = [("TASKER__DATABASE__POOLER", "transaction")];
    let output = TaskerBinary::locate()
        .run(&["config", "validate"], &listening)
        .await;
    let text_of_both = text(&output);
    assert!(!output.status.success(), "{text_of_both}");
    assert!(
        text_of_both.contains("database.listen_url"),
        "{text_of_both}"
    );
    assert!(
        text_of_both.contains("LISTEN does not work through a pooler"),
        "{text_of_both}"
    );

    let polling = [listening[0], ("DEPLOYMENT_MODE", "PollingOnly")];
    let output = TaskerBinary::locate()
        .run(&["config", "validate"], &polling)
        .await;
    assert!(output.status.success(), "{}", text(&output));
}
