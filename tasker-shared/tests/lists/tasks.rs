//! One task: what it amounts to, its steps, its history.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tasker_shared::ids::{StepId, TaskUuid};
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::state::{StepState, TaskState};
use tasker_shared::steps::StepOutcome;
use tasker_shared::tasks::{self, NewTask};

use crate::support::{DIAMOND, SINGLE, WORKER, World, complete, fail, report, retry};

const LINEAR: &[(&str, &[&str])] = &[("first", &[]), ("second", &["first"])];

#[tokio::test]
async fn the_execution_status_follows_a_task_through_all_it_can_go_through() {
    let mut world = World::new().await;
    world.template("t", DIAMOND).await;
    let task = world.submit("t").await;
    assert_eq!(
        context(&mut world, task).await,
        json!({
            "total_steps": 4, "pending_steps": 4, "ready_steps": 1,
            "execution_status": "has_ready_steps",
        })
    );

    world.claim().await;
    assert_eq!(status(&mut world, task).await, "processing");
    let first = world.receive().await.remove(0);
    assert_eq!(
        context(&mut world, task).await,
        json!({
            "total_steps": 4, "pending_steps": 3, "in_progress_steps": 1,
            "execution_status": "processing",
        })
    );

    world.report(&[retry(&first)]).await;
    assert_eq!(
        context(&mut world, task).await,
        json!({
            "total_steps": 4, "pending_steps": 3, "waiting_for_retry_steps": 1,
            "execution_status": "waiting",
        })
    );

    world.operate(task, Action::RetryStep("a")).await;
    let first = world.start_one().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;
    world
        .report(&[fail(&branches[0]), complete(&branches[1])])
        .await;
    assert_eq!(
        context(&mut world, task).await,
        json!({
            "total_steps": 4, "pending_steps": 1, "completed_steps": 2, "failed_steps": 1,
            "execution_status": "blocked_by_failures",
        })
    );

    let skip = Settlement::Skip(json!(null));
    world.operate(task, Action::SettleStep("b", &skip)).await;
    assert_eq!(status(&mut world, task).await, "has_ready_steps");
    world.run_all().await;
    assert_eq!(
        context(&mut world, task).await,
        json!({ "total_steps": 4, "completed_steps": 4, "execution_status": "all_complete" })
    );
}

#[tokio::test]
async fn the_execution_status_of_a_cancelled_task_tells_whether_something_still_runs() {
    let mut world = World::new().await;
    world.template("t", LINEAR).await;
    let task = world.submit("t").await;
    let step = world.start_one().await;
    world.operate(task, Action::CancelTask).await;

    assert_eq!(status(&mut world, task).await, "processing");
    world.report(&[complete(&step)]).await;

    assert_eq!(
        context(&mut world, task).await,
        json!({
            "total_steps": 2, "completed_steps": 1, "cancelled_steps": 1,
            "execution_status": "cancelled",
        })
    );
}

#[tokio::test]
async fn a_complete_task_is_read_alike_both_ways_and_no_other_by_the_cheaper_one() {
    let mut world = World::new().await;
    world.template("t", DIAMOND).await;
    let with_key = |task: &mut NewTask| {
        task.idempotency_key = Some("order-1".to_owned());
        task.context = json!({ "order_id": 1 });
        task.priority = 7;
    };
    let task = world.submit_with("t", with_key).await;
    let first = world.start_one().await;
    world.report(&[retry(&first)]).await;
    assert_eq!(cheaply(&mut world, task).await, Value::Null);
    world.operate(task, Action::RetryStep("a")).await;
    let first = world.start_one().await;
    world
        .report(&[report(&first, StepOutcome::Complete(json!(null)))])
        .await;
    world.claim().await;
    let branches = world.receive().await;
    world
        .report(&[fail(&branches[0]), complete(&branches[1])])
        .await;
    assert_eq!(cheaply(&mut world, task).await, Value::Null);
    let skip = Settlement::Skip(json!(null));
    world.operate(task, Action::SettleStep("b", &skip)).await;
    world.run_all().await;

    let wholly = tasks::get_task(&mut world.connection, task).await.unwrap();
    let wholly = serde_json::to_value(wholly).unwrap();
    assert_eq!(wholly["state"], "complete");
    assert_eq!(wholly["steps"][3]["depends_on"], json!(["b", "c"]));
    assert_eq!(cheaply(&mut world, task).await, wholly);
}

