//! A database that stands still: the channels before it fill one after the other, senders wait, it
//! is told once, and everything drains when the database goes on, in the same processes.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tasker_testing::{PATIENCE, wait_until};

use super::channels::{borrowed, health, holding, series, wait_until_healthy};
use super::templates::{LINEAR, sleep};
use super::world::{Role, World};

/// Steps whose handlers end while nothing can be recorded; there are places for more.
const RUNNING: usize = 60;
/// Tasks that follow.
const MORE: usize = 50;

const ORCHESTRATOR: [&str; 3] = [
    "orchestration/commands",
    "orchestration/orchestration_events",
    "orchestration/task_readiness_events",
];
const WORKER: [&str; 5] = [
    "worker/commands",
    "worker/completions",
    "worker/events",
    "worker/pgmq_events",
    "worker/results",
];

/// A hint of each kind that makes work for the loops. They may come from anyone, and cost a look.
const HINTS: &str = r#"
    select pg_notify('pgmq.q_worker_graphs_queue.INSERT', '');
    select pg_notify('tasker_timer_set', '');
    select pg_notify('tasker_task_ready', '{"triggered_by": "task_start"}');
"#;

/// Holds up every call of the engine until it is dropped; notifications pass.
async fn hold_up(world: &World) -> PgConnection {
    let mut connection = PgConnection::connect(world.url()).await.unwrap();
    let tables = "tasker.steps, tasker.ready_steps, tasker.timers, pgmq.q_worker_graphs_queue";
    let lock = format!("begin; lock table {tables} in access exclusive mode");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

async fn warns_of_all(role: &Role, channels: &[&str]) -> bool {
    let health = health(role).await;
    channels.iter().all(|channel| health.warns_of(channel))
}

/// How often each channel was said to fill up, and to have drained.
fn told(role: &Role, what: &str, channel: &str) -> usize {
    let (component, name) = channel.split_once('/').unwrap();
    let labels = [
        format!(r#"channel="{name}""#),
        format!(r#"component="{component}""#),
    ];
    let output = role.process.output();
    let lines = output.lines().filter(|line| line.contains(what));
    lines
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .count()
}

/// What alerts read.
async fn of_channel(role: &Role, metric: &str, channel: &str) -> f64 {
    let (component, name) = channel.split_once('/').unwrap();
    let labels = [
        format!(r#"channel="{name}""#),
        format!(r#"component="{component}""#),
    ];
    let values = series(role, metric, &[&labels[0], &labels[1]]).await;
    assert_eq!(values.len(), 1, "{metric} of {channel}");
    values[0]
}

#[tokio::test]
async fn a_process_whose_channels_are_all_full_recovers_by_itself() {
    let world = World::start().await;
    world.apply(LINEAR).await;
    world.apply(&sleep(3000)).await;
    let mut environment = holding("20", "1000000");
    environment.extend([
        ("TASKER__WORKER__LEASE_SECONDS".to_owned(), "600"),
        (
            "TASKER__MPSC_CHANNELS__OVERFLOW_POLICY__METRICS__SATURATION_CHECK_INTERVAL_SECONDS"
                .to_owned(),
            "1",
        ),
    ]);
    let environment = borrowed(&environment);
    let roles = [
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
    ];
    let of_roles = [&ORCHESTRATOR[..], &WORKER[..]];
    world.submit("sleep", RUNNING).await;
    let all_run =
        format!("select count(*) = {RUNNING} from tasker.steps where state = 'in_progress'");
    world.wait_for("the handlers run", &all_run).await;

    let held_up = hold_up(&world).await;
    wait_until("everything is full", PATIENCE, async || {
        world.run(HINTS).await;
        warns_of_all(&roles[0], &ORCHESTRATOR).await && warns_of_all(&roles[1], &WORKER).await
    })
    .await;
    for _ in 0..200 {
        world.run(HINTS).await;
    }
    for (role, channels) in roles.iter().zip(of_roles) {
        assert_eq!(health(role).await.status, "Degraded");
        for channel in channels {
            assert!(of_channel(role, "mpsc_channel_saturation", channel).await >= 0.8);
            let lines = told(role, "a channel is filling up", channel);
            assert_eq!(lines, 1, "{channel}: {}", role.process.output());
        }
    }
    let full_events = [r#"action="blocked""#, r#"channel="results""#];
    let blocked = series(&roles[1], "mpsc_channel_full_events_total", &full_events).await;
    // What one call takes at once is gone, and as many more find room.
    assert!(blocked[0] >= 20.0, "{blocked:?} of {RUNNING} handlers wait");

    held_up.close().await.unwrap();
    world.submit("linear", MORE).await;
    world.wait_for_the_end().await;
    world.assert_complete(RUNNING + MORE).await;
    let repeated: i64 = world
        .value("select count(*) from tasker.steps where attempt <> 1")
        .await;
    assert_eq!(repeated, 0, "steps that were attempted more than once");
    for (role, channels) in roles.iter().zip(of_roles) {
        wait_until_healthy(role).await;
        for channel in channels {
            wait_until("the alert ends", PATIENCE, async || {
                of_channel(role, "mpsc_channel_saturation", channel).await < 0.8
            })
            .await;
            // Those who waited may fill it once more on the way.
            assert!(
                told(role, "the channel has drained", channel) >= 1,
                "{channel}"
            );
        }
        assert_eq!(role.metric("tasker_supervised_restarts_total", "").await, 0);
    }
    let waits = "mpsc_channel_blocked_send_seconds_count";
    let waits = of_channel(&roles[1], waits, "worker/results").await;
    assert!(waits >= blocked[0], "{waits} of {blocked:?}");
    world.end(roles).await;
}
