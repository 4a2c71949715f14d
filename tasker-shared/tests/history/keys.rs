//! Idempotency keys, which may live longer than their tasks.

use tasker_shared::history::forget_keys;
use tasker_shared::ids::TaskUuid;
use tasker_shared::tasks::{self, OnConflict, Submitted};

use crate::support::{World, new_task};
use crate::{DAY, config, exists, sweep_all, with_template};

async fn submit(world: &mut World, on_conflict: OnConflict) -> Submitted {
    let mut task = new_task("single");
    task.idempotency_key = Some("order-1".to_owned());
    task.on_conflict = on_conflict;
    tasks::submit_tasks(&mut world.connection, &[task])
        .await
        .unwrap()[0]
}

/// A task with a key that left after 31 days.
async fn gone(world: &mut World, key_days: u32) -> TaskUuid {
    let first = submit(world, OnConflict::Existing).await;
    assert!(first.created);
    world.run_all().await;
    world.advance(DAY * 31).await;
    let mut config = config();
    config.idempotency_key_days = key_days;
    assert_eq!(sweep_all(world, &config).await.count(), 1);
    first.task_uuid
}

#[tokio::test]
async fn a_key_is_forgotten_with_its_task() {
    let mut world = with_template().await;
    let gone = gone(&mut world, 0).await;
    let again = submit(&mut world, OnConflict::Existing).await;
    assert!(again.created);
    assert_ne!(again.task_uuid, gone);
}

#[tokio::test]
async fn a_key_that_is_kept_longer_answers_with_the_first_task() {
    let mut world = with_template().await;
    let gone = gone(&mut world, 60).await;
    for on_conflict in [OnConflict::Existing, OnConflict::Reject] {
        let again = submit(&mut world, on_conflict).await;
        assert_eq!((again.task_uuid, again.created), (gone, false));
        assert!(!again.context_differs);
    }
    assert!(!exists(&mut world, gone).await);
    assert!(!forget_keys(&mut world.connection).await.unwrap());
    assert_eq!(
        submit(&mut world, OnConflict::Existing).await.task_uuid,
        gone
    );

    world.advance(DAY * 30).await;
    assert!(!forget_keys(&mut world.connection).await.unwrap());
    assert!(submit(&mut world, OnConflict::Existing).await.created);
    let kept: i64 = world.value("select count(*) from tasker.kept_keys").await;
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_key_that_is_shorter_lived_than_its_task_stays_as_long_as_that() {
    let mut world = with_template().await;
    let first = submit(&mut world, OnConflict::Existing).await;
    world.run_all().await;
    let mut config = config();
    config.idempotency_key_days = 7;
    world.advance(DAY * 29).await;
    sweep_all(&mut world, &config).await;
    let again = submit(&mut world, OnConflict::Existing).await;
    assert_eq!(again.task_uuid, first.task_uuid);
}

/// The trigger plays a pruner that commits between the insertion of the key, which finds it in its
/// way, and the look at whose it is.
#[tokio::test]
async fn a_key_that_is_forgotten_in_the_middle_of_a_submission_belongs_to_the_new_task() {
    let mut world = with_template().await;
    let first = submit(&mut world, OnConflict::Existing).await;
    world
        .run(
            "create function forget() returns trigger language plpgsql as $$
            begin
              if current_setting('test.forgotten', true) is distinct from 'yes' then
                perform set_config('test.forgotten', 'yes', false);
                delete from tasker.idempotency_keys;
              end if;
              return null;
            end $$;
            create trigger forget after insert on tasker.idempotency_keys
            for each statement execute function forget();",
        )
        .await;
    let second = submit(&mut world, OnConflict::Existing).await;
    assert!(second.created);
    assert_ne!(second.task_uuid, first.task_uuid);

    let third = submit(&mut world, OnConflict::Existing).await;
    assert_eq!((third.task_uuid, third.created), (second.task_uuid, false));
}