/// The task as it is answered to clients that waited; null where that is not so.
async fn cheaply(world: &mut World, task: TaskUuid) -> Value {
    let task = tasks::get_complete_task(&mut world.connection, task).await;
    serde_json::to_value(task.unwrap()).unwrap()
}

#[tokio::test]
async fn an_unknown_task_is_nothing_everywhere() {
    let mut world = World::new().await;
    let unknown = TaskUuid("01890a5d-ac96-774b-bcce-b302099a0000".parse().unwrap());

    let connection = &mut world.connection;
    assert!(
        tasks::get_task(connection, unknown)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        tasks::task_is_terminal(connection, unknown).await.unwrap(),
        None
    );
    assert!(
        tasks::task_history(connection, unknown)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        tasks::ended_tasks(connection, &[unknown])
            .await
            .unwrap()
            .is_empty()
    );
    let contexts: i64 = world
        .value(format!(
            "select count(*) from tasker.get_task_execution_context('{unknown}')"
        ))
        .await;
    assert_eq!(contexts, 0);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_task_is_shown_with_everything_that_is_known_of_it() {
    let mut world = World::new().await;
    world.template("t", DIAMOND).await;
    let task = world
        .submit_with("t", |task| {
            task.context = json!({ "order_id": 7 });
            task.priority = 3;
            task.idempotency_key = Some("k".to_owned());
        })
        .await;
    let first = world.start_one().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let branches = world.receive().await;
    world.report(&[retry(&branches[0])]).await;

    let shown: Value = world
        .value(format!("select tasker.get_task('{task}')"))
        .await;

    let keys = shown.as_object().unwrap().keys().map(String::as_str);
    assert_eq!(
        keys.collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "task_uuid",
            "namespace",
            "name",
            "version",
            "state",
            "priority",
            "context",
            "idempotency_key",
            "reason",
            "created_at",
            "started_at",
            "finished_at",
            "execution_status",
            "results_omitted",
            "steps",
        ])
    );
    let keys = shown["steps"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str);
    assert_eq!(
        keys.collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "name",
            "step_uuid",
            "state",
            "handler",
            "input",
            "depends_on",
            "attempts",
            "max_attempts",
            "result",
            "result_bytes",
            "error",
            "worker",
            "enqueued_at",
            "started_at",
            "finished_at",
            "retry_at",
            "waits_for",
        ])
    );

    let shown = world.task(task).await;
    assert_eq!(shown.summary.state, TaskState::InProgress);
    assert_eq!(
        (shown.summary.priority, shown.context),
        (3, json!({ "order_id": 7 }))
    );
    assert_eq!(shown.idempotency_key.as_deref(), Some("k"));
    assert!(shown.summary.started_at.is_some() && shown.summary.finished_at.is_none());
    let names = shown.steps.iter().map(|step| step.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    for (step, step_no) in shown.steps.iter().zip(1..) {
        let id = StepId {
            task_uuid: task,
            step_no,
        };
        assert_eq!(step.step_uuid, id.step_uuid());
    }
    let [a, b, c, d] = shown.steps.as_slice() else {
        panic!("four steps");
    };
    assert_eq!(a.state, StepState::Complete);
    assert_eq!(a.result, Some(json!({ "done": "a" })));
    assert_eq!((a.attempts, a.worker.as_deref()), (1, Some(WORKER)));
    assert!(a.enqueued_at <= a.started_at && a.started_at <= a.finished_at);
    assert_eq!(b.state, StepState::WaitingForRetry);
    assert_eq!(b.error.as_ref().unwrap()["kind"], "handler_failed");
    assert!(b.retry_at > b.started_at && b.finished_at.is_none());
    assert_eq!((c.state, c.max_attempts), (StepState::InProgress, 3));
    assert!(c.finished_at.is_none() && c.result.is_none() && c.retry_at.is_none());
    assert_eq!((d.state, d.attempts), (StepState::Pending, 0));
    assert_eq!(d.depends_on, ["b", "c"]);
    assert!(d.enqueued_at.is_none() && d.worker.is_none());
}

