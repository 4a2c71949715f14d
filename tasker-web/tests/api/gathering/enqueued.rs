//! Tasks whose first steps are enqueued by the transaction that submits them, for the orchestrator beside
//! the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tasker_shared::tasks::Enqueuing;
use tasker_testing::{WAIT_TIMEOUT, wait_until};
use tasker_web::OrchestratorBeside;
use tokio::time::timeout;

use super::{TASKS, count, order};
use crate::support::{Answer, Api, TEMPLATE};

const PENDING: &str = "select count(*) from tasker.tasks where state = 'pending'";
const READY: &str = "select count(*) from tasker.ready_steps";
const MESSAGES: &str = "select count(*) from pgmq.q_worker_shop_queue";
/// Tasks that are as a claim would leave them.
const STARTED: &str = "
    select count(*) from tasker.tasks t
    join tasker.steps s on s.task_uuid = t.task_uuid and s.step_no = 1
    join pgmq.q_worker_shop_queue q on q.msg_id = s.msg_id
    where t.state = 'in_progress' and t.started_at = s.enqueued_at and s.state = 'enqueued'
      and exists (select from tasker.task_transitions l where l.task_uuid = t.task_uuid
        and l.to_state = 'in_progress' and l.actor = 'this-one')
      and exists (select from tasker.step_transitions l where l.task_uuid = t.task_uuid
        and l.to_state = 'enqueued' and l.actor = 'this-one')";

/// An API beside an orchestrator of these namespaces (all, where none is named), which counts what is enqueued.
pub(super) async fn beside_an_orchestrator(namespaces: &[&str]) -> (Api, Arc<AtomicU64>) {
    let enqueued = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&enqueued);
    let api = Api::with(OrchestratorBeside {
        enqueuing: Enqueuing {
            processor: "this-one".to_owned(),
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
        },
        enqueued: Box::new(move |tasks| {
            counted.fetch_add(tasks, Ordering::Relaxed);
        }),
    })
    .await;
    api.apply(TEMPLATE).await;
    (api, enqueued)
}

async fn run(api: &Api, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    sql.execute(api.database.pool()).await.unwrap();
}

async fn is_healthy(api: &Api) -> bool {
    count(api, "select count(*) from tasker.doctor()").await == 0
}

#[tokio::test]
async fn single_tasks_and_batches_begin_as_a_claim_would_leave_them() {
    let (api, enqueued) = beside_an_orchestrator(&[]).await;

    api.post(TASKS, &order(&json!({}))).await.expect(201);
    let many = vec![order(&json!({"context": {"order_id": 7}})); 20];
    let batch = json!({"tasks": many});
    api.post("/v1/tasks/batch", &batch).await.expect(201);
    for answer in join_all(many.iter().map(|task| api.post(TASKS, task))).await {
        answer.expect(201);
    }

    assert_eq!(count(&api, STARTED).await, 41);
    assert_eq!(enqueued.load(Ordering::Relaxed), 41);
    assert_eq!(count(&api, MESSAGES).await, 41);
    assert_eq!(count(&api, READY).await, 0);
    assert!(is_healthy(&api).await);
}

