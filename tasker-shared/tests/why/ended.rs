//! Tasks of which something failed, and tasks that ended.

use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::why::{Cause, why};

use crate::support::{fail, retry};
use crate::{assert_why, reasons, served};

#[tokio::test]
async fn a_step_that_failed_permanently() {
    let mut world = served().await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;

    let says = "attempt 1 of 3 failed permanently: no";
    let reason = assert_why(&mut world, task, Cause::Failed, says).await;
    let retry = format!("tasker step retry {task} only");
    assert!(reason.action.unwrap().contains(&retry));
}

#[tokio::test]
async fn a_step_whose_attempts_are_exhausted() {
    let mut world = served().await;
    let task = world.submit("single").await;
    for _ in 0..3 {
        world
            .run(format!(
                "update tasker.timers set due_at = tasker.now() where task_uuid = '{task}'"
            ))
            .await;
        tasker_shared::readiness::fire_due_timers(&mut world.connection, 10)
            .await
            .unwrap();
        let step = world.start_one().await;
        world.report(&[retry(&step)]).await;
    }

    let says = "attempt 3 of 3 failed, the last one: no";
    assert_why(&mut world, task, Cause::AttemptsExhausted, says).await;
}

#[tokio::test]
async fn nothing_of_a_task_that_ended_waits() {
    let mut world = served().await;
    let complete = world.submit("single").await;
    world.run_all().await;
    let resolved = world.submit("single").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    world.operate(resolved, Action::ResolveTask).await;
    let cancelled = world.submit("single").await;
    world.operate(cancelled, Action::CancelTask).await;

    for task in [complete, resolved, cancelled] {
        assert!(reasons(&mut world, task).await.is_empty());
    }
}

#[tokio::test]
async fn an_unknown_task_or_step_is_refused() {
    let mut world = served().await;
    let task = world.submit("single").await;

    let unknown: TaskUuid = "01890a5d-ac96-774b-bcce-b302099a0000".parse().unwrap();
    let refused = why(&mut world.connection, unknown, None).await.unwrap_err();
    assert!(
        matches!(refused, Error::Refused(ref refusal) if refusal.kind == RefusalKind::NotFound)
    );
    let refused = why(&mut world.connection, task, Some("another"))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("no step named another"),
        "{refused}"
    );
}
