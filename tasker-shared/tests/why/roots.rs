//! Steps that wait for others are followed back to the one that holds them up.

use serde_json::json;
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::readiness;
use tasker_shared::why::{Cause, Reason, why};

use crate::support::{DIAMOND, World, complete, fail};
use crate::{reasons, served};

async fn of_step(world: &mut World, task: TaskUuid, step: &str) -> Vec<Reason> {
    why(&mut world.connection, task, Some(step))
        .await
        .unwrap()
        .reasons
}

/// The steps with their causes and roots.
fn outline(reasons: &[Reason]) -> Vec<(&str, Cause, &str)> {
    let outline = reasons.iter().map(|reason| {
        let step = reason.step_name.as_deref().unwrap();
        (step, reason.cause, reason.root.as_deref().unwrap())
    });
    outline.collect()
}

#[tokio::test]
async fn steps_wait_for_the_first_of_their_chain() {
    let mut world = served().await;
    world
        .template("chain", &[("c", &["b"]), ("b", &["a"]), ("a", &[])])
        .await;
    let task = world.submit("chain").await;

    let expected = [
        ("a", Cause::WaitsToBeClaimed, "a"),
        ("c", Cause::WaitsForSteps, "a"),
        ("b", Cause::WaitsForSteps, "a"),
    ];
    let found = reasons(&mut world, task).await;
    assert_eq!(outline(&found), expected);
    assert_eq!(
        found[1].detail,
        "1 of the 1 steps it depends on is not done: b; it waits for a, which is pending"
    );
    assert_eq!(
        found[1].evidence["parents"],
        json!([{ "step_name": "b", "state": "pending" }])
    );
    assert_eq!(
        outline(&of_step(&mut world, task, "c").await),
        expected[..2]
    );
}

#[tokio::test]
async fn a_step_that_failed_counts_before_one_that_runs() {
    let mut world = served().await;
    world.template("diamond", DIAMOND).await;
    let task = world.submit("diamond").await;
    let first = world.start_one().await;
    world.report(&[complete(&first)]).await;
    world.claim().await;
    let both = world.receive().await;
    assert_eq!(both.len(), 2);
    world.report(&[fail(&both[1])]).await;

    let found = reasons(&mut world, task).await;
    let expected = [
        ("b", Cause::WorkerLost, "b"),
        ("c", Cause::Failed, "c"),
        ("d", Cause::WaitsForSteps, "c"),
    ];
    assert_eq!(outline(&found), expected);
    assert_eq!(found[2].evidence["not_done"], 2);

    world.report(&[complete(&both[0])]).await;
    let found = reasons(&mut world, task).await;
    assert_eq!(outline(&found), expected[1..]);
    assert!(
        found[1]
            .detail
            .contains("is not done: c; it waits for c, which is error")
    );
}

#[tokio::test]
async fn a_step_that_failed_counts_before_one_that_was_not_claimed() {
    let mut world = served().await;
    world
        .template("two", &[("a", &[]), ("b", &[]), ("c", &["a", "b"])])
        .await;
    let task = world.submit("two").await;
    readiness::claim_ready_tasks(&mut world.connection, "orchestrator-1", 1)
        .await
        .unwrap();
    let first = world.receive().await;
    world.report(&[fail(&first[0])]).await;

    let found = reasons(&mut world, task).await;
    let expected = [
        ("a", Cause::Failed, "a"),
        ("b", Cause::WaitsToBeClaimed, "b"),
        ("c", Cause::WaitsForSteps, "a"),
    ];
    assert_eq!(outline(&found), expected);
}

#[tokio::test]
async fn ten_of_many_parents_are_named_and_none_that_is_settled() {
    let mut world = served().await;
    let names: Vec<String> = (1..=13).map(|number| format!("p{number}")).collect();
    let parents: Vec<&str> = names.iter().map(|name| &**name).collect();
    let mut steps: Vec<(&str, &[&str])> = parents.iter().map(|name| (*name, &[][..])).collect();
    steps.push(("last", &parents[..]));
    world.template("wide", &steps).await;
    let task = world.submit("wide").await;
    let skip = Settlement::Skip(json!(null));
    world.operate(task, Action::SettleStep("p2", &skip)).await;

    let found = &of_step(&mut world, task, "last").await[1];
    let says = "12 of the 13 steps it depends on are not done: p1, p3, p4, p5, p6, p7, p8, p9, p10, \
                 p11, …; it waits for p1";
    assert!(found.detail.starts_with(says), "{found:#?}");
    assert_eq!(found.evidence["parents"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_step_that_was_settled_before_its_time_hands_on_no_root() {
    let mut world = served().await;
    world
        .template(
            "settled",
            &[
                ("a", &[]),
                ("e", &[]),
                ("b", &["a"]),
                ("c", &["b", "e"]),
                ("d", &["c"]),
            ],
        )
        .await;
    let task = world.submit("settled").await;
    let skip = Settlement::Skip(json!(null));
    world.operate(task, Action::SettleStep("b", &skip)).await;
    world.claim().await;
    let both = world.receive().await;
    world.report(&[fail(&both[0])]).await;
    assert_eq!(both[0].step_name, "a");

    let found = reasons(&mut world, task).await;
    let expected = [
        ("a", Cause::Failed, "a"),
        ("e", Cause::WorkerLost, "e"),
        ("c", Cause::WaitsForSteps, "e"),
        ("d", Cause::WaitsForSteps, "e"),
    ];
    assert_eq!(outline(&found), expected);
}

#[tokio::test]
async fn of_many_steps_those_come_first_that_wait_for_no_other() {
    let mut world = served().await;
    let mut steps: Vec<serde_json::Value> = (0..1100)
        .map(|number| json!({
            "name": format!("s{number}"), "handler": "builtin.noop",
            "depends_on": if number == 1099 { vec![] } else { vec![format!("s{}", number + 1)] },
        }))
        .collect();
    steps.push(json!({ "name": "beside", "handler": "builtin.noop" }));
    world
        .apply(json!({
            "namespace": "test", "name": "long", "version": "1.0.0", "steps": steps,
        }))
        .await;
    let task = world.submit("long").await;

    let found = why(&mut world.connection, task, None).await.unwrap();
    assert!(found.has_more);
    assert_eq!(found.reasons.len(), 1000);
    let first = outline(&found.reasons[..3]);
    assert_eq!(
        first,
        [
            ("s1099", Cause::WaitsToBeClaimed, "s1099"),
            ("beside", Cause::WaitsToBeClaimed, "beside"),
            ("s0", Cause::WaitsForSteps, "s1099"),
        ]
    );
    let rows: i64 = world
        .value(format!(
            "select count(*) from tasker.why('{task}', null, 7)"
        ))
        .await;
    assert_eq!(rows, 7);
    let one = of_step(&mut world, task, "s7").await;
    assert_eq!(outline(&one)[1], ("s7", Cause::WaitsForSteps, "s1099"));
}