#[tokio::test]
async fn a_known_key_enqueues_nothing_again() {
    let (api, _) = beside_an_orchestrator(&[]).await;
    let task = order(&json!({"idempotency_key": "k"}));
    api.post(TASKS, &task).await.expect(201);

    api.post(TASKS, &task).await.expect(200);
    let tasks = json!({"tasks": [task.clone(), task, order(&json!({"idempotency_key": "l"}))]});
    api.post("/v1/tasks/batch", &tasks).await.expect(201);

    assert_eq!(count(&api, STARTED).await, 2);
    assert_eq!(count(&api, MESSAGES).await, 2);
    assert!(is_healthy(&api).await);
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_words_it_always_was() {
    let (api, _) = beside_an_orchestrator(&[]).await;
    let usual = Api::with_template().await;
    for task in [
        json!({"namespace": "shop", "name": "refund"}),
        order(&json!({"version": "9.9.9"})),
        order(&json!({"context": {"order_id": "seven"}})),
        order(&json!({"priority": 1_000_000})),
    ] {
        let (answer, expected) = (api.post(TASKS, &task).await, usual.post(TASKS, &task).await);
        assert_eq!(
            (answer.status, answer.text),
            (expected.status, expected.text)
        );
    }
    assert_eq!(count(&api, MESSAGES).await, 0);
}

#[tokio::test]
async fn a_locked_queue_holds_up_no_submission() {
    let (api, _) = beside_an_orchestrator(&[]).await;
    let mut other = api.database.pool().begin().await.unwrap();
    sqlx::query("lock table pgmq.q_worker_shop_queue in access exclusive mode")
        .execute(&mut *other)
        .await
        .unwrap();

    for _ in 0..2 {
        let task = order(&json!({}));
        let answer = timeout(WAIT_TIMEOUT, api.post(TASKS, &task)).await;
        answer.unwrap().expect(201);
    }
    let batch = json!({"tasks": vec![order(&json!({})); 3]});
    let answer = timeout(WAIT_TIMEOUT, api.post("/v1/tasks/batch", &batch)).await;
    answer.unwrap().expect(201);

    assert_eq!(count(&api, PENDING).await, 5);
    assert_eq!(count(&api, READY).await, 5);
    other.rollback().await.unwrap();
    assert!(is_healthy(&api).await);
}

#[tokio::test]
async fn a_queue_that_is_missing_or_not_ours_keeps_no_task_from_being_submitted() {
    for trouble in [
        "drop table pgmq.q_worker_shop_queue",
        "alter table pgmq.q_worker_shop_queue rename column message to text",
        "alter table pgmq.q_worker_shop_queue add check (false) not valid",
    ] {
        let (api, _) = beside_an_orchestrator(&[]).await;
        run(&api, trouble).await;

        api.post(TASKS, &order(&json!({}))).await.expect(201);

        assert_eq!(count(&api, PENDING).await, 1, "{trouble}");
        assert_eq!(count(&api, READY).await, 1, "{trouble}");
    }
}

#[tokio::test]
async fn queues_that_lost_their_messages_are_left_to_the_claim_that_refills_them() {
    let (api, _) = beside_an_orchestrator(&[]).await;
    run(&api, "delete from tasker.queues_intact").await;

    api.post(TASKS, &order(&json!({}))).await.expect(201);
    let batch = json!({"tasks": vec![order(&json!({})); 3]});
    api.post("/v1/tasks/batch", &batch).await.expect(201);

    assert_eq!(count(&api, PENDING).await, 4);
    assert_eq!(count(&api, MESSAGES).await, 0);
}

#[tokio::test]
async fn an_orchestrator_enqueues_in_the_namespaces_that_it_serves() {
    for (namespaces, started) in [(["other"], 0), (["shop"], 4)] {
        let (api, enqueued) = beside_an_orchestrator(&namespaces).await;

        api.post(TASKS, &order(&json!({}))).await.expect(201);
        let batch = json!({"tasks": vec![order(&json!({})); 3]});
        api.post("/v1/tasks/batch", &batch).await.expect(201);

        assert_eq!(count(&api, STARTED).await, started);
        assert_eq!(count(&api, MESSAGES).await, started);
        assert_eq!(count(&api, PENDING).await, 4 - started);
        assert_eq!(enqueued.load(Ordering::Relaxed), started.unsigned_abs());
        assert!(is_healthy(&api).await);
    }
}

#[tokio::test]
async fn a_key_in_the_hands_of_another_transaction_holds_up_its_own_task_alone() {
    let (api, _) = beside_an_orchestrator(&[]).await;
    let mut own = api.database.pool().begin().await.unwrap();
    sqlx::query("select tasker.submit_task('shop', 'order', p_idempotency_key => 'k')")
        .execute(&mut *own)
        .await
        .unwrap();
    let same = order(&json!({"idempotency_key": "k"}));
    let same = tokio::spawn(Answer::of(api.client.post(api.url(TASKS)).json(&same)));
    api.until_held_up(1).await;

    let others = (0..3).map(|_| order(&json!({}))).collect::<Vec<_>>();
    let others = join_all(others.iter().map(|task| api.post(TASKS, task)));
    for answer in timeout(WAIT_TIMEOUT, others).await.unwrap() {
        answer.expect(201);
    }
    assert_eq!(count(&api, STARTED).await, 3);
    assert!(!same.is_finished());

    own.rollback().await.unwrap();
    let same = timeout(WAIT_TIMEOUT, same).await.unwrap().unwrap();
    assert_eq!(same.expect(201)["created"], true);
    assert_eq!(count(&api, STARTED).await, 4);
}

#[tokio::test]
async fn a_batch_waits_for_what_another_transaction_holds() {
    for held in [
        "lock table tasker.steps in share mode",
        "select tasker.submit_task('shop', 'order', p_idempotency_key => 'k')",
    ] {
        let (api, _) = beside_an_orchestrator(&[]).await;
        let mut other = api.database.pool().begin().await.unwrap();
        sqlx::query(held).execute(&mut *other).await.unwrap();
        let batch = json!({"tasks": [order(&json!({})), order(&json!({"idempotency_key": "k"}))]});
        let batch = api.client.post(api.url("/v1/tasks/batch")).json(&batch);
        let batch = tokio::spawn(Answer::of(batch));
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
             and datname = current_database() and query like '%submit_tasks_silently%'";
        wait_until("the batch waits", WAIT_TIMEOUT, async || {
            count(&api, waiting).await == 1
        })
        .await;

        other.rollback().await.unwrap();
        let batch = timeout(WAIT_TIMEOUT, batch).await.unwrap().unwrap();
        batch.expect(201);
        assert_eq!(count(&api, PENDING).await, 2, "{held}");
    }
}
