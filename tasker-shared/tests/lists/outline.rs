//! What pages read of a task: its outline, its steps in part, its latest moves.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::Action;
use tasker_shared::tasks;

use crate::support::{SINGLE, World, fail};

#[tokio::test]
async fn the_latest_moves_are_the_history_backwards_as_far_as_they_go() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let task = world.submit("t").await;
    let step = world.start_one().await;
    world.report(&[fail(&step)]).await;
    world.operate(task, Action::RetryTask).await;
    world.run_all().await;

    let connection = &mut world.connection;
    let history = tasks::task_history(connection, task).await.unwrap();
    let latest = tasks::latest_moves(connection, task, None, 100, 1).await;
    let latest = latest.unwrap();
    let forth = history.iter().map(|one| (&one.step_name, &one.to_state));
    let back = latest
        .iter()
        .rev()
        .map(|one| (&one.step_name, &one.to_state));
    assert!(forth.eq(back), "{history:#?} {latest:#?}");
    let error = latest.iter().find_map(|one| one.error.as_ref()).unwrap();
    assert_eq!(error["message"], "n");

    let few = tasks::latest_moves(connection, task, None, 2, 1).await;
    assert_eq!(few.unwrap().len(), 2);
    let of_step = tasks::latest_moves(connection, task, Some(&[1]), 100, 1).await;
    let of_step = of_step.unwrap();
    assert!(of_step.iter().all(|one| one.step_no == Some(1)));
    assert!(of_step.len() > 4 && of_step.len() < latest.len());
    let of_none = tasks::latest_moves(connection, task, Some(&[]), 100, 1).await;
    assert!(of_none.unwrap().is_empty());
}

#[tokio::test]
async fn an_outline_says_of_a_task_and_its_steps_what_the_task_itself_does() {
    let mut world = World::new().await;
    world
        .template("t", &[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])])
        .await;
    let task = world.submit("t").await;
    world.run_all().await;

    let connection = &mut world.connection;
    let whole = tasks::get_task(connection, task).await.unwrap().unwrap();
    let outline = tasks::outline_task(connection, task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outline.summary.state, whole.summary.state);
    assert_eq!(outline.context, whole.context);
    assert!(!outline.context_omitted);
    let steps = tasks::outline_steps(connection, task).await.unwrap();
    let parents: Vec<_> = steps.iter().map(|step| &step.depends_on[..]).collect();
    assert_eq!(parents, [&[][..], &[0], &[0, 1]]);
    let all = tasks::steps_in_detail(connection, task, &[3, 1, 2, 9], 1000).await;
    let all = all.unwrap();
    assert_eq!(all.len(), 3);
    for ((outline, detail), step) in steps.iter().zip(&all).zip(&whole.steps) {
        assert_eq!((&outline.name, &detail.name), (&step.name, &step.name));
        assert_eq!((outline.state, detail.state), (step.state, step.state));
        assert_eq!(Some(&detail.result), step.result.as_ref());
    }
    let without = tasks::step_in_detail(connection, task, "c", 0)
        .await
        .unwrap();
    assert_eq!(without.result, serde_json::Value::Null);
    assert!(without.result_bytes > 0 && without.depends_on.is_empty());
    let unknown = TaskUuid(uuid::Uuid::nil());
    assert!(
        tasks::outline_task(connection, unknown)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        tasks::step_in_detail(connection, task, "d", 0)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_large_context_is_left_out_of_an_outline() {
    let mut world = World::new().await;
    world.template("t", SINGLE).await;
    let numbers: Vec<u32> = (0..50_000)
        .map(|at: u32| at.wrapping_mul(2_654_435_761))
        .collect();
    let large = world
        .submit_with("t", |task| task.context = json!({ "numbers": numbers }))
        .await;
    let outline = tasks::outline_task(&mut world.connection, large).await;
    let outline = outline.unwrap().unwrap();
    assert!(outline.context_omitted && outline.context.is_null());
}
