//! Who goes on with an act, for how long, and when it ends.

use std::collections::HashSet;
use std::time::Duration;

use tasker_shared::bulk::{
    BATCH, BulkAct, BulkAction, BulkState, abandoned_bulk_act, bulk_act, carry_out as carry_out_on,
    continue_bulk_act, list_bulk_acts, stop_bulk_act,
};
use tasker_shared::config::{DatabaseConfig, TaskerConfig};
use tasker_shared::database::Database;
use tasker_shared::error::RefusalKind;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::World;
use crate::{MANY, carry_out, in_state, of_test, start, with_failed};

#[tokio::test]
async fn processes_that_go_on_with_one_act_at_once_do_each_task_once() {
    let (mut world, _) = with_failed(MANY).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let both = [world.db.connect().await, world.db.connect().await];
    let goes_on = async |mut connection: sqlx::PgConnection| loop {
        let act = continue_bulk_act(&mut connection, bulk, BATCH)
            .await
            .unwrap();
        if act.is_some_and(|act| act.state != BulkState::Running) {
            return;
        }
    };
    let [first, second] = both;
    tokio::join!(goes_on(first), goes_on(second));

    let act = bulk_act(&mut world.connection, bulk)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((act.done, act.refused, act.held), (120, 0, 0));
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_batch_that_another_process_has_in_hand_is_not_waited_for() {
    let (mut world, _) = with_failed(1).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    let mut other = world.begin().await;
    continue_bulk_act(&mut other, bulk, BATCH)
        .await
        .unwrap()
        .unwrap();

    let waits = continue_bulk_act(&mut world.connection, bulk, BATCH)
        .await
        .unwrap();
    assert_eq!(waits, None);
    // It crashed: its batch was not done, and another process does it.
    other.rollback().await.unwrap();
    assert_eq!(carry_out(&mut world, bulk).await.0.done, 1);
}

#[tokio::test]
async fn an_act_that_is_stopped_does_no_more() {
    let (mut world, _) = with_failed(MANY).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    continue_bulk_act(&mut world.connection, bulk, BATCH)
        .await
        .unwrap();
    let stopped = stop_bulk_act(&mut world.connection, bulk).await.unwrap();
    assert_eq!((stopped.state, stopped.done), (BulkState::Stopped, 50));

    assert_eq!(carry_out(&mut world, bulk).await, (stopped.clone(), 1));
    assert_eq!(in_state(&mut world, "error").await, 70);
    let again = stop_bulk_act(&mut world.connection, bulk).await.unwrap();
    assert_eq!(again, stopped);
    let listed = list_bulk_acts(&mut world.connection, 10).await.unwrap();
    assert_eq!(listed, [stopped]);
}

async fn abandoned(world: &mut World) -> Option<Uuid> {
    abandoned_bulk_act(&mut world.connection).await.unwrap()
}

/// Lets all acts have been touched 31 seconds earlier.
async fn leave(world: &mut World) {
    world
        .run("update tasker.bulk_acts set touched_at = touched_at - interval '31 s'")
        .await;
}

#[tokio::test]
async fn an_act_is_abandoned_when_it_was_not_touched_for_half_a_minute() {
    let (mut world, _) = with_failed(MANY).await;
    let bulk = start(&mut world, BulkAction::Retry, &of_test()).await;
    assert_eq!(abandoned(&mut world).await, None);
    leave(&mut world).await;
    assert_eq!(abandoned(&mut world).await, Some(bulk));

    continue_bulk_act(&mut world.connection, bulk, BATCH)
        .await
        .unwrap();
    assert_eq!(abandoned(&mut world).await, None, "it goes on");
    carry_out(&mut world, bulk).await;
    leave(&mut world).await;
    assert_eq!(abandoned(&mut world).await, None, "it has ended");
}

#[tokio::test]
async fn each_of_several_abandoned_acts_has_its_turn() {
    let mut world = World::new().await;
    let mut left = HashSet::new();
    for _ in 0..3 {
        left.insert(start(&mut world, BulkAction::Retry, &of_test()).await);
    }
    leave(&mut world).await;
    // By chance: a thousand times the same one is not met.
    for _ in 0..1000 {
        left.remove(&abandoned(&mut world).await.unwrap());
    }
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn the_latest_acts_are_listed_first() {
    let mut world = World::new().await;
    let mut started = Vec::new();
    for _ in 0..3 {
        started.push(start(&mut world, BulkAction::Retry, &of_test()).await);
    }
    started.sort();
    let listed = list_bulk_acts(&mut world.connection, 2).await.unwrap();
    let listed: Vec<Uuid> = listed.iter().map(|act| act.bulk_uuid).collect();
    assert_eq!(listed, [started[2], started[1]]);
}

#[tokio::test]
async fn an_act_that_is_to_stop_ends_after_the_batch_in_hand() {
    let (mut world, _) = with_failed(MANY).await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let database = world.db.database().await;
    let ended = carry_out_on(&database, bulk, &Semaphore::new(1), &stop, |_| ())
        .await
        .unwrap();

    assert_eq!(ended, None);
    assert_eq!(in_state(&mut world, "resolved_manually").await, 50);
}

#[tokio::test]
async fn acts_of_one_process_take_turns_batch_by_batch() {
    let (mut world, _) = with_failed(MANY).await;
    let mut acts = Vec::new();
    for _ in 0..2 {
        acts.push(start(&mut world, BulkAction::Retry, &of_test()).await);
    }
    let database = world.db.database().await;
    let (turns, stop) = (Semaphore::new(1), CancellationToken::new());
    let order = std::cell::RefCell::new(Vec::new());
    let progress = |act: &BulkAct| order.borrow_mut().push(act.bulk_uuid);
    let [first, second] =
        [acts[0], acts[1]].map(|bulk| carry_out_on(&database, bulk, &turns, &stop, progress));
    let (first, second) = tokio::join!(first, second);

    let ended = [first, second].map(|act| act.unwrap().unwrap().state);
    assert_eq!(ended, [BulkState::Finished; 2]);
    let order = order.into_inner();
    assert_eq!(order[..4], [acts[0], acts[1], acts[0], acts[1]]);
}

#[tokio::test]
async fn an_act_that_waits_for_its_turn_stops_at_once() {
    let (mut world, _) = with_failed(1).await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let database = world.db.database().await;
    let ended = carry_out_on(&database, bulk, &Semaphore::new(0), &stop, |_| ()).await;

    assert_eq!(ended.unwrap(), None);
    assert_eq!(in_state(&mut world, "error").await, 1);
}

#[tokio::test]
async fn a_session_that_takes_no_writes_leaves_the_act_as_it_is() {
    let (mut world, _) = with_failed(1).await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    let before = bulk_act(&mut world.connection, bulk).await.unwrap();
    world.run("set default_transaction_read_only = on").await;
    let refused = continue_bulk_act(&mut world.connection, bulk, BATCH).await;
    assert!(refused.unwrap_err().to_string().contains("read-only"));

    let after = bulk_act(&mut world.connection, bulk).await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_unknown_act_cannot_be_gone_on_with_or_stopped() {
    let mut world = World::new().await;
    let unknown = Uuid::now_v7();
    assert_eq!(
        bulk_act(&mut world.connection, unknown).await.unwrap(),
        None
    );
    let goes_on = continue_bulk_act(&mut world.connection, unknown, BATCH).await;
    assert_eq!(
        goes_on.unwrap_err().refusal().unwrap().kind,
        RefusalKind::NotFound
    );
    let stopped = stop_bulk_act(&mut world.connection, unknown).await;
    assert_eq!(
        stopped.unwrap_err().refusal().unwrap().kind,
        RefusalKind::NotFound
    );
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_done_in_smaller_ones() {
    let (mut world, _) = with_failed(20).await;
    world
        .run(
            "create function slow() returns trigger language plpgsql as
               'begin perform pg_sleep(0.1); return new; end';
             create trigger slow before update on tasker.tasks
               for each row execute function slow()",
        )
        .await;
    let bulk = start(&mut world, BulkAction::Resolve, &of_test()).await;
    let config = DatabaseConfig {
        url: world.db.url().into(),
        call_timeout: Duration::from_secs(1),
        ..TaskerConfig::default().database
    };
    let database = Database::connect(&config).await.unwrap();
    let mut batches = Vec::new();
    let progress = |act: &BulkAct| batches.push(act.done);
    let act = carry_out_on(
        &database,
        bulk,
        &Semaphore::new(1),
        &CancellationToken::new(),
        progress,
    )
    .await;

    assert_eq!(act.unwrap().unwrap().done, 20);
    assert!(batches[0] < 10, "{batches:?}");
}