#[tokio::test]
async fn a_null_result_is_shown_as_a_result() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let task = world.submit("t").await;
    let step = world.start_one().await;
    world
        .report(&[report(&step, StepOutcome::Complete(json!(null)))])
        .await;

    let stored: String = world.value("select result::text from tasker.steps").await;

    assert_eq!(stored, "null");
    assert_eq!(world.step_state(task, "only").await, StepState::Complete);
}

#[tokio::test]
async fn the_reason_of_an_operator_is_shown_on_the_task() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let cancelled = world.submit("t").await;
    Action::CancelTask
        .carry_out(&mut world.connection, cancelled, "me", Some("stop"))
        .await
        .unwrap();
    let resolved = world.submit("t").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    Action::ResolveTask
        .carry_out(&mut world.connection, resolved, "me", Some("paid by hand"))
        .await
        .unwrap();

    assert_eq!(world.task(cancelled).await.reason.as_deref(), Some("stop"));
    let resolved = world.task(resolved).await;
    assert_eq!(resolved.reason.as_deref(), Some("paid by hand"));
    assert_eq!(resolved.summary.state, TaskState::ResolvedManually);
}

#[tokio::test]
async fn a_history_tells_every_move_in_order_with_who_and_why() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let task = world.submit("t").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    Action::RetryStep("only")
        .carry_out(&mut world.connection, task, "ann", Some("fixed"))
        .await
        .unwrap();
    world.run_all().await;

    let history = tasks::task_history(&mut world.connection, task)
        .await
        .unwrap();

    let told = history
        .iter()
        .map(|move_| {
            let step = move_.step_name.as_deref().unwrap_or("task");
            let attempt = move_
                .attempt
                .map_or(String::new(), |attempt| format!(" {attempt}"));
            let actor = move_.actor.as_deref().unwrap();
            let reason = move_.reason.as_deref().unwrap_or("");
            format!("{step}{attempt}: {} by {actor} {reason}", move_.to_state)
        })
        .collect::<Vec<_>>();
    let orchestrator = "orchestrator-1";
    assert_eq!(
        told,
        [
            format!("task: in_progress by {orchestrator} "),
            format!("only 0: enqueued by {orchestrator} "),
            format!("only 1: in_progress by {WORKER} "),
            format!("only 1: error by {WORKER} no"),
            format!("task: error by {WORKER} "),
            "task: in_progress by ann fixed".to_owned(),
            "only 1: pending by ann fixed".to_owned(),
            format!("only 1: enqueued by {orchestrator} "),
            format!("only 2: in_progress by {WORKER} "),
            format!("only 2: complete by {WORKER} "),
            format!("task: complete by {WORKER} "),
        ]
    );
    assert!(history.is_sorted_by_key(|move_| move_.at));
}

#[tokio::test]
async fn a_step_shows_the_error_of_its_latest_attempt_unless_it_runs_again() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let task = world.submit("t").await;
    let has_error = async |world: &mut World| world.task(task).await.steps[0].error.is_some();

    let step = world.start_one().await;
    world.report(&[retry(&step)]).await;
    assert!(has_error(&mut world).await, "it waits for its retry");
    world.operate(task, Action::RetryStep("only")).await;
    world.claim().await;
    assert!(has_error(&mut world).await, "it waits for a worker");
    let step = world.receive().await.remove(0);
    assert!(!has_error(&mut world).await, "it runs");
    world.report(&[complete(&step)]).await;
    assert!(!has_error(&mut world).await, "it is complete");
}

async fn status(world: &mut World, task: TaskUuid) -> String {
    world.task(task).await.execution_status
}

/// What the execution context counts, by name.
async fn context(world: &mut World, task: TaskUuid) -> Value {
    let mut counts: Value = world
        .value(format!(
            "select to_jsonb(c) from tasker.get_task_execution_context('{task}') c"
        ))
        .await;
    let counts = counts.as_object_mut().unwrap();
    assert_eq!(counts.remove("task_uuid"), Some(json!(task)));
    counts.retain(|_, count| *count != json!(0));
    Value::Object(counts.clone())
}
