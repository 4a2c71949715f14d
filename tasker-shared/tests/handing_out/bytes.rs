//! A receipt has a bound in bytes as well as in steps, and what is too large for it fails alone.

use serde_json::{Value, json};
use tasker_shared::ids::TaskUuid;
use tasker_shared::operator::{Action, Settlement};
use tasker_shared::state::TaskState;
use tasker_shared::steps::{Demand, ReceivedStep, Unfit};

use crate::support::{LEASE, SINGLE, WORKER, World, complete, fail};
use crate::{LINEAR, OTHER, receive, result, tasks_of};

const KNOWN: &[&str] = &["builtin.noop"];

fn text_of(kilobytes: usize) -> Value {
    json!("x".repeat(kilobytes * 1000))
}

async fn submit_with(world: &mut World, name: &str, context: Value) -> TaskUuid {
    world
        .submit_with(name, |task| task.context = json!({ "text": context }))
        .await
}

async fn receive_bytes(world: &mut World, max_bytes: i64) -> Vec<ReceivedStep> {
    let namespaces = ["test", OTHER].map(str::to_owned);
    let demand = Demand {
        max_bytes,
        ..Demand::of_any(&namespaces, 100, LEASE)
    };
    let received = receive(&mut world.connection, WORKER, &demand).await;
    assert_eq!(received.troubled, []);
    received.steps
}

fn is_too_large(step: &ReceivedStep) -> bool {
    matches!(step.unfit, Some(Unfit::TooLarge(_)))
}

#[tokio::test]
async fn a_receipt_stops_before_its_bound_and_leaves_the_rest_to_the_next() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut tasks = Vec::new();
    for _ in 0..5 {
        tasks.push(submit_with(&mut world, "single", text_of(100)).await);
    }
    world.claim().await;

    let mut received = Vec::new();
    for expected in [2, 2, 1, 0] {
        let some = receive_bytes(&mut world, 250_000).await;
        assert_eq!(some.len(), expected);
        assert!(
            some.iter()
                .all(|step| step.unfit.is_none() && step.attempt == 1)
        );
        received.extend(some);
        world.assert_healthy().await;
    }

    assert_eq!(tasks_of(&received), tasks);
}

