//! Results that a step is given, and results that its handler asks for.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{LEASE, WORKER, World, complete, report};
use tasker_shared::error::{Error, RefusalKind};
use tasker_shared::ids::StepId;
use tasker_shared::steps::{
    self, Continuation, Demand, Locks, ReceivedStep, StepOutcome, StepReport, Unfit,
};

/// Two steps, and one that joins them and gets their results in this way.
async fn join(world: &mut World, dependency_results: &str) {
    world
        .apply(json!({
            "namespace": "test", "name": "join", "version": "1.0.0",
            "steps": [
                { "name": "left", "handler": "h" },
                { "name": "right", "handler": "h" },
                { "name": "both", "handler": "h", "depends_on": ["left", "right"],
                  "dependency_results": dependency_results },
                { "name": "last", "handler": "h", "depends_on": ["both"] },
            ],
        }))
        .await;
    world.submit("join").await;
}

/// Completes both with a result of this size, and receives the join.
async fn receive_join(world: &mut World, characters: usize, max_bytes: i64) -> ReceivedStep {
    world.claim().await;
    let received = world.receive().await;
    assert_eq!(received.len(), 2);
    for step in received {
        let result = json!({ "of": step.step_name, "text": "x".repeat(characters) });
        world.report(&[complete_with(&step, result)]).await;
    }
    world.claim().await;
    let namespaces = ["test".to_owned()];
    let demand = Demand {
        max_bytes,
        ..Demand::of_any(&namespaces, 10, LEASE)
    };
    let received = steps::receive_steps(&mut world.connection, WORKER, &demand).await;
    received.unwrap().steps.remove(0)
}

fn complete_with(step: &ReceivedStep, result: Value) -> StepReport {
    report(step, StepOutcome::Complete(result))
}

async fn ask(world: &mut World, id: StepId, name: &str) -> Result<Value, Error> {
    let text = steps::dependency_result(&mut world.connection, id, name).await?;
    Ok(serde_json::from_str(&text).unwrap())
}

async fn refusal(world: &mut World, id: StepId, name: &str) -> (RefusalKind, String) {
    let error = ask(world, id, name).await.unwrap_err();
    let refusal = error.refusal().unwrap().clone();
    (refusal.kind, refusal.to_string())
}

#[tokio::test]
async fn a_step_that_asks_for_results_is_given_none_and_only_its_context_counts() {
    let mut world = World::new().await;
    join(&mut world, "on_request").await;

    let step = receive_join(&mut world, 50_000, 1000).await;

    assert_eq!(step.unfit, None);
    assert!(step.asks_for_results);
    assert!(step.dependency_results.is_empty());
    for name in ["left", "right"] {
        let result = ask(&mut world, step.id, name).await.unwrap();
        assert_eq!(result["of"], name);
        assert_eq!(result["text"].as_str().unwrap().len(), 50_000);
    }
    world.report(&[complete(&step)]).await;
    // The step after it is given its result, as always.
    let last = world.start_one().await;
    assert!(!last.asks_for_results);
    assert_eq!(last.dependency_results.len(), 1);
    world.report(&[complete(&last)]).await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_is_too_large_to_be_given_names_both_ways_out() {
    let mut world = World::new().await;
    join(&mut world, "inline").await;

    let step = receive_join(&mut world, 50_000, 1000).await;

    let Some(Unfit::TooLarge(problem)) = step.unfit else {
        panic!("it was given");
    };
    for part in [
        "at most 1000 in one receipt (worker.receive_batch_bytes)",
        "return references",
        "`dependency_results: on_request`",
        "Step::fetch_dependency",
    ] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
}

#[tokio::test]
async fn a_context_that_is_too_large_is_no_matter_of_results() {
    let mut world = World::new().await;
    join(&mut world, "on_request").await;

    let step = receive_join(&mut world, 1, 1).await;

    let Some(Unfit::TooLarge(problem)) = step.unfit else {
        panic!("it was given");
    };
    assert!(problem.starts_with("its context has "), "{problem}");
    assert!(!problem.contains("on_request"), "{problem}");
}

#[tokio::test]
async fn a_step_that_asks_for_large_results_may_follow_the_last_of_them_at_once() {
    let mut world = World::new().await;
    join(&mut world, "on_request").await;
    world.claim().await;
    let received = world.receive().await;
    let large = json!("x".repeat(2 << 20));
    world
        .report(&[complete_with(&received[0], large.clone())])
        .await;
    let continuation = Continuation {
        may_continue: vec![true],
        handlers: &["h".to_owned()],
        lease: LEASE,
    };

    let reported = steps::complete_and_continue(
        &mut world.connection,
        WORKER,
        &[complete_with(&received[1], large)],
        &continuation,
        Locks::Wait,
    )
    .await
    .unwrap();

    assert_eq!(reported.continued.len(), 1);
    assert!(reported.continued[0].asks_for_results);
}

#[tokio::test]
async fn a_result_is_told_to_steps_that_depend_on_it_alone() {
    let mut world = World::new().await;
    join(&mut world, "inline").await;
    let step = receive_join(&mut world, 1, 1 << 20).await;
    assert_eq!(step.dependency_results.len(), 2);

    assert_eq!(
        ask(&mut world, step.id, "left").await.unwrap()["of"],
        "left"
    );
    for name in ["last", "first", "nobody"] {
        let (kind, text) = refusal(&mut world, step.id, name).await;
        assert_eq!(kind, RefusalKind::NotFound);
        assert_eq!(
            text,
            format!("step both does not depend on a step named {name} (it depends on left, right)")
        );
    }
    let left = StepId {
        step_no: 1,
        ..step.id
    };
    let (_, text) = refusal(&mut world, left, "right").await;
    assert!(
        text.ends_with("(it depends on none; list it in depends_on)"),
        "{text}"
    );
    let none = StepId {
        step_no: 9,
        ..step.id
    };
    assert_eq!(
        refusal(&mut world, none, "left").await.0,
        RefusalKind::NotFound
    );
}

#[tokio::test]
async fn a_result_that_is_not_there_yet_is_a_conflict_and_null_where_none_was_given() {
    let mut world = World::new().await;
    join(&mut world, "on_request").await;
    world.claim().await;
    let received = world.receive().await;
    let join = StepId {
        step_no: 3,
        ..received[0].id
    };

    let (kind, text) = refusal(&mut world, join, "left").await;
    assert_eq!(kind, RefusalKind::Conflict);
    assert_eq!(text, "step left is in_progress and has no result");

    world
        .report(&[complete_with(&received[0], Value::Null)])
        .await;
    assert_eq!(ask(&mut world, join, "left").await.unwrap(), Value::Null);
}
