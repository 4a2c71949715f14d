//! What is announced, on which channels, and how large it gets.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use support::{DIAMOND, SINGLE, World, complete};
use tasker_shared::announcer::{self, Announcements, Announcer};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::operator::{self, Settlement};
use tasker_shared::steps::StepReport;
use tasker_shared::tasks;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use tasker_testing::{FaultProxy, FrozenSession, PATIENCE, wait_for, wait_until};

const READY: &str = "tasker_task_ready";
const READY_OF_TEST: &str = "tasker_task_ready.test";
const STATE: &str = "tasker_task_state";
const STATE_OF_TEST: &str = "tasker_task_state.test";

/// The longest a namespace may be called.
fn longest(first: char) -> String {
    format!("{first}{}", "x".repeat(28))
}

async fn listen(world: &World) -> PgListener {
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    let long = ["y", "z"].map(|first| format!("{READY}.{}", longest(first.parse().unwrap())));
    let channels = [
        READY,
        READY_OF_TEST,
        STATE,
        STATE_OF_TEST,
        &long[0],
        &long[1],
        "end",
    ];
    listener.listen_all(channels).await.unwrap();
    listener
}

/// A payload whose tasks are in the order of their UUIDs, as all payloads are sent.
fn in_order(mut payload: Value) -> Value {
    if let Some(tasks) = payload.get_mut("tasks") {
        let tasks = tasks.as_array_mut().unwrap();
        tasks.sort_by_key(|task| task["task_uuid"].as_str().unwrap().to_owned());
    }
    if let Some(tasks) = payload.get_mut("task_uuids") {
        let tasks = tasks.as_array_mut().unwrap();
        tasks.sort_by_key(|task| task.as_str().unwrap().to_owned());
    }
    payload
}

/// All notifications so far, by channel, each small enough.
async fn heard(world: &mut World, listener: &mut PgListener) -> BTreeMap<String, Vec<Value>> {
    world.execute("select pg_notify('end', '')").await;
    let mut heard = BTreeMap::<_, Vec<_>>::new();
    loop {
        let next = timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
        if next.channel() == "end" {
            return heard;
        }
        assert!(next.payload().len() < 8000);
        let payload = serde_json::from_str(next.payload()).unwrap();
        heard
            .entry(next.channel().to_owned())
            .or_default()
            .push(payload);
    }
}

fn only(heard: &BTreeMap<String, Vec<Value>>, channel: &str) -> Value {
    match heard.get(channel).map(Vec::as_slice) {
        Some([payload]) => payload.clone(),
        other => panic!("{channel}: {other:?}"),
    }
}

#[tokio::test]
async fn a_submitted_task_is_announced_with_every_field_globally_and_in_its_namespace() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = listen(&world).await;

    let task = world.submit_with("single", |task| task.priority = 7).await;

    let heard = heard(&mut world, &mut listener).await;
    let expected = json!({
        "task_count": 1, "task_uuid": task, "namespace": "test", "priority": 7, "ready_steps": 1,
        "triggered_by": "task_start", "task_state": "pending",
    });
    assert_eq!(only(&heard, READY), expected);
    assert_eq!(only(&heard, READY_OF_TEST), expected);
}

#[tokio::test]
async fn tasks_submitted_in_silence_are_announced_in_the_words_of_the_trigger() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world
        .template("two", &[("a", &[]), ("b", &[]), ("c", &["a"])])
        .await;
    let mut urgent = support::new_task("two");
    urgent.priority = 7;
    for tasks in [
        vec![urgent.clone()],
        vec![
            urgent,
            support::new_task("single"),
            support::new_task("two"),
        ],
    ] {
        let mut listener = listen(&world).await;
        let connection = &mut world.connection;
        let aloud = tasks::submit_tasks(connection, &tasks).await.unwrap();
        let mut expected = heard(&mut world, &mut listener).await;

        let connection = &mut world.connection;
        let silent = tasks::submit_tasks_silently(connection, &tasks, None).await;
        let silent = silent.unwrap();
        assert_eq!(heard(&mut world, &mut listener).await, BTreeMap::new());
        let announcements = Announcements::of_submitted(&silent);
        announcer::notify(&mut world.connection, &announcements)
            .await
            .unwrap();

        for payload in expected.values_mut().flatten() {
            let mut text = payload.to_string();
            for (aloud, silent) in aloud.iter().zip(&silent) {
                let (aloud, silent) = (aloud.task_uuid.to_string(), silent.task_uuid.to_string());
                assert!(text.contains(&aloud), "{text}");
                text = text.replace(&aloud, &silent);
            }
            *payload = in_order(text.parse().unwrap());
        }
        assert_eq!(heard(&mut world, &mut listener).await, expected);
        assert_eq!(expected.len(), 4);
    }
}

