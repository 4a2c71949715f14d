//! A database that stands still: the channels before it fill one after the other, senders wait, it
//! is reported, and everything drains when the database goes on, in the same processes.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection};
use tasker_testing::{WAIT_TIMEOUT, wait_until};

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

/// Lets the calls of the loops wait for as long as the test holds a lock that no timeout of theirs
/// is about, as they would in a session that is frozen.
const HOLDABLE: &str = "
    create function public.held_up() returns void language plpgsql as $$
    begin
      while not pg_try_advisory_xact_lock_shared(42) loop
        perform pg_sleep(0.01);
      end loop;
    end
    $$;
    do $$
    declare
      v_definition text;
    begin
      for v_definition in
        select pg_get_functiondef(p.oid) from pg_proc p
        where p.pronamespace = 'tasker'::regnamespace and p.proname in (
          'claim_ready_tasks', 'receive_steps', 'complete_one_step', 'complete_steps_and_enqueue',
          'release_steps',
          'fire_due_timers'
        )
      loop
        execute regexp_replace(v_definition, E'\\nbegin\\n', E'\\nbegin\\n perform public.held_up();\\n');
      end loop;
    end
    $$";

/// Holds up every call of the engine until it is dropped; notifications pass.
async fn hold_up(world: &World) -> PgConnection {
    let mut connection = PgConnection::connect(world.url()).await.unwrap();
    for statement in [HOLDABLE, "select pg_advisory_lock(42)"] {
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection
}

/// Of these channels, those that health warns of at the moment.
async fn full_of(role: &Role, channels: &[&'static str]) -> Vec<&'static str> {
    let health = health(role).await;
    let warns_of = |channel: &&'static str| health.warns_of(channel);
    let full = channels
        .iter()
        .copied()
        .filter(warns_of)
        .collect::<Vec<_>>();
    assert!(full.is_empty() || health.status == "Degraded");
    full
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
        // Of 60 outcomes two calls take 20 at most, 20 more fill the channel, the others wait.
        ("TASKER__WORKER__REPORT_BATCH_SIZE".to_owned(), "10"),
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
    // A call is given up after some seconds, and what it held up moves on until the next: not all of
    // them have to be full at the same moment.
    let mut were_full = BTreeSet::new();
    wait_until("everything was full", WAIT_TIMEOUT, async || {
        world.run(HINTS).await;
        for (role, channels) in roles.iter().zip(of_roles) {
            were_full.extend(full_of(role, channels).await);
        }
        were_full.len() == ORCHESTRATOR.len() + WORKER.len()
    })
    .await;
    for _ in 0..200 {
        world.run(HINTS).await;
    }
    for (role, channels) in roles.iter().zip(of_roles) {
        for channel in channels {
            let lines = told(role, "a channel is filling up", channel);
            assert!(lines >= 1, "{channel}: {}", role.process.output());
        }
    }
    // The last handlers to start are the last to end.
    let full_events = [r#"action="blocked""#, r#"channel="results""#];
    let metric = "mpsc_channel_full_events_total";
    wait_until("the handlers wait", WAIT_TIMEOUT, async || {
        series(&roles[1], metric, &full_events).await[0] >= 20.0
    })
    .await;
    let blocked = series(&roles[1], metric, &full_events).await;

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
            wait_until("the alert ends", WAIT_TIMEOUT, async || {
                of_channel(role, "mpsc_channel_saturation", channel).await < 0.8
            })
            .await;
            // Senders that waited may fill it once more on the way.
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
