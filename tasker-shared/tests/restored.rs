//! A database that was restored, and workers of the one before that find it at its address.

#![allow(clippy::unwrap_used)]

mod support;

use support::{SINGLE, World, complete};
use tasker_shared::restored::{mend_restored, restored_findings};
use tasker_testing::TestDatabase;

/// The world as it was when the backup was taken.
async fn restore(world: &World) -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    world.db.back_up(&file).await;
    let db = TestDatabase::empty().await;
    db.restore(&file).await;
    let connection = db.connect().await;
    World { db, connection }
}

#[tokio::test]
async fn a_worker_of_the_database_before_cannot_end_an_attempt_of_the_restored_one() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let task = world.submit("single").await;
    world.claim().await;
    let mut restored = restore(&world).await;
    let elsewhere = world.receive().await;
    mend_restored(&mut restored.connection).await.unwrap();

    let here = restored.receive().await;
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].id.task_uuid, task);
    let late = restored.report(&[complete(&elsewhere[0])]).await;
    assert_eq!(late.stale, [0]);
    let own = restored.report(&[complete(&here[0])]).await;
    assert_eq!(own.stale, Vec::<usize>::new());
    restored.assert_healthy().await;
}

#[tokio::test]
async fn no_message_of_a_restored_database_has_a_number_that_was_given_after_the_backup() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    let mut restored = restore(&world).await;
    mend_restored(&mut restored.connection).await.unwrap();
    for world in [&mut world, &mut restored] {
        world.submit("single").await;
    }
    let (there, here) = (world.start_one().await, restored.start_one().await);
    assert_ne!(there.msg_id, here.msg_id);
    restored.report(&[complete(&here)]).await;
    restored.assert_healthy().await;
    let findings = restored_findings(&mut restored.connection).await.unwrap();
    assert_eq!(findings, []);
}
