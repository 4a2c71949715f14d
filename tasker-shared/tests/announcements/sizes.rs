//! Announcements of many tasks are payloads that PostgreSQL takes.

use serde_json::{Value, json};
use tasker_shared::announcements;
use tasker_shared::ids::TaskUuid;
use tasker_shared::steps::StepReport;

use crate::support::{SINGLE, World, complete};
use crate::{READY, STATE, STATE_OF_TEST, heard, listen, longest, only};

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

    announcements::notify(&mut world.connection, &reported.announcements)
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
