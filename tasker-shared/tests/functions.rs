//! The small functions that the others are made of.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::World;
use tasker_shared::ids::{StepId, TaskUuid};
use uuid::{Uuid, Variant};

async fn delay(world: &mut World, backoff: &str, attempt: i32, jitter: bool) -> i64 {
    world
        .value(format!(
            "select tasker.retry_delay_ms('{backoff}', 100, 5000, {jitter}, {attempt})"
        ))
        .await
}

#[tokio::test]
async fn delays_grow_as_the_policy_says_up_to_the_longest() {
    let mut world = World::new().await;
    let expected = [
        ("fixed", [100, 100, 100, 100]),
        ("linear", [100, 200, 700, 5000]),
        ("exponential", [100, 200, 5000, 5000]),
    ];
    for (backoff, delays) in expected {
        for (attempt, expected) in [1, 2, 7, 1000].into_iter().zip(delays) {
            let actual = delay(&mut world, backoff, attempt, false).await;
            assert_eq!(actual, expected, "{backoff} after attempt {attempt}");
        }
    }
}

#[tokio::test]
async fn jitter_draws_a_delay_between_half_and_all_of_it() {
    let mut world = World::new().await;
    let mut drawn = BTreeSet::new();
    for _ in 0..50 {
        drawn.insert(delay(&mut world, "linear", 20, true).await);
    }
    assert!(drawn.len() > 10, "{drawn:?}");
    assert!(
        drawn.iter().all(|delay| (1000..=2000).contains(delay)),
        "{drawn:?}"
    );
}

#[tokio::test]
async fn the_longest_delays_that_a_template_can_ask_for_can_be_computed() {
    let mut world = World::new().await;
    let longest: i64 = world
        .value(format!(
            "select tasker.retry_delay_ms('exponential', {0}, {0}, false, {1})",
            1_i64 << 40,
            i32::MAX
        ))
        .await;
    assert_eq!(longest, 1_i64 << 40);
}

#[tokio::test]
async fn a_task_is_named_by_a_uuid_of_version_7_with_room_for_step_numbers() {
    let mut world = World::new().await;

    let made: Vec<Uuid> = world
        .value("select array_agg(tasker.new_task_uuid()) from generate_series(1, 1000)")
        .await;

    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), 1000);
    for uuid in made {
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), Variant::RFC4122);
        assert_eq!(uuid.as_u128() & 0xffff, 0);
    }
}

#[tokio::test]
async fn the_name_of_a_task_tells_when_it_was_made() {
    let mut world = World::new().await;
    let clock = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";

    let before: i64 = world.value(clock).await;
    let made: Uuid = world.value("select tasker.new_task_uuid()").await;
    let after: i64 = world.value(clock).await;

    let milliseconds = i64::try_from(made.as_u128() >> 80).unwrap();
    assert!((before - 1..=after + 1).contains(&milliseconds));
}

#[tokio::test]
async fn sql_and_rust_name_steps_alike() {
    let mut world = World::new().await;
    let task_uuid: Uuid = world.value("select tasker.new_task_uuid()").await;
    for step_no in [1, 9, 255, 4096, 65_535] {
        let id = StepId {
            task_uuid: TaskUuid(task_uuid),
            step_no,
        };

        let in_sql: Uuid = world
            .value(format!("select tasker.step_uuid('{task_uuid}', {step_no})"))
            .await;

        assert_eq!(in_sql, id.step_uuid());
        assert_eq!(StepId::from_step_uuid(in_sql), id);
    }
}

#[tokio::test]
async fn the_engine_s_clock_can_be_moved_and_runs_otherwise() {
    let mut world = World::new().await;
    let first: bool = world
        .value("select abs(extract(epoch from tasker.now() - clock_timestamp())) < 1")
        .await;
    assert!(first);

    world.run("set tasker.now = '2031-02-03 04:05:06+00'").await;
    let stands: bool = world
        .value("select tasker.now() = '2031-02-03 04:05:06+00'")
        .await;
    assert!(stands);

    world.run("set tasker.now = ''").await;
    let runs: bool = world
        .value("select abs(extract(epoch from tasker.now() - clock_timestamp())) < 1")
        .await;
    assert!(runs);
}
