//! What announcements of tasks and their states say.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use tasker_shared::announcements::{self, Announcements};
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::steps;
use tasker_shared::tasks::{self, Enqueuing};
use uuid::Uuid;

use crate::support::{self, DIAMOND, LEASE, SINGLE, WORKER, World, complete};
use crate::{READY, READY_OF_TEST, STATE, STATE_OF_TEST, heard, listen, only};

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
        announcements::notify(&mut world.connection, &announcements)
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
async fn tasks_that_are_enqueued_with_their_submission_are_announced_in_both_states_and_never_as_ready()
 {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let enqueuing = Enqueuing {
        processor: "o".to_owned(),
        namespaces: Vec::new(),
    };
    for count in [1, 3] {
        let mut listener = listen(&world).await;
        let tasks = vec![support::new_task("single"); count];
        let connection = &mut world.connection;
        let submission = tasks::submit_and_enqueue(connection, &tasks, &enqueuing, LEASE).await;
        let submission = submission.unwrap().unwrap();
        assert_eq!(submission.enqueued, count as u64);
        let is_alone = count == 1;
        assert_eq!(submission.announcements.is_empty(), is_alone);
        let queues: &[&str] = if is_alone {
            &[]
        } else {
            &["worker_test_queue"]
        };
        assert_eq!(submission.announcements.queues, queues);
        if !is_alone {
            assert_eq!(heard(&mut world, &mut listener).await, BTreeMap::new());
            announcements::notify(&mut world.connection, &submission.announcements)
                .await
                .unwrap();
        }

        let mut uuids: Vec<_> = submission.submitted.iter().map(|it| it.task_uuid).collect();
        uuids.sort_unstable_by_key(|task_uuid| task_uuid.0);
        let heard = heard(&mut world, &mut listener).await;
        let channels: Vec<_> = heard.keys().map(String::as_str).collect();
        assert_eq!(channels, [STATE, STATE_OF_TEST]);
        for channel in [STATE, STATE_OF_TEST] {
            let states: Vec<_> = heard[channel].iter().map(|it| &it["task_state"]).collect();
            assert_eq!(states, ["pending", "in_progress"]);
            for payload in &heard[channel] {
                assert_eq!(in_order(payload.clone())["task_uuids"], json!(uuids));
            }
        }
    }
}

#[tokio::test]
async fn a_lone_outcome_is_announced_with_its_commit_and_in_the_words_of_the_announcer() {
    const PAIR: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"])];
    let mut world = World::new().await;
    world.template("pair", PAIR).await;
    let mut ways = Vec::new();
    for announces in [false, true] {
        let task = world.submit("pair").await;
        let mut listener = listen(&world).await;
        let mut payloads = Vec::new();
        for _ in 0..2 {
            let step = world.start_one().await;
            heard(&mut world, &mut listener).await;
            let outcome = complete(&step);
            let connection = &mut world.connection;
            let options = steps::ReportOptions {
                announces,
                ..steps::ReportOptions::PLAIN
            };
            let reported = steps::record_outcomes(connection, WORKER, &[outcome], options)
                .await
                .unwrap();
            assert_eq!(reported.announced, announces);
            if !announces {
                assert_eq!(heard(&mut world, &mut listener).await, BTreeMap::new());
                announcements::notify(&mut world.connection, &reported.announcements)
                    .await
                    .unwrap();
            }
            let heard = heard(&mut world, &mut listener).await;
            assert_eq!(heard.len(), 2);
            let text = serde_json::to_string(&heard).unwrap();
            let identity = task.to_string();
            payloads.push(text.replace(&identity[..32], "..."));
        }
        ways.push(payloads);
    }
    assert_eq!(ways[0], ways[1]);
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
        announcements::notify(&mut world.connection, &announcements)
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
    announcements::notify(&mut world.connection, &reported.announcements)
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

    announcements::notify(&mut world.connection, &reported.announcements)
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
async fn every_state_that_a_task_enters_is_announced_once() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut listener = listen(&world).await;
    let mut aloud = vec![world.submit("single").await];
    let silent = [support::new_task("single")];
    let silent = tasks::submit_tasks_silently(&mut world.connection, &silent, None).await;
    let silent = silent.unwrap();
    let announcements = Announcements::of_submitted(&silent);
    announcements::notify(&mut world.connection, &announcements)
        .await
        .unwrap();
    aloud.push(silent[0].task_uuid);

    world.claim().await;
    let running = world.receive().await;
    let reports = [complete(&running[0]), support::fail(&running[1])];
    let reported = world.report(&reports).await;
    announcements::notify(&mut world.connection, &reported.announcements)
        .await
        .unwrap();
    let failed = running[1].id.task_uuid;
    Action::RetryStep("only")
        .carry_out(&mut world.connection, failed, "op", None)
        .await
        .unwrap();
    Action::CancelTask
        .carry_out(&mut world.connection, failed, "op", None)
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
    Action::SettleStep("a", &skip)
        .carry_out(&mut world.connection, task, "op", None)
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
async fn a_cancellation_is_announced_with_its_state() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    let mut listener = listen(&world).await;

    Action::CancelTask
        .carry_out(&mut world.connection, task, "op", None)
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

    announcements::notify(&mut world.connection, &announcements)
        .await
        .unwrap();

    assert_eq!(heard(&mut world, &mut listener).await, BTreeMap::new());
}