#[tokio::test]
async fn a_receipt_that_stops_before_its_bound_says_so_and_hides_no_step_that_is_held() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(submit_with(&mut world, "single", text_of(100)).await);
    }
    world.claim().await;
    let mut other = world.begin().await;
    sqlx::query("select from tasker.steps where task_uuid = $1 for no key update")
        .bind(tasks[0])
        .execute(&mut *other)
        .await
        .unwrap();
    let namespaces = ["test".to_owned()];
    let demand = Demand {
        max_bytes: 250_000,
        ..Demand::of_any(&namespaces, 100, LEASE)
    };

    let received = receive(&mut world.connection, WORKER, &demand).await;
    assert_eq!(tasks_of(&received.steps), tasks[1..3]);
    assert!(received.left_out);

    other.rollback().await.unwrap();
    let received = receive(&mut world.connection, WORKER, &demand).await;
    assert_eq!(tasks_of(&received.steps), [tasks[0], tasks[3]]);
    assert!(!received.left_out);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_receipt_that_meets_its_bound_exactly_says_that_another_namespace_waits() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.template_of(OTHER, "single", "builtin.noop").await;
    submit_with(&mut world, "single", text_of(100)).await;
    world.submit_to(OTHER, "single", 1).await;
    world.claim().await;
    let namespaces = ["test", OTHER].map(str::to_owned);
    let demand = Demand {
        max_bytes: world
            .value("select max(input_bytes)::bigint from tasker.steps")
            .await,
        ..Demand::of_any(&namespaces, 100, LEASE)
    };

    let received = receive(&mut world.connection, WORKER, &demand).await;
    assert_eq!(received.steps.len(), 1);
    assert!(received.left_out);

    let received = receive(&mut world.connection, WORKER, &demand).await;
    assert_eq!(received.steps[0].namespace, OTHER);
    assert!(!received.left_out);
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_bound_is_that_of_all_namespaces_together() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.template_of(OTHER, "single", "builtin.noop").await;
    submit_with(&mut world, "single", text_of(100)).await;
    for task in world.submit_to(OTHER, "single", 3).await {
        world
            .run(format!(
                "update tasker.tasks set context = jsonb_build_object('text', repeat('x', 100000))
                 where task_uuid = '{task}';
                 update tasker.steps set input_bytes = 100000 where task_uuid = '{task}'"
            ))
            .await;
    }
    world.claim().await;

    let first = receive_bytes(&mut world, 250_000).await;
    let second = receive_bytes(&mut world, 250_000).await;

    let from = |steps: &[ReceivedStep]| {
        let namespaces = steps.iter().map(|step| step.namespace.clone());
        namespaces.collect::<Vec<_>>()
    };
    assert_eq!(from(&first), ["test", OTHER]);
    assert_eq!(from(&second), [OTHER, OTHER]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_that_is_too_large_by_itself_comes_empty_and_harms_no_other() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let large = submit_with(&mut world, "single", text_of(300)).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(submit_with(&mut world, "single", text_of(40)).await);
    }
    world.claim().await;

    let received = receive_bytes(&mut world, 250_000).await;

    assert_eq!(tasks_of(&received), [vec![large], others].concat());
    assert!(is_too_large(&received[0]));
    assert_eq!(received[0].context, json!({}));
    assert!(received[1..].iter().all(|step| step.unfit.is_none()));
    let mut reports = vec![fail(&received[0])];
    reports.extend(received[1..].iter().map(complete));
    assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
    assert_eq!(world.task_state(large).await, TaskState::Error);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_step_of_exactly_the_bound_is_given_all() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    submit_with(&mut world, "single", text_of(100)).await;
    world.claim().await;
    let bytes: i64 = world.value("select input_bytes from tasker.steps").await;
    world.run("begin").await;
    assert!(is_too_large(&receive_bytes(&mut world, bytes - 1).await[0]));
    world.run("rollback").await;

    assert_eq!(receive_bytes(&mut world, bytes).await[0].unfit, None);
}

#[tokio::test]
async fn three_hundred_results_of_a_megabyte_keep_nobody_from_a_receipt() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..300).map(|number| format!("parent_{number}")).collect();
    let mut template: Vec<(&str, &[&str])> = names.iter().map(|name| (&**name, &[][..])).collect();
    let parents: Vec<&str> = names.iter().map(String::as_str).collect();
    template.push(("join", &parents));
    world.template("fan", &template).await;
    world.template("single", SINGLE).await;
    let fan = world.submit("fan").await;
    world.claim().await;
    assert_eq!(world.receive().await.len(), 300);
    // In batches, because an array of all of them would be too large as well.
    world
        .run(format!(
            "do $$
             declare v_batch int;
             begin
               for v_batch in 0..9 loop
                 perform tasker.complete_steps(
                   '{WORKER}', array_agg(task_uuid), array_agg(step_no), array_agg(receipt),
                   array_agg(msg_id), array_agg('test'::text), array_agg('complete'::text),
                   array_agg(to_jsonb(repeat('x', 1000000))), array_agg(null::bigint)
                 )
                 from tasker.steps where state = 'in_progress' and step_no % 10 = v_batch;
               end loop;
             end $$"
        ))
        .await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(world.submit("single").await);
    }
    world.claim().await;

    let received = world.receive().await;

    assert_eq!(tasks_of(&received), [vec![fan], others].concat());
    let Some(Unfit::TooLarge(problem)) = &received[0].unfit else {
        panic!("{:?}", received[0].unfit);
    };
    assert!(problem.contains("worker.receive_batch_bytes"), "{problem}");
    assert!(problem.contains(" 3000"), "{problem}");
    let mut reports = vec![fail(&received[0])];
    reports.extend(received[1..].iter().map(complete));
    assert_eq!(world.report(&reports).await.stale, Vec::<usize>::new());
    let failed: String = world
        .value(format!(
            "select state::text from tasker.tasks where task_uuid = '{fan}'"
        ))
        .await;
    assert_eq!(failed, "error");
    world.assert_healthy().await;
}