#[tokio::test]
async fn a_task_that_is_submitted_again_is_announced_again_until_somebody_claims_it() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut task = support::new_task("single");
    task.idempotency_key = Some("k".to_owned());
    let mut listener = listen(&world).await;
    for (is_claimed, times) in [(false, 1), (false, 1), (true, 0)] {
        if is_claimed {
            world.claim().await;
        }
        let same = [task.clone(), task.clone()];
        let submitted = tasks::submit_tasks_silently(&mut world.connection, &same, None).await;
        let announcements = Announcements::of_submitted(&submitted.unwrap());
        announcer::notify(&mut world.connection, &announcements)
            .await
            .unwrap();

        let heard = heard(&mut world, &mut listener).await;
        assert_eq!(heard.get(READY).map_or(0, Vec::len), times);
        if times > 0 {
            assert_eq!(only(&heard, READY)["task_count"], 1);
        }
    }
}

#[tokio::test]
async fn a_completed_step_is_announced_as_what_readied_its_dependents() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let a = world.start_one().await;
    let mut listener = listen(&world).await;

    let reported = world.report(&[complete(&a)]).await;
    assert_eq!(
        heard(&mut world, &mut listener).await,
        BTreeMap::new(),
        "the engine's own calls are silent"
    );
    announcer::notify(&mut world.connection, &reported.announcements)
        .await
        .unwrap();

    let heard = heard(&mut world, &mut listener).await;
    let expected = json!({
        "task_count": 1, "task_uuid": task, "namespace": "test", "priority": 0, "ready_steps": 2,
        "triggered_by": "step_transition", "step_uuid": a.id.step_uuid(), "step_state": "complete",
        "task_state": "in_progress",
    });
    assert_eq!(only(&heard, READY), expected);
    assert_eq!(only(&heard, READY_OF_TEST), expected);
}

#[tokio::test]
async fn tasks_that_were_readied_together_are_each_announced_with_their_step() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let mut tasks = [world.submit("diamond").await, world.submit("diamond").await];
    tasks.sort_unstable();
    world.claim().await;
    let running = world.receive().await;
    let reports: Vec<_> = running.iter().map(complete).collect();
    let reported = world.report(&reports).await;
    let mut listener = listen(&world).await;

    announcer::notify(&mut world.connection, &reported.announcements)
        .await
        .unwrap();

    let heard = heard(&mut world, &mut listener).await;
    let each = tasks.map(|task_uuid| {
        let step = StepId {
            task_uuid,
            step_no: 1,
        };
        json!({
            "task_uuid": task_uuid, "priority": 0, "ready_steps": 2, "task_state": "in_progress",
            "step_uuid": step.step_uuid(), "step_state": "complete",
        })
    });
    let expected = json!({
        "task_count": 2, "namespace": "test", "priority": 0, "ready_steps": 4,
        "triggered_by": "step_transition", "tasks": each,
    });
    assert_eq!(only(&heard, READY), expected);
    assert_eq!(only(&heard, READY_OF_TEST), expected);
}

