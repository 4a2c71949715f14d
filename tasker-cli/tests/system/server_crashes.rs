//! PostgreSQL restarted and killed in the middle of work, while tasks are submitted: all processes
//! stay, nothing acknowledged is lost, and everything goes on by itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use sqlx::{Connection, PgConnection};
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_testing::{Durability, PATIENCE, TestServer, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::templates::{DIAMOND, LINEAR, MIXED, TREE, mixed_of_sleeps};
use super::world::{NO_POLLING, SHORT_LEASE, World, submit};

/// Tasks that a client gets acknowledged before the outage, and again after it.
const TASKS: usize = 50;
/// Tasks of each template of a full load.
const TASKS_OF_A_LOAD: usize = 1000;
/// The client holds back while so many of its tasks are under way.
const MOST_OPEN: i64 = 60;

/// A client that submits one task after the other, and tries again for as long as it takes.
struct Submitter {
    acknowledged: Arc<Mutex<Vec<TaskUuid>>>,
    enough: CancellationToken,
    work: JoinHandle<()>,
}

impl Submitter {
    fn start(url: &str) -> Self {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let enough = CancellationToken::new();
        let work = submit_until(enough.clone(), url.to_owned(), Arc::clone(&acknowledged));
        Self {
            acknowledged,
            enough,
            work: tokio::spawn(work),
        }
    }

    fn acknowledged(&self) -> Vec<TaskUuid> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn wait_for(&self, tasks: usize) {
        let what = format!("{tasks} tasks are acknowledged");
        wait_until(&what, PATIENCE, async || {
            self.acknowledged.lock().unwrap().len() >= tasks
        })
        .await;
    }

    async fn stop(self) -> Vec<TaskUuid> {
        self.enough.cancel();
        self.work.await.unwrap();
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn submit_until(
    enough: CancellationToken,
    url: String,
    acknowledged: Arc<Mutex<Vec<TaskUuid>>>,
) {
    let mut connection = None;
    while !enough.is_cancelled() {
        let Some(open) = &mut connection else {
            connection = PgConnection::connect(&url).await.ok();
            tokio::task::yield_now().await;
            continue;
        };
        match submit_one(open).await {
            Ok(submitted) => acknowledged.lock().unwrap().extend(submitted),
            Err(_) => connection = None,
        }
    }
}

async fn submit_one(connection: &mut PgConnection) -> Result<Vec<TaskUuid>, Error> {
    let open: i64 = sqlx::query_scalar(
        "select count(*) from tasker.tasks where state in ('pending', 'in_progress')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if open >= MOST_OPEN {
        return Ok(Vec::new());
    }
    submit(connection, "mixed", 1).await
}

#[tokio::test]
async fn a_restart_of_the_server_loses_nothing_and_needs_no_hand() {
    an_outage_loses_nothing_and_needs_no_hand(async |server| server.restart().await).await;
}

#[tokio::test]
async fn a_crash_of_the_server_loses_nothing_and_needs_no_hand() {
    an_outage_loses_nothing_and_needs_no_hand(async |server| {
        server.kill().await;
        server.restart().await;
    })
    .await;
}

#[tokio::test]
async fn crashes_under_full_load_lose_no_message_and_mix_up_none() {
    // Claims and receipts are not durable: under load, each crash undoes some of them.
    let world = World::with_server(Durability::Production).await;
    let mut environment = NO_POLLING.to_vec();
    environment.push(SHORT_LEASE);
    environment.push(("TASKER__EVENT_SYSTEMS__LISTENER__RECONNECT_MAX_MS", "500"));
    for template in [LINEAR, DIAMOND, TREE, MIXED] {
        world.apply(template).await;
    }
    let mut roles = [
        world.orchestrator(&environment).await,
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
        world.worker(&environment).await,
    ];
    let names = ["linear", "diamond", "tree", "mixed"];
    for name in names {
        world.submit(name, TASKS_OF_A_LOAD).await;
    }
    for share in ["0.1", "0.2", "0.35", "0.5"] {
        let sql = format!(
            "select count(*) filter (where state = 'complete') > {share} * count(*)
             from tasker.steps"
        );
        world
            .wait_for("the next part of the steps is done", &sql)
            .await;
        world.server().kill().await;
        world.server().restart().await;
    }
    let open: bool = world
        .value("select exists (select from tasker.tasks where state in ('pending', 'in_progress'))")
        .await;
    assert!(open, "everything had ended before the last crash");

    world.wait_for_the_end().await;
    world.assert_complete(TASKS_OF_A_LOAD * names.len()).await;
    for role in &mut roles {
        role.assert_alive();
    }
    world.end(roles).await;
}

#[tokio::test]
async fn everything_killed_at_once_goes_on_when_it_is_started_again() {
    let world = World::with_server(Durability::Production).await;
    world.apply(&mixed_of_sleeps(200)).await;
    let environment = [SHORT_LEASE];
    let start = async || {
        [
            world.orchestrator(&environment).await,
            world.worker(&environment).await,
        ]
    };
    let mut roles = start().await;
    world.submit("mixed", TASKS).await;
    world
        .wait_for(
            "steps complete while others run",
            "select count(*) filter (where state = 'complete') >= 50
               and count(*) filter (where state = 'in_progress') >= 1
             from tasker.steps",
        )
        .await;

    world.server().kill().await;
    for role in &mut roles {
        role.process.kill9();
    }
    world.server().restart().await;
    let roles = start().await;

    world.wait_for_the_end().await;
    world.assert_complete(TASKS).await;
    world.end(roles).await;
}

async fn an_outage_loses_nothing_and_needs_no_hand(outage: impl AsyncFn(&TestServer)) {
    let world = World::with_server(Durability::Production).await;
    world.apply(&mixed_of_sleeps(50)).await;
    let mut environment = NO_POLLING.to_vec();
    environment.push(SHORT_LEASE);
    let mut roles = [
        world.orchestrator(&environment).await,
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
        world.worker(&environment).await,
    ];
    let submitter = Submitter::start(world.url());
    submitter.wait_for(TASKS).await;
    world
        .wait_for(
            "steps complete while others run",
            "select count(*) filter (where state = 'complete') >= 50
               and count(*) filter (where state = 'in_progress') >= 1
             from tasker.steps",
        )
        .await;
    let recorded = completed_steps(&world).await;
    let acknowledged = submitter.acknowledged();

    outage(world.server()).await;

    let still_recorded = completed_steps(&world).await;
    assert!(recorded.is_subset(&still_recorded), "outcomes were lost");
    let present: HashSet<Uuid> = tasks(&world).await;
    assert!(acknowledged.iter().all(|task| present.contains(&task.0)));
    submitter.wait_for(acknowledged.len() + TASKS).await;
    let acknowledged = submitter.stop().await;
    world.wait_for_the_end().await;

    // A submit whose answer got lost may have created one more.
    let present = tasks(&world).await;
    assert!(acknowledged.iter().all(|task| present.contains(&task.0)));
    world.assert_complete(present.len()).await;
    for role in &mut roles {
        role.assert_alive();
    }
    world.end(roles).await;
}

async fn tasks(world: &World) -> HashSet<Uuid> {
    let tasks: Vec<Uuid> = world.values("select task_uuid from tasker.tasks").await;
    tasks.into_iter().collect()
}

/// The outcomes that a client can see: of which step, which attempt, and when.
async fn completed_steps(world: &World) -> HashSet<String> {
    let steps: Vec<String> = world
        .values(
            "select format('%s step %s attempt %s at %s', task_uuid, step_no, attempt, finished_at)
             from tasker.steps where state = 'complete'",
        )
        .await;
    steps.into_iter().collect()
}