/// The steps whose bytes are not those of what they would be given.
async fn miscounted(world: &mut World) -> i64 {
    // As text and back, because a row keeps its values smaller than they are in memory. Small ones
    // have shorter heads there too.
    world
        .value(
            "select count(*)
             from tasker.steps s
             join tasker.tasks t using (task_uuid)
             join tasker.template_steps ts
               on ts.template_id = s.template_id and ts.step_no = s.step_no
             where abs(s.input_bytes - pg_column_size(t.context::text::jsonb) - (
               select coalesce(sum(pg_column_size(p.result::text::jsonb)), 0)
               from tasker.steps p
               where p.task_uuid = s.task_uuid and p.step_no = any(ts.depends_on)
                 and p.state in ('complete', 'skipped', 'resolved_manually')
             )) > 30",
        )
        .await
}

#[tokio::test]
async fn the_bytes_of_a_step_are_those_of_its_context_and_of_the_results_it_depends_on() {
    let mut world = World::new().await;
    let parents: &[&str] = &["done", "skipped", "resolved", "handed_on"];
    world
        .template(
            "join",
            &[
                ("done", &[]),
                ("skipped", &[]),
                ("resolved", &[]),
                ("before", &[]),
                ("handed_on", &["before"]),
                ("join", parents),
                ("after", &["join"]),
            ],
        )
        .await;
    let task = submit_with(&mut world, "join", text_of(3)).await;
    assert_eq!(miscounted(&mut world).await, 0);
    world.claim().await;
    let received = world.receive_for(WORKER, KNOWN, 10).await;
    let [done, skipped, resolved, before] = received.try_into().unwrap();
    world.release_as(WORKER, &[&skipped, &resolved]).await;

    world.report(&[result(&done, text_of(5))]).await;
    assert_eq!(miscounted(&mut world).await, 0);
    for (name, settlement) in [
        ("skipped", Settlement::Skip(json!(null))),
        (
            "resolved",
            Settlement::Resolve(json!({ "by": "hand", "text": text_of(7) })),
        ),
    ] {
        world
            .operate(task, Action::SettleStep(name, &settlement))
            .await;
        assert_eq!(miscounted(&mut world).await, 0);
    }
    let handed_on = world
        .continue_as(WORKER, &[result(&before, text_of(1))], KNOWN)
        .await
        .continued;
    assert_eq!(miscounted(&mut world).await, 0);
    let join = world
        .continue_as(WORKER, &[result(&handed_on[0], text_of(9))], KNOWN)
        .await
        .continued;
    assert_eq!(join[0].step_name, "join");
    assert_eq!(miscounted(&mut world).await, 0);
    world.report(&[result(&join[0], text_of(2))]).await;
    assert_eq!(miscounted(&mut world).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_result_that_an_attempt_did_not_give_is_not_counted() {
    let mut world = World::new().await;
    world.template("linear", LINEAR).await;
    world.enqueue("linear", 0, 1).await;
    let first = world.receive_for(WORKER, KNOWN, 1).await.remove(0);
    world.report(&[crate::support::retry(&first)]).await;
    world.fire_timers().await;
    world.claim().await;
    let first = world.receive_for(WORKER, KNOWN, 1).await.remove(0);

    world.report(&[result(&first, text_of(4))]).await;

    assert_eq!(miscounted(&mut world).await, 0);
    world.assert_healthy().await;
}

#[tokio::test]
async fn what_is_larger_than_a_megabyte_goes_through_the_queue() {
    for (kilobytes, continued) in [(500, 1), (600, 0)] {
        let mut world = World::new().await;
        world.template("linear", LINEAR).await;
        submit_with(&mut world, "linear", text_of(500)).await;
        world.claim().await;
        let first = world.receive_for(WORKER, KNOWN, 1).await.remove(0);

        let reported = world
            .continue_as(WORKER, &[result(&first, text_of(kilobytes))], KNOWN)
            .await;

        assert_eq!(reported.continued.len(), continued, "{kilobytes} kB");
        if continued == 0 {
            world.claim().await;
            let second = world.receive_for(WORKER, KNOWN, 1).await;
            assert_eq!((second.len(), second[0].unfit.is_none()), (1, true));
        }
        world.assert_healthy().await;
    }
}