#[tokio::test]
async fn the_largest_payload_of_tasks_that_are_announced_together_is_one_that_postgresql_takes() {
    let mut world = World::new().await;
    let namespace = longest('y');
    world
        .apply(json!({
            "namespace": namespace, "name": "n", "version": "1.0.0",
            "steps": [{ "name": "s", "handler": "builtin.noop" }],
        }))
        .await;
    let mut listener = listen(&world).await;
    world
        .run(format!(
            "select count(*) from tasker.submit_tasks((
               select jsonb_agg(jsonb_build_object(
                 'namespace', '{namespace}', 'name', 'n', 'priority', -32768))
               from generate_series(1, 36)))"
        ))
        .await;
    world
        .run("update tasker.tasks set state = 'resolved_manually', finished_at = now()")
        .await;
    heard(&mut world, &mut listener).await;

    world
        .run(
            "select tasker.announce_ready_tasks(array_agg(task_uuid),
               array_agg(65535::bigint), array_agg(tasker.step_uuid(task_uuid, 65535)),
               'resolved_manually', 'step_transition')
             from tasker.tasks",
        )
        .await;

    let payload = only(&heard(&mut world, &mut listener).await, READY);
    assert_eq!(payload["tasks"].as_array().unwrap().len(), 36);
}

#[tokio::test]
async fn every_state_that_a_task_enters_is_announced_once() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = listen(&world).await;
    let mut aloud = vec![world.submit("single").await];
    let silent = [support::new_task("single")];
    let silent = tasks::submit_tasks_silently(&mut world.connection, &silent, None).await;
    let silent = silent.unwrap();
    let announcements = Announcements::of_submitted(&silent);
    announcer::notify(&mut world.connection, &announcements)
        .await
        .unwrap();
    aloud.push(silent[0].task_uuid);

    world.claim().await;
    let running = world.receive().await;
    let reports = [complete(&running[0]), support::fail(&running[1])];
    let reported = world.report(&reports).await;
    announcer::notify(&mut world.connection, &reported.announcements)
        .await
        .unwrap();
    let failed = running[1].id.task_uuid;
    operator::retry_step(&mut world.connection, failed, "only", "op", None)
        .await
        .unwrap();
    operator::cancel_task(&mut world.connection, failed, "op", None)
        .await
        .unwrap();

    let heard = heard(&mut world, &mut listener).await;
    for channel in [STATE, STATE_OF_TEST] {
        let mut told = BTreeMap::<TaskUuid, Vec<String>>::new();
        for payload in &heard[channel] {
            assert_eq!(payload["namespace"], "test");
            let tasks: Vec<TaskUuid> =
                serde_json::from_value(payload["task_uuids"].clone()).unwrap();
            for task in tasks {
                let state = payload["task_state"].as_str().unwrap().to_owned();
                told.entry(task).or_default().push(state);
            }
        }
        let (finished, failed) = (running[0].id.task_uuid, running[1].id.task_uuid);
        assert_eq!(told[&finished], ["pending", "in_progress", "complete"]);
        let again = [
            "pending",
            "in_progress",
            "error",
            "in_progress",
            "cancelled",
        ];
        assert_eq!(told[&failed], again);
        assert_eq!(told.len(), aloud.len());
    }
}

#[tokio::test]
async fn an_operators_move_is_announced_with_the_step_that_moved() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let mut listener = listen(&world).await;

    let skip = Settlement::Skip(Value::Null);
    operator::settle_step(&mut world.connection, task, "a", &skip, "op", None)
        .await
        .unwrap();

    let payload = only(&heard(&mut world, &mut listener).await, READY);
    let step = StepId {
        task_uuid: task,
        step_no: 1,
    };
    assert_eq!(payload["step_uuid"], json!(step.step_uuid()));
    assert_eq!(payload["step_state"], "skipped");
    assert_eq!(payload["ready_steps"], 2);
    assert_eq!(payload["triggered_by"], "step_transition");
}

