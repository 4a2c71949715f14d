//! Tasks of one version of a template, and tasks that are named one by one, beside every other filter.

use serde_json::{Value, json};
use tasker_shared::bulk::{BulkAction, BulkFilter, count_matching_tasks};
use tasker_shared::ids::TaskUuid;
use tasker_shared::state::TaskState;
use tasker_shared::tasks::TaskFilter;

use crate::support::{World, fail};
use crate::{apply, by, find};

/// Submits a task of a version, in which `n` is 1.
async fn submit(world: &mut World, namespace: &str, version: &str) -> TaskUuid {
    world
        .submit_with("order", |task| {
            namespace.clone_into(&mut task.namespace);
            task.version = Some(version.to_owned());
            task.context = json!({"n": 1});
            task.idempotency_key = Some(format!("key of {version}"));
        })
        .await
}

async fn count(world: &mut World, action: BulkAction, filter: &BulkFilter) -> i64 {
    count_matching_tasks(&mut world.connection, action, filter)
        .await
        .unwrap()
}

#[tokio::test]
async fn tasks_are_found_by_the_version_of_their_template() {
    let mut world = World::new().await;
    apply(&mut world, "order", "1.0.0", &["n"]).await;
    apply(&mut world, "order", "1.1.0", &["n"]).await;
    let old = submit(&mut world, "test", "1.0.0").await;
    let new = submit(&mut world, "test", "1.1.0").await;
    let pending = |filter: &mut TaskFilter| filter.state = Some(TaskState::Pending);
    let named = |filter: &mut TaskFilter| filter.name = Some("order".to_owned());
    let keyed = |filter: &mut TaskFilter| filter.key = Some("key of 1.0.0".to_owned());
    let ways: [&dyn Fn(&mut TaskFilter); 4] = [&|_| (), &pending, &named, &keyed];
    for (number, conditions) in [&[][..], &["n=1"], &["n>0"]].into_iter().enumerate() {
        for (way, restrict) in ways.iter().enumerate() {
            for (version, expected) in [("1.0.0", Some(old)), ("1.1.0", Some(new)), ("2.0.0", None)]
            {
                let mut filter = by(conditions);
                filter.version = Some(version.to_owned());
                restrict(&mut filter);
                // The key is that of the older.
                let expected = expected.filter(|task| way != 3 || *task == old);
                let found = find(&mut world, &filter).await.unwrap();
                assert_eq!(found, Vec::from_iter(expected), "{number} {way} {version}");
            }
        }
    }
}

#[tokio::test]
async fn conditions_find_no_task_of_another_namespace() {
    let mut world = World::new().await;
    apply(&mut world, "order", "1.0.0", &["n"]).await;
    world
        .apply(json!({
            "namespace": "other", "name": "order", "version": "1.0.0", "search": ["n"],
            "steps": [{ "name": "only", "handler": "h" }],
        }))
        .await;
    // Those of the state are fewer than those of the value.
    for _ in 0..3 {
        submit(&mut world, "test", "1.0.0").await;
    }
    world
        .run("update tasker.tasks set state = 'complete', finished_at = now()")
        .await;
    submit(&mut world, "other", "1.0.0").await;
    let filter = TaskFilter {
        namespace: Some("test".to_owned()),
        state: Some(TaskState::Pending),
        ..by(&["n=1"])
    };
    assert!(find(&mut world, &filter).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_act_is_about_the_tasks_that_it_names_whatever_their_state() {
    let mut world = World::new().await;
    apply(&mut world, "order", "1.0.0", &["n"]).await;
    let failed = submit(&mut world, "test", "1.0.0").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    let waits = world.submit("order").await;
    world.submit("order").await;
    let selected = |tasks: &[TaskUuid]| BulkFilter {
        tasks: Some(tasks.to_vec()),
        ..BulkFilter::default()
    };
    let both = selected(&[failed, waits, failed, TaskUuid(uuid())]);
    for action in [BulkAction::Retry, BulkAction::Cancel, BulkAction::Resolve] {
        assert_eq!(count(&mut world, action, &both).await, 2, "{action:?}");
    }
    let in_error = BulkFilter {
        state: Some(TaskState::Error),
        ..both.clone()
    };
    assert_eq!(count(&mut world, BulkAction::Cancel, &in_error).await, 1);
    let keyed = BulkFilter {
        key: Some("key of 1.0.0".to_owned()),
        ..both.clone()
    };
    assert_eq!(count(&mut world, BulkAction::Retry, &keyed).await, 1);
    let searched = BulkFilter {
        conditions: by(&["n=1"]).conditions,
        ..both
    };
    assert_eq!(count(&mut world, BulkAction::Retry, &searched).await, 1);
}

#[tokio::test]
async fn a_list_of_tasks_that_cannot_be_read_is_refused() {
    let mut world = World::new().await;
    let many: Vec<_> = (0..501).map(|_| uuid().to_string()).collect();
    for tasks in [
        json!([]),
        json!(many),
        json!("x"),
        json!(["x"]),
        json!([7]),
        json!({}),
    ] {
        let counted =
            sqlx::query_scalar::<_, i64>("select tasker.count_matching_tasks('retry', $1)")
                .bind::<Value>(json!({ "tasks": tasks }))
                .fetch_one(&mut world.connection)
                .await;
        let refused = counted.unwrap_err();
        let code = refused.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, "TK400", "{refused}");
        assert!(refused.to_string().contains("filter.tasks"), "{refused}");
    }
}

fn uuid() -> sqlx::types::Uuid {
    "01890a5d-ac96-774b-bcce-b302099a0000".parse().unwrap()
}
