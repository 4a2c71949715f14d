//! What bounds how many start.

use serde_json::json;
use tasker_shared::steps::StepOutcome;

use crate::support::{World, complete, report};
use crate::{AMPLE, QUEUE, active_steps, go_on, names, run_to_the_end, started, wide};

#[tokio::test]
async fn while_something_more_urgent_waits_none_starts() {
    for is_claimed in [false, true] {
        let (mut world, _, first) = started(3).await;
        world.submit_with("wide", |task| task.priority = 1).await;
        if is_claimed {
            world.claim().await;
        }

        let reported = go_on(&mut world, &[complete(&first)], AMPLE).await;

        assert!(reported.continued.is_empty(), "{is_claimed}");
        assert_eq!(reported.enqueued, 3);
        world.assert_healthy().await;
    }
}

#[tokio::test]
async fn the_most_urgent_have_their_places_first() {
    let mut world = World::new().await;
    wide(&mut world, 3, &json!({})).await;
    let slow = world.submit("wide").await;
    let urgent = world.submit_with("wide", |task| task.priority = 1).await;
    world.claim().await;
    let firsts = world.receive().await;
    let reports: Vec<_> = firsts.iter().map(complete).collect();

    let reported = go_on(&mut world, &reports, 2).await;

    let of = |task| {
        let of_task = reported.continued.iter();
        of_task.filter(|step| step.id.task_uuid == task).count()
    };
    assert_eq!((of(urgent), of(slow)), (3, 1));
    assert_eq!(active_steps(&mut world).await, [3, 3]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn those_whose_handler_the_worker_lacks_go_through_the_queue() {
    let mut world = World::new().await;
    let after_a = |name: &str, handler: &str| json!({ "name": name, "handler": handler, "depends_on": ["a"] });
    world
        .apply(json!({
            "namespace": "test", "name": "mixed", "version": "1.0.0", "steps": [
                { "name": "a", "handler": "builtin.noop" },
                after_a("b", "ruby.only"), after_a("c", "builtin.noop"),
                after_a("d", "ruby.only"), after_a("e", "builtin.noop"),
            ],
        }))
        .await;
    world.submit("mixed").await;
    let a = world.start_one().await;

    let reported = go_on(&mut world, &[complete(&a)], AMPLE).await;

    assert_eq!(names(&reported.continued), ["c", "e"]);
    assert_eq!(reported.announcements.queues, [QUEUE]);
    assert_eq!(names(&world.receive().await), ["b", "d"]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn together_they_are_given_no_more_than_eight_megabytes() {
    let (mut world, task, first) = started(12).await;
    let megabyte = StepOutcome::Complete(json!("x".repeat(1_000_000)));

    let reported = go_on(&mut world, &[report(&first, megabyte)], AMPLE).await;

    // And the one that follows.
    assert_eq!(reported.continued.len(), 8 + 1);
    assert_eq!(reported.enqueued, 3);
    let mut held = reported.continued;
    held.extend(world.receive().await);
    run_to_the_end(&mut world, task, held).await;
}
