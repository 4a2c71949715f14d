//! Which tasks leave.

use serde_json::json;

use tasker_shared::history::{Pruned, Sweep};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;

use crate::support::{SINGLE, World, complete, retry};
use crate::{
    DAY, complete_task, config, exists, failed_task, of, one_of_each, prune, retention, rows,
    sweep_all, with_template,
};

/// A task of the namespace `shop` that was cancelled.
async fn cancelled_in_shop(world: &mut World) -> TaskUuid {
    world
        .apply(json!({
            "namespace": "shop", "name": "single", "version": "1.0.0",
            "steps": [{"name": "only", "handler": "builtin.noop"}],
        }))
        .await;
    let task = world
        .submit_with("single", |task| "shop".clone_into(&mut task.namespace))
        .await;
    world.operate(task, Action::CancelTask).await;
    task
}

#[tokio::test]
async fn a_task_leaves_when_the_retention_of_its_outcome_is_over() {
    let mut world = with_template().await;
    let tasks = one_of_each(&mut world).await;
    world.advance(DAY * 29).await;
    assert_eq!(sweep_all(&mut world, &config()).await, Pruned::default());

    world.advance(DAY * 2).await;
    let pruned = sweep_all(&mut world, &config()).await;
    assert_eq!(pruned.count(), 3, "{pruned:?}");
    assert!(exists(&mut world, tasks["error"]).await);

    world.advance(DAY * 60).await;
    let pruned = sweep_all(&mut world, &config()).await;
    let ended = ("test".to_owned(), "error".to_owned());
    assert_eq!(pruned.tasks, [(ended, 1)].into());
    world.assert_healthy().await;
}

#[tokio::test]
async fn nothing_is_left_of_a_task_that_left() {
    let mut world = with_template().await;
    let before = rows(&mut world).await;
    one_of_each(&mut world).await;
    let retried = world.submit_with("single", |task| {
        task.idempotency_key = Some("key".to_owned());
    });
    retried.await;
    let step = world.start_one().await;
    world.report(&[retry(&step)]).await;
    world
        .execute("update tasker.timers set due_at = 'epoch'")
        .await;
    world.execute("select tasker.fire_due_timers(10)").await;
    world.run_all().await;
    // All but what waits: ready rows and timers.
    let there = rows(&mut world)
        .await
        .iter()
        .filter(|rows| **rows > 0)
        .count();
    assert_eq!(there, 5);

    world.advance(DAY * 91).await;
    sweep_all(&mut world, &config()).await;

    assert_eq!(rows(&mut world).await, before);
}