#[tokio::test]
async fn each_task_of_a_large_batch_is_announced_whole_in_payloads_that_postgresql_takes() {
    let mut world = World::new().await;
    for namespace in ['y', 'z'].map(longest) {
        world
            .apply(json!({
                "namespace": namespace, "name": "n".repeat(64), "version": "1.0.0",
                "steps": [{ "name": "s".repeat(50), "handler": "builtin.noop" }],
            }))
            .await;
    }
    let mut listener = listen(&world).await;

    world
        .run(
            "select count(*) from tasker.submit_tasks((
               select jsonb_agg(jsonb_build_object(
                 'namespace', t.namespace, 'name', t.name, 'priority', n % 9))
               from tasker.templates t, generate_series(1, 3000) n
             ))",
        )
        .await;

    let heard = heard(&mut world, &mut listener).await;
    let submitted: Vec<Value> = sqlx::query_scalar(
        "select jsonb_build_object('task_uuid', task_uuid, 'priority', priority, \
           'ready_steps', active_steps, 'task_state', state) \
         from tasker.tasks order by task_uuid",
    )
    .fetch_all(&mut world.connection)
    .await
    .unwrap();
    let mut told = Vec::new();
    for namespace in ['y', 'z'].map(longest) {
        let payloads = &heard[&format!("{READY}.{namespace}")];
        assert_eq!(payloads.len(), 3000_usize.div_ceil(36));
        for payload in payloads {
            assert!(heard[READY].contains(payload));
            let tasks = payload["tasks"].as_array().unwrap();
            assert_eq!(payload["task_count"], tasks.len());
            assert_eq!(payload["namespace"], namespace);
            let priorities = tasks.iter().map(|task| task["priority"].as_i64());
            assert_eq!(payload["priority"].as_i64(), priorities.max().unwrap());
            assert_eq!(payload["ready_steps"], tasks.len());
            assert_eq!(payload["triggered_by"], "task_start");
            told.extend(tasks.clone());
        }
    }
    told.sort_by_key(|task| task["task_uuid"].as_str().unwrap().to_owned());
    assert_eq!(told, submitted);
    assert_eq!(heard[READY].len(), 2 * 3000_usize.div_ceil(36));
}

#[tokio::test]
async fn many_ends_are_announced_each_in_payloads_that_postgresql_takes() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut tasks = Vec::new();
    for _ in 0..250 {
        tasks.push(world.submit("single").await);
    }
    let mut reports: Vec<StepReport> = Vec::new();
    world.claim().await;
    for step in world.receive().await {
        reports.push(complete(&step));
    }
    let reported = world.report(&reports).await;
    let mut listener = listen(&world).await;

    announcer::notify(&mut world.connection, &reported.announcements)
        .await
        .unwrap();

    let heard = heard(&mut world, &mut listener).await;
    for channel in [STATE, STATE_OF_TEST] {
        let payloads = &heard[channel];
        assert_eq!(payloads.len(), 3, "{channel}");
        assert!(
            payloads
                .iter()
                .all(|payload| payload["task_state"] == "complete")
        );
        let told = payloads
            .iter()
            .flat_map(|payload| payload["task_uuids"].as_array().unwrap().clone());
        let mut told: Vec<TaskUuid> = told
            .map(|uuid| serde_json::from_value(uuid).unwrap())
            .collect();
        told.sort_unstable();
        tasks.sort_unstable();
        assert_eq!(told, tasks);
    }
}

#[tokio::test]
async fn a_cancellation_is_announced_with_its_state() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut listener = listen(&world).await;

    operator::cancel_task(&mut world.connection, task, "op", None)
        .await
        .unwrap();

    let heard = heard(&mut world, &mut listener).await;
    for channel in [STATE, STATE_OF_TEST] {
        assert_eq!(
            only(&heard, channel),
            json!({
                "task_state": "cancelled", "namespace": "test", "task_uuid": task,
                "task_uuids": [task],
            })
        );
    }
}

#[tokio::test]
async fn channels_are_named_by_the_prefix_of_the_database() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    listener
        .listen_all(["staging_task_ready", "end"])
        .await
        .unwrap();

    world.execute("set tasker.channel_prefix = 'staging'").await;
    world.submit("single").await;

    let heard = heard(&mut world, &mut listener).await;
    assert_eq!(only(&heard, "staging_task_ready")["task_count"], 1);
}

