//! A process of tasker 0.1.0, as far as the database sees it: the statements that it sends, as that
//! release wrote them. Nothing in here follows what later builds send.

use serde_json::Value;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// One step in its hands.
struct Step {
    task_uuid: Uuid,
    number: i32,
    msg_id: i64,
    namespace: String,
    receipt: i32,
}

/// Claims what is ready, and fires timers; answers how many tasks had something.
pub(crate) async fn orchestrate(connection: &mut PgConnection, name: &str) -> usize {
    let claimed = sqlx::query("select * from tasker.claim_ready_tasks($1, $2, $3, $4)")
        .bind(name)
        .bind(20_i32)
        .bind(None::<Vec<String>>)
        .bind(false)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    for row in &claimed {
        row.get::<Option<Uuid>, _>("task_uuid");
        row.get::<String, _>("namespace");
    }
    sqlx::query("select fired, woken_queues, next_due_ms from tasker.fire_due_timers($1, $2)")
        .bind(100_i32)
        .bind(true)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    sqlx::query("select * from tasker.find_ready_tasks($1, $2, $3)")
        .bind(0_i64)
        .bind(10_i32)
        .bind(None::<Vec<String>>)
        .fetch_all(connection)
        .await
        .unwrap();
    claimed.len()
}

/// Receives up to ten steps, extends their leases, gives the last one back where there are ten, and
/// completes the others, going on with what follows them; answers how many were completed.
pub(crate) async fn work(connection: &mut PgConnection, name: &str) -> usize {
    let rows = sqlx::query(
        "select task_uuid, step_no, msg_id, namespace, template, step_name, handler, attempt, \
          receipt, max_attempts, timeout_ms, priority, context::text, input::text, \
          dependency_results::text, expired, problem \
        from tasker.receive_steps($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(vec!["test".to_owned()])
    .bind(name)
    .bind(10_i32)
    .bind(30_000_i64)
    .bind(vec!["builtin.noop".to_owned()])
    .bind(67_108_864_i64)
    .bind(false)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut held = rows.iter().filter_map(step).collect::<Vec<_>>();
    extend(connection, name, &held).await;
    if held.len() == 10 {
        release(connection, name, held.pop().unwrap()).await;
    }
    let mut completed = 0;
    while !held.is_empty() {
        let (next, recorded) = complete(connection, name, held).await;
        completed += recorded;
        held = next;
    }
    completed
}

fn step(row: &sqlx::postgres::PgRow) -> Option<Step> {
    for text in ["template", "step_name", "handler", "context", "input"] {
        row.get::<Option<String>, _>(text);
    }
    Some(Step {
        task_uuid: row.get::<Option<Uuid>, _>("task_uuid")?,
        number: row.get("step_no"),
        msg_id: row.get("msg_id"),
        namespace: row.get("namespace"),
        receipt: row.get("receipt"),
    })
}

async fn extend(connection: &mut PgConnection, name: &str, held: &[Step]) {
    sqlx::query("select position, reason from tasker.extend_leases($1, $2, $3, $4, $5)")
        .bind(name)
        .bind(held.iter().map(|it| it.task_uuid).collect::<Vec<_>>())
        .bind(held.iter().map(|it| it.number).collect::<Vec<_>>())
        .bind(held.iter().map(|it| it.receipt).collect::<Vec<_>>())
        .bind(30_000_i64)
        .fetch_all(connection)
        .await
        .unwrap();
}

/// Until nobody holds its task.
async fn release(connection: &mut PgConnection, name: &str, step: Step) {
    loop {
        let released = sqlx::query("select * from tasker.release_steps($1, $2, $3, $4, $5, $6)")
            .bind(name)
            .bind(vec![step.task_uuid])
            .bind(vec![step.number])
            .bind(vec![step.receipt])
            .bind(vec![step.msg_id])
            .bind(vec![step.namespace.clone()])
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        if released.get::<Vec<i32>, _>("locked").is_empty() {
            return;
        }
    }
}

/// Answers the steps that follow and those whose tasks others held, and how many outcomes were
/// recorded.
async fn complete(
    connection: &mut PgConnection,
    name: &str,
    held: Vec<Step>,
) -> (Vec<Step>, usize) {
    let count = held.len();
    let rows = sqlx::query(
        "select stale, locked, ready_tasks, finished_tasks, cancelled_tasks, woken_queues, \
          timer_set, task_uuid, step_no, msg_id, namespace, template, step_name, handler, attempt, \
          receipt, max_attempts, timeout_ms, priority, context::text, input::text, \
          dependency_results::text, expired, problem \
        from tasker.complete_steps($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(name)
    .bind(held.iter().map(|it| it.task_uuid).collect::<Vec<_>>())
    .bind(held.iter().map(|it| it.number).collect::<Vec<_>>())
    .bind(held.iter().map(|it| it.receipt).collect::<Vec<_>>())
    .bind(held.iter().map(|it| it.msg_id).collect::<Vec<_>>())
    .bind(
        held.iter()
            .map(|it| it.namespace.clone())
            .collect::<Vec<_>>(),
    )
    .bind(vec!["complete"; count])
    .bind(vec![sqlx::types::Json(Value::from("of 0.1.0")); count])
    .bind(vec![None::<i64>; count])
    .bind(vec![true; count])
    .bind(vec!["builtin.noop".to_owned()])
    .bind(30_000_i64)
    .bind(true)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let (first, followed) = rows.split_first().unwrap();
    announce(connection, first).await;
    let stale = first.get::<Vec<i32>, _>("stale").len();
    let locked = first.get::<Vec<i32>, _>("locked");
    let mut next = followed.iter().filter_map(step).collect::<Vec<_>>();
    let positions = (1..).zip(held);
    next.extend(positions.filter_map(|(at, step)| locked.contains(&at).then_some(step)));
    (next, count - stale - locked.len())
}

async fn announce(connection: &mut PgConnection, moved: &sqlx::postgres::PgRow) {
    let ready = moved.get::<Vec<Uuid>, _>("ready_tasks");
    sqlx::query("select tasker.announce($1, $2, $3, $4, $5, $6, $7)")
        .bind(&ready)
        .bind(moved.get::<Vec<Uuid>, _>("finished_tasks"))
        .bind(moved.get::<Vec<String>, _>("woken_queues"))
        .bind(moved.get::<bool, _>("timer_set"))
        .bind(vec![None::<Uuid>; ready.len()])
        .bind(Vec::<Uuid>::new())
        .bind(Vec::<Uuid>::new())
        .execute(connection)
        .await
        .unwrap();
}

/// Submits tasks of a template in one call.
pub(crate) async fn submit(connection: &mut PgConnection, template: &str, count: usize) {
    let task = serde_json::json!({ "namespace": "test", "name": template, "context": {} });
    let rows = sqlx::query(
        "select task_uuid, created, context_differs from tasker.submit_tasks($1) order by position",
    )
    .bind(sqlx::types::Json(vec![task; count]))
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let task = rows[0].get::<Uuid, _>("task_uuid");
    let _: Option<String> = sqlx::query_scalar("select tasker.get_task($1)::text")
        .bind(task)
        .fetch_one(connection)
        .await
        .unwrap();
}
