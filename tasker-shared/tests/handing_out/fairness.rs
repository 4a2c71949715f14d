//! Urgent steps take nine places in ten; the tenth is for what has waited longest.

use tasker_shared::ids::TaskUuid;

use crate::support::{WORKER, World};
use crate::tasks_of;

#[tokio::test]
async fn a_receipt_takes_the_urgent_and_in_one_place_of_ten_the_oldest() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    let oldest = world.enqueue("a", 0, 50).await;
    let urgent = world.enqueue("b", 9, 100).await;

    for round in 0..3 {
        let received = tasks_of(&world.receive_for(WORKER, &["a", "b"], 20).await);

        let expected = [&oldest[2 * round..][..2], &urgent[18 * round..][..18]].concat();
        assert_eq!(received.len(), 20);
        assert!(
            expected.iter().all(|task| received.contains(task)),
            "round {round}"
        );
    }
    world.assert_healthy().await;
}

#[tokio::test]
async fn of_single_places_one_in_ten_goes_to_the_oldest() {
    let mut world = World::with_handlers(&["a"]).await;
    let oldest = world.enqueue("a", 0, 2).await;
    let urgent = world.enqueue("a", 9, 2).await;

    let mut received = Vec::new();
    for one_more in [false, true, false] {
        world.draw(one_more).await;
        received.extend(tasks_of(&world.receive_for(WORKER, &["a"], 1).await));
    }

    assert_eq!(received, [urgent[0], oldest[0], urgent[1]]);
    // And this is how often.
    let tenths: i64 = world
        .value(
            "select count(*) from generate_series(1, 20000) where floor(1 / 10.0 + random()) = 1",
        )
        .await;
    assert!((1700..2300).contains(&tenths), "{tenths}");
}

#[tokio::test]
async fn a_middle_priority_has_its_turn_as_soon_as_it_is_the_oldest() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    let first_low = world.enqueue("a", 0, 1).await;
    let middle = world.enqueue("b", 5, 1).await;
    let second_low = world.enqueue("a", 0, 1).await;
    let mut turns: Vec<TaskUuid> = Vec::new();

    for _ in 0..3 {
        // A stream of what is urgent, which no receipt gets to the end of.
        world.enqueue("b", 9, 10).await;
        let received = world.receive_for(WORKER, &["a", "b"], 10).await;
        assert_eq!(received.len(), 10);
        let aged = received.into_iter().filter(|step| step.priority < 9);
        turns.extend(aged.map(|step| step.id.task_uuid));
    }

    assert_eq!(turns, [first_low, middle, second_low].concat());
    world.assert_healthy().await;
}

#[tokio::test]
async fn the_oldest_of_many_priorities_has_its_turn() {
    let mut world = World::with_handlers(&["a"]).await;
    let mut oldest = Vec::new();
    for priority in (0..12).rev() {
        oldest.extend(world.enqueue("a", priority, 1).await);
    }
    world.enqueue("a", 100, 50).await;

    let mut turns = Vec::new();
    for _ in 0..3 {
        let received = world.receive_for(WORKER, &["a"], 10).await;
        let aged = received.into_iter().filter(|step| step.priority < 100);
        turns.extend(aged.map(|step| step.id.task_uuid));
    }

    assert_eq!(turns, oldest[..3]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn with_one_priority_all_places_go_to_the_oldest() {
    let mut world = World::with_handlers(&["a"]).await;
    let tasks = world.enqueue("a", 4, 30).await;

    let received = world.receive_for(WORKER, &["a"], 20).await;

    assert_eq!(tasks_of(&received), tasks[..20]);
    world.assert_healthy().await;
}

#[tokio::test]
async fn places_that_nothing_old_needs_go_to_the_urgent() {
    let mut world = World::with_handlers(&["a", "b"]).await;
    world.enqueue("b", 0, 10).await;
    let urgent = world.enqueue("a", 9, 30).await;

    let received = world.receive_for(WORKER, &["a"], 20).await;

    assert_eq!(tasks_of(&received), urgent[..20]);
    world.assert_healthy().await;
}