#[tokio::test]
async fn what_is_gone_is_not_announced_and_breaks_nothing() {
    let mut world = World::new().await;
    let mut listener = listen(&world).await;
    let announcements = Announcements {
        ready: vec![Uuid::from_u128(1)],
        finished: vec![Uuid::from_u128(2)],
        ..Announcements::default()
    };

    announcer::notify(&mut world.connection, &announcements)
        .await
        .unwrap();

    assert_eq!(heard(&mut world, &mut listener).await, BTreeMap::new());
}

#[tokio::test]
async fn an_announcement_outlives_the_connection_it_was_to_be_sent_on() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let mut listener = listen(&world).await;
    let proxy = FaultProxy::to(world.db.url()).await;
    let config = TaskerConfig::default();
    let database = Database::connect(&DatabaseConfig {
        url: proxy.url().into(),
        // A connection that is cut in the middle of a call may be found out by this alone.
        call_timeout_ms: 2000,
        ..config.database
    })
    .await
    .unwrap();
    let announcer = Announcer::start(
        &database,
        "test",
        &config.mpsc_channels,
        CancellationToken::new(),
    );
    announcer.announce(ready(tasks[0])).await;
    assert_eq!(next_ready(&mut listener).await, Some(tasks[0]));

    proxy.cut();
    announcer.announce(ready(tasks[1])).await;
    proxy.resume();

    // The first may be announced again, alone or with the second, where its answer was cut off.
    while next_ready(&mut listener).await == Some(tasks[0]) {}
    announcer.close().await;
}

#[tokio::test]
async fn an_announcement_whose_first_sending_fails_is_sent_again() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let mut listener = listen(&world).await;
    let announcer = start(&world).await;
    announcer.announce(ready(tasks[0])).await;
    assert_eq!(next_ready(&mut listener).await, Some(tasks[0]));

    let pool = world.db.pool();
    wait_until("its session is gone", PATIENCE, async || {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and query like '%tasker.announce%'
               and pid <> pg_backend_pid()",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        ended == 0
    })
    .await;
    announcer.announce(ready(tasks[1])).await;

    assert_eq!(next_ready(&mut listener).await, Some(tasks[1]));
    announcer.close().await;
}

#[tokio::test]
async fn an_announcement_does_not_wait_for_a_session_that_is_frozen() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let tasks = [world.submit("single").await, world.submit("single").await];
    let mut listener = listen(&world).await;
    let announcer = start(&world).await;
    announcer.announce(ready(tasks[0])).await;
    assert_eq!(next_ready(&mut listener).await, Some(tasks[0]));
    let pool = world.db.pool();
    let frozen = wait_for("its session is idle", PATIENCE, async || {
        FrozenSession::idle_after(&pool, "select tasker.announce").await
    })
    .await;
    let began = Instant::now();

    announcer.announce(ready(tasks[1])).await;

    assert_eq!(next_ready(&mut listener).await, Some(tasks[1]));
    let lasted = began.elapsed();
    assert!(
        lasted < Duration::from_secs(30),
        "a call may last 65 s: {lasted:?}"
    );
    announcer.close().await;
    drop(frozen);
}

async fn start(world: &World) -> Announcer {
    let database = world.db.database().await;
    let channels = TaskerConfig::default().mpsc_channels;
    Announcer::start(&database, "test", &channels, CancellationToken::new())
}

fn ready(task: TaskUuid) -> Announcements {
    Announcements {
        ready: vec![task.0],
        ..Announcements::default()
    }
}

/// The task that the next global announcement of readiness names; `None` where it names several.
async fn next_ready(listener: &mut PgListener) -> Option<TaskUuid> {
    loop {
        let next = timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
        if next.channel() == READY {
            let payload: Value = serde_json::from_str(next.payload()).unwrap();
            return payload["task_uuid"]
                .as_str()
                .map(|uuid| uuid.parse().unwrap());
        }
    }
}
