//! Which tasks an act is about.

use serde_json::{Value, json};
use tasker_shared::bulk::{BulkAction, BulkFilter, list_bulk_acts, start_bulk_act};
use tasker_shared::error::RefusalKind;
use tasker_shared::state::TaskState;
use uuid::Uuid;

use crate::support::{SINGLE, World};
use crate::{carry_out, count, in_state, of_test, start, with_failed};

/// The tasks that an act which cancels what is pending would be about.
async fn pending(world: &mut World, filter: Value) -> Vec<Uuid> {
    let mut found: Vec<Uuid> = sqlx::query_scalar(
        "select tasker.matching_tasks(
           tasker.bulk_filter('cancel', $1 || '{\"state\": \"pending\"}'), null, 100
         )",
    )
    .bind(filter)
    .fetch_all(&mut world.connection)
    .await
    .unwrap();
    found.sort();
    found
}

#[tokio::test]
async fn each_key_of_a_filter_leaves_out_what_it_does_not_name() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.template("other", SINGLE).await;
    world
        .apply(json!({
            "namespace": "shop", "name": "single", "version": "1.0.0",
            "steps": [{"name": "only", "handler": "builtin.noop"}],
        }))
        .await;
    let keyed = world
        .submit_with("single", |task| task.idempotency_key = Some("k".to_owned()))
        .await;
    let other = world.submit("other").await;
    let in_shop = world
        .submit_with("single", |task| "shop".clone_into(&mut task.namespace))
        .await;
    let all = [keyed.0, other.0, in_shop.0];
    for (filter, matches) in [
        (json!({}), &all[..]),
        (json!({"namespace": "shop"}), &all[2..]),
        (json!({"name": "other"}), &all[1..2]),
        (json!({"key": "k"}), &all[..1]),
        (json!({"since": "2020-01-01"}), &all[..]),
        (json!({"since": "2999-01-01"}), &[]),
        (json!({"until": "2020-01-01"}), &[]),
        (json!({"until": "2999-01-01"}), &all[..]),
        (json!({"namespace": "shop", "key": "k"}), &[]),
    ] {
        let mut matches = matches.to_vec();
        matches.sort();
        assert_eq!(
            pending(&mut world, filter.clone()).await,
            matches,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn an_act_is_for_the_states_that_can_take_it() {
    let mut world = World::new().await;
    for (action, filter, state) in [
        ("retry", json!({}), Some("error")),
        (
            "retry",
            json!({"state": "in_progress"}),
            Some("in_progress"),
        ),
        ("retry", json!({"state": "pending"}), None),
        ("resolve", json!({}), Some("error")),
        ("resolve", json!({"state": "in_progress"}), None),
        ("cancel", json!({}), None),
        ("cancel", json!({"step": "a"}), Some("error")),
        ("cancel", json!({"error": "a"}), Some("error")),
        (
            "cancel",
            json!({"error": "a", "state": "in_progress"}),
            Some("in_progress"),
        ),
        ("cancel", json!({"state": "pending"}), Some("pending")),
        ("cancel", json!({"state": "error"}), Some("error")),
        ("cancel", json!({"state": "resolved_manually"}), None),
        ("explode", json!({"state": "error"}), None),
    ] {
        let taken: Result<Option<String>, _> =
            sqlx::query_scalar("select tasker.bulk_filter($1, $2) ->> 'state'")
                .bind(action)
                .bind(&filter)
                .fetch_one(&mut world.connection)
                .await;
        assert_eq!(taken.ok().flatten().as_deref(), state, "{action} {filter}");
    }
}

#[tokio::test]
async fn a_count_ends_at_its_limit() {
    let (mut world, _) = with_failed(3).await;
    for (limit, counted) in [(2, 2), (3, 3), (4, 3)] {
        let count: i64 = world
            .value(format!(
                "select tasker.count_matching_tasks('retry', '{{}}', {limit})"
            ))
            .await;
        assert_eq!(count, counted);
    }
}

#[tokio::test]
async fn a_time_is_kept_in_the_form_that_all_readers_know() {
    let (mut world, _) = with_failed(1).await;
    world
        .run("select tasker.start_bulk_act('retry', '{\"since\": \"2020-05-01\"}', 'me')")
        .await;
    let acts = list_bulk_acts(&mut world.connection, 10).await.unwrap();
    let since = acts[0].filter.since.unwrap().to_rfc3339();
    assert!(since.starts_with("2020-0"), "{since}");
    assert_eq!(carry_out(&mut world, acts[0].bulk_uuid).await.0.done, 1);
}

#[tokio::test]
async fn tasks_are_found_by_what_a_filter_says() {
    let (mut world, tasks) = with_failed(3).await;
    world
        .run(format!(
            "update tasker.steps set error = error || '{{\"message\": \"bank is closed\"}}'
             where task_uuid = '{}'",
            tasks[1]
        ))
        .await;
    let filter = BulkFilter {
        step: Some("only".to_owned()),
        error: Some("Bank".to_owned()),
        ..of_test()
    };
    let bulk = start(&mut world, BulkAction::Resolve, &filter).await;
    let (act, _) = carry_out(&mut world, bulk).await;

    assert_eq!((act.done, act.filter.error.as_deref()), (1, Some("Bank")));
    assert_eq!(
        world.task_state(tasks[1]).await,
        TaskState::ResolvedManually
    );
    assert_eq!(in_state(&mut world, "error").await, 2);
    let nothing = BulkFilter {
        step: Some("another".to_owned()),
        ..of_test()
    };
    assert_eq!(count(&mut world, &nothing).await, 0);
}

#[tokio::test]
async fn a_filter_that_is_not_for_the_action_is_refused_before_anything_is_noted() {
    let (mut world, _) = with_failed(1).await;
    let complete = BulkFilter {
        state: Some(TaskState::Complete),
        ..of_test()
    };
    for (action, filter, says) in [
        (
            BulkAction::Cancel,
            of_test(),
            "say which state the tasks are in: cancel",
        ),
        (
            BulkAction::Retry,
            complete.clone(),
            "no task that is complete can take this: retry",
        ),
        (
            BulkAction::Cancel,
            complete,
            "its filter takes the state pending or in_progress or error",
        ),
    ] {
        let refused = start_bulk_act(&mut world.connection, action, &filter, "me", None).await;
        let refusal = refused.unwrap_err().refusal().unwrap().clone();
        assert_eq!(refusal.kind, RefusalKind::InvalidInput);
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
    for (filter, says) in [
        (json!({"colour": "red"}), "the filter has no key 'colour'"),
        (json!({"name": 7}), "filter.name is no text"),
        (json!([]), "the filter is no object"),
        (json!({"since": "soon"}), "filter.since is no time"),
        (json!({"until": "infinity"}), "filter.until is no time"),
        (json!({"until": "2030-02-30"}), "filter.until is no time"),
    ] {
        let refused = sqlx::query("select tasker.start_bulk_act('retry', $1, 'me')")
            .bind(filter)
            .execute(&mut world.connection)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    assert!(
        list_bulk_acts(&mut world.connection, 10)
            .await
            .unwrap()
            .is_empty()
    );
}
