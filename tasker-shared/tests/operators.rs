//! What operators are told when a step cannot be retried, or settled, in the state it is in.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::{DIAMOND, World, act, complete, fail};
use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};

const RUNS_BY_ITSELF: &str = "it runs as soon as a worker has a place for it";
const RUNS: &str = "wait until its attempt has ended, or cancel the task";
const WAITS: &str =
    "it runs once the steps it depends on have ended well; if one of those failed, retry that one";
const ENDED_WELL: &str = "it has ended well; submit the task again to run it again";
const HAS_ITS_RESULT: &str = "it has ended well, and keeps its result";

fn hint(refused: Result<(), Error>) -> String {
    let refusal = refused.unwrap_err().refusal().unwrap().clone();
    assert_eq!(refusal.kind, RefusalKind::Conflict, "{refusal:?}");
    refusal.hint.unwrap()
}

async fn retry_hint(world: &mut World, task: TaskUuid, step: &str) -> String {
    hint(act(&mut world.connection, task, Action::RetryStep(step)).await)
}

async fn skip_hint(world: &mut World, task: TaskUuid, step: &str) -> String {
    let skip = Settlement::Skip(json!(null));
    hint(act(&mut world.connection, task, Action::SettleStep(step, &skip)).await)
}

fn stays(state: &str) -> String {
    format!("a task that is {state} does not go on; submit it again")
}

#[tokio::test]
async fn who_may_not_retry_a_step_is_told_what_to_do_in_each_of_its_states() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    assert_eq!(retry_hint(&mut world, task, "a").await, RUNS_BY_ITSELF);
    assert_eq!(retry_hint(&mut world, task, "b").await, WAITS);

    world.claim().await;
    assert_eq!(retry_hint(&mut world, task, "a").await, RUNS_BY_ITSELF);
    let first = world.receive().await.remove(0);
    assert_eq!(retry_hint(&mut world, task, "a").await, RUNS);

    world.report(&[complete(&first)]).await;
    assert_eq!(retry_hint(&mut world, task, "a").await, ENDED_WELL);
    world.claim().await;
    let branches = world.receive().await;
    world
        .report(&[fail(&branches[0]), complete(&branches[1])])
        .await;
    assert_eq!(retry_hint(&mut world, task, "d").await, WAITS);

    world.operate(task, Action::ResolveTask).await;
    for step in ["b", "c", "d"] {
        let hint = retry_hint(&mut world, task, step).await;
        assert_eq!(hint, stays("resolved_manually"), "of {step}");
    }
}

#[tokio::test]
async fn who_may_not_settle_a_step_is_told_what_to_do_in_each_of_its_states() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let first = world.start_one().await;
    assert_eq!(skip_hint(&mut world, task, "a").await, RUNS);

    world.report(&[complete(&first)]).await;
    assert_eq!(skip_hint(&mut world, task, "a").await, HAS_ITS_RESULT);
    world.claim().await;
    let branches = world.receive().await;
    world.report(&[fail(&branches[0])]).await;

    world.operate(task, Action::CancelTask).await;
    // One failed, one still runs, one was never started.
    for step in ["b", "c", "d"] {
        for hint in [
            retry_hint(&mut world, task, step).await,
            skip_hint(&mut world, task, step).await,
        ] {
            assert_eq!(hint, stays("cancelled"), "of {step}");
        }
    }
}

#[tokio::test]
async fn the_steps_of_a_complete_task_stay_as_they_are() {
    let mut world = World::new().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    world.run_all().await;

    assert_eq!(retry_hint(&mut world, task, "a").await, stays("complete"));
    assert_eq!(skip_hint(&mut world, task, "a").await, stays("complete"));
}