#[tokio::test]
async fn a_task_that_has_not_ended_stays_whatever_its_age() {
    let mut world = with_template().await;
    let running = world.submit("single").await;
    let step = world.start_one().await;
    let cancelled = world.submit("single").await;
    let other = world.start_one().await;
    world.operate(cancelled, Action::CancelTask).await;
    let pending = world.submit("single").await;

    world.advance(DAY * 10_000).await;
    assert_eq!(prune(&mut world, &config()).await, 0);

    // A handler of the cancelled task still ran: it has not ended as long as that does.
    for task in [running, cancelled, pending] {
        assert!(exists(&mut world, task).await);
    }
    world.report(&[complete(&step), complete(&other)]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn nothing_leaves_where_nothing_is_configured() {
    let mut world = with_template().await;
    one_of_each(&mut world).await;
    world.advance(DAY * 10_000).await;
    let config = tasker_shared::config::RetentionConfig::default();
    let sweeps = retention(&config).sweeps(&mut world.connection).await;
    assert_eq!(sweeps.unwrap(), []);
    assert_eq!(prune(&mut world, &config).await, 0);
}

/// A template that was stored in plain SQL passed none of the checks of its YAML.
#[tokio::test]
async fn a_retention_that_cannot_be_read_keeps_its_tasks_and_holds_up_no_others() {
    let mut world = with_template().await;
    let here = complete_task(&mut world).await;
    let there = cancelled_in_shop(&mut world).await;
    world.advance(DAY * 40).await;
    for unreadable in [
        r#""soon""#,
        r#""""#,
        r#""-1d""#,
        r#""99999999999d""#,
        "{}",
        "7",
    ] {
        world
            .run(format!(
                "update tasker.templates set body = body
                   || '{{\"retention\": {{\"cancelled\": {unreadable}}}}}'
                 where namespace = 'shop'"
            ))
            .await;
        assert_eq!(
            prune(&mut world, &config()).await,
            u64::from(unreadable == r#""soon""#)
        );
        assert!(exists(&mut world, there).await, "{unreadable}");
    }
    assert!(!exists(&mut world, here).await);
}

#[tokio::test]
async fn a_namespace_may_differ_and_keep_for_ever() {
    let mut world = with_template().await;
    let here = complete_task(&mut world).await;
    let there = cancelled_in_shop(&mut world).await;
    let mut config = config();
    let days = [
        ("cancelled_days".to_owned(), 7),
        ("complete_days".to_owned(), 0),
    ];
    config.namespaces = [("shop".to_owned(), days.into())].into();

    let sweeps = retention(&config).sweeps(&mut world.connection).await;
    assert_eq!(sweeps.unwrap(), [of(7), of(30), of(90), Sweep::Behind]);
    world.advance(DAY * 8).await;
    sweep_all(&mut world, &config).await;
    assert!(!exists(&mut world, there).await);
    assert!(exists(&mut world, here).await);

    let days = [("complete_days".to_owned(), 0)];
    config.namespaces = [("test".to_owned(), days.into())].into();
    world.advance(DAY * 1000).await;
    sweep_all(&mut world, &config).await;
    assert!(exists(&mut world, here).await);
}

#[tokio::test]
async fn a_task_that_ended_late_is_found_behind_the_sweep_that_passed_it() {
    let mut world = with_template().await;
    let late = world.submit("single").await;
    let step = world.start_one().await;
    let early = world.submit("single").await;
    world.operate(early, Action::CancelTask).await;
    world.advance(DAY * 31).await;
    assert_eq!(sweep_all(&mut world, &config()).await.count(), 1);
    world.report(&[complete(&step)]).await;

    world.advance(DAY * 31).await;
    let retention = retention(&config());
    let front = retention.sweep(&mut world.connection, of(30)).await;
    assert_eq!(front.unwrap().count(), 0, "the sweep does not turn back");
    let behind = retention.sweep(&mut world.connection, Sweep::Behind).await;
    assert_eq!(behind.unwrap().count(), 1);
    assert!(!exists(&mut world, late).await);
}

#[tokio::test]
async fn a_batch_is_no_larger_than_configured_and_the_next_goes_on_behind_it() {
    let mut world = with_template().await;
    for _ in 0..5 {
        failed_task(&mut world).await;
    }
    world.advance(DAY * 91).await;
    let mut config = config();
    config.batch_size = 2;
    let retention = retention(&config);
    let mut counts = Vec::new();
    loop {
        let pruned = retention
            .sweep(&mut world.connection, of(90))
            .await
            .unwrap();
        counts.push(pruned.count());
        if pruned.reached.is_none() {
            break;
        }
    }
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn a_dry_run_tells_what_the_run_then_does() {
    let mut world = with_template().await;
    one_of_each(&mut world).await;
    complete_task(&mut world).await;
    world.submit("single").await;
    world.advance(DAY * 31).await;
    let retention = retention(&config());
    let told = retention.prunable(&mut world.connection).await.unwrap();
    let outcomes: Vec<_> = told.iter().map(|it| (&*it.outcome, it.tasks)).collect();
    let expected = [("complete", 2), ("cancelled", 1), ("resolved_manually", 1)];
    assert_eq!(outcomes, expected);
    assert!(told.iter().all(|it| it.bytes > 0), "{told:?}");

    assert_eq!(prune(&mut world, &config()).await, 4);

    let told = retention.prunable(&mut world.connection).await.unwrap();
    assert_eq!(told, []);
}

#[tokio::test]
async fn what_a_template_says_wins_over_the_configuration() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world
        .apply(json!({
            "namespace": "test", "name": "brief", "version": "1.0.0",
            "retention": {"complete": "12h", "error": "0d"},
            "steps": [{"name": "only", "handler": "builtin.noop"}],
        }))
        .await;
    let task = world.submit("brief").await;
    world.run_all().await;
    let kept = complete_task(&mut world).await;

    world.advance(DAY / 2 + DAY / 24).await;
    sweep_all(&mut world, &config()).await;

    assert!(!exists(&mut world, task).await);
    assert!(exists(&mut world, kept).await);
}
