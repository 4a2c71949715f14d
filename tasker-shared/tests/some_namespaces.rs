//! Orchestrators that serve some namespaces take no step of another, and need not read past it.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sqlx::postgres::PgListener;
use support::World;
use tasker_shared::queues::Guard;
use tasker_shared::readiness::{
    self, ClaimedTask, claim_ready_tasks_of, find_ready_tasks_of, fire_and_announce_due_timers,
};
use tasker_testing::WAIT_TIMEOUT;
use tokio::time::timeout;

/// A world with the namespaces `a`, `b` and `c`, each with a template `order` of one step.
async fn world() -> World {
    let mut world = World::new().await;
    for namespace in ["a", "b", "c"] {
        world
            .apply(json!({
                "namespace": namespace, "name": "order", "version": "1.0.0",
                "steps": [{ "name": "only", "handler": "builtin.noop",
                  "retry": { "max_attempts": 3, "base_ms": 1000, "backoff": "fixed",
                             "jitter": false } }],
            }))
            .await;
    }
    world
}

async fn submit(world: &mut World, namespace: &str, priority: i32, count: usize) {
    world
        .run(format!(
            "select tasker.submit_task('{namespace}', 'order', p_priority => {priority}) \
             from generate_series(1, {count})"
        ))
        .await;
}

async fn claim(world: &mut World, limit: i32, namespaces: &[&str]) -> Vec<ClaimedTask> {
    let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    claim_ready_tasks_of(
        &mut world.connection,
        "o",
        limit,
        &namespaces,
        Guard::AfterFailure,
    )
    .await
    .unwrap()
    .tasks
}

fn by_namespace(claimed: &[ClaimedTask]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for task in claimed {
        *counts.entry(task.namespace.as_str()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_restricted_claim_takes_the_most_urgent_of_its_namespaces_and_nothing_else() {
    let mut world = world().await;
    submit(&mut world, "a", 9, 20).await;
    submit(&mut world, "b", 0, 5).await;
    submit(&mut world, "c", 5, 5).await;

    let first = claim(&mut world, 6, &["b", "c"]).await;
    let second = claim(&mut world, 100, &["b", "c"]).await;

    assert_eq!(by_namespace(&first), BTreeMap::from([("b", 1), ("c", 5)]));
    assert_eq!(first[0].priority, 5);
    assert_eq!(by_namespace(&second), BTreeMap::from([("b", 4)]));
    assert_eq!(claim(&mut world, 100, &[]).await.len(), 20);
    world.assert_healthy().await;
}

#[tokio::test]
async fn two_restricted_claims_at_once_share_what_is_ready() {
    let mut world = world().await;
    submit(&mut world, "b", 0, 20).await;
    let mut other = world.begin().await;

    let namespaces = ["b".to_owned()];
    let first = claim_ready_tasks_of(&mut other, "o-2", 8, &namespaces, Guard::AfterFailure)
        .await
        .unwrap()
        .tasks;
    let second = claim(&mut world, 8, &["b"]).await;
    other.commit().await.unwrap();

    assert_eq!((first.len(), second.len()), (8, 8));
    assert_eq!(claim(&mut world, 8, &["b"]).await.len(), 4);
    world.assert_healthy().await;
}

#[tokio::test]
async fn void_rows_do_not_hide_what_is_ready_from_a_restricted_claim() {
    let mut world = world().await;
    submit(&mut world, "b", 9, 50).await;
    // A claim that holds the rows keeps the cancellations from deleting them.
    let mut holder = world.begin().await;
    sqlx::query("select from tasker.ready_steps for update")
        .execute(&mut *holder)
        .await
        .unwrap();
    world
        .run("select tasker.cancel_task(task_uuid, 'test') from tasker.tasks")
        .await;
    holder.rollback().await.unwrap();
    submit(&mut world, "b", 0, 1).await;

    assert_eq!(claim(&mut world, 10, &["b"]).await.len(), 1);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_restricted_look_finds_its_own_alone() {
    let mut world = world().await;
    submit(&mut world, "a", 9, 20).await;
    submit(&mut world, "b", 0, 2).await;

    let namespaces = ["b".to_owned(), "nowhere".to_owned()];
    let found = find_ready_tasks_of(&mut world.connection, Duration::ZERO, 10, &namespaces)
        .await
        .unwrap();

    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|task| task.namespace == "b"));
}

#[tokio::test]
async fn retries_fired_for_others_are_announced_to_them() {
    let mut world = world().await;
    submit(&mut world, "a", 0, 1).await;
    world
        .run(
            "select tasker.claim_ready_tasks('o', 1);
             select tasker.receive_steps('{a}', 'w', 1, 30000);
             select tasker.complete_steps('w', array_agg(task_uuid), array_agg(step_no),
               array_agg(attempt), array_agg(msg_id), '{a}', '{retry}', array['{}'::jsonb],
               array[0::bigint])
             from tasker.steps",
        )
        .await;
    let mut listener = PgListener::connect(world.db.url()).await.unwrap();
    listener.listen("tasker_task_ready.a").await.unwrap();

    let fired = fire_and_announce_due_timers(&mut world.connection, 10)
        .await
        .unwrap();

    assert_eq!(fired.fired, 1);
    let told = timeout(WAIT_TIMEOUT, listener.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(told.payload().contains("step_transition"), "{told:?}");
    assert_eq!(claim(&mut world, 10, &["a"]).await.len(), 1);
    world.assert_healthy().await;
}

/// Rows of other namespaces in front must cost nothing: tuples are counted, not time.
#[tokio::test]
async fn a_restricted_claim_reads_no_more_however_much_is_ready_elsewhere() {
    let mut world = world().await;
    submit(&mut world, "a", 9, 3000).await;
    submit(&mut world, "b", 0, 30).await;
    let read = "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) \
                from pg_stat_xact_user_tables \
                where schemaname = 'tasker' and relname = 'ready_steps'";
    let namespaces = ["b".to_owned()];
    for call in ["claim", "find"] {
        let mut transaction = world.begin().await;
        let mut found = 0;
        if call == "claim" {
            found +=
                claim_ready_tasks_of(&mut transaction, "o", 10, &namespaces, Guard::AfterFailure)
                    .await
                    .unwrap()
                    .tasks
                    .len();
        } else {
            let look = find_ready_tasks_of(&mut transaction, Duration::ZERO, 10, &namespaces);
            found += look.await.unwrap().len();
        }
        let tuples: i64 = sqlx::query_scalar(read)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(found, 10, "{call}");
        assert!(tuples < 100, "{call} read {tuples} rows");
    }
    let all = readiness::find_ready_tasks(&mut world.connection, Duration::ZERO, 10)
        .await
        .unwrap();
    assert!(all.iter().all(|task| task.namespace == "a"));
}
