//! What it costs to leave out queues in trouble, and what is no trouble of a queue.

use tasker_shared::error::Error;
use tasker_shared::queues::Guard;
use tasker_shared::readiness::claim_ready_tasks_of;
use tasker_shared::steps::{Demand, receive_steps};

use crate::support::{LEASE, SINGLE, WORKER, World, complete};

/// A subtransaction that writes has a number of its own, and holds a lock on it to the end.
const NUMBERS: &str = "select count(*) from pg_locks
    where locktype = 'transactionid' and pid = pg_backend_pid()";

#[tokio::test]
async fn calls_take_one_transaction_number_each_while_all_queues_are_well() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;

    world.run("begin").await;
    world.claim().await;
    assert_eq!(world.value::<i64>(NUMBERS).await, 1);
    world.run("commit; begin").await;
    let received = world.receive().await;
    assert_eq!(world.value::<i64>(NUMBERS).await, 1);
    world.run("commit; begin").await;
    world.report(&[complete(&received[0])]).await;
    assert_eq!(world.value::<i64>(NUMBERS).await, 1);
    world.run("commit").await;
    world.assert_healthy().await;
}

#[tokio::test]
async fn a_read_only_session_is_no_trouble_of_a_queue() {
    let mut world = World::new().await;
    world.template("single", SINGLE).await;
    world.submit("single").await;
    world.claim().await;
    world.submit("single").await;
    world.run("set default_transaction_read_only to on").await;

    let namespaces = ["test".to_owned()];
    for guard in [Guard::AfterFailure, Guard::FromStart] {
        let connection = &mut world.connection;
        let claimed = claim_ready_tasks_of(connection, "o", 10, &[], guard).await;
        assert!(claimed.is_err_and(|error| is_unavailable(&error)));
        let demand = Demand {
            guard,
            ..Demand::of_any(&namespaces, 10, LEASE)
        };
        let received = receive_steps(connection, WORKER, &demand).await;
        assert!(received.is_err_and(|error| is_unavailable(&error)));
    }

    world.run("reset default_transaction_read_only").await;
    world.run_all().await;
    world.assert_healthy().await;
}

const fn is_unavailable(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. })
}
