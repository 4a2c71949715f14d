//! `why`: each situation a step can be in gives its cause and no other, with the evidence.

#![allow(clippy::unwrap_used)]

mod claimed;
mod ended;
mod enqueued;
mod locked;
mod roots;
mod running;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashSet;

use serde_json::json;
use support::processes::{orchestrator, register, worker};
use support::{SINGLE, World};
use tasker_shared::ids::TaskUuid;
use tasker_shared::why::{Cause, Reason, why};

/// The handler of templates made by [`World::template`].
const HANDLER: &str = "builtin.noop";

/// A world with the template `single`, an orchestrator that serves it and a worker that knows its
/// handler.
async fn served() -> World {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    register(&mut world, &orchestrator("o", &[])).await;
    register(&mut world, &worker("w", &["test"], &[HANDLER])).await;
    world
}

async fn reasons(world: &mut World, task: TaskUuid) -> Vec<Reason> {
    let why = why(&mut world.connection, task, None).await.unwrap();
    assert!(!why.has_more);
    why.reasons
}

/// The reason of the only step that has one, which has this cause and says this.
async fn assert_why(world: &mut World, task: TaskUuid, cause: Cause, says: &str) -> Reason {
    let mut reasons = reasons(world, task).await;
    assert_eq!(reasons.len(), 1, "{reasons:#?}");
    let reason = reasons.remove(0);
    assert_eq!(reason.cause, cause, "{reason:#?}");
    assert!(reason.detail.contains(says), "{reason:#?}");
    assert_eq!(reason.root, reason.step_name);
    reason
}

#[tokio::test]
async fn times_are_told_in_their_two_largest_units() {
    let mut world = World::new().await;
    for (time, words) in [
        ("-5 s", "0 s"),
        ("59.9 s", "59 s"),
        ("60 s", "1 min 0 s"),
        ("3 min 20 s", "3 min 20 s"),
        ("2 h 5 min 30 s", "2 h 5 min"),
        ("3 d 4 h 59 min", "3 d 4 h"),
    ] {
        let told: String = world
            .value(format!("select tasker.in_words(interval '{time}')"))
            .await;
        assert_eq!(told, words);
    }
}

#[tokio::test]
async fn the_causes_are_those_that_the_database_gives() {
    let mut world = World::new().await;
    let sources: Vec<String> = sqlx::query_scalar(
        "select prosrc from pg_proc
         where pronamespace = 'tasker'::regnamespace and proname like 'why%'",
    )
    .fetch_all(&mut world.connection)
    .await
    .unwrap();
    let mut given = HashSet::new();
    for cause in sources
        .iter()
        .flat_map(|source| source.split("'cause', '").skip(1))
    {
        let (cause, _) = cause.split_once('\'').unwrap();
        given.insert(serde_json::from_value::<Cause>(json!(cause)).unwrap());
    }
    // Which of the other two a failed step has, depends on its attempts.
    assert_eq!(given.len(), 20, "{given:?}");
}
