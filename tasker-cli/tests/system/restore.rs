//! A backup that was taken while work was in every state, restored while the database before goes on.

use nix::sys::signal::Signal;
use tasker_testing::{Durability, TaskerBinary, TestDatabase};

use super::world::{NAMESPACE, Role, SHORT_LEASE, World};

/// Few places, so that steps wait in the queue.
const TWO_PLACES: (&str, &str) = ("TASKER__WORKER__CONCURRENCY", "2");

fn template(name: &str, handler: &str) -> String {
    format!(
        "namespace: {NAMESPACE}\nname: {name}\nversion: 1.0.0\nsteps:\n  - {{ name: a, {handler} }}\n  \
         - {{ name: b, handler: builtin.noop, depends_on: [a] }}\n"
    )
}

/// Brings tasks and steps into every state, and freezes the processes there.
async fn in_every_state(world: &World, unlogged: bool) -> [Role; 2] {
    world
        .run(&format!("select tasker.use_unlogged_queues({unlogged})"))
        .await;
    for (name, handler) in [
        ("done", "handler: builtin.noop"),
        ("slow", "handler: builtin.sleep, input: { ms: 1500 }"),
        (
            "failed",
            "handler: builtin.fail, input: { retryable: false }",
        ),
        (
            "retried",
            "handler: builtin.fail, input: { times: 1 }, retry: { base_ms: 4000, backoff: fixed }",
        ),
    ] {
        world.apply(&template(name, handler)).await;
    }
    let orchestrator = world.orchestrator(&[SHORT_LEASE]).await;
    let worker = world.worker(&[SHORT_LEASE, TWO_PLACES]).await;
    world.submit("done", 3).await;
    world.submit("failed", 1).await;
    world.wait_for_the_end().await;
    world.submit("retried", 1).await;
    let state =
        |state: &str| format!("select exists (select from tasker.steps where state = '{state}')");
    world.wait_for("a retry", &state("waiting_for_retry")).await;
    world.submit("slow", 6).await;
    world
        .wait_for(
            "two run and others wait",
            "select count(*) filter (where state = 'in_progress') = 2
               and count(*) filter (where state = 'enqueued') > 1 from tasker.steps",
        )
        .await;
    orchestrator.process.freeze();
    worker.process.freeze();
    world.submit("done", 2).await;
    [orchestrator, worker]
}

/// What `tasker backup-check` says.
async fn backup_check(world: &World, args: &[&str]) -> String {
    let args = [&["backup-check"], args].concat();
    let environment = [("DATABASE_URL", world.url())];
    let answer = TaskerBinary::locate().run(&args, &environment).await;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.status.success(), "{text}");
    text
}

/// Runs what is left in the database, and says that each task came to its end.
async fn run_to_the_end(world: World, mut roles: Vec<Role>) {
    if roles.is_empty() {
        roles.push(world.orchestrator(&[SHORT_LEASE]).await);
        roles.push(world.worker(&[SHORT_LEASE]).await);
    }
    world.wait_for_the_end().await;
    let ended: Vec<String> = world
        .values("select state || ' ' || count(*) from tasker.tasks group by state order by state")
        .await;
    assert_eq!(ended, ["complete 12", "error 1"]);
    world.end(roles).await;
}

async fn dumped_and_restored(unlogged: bool) {
    let copy = TestDatabase::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let world = World::start().await;
    let roles = in_every_state(&world, unlogged).await;
    world.database().back_up(&file).await;
    copy.restore(&file).await;
    let restored = World::beside(copy);
    let told = backup_check(&restored, &[]).await;
    assert!(told.contains("the database is sound"), "{told}");

    // The database before goes on beside it.
    for role in &roles {
        role.process.signal(Signal::SIGCONT);
    }
    run_to_the_end(restored, Vec::new()).await;
    run_to_the_end(world, roles.into()).await;
}

async fn copied_while_it_ran(unlogged: bool) {
    let world = World::with_server(Durability::Disposable).await;
    let roles = in_every_state(&world, unlogged).await;
    let copy = world.server().start_copy().await;
    let restored = World::beside_of(copy);
    let told = backup_check(&restored, &[]).await;
    assert!(told.contains("the database is sound"), "{told}");
    assert_eq!(told.contains("unlogged queues lost"), unlogged, "{told}");
    if !unlogged {
        backup_check(&restored, &["--repair"]).await;
    }

    for role in &roles {
        role.process.signal(Signal::SIGCONT);
    }
    run_to_the_end(restored, Vec::new()).await;
    run_to_the_end(world, roles.into()).await;
}

#[tokio::test]
async fn a_dump_taken_while_all_was_under_way_is_completed_where_it_is_restored() {
    dumped_and_restored(false).await;
}

#[tokio::test]
async fn a_dump_with_unlogged_queues_is_completed_where_it_is_restored() {
    dumped_and_restored(true).await;
}

#[tokio::test]
async fn a_base_backup_taken_while_all_was_under_way_is_completed_where_it_is_started() {
    copied_while_it_ran(false).await;
}

#[tokio::test]
async fn a_base_backup_without_its_unlogged_queues_is_completed_where_it_is_started() {
    copied_while_it_ran(true).await;
}
