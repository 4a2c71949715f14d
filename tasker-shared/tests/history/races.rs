//! What else happens to a task at the moment it leaves.

use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::operator::Action;
use tasker_shared::state::TaskState;

use crate::support::act;
use crate::{
    DAY, complete_task, config, exists, failed_task, of, prune, retention, sweep_all, with_template,
};

#[tokio::test]
async fn a_task_that_an_operator_holds_stays_and_nobody_waits() {
    let mut world = with_template().await;
    let task = failed_task(&mut world).await;
    world.advance(DAY * 91).await;
    let mut operator = world.begin().await;
    act(&mut operator, task, Action::RetryStep("only"))
        .await
        .unwrap();

    assert_eq!(prune(&mut world, &config()).await, 0);
    operator.commit().await.unwrap();

    assert_eq!(world.task_state(task).await, TaskState::InProgress);
    assert_eq!(prune(&mut world, &config()).await, 0);
    world.run_all().await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_retry_of_a_task_that_leaves_finds_that_there_is_none() {
    let mut world = with_template().await;
    let task = failed_task(&mut world).await;
    let mut deleting = world.begin().await;
    let now: String = world
        .value("select (tasker.now() + interval '91 days')::text")
        .await;
    sqlx::query("select set_config('tasker.now', $1, true)")
        .bind(now)
        .execute(&mut *deleting)
        .await
        .unwrap();
    let pruned = retention(&config()).sweep(&mut deleting, of(90)).await;
    assert_eq!(pruned.unwrap().count(), 1);

    let retried = world
        .start_blocked(async move |mut connection| {
            act(&mut connection, task, Action::RetryStep("only")).await
        })
        .await;
    deleting.commit().await.unwrap();

    match retried.await.unwrap() {
        Err(Error::Refused(refusal)) => assert_eq!(refusal.kind, RefusalKind::NotFound),
        other => panic!("{other:?}"),
    }
    world.assert_healthy().await;
}

#[tokio::test]
async fn of_two_that_prune_one_sweeps_and_each_task_leaves_once() {
    let mut world = with_template().await;
    for _ in 0..4 {
        complete_task(&mut world).await;
    }
    world.advance(DAY * 31).await;
    let now: String = world.value("select tasker.now()::text").await;
    let mut config = config();
    config.batch_size = 2;
    config.archive = tasker_shared::config::ArchiveTarget::Table;
    let mut other = world.begin().await;
    sqlx::query("select set_config('tasker.now', $1, true)")
        .bind(now)
        .execute(&mut *other)
        .await
        .unwrap();
    let first = retention(&config).sweep(&mut other, of(30)).await.unwrap();
    assert_eq!(first.count(), 2);

    let second = retention(&config)
        .sweep(&mut world.connection, of(30))
        .await;
    assert_eq!(second.unwrap().count(), 0, "the other is on that sweep");
    assert_eq!(
        prune(&mut world, &config).await,
        2,
        "it passes by what the other holds"
    );
    other.commit().await.unwrap();

    assert_eq!(sweep_all(&mut world, &config).await.count(), 0);
    let archived: i64 = world
        .value("select count(*) from tasker.archived_tasks")
        .await;
    assert_eq!(archived, 4);
}

#[tokio::test]
async fn a_late_outcome_of_a_task_that_left_is_stale() {
    let mut world = with_template().await;
    let task = world.submit("single").await;
    let step = world.start_one().await;
    world.expire_leases().await;
    let expired = world.receive().await;
    assert_eq!(expired.len(), 1);
    world.report(&[crate::support::fail(&expired[0])]).await;
    world.advance(DAY * 91).await;
    prune(&mut world, &config()).await;
    assert!(!exists(&mut world, task).await);

    let reported = world.report(&[crate::support::complete(&step)]).await;

    assert_eq!(reported.stale, [0]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_sample_of_a_task_that_left_is_passed_over() {
    let mut world = with_template().await;
    let task = complete_task(&mut world).await;
    world.advance(DAY * 31).await;
    assert_eq!(prune(&mut world, &config()).await, 1);
    let stored: i64 = world
        .value(format!(
            "select tasker.record_samples('{{received_to_ended}}', '{{{}}}', '{{1}}', '{{1}}',
               '{{normal}}', '{{5}}', '{{1}}', '{{f}}')",
            task.0
        ))
        .await;
    assert_eq!(stored, 0);
}
