//! Processes of a release and of this build on one upgraded database, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sqlx::{Connection, PgConnection};
use tasker_shared::readiness;
use tasker_shared::schema::migrate;
use tasker_shared::steps::{self, Demand, Locks};
use tasker_testing::{WAIT_TIMEOUT, releases, wait_until};
use tokio::task::JoinSet;

use crate::support::{LEASE, World, complete};
use crate::{calls_of_0_1_0, database_of};

const TASKS: usize = 150;

/// Steps that each of the two builds completed.
#[derive(Default)]
struct Completed {
    by_release: AtomicUsize,
    by_this_build: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_release_run_beside_those_of_this_build_under_load() {
    let releases = releases();
    let release = releases.iter().find(|it| it.version == "0.1.0").unwrap();
    let db = database_of(release).await;
    migrate(&db.database().await).await.unwrap();
    let mut world = World {
        connection: db.connect().await,
        db,
    };
    // Those of the dump ran at another time.
    world.expire_leases().await;
    let completed = Arc::new(Completed::default());
    let mut processes = JoinSet::new();
    for number in 0..2 {
        let connect = async || PgConnection::connect(world.db.url()).await.unwrap();
        processes.spawn(release_loop(connect().await, number, completed.clone()));
        processes.spawn(loop_of_this_build(
            connect().await,
            number,
            completed.clone(),
        ));
    }

    for _ in 0..TASKS / 10 {
        calls_of_0_1_0::submit(&mut world.connection, "diamond", 5).await;
        world.submit("linear").await;
        calls_of_0_1_0::submit(&mut world.connection, "linear", 4).await;
    }
    let ended = "select not exists (
      select from tasker.tasks where state in ('pending', 'in_progress')
        and coalesce(idempotency_key, '') = ''
    )";
    wait_until("the tasks end", WAIT_TIMEOUT, async || {
        assert!(processes.try_join_next().is_none(), "a process ended");
        world.value::<bool>(ended).await
    })
    .await;

    processes.shutdown().await;
    let not_complete = "select count(*) from tasker.tasks
      where idempotency_key is null and state <> 'complete'";
    assert_eq!(world.value::<i64>(not_complete).await, 0);
    assert!(completed.by_release.load(Relaxed) > 0);
    assert!(completed.by_this_build.load(Relaxed) > 0);
    world.assert_healthy().await;
}

async fn release_loop(mut connection: PgConnection, number: usize, completed: Arc<Completed>) {
    let name = format!("release-{number}");
    loop {
        calls_of_0_1_0::orchestrate(&mut connection, &name).await;
        let count = calls_of_0_1_0::work(&mut connection, &name).await;
        completed.by_release.fetch_add(count, Relaxed);
    }
}

async fn loop_of_this_build(
    mut connection: PgConnection,
    number: usize,
    completed: Arc<Completed>,
) {
    let name = format!("build-{number}");
    let namespaces = ["test".to_owned()];
    loop {
        readiness::claim_ready_tasks(&mut connection, &name, 20)
            .await
            .unwrap();
        let demand = Demand::of_any(&namespaces, 10, LEASE);
        let received = steps::receive_steps(&mut connection, &name, &demand)
            .await
            .unwrap();
        let mut reports = received.steps.iter().map(complete).collect::<Vec<_>>();
        while !reports.is_empty() {
            let reported = steps::complete_steps(&mut connection, &name, &reports, Locks::Skip)
                .await
                .unwrap();
            let left_out = reported.stale.len() + reported.locked.len();
            let count = reports.len() - left_out;
            completed.by_this_build.fetch_add(count, Relaxed);
            let locked = reported.locked.iter().map(|&at| reports[at].clone());
            reports = locked.collect();
        }
    }
}
